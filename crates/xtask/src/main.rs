//! The project's own tools, run as `cargo xtask COMMAND`.
//!
//! Each command is one module. Without a command, the list of commands is printed.
//! Nothing here is part of the program, and no member may depend on it.

mod seeds;
mod tidy;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Asked at run time: the binary may have been built from another checkout.
    let root = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from("."), |xtask| Path::new(&xtask).join("../.."));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        ["tidy"] => tidy::run(&root),
        ["seeds"] => seeds::run(&root),
        ["vectors"] => vectors::run(&root),
        other => {
            eprintln!("error: no such command: {}\n\n{USAGE}", other.join(" "));
            ExitCode::from(2)
        }
    }
}

const USAGE: &str = "\
usage: cargo xtask COMMAND

commands:
  seeds   give fuzz targets their seeds, from the examples of the format
  tidy    check layout, file heads, sizes and forbidden words; prints path:line: message
  vectors write the examples of the format below tests/format/vectors";
