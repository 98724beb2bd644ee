//! `kit create`: prints the recovery kit.
//!
//! The page explains itself to somebody who has never seen the program: what it is, where the
//! vault lies, what to type. It holds the root secret, so it goes to standard output or into a file
//! that only its owner reads, and nowhere else.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use strongroom::{Kit, KitFacts, LedgerError, PlaceUrl, RecordAt, Role, Vault};
use zeroize::Zeroizing;

use crate::context::{Access, Context, parse_url};
use crate::exit::{Failure, Result};
use crate::keys::NewKeyFile;
use crate::output::{Fields, Report, fields};
use crate::time;

/// Prints the recovery kit: all that opens the vault, on one page.
///
/// Whoever reads it opens everything. Print it, or copy it by hand, and keep it under lock, far
/// from the machines that it is for. `strongroom kit check` proves now and then that it still
/// works.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the root secret as 24 words: the one way so far
    #[arg(long, required = true)]
    words: bool,
    /// Another place where the vault lies, such as a replica (several times)
    #[arg(long, value_name = "URL")]
    place: Vec<OsString>,
    /// Where to get this program, as the page shall say
    #[arg(long, value_name = "TEXT", default_value = PROGRAM_FROM)]
    program_from: String,
    /// A file to write it to instead of printing it; it must not exist, and only its owner reads it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const PROGRAM_FROM: &str = "whoever looks after this vault keeps a copy";

/// Makes a kit.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Made> {
    let url = absolute(context.place_url()?)?;
    let mut places = vec![url.to_string()];
    for place in &args.place {
        let place = absolute(parse_url(place)?)?.to_string();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    if args.program_from.contains(char::is_control) {
        let message = "--program-from holds a control character";
        return Err(Failure::usage(message, "give one line of text"));
    }
    let vault = context.open(Access::Read)?;
    let kit = kit_of(&vault, places, context)?;
    let text = page(&kit, &args.program_from);
    let output = match &args.output {
        None => {
            if !context.output.json && io::stdout().is_terminal() {
                context.output.note("the secret stands on the screen: clear it when it is printed");
            }
            None
        }
        Some(path) => {
            NewKeyFile::create(path)?.finish_with(text.trim_end())?;
            Some(path.display().to_string())
        }
    };
    Ok(Made { vault: kit.vault().to_string(), kit, text, output })
}

fn kit_of(vault: &Vault, places: Vec<String>, context: &Context) -> Result<Kit> {
    let keyring = vault.keyring();
    if keyring.role() != Role::Owner {
        return Err(Failure::denied(
            format!("the key is a {}'s: only the owner's holds the root secret", keyring.role()),
            "use the owner's passphrase, key file or kit",
        ));
    }
    let ledger = vault.ledger();
    // A kit must not take for the newest what is only left of it. A replica is as far as it is.
    match ledger.standing().forbids_append() {
        None | Some(LedgerError::Replica) => {}
        // What is wrong was said when the vault was opened, and is the exit code.
        Some(_) => {
            let message = "no kit is made while the vault's history is in doubt";
            return Err(Failure::failed(message, "settle it first, or use a kit of before"));
        }
    }
    let state = ledger.state();
    let facts = KitFacts {
        places,
        head: Some(state.head()),
        recovered: state.recovers().last().map(|recover| recover.at),
        format: Some(state.format_number()),
        made: Some(time::show(context.clock.now())),
    };
    Ok(Kit { root: keyring.root()?.duplicate(), facts })
}

/// A place as it is called from anywhere on this machine.
fn absolute(url: PlaceUrl) -> Result<PlaceUrl> {
    match url {
        PlaceUrl::Folder(path) => {
            let found = path.canonicalize().or_else(|_| std::path::absolute(&path));
            let found = found.map_err(|error| Failure::local(&path, &error))?;
            match found.to_str() {
                Some(text) if !text.contains(char::is_control) => Ok(PlaceUrl::Folder(found)),
                _ => Err(unprintable(&path)),
            }
        }
        other => Ok(other),
    }
}

fn unprintable(path: &Path) -> Failure {
    let message = format!("{}: a path that is no text cannot be printed", path.display());
    Failure::usage(message, "give the folder a name of plain letters, by a link for example")
}

/// The whole page.
fn page(kit: &Kit, program_from: &str) -> Zeroizing<String> {
    let first = kit.facts.places.first().map_or("/srv/vault", String::as_str);
    let place = format!("'{}'", first.replace('\'', "'\\''"));
    let version = env!("CARGO_PKG_VERSION");
    let lines = kit.to_text();
    Zeroizing::new(format!(
        "STRONGROOM RECOVERY KIT

WHOEVER READS THIS PAGE CAN READ, ADD AND DELETE EVERYTHING IN THE VAULT. Keep it under lock, away
from the machines that it is for. If it was seen by a stranger, make a new vault.

What it is: backups, encrypted by the program strongroom, lie in a \"vault\": a folder, or a bucket
of an object store, named below as \"place\". This page is the key. No passphrase and no other
machine is needed; a bucket also asks for its own credentials, which are not on this page.

{}
What to do, on any Linux machine:

1. Get the program: {program_from}. This page was made with version {version};
   a later one reads the same vault, and its text FORMAT.md tells how to do without.
2. Type the lines from \"kit:\" to \"end of the kit\" into a file kit.txt. The 24 words alone will
   do, but only the other lines let the program notice that a vault was put back to an older state.
3. Try it. If the vault lies elsewhere by now, write that place in the commands below instead.

       strongroom kit check --kit kit.txt --vault {place}

4. See what there is, and get the newest of it back, or a part, into a new folder:

       strongroom snapshots --kit kit.txt --vault {place}
       strongroom restore latest --to restored --kit kit.txt --vault {place}
       strongroom restore latest:/SOME/FOLDER --to some-folder --kit kit.txt --vault {place}

5. Later, to back up again where the machines were lost, make this copy a vault of its own:

       strongroom recover --from {place} --to NEW-FOLDER --kit kit.txt

Every failure says what to do next, and `strongroom COMMAND --help` what a command takes.
",
        *lines
    ))
}

/// A kit that was made.
pub(crate) struct Made {
    vault: String,
    kit: Kit,
    text: Zeroizing<String>,
    output: Option<String>,
}

impl Report for Made {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.output {
            None => out.write_all(self.text.as_bytes()),
            Some(path) => writeln!(
                out,
                "wrote the kit of vault {} to {path}: print it, then delete the file",
                self.vault
            ),
        }
    }

    fn is_answer(&self) -> bool {
        self.output.is_none()
    }

    fn fields(&self) -> Fields {
        let KitFacts { places, head, recovered, format, made } = &self.kit.facts;
        let record = |at: &Option<RecordAt>| {
            at.map(|at| json!({ "seq": at.seq.0, "hash": at.hash.to_string() }))
        };
        let mut object = fields(json!({
            "vault": self.vault, "places": places, "head": record(head),
            "recovered": record(recovered), "format": format, "made": made,
            "output": self.output,
        }));
        if self.output.is_none() {
            let words = self.kit.root.to_words();
            object.insert("words".into(), json!(words.split(' ').collect::<Vec<_>>()));
            object.insert("text".into(), json!(*self.text));
        }
        object
    }
}
