//! `stats`: what the vault takes, what deduplication and compression save, and what each snapshot
//! takes.
//!
//! Numbers of the vault come from a listing, the ledger and the index; those of snapshots need a
//! walk through all trees, which --fast leaves out. Content counts in plain bytes of chunks. A
//! snapshot that cannot be walked is named, and the others are counted.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};

use serde_json::{Value, json};
use strongroom::{
    Amount, ChunkTotals, Inventory, KnownLocks, LockReport, ObjectLock, ProtectMode, RetentionMode,
    Seq, Snapshot, SnapshotStanding, StoredChunks, Usage, Vault, usage,
};

use crate::commands::snapshots::DAMAGED_HINT;
use crate::context::{Access, Context};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Fields, Remark, Report, fields, put_paths, short};
use crate::selector::Selector;
use crate::table::{Align, Table};
use crate::time;
use crate::{locks, sizes};

/// Shows what the vault takes, and what each snapshot takes of it.
///
/// SIZE is of a snapshot's files, holes included. ADDED is content that no earlier snapshot of its
/// source holds, UNIQUE what no other snapshot at all holds: without it, that would go. Both are
/// plain bytes, each chunk counted once; GROWTH is what the source's snapshots added so far. With
/// snapshots named, only those are shown, and what all of them together hold alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show these snapshots only
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<OsString>,
    /// Read no trees: only what the ledger, the index and a listing say
    #[arg(long, conflicts_with = "snapshots")]
    fast: bool,
    /// Ask the bucket until when each object is locked, instead of telling what the newest
    /// `collect` or `protect` of this host found
    #[arg(long)]
    protection: bool,
}

/// Counts.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Stats> {
    let selectors: Vec<_> =
        args.snapshots.iter().map(|s| Selector::parse(s)).collect::<Result<_>>()?;
    if let Some((_, typed)) = selectors.iter().zip(&args.snapshots).find(|(s, _)| s.path.is_some())
    {
        let message = format!("{} names a path", typed.display());
        return Err(Failure::usage(message, "snapshots are counted as a whole: leave :/PATH out"));
    }
    let mut vault = context.open(Access::Read)?;
    let snapshots = vault.snapshots()?;
    context.hear_warnings(&vault);
    let mut chosen = Vec::new();
    for selector in &selectors {
        chosen.push(selector.choose(&mut vault, context)?.id);
    }
    let damaged = snapshots.iter().filter_map(|s| Some((short(s.id), s.problem.clone()?)));
    let mut damaged: Vec<(String, String)> = damaged.collect();
    let (members, records) = {
        let ledger = vault.ledger();
        let Seq(newest) = ledger.state().head().seq;
        (ledger.state().members().count() as u64, newest + 1)
    };
    let inventory = vault.inventory()?;
    let stored = vault.stored_chunks()?;
    let locks = match args.protection {
        true => Some(Locks::Asked(ask_for_locks(&mut vault, context)?)),
        false => vault.known_locks()?.map(Locks::Known),
    };
    let readable = snapshots.iter().any(|snapshot| snapshot.descriptor.is_some());
    let walked = if args.fast || !readable {
        None
    } else {
        let reader = vault.reader()?;
        let is_chosen = |snapshot: &Snapshot| match chosen.is_empty() {
            true => snapshot.standing == SnapshotStanding::Trashed,
            false => chosen.contains(&snapshot.id),
        };
        Some(usage(&reader, &snapshots, is_chosen, context.signals.cancel())?)
    };
    for (snapshot, used) in snapshots.iter().zip(walked.iter().flat_map(|w| &w.snapshots)) {
        damaged.extend(used.problem.clone().map(|problem| (short(snapshot.id), problem)));
    }
    let rows = rows(&snapshots, walked.as_ref());
    let rows =
        rows.into_iter().filter(|row| chosen.is_empty() || chosen.contains(&row.snapshot.id));
    let rows = rows.collect();
    let is_chosen = !chosen.is_empty();
    let totals = Totals::of(&snapshots, members, records);
    Ok(Stats { totals, inventory, stored, locks, walked, rows, is_chosen, damaged })
}

/// What is known of the locks of the vault's objects.
enum Locks {
    /// As an earlier run of this host found.
    Known(KnownLocks),
    /// As the place says now.
    Asked(LockReport),
}

fn ask_for_locks(vault: &mut Vault, context: &Context) -> Result<LockReport> {
    // Which locks are due is not asked, so any length serves.
    let any = ObjectLock::new(RetentionMode::Governance, 1);
    let lock = context.common.lock()?.or(any).expect("a day is a length that locks have");
    Ok(vault.extend_locks(lock, ProtectMode::Look, context.signals.stop())?)
}

/// Numbers that need no walk.
struct Totals {
    snapshots: u64,
    trashed: u64,
    sources: u64,
    members: u64,
    records: u64,
    /// The sizes of all snapshots' files, in bytes.
    bytes: u64,
}

impl Totals {
    fn of(snapshots: &[Snapshot], members: u64, records: u64) -> Self {
        let described = || snapshots.iter().filter_map(|s| s.descriptor.as_ref());
        let sources: std::collections::HashSet<_> =
            described().map(|d| (&d.name, &d.paths)).collect();
        let is_trashed = |s: &&Snapshot| s.standing == SnapshotStanding::Trashed;
        Self {
            snapshots: snapshots.len() as u64,
            trashed: snapshots.iter().filter(is_trashed).count() as u64,
            sources: sources.len() as u64,
            members,
            records,
            bytes: described().map(|d| d.counts.bytes).sum(),
        }
    }
}

/// A snapshot with what it takes, if that was counted.
struct Row {
    snapshot: Snapshot,
    used: Option<Used>,
}

#[derive(Clone, Copy)]
struct Used {
    unique: u64,
    added: u64,
    growth: u64,
}

fn rows(snapshots: &[Snapshot], walked: Option<&Usage>) -> Vec<Row> {
    let mut growth = BTreeMap::new();
    let row = |(at, snapshot): (usize, &Snapshot)| {
        let descriptor = snapshot.descriptor.as_ref();
        let counted = walked.and_then(|walked| walked.snapshots.get(at)).zip(descriptor);
        let used = counted.map(|(used, descriptor)| {
            let source = (descriptor.name.clone(), descriptor.paths.clone());
            let growth = growth.entry(source).or_insert(0);
            *growth += used.added;
            Used { unique: used.unique, added: used.added, growth: *growth }
        });
        Row { snapshot: snapshot.clone(), used }
    };
    snapshots.iter().enumerate().map(row).collect()
}

/// What was counted.
pub(crate) struct Stats {
    totals: Totals,
    inventory: Inventory,
    stored: StoredChunks,
    locks: Option<Locks>,
    walked: Option<Usage>,
    rows: Vec<Row>,
    is_chosen: bool,
    damaged: Vec<(String, String)>,
}

impl Stats {
    /// Bytes of all different content: as walked, else as the index lists it.
    fn unique(&self) -> u64 {
        self.walked.as_ref().map_or(self.stored.content.plain_bytes, |walked| walked.unique)
    }

    fn deduplication(&self) -> Option<f64> {
        let (bytes, unique) = (self.totals.bytes, self.unique());
        (bytes > 0 && unique > 0).then(|| bytes as f64 / unique as f64)
    }

    fn write_vault(&self, out: &mut dyn Write) -> io::Result<()> {
        let Totals { snapshots, trashed, sources, members, records, bytes } = &self.totals;
        writeln!(
            out,
            "{} of {}, {} in the trash; {}, {}",
            sizes::plural(*snapshots, "snapshot"),
            sizes::plural(*sources, "source"),
            sizes::count(*trashed),
            sizes::plural(*members, "member"),
            sizes::plural(*records, "record"),
        )?;
        let stored = &self.stored.content;
        if *snapshots > 0 && *sources == 0 {
            writeln!(out, "this key cannot look into the snapshots")?;
        }
        writeln!(
            out,
            "files      {} in all snapshots, {} different: deduplication {}",
            sizes::show(*bytes),
            sizes::show(self.unique()),
            ratio(self.deduplication()),
        )?;
        writeln!(
            out,
            "content    {} in {}, {} compressed: compression {}",
            sizes::show(stored.plain_bytes + stored.copied_bytes),
            sizes::plural(stored.chunks, "chunk"),
            sizes::show(stored.frame_bytes),
            ratio(stored.compression()),
        )?;
        match &self.locks {
            None => Ok(()),
            Some(Locks::Known(KnownLocks { protected, looked_at })) => writeln!(
                out,
                "protected  until {}, as of {}",
                time::show(protected.until),
                time::show(*looked_at),
            ),
            Some(Locks::Asked(report)) => match report.until {
                Some(until) => writeln!(out, "protected  until {}", time::show(until)),
                None => writeln!(
                    out,
                    "protected  no: {} of {} not locked",
                    sizes::count(report.unlocked),
                    sizes::plural(report.objects, "object"),
                ),
            },
        }
    }

    fn write_inventory(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(&[
            ("STORED", Align::Left),
            ("OBJECTS", Align::Right),
            ("SIZE", Align::Right),
        ]);
        for (word, amount) in self.amounts() {
            // What is usually nothing is shown when it is something.
            let is_usual = !matches!(word, "other packs" | "suspect" | "lost" | "condemned");
            if is_usual || amount.objects > 0 {
                let Amount { objects, bytes } = amount;
                table.row([word.to_owned(), sizes::count(objects), sizes::show(bytes)]);
            }
        }
        table.write(out)
    }

    fn amounts(&self) -> [(&'static str, Amount); 10] {
        let Inventory {
            content_packs,
            metadata_packs,
            other_packs,
            runs,
            ledger,
            others,
            suspect,
            lost,
            condemned,
        } = self.inventory;
        [
            ("content packs", content_packs),
            ("metadata packs", metadata_packs),
            ("other packs", other_packs),
            ("index runs", runs),
            ("ledger", ledger),
            ("others", others),
            ("total", self.inventory.total()),
            ("suspect", suspect),
            ("lost", lost),
            ("condemned", condemned),
        ]
    }

    fn write_rows(&self, out: &mut dyn Write) -> io::Result<()> {
        let right = |name| (name, Align::Right);
        let mut table = Table::new(&[
            ("ID", Align::Left),
            ("TIME", Align::Left),
            ("NAME", Align::Left),
            right("SIZE"),
            right("ADDED"),
            right("UNIQUE"),
            right("GROWTH"),
        ]);
        for Row { snapshot, used } in &self.rows {
            let descriptor = snapshot.descriptor.as_ref();
            let show = |part: fn(&Used) -> u64| {
                used.as_ref().map_or_else(|| "?".to_owned(), |used| sizes::show(part(used)))
            };
            table.row([
                short(snapshot.id),
                time::show(snapshot.claimed),
                descriptor.map_or("?", |d| &d.name).to_owned(),
                descriptor.map_or_else(|| "?".to_owned(), |d| sizes::show(d.counts.bytes)),
                show(|used| used.added),
                show(|used| used.unique),
                show(|used| used.growth),
            ]);
        }
        table.write(out)
    }

    fn row_object(row: &Row) -> Value {
        let Row { snapshot, used } = row;
        let mut object = fields(json!({
            "id": snapshot.id.to_string(),
            "time": time::show_exact(snapshot.claimed),
            "trashed": snapshot.standing == SnapshotStanding::Trashed,
        }));
        if let Some(descriptor) = &snapshot.descriptor {
            object.extend(fields(json!({
                "name": descriptor.name,
                "bytes": descriptor.counts.bytes,
            })));
            put_paths(&mut object, "paths", &descriptor.paths);
        }
        if let Some(Used { unique, added, growth }) = used {
            object.extend(fields(json!({
                "unique_bytes": unique,
                "added_bytes": added,
                "growth_bytes": growth,
            })));
        }
        Value::Object(object)
    }
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "none yet".to_owned(), |ratio| format!("{ratio:.2} : 1"))
}

fn chunk_fields(totals: &ChunkTotals) -> Value {
    json!({
        "chunks": totals.chunks,
        "plain_bytes": totals.plain_bytes,
        "copied_bytes": totals.copied_bytes,
        "frame_bytes": totals.frame_bytes,
        "compression_ratio": totals.compression(),
    })
}

impl Report for Stats {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if !self.is_chosen {
            self.write_vault(out)?;
            writeln!(out)?;
            self.write_inventory(out)?;
        }
        let Some(walked) = &self.walked else { return Ok(()) };
        if !self.is_chosen {
            writeln!(out)?;
        }
        self.write_rows(out)?;
        let chosen = sizes::show(walked.chosen);
        match self.is_chosen {
            true => writeln!(out, "together they alone hold {chosen}"),
            false if self.totals.trashed > 0 => {
                writeln!(out, "the trash alone holds {chosen}")
            }
            false => Ok(()),
        }
    }

    fn is_answer(&self) -> bool {
        true
    }

    fn fields(&self) -> Fields {
        let Totals { snapshots, trashed, sources, members, records, bytes } = &self.totals;
        let stored: Fields = self
            .amounts()
            .into_iter()
            .map(|(word, Amount { objects, bytes })| {
                (word.replace(' ', "_"), json!({ "objects": objects, "bytes": bytes }))
            })
            .collect();
        let mut object = fields(json!({
            "snapshot_count": snapshots,
            "trashed_count": trashed,
            "source_count": sources,
            "member_count": members,
            "record_count": records,
            "bytes": bytes,
            "unique_bytes": self.unique(),
            "deduplication_ratio": self.deduplication(),
            "content": chunk_fields(&self.stored.content),
            "metadata": chunk_fields(&self.stored.metadata),
            "stored": stored,
            "snapshots": self.rows.iter().map(Self::row_object).collect::<Vec<_>>(),
        }));
        let (until, as_of) = match &self.locks {
            None => (None, None),
            Some(Locks::Known(known)) => (Some(known.protected.until), Some(known.looked_at)),
            Some(Locks::Asked(report)) => {
                object.insert("locks".to_owned(), locks::value(report));
                (report.until, None)
            }
        };
        object.insert("protected_until".to_owned(), until.map(time::show_exact).into());
        object.insert("protected_as_of".to_owned(), as_of.map(time::show_exact).into());
        if let Some(walked) = &self.walked {
            let name = if self.is_chosen { "together_bytes" } else { "trash_bytes" };
            object.insert(name.to_owned(), walked.chosen.into());
        }
        object
    }

    fn exit(&self) -> Exit {
        match &self.locks {
            _ if !self.damaged.is_empty() => Exit::Tampered,
            Some(Locks::Asked(report)) => locks::exit(report),
            _ => Exit::Done,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let remark = |(id, problem): &(String, String)| {
            Remark::new(format!("snapshot {id} is damaged: {problem}"))
        };
        let mut remarks: Vec<_> = self.damaged.iter().map(remark).collect();
        if let Some(last) = remarks.pop() {
            remarks.push(last.hint(DAMAGED_HINT));
        }
        if let Some(Locks::Asked(report)) = &self.locks {
            remarks.extend(locks::remarks(report));
        }
        remarks
    }
}
