//! `ledger mend`: the owner settles a broken chain.
//!
//! What it costs is said before: the effect of the record that is missing or does not fit.

use std::io::{self, Write};

use serde_json::json;
use strongroom::{LedgerError, Seq};

use crate::context::{Access, Context};
use crate::exit::Result;
use crate::output::{Fields, Report, fields};

/// Settles a broken chain, as its owner.
///
/// The record that breaks it loses its effect, for everybody and for ever. First try to bring the
/// missing or changed record back from a copy of the vault. Needs the owner's key.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Say what is broken, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Mends.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Mended> {
    let vault = context.open(Access::Read)?;
    let mut ledger = vault.ledger();
    vault.keyring().root_signing()?;
    let Some(found) = ledger.standing().broken().cloned() else {
        return Err(LedgerError::NotBroken.into());
    };
    let settled = match args.dry_run {
        true => None,
        false => {
            let mended = ledger.mend()?;
            context.forgive_break();
            Some(mended.at.seq)
        }
    };
    Ok(Mended { found: found.to_string(), seq: found.seq(), settled })
}

/// What was settled.
pub(crate) struct Mended {
    found: String,
    seq: Seq,
    settled: Option<Seq>,
}

impl Report for Mended {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { found, seq, settled } = self;
        match settled {
            Some(settled) => writeln!(out, "mended by record {settled}: {found}"),
            None => writeln!(
                out,
                "would mend: {found}\nfirst look for record {seq} in a copy of the vault; \
                 mending gives up what it did"
            ),
        }
    }

    fn fields(&self) -> Fields {
        let Self { found, seq, settled } = self;
        fields(json!({
            "broken": found, "broken_at": seq.0, "dry_run": settled.is_none(),
            "mended_by": settled.map(|seq| seq.0),
        }))
    }
}
