//! Are the manual and the reference beside the source those that the program makes?
//!
//! With STRONGROOM_BLESS=1, which `make generate` sets, they are renewed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::world::{Ran, World};

const STALE: &str = "options changed: `make generate` renews the manual and the reference";

#[test]
fn the_manual_is_what_the_program_writes() {
    let world = World::empty();
    Ran::of(world.bare().args(["man", "--output", "man"])).expect(0);

    let kept = source("man");
    if std::env::var_os("STRONGROOM_BLESS").is_some() {
        let _ = std::fs::remove_dir_all(&kept);
        std::fs::create_dir_all(&kept).unwrap();
        for (name, page) in pages(&world.path("man")) {
            std::fs::write(kept.join(name), page).unwrap();
        }
    }

    assert!(pages(&world.path("man")) == pages(&kept), "{STALE}");
}

#[test]
fn the_reference_is_what_the_program_prints() {
    let world = World::empty();
    let printed = Ran::of(world.bare().args(["man", "--form", "markdown"])).expect(0).out;

    let kept = source("REFERENCE.md");
    if std::env::var_os("STRONGROOM_BLESS").is_some() {
        std::fs::write(&kept, &printed).unwrap();
    }

    assert!(std::fs::read_to_string(kept).unwrap_or_default() == printed, "{STALE}");
}

#[test]
fn every_option_says_what_it_does() {
    let printed = Ran::of(World::empty().bare().args(["man", "--form", "markdown"])).expect(0).out;
    let silent: Vec<_> = printed.lines().filter(|line| line.ends_with("` |  |")).collect();
    assert!(silent.is_empty(), "{silent:#?}");
    assert!(printed.contains("| `--exclude <GLOB>` | "), "{printed}");
}

fn source(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/crates/cli")).join(name)
}

fn pages(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap);
    let page = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read_to_string(entry.path()).unwrap())
    };
    entries.map(page).collect()
}
