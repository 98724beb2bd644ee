//! `init`: makes a vault, protected by a passphrase, or by a key file and nothing else.
//!
//! The key file takes its name before the vault is made, and is never overwritten.

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;
use strongroom::{
    Argon2Parameters, Bundle, CreateOptions, PACK_BYTES_MAX, Place, PlaceErrorKind, Protection,
    RootSecret, Suite, Vault, VaultError, preferred_suite,
};

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::keys::{KeySource, NewKeyFile};
use crate::output::{Fields, Report, fields};
use crate::sizes;

/// Makes a new vault.
///
/// The place is made when it is not there. The passphrase is asked for twice; with --key FILE the
/// vault has no passphrase, and FILE, which must not exist, will hold the owner's key.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The ciphers: aes-256-gcm, or chacha20-poly1305 for machines without AES instructions
    /// [default: what this machine is fast with]
    #[arg(long, value_name = "SUITE")]
    suite: Option<Suite>,
    /// How much memory one guess of the passphrase costs
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = sizes::parse)]
    kdf_memory: u64,
    /// The size of packs, 4MiB to 512MiB [default: 32MiB]
    #[arg(long, value_name = "SIZE", value_parser = sizes::parse)]
    pack_size: Option<u64>,
    /// Make a vault that only one program at a time may ever write to, for a place that cannot
    /// refuse a second object of one name: a second writer's record stops everything
    #[arg(long)]
    single_writer: bool,
    /// What this host is called in the vault [default: its host name]
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
}

/// Makes a vault.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Made> {
    let label = args.label.clone().unwrap_or_else(|| context.environment.host.clone());
    strongroom::check_label("the label", &label)?;
    let pack_size = args.pack_size.map(pack_bytes).transpose()?;
    let parameters = parameters(args.kdf_memory)?;
    let url = context.place_url()?;
    let source = KeySource::choose(context)?;
    let suite = args.suite.unwrap_or_else(preferred_suite);
    let folders = context.folders()?;
    let options = |protection| CreateOptions { suite, protection, label: &label, pack_size };
    let create = match args.single_writer {
        true => Vault::create_for_single_writer,
        false => Vault::create,
    };
    let mut vault = match source {
        KeySource::File(path) => {
            let components = context.create_place()?;
            match kept_for_unfinished(&path, components.place.as_ref())? {
                Some(bundle) => {
                    let protection = Protection::Kept(&bundle);
                    create(components, &folders, &options(protection))?.0
                }
                None => {
                    // The key is kept before there is a vault: no crash leaves one without a key.
                    let root = RootSecret::draw(components.entropy.as_ref());
                    let bundle = Bundle::owner(root, suite);
                    NewKeyFile::create(&path)?.finish(&bundle)?;
                    let protection = Protection::Kept(&bundle);
                    let made = create(components, &folders, &options(protection));
                    if made.as_ref().is_err_and(nothing_lies_there) {
                        // Drawn just now, it opens nothing: the vault there is another's, or none.
                        let _ = std::fs::remove_file(&path);
                    }
                    made?.0
                }
            }
        }
        KeySource::Kit(_) | KeySource::Read(_) => {
            let hint = "give --key FILE or a passphrase; `strongroom recover` brings a vault back";
            return Err(Failure::usage("a kit is of a vault that exists already", hint));
        }
        KeySource::Passphrase(source) => {
            warn_of_cheap(parameters, context);
            let passphrase = source.choose_new(context)?;
            let protection = Protection::Passphrase { passphrase: &passphrase, parameters };
            create(context.create_place()?, &folders, &options(protection))?.0
        }
    };
    // A label that was chosen must not be forgotten until the first backup.
    if args.label.is_some() {
        vault.ensure_member()?;
    }
    let key_file = context.common.key.as_ref().or(context.environment.keys.key.as_ref());
    Ok(Made {
        vault: vault.config().vault.to_string(),
        place: url.to_string(),
        suite,
        label,
        writers: if vault.ledger().is_for_single_writer() {
            Writers::Single
        } else {
            Writers::Many
        },
        key_file: key_file.map(|path| path.display().to_string()),
    })
}

/// Whether an init that ended so has put nothing of its own.
fn nothing_lies_there(error: &VaultError) -> bool {
    match error {
        VaultError::VaultExists { .. } | VaultError::NoConditions { .. } => true,
        VaultError::Place(error) => error.kind() == PlaceErrorKind::Unsupported,
        _ => false,
    }
}

/// The key of an init that was interrupted after it had begun a vault at this place. A place that
/// does not answer is an error here already, before any key is drawn for it.
fn kept_for_unfinished(path: &Path, place: &dyn Place) -> Result<Option<Bundle>> {
    let config = match strongroom::read_config(place) {
        Ok((config, _)) => config,
        Err(VaultError::Place(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    let text = std::fs::read_to_string(path).ok();
    let bundle = text.and_then(|text| Bundle::from_key_file(&text).ok());
    Ok(bundle.filter(|bundle| config.vault == bundle.vault_id()))
}

fn parameters(memory: u64) -> Result<Argon2Parameters> {
    let memory_kib = u32::try_from(memory.div_ceil(1024)).unwrap_or(u32::MAX);
    let parameters = Argon2Parameters { memory_kib, ..Argon2Parameters::DEFAULT };
    parameters.check()?;
    Ok(parameters)
}

fn warn_of_cheap(parameters: Argon2Parameters, context: &Context) {
    if parameters.is_below_floor() {
        let memory = sizes::show(u64::from(parameters.memory_kib) << 10);
        let text = format!("--kdf-memory {memory} makes guessing cheap: 64 MiB or more is sound");
        context.output.warning(&text);
    }
}

/// A pack size as the vault takes it; what is far too large is refused by the same limits.
pub(crate) fn pack_bytes(size: u64) -> Result<u32> {
    u32::try_from(size).map_err(|_| {
        let most = sizes::show(PACK_BYTES_MAX.into());
        let message = format!("the pack size {} is above {most}", sizes::show(size));
        Failure::usage(message, "choose a value from 4MiB to 512MiB, such as 64MiB")
    })
}

/// The vault that was made.
pub(crate) struct Made {
    vault: String,
    place: String,
    suite: Suite,
    label: String,
    writers: Writers,
    key_file: Option<String>,
}

/// Whom the vault is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writers {
    Many,
    Single,
}

impl Report for Made {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { vault, place, suite, writers, key_file, .. } = self;
        writeln!(out, "made vault {vault} at {place} ({suite})")?;
        if *writers == Writers::Single {
            writeln!(
                out,
                "it is for a single writer: never run two programs that change it at the same time"
            )?;
        }
        match key_file {
            Some(path) => writeln!(
                out,
                "the owner's key is in {path}: keep a copy elsewhere, without it all is lost"
            ),
            None => writeln!(out, "keep the passphrase: without it all is lost"),
        }
    }

    fn fields(&self) -> Fields {
        let Self { vault, place, suite, label, writers, key_file } = self;
        fields(json!({
            "vault": vault, "place": place, "suite": suite.to_string(), "label": label,
            "single_writer": *writers == Writers::Single, "key_file": key_file,
        }))
    }
}
