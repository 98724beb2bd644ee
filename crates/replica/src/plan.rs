//! What a target lacks, and how much that is.
//!
//! The ledgers say what must be there, one listing of the target says what is. The source is asked
//! only for what is lacking: object by object when it is little, else by one listing. Rehearsal and
//! pass follow the same plans, so what one says the other does. DESIGN §12.

use std::collections::{BTreeSet, HashMap};

use crypto::Digest;
use format::{LIST_BYTES_MAX, LedgerName, NamedObject, SLOT_BYTES_MAX, Seq, VaultNames};
use ledger::{BUNDLE_BYTES_MAX, CHECKPOINT_BYTES_MAX, Ledger};
use places::{NamePrefix, ObjectName, Place};

use crate::Result;
use crate::replicator::reach;
use crate::target::Target;

/// An object that the target lacks.
pub(crate) struct Wanted {
    pub(crate) name: ObjectName,
    /// What its bytes must have, where the name says so.
    pub(crate) digest: Option<Digest>,
    /// How many bytes it has at the source, `None` when it does not lie there.
    pub(crate) size: Option<u64>,
    pub(crate) need: Need,
}

/// Whether a copy is complete without it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It is not.
    Lasting,
    /// A record that the target has yet to reach drops it: until then it is read there.
    Passing,
}

/// More objects than this are looked for by a listing.
const STATS_MAX: usize = 16;

/// What the target lacks of the needs of all records less their drops. What records beyond the
/// target's head drop is wanted as well while it is there: until the target has reached them it
/// reads it. On the first copy that is only the runs that a merge replaced, for nobody reads there
/// yet, and packs that wait for their deletion may be many.
pub(crate) fn lacking_objects(
    ledger: &Ledger,
    copy: &mut Target,
    source: &dyn Place,
) -> Result<Vec<Wanted>> {
    let reached = copy.head().map(|at| at.seq);
    let present = copy.present()?;
    let state = ledger.state();
    let is_ahead = |seq: Seq| reached.is_none_or(|reached| seq > reached);
    let packs = state.packs().map(|(digest, _)| (digest, VaultNames::pack(digest), Need::Lasting));
    let runs = state.runs().map(|(digest, _)| (digest, VaultNames::run(digest), Need::Lasting));
    let replaced = state.dropped_runs().filter(|(_, seq)| is_ahead(*seq));
    let replaced = replaced.map(|(digest, _)| (digest, VaultNames::run(digest), Need::Passing));
    let condemned = state.condemned().filter(|(_, at)| reached.is_some() && is_ahead(at.seq));
    let condemned = condemned.map(|(digest, _)| (digest, VaultNames::pack(digest), Need::Passing));
    let all = packs.chain(runs).chain(replaced).chain(condemned);
    let lacking: Vec<_> = all.filter(|(digest, ..)| !present.contains(*digest)).collect();
    let sizes = sizes(source, lacking.iter().map(|(digest, name, _)| (**digest, name)))?;
    let there = lacking
        .into_iter()
        .filter(|(digest, _, need)| *need == Need::Lasting || sizes.contains_key(*digest));
    Ok(there
        .map(|(digest, name, need)| {
            let size = sizes.get(digest).copied();
            Wanted { name, digest: Some(*digest), size, need }
        })
        .collect())
}

/// How large these are at the source, of those that lie there.
fn sizes<'n>(
    source: &dyn Place,
    wanted: impl ExactSizeIterator<Item = (Digest, &'n ObjectName)>,
) -> Result<HashMap<Digest, u64>> {
    let mut sizes = HashMap::with_capacity(wanted.len());
    if wanted.len() <= STATS_MAX {
        for (digest, name) in wanted {
            if let Some(stat) = source.stat(name)? {
                sizes.insert(digest, stat.size);
            }
        }
        return Ok(sizes);
    }
    let wanted: HashMap<Digest, &ObjectName> = wanted.collect();
    for prefix in [VaultNames::packs(), VaultNames::runs()] {
        for listed in source.list(&prefix, None)? {
            let listed = listed?;
            if let Some(NamedObject::Pack(digest) | NamedObject::Run(digest)) =
                NamedObject::parse(&listed.name)
                && wanted.contains_key(&digest)
            {
                sizes.insert(digest, listed.size);
            }
        }
    }
    Ok(sizes)
}

/// The key slots and long lists that the target lacks.
pub(crate) fn lacking_small(copy: &Target, source: &dyn Place) -> Result<Vec<Wanted>> {
    let mut lacking = Vec::new();
    for prefix in [VaultNames::slots(), VaultNames::lists()] {
        lack(copy, source, &prefix, &mut lacking, |named, size| match named {
            NamedObject::List(digest) if size <= LIST_BYTES_MAX => {
                Some((Some(digest), Need::Lasting))
            }
            // One that was replaced meanwhile is gone.
            NamedObject::Slot(_) if size <= SLOT_BYTES_MAX => Some((None, Need::Passing)),
            _ => None,
        })?;
    }
    Ok(lacking)
}

/// The bundles and checkpoints of records up to the source's head that the target lacks: made from
/// the records, believed by nobody, and quicker to open.
pub(crate) fn lacking_derived(
    ledger: &Ledger,
    copy: &Target,
    source: &dyn Place,
) -> Result<Vec<Wanted>> {
    let head = reach(ledger);
    let mut lacking = Vec::new();
    for prefix in [VaultNames::bundles(), VaultNames::checkpoints()] {
        lack(copy, source, &prefix, &mut lacking, |named, size| {
            let (last, most) = match named {
                NamedObject::Bundle(_, last) => (last, BUNDLE_BYTES_MAX),
                NamedObject::Checkpoint(last) => (last, CHECKPOINT_BYTES_MAX),
                _ => return None,
            };
            (last <= head && size <= most).then_some((None, Need::Passing))
        })?;
    }
    Ok(lacking)
}

/// Of a prefix that holds few objects, what the target lacks of those that `chosen` takes, by name
/// and size. Anybody may put names there, so what is larger than it may be is nothing.
fn lack(
    copy: &Target,
    source: &dyn Place,
    prefix: &NamePrefix,
    lacking: &mut Vec<Wanted>,
    chosen: impl Fn(NamedObject, u64) -> Option<(Option<Digest>, Need)>,
) -> Result<()> {
    let known = names(&*copy.components().place, prefix)?;
    for listed in source.list(prefix, None)? {
        let listed = listed?;
        let named = NamedObject::parse(&listed.name).filter(|_| !known.contains(&listed.name));
        if let Some((digest, need)) = named.and_then(|named| chosen(named, listed.size)) {
            lacking.push(Wanted { name: listed.name, digest, size: Some(listed.size), need });
        }
    }
    Ok(())
}

/// How many bytes the records take that the target lacks.
pub(crate) fn lacking_record_bytes(
    ledger: &Ledger,
    copy: &Target,
    source: &dyn Place,
) -> Result<u64> {
    let (reached, head) = (copy.head(), reach(ledger));
    if reached.is_some_and(|reached| reached.seq >= head) {
        return Ok(0);
    }
    let after = reached.map(|reached| VaultNames::record(reached.seq));
    let mut bytes = 0;
    for listed in source.list(&VaultNames::records(), after.as_ref())? {
        let listed = listed?;
        if let Some(NamedObject::Record(LedgerName { seq, .. })) = NamedObject::parse(&listed.name)
            && seq <= head
            && reached.is_none_or(|reached| seq > reached.seq)
        {
            bytes += listed.size;
        }
    }
    Ok(bytes)
}

/// The names that a place lists. Of these prefixes there are few.
fn names(place: &dyn Place, prefix: &NamePrefix) -> Result<BTreeSet<ObjectName>> {
    let listed = place.list(prefix, None)?;
    listed.map(|listed| Ok(listed?.name)).collect()
}
