//! Cases as text: each file in `cases/` is a session of commands in a folder of its own.
//!
//! A line that begins with `$ ` is typed into a shell; what follows up to the next one is what is
//! printed, standard error included; a last line `? 3` is an exit code other than 0. What differs
//! from run to run is replaced: ids, times, durations, the folder. `[..]` stands for any text
//! within a line. With STRONGROOM_BLESS=1 the files are rewritten to what is printed now.

use std::path::Path;
use std::process::Command;

use crate::world::{Ran, World};

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(stringify!($name));
        })*

        #[test]
        fn every_case_is_played() {
            let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_owned())
                .collect();
            files.sort();
            let mut named = vec![$(stringify!($name)),*];
            named.sort_unstable();
            assert_eq!(files, named);
        }
    };
}

cases! {
    backup_command
    backup_options
    backup_refuses
    bench
    bucket
    collect
    compact
    completions
    config
    copy
    diff
    find
    forget
    help
    hold
    hooks
    init_refuses
    key_sources
    keys
    kit
    ledger
    locks
    man
    mount
    own_folders
    quiet
    recover
    repair
    repair_from
    replicate
    restore_options
    restore_refuses
    roles_read
    selectors
    snapshots_filters
    stats
    tag
    usage
    verify
    walkthrough
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/cases"))
}

struct Step {
    typed: String,
    printed: String,
}

fn play(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, steps) = parse(&text);
    let world = World::empty();
    let mut actual = head;
    let mut first_difference = None;
    for step in &steps {
        let printed = run(&world, &step.typed);
        if first_difference.is_none() && !matches(&step.printed, &printed) {
            first_difference = Some(format!(
                "$ {}\n--- expected\n{}--- printed\n{printed}",
                step.typed, step.printed
            ));
        }
        let kept = if matches(&step.printed, &printed) { &step.printed } else { &printed };
        actual.push_str(&format!("$ {}\n{kept}", step.typed));
    }
    if std::env::var_os("STRONGROOM_BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
    } else if let Some(difference) = first_difference {
        panic!("{name}.txt: {difference}");
    }
}

/// What stands before the first command, and the commands.
fn parse(text: &str) -> (String, Vec<Step>) {
    let mut head = String::new();
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(typed), _) => {
                steps.push(Step { typed: typed.to_owned(), printed: String::new() });
            }
            (None, Some(step)) => step.printed.extend([line, "\n"]),
            (None, None) => head.extend([line, "\n"]),
        }
    }
    (head, steps)
}

fn run(world: &World, typed: &str) -> String {
    let mut shell = Command::new("/bin/sh");
    world.prepare(&mut shell);
    let ran = Ran::of(shell.arg("-c").arg(format!("exec 2>&1; {typed}")));
    let mut printed = ran.out.replace(&world.text(""), "[dir]/");
    if !printed.is_empty() && !printed.ends_with('\n') {
        printed.push('\n');
    }
    let mut printed: String = printed.lines().map(|line| steady(line) + "\n").collect();
    if ran.code != 0 {
        printed.push_str(&format!("? {}\n", ran.code));
    }
    printed
}

/// A line without what differs from run to run.
fn steady(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.');
    let mut text = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        text.push_str(steady_word(word, after));
        let next = after.chars().next().map_or(0, char::len_utf8);
        text.push_str(&after[..next]);
        rest = &after[next..];
    }
    text
}

fn steady_word<'a>(word: &'a str, after: &str) -> &'a str {
    let bare = word.trim_end_matches([':', '.']);
    let is_hex = bare.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match bare.len() {
        64 if is_hex => "[hash]",
        32 if is_hex => "[id]",
        8 if is_hex => "[short]",
        20 if bare.ends_with('Z') && bare.as_bytes()[4] == b'-' => "[time]",
        _ if after.starts_with(" s") && bare.parse::<f64>().is_ok() && bare.contains('.') => {
            "[seconds]"
        }
        _ => word,
    }
}

/// Whether what is printed is as expected; `[..]` in a line stands for any text.
fn matches(expected: &str, printed: &str) -> bool {
    let (expected, printed): (Vec<_>, Vec<_>) =
        (expected.lines().collect(), printed.lines().collect());
    expected.len() == printed.len()
        && expected.iter().zip(printed).all(|(expected, line)| line_matches(expected, line))
}

fn line_matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split("[..]");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
