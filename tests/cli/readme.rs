//! Can what the README shows be typed, and does its story run?
//!
//! Every `strongroom …` in it, in a block or in the text, is typed with `--help` added: then the
//! program checks commands, options and values, and does nothing. The blocks marked `<!-- run -->`
//! are run one after the other, on files of a folder that stands for the root.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::world::{PROGRAM, Ran, World};

const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));

/// The folders of the root that the story uses.
const ROOTS: [&str; 5] = ["/backup", "/srv", "/tmp", "/etc/strongroom", "/mnt/offsite"];

#[test]
fn every_command_in_the_readme_can_be_typed() {
    let world = World::empty();
    world.write("bin/strongroom", STAND_IN);
    let stand_in = world.path("bin/strongroom");
    std::fs::set_permissions(&stand_in, PermissionsExt::from_mode(0o755)).unwrap();
    let lines: Vec<_> = commands().collect();
    let script: String = lines.iter().map(|line| format!("{line}\n")).collect();

    let mut shell = Command::new("/bin/sh");
    world.prepare(&mut shell);
    // Nothing else is to be found, so nothing else is run.
    shell.env("PATH", world.path("bin")).env("PROGRAM", PROGRAM).env("TYPED", world.path("typed"));
    let ran = Ran::of(shell.arg("-c").arg(script));

    let typed = std::fs::read_to_string(world.path("typed")).unwrap();
    let refused: Vec<_> = typed.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(refused.is_empty(), "{refused:#?}\n{}", ran.err);
    assert!(typed.lines().count() >= lines.len().min(30), "{typed}");
}

/// Types the same with `--help` added, before what is not for the program itself.
const STAND_IN: &str = r#"#!/bin/sh
added=
for word do
    shift
    if [ -z "$added" ] && [ "$word" = -- ]; then set -- "$@" --help; added=yes; fi
    set -- "$@" "$word"
done
[ -n "$added" ] || set -- "$@" --help
said=$("$PROGRAM" "$@" 2>&1) && said="typed"
case $said in
    typed) echo "typed: $*" ;;
    *) echo "error: $*: $said" ;;
esac >>"$TYPED"
"#;

#[test]
fn the_story_of_the_readme_runs() {
    let world = World::empty();
    world.write("srv/data/notes.txt", "remember\n");
    world.write("srv/cache/old.bin", "left out\n");
    world.write("etc/strongroom/unused", "");
    std::fs::create_dir_all(world.path("backup")).unwrap();
    let below_world = |text: &str| below(&world.text(""), text);
    let settings = blocks("<!-- settings -->").next().unwrap();
    // The key that the story exports, where the settings look for it.
    let settings = below_world(settings).replace("etc/strongroom/web-1.key", "web-1.key");
    world.write("settings.toml", &settings);
    world.write("cheap.toml", "[init]\nkdf-memory = \"64KiB\"\n");

    let mut script = String::from("set -e\nexport STRONGROOM_CONFIG=cheap.toml\n");
    for block in blocks("<!-- run -->") {
        let block = below_world(block);
        if block.contains("--profile") {
            script
                .push_str("export STRONGROOM_CONFIG=settings.toml\nunset STRONGROOM_PASSPHRASE\n");
        }
        writeln!(script, "{block}").unwrap();
    }
    let mut shell = Command::new("/bin/sh");
    world.prepare(&mut shell);
    // Where a block names a key file, the passphrase of the owner's blocks would be a second key.
    let script = script.replace("STRONGROOM_KEY=", "env -u STRONGROOM_PASSPHRASE STRONGROOM_KEY=");
    shell.env("STRONGROOM_PASSPHRASE", "correct horse");
    let ran = Ran::of(shell.arg("-c").arg(&script)).expect(0);

    let restored = format!("{}/data/notes.txt", world.text("tmp/restored") + &world.text("srv"));
    assert_eq!(std::fs::read_to_string(restored).unwrap(), "remember\n");
    assert!(ran.out.contains("remember\n"), "{}", ran.out);
    assert!(ran.out.contains("nightly"), "{}", ran.out);
    let at_once = format!("{}/data/notes.txt", world.text("tmp/at-once") + &world.text("srv"));
    assert_eq!(std::fs::read_to_string(at_once).unwrap(), "remember\n");
    assert!(ran.out.contains("goes on at"), "{}", ran.out);
}

/// A text whose paths lie below a folder instead of the root.
fn below(folder: &str, text: &str) -> String {
    let mut moved = String::new();
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let begins = [' ', '"', '=', ':'].contains(&before);
        if begins && ROOTS.iter().any(|root| text[at..].starts_with(root)) {
            moved.push_str(folder.trim_end_matches('/'));
        }
        moved.push(c);
        before = c;
    }
    moved
}

/// What is typed: the lines of the blocks that name the program, and its commands in the text.
fn commands() -> impl Iterator<Item = String> {
    let is_one = |line: &&str| {
        let mut words = line.split_whitespace();
        words.find(|word| !word.contains('=')) == Some("strongroom")
            || line.contains(" root strong")
    };
    let in_blocks = fenced().flat_map(str::lines).filter(is_one).map(|line| {
        // The line for cron has a time and a user before the command.
        line[line.find("strongroom ").unwrap()..].to_owned()
    });
    let text: String = README.split("```").step_by(2).collect();
    let in_text: Vec<_> = text.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let in_text = in_text.into_iter().map(|command| command.replace('\n', " "));
    let is_whole = |command: &String| command.starts_with("strongroom ") && !command.contains('…');
    in_blocks.chain(in_text.filter(is_whole))
}

fn fenced() -> impl Iterator<Item = &'static str> {
    README.split("```").skip(1).step_by(2)
}

/// The blocks after a mark, without the word that says their language.
fn blocks(mark: &str) -> impl Iterator<Item = &'static str> {
    README.split(mark).skip(1).map(|rest| {
        let block = rest.split("```").nth(1).unwrap();
        block.split_once('\n').unwrap().1
    })
}
