//! The index: which chunk lies where, as the ledger and its index runs say.
//!
//! It is a few tables (`table.rs`). Runs that no table covers are fetched, opened and made into a
//! table; many small tables are merged into one, cut into shards by id so that no more than one
//! shard is in memory. Of what a run says only packs count that the ledger knows as good and of the
//! same session, so neither a stale cache nor a lying run leads to a pack that may vanish. Any
//! number of processes share the cache without a lock: files are written once and renamed into
//! place. DESIGN §7.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::{Digest, Entropy, Expected, Header, Keyring, ObjectKind, OpenedObject, Unwrapping};
use format::{ChunkRef, DomainId, OBJECT_BYTES_MAX, Run, VaultNames};
use ledger::{PackStanding, State};
use places::Place;

use crate::home::Home;
use crate::table::{Table, TableBuilder, TableEntry, TablePack};
use crate::{Error, Result};

/// More tables than this are merged.
const TABLES_MAX: usize = 12;
/// Entries of one shard of a merged table.
const SHARD_ENTRIES: usize = 1 << 18;

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
}

struct Indexed {
    table: Arc<Table>,
    /// Which packs of the table may be relied on.
    usable: Vec<bool>,
    path: Option<PathBuf>,
}

/// Where a chunk lies.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) pack: TablePack,
    pub(crate) entry: TableEntry,
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
        for (name, origin) in state.runs() {
            if self.covered.contains(name) {
                continue;
            }
            let Some(session) = state.session(origin.session) else { continue };
            if context.keyring.index(session.domain, state.epoch()).is_err() {
                // A run of a domain that this key cannot see.
                continue;
            }
            let run = fetch_run(context, name, session.domain)?;
            cover(&mut builder, *name, &run, state);
            if builder.len() >= SHARD_ENTRIES {
                self.add(context, std::mem::take(&mut builder))?;
            }
        }
        self.add(context, builder)?;
        if self.tables.len() > TABLES_MAX {
            self.merge(context, state)?;
        }
        self.judge(state);
        Ok(())
    }

    /// Adds a run that this process made.
    pub(crate) fn add_run(
        &mut self,
        context: &IndexContext<'_>,
        name: Digest,
        run: &Run,
        state: &State,
    ) -> Result<()> {
        let mut builder = TableBuilder::default();
        cover(&mut builder, name, run, state);
        self.add(context, builder)?;
        self.judge(state);
        Ok(())
    }

    /// Judges every pack by the ledger's newest state.
    pub(crate) fn judge(&mut self, state: &State) {
        for indexed in &mut self.tables {
            let usable = |pack: &TablePack| {
                state.pack_standing(&pack.name) == PackStanding::Good
                    && state.pack(&pack.name).is_some_and(|o| o.session == pack.session)
            };
            indexed.usable = indexed.table.packs.iter().map(usable).collect();
        }
    }

    /// Where the chunk lies in packs that may be relied on.
    pub(crate) fn find(&self, domain: DomainId, chunk: &ChunkRef) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for Indexed { table, usable, .. } in &self.tables {
            for entry in table.find(chunk)? {
                let pack = &table.packs[entry.pack as usize];
                if usable[entry.pack as usize] && pack.domain == domain {
                    found.push(Found { pack: pack.clone(), entry });
                }
            }
        }
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
        self.tables.push(Indexed { usable: Vec::new(), table: Arc::new(table), path });
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

fn cover(builder: &mut TableBuilder, name: Digest, run: &Run, state: &State) {
    builder.cover(name);
    for listing in &run.packs {
        if let Some(session) = state.session(listing.session) {
            builder.add(listing, session.domain);
        }
    }
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
