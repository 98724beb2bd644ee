//! The place that is kept: marked before anything else, and read before anything is written.
//!
//! A place without the mark is only begun with when it is empty; one that an owner recovered to is
//! a vault of its own and left alone. The ledger that lies there says how far it is, and is told
//! what else lies there: it keeps in mind which record dropped that, however long ago. DESIGN §12.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use crypto::Digest;
use format::{NamedObject, RecordAt, Seq, VaultNames};
use ledger::{Components, Ledger, ProcessMemory, State};
use places::{Place, Put, PutOptions};

use crate::{Error, Result};

/// The target of a replication.
pub(crate) struct Target {
    components: Components,
    config: Vec<u8>,
    marked: bool,
    /// `None` before the first record was copied.
    ledger: Option<Ledger>,
    /// Packs and runs that lie there, once listed.
    present: Option<Arc<HashSet<Digest>>>,
}

impl Target {
    /// Looks at what lies there.
    pub(crate) fn open(components: &Components, source: &Ledger) -> Result<Self> {
        let place = &*components.place;
        let config = source.state().config_bytes().to_vec();
        let no_replica = |found: String| Error::NoReplica { place: place.describe(), found };
        let marked = read_mark(place)?;
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
        if marked.is_none() && (ledger.is_some() || place.stat(&VaultNames::config())?.is_some()) {
            return Err(no_replica("it holds a vault that is not marked as a replica".into()));
        }
        if let (Some(ledger), Some(mark)) = (&ledger, &marked) {
            if ledger.state().recovers().iter().any(|recover| recover.place == *mark) {
                let found = "its owner recovered the vault to it: it has a history of its own";
                return Err(no_replica(found.into()));
            }
            if let Some(found) = ledger.standing().broken() {
                return Err(ledger::Error::from(found.clone()).into());
            }
        }
        let components = components.clone();
        Ok(Self { components, config, marked: marked.is_some(), ledger, present })
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

    /// The newest number whose record the source lacks or has otherwise.
    pub(crate) fn fork_from(&self, source: &Ledger) -> Result<Option<Seq>> {
        match &self.ledger {
            Some(ledger) => Ok(ledger.fork_from(source)?),
            None => Ok(None),
        }
    }

    /// Marks the place, once: the mark's random id is how an owner's `recover` names it.
    pub(crate) fn mark(&mut self) -> Result<()> {
        if !self.marked {
            let mut id = [0; 16];
            self.components.entropy.fill(&mut id);
            let bytes = Bytes::copy_from_slice(&id);
            let place = &self.components.place;
            let (Put::Created | Put::Exists) =
                place.put(&VaultNames::replica(), bytes, &PutOptions::default())?;
            self.marked = true;
        }
        Ok(())
    }

    /// Puts the config, unless it lies there.
    pub(crate) fn put_config(&self, found: &Bytes) -> Result<()> {
        let place = &self.components.place;
        if place.stat(&VaultNames::config())?.is_none() {
            // The copy in the first record was checked; the object may be damaged.
            let bytes = match found[..] == self.config[..] {
                true => found.clone(),
                false => self.config.clone().into(),
            };
            let (Put::Created | Put::Exists) =
                place.put(&VaultNames::config(), bytes, &PutOptions::default())?;
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

    /// Takes over the source's next record.
    pub(crate) fn receive_next(&mut self, source: &Ledger) -> Result<()> {
        match &mut self.ledger {
            Some(ledger) => ledger.receive_next(source)?,
            None => {
                let memory = Arc::new(ProcessMemory::new());
                let genesis = source.read(Seq(0))?.bytes.bytes;
                let components = self.components.clone();
                let ledger = Ledger::receive_first(components, &self.config, &genesis, memory)?;
                self.ledger = Some(ledger);
            }
        }
        Ok(())
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

/// The id in the mark of a replica; zeros when it holds none.
fn read_mark(place: &dyn Place) -> Result<Option<[u8; 16]>> {
    match place.stat(&VaultNames::replica())? {
        None => Ok(None),
        Some(stat) if stat.size != 16 => Ok(Some([0; 16])),
        Some(_) => {
            let bytes = place.get(&VaultNames::replica(), None)?;
            Ok(Some(bytes[..].try_into().unwrap_or([0; 16])))
        }
    }
}
