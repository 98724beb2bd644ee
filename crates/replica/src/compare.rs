//! How complete a target is, beside its source and without a key.
//!
//! The target's records must be a beginning of the source's, and what they need must lie there with
//! the size that it has at the source. What the source dropped since is not missed. Whether bytes
//! have the digest of their name is not looked at here: that takes reading them. DESIGN §12.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;

use crypto::Digest;
use format::{NamedObject, RecordAt, VaultNames};
use ledger::Components;
use places::{ObjectName, Place};

use crate::plan::lacking_objects;
use crate::replicator::{go_on, lag, total};
use crate::source::open_source;
use crate::target::Target;
use crate::{Error, Lag, MissingObject, Result};

/// How complete a target is.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The source's newest record.
    pub source_head: RecordAt,
    /// The target's newest record.
    pub head: RecordAt,
    /// How far it is behind.
    pub lag: Lag,
    /// Packs and runs that its records need.
    pub objects: u64,
    /// Those that are not there, or not with the size that they have at the source.
    pub missing: Vec<MissingObject>,
    /// What is not there and need not be, because the source has dropped it since.
    pub dropped_since: BTreeSet<ObjectName>,
    /// Why the source's ledger ends before its place does.
    pub source_broken: Option<String>,
}

/// Compares a target with its source.
///
/// # Errors
/// [`Error::NoReplica`], also where there are no records yet; [`Error::Behind`], [`Error::Fork`];
/// [`Error::Cancelled`]; errors of both places.
pub fn compare(
    source: &Components,
    target: &Components,
    cancel: &AtomicBool,
) -> Result<Comparison> {
    let no_replica =
        |found: &str| Error::NoReplica { place: target.place.describe(), found: found.to_owned() };
    let ledger = open_source(source)?;
    let mut copy = Target::open(target, &ledger)?;
    if !copy.is_marked() {
        return Err(no_replica("nothing was replicated to it yet"));
    }
    let Some(head) = copy.head() else {
        return Err(no_replica("its first copy was not finished: it has no records yet"));
    };
    copy.check_history(&ledger)?;
    let mut lag = lag(&copy, &ledger, source)?;
    if lag.records > 0 {
        lag.bytes = total(&lacking_objects(&ledger, &mut copy, &*source.place)?).1;
    }
    let source_sizes = sizes(&*source.place, cancel)?;
    let sizes = sizes(&*target.place, cancel)?;
    let (mut objects, mut missing, mut dropped_since) = (0, Vec::new(), BTreeSet::new());
    let (needed, kept) = match copy.ledger() {
        Some(copy) => (copy.state(), ledger.state()),
        None => return Err(no_replica("it has no records yet")),
    };
    let packs = needed.packs().map(|(digest, _)| (digest, VaultNames::pack(digest)));
    let runs = needed.runs().map(|(digest, _)| (digest, VaultNames::run(digest)));
    for (digest, object) in packs.chain(runs) {
        objects += 1;
        let size = sizes.get(digest);
        let at_source = source_sizes.get(digest);
        let reason = match (size, at_source) {
            (None, _) => {
                let is_run = kept.run(digest).is_some_and(|run| run.dropped.is_none());
                if kept.pack(digest).is_none() && !is_run {
                    dropped_since.insert(object);
                    continue;
                }
                "it is not there".to_owned()
            }
            (Some(size), Some(at_source)) if size != at_source => {
                // Either copy may be the damaged one: the name tells.
                match Digest::of(&target.place.get(&object, None)?) == *digest {
                    true => continue,
                    false => format!("it is {size} bytes, at the source {at_source}"),
                }
            }
            _ => continue,
        };
        missing.push(MissingObject { object, reason });
    }
    let source_broken = ledger.standing().broken().map(ToString::to_string);
    let source_head = ledger.state().head();
    Ok(Comparison { source_head, head, lag, objects, missing, dropped_since, source_broken })
}

/// The packs and runs that lie at a place, with their sizes.
fn sizes(place: &dyn Place, cancel: &AtomicBool) -> Result<HashMap<Digest, u64>> {
    let mut sizes = HashMap::new();
    for prefix in [VaultNames::packs(), VaultNames::runs()] {
        for listed in place.list(&prefix, None)? {
            go_on(cancel)?;
            let listed = listed?;
            if let Some(NamedObject::Pack(digest) | NamedObject::Run(digest)) =
                NamedObject::parse(&listed.name)
            {
                sizes.insert(digest, listed.size);
            }
        }
    }
    Ok(sizes)
}
