//! Several processes and hosts back up to one folder vault at the same time.
//!
//! Two hosts, each with a home of its own, run several programs each; all commit, all restore, what
//! is equal is stored once, and nothing is left open.

use std::path::Path;
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_strongroom");

fn command(base: &Path, host: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.arg("--vault").arg(base.join("vault")).arg("--key").arg(base.join("key"));
    command.arg("--cache-dir").arg(base.join(host).join("cache"));
    command.arg("--state-dir").arg(base.join(host).join("state"));
    command
}

fn expect_success(what: &str, child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn programs_of_two_hosts_back_up_to_one_folder_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    expect_success("init", command(base, "a", &["init"]).spawn().unwrap());
    let mut forest = testkit::Forest::new(1);
    let shared = forest.noise(4_000_000);
    let sources: Vec<_> = (0..6)
        .map(|number| {
            let source = base.join(format!("source-{number}"));
            std::fs::create_dir(&source).unwrap();
            std::fs::write(source.join("shared"), &shared).unwrap();
            std::fs::write(source.join("own"), forest.noise(300_000)).unwrap();
            source
        })
        .collect();

    let run_all = || {
        let children: Vec<_> = sources
            .iter()
            .enumerate()
            .map(|(number, source)| {
                let host = if number % 2 == 0 { "a" } else { "b" };
                let name = format!("source-{number}");
                let source = source.to_str().unwrap();
                command(base, host, &["backup", source, "--name", &name]).spawn().unwrap()
            })
            .collect();
        children.into_iter().for_each(|child| drop(expect_success("backup", child)));
    };
    run_all();
    run_all();

    expect_success("verify", command(base, "a", &["verify", "--data"]).spawn().unwrap());
    let listed = command(base, "b", &["snapshots", "--json"]).spawn().unwrap();
    assert_eq!(expect_success("snapshots", listed).matches("\"id\":").count(), 12);
    for (number, source) in sources.iter().enumerate() {
        let selector = format!("latest:source-{number}:{}", source.to_str().unwrap());
        let target = base.join(format!("target-{number}"));
        let restore = ["restore", &selector, "--to", target.to_str().unwrap()];
        expect_success("restore", command(base, "c", &restore).spawn().unwrap());
        for file in ["shared", "own"] {
            let [before, after] = [source, &target].map(|f| std::fs::read(f.join(file)).unwrap());
            assert!(before == after, "{file} of source {number} changed");
        }
    }
}
