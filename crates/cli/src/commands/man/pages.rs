//! The pages of the manual.
//!
//! The program's page tells of the common options, exit codes, files and variables; a command's
//! page has its own options alone and refers to it.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::Roff;

use crate::args::VERSION;

/// The page of a command.
pub(super) fn page(command: &Command) -> io::Result<String> {
    let mut command = command.clone();
    let is_program = command.get_name() == "strongroom";
    if !is_program {
        command = command.mut_args(|argument| match argument.is_global_set() {
            true => argument.hide(true),
            false => argument,
        });
    }
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let page = Man::new(command.version(None::<&'static str>))
        .title(name)
        .source(format!("strongroom {VERSION}"))
        .manual("Strongroom");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    let mut roff = Roff::default();
    if is_program {
        page.render_subcommands_section(&mut text)?;
        for (heading, paragraphs) in SECTIONS {
            roff.control("SH", [heading]);
            for (term, meaning) in paragraphs {
                roff.control("TP", []);
                roff.text([clap_mangen::roff::bold(*term)]);
                roff.text([clap_mangen::roff::roman(*meaning)]);
            }
        }
    } else {
        roff.control("SH", ["SEE ALSO"]);
        let see = "strongroom(1) for the options that all commands take, and the exit codes.";
        roff.text([clap_mangen::roff::roman(see)]);
    }
    roff.to_writer(&mut text)?;
    Ok(with_one_preamble(&String::from_utf8_lossy(&text)))
}

/// Each section is rendered with the lines that a page needs once, at its head.
fn with_one_preamble(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines() {
        let is_preamble = line.starts_with(".ie \\n(.g") || line.starts_with(".el .ds Aq");
        if !(is_preamble && lines.contains(&line)) {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}

/// All pages, with the names of their files.
pub(super) fn all(program: &Command) -> io::Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    let mut open = vec![program];
    while let Some(command) = open.pop() {
        open.extend(command.get_subcommands().filter(|below| !below.is_hide_set()));
        let name = command.get_display_name().unwrap_or(command.get_name());
        pages.push((format!("{name}.1"), page(command)?));
    }
    Ok(pages)
}

type Section = (&'static str, &'static [(&'static str, &'static str)]);

const SECTIONS: [Section; 3] = [
    (
        "EXIT STATUS",
        &[
            ("0", "Done."),
            ("1", "Failed."),
            ("2", "The command line or a file of settings is wrong."),
            ("3", "Done, but some sources could not be read."),
            ("4", "Damage, tampering or roll-back was found."),
            ("5", "Denied: wrong key or role."),
            ("6", "The place is not available."),
            ("7", "Conflict: a broken or forked ledger."),
            ("130, 143", "Ended by a signal."),
        ],
    ),
    (
        "FILES",
        &[
            ("/etc/strongroom/config.toml", "Settings of the machine."),
            (
                "~/.config/strongroom/config.toml",
                "Settings of the user, which stand before those of the machine. Keys are the \
                 options' names; a command's own stand in a table of its name, such as [backup], \
                 a profile's in [profile.NAME] and [profile.NAME.backup].",
            ),
            (
                "~/.cache/strongroom, /var/cache/strongroom",
                "What makes the next run faster. It may be deleted at any time.",
            ),
            (
                "~/.local/state/strongroom, /var/lib/strongroom",
                "What was seen of each vault, so that a roll-back is noticed. Keep it.",
            ),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            ("STRONGROOM_VAULT", "As --vault."),
            ("STRONGROOM_KEY", "As --key."),
            ("STRONGROOM_PASSPHRASE_FILE", "As --passphrase-file."),
            ("STRONGROOM_PASSPHRASE", "The passphrase itself; no child inherits it."),
            ("STRONGROOM_CONFIG", "As --config."),
            ("STRONGROOM_PROFILE", "As --profile."),
        ],
    ),
];
