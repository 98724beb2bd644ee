//! Gives each fuzz target its seeds: the bytes of the format's examples.
//!
//! The vectors of a structure, good and bad, become files of the corpus of its target, which a
//! fuzzer changes from there. The corpus is no source: it may be deleted and made again.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Writes the seeds below `fuzz/corpus`.
pub(crate) fn run(root: &Path) -> ExitCode {
    match write(root) {
        Ok(count) => {
            println!("seeds: {count} files");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: seeds: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(root: &Path) -> io::Result<usize> {
    let mut count = 0;
    for structure in fs::read_dir(root.join("tests/format/vectors"))? {
        let structure = structure?;
        let name = structure.file_name().to_string_lossy().into_owned();
        let target = target_of(&name);
        if !root.join(format!("fuzz/fuzz_targets/{target}.rs")).exists() {
            continue;
        }
        let corpus = root.join("fuzz/corpus").join(&target);
        fs::create_dir_all(&corpus)?;
        for vector in fs::read_dir(structure.path())? {
            let vector = vector?;
            let text = fs::read_to_string(vector.path())?;
            if let Some(bytes) = text.split_once("\n\n").and_then(|(_, body)| unhex(body)) {
                let case = vector.file_name().to_string_lossy().into_owned();
                fs::write(corpus.join(format!("{name}-{case}")), bytes)?;
                count += 1;
            }
        }
    }
    Ok(count)
}

/// The fuzz target that reads a structure.
fn target_of(structure: &str) -> String {
    match structure {
        "pack-payload" => "pack".to_owned(),
        "record-shape" => "record".to_owned(),
        _ if structure.starts_with("body-") => "body".to_owned(),
        _ if structure.starts_with("list-") => "list".to_owned(),
        _ if structure.starts_with("object-") => "header".to_owned(),
        other => other.replace('-', "_"),
    }
}

/// The bytes of hex in lines; nothing when it is something else, as in vectors of values.
fn unhex(body: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_in_lines_becomes_bytes_and_all_else_none() {
        assert_eq!(unhex("00ff\n10\n"), Some(vec![0, 255, 16]));
        assert_eq!(unhex("00f"), None);
        assert_eq!(unhex("key value"), None);
    }

    #[test]
    fn structures_find_their_targets() {
        let found = ["body-tag", "list-of-refs", "object-index-run", "pack-payload", "path-key"];
        assert_eq!(found.map(target_of), ["body", "list", "header", "pack", "path_key"]);
    }
}
