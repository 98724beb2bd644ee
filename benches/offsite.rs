//! Backup to a bucket and restore from it, beside restic and rustic on the same server.
//!
//! A real server on loopback; every request goes through a proxy that counts it, and may add a
//! delay as a distant bucket would. Each tool backs up a tree of small files and one of big ones
//! into a prefix of its own, and restores it on a machine without a cache; what is restored is
//! compared. CPU seconds are those of the tool alone. Tools that are not installed are left out:
//! `RESTIC_BIN` and `RUSTIC_BIN` say where they are. `cargo bench --bench offsite -- files=8000
//! big=256 runs=3 delay=50 in=FOLDER` (files, MiB, runs, milliseconds). Machines are noisy: compare
//! figures of one run; requests and bytes are exact.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::proxy::{Act, Counts, Proxy};
use testkit::seaweed::{BUCKET, SeaweedFs};
use testkit::{Forest, Nastiness};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    // `cargo test --benches` runs this too: it only has to compile then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let given = |name: &str| {
        std::env::args()
            .find_map(|argument| Some(argument.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    };
    let number = |name: &str, default: u64| -> Outcome<u64> {
        Ok(given(name).map_or(Ok(default), |text| text.parse())?)
    };
    let folder = given("in").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("strongroom-offsite-{}", std::process::id()));
    let trees = [
        grow_small(&folder.join("small-files"), number("files", 8000)? as usize)?,
        grow_big(&folder.join("big-files"), number("big", 256)? as usize)?,
    ];
    let delay = Duration::from_millis(number("delay", 50)?);
    let bench = Bench { server: SeaweedFs::start(), folder: folder.clone() };
    let mut rows = Rows::new();
    for run in 0..number("runs", 1)? {
        for (network, delay) in [("loopback", Duration::ZERO), ("delayed", delay)] {
            for tree in &trees {
                for tool in installed() {
                    bench.measure(&tool, tree, (network, delay), run, &mut rows)?;
                }
            }
        }
    }
    print_table(&rows);
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// What is backed up.
struct Tree {
    name: &'static str,
    path: PathBuf,
    bytes: u64,
}

fn grow_small(path: &Path, files: usize) -> Outcome<Tree> {
    Forest::new(1).grow(path, files, Nastiness::Plain)?;
    Ok(Tree { name: "small files", path: path.into(), bytes: bytes_below(path)? })
}

fn grow_big(path: &Path, mebibytes: usize) -> Outcome<Tree> {
    fs::create_dir_all(path)?;
    let mut forest = Forest::new(2);
    fs::write(path.join("noise"), forest.noise(mebibytes << 19))?;
    fs::write(path.join("text"), forest.text(mebibytes << 19))?;
    Ok(Tree { name: "big files", path: path.into(), bytes: bytes_below(path)? })
}

fn bytes_below(path: &Path) -> Outcome<u64> {
    Ok(testkit::look(path)?.values().map(|seen| seen.size).sum())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Strongroom,
    Restic,
    Rustic,
}

struct Tool {
    kind: Kind,
    program: PathBuf,
}

/// Those that can be run.
fn installed() -> Vec<Tool> {
    let named =
        |variable: &str, name: &str| std::env::var(variable).unwrap_or_else(|_| name.into());
    let all = [
        (Kind::Strongroom, env!("CARGO_BIN_EXE_strongroom").to_owned(), "--version"),
        (Kind::Restic, named("RESTIC_BIN", "restic"), "version"),
        (Kind::Rustic, named("RUSTIC_BIN", "rustic"), "--version"),
    ];
    let runs = |program: &str, version: &str| {
        Command::new(program).arg(version).stdout(Stdio::null()).status().is_ok()
    };
    let found = all.into_iter().filter(|(_, program, version)| runs(program, version));
    found.map(|(kind, program, _)| Tool { kind, program: program.into() }).collect()
}

impl Tool {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Strongroom => "strongroom",
            Kind::Restic => "restic",
            Kind::Rustic => "rustic",
        }
    }

    /// What every command begins with, for a prefix behind the proxy and a home of its own.
    fn command(&self, proxy: &Proxy, prefix: &str, home: &Path) -> Outcome<Command> {
        let endpoint = format!("http://{}", proxy.address());
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::Strongroom => {
                command.args(["--quiet", "--progress", "none", "--vault"]);
                command.arg(proxy.url(BUCKET, prefix)).arg("--key").arg(home.join("key"));
                command.arg("--cache-dir").arg(home.join("cache"));
                command.arg("--state-dir").arg(home.join("state"));
            }
            Kind::Restic => {
                command.args(["-q", "-r", &format!("s3:{endpoint}/{BUCKET}/{prefix}")]);
                command.arg("--cache-dir").arg(home.join("cache"));
                command.env("RESTIC_PASSWORD", PASSWORD);
            }
            Kind::Rustic => {
                let profile = format!(
                    "[repository]\nrepository = \"opendal:s3\"\npassword = \"{PASSWORD}\"\n\
                     [repository.options]\nbucket = \"{BUCKET}\"\nroot = \"/{prefix}\"\n\
                     endpoint = \"{endpoint}\"\nregion = \"us-east-1\"\n"
                );
                fs::write(home.join("profile.toml"), profile)?;
                command.arg("-P").arg(home.join("profile"));
                command.args(["--no-progress", "--log-level", "error", "--cache-dir"]);
                command.arg(home.join("cache"));
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(command)
    }

    fn restore(&self, command: &mut Command, tree: &Tree, target: &Path) {
        match self.kind {
            Kind::Strongroom => {
                command.arg("restore").arg(format!("latest:{}", tree.path.display()));
                command.arg("--to").arg(target);
            }
            Kind::Restic => {
                command.args(["restore", "latest", "--target"]).arg(target);
            }
            Kind::Rustic => {
                command.args(["restore", &format!("latest:{}", tree.path.display())]).arg(target);
            }
        }
    }

    /// Where the tree lies in what was restored.
    fn restored(&self, tree: &Tree, target: &Path) -> PathBuf {
        match self.kind {
            // It restores with the whole path.
            Kind::Restic => target.join(tree.path.strip_prefix("/").unwrap_or(&tree.path)),
            Kind::Strongroom | Kind::Rustic => target.into(),
        }
    }
}

const PASSWORD: &str = "correct horse battery staple";

struct Bench {
    server: SeaweedFs,
    folder: PathBuf,
}

impl Bench {
    fn measure(
        &self,
        tool: &Tool,
        tree: &Tree,
        (network, delay): (&'static str, Duration),
        run: u64,
        rows: &mut Rows,
    ) -> Outcome {
        let proxy = Proxy::start(self.server.address());
        if !delay.is_zero() {
            proxy.plan(move |_| Act::later(delay, Act::Pass));
        }
        let name = format!("{}-{}-{network}-{run}", tool.name(), tree.name.replace(' ', "-"));
        let home = self.folder.join(&name);
        fs::create_dir_all(&home)?;
        let command = || tool.command(&proxy, &name, &home);
        self.run(command()?.arg("init"))?;
        let mut backup = command()?;
        let backed_up = self.timed(&proxy, backup.arg("backup").arg(&tree.path))?;
        // A new machine has the key and nothing else.
        let _ = fs::remove_dir_all(home.join("cache"));
        let _ = fs::remove_dir_all(home.join("state"));
        let target = home.join("restored");
        let mut restore = command()?;
        tool.restore(&mut restore, tree, &target);
        let restored = self.timed(&proxy, &mut restore)?;
        same_content(&tree.path, &tool.restored(tree, &target))?;
        for (operation, took) in [("backup", backed_up), ("restore", restored)] {
            let row = (network, tree.name, operation, tool.name());
            rows.entry(row).or_default().push(Figures { took, source_bytes: tree.bytes });
        }
        fs::remove_dir_all(&home)?;
        Ok(())
    }

    fn run(&self, command: &mut Command) -> Outcome {
        let credentials = self.server.credentials();
        command.env("AWS_ACCESS_KEY_ID", credentials.access_key);
        command.env("AWS_SECRET_ACCESS_KEY", credentials.secret_key);
        command.env("AWS_REGION", "us-east-1").env("AWS_DEFAULT_REGION", "us-east-1");
        let status = command.status()?;
        if !status.success() {
            return Err(format!("{command:?} ended with {status}").into());
        }
        Ok(())
    }

    fn timed(&self, proxy: &Proxy, command: &mut Command) -> Outcome<Took> {
        let (before, cpu, began) = (proxy.counts(), cpu_of_children()?, Instant::now());
        self.run(command)?;
        let wall = began.elapsed().as_secs_f64();
        let after = proxy.counts();
        let of = |verb: &str| after.of(verb) - before.of(verb);
        Ok(Took {
            wall,
            cpu: cpu_of_children()? - cpu,
            puts: of("PUT") + of("POST"),
            gets: of("GET"),
            requests: after.total() - before.total(),
            bytes: bytes(&after) - bytes(&before),
        })
    }
}

fn bytes(counts: &Counts) -> u64 {
    counts.bytes_up + counts.bytes_down
}

/// Seconds that the children which ended took: the server runs on, and so does not count.
fn cpu_of_children() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no name in /proc/self/stat")?;
    let ticks = |field: usize| -> Outcome<f64> {
        Ok(fields.split(' ').nth(field).ok_or("a short /proc/self/stat")?.parse()?)
    };
    // Fields 16 and 17 of proc(5), counted from the third; 100 ticks are a second on Linux.
    Ok((ticks(13)? + ticks(14)?) / 100.0)
}

/// Tools differ in what they restore of metadata; of content they must not.
fn same_content(expected: &Path, found: &Path) -> Outcome {
    let content = |path: &Path| -> Outcome<BTreeMap<PathBuf, Vec<u8>>> {
        let seen = testkit::look(path)?.into_iter();
        Ok(seen.map(|(path, seen)| (path, seen.content)).collect())
    };
    match content(expected)? == content(found)? {
        true => Ok(()),
        false => Err(format!("{} is not what was backed up", found.display()).into()),
    }
}

/// What one command took.
struct Took {
    wall: f64,
    cpu: f64,
    puts: u64,
    gets: u64,
    requests: u64,
    bytes: u64,
}

struct Figures {
    took: Took,
    source_bytes: u64,
}

/// By network, tree, operation and tool.
type Rows = BTreeMap<(&'static str, &'static str, &'static str, &'static str), Vec<Figures>>;

fn print_table(rows: &Rows) {
    println!(
        "| network | tree | operation | tool | wall s | CPU s | PUT | GET | all | per GiB | MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for ((network, tree, operation, tool), figures) in rows {
        let median = |of: fn(&Took) -> f64| {
            let mut all: Vec<f64> = figures.iter().map(|figure| of(&figure.took)).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let source = figures.first().map_or(1, |figure| figure.source_bytes) as f64;
        let requests = median(|took| took.requests as f64);
        println!(
            "| {network} | {tree} | {operation} | {tool} | {:.2} | {:.2} | {} | {} | {requests} | \
             {:.0} | {:.1} |",
            median(|took| took.wall),
            median(|took| took.cpu),
            median(|took| took.puts as f64),
            median(|took| took.gets as f64),
            requests * (1_u64 << 30) as f64 / source,
            median(|took| took.bytes as f64) / 1e6,
        );
    }
}
