//! `ledger verify`: every record again, from the first one.
//!
//! Unlike opening a vault, it believes no state that this host keeps.

use std::io::{self, Write};

use serde_json::{Value, json};
use strongroom::{LedgerError, Outcome, RecordAt, RecordBody, VoidReason};

use crate::context::{Access, Context};
use crate::exit::Result;
use crate::output::{Fields, Remark, Report, fields};
use crate::sizes;

/// Checks every record of the ledger.
///
/// That is its number, its place in the chain, its signature, and whether its author had the right
/// to make it. A broken chain ends it with exit code 7, a roll-back with 4. Void records have no
/// effect and are only named.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Verifies.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Checked> {
    let vault = context.open(Access::Read)?;
    let ledger = vault.ledger();
    let mut records = 0;
    let mut unreadable = 0;
    let mut voids = Vec::new();
    let replayed = ledger.replay(|_, applied| {
        records += 1;
        let Some(applied) = applied else { return Ok(()) };
        if applied.body == RecordBody::Unreadable {
            unreadable += 1;
        }
        if let Outcome::Void(reason) = applied.outcome {
            voids.push((applied.at.seq.0, reason));
        }
        Ok(())
    });
    let broken = match replayed {
        Ok(_) => ledger.standing().broken().map(ToString::to_string),
        Err(LedgerError::Broken(found)) => Some(found.to_string()),
        Err(error) => return Err(error.into()),
    };
    Ok(Checked { records, unreadable, voids, broken, head: ledger.state().head() })
}

/// What was checked.
pub(crate) struct Checked {
    records: u64,
    unreadable: u64,
    voids: Vec<(u64, VoidReason)>,
    broken: Option<String>,
    head: RecordAt,
}

impl Report for Checked {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let records = sizes::plural(self.records, "record");
        let RecordAt { seq, hash } = self.head;
        match &self.broken {
            None => writeln!(out, "{records} hold together; the newest is {seq} {hash}"),
            Some(_) => writeln!(out, "{records} hold together up to the break"),
        }
    }

    fn fields(&self) -> Fields {
        let void = |(seq, reason): &(u64, VoidReason)| -> Value {
            json!({ "seq": seq, "reason": reason.to_string() })
        };
        let voids: Vec<_> = self.voids.iter().map(void).collect();
        let RecordAt { seq, hash } = self.head;
        fields(json!({
            "records": self.records, "void": voids, "unreadable": self.unreadable,
            "broken": self.broken, "seq": seq.0, "hash": hash.to_string(),
        }))
    }

    fn remarks(&self) -> Vec<Remark> {
        let void = |(seq, reason): &(u64, VoidReason)| {
            Remark::new(format!("record {seq} is void: {reason}"))
        };
        let mut remarks: Vec<_> = self.voids.iter().map(void).collect();
        if self.unreadable > 0 {
            let records = sizes::plural(self.unreadable, "record");
            let text = format!("{records} stand without what they say: it does not open");
            remarks.push(Remark::new(text));
        }
        if let Some(broken) = &self.broken {
            let hint = "`strongroom ledger mend --dry-run` shows the owner what to do";
            remarks.push(Remark::new(broken).hint(hint));
        }
        remarks
    }
}
