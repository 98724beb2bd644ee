//! The index: which chunk lies where, as the ledger and its index runs say.
//!
//! It is a few tables (`table.rs`). Runs that no table covers are fetched, opened and made into a
//! table; small tables are merged as they become many, so that each entry is written a few times
//! whatever the vault's size; a large one is cut into shards by id, so that no more than one shard
//! is in memory. Of what a run says only packs count that a record published under the
//! session that the run gives, and that the run's own session may list; a writer relies only on
//! those that are good, so neither a stale cache nor a lying run leads to a pack that may vanish. A
//! run that cannot be read hides what it alone lists, no more. Any number of processes share the
//! cache without a lock: files are written once and renamed into place. DESIGN §7, FORMAT.md §13.

mod ordinals;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use crypto::{
    Digest, Entropy, Epoch, Expected, Header, Keyring, ObjectKind, ObjectSealer, OpenedObject,
    Role, SealedObject, SessionId, Unwrapping, Wrapping, padded_stream_len,
};
use format::{ChunkRef, DomainId, PackListing, RUN_BYTES_MAX, Run, Seq, VaultNames};
use ledger::{PackStanding, SessionStatus, State};
use places::{ObjectName, Place};

use crate::home::{Home, remove_leftover};
use crate::table::{PREFIX_BITS_MAX, Prefix, Table, TableBuilder, TableEntry, TablePack};
use crate::{Error, ErrorKind, Result};

pub(crate) use ordinals::{Layout, Placed};

/// More tables than this are merged.
const TABLES_MAX: usize = 12;
/// Entries of one shard of a merged table; few in tests, which then have many shards.
pub(crate) const SHARD_ENTRIES: usize = if cfg!(test) { 64 } else { 1 << 18 };
/// Opened segments of 64 KiB that all tables keep together.
const SEGMENTS_KEPT: usize = 512;
/// Runs that are fetched at the same time at most.
const FETCHES_AT_ONCE: usize = 8;

/// What the index is kept with.
pub(crate) struct IndexContext<'a> {
    pub(crate) place: &'a dyn Place,
    pub(crate) keyring: &'a Keyring,
    pub(crate) home: &'a Home,
    pub(crate) entropy: &'a dyn Entropy,
}

/// Finds chunks.
#[derive(Default)]
pub(crate) struct Index {
    tables: Vec<Indexed>,
    /// The runs whose packs are in tables.
    covered: HashSet<Digest>,
    /// Runs that could not be read, and why.
    unread: BTreeMap<Digest, String>,
    /// The newest trouble of any pack when all packs were judged.
    judged_trouble: Option<Seq>,
    /// How often ordinals lost their meaning.
    reordered: u64,
}

/// A table with what the ledger says of it.
struct Indexed {
    /// In the order of their prefixes; the last one is the head.
    shards: Vec<Shard>,
    packs: Vec<TablePack>,
    /// How each pack stands.
    standings: Vec<PackStanding>,
    runs: Vec<Digest>,
    bits: u8,
}

pub(crate) struct Shard {
    table: Table,
    /// Its file; `None` for one in memory.
    pub(crate) path: Option<PathBuf>,
}

impl Shard {
    /// Removes a file that cannot be read: the next process makes it anew.
    fn give_up(&self, error: Error) -> Error {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
        error
    }
}

impl Indexed {
    fn new(mut shards: Vec<Shard>) -> Self {
        let head = shards.last_mut().map(|shard| &mut shard.table);
        let (packs, runs, bits) = head.map_or_else(Default::default, |head| {
            let (packs, runs) = (&mut head.packs, &mut head.runs);
            (std::mem::take(packs), std::mem::take(runs), head.prefix.bits)
        });
        Self { shards, packs, standings: Vec::new(), runs, bits }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.table.len()).sum()
    }

    /// Every entry of a chunk with its pack and how that stands.
    fn find(
        &self,
        domain: DomainId,
        chunk: &ChunkRef,
    ) -> Result<impl Iterator<Item = (TableEntry, &TablePack, PackStanding)>> {
        let shard = &self.shards[Prefix::of(&chunk.id, self.bits).value as usize];
        let entries = shard.table.find(chunk).map_err(|error| shard.give_up(error))?.into_iter();
        Ok(entries.filter_map(move |entry| {
            let at = entry.pack as usize;
            let (pack, standing) = (self.packs.get(at)?, self.standings.get(at)?);
            (pack.domain == domain).then_some((entry, pack, *standing))
        }))
    }

    /// Every entry whose id has this prefix.
    fn entries(&self, prefix: Prefix) -> Result<Vec<TableEntry>> {
        let value = prefix.value as usize;
        let within = match prefix.bits.checked_sub(self.bits) {
            Some(more) => value >> more..(value >> more) + 1,
            None => {
                let fewer = self.bits - prefix.bits;
                value << fewer..(value + 1) << fewer
            }
        };
        let mut entries = Vec::new();
        for shard in &self.shards[within] {
            let more = shard.table.shard(prefix).map_err(|error| shard.give_up(error))?;
            entries.extend(more);
        }
        Ok(entries)
    }

    fn judge(&mut self, state: &State) {
        let standing = |pack: &TablePack| match state.pack_standing(&pack.name) {
            PackStanding::Condemned => PackStanding::Condemned,
            standing if published_under(state, &pack.name, pack.session) => standing,
            _ => PackStanding::Unknown,
        };
        self.standings = self.packs.iter().map(standing).collect();
    }
}

/// Where a chunk lies.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) pack: TablePack,
    pub(crate) entry: TableEntry,
    pub(crate) standing: PackStanding,
}

impl Index {
    /// Opens what the cache holds and fetches what it lacks.
    pub(crate) fn open(context: &IndexContext<'_>, state: &State) -> Result<Self> {
        let mut index = Self::default();
        if let Ok(Some(folder)) = context.home.cache_folder("index") {
            index.load(context, &folder);
        }
        index.sync(context, state)?;
        Ok(index)
    }

    /// Follows the ledger: fetches new runs, judges every pack anew.
    pub(crate) fn sync(&mut self, context: &IndexContext<'_>, state: &State) -> Result<()> {
        self.fetch(context, state)?;
        self.merge_small(context, state)?;
        self.judge(state);
        Ok(())
    }

    /// Follows the ledger as [`Self::sync`] does, and leaves the tables that are there as they
    /// are: ordinals of a [`Layout`] keep their meaning.
    pub(crate) fn extend(&mut self, context: &IndexContext<'_>, state: &State) -> Result<()> {
        self.fetch(context, state)?;
        self.judge(state);
        Ok(())
    }

    fn fetch(&mut self, context: &IndexContext<'_>, state: &State) -> Result<()> {
        let mut builder = TableBuilder::default();
        self.unread.clear();
        let wanted: Vec<RunToRead> = self.runs_to_fetch(context.keyring, state).collect();
        each_run(context, &wanted, |_, of, run| {
            match run {
                Ok(run) => cover(&mut builder, of.name, of.session, &run, state),
                Err(error) if may_be_passed_over(&error) => {
                    self.unread.insert(of.name, error.to_string());
                }
                Err(error) => return Err(error),
            }
            if builder.len() >= SHARD_ENTRIES {
                self.add(context, std::mem::take(&mut builder))?;
            }
            Ok(())
        })?;
        self.add(context, builder)
    }

    /// The runs that no table covers, of domains that these keys see.
    fn runs_to_fetch(&self, keyring: &Keyring, state: &State) -> impl Iterator<Item = RunToRead> {
        let sees = |domain| match keyring.index(domain, state.epoch()) {
            Ok(_) | Err(crypto::Error::NoEpoch { .. }) => true,
            Err(_) => false,
        };
        let runs = state.runs().filter(|(name, _)| !self.covered.contains(*name));
        runs.filter_map(move |(name, origin)| {
            let domain = state.session(origin.session)?.domain;
            let (name, session) = (*name, origin.session);
            sees(domain).then_some(RunToRead { name, session, domain })
        })
    }

    /// Runs that could not be read, and why: what they alone list is not found.
    pub(crate) fn unread(&self) -> &BTreeMap<Digest, String> {
        &self.unread
    }

    /// Adds a run that this session made.
    pub(crate) fn add_run(
        &mut self,
        context: &IndexContext<'_>,
        (name, run): (Digest, &Run),
        session: SessionId,
        state: &State,
    ) -> Result<()> {
        let mut builder = TableBuilder::default();
        cover(&mut builder, name, session, run, state);
        self.add(context, builder)?;
        self.merge_small(context, state)?;
        let trouble = state.newest_trouble();
        let new = self.tables.iter_mut().filter(|indexed| indexed.standings.is_empty());
        if trouble == self.judged_trouble {
            // No pack that was good has come to harm, so only what is new is to be judged.
            new.for_each(|indexed| indexed.judge(state));
        } else {
            self.judge(state);
        }
        Ok(())
    }

    /// Judges every pack by the ledger's newest state.
    pub(crate) fn judge(&mut self, state: &State) {
        self.tables.iter_mut().for_each(|indexed| indexed.judge(state));
        self.judged_trouble = state.newest_trouble();
    }

    /// A pack that holds the chunk and stands as `trusted` asks.
    pub(crate) fn find_trusted(
        &self,
        domain: DomainId,
        chunk: &ChunkRef,
        trusted: impl Fn(PackStanding) -> bool,
    ) -> Result<Option<Digest>> {
        for indexed in &self.tables {
            let mut found = indexed.find(domain, chunk)?;
            if let Some((_, pack, _)) = found.find(|(_, _, standing)| trusted(*standing)) {
                return Ok(Some(pack.name));
            }
        }
        Ok(None)
    }

    /// Where the chunk may be read, the best first. What is read is held to its id, so also packs
    /// that no writer may rely on are worth a try.
    pub(crate) fn find(&self, domain: DomainId, chunk: &ChunkRef) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for indexed in &self.tables {
            for (entry, pack, standing) in indexed.find(domain, chunk)? {
                if standing != PackStanding::Unknown {
                    found.push(Found { pack: pack.clone(), entry, standing });
                }
            }
        }
        found.sort_by_key(|found| match found.standing {
            PackStanding::Good => 0,
            PackStanding::Suspect => 1,
            PackStanding::Lost => 2,
            _ => 3,
        });
        Ok(found)
    }

    /// Takes what lies in this folder of the cache, and removes what is of no use.
    pub(crate) fn load(&mut self, context: &IndexContext<'_>, folder: &Path) {
        let keyring = context.keyring;
        let of = (keyring.suite(), keyring.vault_id());
        let files = std::fs::read_dir(folder).into_iter().flatten();
        let mut opened = BTreeMap::new();
        for path in files.filter_map(|file| Some(file.ok()?.path())) {
            let Some(name) = file_name(&path).and_then(|name| name.parse::<Digest>().ok()) else {
                remove_leftover(&path);
                continue;
            };
            match Table::open(&path, of, context.home.local()) {
                Ok(table) => {
                    opened.insert(name, Shard { table, path: Some(path) });
                }
                // The cache is disposable: what does not open is made anew.
                Err(_) => remove_leftover(&path),
            }
        }
        let is_head = |shard: &Shard| shard.table.prefix.is_last();
        let heads: Vec<Digest> =
            opened.iter().filter(|(_, s)| is_head(s)).map(|(name, _)| *name).collect();
        for head in heads {
            let Some(head) = opened.remove(&head) else { continue };
            let bits = head.table.prefix.bits;
            let mut shards: Vec<Shard> =
                head.table.siblings.iter().filter_map(|file| opened.remove(file)).collect();
            shards.push(head);
            if shards.iter().map(|shard| shard.table.prefix).eq(Prefix::all(bits)) {
                self.take(shards);
            } else {
                shards.iter().filter_map(|shard| shard.path.as_deref()).for_each(remove_leftover);
            }
        }
        // Shards whose head is not written yet, or never will be.
        opened.values().filter_map(|shard| shard.path.as_deref()).for_each(remove_leftover);
    }

    fn take(&mut self, shards: Vec<Shard>) {
        let indexed = Indexed::new(shards);
        self.covered.extend(indexed.runs.iter().copied());
        self.tables.push(indexed);
        let shards: Vec<&Shard> = self.tables.iter().flat_map(|t| &t.shards).collect();
        let each = (SEGMENTS_KEPT / shards.len().max(1)).max(1);
        shards.iter().for_each(|shard| shard.table.keep_segments(each));
    }

    fn add(&mut self, context: &IndexContext<'_>, mut builder: TableBuilder) -> Result<()> {
        if !builder.is_empty() {
            let shard = make_shard(context, &builder.encode(Prefix::default()))?;
            self.take(vec![shard]);
        }
        Ok(())
    }

    /// Merges the smallest tables when there are too many: so many that what results is not much
    /// longer than the next one.
    fn merge_small(&mut self, context: &IndexContext<'_>, state: &State) -> Result<()> {
        if self.tables.len() <= TABLES_MAX {
            return Ok(());
        }
        self.tables.sort_by_key(Indexed::len);
        self.reordered += 1;
        let (mut total, mut count) = (0, 0);
        for indexed in &self.tables {
            if count >= TABLES_MAX / 2 && indexed.len() > total {
                break;
            }
            total += indexed.len();
            count += 1;
        }
        let merged = merge(context, state, &self.tables[..count], total)?;
        let old: Vec<Indexed> = self.tables.drain(..count).collect();
        for run in old.iter().flat_map(|indexed| &indexed.runs) {
            self.covered.remove(run);
        }
        let written = merged.iter().all(|shard| shard.path.is_some());
        let kept: HashSet<_> = merged.iter().filter_map(|shard| shard.path.clone()).collect();
        let old = old.iter().flat_map(|indexed| &indexed.shards);
        for path in old.filter_map(|shard| shard.path.as_ref()).filter(|p| !kept.contains(*p)) {
            if written {
                let _ = std::fs::remove_file(path);
            }
        }
        self.take(merged);
        Ok(())
    }
}

/// Makes one table of these: without packs and runs that the ledger no longer knows.
fn merge(
    context: &IndexContext<'_>,
    state: &State,
    old: &[Indexed],
    total: usize,
) -> Result<Vec<Shard>> {
    let bits = total.div_ceil(SHARD_ENTRIES).max(1).next_power_of_two().ilog2();
    let bits = (bits as u8).min(PREFIX_BITS_MAX);
    let mut builder = TableBuilder::default();
    let runs = old.iter().flat_map(|indexed| &indexed.runs);
    let live = runs.filter(|run| state.run(run).is_some_and(|run| run.dropped.is_none()));
    live.collect::<BTreeSet<_>>().into_iter().for_each(|run| builder.cover(*run));
    let mut shards = Vec::new();
    for prefix in Prefix::all(bits) {
        for indexed in old {
            for entry in indexed.entries(prefix)? {
                let pack = indexed.packs.get(entry.pack as usize);
                if let Some(pack) = pack.filter(|pack| state.pack(&pack.name).is_some()) {
                    builder.add_entry(entry, pack);
                }
            }
        }
        let shard = make_shard(context, &builder.encode(prefix))?;
        let file = shard.path.as_deref().and_then(file_name).and_then(|name| name.parse().ok());
        file.into_iter().for_each(|file| builder.needs_sibling(file));
        shards.push(shard);
    }
    Ok(shards)
}

/// Writes a shard into the cache; where that cannot be, it stays in memory: a cache that cannot be
/// written costs memory, not a backup.
pub(crate) fn make_shard(context: &IndexContext<'_>, payload: &[u8]) -> Result<Shard> {
    let of = (context.keyring.suite(), context.keyring.vault_id());
    let local = context.home.local();
    if let Ok(Some(folder)) = context.home.cache_folder("index") {
        let path = folder.join(Digest::of(payload).to_string());
        let sealed = Table::seal(payload, of, local, context.entropy)?;
        if Home::write_cache(&path, &[&sealed]).is_ok()
            && let Ok(table) = Table::open(&path, of, local)
        {
            return Ok(Shard { table, path: Some(path) });
        }
    }
    Ok(Shard { table: Table::in_memory(payload.to_vec())?, path: None })
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn cover(builder: &mut TableBuilder, name: Digest, session: SessionId, run: &Run, state: &State) {
    builder.cover(name);
    if let Some(domain) = state.session(session).map(|session| session.domain) {
        let counting = run.packs.iter().filter(|listing| counts(state, session, listing));
        counting.for_each(|listing| builder.add(listing, domain));
    }
}

/// Whether what a run of this session says of a pack counts: a record published the pack under the
/// session that the run gives, of the same domain, and it is the run's own session, or the run's is
/// one that may list others' packs. Else any writer could hide what another stored.
pub(crate) fn counts(state: &State, run: SessionId, listing: &PackListing) -> bool {
    let (Some(lister), Some(maker)) = (state.session(run), state.session(listing.session)) else {
        return false;
    };
    let may_list_others = lister.status == SessionStatus::Merged
        || state.member(lister.member).is_some_and(|member| member.role == Role::Owner);
    published_under(state, &listing.name, listing.session)
        && lister.domain == maker.domain
        && (listing.session == run || may_list_others)
}

fn published_under(state: &State, pack: &Digest, session: SessionId) -> bool {
    state.pack(pack).is_some_and(|origin| origin.session == session)
}

/// Whether a run's error leaves the others of use.
fn may_be_passed_over(error: &Error) -> bool {
    use ErrorKind::{Corrupt, Denied, Invalid, NotFound};
    matches!(error.kind(), Corrupt | Denied | Invalid | NotFound)
}

/// An index run that the ledger names.
#[derive(Clone, Copy)]
pub(crate) struct RunToRead {
    pub(crate) name: Digest,
    pub(crate) session: SessionId,
    pub(crate) domain: DomainId,
}

/// Fetches these runs, some side by side, and gives each, in their order, with its number.
pub(crate) fn each_run(
    context: &IndexContext<'_>,
    runs: &[RunToRead],
    mut take: impl FnMut(usize, &RunToRead, Result<Run>) -> Result<()>,
) -> Result<()> {
    let at_once = FETCHES_AT_ONCE.min(context.place.calls_at_once()).max(1);
    for (part, some) in runs.chunks(at_once).enumerate() {
        for (nth, (run, fetched)) in some.iter().zip(fetch_runs(context, some)).enumerate() {
            take(part * at_once + nth, run, fetched)?;
        }
    }
    Ok(())
}

/// Fetches these runs side by side.
fn fetch_runs(context: &IndexContext<'_>, runs: &[RunToRead]) -> Vec<Result<Run>> {
    if let [run] = runs {
        return vec![fetch_run(context, &run.name, run.domain)];
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = runs
            .iter()
            .map(|run| scope.spawn(move || fetch_run(context, &run.name, run.domain)))
            .collect();
        let panicked = || Err(Error::object("an index run", "the thread that read it panicked"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect()
    })
}

/// Fetches and opens an index run.
pub(crate) fn fetch_run(
    context: &IndexContext<'_>,
    name: &Digest,
    domain: DomainId,
) -> Result<Run> {
    let object = VaultNames::run(name);
    let bytes = get_small(context.place, &object, RUN_BYTES_MAX)?;
    if Digest::of(&bytes) != *name {
        return Err(Error::object(&object, "its bytes do not have its name"));
    }
    open_run(context.keyring, &bytes, domain).map_err(|error| Error::object(&object, error))
}

/// Seals an index run of a session, under the newest key of its domain.
pub(crate) fn seal_run(
    context: &IndexContext<'_>,
    session: SessionId,
    domain: DomainId,
    epoch: Epoch,
    run: &Run,
) -> Result<SealedObject> {
    let keyring = context.keyring;
    let key = keyring.index(domain, epoch)?;
    let header = Header {
        suite: keyring.suite(),
        kind: ObjectKind::IndexRun,
        vault_id: keyring.vault_id(),
        session,
        epoch,
    };
    let mut sealer = ObjectSealer::new(header, Wrapping::Keyed(&key), context.entropy, Vec::new())?;
    sealer.write(&run.encode());
    let padded = padded_stream_len(sealer.stream_len());
    Ok(sealer.finish(padded)?)
}

/// Reads an object that is read whole, unless it is longer than its kind may be.
pub(crate) fn get_small(place: &dyn Place, name: &ObjectName, most: u64) -> Result<Bytes> {
    match place.stat(name)? {
        Some(stat) if stat.size > most => {
            let reason = format!("it is {} bytes, the limit is {most}", stat.size);
            Err(Error::object(name, reason))
        }
        _ => Ok(place.get(name, None)?),
    }
}

/// Opens an index run's bytes.
pub(crate) fn open_run(keyring: &Keyring, bytes: &[u8], domain: DomainId) -> Result<Run> {
    let header = Header::peek(bytes)?;
    let key = keyring.index(domain, header.epoch)?;
    let expected = Expected {
        kind: ObjectKind::IndexRun,
        vault_id: keyring.vault_id(),
        suite: keyring.suite(),
    };
    let payload = OpenedObject::open_whole(bytes, Unwrapping::Keyed(&key), expected)?;
    Run::decode(&payload).map_err(Error::decode("its payload"))
}
