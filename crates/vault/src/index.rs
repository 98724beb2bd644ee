//! The index: which chunk lies where, as the ledger and its index runs say.
//!
//! It is a few tables (`table.rs`). Runs that no table covers are fetched, opened and made into a
//! table; many small tables are merged into one, cut into shards by id so that no more than one
//! shard is in memory. Of what a run says only packs count that a record published under the
//! session that the run gives, and that the run's own session may list; a writer relies only on
//! those that are good, so neither a stale cache nor a lying run leads to a pack that may vanish. A
//! run that cannot be read hides what it alone lists, no more. Any number of processes share the
//! cache without a lock: files are written once and renamed into place. DESIGN §7, FORMAT.md §13.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::{
    Digest, Entropy, Expected, Header, Keyring, ObjectKind, OpenedObject, Role, SessionId,
    Unwrapping,
};
use format::{ChunkRef, DomainId, OBJECT_BYTES_MAX, PackListing, Run, VaultNames};
use ledger::{PackStanding, SessionStatus, State};
use places::Place;

use crate::home::Home;
use crate::table::{Table, TableBuilder, TableEntry, TablePack};
use crate::{Error, ErrorKind, Result};

/// More tables than this are merged.
const TABLES_MAX: usize = 12;
/// Entries of one shard of a merged table.
const SHARD_ENTRIES: usize = 1 << 18;
/// Runs that are fetched at the same time.
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
    covered: HashSet<Digest>,
    /// Runs that could not be read, and why.
    unread: BTreeMap<Digest, String>,
}

struct Indexed {
    table: Arc<Table>,
    /// How each pack of the table stands.
    standings: Vec<PackStanding>,
    path: Option<PathBuf>,
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
        if let Some(folder) = context.home.cache_folder("index")? {
            index.load(context, &folder)?;
        }
        index.sync(context, state)?;
        Ok(index)
    }

    /// Follows the ledger: fetches new runs, judges every pack anew.
    pub(crate) fn sync(&mut self, context: &IndexContext<'_>, state: &State) -> Result<()> {
        let mut builder = TableBuilder::default();
        self.unread.clear();
        let wanted: Vec<_> = self.runs_to_fetch(context.keyring, state).collect();
        for some in wanted.chunks(FETCHES_AT_ONCE) {
            for ((name, session, _), run) in some.iter().zip(fetch_runs(context, some)) {
                match run {
                    Ok(run) => cover(&mut builder, *name, *session, &run, state),
                    Err(error) if may_be_passed_over(&error) => {
                        self.unread.insert(*name, error.to_string());
                    }
                    Err(error) => return Err(error),
                }
                if builder.len() >= SHARD_ENTRIES {
                    self.add(context, std::mem::take(&mut builder))?;
                }
            }
        }
        self.add(context, builder)?;
        if self.tables.len() > TABLES_MAX {
            self.merge(context, state)?;
        }
        self.judge(state);
        Ok(())
    }

    /// The runs that no table covers, of domains that these keys see.
    fn runs_to_fetch(
        &self,
        keyring: &Keyring,
        state: &State,
    ) -> impl Iterator<Item = (Digest, SessionId, DomainId)> {
        let sees = |domain| match keyring.index(domain, state.epoch()) {
            Ok(_) | Err(crypto::Error::NoEpoch { .. }) => true,
            Err(_) => false,
        };
        let runs = state.runs().filter(|(name, _)| !self.covered.contains(*name));
        runs.filter_map(move |(name, origin)| {
            let domain = state.session(origin.session)?.domain;
            sees(domain).then_some((*name, origin.session, domain))
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
        self.judge(state);
        Ok(())
    }

    /// Judges every pack by the ledger's newest state.
    pub(crate) fn judge(&mut self, state: &State) {
        for indexed in &mut self.tables {
            let standing = |pack: &TablePack| match state.pack_standing(&pack.name) {
                PackStanding::Condemned => PackStanding::Condemned,
                standing if published_under(state, &pack.name, pack.session) => standing,
                _ => PackStanding::Unknown,
            };
            indexed.standings = indexed.table.packs.iter().map(standing).collect();
        }
    }

    /// A pack that holds the chunk and may be relied on.
    pub(crate) fn find_good(&self, domain: DomainId, chunk: &ChunkRef) -> Result<Option<Digest>> {
        for Indexed { table, standings, .. } in &self.tables {
            for entry in table.find(chunk)? {
                let pack = &table.packs[entry.pack as usize];
                let good = standings[entry.pack as usize] == PackStanding::Good;
                if good && pack.domain == domain {
                    return Ok(Some(pack.name));
                }
            }
        }
        Ok(None)
    }

    /// Where the chunk may be read, the best first. What is read is held to its id, so also packs
    /// that no writer may rely on are worth a try.
    pub(crate) fn find(&self, domain: DomainId, chunk: &ChunkRef) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for Indexed { table, standings, .. } in &self.tables {
            for entry in table.find(chunk)? {
                let pack = &table.packs[entry.pack as usize];
                let standing = standings[entry.pack as usize];
                if standing != PackStanding::Unknown && pack.domain == domain {
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

    fn load(&mut self, context: &IndexContext<'_>, folder: &Path) -> Result<()> {
        let keyring = context.keyring;
        let of = (keyring.suite(), keyring.vault_id());
        let files = std::fs::read_dir(folder).map_err(|e| Error::home(folder, e))?;
        let mut paths: Vec<PathBuf> = files.filter_map(|f| f.ok().map(|f| f.path())).collect();
        paths.sort();
        let mut opened = Vec::new();
        for path in paths {
            let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes()[0] == b'.');
            if hidden {
                continue;
            }
            match Table::open(&path, of, context.home.local()) {
                Ok(table) => opened.push((table, path)),
                // The cache is disposable: what does not open is made anew.
                Err(_) => {
                    let _ = std::fs::remove_file(&path);
                }
            }
        }
        let names: HashSet<String> =
            opened.iter().filter_map(|(_, path)| file_name(path).map(str::to_owned)).collect();
        for (table, path) in opened {
            // A shard that is missing takes the cover of its siblings with it.
            if table.siblings.iter().all(|file| names.contains(&file.to_string())) {
                self.take(table, Some(path));
            }
        }
        Ok(())
    }

    fn take(&mut self, table: Table, path: Option<PathBuf>) {
        self.covered.extend(table.runs.iter().copied());
        self.tables.push(Indexed { standings: Vec::new(), table: Arc::new(table), path });
    }

    fn add(&mut self, context: &IndexContext<'_>, builder: TableBuilder) -> Result<()> {
        if builder.is_empty() {
            return Ok(());
        }
        let payload = builder.encode();
        let keyring = context.keyring;
        let of = (keyring.suite(), keyring.vault_id());
        let Some(folder) = context.home.cache_folder("index")? else {
            self.take(Table::in_memory(payload)?, None);
            return Ok(());
        };
        let path = folder.join(Digest::of(&payload).to_string());
        let sealed = Table::seal(&payload, of, context.home.local(), context.entropy)?;
        drop(payload);
        Home::write_cache(&path, &[&sealed])?;
        drop(sealed);
        self.take(Table::open(&path, of, context.home.local())?, Some(path));
        Ok(())
    }

    /// Makes one table, in shards, of all: without packs that the ledger no longer knows.
    fn merge(&mut self, context: &IndexContext<'_>, state: &State) -> Result<()> {
        let old = std::mem::take(&mut self.tables);
        let covered = std::mem::take(&mut self.covered);
        let total: usize = old.iter().map(|indexed| indexed.table.len()).sum();
        let bits = (total.div_ceil(SHARD_ENTRIES)).next_power_of_two().ilog2() as u8;
        for prefix in 0..1usize << bits {
            let mut builder = TableBuilder::default();
            for Indexed { table, .. } in &old {
                for entry in table.shard(prefix, bits)? {
                    let pack = &table.packs[entry.pack as usize];
                    if state.pack(&pack.name).is_some() {
                        builder.add_entry(entry, pack);
                    }
                }
            }
            // The last shard covers the runs for all of them, and names those it cannot do without.
            if prefix + 1 == 1 << bits {
                let live = covered.iter().filter(|run| state.run(run).is_some());
                live.for_each(|run| builder.cover(*run));
                let files = self.tables.iter().filter_map(|t| file_name(t.path.as_ref()?));
                let files = files.filter_map(|name| name.parse().ok());
                files.for_each(|file| builder.needs_sibling(file));
            }
            self.add(context, builder)?;
        }
        let kept: HashSet<_> = self.tables.iter().filter_map(|t| t.path.clone()).collect();
        for path in old.iter().filter_map(|indexed| indexed.path.as_ref()) {
            if !kept.contains(path) {
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }
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

/// Fetches these runs side by side.
fn fetch_runs(
    context: &IndexContext<'_>,
    runs: &[(Digest, SessionId, DomainId)],
) -> Vec<Result<Run>> {
    if let [(name, _, domain)] = runs {
        return vec![fetch_run(context, name, *domain)];
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = runs
            .iter()
            .map(|(name, _, domain)| scope.spawn(move || fetch_run(context, name, *domain)))
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
    let bytes = context.place.get(&object, None)?;
    if Digest::of(&bytes) != *name || bytes.len() as u64 > OBJECT_BYTES_MAX {
        return Err(Error::object(&object, "its bytes do not have its name"));
    }
    open_run(context.keyring, &bytes, domain).map_err(|error| Error::object(&object, error))
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
