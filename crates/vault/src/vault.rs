//! A vault that is open: its place, its keys, its ledger, its index.
//!
//! Opening reads and appends nothing. The host's member is made and certified just before the first
//! record that it appends. Sessions that died on this host are abandoned before a new one is
//! opened. DESIGN §6, §9.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crypto::{Certificate, Keyring, MemberId, MemberKeys, ObjectKind, Role, SessionId};
use format::{Config, Descriptor, DomainId, Seq};
use ledger::{
    Components, Draft, Ledger, PackStanding, SessionStatus, SnapshotStanding, State, StoredTimes,
};
use places::{ErrorKind as PlaceErrorKind, Time};

use crate::config::read_config;
use crate::home::{Folders, HeadMemory, Home, Seen, SessionLock, remove_leftover};
use crate::index::{Index, IndexContext};
use crate::origin::plain_tags;
use crate::pack_builder::{NextMould, PackBuilder, PackMould, newest_key};
use crate::pack_source::{CopyUse, PackSource};
use crate::reader::{Reader, ReaderParts};
use crate::rules::{Rule, Rules};
use crate::writer::{Counters, Rehearsal, Shared, WriteOptions, Writer, WriterParts, lock};
use crate::{Error, ErrorKind, Result};

/// Other members' snapshots that are looked at for a base.
const OTHERS_TRIED: usize = 256;

/// A vault that is open.
pub struct Vault {
    components: Components,
    keyring: Arc<Keyring>,
    home: Arc<Home>,
    seen: Seen,
    config: Config,
    ledger: Arc<Mutex<Ledger>>,
    index: Arc<RwLock<Index>>,
    index_at: Option<Seq>,
    label: String,
    rules: Rules,
    stored_times: StoredTimes,
    /// Descriptors that were read: they never change.
    descriptors: HashMap<SessionId, Descriptor>,
}

/// So many descriptors are read at the same time.
const DESCRIBED_AT_ONCE: usize = 8;

/// A snapshot of the vault.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its id.
    pub id: SessionId,
    /// The number of its `commit` record.
    pub seq: Seq,
    /// When that record claims to be made.
    pub claimed: Time,
    /// Who made it.
    pub member: MemberId,
    /// Its domain.
    pub domain: DomainId,
    /// Live or in the trash.
    pub standing: SnapshotStanding,
    /// Which record put it into the trash, when it lies there.
    pub forgotten: Option<Forgotten>,
    /// Whether nobody may forget or purge it.
    pub held: bool,
    /// Its tags in force: the newest `tag` record's, else its descriptor's. Sorted, each once;
    /// without the marks of a copy.
    pub tags: Vec<String>,
    /// What it is of; `None` when this role cannot open it, or it is damaged.
    pub descriptor: Option<Descriptor>,
    /// Why the descriptor cannot be read, when it is damaged.
    pub problem: Option<String>,
}

/// How a snapshot came into the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The `forget` record.
    pub seq: Seq,
    /// When the place stored it; `None` when it does not say.
    pub at: Option<Time>,
}

impl Vault {
    /// Opens the vault that a place holds. Reads the ledger; appends nothing. A host's new member
    /// is called `label`.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::Config`], [`Error::OtherVault`], errors of the place and
    /// ledger.
    pub fn open(
        components: Components,
        folders: &Folders,
        keyring: Keyring,
        label: &str,
    ) -> Result<Self> {
        Self::open_knowing(components, folders, keyring, label, Seen::default())
    }

    /// As [`Self::open`], when it is known what was seen of the ledger elsewhere: a place that
    /// shows less was rolled back, whatever this host has seen itself.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_knowing(
        components: Components,
        folders: &Folders,
        keyring: Keyring,
        label: &str,
        seen: Seen,
    ) -> Result<Self> {
        let place = components.place.as_ref();
        let (config, bytes) = read_config(place)?;
        if config.vault != keyring.vault_id() {
            return Err(Error::OtherVault {
                key: keyring.vault_id().to_string(),
                place: place.describe(),
                vault: config.vault.to_string(),
            });
        }
        let home = Arc::new(Home::open(folders, &keyring)?);
        if keyring.role() == Role::Owner
            && let Some(member) = home.member()?
        {
            keyring.attach_member(member)?;
        }
        let keyring = Arc::new(keyring);
        let memory = Arc::new(HeadMemory::new(home.clone(), components.entropy.clone(), seen));
        let cached = crate::state_cache::load(&home, &keyring);
        let kept = cached.as_ref().map(State::head);
        let ledger =
            Ledger::open(components.clone(), &bytes, Some(keyring.clone()), memory, cached)?;
        let (head, weight) = (ledger.state().head(), ledger.state().weight());
        if crate::state_cache::is_worth_keeping(head, weight, kept) {
            crate::state_cache::keep(&home, &keyring, ledger.state(), components.entropy.as_ref());
        }
        Ok(Self {
            components,
            keyring,
            home,
            seen,
            config,
            ledger: Arc::new(Mutex::new(ledger)),
            index: Arc::default(),
            index_at: None,
            label: label.to_owned(),
            rules: Rules::ALL,
            stored_times: StoredTimes::default(),
            descriptors: HashMap::new(),
        })
    }

    /// What the vault is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The keys at hand.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Which safety rules hold: all of them, except in a test of what they prevent.
    #[doc(hidden)]
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The place, clock and entropy that the vault works with.
    pub fn components(&self) -> &Components {
        &self.components
    }

    /// The ledger. Held only as long as needed: readers and writers of this vault wait for it.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Reads the ledger on.
    ///
    /// # Errors
    /// Those of the place and the ledger.
    pub fn refresh(&mut self) -> Result<()> {
        self.ledger().refresh()?;
        Ok(())
    }

    /// All snapshots that are live or in the trash, in the order of their records.
    ///
    /// # Errors
    /// When the index cannot be had; errors of the place. A descriptor that is damaged costs the
    /// others nothing: [`Snapshot::problem`] says so.
    pub fn snapshots(&mut self) -> Result<Vec<Snapshot>> {
        let reader = self.reader()?;
        let listed: Vec<_> = {
            let ledger = self.ledger();
            let there = ledger.state().snapshots();
            let there = there.filter(|(_, s)| s.standing != SnapshotStanding::Purged);
            there.map(|(id, snapshot)| (id, snapshot.clone())).collect()
        };
        let mut snapshots = self.describe_all(&reader, listed)?;
        snapshots.sort_unstable_by_key(|snapshot| snapshot.seq);
        for snapshot in &snapshots {
            if let Some(descriptor) = &snapshot.descriptor {
                self.descriptors.insert(snapshot.id, descriptor.clone());
            }
        }
        self.date_forgotten(&mut snapshots);
        Ok(snapshots)
    }

    /// Describes snapshots, several at a time: each descriptor lies in a pack of its own, and a
    /// place far away answers slowly. Those that were read before are not read again.
    fn describe_all(
        &self,
        reader: &Reader,
        mut listed: Vec<(SessionId, ledger::Snapshot)>,
    ) -> Result<Vec<Snapshot>> {
        listed.sort_by_cached_key(|(_, snapshot)| {
            let chunk = snapshot.body.map(|body| body.descriptor);
            chunk.and_then(|chunk| reader.locate(snapshot.domain, chunk).ok().flatten())
        });
        let describe = |(id, snapshot): &(SessionId, ledger::Snapshot)| {
            if let Some(descriptor) = self.descriptors.get(id) {
                return Ok(described(*id, snapshot, Some(descriptor.clone())));
            }
            self.describe(reader, *id, snapshot).or_else(|error| match error.kind() {
                ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Invalid => {
                    let problem = Some(error.to_string());
                    Ok(Snapshot { problem, ..undescribed(*id, snapshot) })
                }
                _ => Err(error),
            })
        };
        if listed.len() < DESCRIBED_AT_ONCE {
            return listed.iter().map(describe).collect();
        }
        std::thread::scope(|scope| {
            let parts = listed.chunks(listed.len().div_ceil(DESCRIBED_AT_ONCE));
            let describe = &describe;
            let threads: Vec<_> = parts
                .map(|part| scope.spawn(move || part.iter().map(describe).collect::<Vec<_>>()))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            let done = joined.map(|done| done.unwrap_or_else(|p| std::panic::resume_unwind(p)));
            done.flatten().collect()
        })
    }

    /// One snapshot.
    ///
    /// # Errors
    /// [`Error::NoSnapshot`]; when its descriptor is damaged; those of [`Self::snapshots`].
    pub fn snapshot(&mut self, id: SessionId) -> Result<Snapshot> {
        let reader = self.reader()?;
        let found = self.ledger().state().snapshot(id).cloned();
        let found = found.filter(|s| s.standing != SnapshotStanding::Purged);
        let found = found.ok_or(Error::NoSnapshot { snapshot: id })?;
        let mut snapshot = self.describe(&reader, id, &found)?;
        self.date_forgotten(std::slice::from_mut(&mut snapshot));
        Ok(snapshot)
    }

    /// Asks the place when it stored these records.
    pub(crate) fn learn_stored(&mut self, records: &BTreeSet<Seq>) -> Result<()> {
        Ok(self.stored_times.learn(self.components.place.as_ref(), records)?)
    }

    /// When the place stored the records that were asked for.
    pub(crate) fn stored_times(&self) -> &StoredTimes {
        &self.stored_times
    }

    /// The snapshot that a new backup of this source builds on: its newest of this member, else of
    /// its domain, where only so many of the newest are looked at: each costs a read.
    ///
    /// # Errors
    /// When the index cannot be had.
    pub fn base_for(&mut self, name: &str, paths: &[Vec<u8>]) -> Result<Option<Snapshot>> {
        let reader = self.reader()?;
        let domain = self.session_domain(None);
        let own = self.keyring.member_id().ok();
        let (owned, others): (Vec<_>, Vec<_>) = {
            let ledger = self.ledger();
            let there = ledger.state().snapshots().rev();
            let there = there.filter(|(_, s)| s.standing != SnapshotStanding::Purged);
            let there = there.filter(|(_, s)| s.domain == domain);
            there
                .map(|(id, snapshot)| (id, snapshot.clone()))
                .partition(|(_, snapshot)| Some(snapshot.member) == own)
        };
        for (id, snapshot) in owned.into_iter().chain(others.into_iter().take(OTHERS_TRIED)) {
            // Damage of an old descriptor costs a base, not the backup.
            let Ok(snapshot) = self.describe(&reader, id, &snapshot) else { continue };
            let fits = |d: &Descriptor| d.name == name && d.paths == paths;
            if snapshot.descriptor.as_ref().is_some_and(fits) {
                return Ok(Some(snapshot));
            }
        }
        Ok(None)
    }

    /// What does not stop the work and should be said: index runs that could not be read.
    pub fn warnings(&self) -> Vec<String> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let unread = index.unread().iter();
        unread.map(|(_, reason)| format!("what this run lists is not found: {reason}")).collect()
    }

    /// Reads chunks.
    ///
    /// # Errors
    /// When the index cannot be had.
    pub fn reader(&mut self) -> Result<Reader> {
        self.reader_with(CopyUse::WhenKept)
    }

    /// Reads chunks as they lie in the place, never from this host's copies.
    pub(crate) fn reader_of_place(&mut self) -> Result<Reader> {
        self.reader_with(CopyUse::Never)
    }

    fn reader_with(&mut self, copies: CopyUse) -> Result<Reader> {
        self.sync_index()?;
        let parts = ReaderParts {
            place: self.components.place.clone(),
            entropy: self.components.entropy.clone(),
            keyring: self.keyring.clone(),
            home: self.home.clone(),
            ledger: self.ledger.clone(),
            index: self.index.clone(),
        };
        Ok(Reader::new(parts, copies))
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`Error::NoConditions`] for a place that cannot refuse a second writer;
    /// [`Error::OutOfLimits`] for a pack size; errors of the place, the ledger, the role.
    pub fn write(&mut self, options: WriteOptions) -> Result<Writer> {
        let stream_length = self.pack_size(options.pack_size)?;
        let domain = self.session_domain(options.domain);
        // Before anything is appended: not every role that may open a session can name chunks.
        self.keyring.content_names(domain)?;
        let session = SessionId::draw(self.components.entropy.as_ref());
        let (member, lock, base) = match options.rehearsal {
            Rehearsal::Yes => (MemberId::ROOT, None, options.base),
            Rehearsal::No => {
                self.probe()?;
                let member = self.ensure_member()?;
                self.abandon_dead_sessions(member)?;
                let lock = self.home.lock_session(session)?;
                let base = self.append_open(session, domain, options.base)?;
                (member, Some(lock), base)
            }
        };
        self.sync_index()?;
        self.drop_old_copies();
        let mut shared = self.shared(session, domain, stream_length, options.rehearsal)?;
        shared.inherits = base.is_some();
        Writer::new(WriterParts { shared, lock, base, member, options })
    }

    /// Certifies this host's member when it is not yet; needed before anything is appended.
    ///
    /// # Errors
    /// Those of the ledger and the host's state folder.
    pub fn ensure_member(&mut self) -> Result<MemberId> {
        if self.keyring.role() != Role::Owner {
            return Ok(self.keyring.member_id()?);
        }
        if self.keyring.member().is_err() {
            let drawn = MemberKeys::draw(self.components.entropy.as_ref());
            let kept = self.home.keep_member(drawn, self.components.entropy.as_ref())?;
            self.keyring.attach_member(kept)?;
        }
        let keys = self.keyring.member()?;
        let member = keys.member_id();
        let standing = self.ledger().state().member(member).map(|m| m.revoked.is_some());
        match standing {
            Some(false) => return Ok(member),
            Some(true) => {
                self.home.retire_member(keys)?;
                return Err(Error::Name {
                    what: "this host's member",
                    value: member.to_string(),
                    reason: "it was revoked; run the command again for a new one",
                });
            }
            None => {}
        }
        let epoch = self.ledger().state().epoch();
        let domain = DomainId::DEFAULT;
        let certificate = Certificate::of(keys, self.config.vault, Role::Owner, domain, epoch);
        let certificate = certificate.issue(self.keyring.root_signing()?);
        let label = self.label.clone();
        self.ledger().certify(&certificate, &label)?;
        Ok(member)
    }

    /// Makes sure, once, that the place refuses a second object under one name. A vault for a
    /// single writer does not need that.
    fn probe(&self) -> Result<()> {
        if self.ledger().is_for_single_writer() {
            return Ok(());
        }
        if self.home.was_probed(&self.components.place.describe()) {
            return Ok(());
        }
        probe_place(&self.components)?;
        self.remember_probe()
    }

    /// Keeps in mind that the place refuses a second object under one name.
    pub(crate) fn remember_probe(&self) -> Result<()> {
        self.home.remember_probe(&self.components.place.describe())
    }

    /// Removes the copies of packs that are condemned, or that no record will ever name: their
    /// session is closed.
    fn drop_old_copies(&self) {
        let Ok(Some(folder)) = PackSource::copies(&self.home) else { return };
        let ledger = self.ledger();
        for file in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = file.file_name();
            let Some(pack) = name.to_str().and_then(|name| name.parse().ok()) else {
                remove_leftover(&file.path());
                continue;
            };
            let over = match ledger.state().pack_standing(&pack) {
                PackStanding::Condemned => true,
                PackStanding::Unknown => PackSource::session_of_copy(&file.path())
                    .is_some_and(|session| ledger.state().is_closed(session)),
                _ => false,
            };
            if over {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }

    pub(crate) fn abandon_dead_sessions(&self, member: MemberId) -> Result<()> {
        for dead in self.home.dead_sessions()? {
            if let Some(session) = dead.session() {
                self.ledger().append(|state| {
                    let open = state
                        .session(session)
                        .is_some_and(|s| s.status == SessionStatus::Open && s.member == member);
                    Ok::<_, Error>(open.then(|| Draft::abandon(session)))
                })?;
            }
            dead.remove();
        }
        Ok(())
    }

    /// Appends `open`; gives the base that stands at that point.
    fn append_open(
        &self,
        session: SessionId,
        domain: DomainId,
        base: Option<SessionId>,
    ) -> Result<Option<SessionId>> {
        let mut chosen = base;
        let named = self.rules.hold(Rule::NameTheBase);
        self.ledger().append(|state| {
            chosen = base.filter(|base| {
                state
                    .snapshot(*base)
                    .is_some_and(|s| s.standing != SnapshotStanding::Purged && s.domain == domain)
            });
            Ok::<_, Error>(Some(Draft::open(session, domain, chosen.filter(|_| named))))
        })?;
        Ok(chosen)
    }

    fn shared(
        &self,
        session: SessionId,
        domain: DomainId,
        stream_length: u64,
        rehearsal: Rehearsal,
    ) -> Result<Shared> {
        let Components { place, clock, entropy } = self.components.clone();
        let keyring = self.keyring.clone();
        let ledger = self.ledger();
        let next = |kind: ObjectKind| -> Result<NextMould> {
            let (epoch, public) = newest_key(ledger.state(), kind)?;
            let copies = kind == ObjectKind::MetadataPack && rehearsal == Rehearsal::No;
            Ok(NextMould::new(PackMould {
                kind,
                suite: self.config.suite,
                vault_id: self.config.vault,
                session,
                epoch,
                public,
                local: copies.then(|| keyring.local()),
                stream_length,
                entropy: entropy.clone(),
            }))
        };
        let moulds = [next(ObjectKind::ContentPack)?, next(ObjectKind::MetadataPack)?];
        let [content, meta] =
            moulds.each_ref().map(|next| Mutex::new(PackBuilder::new(next.clone())));
        let Config { chunk_min, chunk_avg, chunk_max, .. } = self.config;
        let chunk_sizes = chunker::ChunkSizes::new(chunk_min, chunk_avg, chunk_max)
            .map_err(|error| Error::object("the config", error))?;
        let gear = chunker::Gear::from_bytes(&keyring.chunker(domain)?.gear_tables());
        Ok(Shared {
            gear: Arc::new(gear),
            chunk_sizes,
            tree_key: Arc::new(keyring.tree(domain)?),
            moulds,
            content_names: keyring.content_names(domain)?,
            node_names: keyring.node_names(domain)?,
            place,
            clock,
            entropy: entropy.clone(),
            keyring,
            home: self.home.clone(),
            ledger: self.ledger.clone(),
            index: self.index.clone(),
            config: self.config.clone(),
            session,
            domain,
            content,
            meta,
            pending: Default::default(),
            unstored: Default::default(),
            relied: Mutex::default(),
            inherits: false,
            lost_seen: Mutex::new(ledger.state().newest_lost()),
            any_lost: ledger.state().lost().next().is_some().into(),
            rules: self.rules,
            counters: Counters::default(),
        })
    }

    /// The domain that a session of this member works in.
    fn session_domain(&self, wanted: Option<DomainId>) -> DomainId {
        wanted.unwrap_or_else(|| self.keyring.domain())
    }

    /// How long the stream of a full pack is.
    pub(crate) fn full_stream_length(&self) -> u64 {
        u64::from(self.config.pack_size).next_multiple_of(crypto::SEGMENT_PLAIN_BYTES as u64)
    }

    fn pack_size(&self, wanted: Option<u32>) -> Result<u64> {
        let size = wanted.unwrap_or(self.config.pack_size);
        let (least, most) = (format::PACK_BYTES_MIN, format::PACK_BYTES_MAX);
        if !(least..=most).contains(&size) {
            return Err(Error::OutOfLimits {
                what: "the pack size in bytes",
                value: size.into(),
                least: least.into(),
                most: most.into(),
            });
        }
        // Whole segments: a full pack's last one is as long as the others.
        Ok(u64::from(size).next_multiple_of(crypto::SEGMENT_PLAIN_BYTES as u64))
    }

    fn describe(
        &self,
        reader: &Reader,
        id: SessionId,
        snapshot: &ledger::Snapshot,
    ) -> Result<Snapshot> {
        let descriptor = match snapshot.body {
            None => None,
            Some(body) => match reader.chunk(snapshot.domain, body.descriptor) {
                Ok(bytes) => Some(read_descriptor(id, snapshot, &bytes)?),
                Err(error) if self.is_out_of_reach(&error) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(described(id, snapshot, descriptor))
    }

    /// Whether an error only says that this role may not read it.
    fn is_out_of_reach(&self, error: &Error) -> bool {
        let no_meta = self.keyring.meta_secret(self.ledger().state().epoch()).is_err();
        error.kind() == crate::ErrorKind::Denied
            || (no_meta && matches!(error, Error::ChunkMissing { .. }))
    }

    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    /// Opens a session that stores no chunks, such as one that publishes index runs.
    pub(crate) fn begin_session(&mut self, domain: DomainId) -> Result<(SessionId, SessionLock)> {
        self.probe()?;
        let member = self.ensure_member()?;
        self.abandon_dead_sessions(member)?;
        let session = SessionId::draw(self.components.entropy.as_ref());
        let lock = self.home.lock_session(session)?;
        self.append_open(session, domain, None)?;
        Ok((session, lock))
    }

    /// Reads the index anew when it is asked next.
    pub(crate) fn forget_index(&mut self) {
        self.index_at = None;
    }

    pub(crate) fn head_memory(&self) -> Arc<HeadMemory> {
        Arc::new(HeadMemory::new(self.home.clone(), self.components.entropy.clone(), self.seen))
    }

    pub(crate) fn keyring_shared(&self) -> Arc<Keyring> {
        self.keyring.clone()
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn index_handle(&self) -> Arc<RwLock<Index>> {
        self.index.clone()
    }

    /// Index runs that could not be read, and why.
    pub(crate) fn unread_runs(&self) -> Vec<(crypto::Digest, String)> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.unread().iter().map(|(run, reason)| (*run, reason.clone())).collect()
    }

    /// Follows the ledger without merging tables, so that ordinals keep their meaning.
    pub(crate) fn extend_index(&mut self) -> Result<()> {
        let ledger = lock(&self.ledger);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.extend(&self.index_context(), ledger.state())?;
        self.index_at = Some(ledger.state().head().seq);
        Ok(())
    }

    pub(crate) fn index_context(&self) -> IndexContext<'_> {
        IndexContext {
            place: self.components.place.as_ref(),
            keyring: &self.keyring,
            home: &self.home,
            entropy: self.components.entropy.as_ref(),
        }
    }

    pub(crate) fn index(&self) -> &RwLock<Index> {
        &self.index
    }

    pub(crate) fn sync_index(&mut self) -> Result<()> {
        let ledger = lock(&self.ledger);
        let state: &State = ledger.state();
        let at = state.head().seq;
        if self.index_at == Some(at) {
            return Ok(());
        }
        let context = self.index_context();
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if self.index_at.is_none() {
            *index = Index::open(&context, state)?;
        } else {
            index.sync(&context, state)?;
        }
        self.index_at = Some(at);
        Ok(())
    }
}

/// Checks that a place refuses a second object under one name.
pub(crate) fn probe_place(components: &Components) -> Result<()> {
    let place = components.place.as_ref();
    let capabilities = places::probe(place, &mut |bytes| components.entropy.fill(bytes))?;
    if !capabilities.if_absent {
        return Err(Error::NoConditions { place: place.describe() });
    }
    Ok(())
}

/// A snapshot with its descriptor, whose tags count until a record changes them.
fn described(
    id: SessionId,
    snapshot: &ledger::Snapshot,
    descriptor: Option<Descriptor>,
) -> Snapshot {
    let tags = match (&snapshot.tags, &descriptor) {
        (None, Some(descriptor)) => plain_tags(descriptor),
        (tags, _) => tags.clone().unwrap_or_default(),
    };
    Snapshot { descriptor, tags, ..undescribed(id, snapshot) }
}

/// What the ledger alone says of a snapshot.
fn undescribed(id: SessionId, snapshot: &ledger::Snapshot) -> Snapshot {
    let ledger::Snapshot { seq, claimed, member, domain, standing, since, held, .. } = *snapshot;
    let trashed = standing == SnapshotStanding::Trashed;
    Snapshot {
        id,
        seq,
        claimed,
        member,
        domain,
        standing,
        forgotten: trashed.then_some(Forgotten { seq: since, at: None }),
        held,
        tags: snapshot.tags.clone().unwrap_or_default(),
        descriptor: None,
        problem: None,
    }
}

fn read_descriptor(id: SessionId, snapshot: &ledger::Snapshot, bytes: &[u8]) -> Result<Descriptor> {
    let called = || format!("the descriptor of snapshot {id}");
    let descriptor = Descriptor::decode(bytes).map_err(Error::decode(called()))?;
    if descriptor.session != id || descriptor.member != snapshot.member {
        return Err(Error::object(called(), "it is of another session or member"));
    }
    Ok(descriptor)
}

/// Whether an error says that something is absent.
pub(crate) fn is_absent(error: &places::Error) -> bool {
    error.kind() == PlaceErrorKind::NotFound
}
