//! `ledger head`: the newest record's number and hash.
//!
//! Whoever keeps them elsewhere can tell later whether the vault was rolled back.

use std::io::{self, Write};

use serde_json::json;
use strongroom::RecordAt;

use crate::context::{Access, Context};
use crate::exit::Result;
use crate::output::{Fields, Report, fields};

/// Prints the number and hash of the newest record.
///
/// Kept elsewhere, they show later whether the vault was rolled back or rewritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Finds the head.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Head> {
    let vault = context.open(Access::Read)?;
    let ledger = vault.ledger();
    Ok(Head { at: ledger.state().head(), vault: vault.config().vault.to_string() })
}

/// The newest record.
pub(crate) struct Head {
    at: RecordAt,
    vault: String,
}

impl Report for Head {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} {}", self.at.seq, self.at.hash)
    }

    fn is_answer(&self) -> bool {
        true
    }

    fn fields(&self) -> Fields {
        let RecordAt { seq, hash } = self.at;
        fields(json!({ "vault": self.vault, "seq": seq.0, "hash": hash.to_string() }))
    }
}
