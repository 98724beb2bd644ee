//! What a host keeps for itself: its state and its cache of one vault.
//!
//! State is small and precious: the newest head seen, the host's own member keys, a lock file for
//! each session at work, the places that were probed. It is never removed by cache commands. The
//! cache is sealed, written once, renamed into place, and may be deleted at any time. Both lie
//! under `<vault id>/<16 hex of the local key>`, so hosts and keys that share a folder do not meet.
//! A host without a home goes on without. Several hosts may share a folder over a network only
//! where flock(2) reaches across it; else one could abandon the other's sessions, which costs work
//! and loses nothing. DESIGN §7, FORMAT.md §12.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crypto::{
    Digest, Entropy, Keyring, MemberKeys, SessionId, SmallKind, Suite, SymmetricKey, VaultId,
    open_small, seal_small,
};
use format::{BUNDLE_RECORDS, Decoder, Encoder, RecordAt, Seq};
use ledger::Memory as _;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::{Error, Result};

/// What an interrupted process left in the cache is removed when it is so old.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 3600);

/// The cache's folder of records as they lie in the place.
const RECORDS: &str = "ledger/records";

fn record_file(seq: Seq) -> String {
    format!("{:016x}", seq.0)
}

/// The base folders of a host's cache and state, such as `~/.cache/strongroom` and
/// `~/.local/state/strongroom`. `None`: go on without.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// What may be deleted at any time.
    pub cache: Option<PathBuf>,
    /// What may not.
    pub state: Option<PathBuf>,
}

/// What was seen of a vault's ledger elsewhere than on this host, as a recovery kit tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The newest record.
    pub head: Option<RecordAt>,
    /// The newest `recover` record.
    pub recovered: Option<RecordAt>,
}

/// A host's state and cache of one vault, under one key.
pub(crate) struct Home {
    cache: Option<PathBuf>,
    state: Option<PathBuf>,
    vault: VaultId,
    suite: Suite,
    local: SymmetricKey,
}

impl Home {
    /// Finds or makes the folders.
    pub(crate) fn open(folders: &Folders, keyring: &Keyring) -> Result<Self> {
        let own = keyring.folder_name().iter().map(|b| format!("{b:02x}")).collect::<String>();
        let below = |base: &Option<PathBuf>| -> Result<Option<PathBuf>> {
            let Some(base) = base else { return Ok(None) };
            let folder = base.join(keyring.vault_id().to_string()).join(&own);
            make_folder(&folder)?;
            Ok(Some(folder))
        };
        let home = Self {
            cache: below(&folders.cache)?,
            state: below(&folders.state)?,
            vault: keyring.vault_id(),
            suite: keyring.suite(),
            local: keyring.local(),
        };
        if let Some(state) = &home.state {
            make_folder(&state.join("sessions"))?;
            make_folder(&state.join("probes"))?;
        }
        Ok(home)
    }

    /// The key that seals what lies here.
    pub(crate) fn local(&self) -> &SymmetricKey {
        &self.local
    }

    /// A folder of the cache, made when absent; `None` for a host without a cache.
    pub(crate) fn cache_folder(&self, name: &str) -> Result<Option<PathBuf>> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let folder = cache.join(name);
        make_folder(&folder)?;
        Ok(Some(folder))
    }

    /// Writes a cache file under a new name, whole or not at all. It need not be durable.
    pub(crate) fn write_cache(path: &Path, parts: &[&[u8]]) -> Result<()> {
        let temporary = write_beside(path, parts, Durable::No).map_err(|e| Error::home(path, e))?;
        fs::rename(&temporary, path).map_err(|error| {
            let _ = fs::remove_file(&temporary);
            Error::home(path, error)
        })
    }

    /// The host's member keys, if there are any.
    pub(crate) fn member(&self) -> Result<Option<MemberKeys>> {
        let Some(bytes) = self.read_state("member", SmallKind::MemberKeys)? else {
            return Ok(None);
        };
        Ok(Some(MemberKeys::decode(&bytes)?))
    }

    /// Keeps new member keys unless another process was first; gives those that stand.
    pub(crate) fn keep_member(
        &self,
        keys: MemberKeys,
        entropy: &dyn Entropy,
    ) -> Result<MemberKeys> {
        let Some(state) = &self.state else { return Ok(keys) };
        let path = state.join("member");
        let sealed = self.seal(SmallKind::MemberKeys, "member", &keys.encode(), entropy);
        let temporary = write_beside(&path, &[&sealed], Durable::Yes);
        let temporary = temporary.map_err(|e| Error::home(&path, e))?;
        let linked = fs::hard_link(&temporary, &path);
        let _ = fs::remove_file(&temporary);
        match linked {
            Ok(()) => {
                sync_folder(state)?;
                Ok(keys)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                self.member()?.ok_or_else(|| Error::home(&path, "it vanished"))
            }
            Err(error) => Err(Error::home(&path, error)),
        }
    }

    /// Puts member keys aside that the vault has revoked.
    pub(crate) fn retire_member(&self, keys: &MemberKeys) -> Result<()> {
        let Some(state) = &self.state else { return Ok(()) };
        if self.member()?.is_none_or(|kept| kept.member_id() != keys.member_id()) {
            // Another process was faster, and may have made a new one already.
            return Ok(());
        }
        let path = state.join("member");
        let aside = state.join(format!("member-{}", keys.member_id()));
        fs::rename(&path, &aside).map_err(|e| Error::home(&path, e))?;
        sync_folder(state)
    }

    /// Marks a session as at work: as long as the lock is held, nobody else on this host takes it
    /// for dead.
    pub(crate) fn lock_session(&self, session: SessionId) -> Result<SessionLock> {
        let Some(state) = &self.state else { return Ok(SessionLock { file: None }) };
        let path = state.join("sessions").join(session.to_string());
        loop {
            let file = open_private(&path).map_err(|e| Error::home(&path, e))?;
            flock(&file, FlockOperation::LockExclusive).map_err(|e| Error::home(&path, e))?;
            // Another process may have taken the new file for a dead session's and removed it.
            if file.metadata().map_err(|e| Error::home(&path, e))?.nlink() > 0 {
                return Ok(SessionLock { file: Some((file, path)) });
            }
        }
    }

    /// Sessions of this host whose process is gone.
    pub(crate) fn dead_sessions(&self) -> Result<Vec<SessionLock>> {
        let Some(state) = &self.state else { return Ok(Vec::new()) };
        let folder = state.join("sessions");
        let mut dead = Vec::new();
        let entries = fs::read_dir(&folder).map_err(|e| Error::home(&folder, e))?;
        let paths =
            entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<BTreeSet<_>>>();
        for path in paths.map_err(|e| Error::home(&folder, e))? {
            let Ok(file) = OpenOptions::new().write(true).open(&path) else { continue };
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => dead.push(SessionLock { file: Some((file, path)) }),
                Err(Errno::WOULDBLOCK) => {}
                Err(error) => return Err(Error::home(&path, error)),
            }
        }
        Ok(dead)
    }

    /// Takes the lock of a kind of work that at most one process of this host should do; `None`
    /// when another holds it, or there is no state folder to lock in.
    pub(crate) fn lock_work(&self, name: &str) -> Result<Option<File>> {
        let Some(state) = &self.state else { return Ok(None) };
        let path = state.join(format!("{name}.lock"));
        let file = open_private(&path).map_err(|e| Error::home(&path, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(Error::home(&path, error)),
        }
    }

    /// Whether this place was found to refuse second writers before.
    pub(crate) fn was_probed(&self, place: &str) -> bool {
        self.probe_file(place).is_some_and(|path| path.exists())
    }

    /// Remembers that this place refuses second writers.
    pub(crate) fn remember_probe(&self, place: &str) -> Result<()> {
        let Some(path) = self.probe_file(place) else { return Ok(()) };
        Self::write_cache(&path, &[b"ok\n"])
    }

    /// A sealed file of the state, when there is one.
    pub(crate) fn state_file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.read_state(name, SmallKind::StateFile)
    }

    /// Replaces a sealed file of the state by what `change` makes of it, while no other process
    /// does. Without a state folder nothing happens.
    pub(crate) fn change_state_file(
        &self,
        name: &str,
        entropy: &dyn Entropy,
        change: impl FnOnce(Option<Vec<u8>>) -> Vec<u8>,
    ) -> Result<()> {
        let Some(state) = &self.state else { return Ok(()) };
        let path = state.join(name);
        let failed = |error: std::io::Error| Error::home(&path, error);
        let lock = open_private(&state.join(format!("{name}.lock"))).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
        // One that does not open is of no use to anybody.
        let plain = change(self.state_file(name).unwrap_or_default());
        let sealed = self.seal(SmallKind::StateFile, name, &plain, entropy);
        write_beside(&path, &[&sealed], Durable::Yes)
            .and_then(|temporary| fs::rename(temporary, &path))
            .map_err(failed)
    }

    /// Where what a repair takes out of the vault is kept: in the state folder.
    pub(crate) fn quarantine(&self) -> Option<PathBuf> {
        Some(self.state.as_ref()?.join("quarantine"))
    }

    /// A record that this host read and kept.
    pub(crate) fn kept_record(&self, seq: Seq) -> Option<Vec<u8>> {
        let folder = self.cache_folder(RECORDS).ok()??;
        fs::read(folder.join(record_file(seq))).ok()
    }

    /// Keeps a record, the first time that it is read. Bundles hold older ones.
    fn keep_record(&self, seq: Seq, bytes: &[u8]) {
        let Ok(Some(folder)) = self.cache_folder(RECORDS) else { return };
        let path = folder.join(record_file(seq));
        if !path.exists() {
            let _ = Self::write_cache(&path, &[bytes]);
        }
        if seq.0.is_multiple_of(BUNDLE_RECORDS) && seq.0 > 2 * BUNDLE_RECORDS {
            let oldest = record_file(Seq(seq.0 - 2 * BUNDLE_RECORDS));
            for file in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let name = file.file_name();
                if name.to_str().is_some_and(|n| n < &oldest[..] && n != record_file(Seq(0))) {
                    let _ = fs::remove_file(file.path());
                }
            }
        }
    }

    /// Removes what the cache has of the index and the ledger's state; it is made anew.
    pub(crate) fn drop_index_cache(&self) -> Result<()> {
        for name in ["index", "ledger"] {
            let Some(folder) = self.cache_folder(name)? else { return Ok(()) };
            for file in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if file.file_type().is_ok_and(|kind| kind.is_file()) {
                    let _ = fs::remove_file(file.path());
                }
            }
        }
        Ok(())
    }

    fn probe_file(&self, place: &str) -> Option<PathBuf> {
        let name = Digest::of(place.as_bytes()).to_string();
        Some(self.state.as_ref()?.join("probes").join(name))
    }

    fn seal(&self, kind: SmallKind, name: &str, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        seal_small(self.suite, &self.local, kind, self.vault, name.as_bytes(), plain, entropy)
    }

    fn read_state(&self, name: &str, kind: SmallKind) -> Result<Option<Vec<u8>>> {
        let Some(state) = &self.state else { return Ok(None) };
        let path = state.join(name);
        let sealed = match fs::read(&path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::home(&path, error)),
        };
        let opened =
            open_small(self.suite, &self.local, kind, self.vault, name.as_bytes(), &sealed);
        opened.map(Some).map_err(|error| Error::object(path.display(), error))
    }
}

/// A session's lock file; dropping it lets the lock go and leaves the file.
pub(crate) struct SessionLock {
    file: Option<(File, PathBuf)>,
}

impl SessionLock {
    /// The session that it is of.
    pub(crate) fn session(&self) -> Option<SessionId> {
        let (_, path) = self.file.as_ref()?;
        path.file_name()?.to_str()?.parse().ok()
    }

    /// The session is closed in the ledger: the file is needed no more.
    pub(crate) fn remove(self) {
        if let Some((file, path)) = self.file {
            // A file that stays is abandoned again at the next run: harmless.
            let _ = fs::remove_file(path);
            drop(file);
        }
    }
}

/// The roll-back memory in the state folder, and what was seen elsewhere: the newer counts, unless
/// this host knows of a newer `recover`. What was seen elsewhere is not kept here before the place
/// has shown it.
pub(crate) struct HeadMemory {
    home: std::sync::Arc<Home>,
    entropy: std::sync::Arc<dyn Entropy>,
    seen: Seen,
    fallback: ledger::ProcessMemory,
}

/// What the file `head` holds.
#[derive(Clone, Copy, Default)]
struct Remembered {
    head: Option<RecordAt>,
    recovered: Option<RecordAt>,
}

impl HeadMemory {
    pub(crate) fn new(
        home: std::sync::Arc<Home>,
        entropy: std::sync::Arc<dyn Entropy>,
        seen: Seen,
    ) -> Self {
        Self { home, entropy, seen, fallback: ledger::ProcessMemory::new() }
    }

    /// What this host remembers itself.
    fn own(&self) -> ledger::Result<Remembered> {
        match self.home.state {
            None => {
                let (head, recovered) = (self.fallback.head()?, self.fallback.recovered()?);
                Ok(Remembered { head, recovered })
            }
            Some(_) => self.read(),
        }
    }

    /// The newer of what this host remembers and what was seen elsewhere. What was seen before a
    /// `recover` that this host knows of, it gave up or lies below it.
    fn newest(&self) -> ledger::Result<Remembered> {
        let own = self.own()?;
        let number = |recover: Option<RecordAt>| recover.map(|at| at.seq);
        if number(self.seen.recovered) < number(own.recovered) {
            return Ok(own);
        }
        let head = newer(own.head, self.seen.head);
        Ok(Remembered { head, recovered: newer(own.recovered, self.seen.recovered) })
    }

    fn read(&self) -> ledger::Result<Remembered> {
        let bytes = self.home.read_state("head", SmallKind::StateFile).map_err(memory_error)?;
        let Some(bytes) = bytes else { return Ok(Remembered::default()) };
        let mut d = Decoder::new(&bytes);
        let mut read = || -> std::result::Result<Remembered, format::DecodeError> {
            match d.u8()? {
                1 => {}
                version => return Err(d.invalid("the version of a head", version.into())),
            }
            let head = d.option(record_at)?;
            let recovered = d.option(record_at)?;
            Ok(Remembered { head, recovered })
        };
        read().map_err(memory_error)
    }

    /// Changes what is remembered while no other process does.
    fn change(&self, change: impl FnOnce(&mut Remembered)) -> ledger::Result<()> {
        let Some(state) = &self.home.state else { return Ok(()) };
        let lock_path = state.join("head.lock");
        let lock = open_private(&lock_path).map_err(memory_error)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(memory_error)?;
        let mut remembered = self.read()?;
        change(&mut remembered);
        let mut e = Encoder::new();
        e.u8(1);
        for at in [&remembered.head, &remembered.recovered] {
            e.option(at.as_ref(), |e, at| {
                e.u64(at.seq.0).raw(at.hash.as_bytes());
            });
        }
        let sealed =
            self.home.seal(SmallKind::StateFile, "head", e.as_slice(), self.entropy.as_ref());
        let path = state.join("head");
        write_beside(&path, &[&sealed], Durable::Yes)
            .and_then(|temporary| fs::rename(temporary, &path))
            .map_err(memory_error)?;
        sync_folder(state).map_err(memory_error)
    }
}

impl ledger::Memory for HeadMemory {
    fn head(&self) -> ledger::Result<Option<RecordAt>> {
        Ok(self.newest()?.head)
    }

    fn remember(&self, at: RecordAt) -> ledger::Result<()> {
        if self.home.state.is_none() {
            return self.fallback.remember(at);
        }
        if self.read()?.head.is_some_and(|head| head.seq >= at.seq) {
            return Ok(());
        }
        self.change(|remembered| {
            if remembered.head.is_none_or(|head| head.seq < at.seq) {
                remembered.head = Some(at);
                let seen = self.seen.recovered.filter(|recover| recover.seq <= at.seq);
                remembered.recovered = newer(remembered.recovered, seen);
            }
        })
    }

    fn recovered(&self) -> ledger::Result<Option<RecordAt>> {
        Ok(self.newest()?.recovered)
    }

    fn note_recover(&self, recover: RecordAt) -> ledger::Result<()> {
        if self.home.state.is_none() {
            return self.fallback.note_recover(recover);
        }
        self.change(|remembered| remembered.recovered = Some(recover))
    }

    fn follow_recover(&self, recover: RecordAt, head: RecordAt) -> ledger::Result<()> {
        if self.home.state.is_none() {
            return self.fallback.follow_recover(recover, head);
        }
        self.change(|remembered| {
            *remembered = Remembered { head: Some(head), recovered: Some(recover) };
        })
    }

    fn keep_record(&self, at: RecordAt, bytes: &ledger::RecordBytes) {
        if bytes.whole_length == bytes.bytes.len() as u64 {
            self.home.keep_record(at.seq, &bytes.bytes);
        }
    }
}

/// The record with the higher number.
fn newer(one: Option<RecordAt>, other: Option<RecordAt>) -> Option<RecordAt> {
    [one, other].into_iter().flatten().max_by_key(|at| at.seq)
}

fn record_at(d: &mut Decoder<'_>) -> std::result::Result<RecordAt, format::DecodeError> {
    Ok(RecordAt { seq: Seq(d.u64()?), hash: Digest::from_bytes(d.array()?) })
}

fn memory_error(error: impl std::fmt::Display) -> ledger::Error {
    ledger::Error::Memory { reason: error.to_string() }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    No,
}

/// Writes a new file beside `path`, under a name of its own; nothing is left after an error.
fn write_beside(path: &Path, parts: &[&[u8]], durable: Durable) -> std::io::Result<PathBuf> {
    let (temporary, mut file) = create_beside(path)?;
    let written = parts.iter().try_for_each(|part| file.write_all(part));
    let synced = written.and_then(|()| match durable {
        Durable::Yes => file.sync_all(),
        Durable::No => Ok(()),
    });
    match synced {
        Ok(()) => Ok(temporary),
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}

/// A new file beside `path`. Processes of containers that share a folder may have one number, so
/// the number alone makes no name unique.
fn create_beside(path: &Path) -> std::io::Result<(PathBuf, File)> {
    static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    loop {
        let number = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let beside = path.with_file_name(format!(".{name}.{}.{number}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside) {
            Ok(file) => return Ok((beside, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes a file of the cache that nothing needs, unless another process may be at it.
pub(crate) fn remove_leftover(path: &Path) {
    let age = fs::metadata(path).and_then(|m| m.modified()).map(|time| time.elapsed());
    if age.is_ok_and(|age| age.is_ok_and(|age| age > LEFTOVER_AGE)) {
        let _ = fs::remove_file(path);
    }
}

fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn make_folder(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Error::home(path, error))
}

fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| Error::home(path, e))
}
