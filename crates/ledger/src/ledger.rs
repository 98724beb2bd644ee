//! A state beside the place that its records lie in.
//!
//! A ledger catches up with the place, compares what it shows with what is remembered, and appends
//! one record at a time. What the place shows is never believed over the chain: a break, a
//! roll-back or a fork is an alarm that stops appending and leaves reading. DESIGN §9.

mod append;
mod bundle;
mod catch_up;
mod checkpoint;
mod leap;
mod mend;
mod receive;
mod recover;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use crypto::{Entropy, Keyring};
use format::{
    BUNDLE_SPANS, Config, Digest, FORMAT_NUMBER, Kind, Record, RecordAt, RecordHash, Ref, Seq,
    SignedRecord, VaultNames,
};
use places::{Clock, Place};

pub use append::Appended;
pub use bundle::BUNDLE_BYTES_MAX;
pub(crate) use bundle::decode as decode_bundle;
pub use checkpoint::{CHECKPOINT_BYTES_MAX, CHECKPOINT_RECORDS};

use crate::shelf::Shelf;
use crate::state::{check_config, open_payload};
use crate::{
    Alarm, Applied, Break, Context, Draft, Error, Memory, ProcessMemory, RecordBytes, Result,
    Standing, State, Trust, VoidReason,
};

/// What a ledger works with: not what it is to do, but through what.
#[derive(Clone)]
pub struct Components {
    /// Where the records lie.
    pub place: Arc<dyn Place>,
    /// Times records and back-off.
    pub clock: Arc<dyn Clock>,
    /// Seals bodies, spreads back-off.
    pub entropy: Arc<dyn Entropy>,
}

/// A vault's ledger at a place.
pub struct Ledger {
    components: Components,
    shelf: Shelf,
    keyring: Option<Arc<Keyring>>,
    memory: Arc<dyn Memory>,
    state: State,
    standing: Standing,
    /// The digest of the head's bytes, when they were read in this life.
    head_bytes: Option<Digest>,
    /// The head that the memory held before this ledger caught up.
    remembered: Option<RecordAt>,
    /// What is wrong with the place's history, found while catching up.
    history: Option<Alarm>,
    /// The id of the place's mark, when it is a replica.
    marked: Option<[u8; 16]>,
    first_contact: bool,
    listed: bool,
    /// Below these numbers no bundles are looked for, by their length.
    bundles_from: [Seq; BUNDLE_SPANS.len()],
    /// Bundles of each length, from the first on, that stand or that this ledger saw to.
    bundled: [u64; BUNDLE_SPANS.len()],
    tried_mends: BTreeSet<Seq>,
    checkpoints_tried: bool,
}

/// A record as [`Ledger::read`] finds it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// Its bytes.
    pub bytes: RecordBytes,
    /// The digest of its bytes.
    pub hash: RecordHash,
    /// Its clear part, when it decodes.
    pub record: Option<Record>,
    /// Its body's payload, when a key that is held opens it.
    pub payload: Option<Vec<u8>>,
    /// Why it is void, when it is one of the newest void records.
    pub void: Option<VoidReason>,
}

impl Ledger {
    /// Writes the first record of the vault with this signed config, or takes the valid one that
    /// lies there already. The config must lie in the place before: its put decides between two
    /// inits. The ledger remembers heads only as long as it lives; [`Ledger::open`] takes a
    /// memory that lasts.
    ///
    /// # Errors
    /// [`Error::Config`] when the config is not the keyring's vault's; [`Error::Broken`] when
    /// something else than its genesis lies there; and as [`Ledger::append`].
    pub fn init(
        components: Components,
        config_bytes: &[u8],
        keyring: Arc<Keyring>,
    ) -> Result<Self> {
        let (shelf, first) = Shelf::find(components.place.clone())?;
        Self::init_at(&shelf, first, components, config_bytes, keyring)
    }

    /// The same in a vault for a single writer, whose records carry their digest in their names:
    /// for a place that cannot refuse a second object of one name. A second record under one number
    /// stops everything there.
    ///
    /// # Errors
    /// As [`Ledger::init`].
    pub fn init_for_single_writer(
        components: Components,
        config_bytes: &[u8],
        keyring: Arc<Keyring>,
    ) -> Result<Self> {
        let (_, first) = Shelf::find(components.place.clone())?;
        let shelf = Shelf::for_single_writer(components.place.clone());
        Self::init_at(&shelf, first, components, config_bytes, keyring)
    }

    /// Whether a vault's first record lies at a place, however it is named.
    ///
    /// # Errors
    /// [`Error::Place`]; [`Error::TwoRecords`].
    pub fn is_begun(place: Arc<dyn Place>) -> Result<bool> {
        Ok(Shelf::find(place)?.1.is_some())
    }

    fn init_at(
        shelf: &Shelf,
        first: Option<RecordBytes>,
        components: Components,
        config_bytes: &[u8],
        keyring: Arc<Keyring>,
    ) -> Result<Self> {
        let config = check_config(config_bytes)?;
        check_vault(&config, &keyring)?;
        if first.is_none() {
            let bytes = append::genesis(&components, &config, config_bytes, &keyring)?;
            append::settle(shelf, &components, Seq(0), &bytes)?;
        }
        let memory = Arc::new(ProcessMemory::new());
        let mut ledger = Self::open(components, config_bytes, Some(keyring), memory, None)?;
        ledger.first_contact = false;
        ledger.judge_standing();
        Ok(ledger)
    }

    /// Opens the ledger and catches up with the place. Appends nothing, and writes nothing but the
    /// memory.
    ///
    /// `cached` is a state of this vault that this host kept sealed; it is dropped when it is not
    /// on the chain.
    ///
    /// # Errors
    /// [`Error::Config`]; [`Error::Empty`] when there is no first record; [`Error::Broken`] when
    /// the first record is not the vault's genesis; [`Error::Place`] and [`Error::Memory`].
    pub fn open(
        components: Components,
        config_bytes: &[u8],
        keyring: Option<Arc<Keyring>>,
        memory: Arc<dyn Memory>,
        cached: Option<State>,
    ) -> Result<Self> {
        let mut ledger = Self::begin(components, config_bytes, keyring, memory)?;
        if let Some(cached) = cached {
            ledger.take_cached(cached)?;
        }
        ledger.meet_remembered(ledger.state.head());
        // The head was read just now.
        ledger.read_on()?;
        ledger.look_below_end()?;
        Ok(ledger)
    }

    /// Opens the ledger without a key, for who deletes at this place what records dropped, after a
    /// hold of its own: `lying` is what lies there. Of these names [`State::forgotten_drops`] says
    /// also what the state itself has forgotten.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_to_purge(
        components: Components,
        config_bytes: &[u8],
        memory: Arc<dyn Memory>,
        lying: Arc<HashSet<Digest>>,
    ) -> Result<Self> {
        let mut ledger = Self::begin(components, config_bytes, None, memory)?;
        ledger.watch_drops(lying);
        ledger.meet_remembered(ledger.state.head());
        ledger.read_on()?;
        ledger.look_below_end()?;
        Ok(ledger)
    }

    /// Says anew what lies at the place, for [`State::forgotten_drops`] of what is applied from
    /// here on.
    pub fn watch_drops(&mut self, lying: Arc<HashSet<Digest>>) {
        self.state.watch_drops(lying);
    }

    /// A ledger of which only the first record was read.
    fn begin(
        components: Components,
        config_bytes: &[u8],
        keyring: Option<Arc<Keyring>>,
        memory: Arc<dyn Memory>,
    ) -> Result<Self> {
        let config = check_config(config_bytes)?;
        if let Some(keyring) = &keyring {
            check_vault(&config, keyring)?;
        }
        let marked = read_mark(&*components.place)?;
        let remembered = memory.head()?;
        let (mut shelf, genesis) = Shelf::find(components.place.clone())?;
        let mut genesis =
            genesis.ok_or_else(|| nothing_there(remembered.filter(|_| marked.is_none())))?;
        let state = match State::begin(config_bytes, &genesis, Trust::Check) {
            Err(error) if shelf.find_oldest_versions()? => {
                genesis = shelf.read(Seq(0))?.ok_or(error)?;
                State::begin(config_bytes, &genesis, Trust::Check)?
            }
            begun => begun?,
        };
        memory.keep_record(state.head(), &genesis);
        Ok(Self {
            components,
            shelf,
            keyring,
            memory,
            head_bytes: Some(Digest::of(&genesis.bytes)),
            state,
            standing: Standing::default(),
            remembered,
            history: None,
            marked,
            first_contact: remembered.is_none(),
            listed: false,
            bundles_from: [Seq(0); BUNDLE_SPANS.len()],
            bundled: [0; BUNDLE_SPANS.len()],
            tried_mends: BTreeSet::new(),
            checkpoints_tried: false,
        })
    }

    /// Whether the vault is for a single writer: a second record under one number stops everything.
    pub fn is_for_single_writer(&self) -> bool {
        self.shelf.is_for_single_writer()
    }

    /// Catches up with the place and judges anew how it stands.
    ///
    /// # Errors
    /// [`Error::Place`] when it does not answer, [`Error::TwoRecords`], [`Error::Memory`]. What is
    /// wrong with the records themselves is not an error here but an alarm of [`Self::standing`].
    pub fn refresh(&mut self) -> Result<()> {
        // A gap is known from what lies above it, so as long as there is one it is looked for.
        self.listed &= self.standing.broken().is_none();
        self.check_head()?;
        self.read_on()
    }

    /// Reads the ledger anew below what somebody wrote over or hid at its end, where versions are
    /// kept. In its midst that is a break, which is looked below by whoever meets it.
    fn look_below_end(&mut self) -> Result<()> {
        if self.standing.broken().is_none()
            && self.shelf.is_end_touched(self.state.head())?
            && self.shelf.find_oldest_versions()?
        {
            self.history = None;
            self.restart(&[])?;
            self.read_on()?;
        }
        Ok(())
    }

    fn read_on(&mut self) -> Result<()> {
        let broken = self.catch_up()?;
        self.follow_recovers()?;
        self.standing.alarms.clear();
        self.standing.alarms.extend(broken.map(Alarm::Break));
        self.judge_standing();
        self.remember_head()
    }

    /// Replays from the first record what a checkpoint was taken for, and takes none any more:
    /// after this the state is nobody's word but the records'.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub fn replay_anew(&mut self) -> Result<()> {
        self.restart(&[])?;
        self.refresh()
    }

    /// The state after the newest record that was applied.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How the place stands against what is known.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What it works with.
    pub fn components(&self) -> &Components {
        &self.components
    }

    /// The keys that it was opened with.
    pub fn keyring(&self) -> Option<&Arc<Keyring>> {
        self.keyring.as_ref()
    }

    /// Reads one record as it lies in the place. Whether it is valid only replay can say.
    ///
    /// # Errors
    /// [`Error::NoRecord`] when there is none; [`Error::Place`].
    pub fn read(&self, seq: Seq) -> Result<Entry> {
        let newest = self.state.head().seq;
        let bytes = self.shelf.read(seq)?.ok_or(Error::NoRecord { seq, newest })?;
        let hash = SignedRecord::hash(&bytes.bytes, bytes.whole_length);
        let whole = bytes.whole_length == bytes.bytes.len() as u64;
        let signed = whole.then(|| SignedRecord::decode(&bytes.bytes).ok()).flatten();
        let payload = match (&signed, &self.keyring) {
            (Some(signed), Some(keyring)) => {
                open_payload(self.state.config(), keyring, signed).ok()
            }
            _ => None,
        };
        let record = signed.map(|signed| signed.record);
        let voids = self.state.voids().newest;
        let void = voids.iter().find(|void| void.seq == seq).map(|void| void.reason);
        Ok(Entry { seq, bytes, hash, record, payload, void })
    }

    /// Replays the whole ledger from its first record, giving each record's bytes and what became
    /// of it, and returns the state that it leads to. The genesis is given as no [`Applied`].
    ///
    /// # Errors
    /// [`Error::Broken`] at a break, and what `each` returns.
    pub fn replay(
        &self,
        mut each: impl FnMut(&RecordBytes, Option<&Applied>) -> Result<()>,
    ) -> Result<State> {
        let genesis = self.shelf.read(Seq(0))?.ok_or(Error::Empty)?;
        let mut state = State::begin(self.state.config_bytes(), &genesis, Trust::Check)?;
        state.forget_as(&self.state);
        each(&genesis, None)?;
        for (seq, hash) in self.state.mends() {
            state.learn_mend(RecordAt { seq, hash });
        }
        let context = self.context();
        while state.next() <= self.state.head().seq {
            let count = (self.state.head().seq.0 - state.head().seq.0).min(64) as usize;
            for found in self.shelf.read_some(state.next(), count)? {
                let seq = state.next();
                let settled = state.pass_settled();
                let above = self.state.head().seq;
                let (bytes, applied) = match (found, settled) {
                    (None, None) => return Err(Break::Missing { seq, above }.into()),
                    (None, Some(applied)) => (RecordBytes::whole(Bytes::new()), applied),
                    (Some(bytes), Some(applied)) => (bytes, applied),
                    (Some(bytes), None) => {
                        let applied = state.apply(&bytes, &context)?;
                        (bytes, applied)
                    }
                };
                each(&bytes, Some(&applied))?;
            }
        }
        Ok(state)
    }

    /// The head that was remembered before this ledger caught up.
    pub fn remembered(&self) -> Option<RecordAt> {
        self.remembered
    }

    /// Appends a member's certificate, as [`crypto::Certificate::issue`] signed it, and its label.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn certify(&mut self, certificate: &[u8], label: &str) -> Result<Appended> {
        let payload = format::LabelBody { label: label.into() }.encode();
        let refs = vec![Ref::Certificate(certificate.to_vec())];
        self.append_one(Draft { refs, payload, ..Draft::new(Kind::Certify) })
    }

    /// Appends a record that does not depend on the state before it.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_one(&mut self, draft: Draft) -> Result<Appended> {
        let kind = draft.kind;
        let appended = self.append(|_| Ok::<_, Error>(Some(draft.clone())))?;
        appended.ok_or(Error::Contended { kind, tries: 0 })
    }

    fn context(&self) -> Context<'_> {
        Context { trust: Trust::Check, lists: &self.shelf, keyring: self.keyring.as_deref() }
    }

    /// Remembers the head, unless the place shows another history than the one remembered.
    fn remember_head(&mut self) -> Result<()> {
        if self.standing.broken().is_some() || self.history.is_some() {
            return Ok(());
        }
        let head = self.state.head();
        if let Some(newest) = self.state.recovers().last().map(|recover| recover.at)
            && self.remembered.is_none_or(|at| at.seq <= head.seq)
            && self.memory.recovered()? != Some(newest)
        {
            self.memory.note_recover(newest)?;
        }
        self.memory.remember(head)?;
        if self.remembered.is_none_or(|at| at.seq < head.seq) {
            self.remembered = Some(head);
        }
        Ok(())
    }

    /// Adds the alarms that follow from the state, the memory and the place's mark.
    fn judge_standing(&mut self) {
        let head = self.state.head();
        let alarms = &mut self.standing.alarms;
        alarms.retain(|alarm| matches!(alarm, Alarm::Break(_)));
        let broken = !alarms.is_empty();
        let recovered = |id: &[u8; 16]| self.state.recovers().iter().any(|r| r.place == *id);
        let replica = self.marked.as_ref().is_some_and(|id| !recovered(id));
        alarms.extend(self.history.clone());
        if let Some(remembered) = self.remembered.filter(|at| at.seq > head.seq)
            && !broken
            && !replica
            && self.history.is_none()
        {
            alarms.push(Alarm::RolledBack { remembered, found: head });
        }
        if self.state.format_number() > FORMAT_NUMBER {
            alarms.push(Alarm::NewerFormat { number: self.state.format_number() });
        }
        if replica {
            let remembered = self.remembered.map_or(head.seq, |at| at.seq);
            alarms.push(Alarm::Replica { lag: remembered.0.saturating_sub(head.seq.0) });
        }
        if self.first_contact {
            alarms.push(Alarm::HeadForgotten { found: head.seq });
        }
    }
}

fn check_vault(config: &Config, keyring: &Keyring) -> Result<()> {
    if keyring.vault_id() == config.vault && keyring.suite() == config.suite {
        return Ok(());
    }
    let reason = format!(
        "it is of vault {}, {}; the keys are of vault {}, {}",
        config.vault,
        config.suite,
        keyring.vault_id(),
        keyring.suite()
    );
    Err(Error::Config { reason })
}

/// The id in the mark of a replica. A mark that holds no id still is one: nobody can recover to it.
fn read_mark(place: &dyn Place) -> Result<Option<[u8; 16]>> {
    let name = VaultNames::replica();
    match place.stat(&name)? {
        None => return Ok(None),
        Some(stat) if stat.size != 16 => return Ok(Some([0; 16])),
        Some(_) => {}
    }
    match place.get(&name, None) {
        Ok(bytes) => Ok(Some(bytes[..].try_into().unwrap_or([0; 16]))),
        Err(error) if error.kind() == places::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What it means that there is no first record.
fn nothing_there(remembered: Option<RecordAt>) -> Error {
    let Some(remembered) = remembered else { return Error::Empty };
    let found = RecordAt { seq: Seq(0), hash: Digest::from_bytes([0; Digest::BYTES]) };
    Error::History(Box::new(Alarm::RolledBack { remembered, found }))
}
