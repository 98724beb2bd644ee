//! What a replication did, target by target, or would do.
//!
//! A target that could not be kept has a place in it too: its error stands beside what became of
//! the others, and the gravest exit code counts.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::{Lag, MissingObject, Pass};

use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Fields, Remark, Report, fields};
use crate::prices::{Cost, Prices, Usage};
use crate::{locks, sizes, time};

/// What was asked of both places.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) source: Usage,
    pub(crate) target: Usage,
}

impl Asked {
    /// With what a pass would ask that was only rehearsed. Each record is read back.
    pub(crate) fn with(self, pass: &Pass) -> Self {
        let Self { source, target } = self;
        let (copied, bytes) = (pass.objects + pass.records, pass.bytes + pass.record_bytes);
        // Before the first deletion the target is asked what time it is.
        let probes = u64::from(pass.deleted > 0);
        Self {
            source: Usage {
                gets: source.gets + copied,
                bytes_out: source.bytes_out + bytes,
                ..source
            },
            target: Usage {
                puts: target.puts + copied + probes,
                gets: target.gets + pass.records,
                heads: target.heads + probes,
                deletes: target.deletes + pass.deleted + probes,
                bytes_out: target.bytes_out + pass.record_bytes,
                bytes_stored: target.bytes_stored + bytes,
                ..target
            },
        }
    }

    pub(crate) fn object(&self) -> Value {
        let object = |usage: &Usage| {
            json!({
                "put": usage.puts, "get": usage.gets, "list": usage.lists, "head": usage.heads,
                "delete": usage.deletes, "bytes_in": usage.bytes_stored,
                "bytes_out": usage.bytes_out,
            })
        };
        json!({ "source": object(&self.source), "target": object(&self.target) })
    }
}

/// What became of one target.
pub(super) struct Replica {
    pub(super) target: String,
    pub(super) done: Result<(Pass, Asked)>,
    pub(super) elapsed: Duration,
}

impl Replica {
    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let (target, (pass, _)) = match &self.done {
            Ok(done) => (&self.target, done),
            Err(_) => return writeln!(out, "{}: not replicated", self.target),
        };
        let head = match pass.head {
            Some(head) => format!("it holds all up to record {}", head.seq),
            None => "it holds no record yet".to_owned(),
        };
        match pass.records + pass.objects {
            0 => writeln!(out, "{target}: nothing to copy: {head}")?,
            _ => writeln!(
                out,
                "{target}: copied {} in {:.1} s: {head}",
                copied(pass),
                self.elapsed.as_secs_f64()
            )?,
        }
        self.write_lag(pass, "was", out)?;
        if pass.deleted > 0 {
            let deleted = sizes::plural(pass.deleted, "object");
            writeln!(out, "{target}: deleted {deleted} that the vault gave up")?;
        }
        self.write_held(pass, out)?;
        self.write_locks(pass, out)
    }

    /// What would be done, and what it takes.
    fn write_plan(&self, cost: Option<&Cost>, out: &mut dyn Write) -> io::Result<()> {
        let (target, (pass, asked)) = match &self.done {
            Ok(done) => (&self.target, done),
            Err(_) => return writeln!(out, "{}: not replicated", self.target),
        };
        writeln!(out, "{target}: would copy {}", copied(pass))?;
        self.write_lag(pass, "is", out)?;
        if pass.deleted > 0 {
            let deleted = sizes::plural(pass.deleted, "object");
            writeln!(out, "{target}: would delete {deleted} that the vault gave up")?;
        }
        self.write_held(pass, out)?;
        self.write_locks(pass, out)?;
        let Asked { source, target: asked } = asked;
        writeln!(
            out,
            "{target}: takes about {}; of the source {}",
            requests(asked),
            requests(source)
        )?;
        match cost {
            Some(cost) => writeln!(out, "{target}: costs about {}", cost.text()),
            None => Ok(()),
        }
    }

    fn write_lag(&self, pass: &Pass, verb: &str, out: &mut dyn Write) -> io::Result<()> {
        match pass.lag.records {
            0 => Ok(()),
            _ => writeln!(out, "{}: {verb} behind by {}", self.target, show_lag(&pass.lag)),
        }
    }

    fn write_held(&self, pass: &Pass, out: &mut dyn Write) -> io::Result<()> {
        if pass.held == 0 {
            return Ok(());
        }
        let held = sizes::plural(pass.held, "object");
        let until = pass.held_until.map(|until| format!(" at least until {}", time::show(until)));
        let until = until.unwrap_or_default();
        writeln!(out, "{}: holds {held} that the vault gave up{until}", self.target)
    }

    fn write_locks(&self, pass: &Pass, out: &mut dyn Write) -> io::Result<()> {
        let Some(report) = &pass.locks else { return Ok(()) };
        write!(out, "{}: ", self.target)?;
        locks::write_text(report, out)
    }

    pub(super) fn fields(&self) -> Fields {
        let (pass, asked) = match &self.done {
            Ok(done) => done,
            Err(failure) => {
                let Failure { kind, message, hint, exit } = failure;
                let error = json!({ "kind": kind, "message": message, "hint": hint,
                    "exit": exit.code() });
                return fields(json!({ "target": self.target, "error": error }));
            }
        };
        fields(json!({
            "target": self.target,
            "head": pass.head.map(|head| head.seq.0),
            "lag": lag(&pass.lag),
            "records": pass.records,
            "record_bytes": pass.record_bytes,
            "objects": pass.objects,
            "bytes": pass.bytes,
            "deleted": pass.deleted,
            "held": pass.held,
            "held_until": pass.held_until.map(time::show_exact),
            "missing": pass.missing.iter().map(missing_object).collect::<Vec<_>>(),
            "broken": pass.broken,
            "locks": pass.locks.as_ref().map(locks::value),
            "requests": asked.object(),
            "seconds": self.elapsed.as_secs_f64(),
        }))
    }

    pub(super) fn exit(&self) -> Exit {
        match &self.done {
            Err(failure) => failure.exit,
            Ok((pass, _)) => {
                let touched = pass.locks.as_ref().map_or(Exit::Done, locks::exit);
                touched.and(match (pass.missing.is_empty(), &pass.broken) {
                    (false, _) => Exit::Tampered,
                    (true, Some(_)) => Exit::Conflict,
                    (true, None) => Exit::Done,
                })
            }
        }
    }

    /// What went wrong; at most so many objects by name.
    pub(super) fn remarks(&self, most: usize) -> Vec<Remark> {
        let (pass, _) = match &self.done {
            Ok(done) => done,
            Err(failure) => {
                return vec![Remark::new(named(&self.target, failure)).hint(&failure.hint)];
            }
        };
        let mut remarks = Vec::new();
        for MissingObject { object, reason } in pass.missing.iter().take(most) {
            let text = match reason.contains(object.as_str()) {
                true => format!("not copied: {reason}"),
                false => format!("not copied: {object}: {reason}"),
            };
            remarks.push(Remark::new(text));
        }
        let more = pass.missing.len().saturating_sub(most) as u64;
        if more > 0 {
            remarks.push(Remark::new(format!("and {} more", sizes::plural(more, "object"))));
        }
        if let Some(last) = remarks.pop() {
            remarks.push(last.hint(MISSING));
        }
        if let Some(broken) = &pass.broken {
            let text = format!("the ledger of the source was not followed to its end: {broken}");
            remarks.push(Remark::new(text).hint(BROKEN));
        }
        remarks.extend(pass.locks.iter().flat_map(locks::remarks));
        remarks
    }
}

fn missing_object(missing: &MissingObject) -> Value {
    json!({ "object": missing.object.as_str(), "reason": missing.reason })
}

/// What went wrong, with the target's name.
pub(super) fn named(target: &str, failure: &Failure) -> String {
    match failure.message.starts_with(target) {
        true => failure.message.clone(),
        false => format!("{target}: {}", failure.message),
    }
}

const MISSING: &str = "`strongroom verify` on the vault says what it hurts; run a backup, which \
    stores again what it still finds, then replicate again";
const BROKEN: &str = "`strongroom ledger mend --dry-run` shows the owner what to do";

/// What became of all targets.
pub(crate) struct Replicated {
    replicas: Vec<Replica>,
    costs: Vec<Option<Cost>>,
    is_rehearsal: bool,
    elapsed: Duration,
    missing_most: usize,
}

impl Replicated {
    /// # Errors
    /// What kept the only target from being kept.
    pub(super) fn new(
        mut replicas: Vec<Replica>,
        is_rehearsal: bool,
        prices: Option<Prices>,
        elapsed: Duration,
        context: &Context,
    ) -> Result<Self> {
        if let [Replica { done: Err(failure), .. }] = &replicas[..] {
            return Err(failure.clone());
        }
        if is_rehearsal {
            for (pass, asked) in replicas.iter_mut().filter_map(|r| r.done.as_mut().ok()) {
                *asked = asked.with(pass);
            }
        }
        let cost = |replica: &Replica| {
            let (prices, (_, asked)) = (prices.as_ref()?, replica.done.as_ref().ok()?);
            Some(prices.cost(&asked.target))
        };
        let costs = replicas.iter().map(cost).collect();
        let missing_most = context.output.problems_most();
        Ok(Self { replicas, costs, is_rehearsal, elapsed, missing_most })
    }
}

impl Report for Replicated {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (replica, cost) in self.replicas.iter().zip(&self.costs) {
            match self.is_rehearsal {
                true => replica.write_plan(cost.as_ref(), out)?,
                false => replica.write_text(out)?,
            }
        }
        Ok(())
    }

    fn fields(&self) -> Fields {
        let passes = || self.replicas.iter().filter_map(|replica| replica.done.as_ref().ok());
        let sum = |count: fn(&Pass) -> u64| passes().map(|(pass, _)| count(pass)).sum::<u64>();
        let targets = self.replicas.iter().zip(&self.costs).map(|(replica, cost)| {
            let mut object = replica.fields();
            if let Some(cost) = cost {
                object.insert("cost".into(), cost.object());
            }
            Value::Object(object)
        });
        fields(json!({
            "dry_run": self.is_rehearsal,
            "targets": targets.collect::<Vec<_>>(),
            "failed": self.replicas.len() - passes().count(),
            "records": sum(|pass| pass.records),
            "objects": sum(|pass| pass.objects),
            "bytes": sum(|pass| pass.bytes + pass.record_bytes),
            "deleted": sum(|pass| pass.deleted),
            "missing": sum(|pass| pass.missing.len() as u64),
            "seconds": self.elapsed.as_secs_f64(),
        }))
    }

    fn exit(&self) -> Exit {
        self.replicas.iter().map(Replica::exit).fold(Exit::Done, Exit::and)
    }

    fn remarks(&self) -> Vec<Remark> {
        self.replicas.iter().flat_map(|replica| replica.remarks(self.missing_most)).collect()
    }
}

fn copied(pass: &Pass) -> String {
    format!(
        "{}, {}, {}",
        sizes::plural(pass.records, "record"),
        sizes::plural(pass.objects, "object"),
        sizes::show(pass.bytes + pass.record_bytes),
    )
}

pub(crate) fn requests(usage: &Usage) -> String {
    let Usage { puts, gets, lists, heads, deletes, bytes_out, bytes_stored } = usage;
    let parts =
        [(puts, "put"), (gets, "get"), (lists, "list"), (heads, "head"), (deletes, "delete")];
    let parts = parts.into_iter().filter(|(count, _)| **count > 0);
    let parts: Vec<_> = parts.map(|(count, verb)| sizes::plural(*count, verb)).collect();
    let (sent, read) = (sizes::show(*bytes_stored), sizes::show(*bytes_out));
    format!("{} ({sent} sent, {read} read)", parts.join(", "))
}

/// How far a replica is behind, for people.
pub(crate) fn show_lag(lag: &Lag) -> String {
    let Lag { records, bytes, time } = lag;
    let seconds = time.as_secs();
    let time = match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    format!("{}, {}, {time}", sizes::plural(*records, "record"), sizes::show(*bytes))
}

/// The same for programs.
pub(crate) fn lag(lag: &Lag) -> Value {
    json!({ "records": lag.records, "bytes": lag.bytes, "seconds": lag.time.as_secs_f64() })
}
