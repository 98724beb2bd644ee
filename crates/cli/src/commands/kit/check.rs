//! `kit check`: proves that a recovery kit still opens the vault.
//!
//! The words make the vault's root key, which signed its config; the kit's head must lie on the
//! ledger's chain; the newest snapshot must open. Each place that the kit names is looked at, and
//! what is out of date is said. Nothing is appended.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use strongroom::{
    Alarm, KitFacts, LedgerError, PlaceOptions, PlaceUrl, RecordAt, Seq, Snapshot,
    SnapshotStanding, State, Vault, VaultId, read_config,
};

use crate::context::{Context, parse_url};
use crate::exit::{Exit, Failure, Result};
use crate::keys::read_kit;
use crate::output::{Fields, Remark, Report, fields};
use crate::sizes;
use crate::time;

/// Proves that a recovery kit still opens the vault, and says what on it is out of date.
///
/// The kit is the file of --kit, or is typed: the whole text or the 24 words alone. Without
/// --vault, the first place that the kit names and that answers is looked into.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Checks.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Checked> {
    let typed = context.common.kit.as_deref().unwrap_or(Path::new("-"));
    let kit = read_kit(context, typed)?;
    let id = kit.vault();
    let facts = kit.facts.clone();
    let places: Vec<_> = facts.places.iter().map(|place| look_at(place, id, context)).collect();
    let url = match context.place_url() {
        Ok(url) => url,
        Err(none_named) => match places.iter().find(|place| place.problem.is_none()) {
            Some(place) => parse_url(OsStr::new(&place.url))?,
            None if places.is_empty() => return Err(none_named),
            None => return Err(nowhere(&places)),
        },
    };
    let mut vault = context.open_with_kit(&url, kit)?;
    let standing = facts.head.map(|head| standing(&vault, head, &facts, context)).transpose()?;
    let snapshots = vault.snapshots()?;
    if let Some(problem) = snapshots.iter().rev().find_map(|snapshot| snapshot.problem.as_ref()) {
        let hint = "run `strongroom verify --data` to see which files it hurts";
        context.output.warning_with_hint(problem, hint);
        context.note_exit(Exit::Tampered);
    }
    let live = snapshots.into_iter().filter(|s| s.standing == SnapshotStanding::Live);
    let live: Vec<_> = live.collect();
    let ledger = vault.ledger();
    let state = ledger.state();
    Ok(Checked {
        vault: id,
        place: url.to_string(),
        is_named: is_named(&url, &facts.places),
        head: state.head(),
        format: state.format_number(),
        facts,
        places,
        standing,
        snapshots: live.len() as u64,
        newest: live.into_iter().next_back(),
    })
}

fn nowhere(places: &[KitPlace]) -> Failure {
    let said = places.iter().filter_map(|place| {
        let problem = place.problem.as_ref()?;
        Some(format!("{}: {problem}", place.url))
    });
    let message = format!("no place on the kit answers: {}", said.collect::<Vec<_>>().join("; "));
    Failure::unavailable(message, "mount it, or name where the vault lies now with --vault URL")
}

/// A place that the kit names.
struct KitPlace {
    url: String,
    /// Why the vault is not found there.
    problem: Option<String>,
}

fn look_at(place: &str, vault: VaultId, context: &Context) -> KitPlace {
    let found = parse_url(OsStr::new(place)).and_then(|url| {
        let options = PlaceOptions { patience: PATIENCE, ..context.place_options()? };
        let place = strongroom::open_place(&url, &options, context.clock.clone())?;
        Ok(read_config(place.as_ref())?.0.vault)
    });
    let problem = match found {
        Ok(found) if found == vault => None,
        Ok(found) => Some(format!("it holds vault {found}")),
        Err(failure) => Some(failure.message),
    };
    KitPlace { url: place.to_owned(), problem }
}

/// A place that is not reached at once is said to be out of reach: others may answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the kit names the place, by this or another path.
fn is_named(url: &PlaceUrl, places: &[String]) -> bool {
    let real = |url: PlaceUrl| match url {
        PlaceUrl::Folder(path) => PlaceUrl::Folder(path.canonicalize().unwrap_or(path)),
        other => other,
    };
    let at = real(url.clone());
    places.iter().any(|place| place.parse().is_ok_and(|place| real(place) == at))
}

/// How the ledger stands to the kit's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeadStanding {
    /// It is on the chain, and so many records came since.
    On { since: u64 },
    /// The place is a replica that has not come so far.
    Behind { records: u64 },
    /// An owner's `recover` gave it up.
    GivenUp { by: Seq },
    /// The place shows another history: it was said.
    Denied,
}

fn standing(
    vault: &Vault,
    kit: RecordAt,
    facts: &KitFacts,
    context: &Context,
) -> Result<HeadStanding> {
    let ledger = vault.ledger();
    let head = ledger.state().head();
    let given_up = given_up(ledger.state(), kit, facts);
    if kit.seq > head.seq {
        let is_replica = |alarm: &Alarm| matches!(alarm, Alarm::Replica { .. });
        let records = kit.seq.0 - head.seq.0;
        return Ok(match given_up {
            Some(by) => HeadStanding::GivenUp { by },
            None if ledger.standing().alarms.iter().any(is_replica) => {
                HeadStanding::Behind { records }
            }
            None => HeadStanding::Denied,
        });
    }
    let found = match ledger.read(kit.seq) {
        Ok(entry) => Some(entry.hash),
        Err(LedgerError::NoRecord { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(match (found, given_up) {
        (Some(hash), _) if hash == kit.hash => HeadStanding::On { since: head.seq.0 - kit.seq.0 },
        (_, Some(by)) => HeadStanding::GivenUp { by },
        (found, None) => {
            let is_said =
                ledger.standing().alarms.iter().any(|a| matches!(a, Alarm::Forked { .. }));
            if !is_said {
                let found = found.map_or("nothing".to_owned(), |hash| hash.to_string());
                let message = format!(
                    "record {} of the vault is {found}, on the kit it is {}",
                    kit.seq, kit.hash
                );
                context.output.warning_with_hint(&message, FORKED);
                context.note_exit(Exit::Tampered);
            }
            HeadStanding::Denied
        }
    })
}

const FORKED: &str = "compare the kit's line \"head:\" with the paper; if it is typed right, the \
    vault's history was rewritten: use another place";

/// The `recover` that gave up what the kit remembers, and that the kit does not know.
fn given_up(state: &State, kit: RecordAt, facts: &KitFacts) -> Option<Seq> {
    let known = facts.recovered.map_or(Seq(0), |recover| recover.seq);
    let mut newest = state.recovers().iter().rev();
    let by = newest.find(|recover| recover.at.seq > known && recover.lost_after < kit.seq)?;
    Some(by.at.seq)
}

/// What was found.
pub(crate) struct Checked {
    vault: VaultId,
    place: String,
    /// Whether the kit names the place.
    is_named: bool,
    head: RecordAt,
    format: u32,
    facts: KitFacts,
    places: Vec<KitPlace>,
    standing: Option<HeadStanding>,
    snapshots: u64,
    newest: Option<Snapshot>,
}

impl Report for Checked {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "the kit opens vault {} at {}", self.vault, self.place)?;
        let seq = self.facts.head.map(|head| head.seq).unwrap_or_default();
        match self.standing {
            Some(HeadStanding::On { since: 0 }) => {
                writeln!(out, "its head, record {seq}, is the vault's newest")?;
            }
            Some(HeadStanding::On { since }) => writeln!(
                out,
                "its head, record {seq}, lies in the ledger; {} came since",
                sizes::plural(since, "record")
            )?,
            Some(HeadStanding::Behind { records }) => writeln!(
                out,
                "its head, record {seq}, has not come to this replica: {} behind",
                sizes::plural(records, "record")
            )?,
            Some(HeadStanding::GivenUp { by }) => {
                writeln!(out, "its head, record {seq}, was given up by the recovery {by}")?;
            }
            Some(HeadStanding::Denied) | None => {}
        }
        if let Some(made) = &self.facts.made {
            writeln!(out, "made {made}")?;
        }
        match &self.newest {
            None => writeln!(out, "no snapshots yet"),
            Some(newest) => {
                let name = newest.descriptor.as_ref().map_or("?", |d| d.name.as_str());
                let count = sizes::plural(self.snapshots, "snapshot");
                writeln!(out, "{count}, the newest of {name}, {}", time::show(newest.claimed))
            }
        }
    }

    fn is_answer(&self) -> bool {
        true
    }

    fn fields(&self) -> Fields {
        let (standing, records) = match self.standing {
            None => ("unknown", None),
            Some(HeadStanding::On { since }) => ("on-the-chain", Some(since)),
            Some(HeadStanding::Behind { records }) => ("behind", Some(records)),
            Some(HeadStanding::GivenUp { .. }) => ("given-up", None),
            Some(HeadStanding::Denied) => ("another-history", None),
        };
        let place = |place: &KitPlace| json!({ "url": place.url, "problem": place.problem });
        let newest = self.newest.as_ref().map(|snapshot| snapshot.id.to_string());
        fields(json!({
            "vault": self.vault.to_string(), "place": self.place, "place_on_kit": self.is_named,
            "head": self.head.seq.0, "kit_head": self.facts.head.map(|head| head.seq.0),
            "standing": standing, "records": records, "made": self.facts.made,
            "places": self.places.iter().map(place).collect::<Vec<_>>(),
            "snapshots": self.snapshots, "newest": newest,
        }))
    }

    fn exit(&self) -> Exit {
        match self.places.iter().any(|place| place.problem.is_some()) {
            true => Exit::Incomplete,
            false => Exit::Done,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let renew = "print a new kit: `strongroom kit create --words`";
        let mut remarks = Vec::new();
        for KitPlace { url, problem } in &self.places {
            let Some(problem) = problem else { continue };
            // What the place said may name it already.
            let said = match problem.contains(url.as_str()) {
                true => problem.clone(),
                false => format!("{url}: {problem}"),
            };
            let hint = "if the vault lies there no more, print a new kit without it";
            remarks.push(Remark::new(format!("on the kit, but not found: {said}")).hint(hint));
        }
        if !self.is_named && !self.places.is_empty() {
            remarks.push(Remark::new(format!("the kit does not name {}", self.place)).hint(renew));
        }
        if self.facts.head.is_none() {
            let text = "the kit has no head: that the vault was rolled back is not noticed with it";
            remarks
                .push(Remark::new(text).hint("keep the whole text of the kit, not only its words"));
        }
        if let Some(HeadStanding::GivenUp { .. }) = self.standing {
            let text = "the vault was recovered since the kit was made";
            remarks.push(Remark::new(text).hint(renew));
        }
        if self.facts.format.is_some_and(|number| number < self.format) {
            let number = self.format;
            let text = format!(
                "the vault has format number {number} by now: an older program, as \
                 it may lie beside the kit, does not suffice"
            );
            remarks.push(Remark::new(text).hint(renew));
        }
        remarks
    }
}
