//! All that lies on disk after real work, searched for names and content.
//!
//! The vault, both hosts' caches and states are read byte for byte; what was backed up is not
//! there.

use std::path::Path;

use crate::world::World;

const NAME: &str = "a-name-that-nobody-may-see";
const CONTENT: &str = "a sentence that nobody may read, said often enough to be compressed";

#[test]
fn vault_cache_and_state_hold_no_name_and_no_content() {
    let world = World::new();
    let source = world.path("source").join(NAME);
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join(format!("{NAME}.txt")), CONTENT).unwrap();
    std::fs::write(source.join("long"), CONTENT.repeat(20_000)).unwrap();
    let text = source.to_str().unwrap();
    for role in ["owner", "writer"] {
        let backup = ["backup", text, "--name", &format!("{NAME}-{role}"), "--tag", NAME];
        world.run(role, &backup).expect(0);
        world.run(role, &backup).expect(0);
    }
    world.run("owner", &["verify", "--data"]).expect(0);
    world.run("owner", &["restore", "latest", "--to", &world.text("target")]).expect(0);

    let mut searched = 0;
    for folder in ["vault", "owner-cache", "owner-state", "writer-cache", "writer-state"] {
        searched += search(&world.path(folder));
    }
    assert!(searched > 20, "only {searched} files were found");
}

/// Searches a folder; how many files it holds.
fn search(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(!path.to_string_lossy().contains(NAME), "{path:?} is named in clear");
        if path.is_dir() {
            count += search(&path);
            continue;
        }
        count += 1;
        let bytes = std::fs::read(&path).unwrap();
        for secret in [NAME, CONTENT, "web-1", "strongroom-key-1"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{path:?} holds {secret:?} in clear");
        }
    }
    count
}
