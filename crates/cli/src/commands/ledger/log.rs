//! `ledger log`: every record, oldest first.
//!
//! The ledger is replayed from its first record, so what is shown as void is void by the rules and
//! not by anybody's word.

use std::io::{self, BufWriter, Write};

use serde_json::{Value, json};
use strongroom::{Applied, LedgerError, MemberId, Outcome, RecordAt, State};

use crate::context::{Access, Context};
use crate::exit::{Failure, Result};
use crate::output::{Fields, Report, fields, short};
use crate::time;

/// Lists the records of the ledger, oldest first.
///
/// Times are those that their authors claim, in UTC.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Lists them.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Log> {
    let vault = context.open(Access::Read)?;
    let ledger = vault.ledger();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let mut print = |applied: Option<&Applied>| {
        let line = match context.output.json {
            true => Value::Object(object(applied, ledger.state())).to_string(),
            false => line(applied, ledger.state()),
        };
        if written.is_ok() {
            written = writeln!(out, "{line}");
        }
    };
    let mut records = 0;
    let replayed = ledger.replay(|_, applied| {
        records += 1;
        print(applied);
        Ok(())
    });
    written.and_then(|()| out.flush()).map_err(Failure::output)?;
    match replayed {
        // The alarm was heard already, and has its exit code.
        Ok(_) | Err(LedgerError::Broken(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Log { records, head: ledger.state().head() })
}

/// Whoever signed, by name.
fn author(applied: &Applied, state: &State) -> String {
    match applied.record.as_ref().map(|record| record.author) {
        None => "?".to_owned(),
        Some(MemberId::ROOT) => "owner".to_owned(),
        Some(id) => {
            let label = state.member(id).and_then(|member| member.label.clone());
            label.unwrap_or_else(|| short(id))
        }
    }
}

fn line(applied: Option<&Applied>, state: &State) -> String {
    let Some(applied) = applied else { return format!("{:>6}  the vault begins", 0) };
    let claimed = applied.record.as_ref().map(|record| time::show(record.claimed));
    let kind = applied.record.as_ref().map(|record| record.kind.to_string());
    let session = applied.record.as_ref().and_then(|record| record.session);
    let mut line = format!(
        "{:>6}  {:20}  {:10}  {}",
        applied.at.seq.0,
        claimed.as_deref().unwrap_or("?"),
        kind.as_deref().unwrap_or("?"),
        author(applied, state),
    );
    if let Some(session) = session {
        line.push_str(&format!("  {}", short(session)));
    }
    if let Outcome::Void(reason) = applied.outcome {
        line.push_str(&format!("  void: {reason}"));
    }
    line
}

fn object(applied: Option<&Applied>, state: &State) -> Fields {
    let Some(applied) = applied else {
        return fields(json!({ "seq": 0, "kind": "genesis", "valid": true }));
    };
    let mut object = fields(json!({
        "seq": applied.at.seq.0,
        "hash": applied.at.hash.to_string(),
        "valid": applied.outcome == Outcome::Valid,
        "author_label": author(applied, state),
    }));
    if let Outcome::Void(reason) = applied.outcome {
        object.insert("void".to_owned(), reason.to_string().into());
    }
    if let Some(record) = &applied.record {
        object.extend(fields(json!({
            "kind": record.kind.to_string(),
            "time": time::show_exact(record.claimed),
            "author": record.author.to_string(),
            "session": record.session.map(|session| session.to_string()),
        })));
    }
    object
}

/// What was listed.
pub(crate) struct Log {
    records: u64,
    head: RecordAt,
}

impl Report for Log {
    /// All was printed already.
    fn write_text(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn fields(&self) -> Fields {
        let RecordAt { seq, hash } = self.head;
        fields(json!({ "records": self.records, "seq": seq.0, "hash": hash.to_string() }))
    }
}
