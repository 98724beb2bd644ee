//! The place that is kept: marked before anything else, and read before anything is written.
//!
//! A place without the mark is only begun with when it is empty; one that an owner recovered to is
//! a vault of its own and left alone. The ledger that lies there says how far it is, and is told
//! what else lies there: it keeps in mind which record dropped that, however long ago. DESIGN §12.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use crypto::Digest;
use format::{CONFIG_BYTES_MAX, Config, NamedObject, RecordAt, Seq, VaultId, VaultNames};
use ledger::{Break, Components, Ledger, ProcessMemory, State, StoredTimes};
use places::{Place, Put, PutOptions};

use crate::source::copy_in_genesis;
use crate::{Error, Result};

/// The target of a replication.
pub(crate) struct Target {
    components: Components,
    config: Vec<u8>,
    has_config: bool,
    marked: bool,
    /// `None` before the first record was copied.
    ledger: Option<Ledger>,
    /// Packs and runs that lie there, once listed.
    present: Option<Arc<HashSet<Digest>>>,
    times: StoredTimes,
}

impl Target {
    /// Looks at what lies there.
    pub(crate) fn open(components: &Components, source: &Ledger) -> Result<Self> {
        let place = &*components.place;
        let config = source.state().config_bytes().to_vec();
        let no_replica = |found: String| Error::NoReplica { place: place.describe(), found };
        let marked = read_mark(place)?;
        let (has_config, vault) = config_there(place)?;
        if let Some(vault) = vault.filter(|vault| *vault != source.state().vault()) {
            return Err(no_replica(format!("it holds vault {vault}, not the source's")));
        }
        let memory = Arc::new(ProcessMemory::new());
        let present = match marked.is_some() {
            true => Some(Arc::new(list(place)?)),
            false => None,
        };
        let lying = present.clone().unwrap_or_default();
        let ledger = match Ledger::open_to_purge(components.clone(), &config, memory, lying) {
            Ok(ledger) => Some(ledger),
            Err(ledger::Error::Empty) => None,
            Err(error) => return Err(error.into()),
        };
        if marked.is_none() && (ledger.is_some() || has_config) {
            // The mark comes first; another replicator may just have begun.
            if read_mark(place)?.is_some() {
                return Self::open(components, source);
            }
            return Err(no_replica("it holds a vault that is not marked as a replica".into()));
        }
        if let (Some(ledger), Some(mark)) = (&ledger, &marked) {
            if ledger.state().recovers().iter().any(|recover| recover.place == *mark) {
                let found = "its owner recovered the vault to it: it has a history of its own";
                return Err(no_replica(found.into()));
            }
            if let Some(found) = ledger.standing().broken() {
                return Err(Error::Broken { place: place.describe(), found: found.to_string() });
            }
        }
        let components = components.clone();
        let (marked, times) = (marked.is_some(), StoredTimes::default());
        Ok(Self { components, config, has_config, marked, ledger, present, times })
    }

    pub(crate) fn components(&self) -> &Components {
        &self.components
    }

    /// The newest record that lies there.
    pub(crate) fn head(&self) -> Option<RecordAt> {
        self.ledger.as_ref().map(|ledger| ledger.state().head())
    }

    pub(crate) fn state(&self) -> Option<&State> {
        self.ledger.as_ref().map(Ledger::state)
    }

    /// An error when its records are no beginning of the source's. What a break hides at the source
    /// is nothing that it lacks, when the record behind the break confirms what lies here.
    pub(crate) fn check_history(&self, source: &Ledger) -> Result<()> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let Some(newest) = ledger.fork_from(source)? else { return Ok(()) };
        let first = ledger.parting_from(source)?;
        let place = self.components.place.describe();
        let is_confirmed = match source.standing().broken() {
            Some(Break::Previous { seq, named, .. }) => {
                let before = Seq(seq.0.saturating_sub(1));
                before <= newest && ledger.read(before)?.hash == *named
            }
            Some(_) => first > source.state().head().seq,
            None => false,
        };
        match first > source.state().head().seq {
            _ if is_confirmed => Ok(()),
            true => Err(Error::Behind { place, first, newest }),
            false => Err(Error::Fork { place, first }),
        }
    }

    /// Its ledger, once it has records.
    pub(crate) fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    /// When its records were stored, as far as that was asked.
    pub(crate) fn times(&mut self) -> &mut StoredTimes {
        &mut self.times
    }

    /// Whether it bears the mark.
    pub(crate) fn is_marked(&self) -> bool {
        self.marked
    }

    /// How large the objects are that it lacks before anything is copied: the mark, the config.
    pub(crate) fn lacking_first(&self) -> impl Iterator<Item = u64> {
        let mark = (!self.marked).then_some(MARK_BYTES as u64);
        let config = (!self.has_config).then_some(self.config.len() as u64);
        mark.into_iter().chain(config)
    }

    /// Marks the place, once: the mark's random id is how an owner's `recover` names it.
    pub(crate) fn mark(&mut self) -> Result<()> {
        if !self.marked {
            let mut id = [0; MARK_BYTES];
            self.components.entropy.fill(&mut id);
            let bytes = Bytes::copy_from_slice(&id);
            let place = &self.components.place;
            let (Put::Created | Put::Exists) =
                place.put(&VaultNames::replica(), bytes, &PutOptions::default())?;
            self.marked = true;
        }
        Ok(())
    }

    /// Puts the config, unless it lies there: the bytes that the first record holds.
    pub(crate) fn put_config(&mut self) -> Result<()> {
        if !self.has_config {
            let bytes = Bytes::copy_from_slice(&self.config);
            let place = &self.components.place;
            let (Put::Created | Put::Exists) =
                place.put(&VaultNames::config(), bytes, &PutOptions::default())?;
            self.has_config = true;
        }
        Ok(())
    }

    /// Tells the ledger what lies there, before it takes over records that drop some of it.
    pub(crate) fn expect_drops(&mut self) -> Result<()> {
        self.present()?;
        if let (Some(ledger), Some(present)) = (&mut self.ledger, &self.present) {
            ledger.watch_drops(present.clone());
        }
        Ok(())
    }

    /// Takes over the source's next record; says how many bytes it has.
    pub(crate) fn receive_next(&mut self, source: &Ledger) -> Result<u64> {
        match &mut self.ledger {
            Some(ledger) => Ok(ledger.receive_next(source)?),
            None => {
                let memory = Arc::new(ProcessMemory::new());
                let genesis = source.read(Seq(0))?.bytes.bytes;
                let components = self.components.clone();
                let ledger = Ledger::receive_first(components, &self.config, &genesis, memory)?;
                self.ledger = Some(ledger);
                Ok(genesis.len() as u64)
            }
        }
    }

    /// Packs and runs that lie there.
    pub(crate) fn present(&mut self) -> Result<&HashSet<Digest>> {
        if self.present.is_none() {
            self.present = Some(Arc::new(list(&*self.components.place)?));
        }
        Ok(self.present.get_or_insert_default())
    }

    /// As [`Self::present`], once that was asked for.
    pub(crate) fn listed(&self) -> Option<&HashSet<Digest>> {
        self.present.as_deref()
    }

    /// Forgets what was listed: others may have changed it.
    pub(crate) fn forget_listing(&mut self) {
        self.present = None;
    }

    pub(crate) fn note_present(&mut self, digest: Digest) {
        Arc::make_mut(self.present.get_or_insert_default()).insert(digest);
    }

    pub(crate) fn note_deleted(&mut self, digest: &Digest) {
        Arc::make_mut(self.present.get_or_insert_default()).remove(digest);
    }
}

/// The packs and runs that lie at a place.
fn list(place: &dyn Place) -> Result<HashSet<Digest>> {
    let mut present = HashSet::new();
    for prefix in [VaultNames::packs(), VaultNames::runs()] {
        for listed in place.list(&prefix, None)? {
            if let Some(NamedObject::Pack(digest) | NamedObject::Run(digest)) =
                NamedObject::parse(&listed?.name)
            {
                present.insert(digest);
            }
        }
    }
    Ok(present)
}

/// Whether a config lies there, and which vault it or its copy in the first record is of, if one
/// of them says.
fn config_there(place: &dyn Place) -> Result<(bool, Option<VaultId>)> {
    let vault_of = |bytes: &[u8]| Some(Config::decode(bytes).ok()?.0.vault);
    match place.get_start(&VaultNames::config(), CONFIG_BYTES_MAX as u64) {
        Ok(start) => Ok((true, vault_of(&start.bytes))),
        Err(error) if error.kind() == places::ErrorKind::Corrupt => Ok((true, None)),
        Err(error) if error.kind() == places::ErrorKind::NotFound => {
            Ok((false, copy_in_genesis(place)?.and_then(|copy| vault_of(&copy))))
        }
        Err(error) => Err(error.into()),
    }
}

const MARK_BYTES: usize = 16;

/// The id in the mark of a replica; zeros when it holds none.
fn read_mark(place: &dyn Place) -> Result<Option<[u8; MARK_BYTES]>> {
    match place.get_start(&VaultNames::replica(), MARK_BYTES as u64 + 1) {
        Ok(start) => Ok(Some(start.bytes[..].try_into().unwrap_or([0; MARK_BYTES]))),
        Err(error) if error.kind() == places::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
