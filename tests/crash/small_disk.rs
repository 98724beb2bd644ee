//! The program on a file system that really is full: a small tmpfs in a mount namespace of its own.
//!
//! The backup that does not fit ends in words and an exit code, what was acknowledged is whole,
//! records still fit, and with more room the next backup goes on.

use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strongroom");

/// Each step prints its exit code.
const STEPS: &str = r#"
mount -t tmpfs -o size=40m tmpfs "$D" || exit 90
export STRONGROOM_VAULT="$D/vault" STRONGROOM_KEY="$W/key"
run() {
    "$P" --cache-dir "$W/cache" --state-dir "$W/state" "$@" >>"$W/out" 2>>"$W/err"
    echo "$1 $?"
}
STRONGROOM_KEY= run init --key "$W/key" --pack-size 4MiB
run backup "$W/small"
run backup "$W/small" "$W/large"
run verify
run restore latest --to "$W/restored"
mount -o remount,size=200m "$D" || exit 91
run backup "$W/small" "$W/large"
run verify
"#;

#[test]
fn a_full_disk_ends_the_backup_in_words_and_costs_nothing_acknowledged() {
    let work = tempfile::tempdir().unwrap();
    let disk = work.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    std::fs::create_dir(work.path().join("small")).unwrap();
    std::fs::write(work.path().join("small/file"), b"what was acknowledged").unwrap();
    std::fs::create_dir(work.path().join("large")).unwrap();
    let noise = testkit::Forest::new(1).noise(60_000_000);
    std::fs::write(work.path().join("large/noise"), noise).unwrap();

    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", STEPS])
        .env("P", PROGRAM)
        .env("D", &disk)
        .env("W", work.path())
        .output()
        .expect("this test needs unshare, of util-linux");
    let read = |name| std::fs::read_to_string(work.path().join(name)).unwrap_or_default();
    let (steps, errors) = (String::from_utf8_lossy(&output.stdout), read("err"));
    assert!(output.status.success(), "a namespace or tmpfs could not be had: {output:?}");

    let expected =
        ["init 0", "backup 0", "backup 6", "verify 0", "restore 0", "backup 0", "verify 0"];
    assert_eq!(steps.lines().collect::<Vec<_>>(), expected, "{errors}");
    assert!(errors.contains("error:") && errors.contains("hint:"), "{errors}");
    let restored = format!("restored{}/small/file", work.path().display());
    assert_eq!(read(&restored), "what was acknowledged");
}
