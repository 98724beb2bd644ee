//! Years of ledger, measured: what opening costs a client that is 10,000 records behind.
//!
//! A fleet backs up, forgets, collects and merges until there are so many records; what no client
//! reads again is made and not kept, so four million fit a small machine. Old records are signed
//! with zeros, which nobody checks any more; the last 10,000 are as real as any. Then one host
//! opens the vault through its own sealed cache. `cargo bench --bench ledger -- RECORDS [FILES]`:
//! with FILES, from a folder with so many record files instead of memory.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use crypto::{
    Bundle, Certificate, Encoder, Entropy, Keyring, MemberKeys, Role, RootSecret, SMALL_OVERHEAD,
    SeededEntropy, SigningContext, SmallKind, Suite, seal_small,
};
use format::{
    BUNDLE_SPANS, ChunkId, ChunkKind, ChunkRef, CommitBody, Digest, DomainId, Epoch, Kind, List,
    ObjectRef, Record, Seq, SessionId, SignedRecord, VaultNames,
};
use ledger::{
    Components, Context, Draft, Ledger, NoLists, ProcessMemory, RecordBytes, State, Trust,
};
use places::{
    FolderPlace, MemoryPlace, Place, Put, PutOptions, Recording, SystemClock, Time, Verb,
};
use rustix::time::{ClockId, clock_gettime};
use vault::{CreateOptions, Folders, Protection, Vault, read_config};

type Failure = Box<dyn std::error::Error>;
type Outcome<T = ()> = Result<T, Failure>;

/// How far the client is behind.
const BEHIND: u64 = 10_000;
const HOSTS: usize = 500;
/// Snapshots that are kept of each host.
const KEPT: usize = 60;
/// Backups between two collections.
const BACKUPS_PER_COLLECTION: usize = 250;
/// Records that lie there before those that the client lacks.
const TAIL: u64 = 2048;
const SUITE: Suite = Suite::Aes256Gcm;

fn main() -> Outcome {
    let numbers: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too: it only has to compile then.
    if numbers.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let mut numbers = numbers.iter().filter(|argument| !argument.starts_with('-'));
    let total = numbers.next().map_or(Ok(20_000), |number| number.parse::<u64>())?;
    let files = numbers.next().map(|number| number.parse::<u64>()).transpose()?;
    if total < BEHIND + 2 * TAIL {
        return Err(format!("{total} records are too few, take {}", BEHIND + 2 * TAIL).into());
    }
    let base = tempfile::tempdir()?;
    let kept = files.unwrap_or(BEHIND + TAIL).min(total);
    let began = Instant::now();
    let mut fleet = Fleet::new(total - kept)?;
    fleet.work_until(total - BEHIND)?;
    let weight = fleet.begin_client(base.path())?;
    fleet.work_until(total)?;
    let state = [fleet.state.sessions().count(), fleet.state.snapshots().count()];
    println!(
        "{total} records made in {:.0} s; the state: {weight} bytes, {} sessions, {} snapshots, \
         {} packs",
        began.elapsed().as_secs_f64(),
        state[0],
        state[1],
        fleet.state.packs().count()
    );
    let (place, owner) = (fleet.place.clone(), fleet.root.duplicate());
    drop(fleet);
    println!("| open | wall s | queued s | CPU s | requests | read MiB | peak MiB |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    if files.is_some() {
        let folder = base.path().join("vault");
        lay_out(&place, &folder)?;
        measure_opens(FolderPlace::open(&folder)?, &owner, base.path())
    } else {
        measure_opens(place, &owner, base.path())
    }
}

fn measure_opens(place: impl Place + 'static, owner: &RootSecret, base: &Path) -> Outcome {
    let place = Arc::new(Recording::new(place));
    for name in ["10,000 behind", "nothing new"] {
        place.reset();
        let keyring = Keyring::owner(owner.duplicate(), SUITE);
        let components = components_of(place.clone());
        std::fs::write("/proc/self/clear_refs", "5")?;
        let before = memory_mib("VmRSS")?;
        let (wall, queued, cpu) = (Instant::now(), queued_seconds()?, cpu_seconds());
        let vault = Vault::open(components, &folders(base), keyring, "bench")?;
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        let queued = queued_seconds()? - queued;
        let peak = memory_mib("VmHWM")?.saturating_sub(before);
        drop(vault);
        let counts = Verb::ALL.into_iter().map(|verb| (verb, place.count(verb)));
        let some: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        let total: u64 = some.iter().map(|(_, count)| count).sum();
        let by_verb: Vec<_> =
            some.iter().map(|(verb, count)| format!("{count} {verb:?}")).collect();
        let read = place.bytes(Verb::Get) >> 20;
        println!(
            "| {name} | {wall:.2} | {queued:.2} | {cpu:.2} | {total}: {} | {read} | {peak} |",
            by_verb.join(", ")
        );
    }
    Ok(())
}

/// A vault, its members, and the state of its ledger.
struct Fleet {
    place: MemoryPlace,
    root: RootSecret,
    owner: Arc<Keyring>,
    config: Vec<u8>,
    hosts: Vec<Keyring>,
    state: State,
    entropy: SeededEntropy,
    /// Records from here on lie in the place.
    kept_from: u64,
    /// The records since the newest border of the longest bundles.
    row: Vec<Bytes>,
    due: VecDeque<(usize, Draft)>,
    /// Each host's newest snapshot.
    newest: Vec<Option<SessionId>>,
    /// Live snapshots and their packs, oldest first; then the trashed ones.
    live: VecDeque<(SessionId, [Digest; 2])>,
    trashed: Vec<(SessionId, [Digest; 2])>,
    /// Live runs.
    runs: Vec<Digest>,
    backups: usize,
}

impl Fleet {
    fn new(kept_from: u64) -> Outcome<Self> {
        let entropy = SeededEntropy::new(1);
        let place = MemoryPlace::new();
        let components = components_of(Arc::new(place.clone()));
        let root = RootSecret::draw(&entropy);
        let bundle = Bundle::owner(root.duplicate(), SUITE);
        let protection = Protection::Kept(&bundle);
        let options = CreateOptions { suite: SUITE, protection, label: "owner", pack_size: None };
        drop(Vault::create(components.clone(), &Folders::default(), &options)?);
        let owner = Arc::new(Keyring::owner(root.duplicate(), SUITE));
        owner.attach_member(MemberKeys::draw(&entropy))?;
        let config = read_config(&place)?.1.to_vec();
        let memory = Arc::new(ProcessMemory::new());
        let mut ledger = Ledger::open(components, &config, Some(owner.clone()), memory, None)?;
        certify(&mut ledger, &root, &owner, "owner")?;
        let mut hosts = Vec::new();
        for number in 0..HOSTS {
            let newest = Epoch(0);
            let domain = DomainId::DEFAULT;
            let role = Role::Writer;
            let host = Bundle::for_role(&root, SUITE, role, domain, newest, &entropy)?;
            let host = Keyring::from_bundle(host);
            certify(&mut ledger, &root, &host, &format!("host-{number}"))?;
            hosts.push(host);
        }
        let state = ledger.state().clone();
        let mut row = Vec::new();
        for seq in 0..state.next().0 {
            row.push(place.get(&VaultNames::record(Seq(seq)), None)?);
        }
        Ok(Self {
            place,
            root,
            owner,
            config,
            hosts,
            state,
            entropy,
            kept_from,
            row,
            due: VecDeque::new(),
            newest: vec![None; HOSTS],
            live: VecDeque::new(),
            trashed: Vec::new(),
            runs: Vec::new(),
            backups: 0,
        })
    }

    /// Appends what the fleet does until there are so many records.
    fn work_until(&mut self, total: u64) -> Outcome {
        while self.state.next().0 < total {
            if self.due.is_empty() {
                self.plan();
            }
            let (by, draft) = self.due.pop_front().ok_or("nothing is due")?;
            self.append(by, draft)?;
        }
        self.bundle_tail()
    }

    /// One backup, and now and then a collection.
    fn plan(&mut self) {
        let host = self.backups % HOSTS;
        self.backups += 1;
        let (session, packs, run) = (self.session(), [self.name(), self.name()], self.name());
        let base = self.newest[host].replace(session);
        self.due.push_back((host, Draft::open(session, DomainId::DEFAULT, base)));
        let mut needs: Vec<_> = packs.into_iter().map(ObjectRef::Pack).collect();
        needs.push(ObjectRef::Run(run));
        let id = ChunkId::from_bytes(*self.name().as_bytes());
        let body = CommitBody { descriptor: ChunkRef { kind: ChunkKind::Descriptor, id } };
        self.due.push_back((host, Draft::commit(session, needs, body.encode())));
        self.live.push_back((session, packs));
        self.runs.push(run);
        if self.backups.is_multiple_of(BACKUPS_PER_COLLECTION) {
            self.plan_collection();
        }
    }

    fn plan_collection(&mut self) {
        let mut add = |draft| self.due.push_back((HOSTS, draft));
        let purged = std::mem::take(&mut self.trashed);
        if !purged.is_empty() {
            let ids = purged.iter().map(|(id, _)| *id);
            add(Draft::on_snapshots(Kind::Purge, ids));
            let packs: Vec<_> = purged.iter().flat_map(|(_, packs)| *packs).collect();
            // The suspicion's number is known when it is appended: its condemn comes next.
            add(Draft::on_packs(Kind::Suspect, packs.clone()));
            add(Draft::condemn(Seq(0), packs.clone()));
            add(Draft::on_packs(Kind::Swept, packs));
        }
        let over = self.live.len().saturating_sub(HOSTS * KEPT);
        self.trashed = self.live.drain(..over).collect();
        if !self.trashed.is_empty() {
            add(Draft::on_snapshots(Kind::Forget, self.trashed.iter().map(|(id, _)| *id)));
        }
        let drops = std::mem::take(&mut self.runs).into_iter().map(ObjectRef::Run).collect();
        let (session, run) = (self.session(), self.name());
        self.runs.push(run);
        let owner = [
            Draft::open(session, DomainId::DEFAULT, None),
            Draft::merge(session, vec![ObjectRef::Run(run)], drops),
        ];
        self.due.extend(owner.map(|draft| (HOSTS, draft)));
    }

    fn append(&mut self, by: usize, mut draft: Draft) -> Outcome {
        let seq = self.state.next();
        if draft.kind == Kind::Condemn {
            draft.refs = Draft::clear(self.state.head().seq).refs;
        }
        let bytes = self.seal(by, &draft)?;
        let keyring = Some(&*self.owner);
        let context = Context { trust: Trust::CheckedBefore, lists: &NoLists, keyring };
        let applied = self.state.apply(&RecordBytes::whole(bytes.clone()), &context)?;
        if applied.outcome != ledger::Outcome::Valid {
            return Err(format!("record {seq}, {}: {:?}", draft.kind, applied.outcome).into());
        }
        if seq.0 >= self.kept_from {
            self.put(&VaultNames::record(seq), bytes.clone())?;
        }
        self.row.push(bytes);
        if self.row.len() as u64 == BUNDLE_SPANS[0] {
            let first = seq.0 + 1 - BUNDLE_SPANS[0];
            // The first one is looked at by whoever looks for a checkpoint.
            if first == 0 || seq.0 >= self.kept_from {
                self.put_bundle(first, 0..self.row.len())?;
            }
            self.row.clear();
        }
        Ok(())
    }

    /// The shorter bundles behind the last long one.
    fn bundle_tail(&self) -> Outcome {
        let border = self.state.next().0 - self.row.len() as u64;
        for span in &BUNDLE_SPANS[1..] {
            for number in 0..self.row.len() as u64 / span {
                let from = (number * span) as usize;
                self.put_bundle(border + number * span, from..from + *span as usize)?;
            }
        }
        Ok(())
    }

    fn put_bundle(&self, first: u64, rows: std::ops::Range<usize>) -> Outcome {
        let mut e = Encoder::new();
        e.u8(1).u64(first).count(rows.len());
        let last = first + rows.len() as u64 - 1;
        for record in &self.row[rows] {
            e.u64(record.len() as u64).bytes(record);
        }
        self.put(&VaultNames::bundle(Seq(first), Seq(last)), e.finish().into())
    }

    fn put(&self, name: &places::ObjectName, bytes: Bytes) -> Outcome {
        match self.place.put(name, bytes, &PutOptions::default())? {
            Put::Created => Ok(()),
            Put::Exists => Err(format!("{name} is there already").into()),
        }
    }

    /// A record behind the state, with a signature where anybody will check it.
    fn seal(&self, by: usize, draft: &Draft) -> Outcome<Bytes> {
        let author = self.hosts.get(by).unwrap_or(&self.owner);
        let state = &self.state;
        let now = Time::from_millis(state.next().0 as i64 * 1000);
        let member = author.member_id()?;
        let mut record = Record::new(state.vault(), draft.kind, member, state.epoch(), now);
        (record.seq, record.prev) = (state.next(), state.head().hash);
        record.session = draft.session;
        record.refs = List::Inline(draft.refs.clone());
        record.needs = List::Inline(draft.needs.clone());
        record.drops = List::Inline(draft.drops.clone());
        let clear = record.encode_clear();
        let plain_len = Record::body_plain_len(clear.len(), draft.payload.len(), SMALL_OVERHEAD)?;
        let plain = SignedRecord::pad_body(&draft.payload, plain_len);
        let key = self.owner.ledger(record.epoch)?;
        let (kind, entropy) = (SmallKind::LedgerBody, &self.entropy);
        let body = seal_small(SUITE, &key, kind, record.vault, &clear, &plain, entropy);
        let mut bytes = SignedRecord::to_sign(&clear, &body);
        if record.seq.0 >= self.kept_from {
            let signature = author.signing()?.sign(SigningContext::Record, &bytes);
            bytes.extend_from_slice(signature.as_bytes());
        } else {
            bytes.extend_from_slice(&[0; 64]);
        }
        Ok(bytes.into())
    }

    /// Lets a client keep the state as it is in its cache, by way of a checkpoint. Says how many
    /// bytes the state is.
    fn begin_client(&mut self, base: &Path) -> Outcome<usize> {
        let components = components_of(Arc::new(self.place.clone()));
        let (owner, memory) = (Some(self.owner.clone()), Arc::new(ProcessMemory::new()));
        let state = Some(self.state.clone());
        let mut ledger = Ledger::open(components.clone(), &self.config, owner, memory, state)?;
        ledger.write_checkpoint()?.ok_or("no checkpoint was written")?;
        self.state = ledger.state().clone();
        self.row.push(self.place.get(&VaultNames::record(self.state.head().seq), None)?);
        let keyring = Keyring::owner(self.root.duplicate(), SUITE);
        let vault = Vault::open(components, &folders(base), keyring, "bench")?;
        assert_eq!(vault.ledger().state().head(), self.state.head());
        Ok(self.state.encode().len())
    }

    fn session(&self) -> SessionId {
        SessionId::draw(&self.entropy)
    }

    fn name(&self) -> Digest {
        let mut name = [0; Digest::BYTES];
        self.entropy.fill(&mut name);
        Digest::from_bytes(name)
    }
}

fn certify(ledger: &mut Ledger, root: &RootSecret, keyring: &Keyring, label: &str) -> Outcome {
    let (member, vault) = (keyring.member()?, root.vault_id());
    let (role, domain) = (keyring.role(), keyring.domain());
    let certificate = Certificate::of(member, vault, role, domain, Epoch(0));
    ledger.certify(&certificate.issue(&root.signing()), label)?;
    Ok(())
}

fn components_of(place: Arc<dyn Place>) -> Components {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(crypto::OsEntropy));
    Components { place, clock, entropy }
}

fn folders(base: &Path) -> Folders {
    Folders { cache: Some(base.join("cache")), state: Some(base.join("state")) }
}

/// Writes a place's objects as the files of a folder place.
fn lay_out(place: &MemoryPlace, folder: &Path) -> Outcome {
    for name in place.names() {
        let path = folder.join(name.as_str());
        std::fs::create_dir_all(path.parent().ok_or("a name without a folder")?)?;
        std::fs::write(path, place.get(&name, None)?)?;
    }
    Ok(())
}

fn memory_mib(field: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).ok_or("no such field")?;
    let number = line.split_whitespace().nth(1).ok_or("no number")?;
    Ok(number.parse::<u64>()? >> 10)
}

/// How long this thread was ready to run while others had the processors: on a busy machine the
/// wall time holds that too.
fn queued_seconds() -> Outcome<f64> {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let queued = spent.split_whitespace().nth(1).ok_or("no time in the queue")?;
    Ok(queued.parse::<u64>()? as f64 / 1e9)
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
