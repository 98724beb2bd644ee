//! The main job, measured: first backup, unchanged backup, restore, verification.
//!
//! Trees are grown from a seed: many small files, and a few big ones, half of them incompressible.
//! Each operation runs in this process on a folder vault; wall time, CPU time and rate are printed
//! as a table. Machines are noisy: compare figures of one run. `cargo bench --bench main_job [--
//! FOLDER]`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use strongroom::*;
use testkit::{Forest, Nastiness};

type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    // `cargo test --benches` runs this too: it only has to compile then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let base = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let base = base.map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("strongroom-bench-{}", std::process::id()));
    println!("| tree | operation | wall s | CPU s | MiB/s |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, grow) in
        [("small files", grow_small as fn(&Path) -> Outcome), ("big files", grow_big)]
    {
        let source = folder.join(name.replace(' ', "-"));
        grow(&source)?;
        measure_tree(name, &source, &folder.join(format!("vault-{}", name.len())))?;
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn grow_small(root: &Path) -> Outcome {
    Ok(Forest::new(1).grow(root, 4000, Nastiness::Plain)?)
}

fn grow_big(root: &Path) -> Outcome {
    std::fs::create_dir_all(root)?;
    let mut forest = Forest::new(2);
    std::fs::write(root.join("noise"), forest.noise(256 << 20))?;
    std::fs::write(root.join("text"), forest.text(256 << 20))?;
    Ok(())
}

fn measure_tree(name: &str, source: &Path, vault_folder: &Path) -> Outcome {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let url: PlaceUrl = vault_folder.to_string_lossy().parse()?;
    let place = create_place(&url, &PlaceOptions::default(), clock.clone())?;
    let components = Components { place, clock: clock.clone(), entropy: Arc::new(OsEntropy) };
    let home = vault_folder.with_extension("home");
    let folders = Folders { cache: Some(home.join("cache")), state: Some(home.join("state")) };
    let options = CreateOptions {
        suite: preferred_suite(),
        protection: Protection::KeyFile,
        label: "bench",
        pack_size: None,
    };
    let (mut vault, _) = Vault::create(components, &folders, &options)?;
    let path = absolute_path(source, "".as_ref())?;
    let mut bytes = 0;
    for operation in ["first backup", "unchanged backup"] {
        timed(name, operation, &mut bytes, || {
            let options = BackupOptions::new("bench", vec![path.clone()], clock.now());
            Ok(backup(&mut vault, &options, &Quiet, &Cancel::new())?.counts.bytes)
        })?;
    }
    timed(name, "restore", &mut bytes, || {
        let snapshot = vault.snapshots()?.pop().ok_or("no snapshot")?;
        let options = RestoreOptions::new(vault_folder.with_extension("restored"));
        let report = restore(&vault.reader()?, &snapshot, &options, &Quiet, &Cancel::new())?;
        assert!(report.is_complete());
        Ok(report.counts.bytes)
    })?;
    timed(name, "verify all data", &mut bytes, || {
        let never = AtomicBool::new(false);
        let found = vault.verify(&VerifyOptions::new(Reading::All), &NoProgress, &never)?;
        assert!(found.damage.is_empty());
        Ok(0)
    })
}

struct NoProgress;

impl VerifyProgress for NoProgress {
    fn object(&self, _: &str, _: u64) {}
}

/// Runs an operation, which says how many bytes it stands for; 0 for as many as the one before.
fn timed(
    tree: &str,
    operation: &str,
    bytes: &mut u64,
    run: impl FnOnce() -> std::result::Result<u64, Box<dyn std::error::Error>>,
) -> Outcome {
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    let done = run()?;
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    if done > 0 {
        *bytes = done;
    }
    let rate = *bytes as f64 / wall / f64::from(1 << 20);
    println!("| {tree} | {operation} | {wall:.2} | {cpu:.2} | {rate:.0} |");
    Ok(())
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
