//! Checkpoints: the whole state in one sealed object, so that a new client replays only the tail.
//!
//! The owner's root key signs one for everything; a collector's counts for backing up only, and
//! only a writer takes it, whose role allows nothing else. A checkpoint that does not open, is not
//! on the chain, or lies above what this host remembers is passed over, and then the ledger is
//! replayed from its first record. FORMAT.md §11.

use crypto::{
    Expected, Header, ObjectKind, ObjectSealer, OpenedObject, Role, SignedCertificate,
    SigningContext, Unwrapping, Wrapping, padded_stream_len,
};
use format::{
    CheckpointHead, Digest, Kind, MemberId, NamedObject, Ref, Seq, SessionId, SignedRecord,
    VaultNames,
};
use places::{Put, PutOptions};

use super::{Appended, Ledger};
use crate::{Draft, Error, Result, State, Vouched};

/// A checkpoint is due this many records after the last.
pub const CHECKPOINT_RECORDS: u64 = 16_384;
/// And when so many bytes of state are no more than the records since: the least that a record
/// takes. So checkpoints never outgrow the ledger.
const STATE_BYTES_PER_RECORD: u64 = 1024;
/// The newest so many are tried.
const CHECKPOINTS_TRIED: usize = 4;
/// The longest checkpoint that is written or read.
pub const CHECKPOINT_BYTES_MAX: u64 = 1 << 30;

impl Ledger {
    /// Writes a checkpoint of the state as it is and announces it by a record. `None` when this
    /// host may not vouch for the state or the place has another of the same number.
    ///
    /// Meant for an owner's or a collector's host at the end of a collection. Needs every epoch's
    /// ledger key, and holds the state's bytes twice in memory.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub fn write_checkpoint(&mut self) -> Result<Option<Appended>> {
        let kind = Kind::Checkpoint;
        let keyring = self.keyring.clone().ok_or(Error::NoKeys { kind })?;
        self.refresh()?;
        if let Some(error) = self.standing.forbids_append() {
            return Err(error);
        }
        let at = self.state.head();
        let may = matches!(keyring.role(), Role::Owner | Role::Collector)
            && self.standing.vouched != Vouched::ByCollector
            && self.state.epochs().all(|(epoch, _)| keyring.ledger(epoch).is_ok())
            // What nobody signed has a hash that the place cannot confirm.
            && self.head_bytes == Some(at.hash);
        if !may {
            return Ok(None);
        }
        let Some(bytes) = self.checkpoint()? else { return Ok(None) };
        let object = Digest::of(&bytes);
        match self.components.place.put(
            &VaultNames::checkpoint(at.seq),
            bytes.into(),
            &PutOptions::default(),
        )? {
            Put::Created => {}
            Put::Exists => return Ok(None),
        }
        let refs = vec![Ref::Record(at), Ref::Object(object)];
        self.append_one(Draft { refs, ..Draft::new(kind) }).map(Some)
    }

    /// A checkpoint's bytes; `None` when it would be too long or its author has no certificate.
    fn checkpoint(&self) -> Result<Option<Vec<u8>>> {
        let kind = Kind::Checkpoint;
        let keyring = self.keyring.as_deref().ok_or(Error::NoKeys { kind })?;
        let sealed = self.seal_state()?;
        let owner = keyring.role() == Role::Owner;
        let author = if owner { MemberId::ROOT } else { keyring.member_id()? };
        let certificate = if owner { None } else { self.certificate_of(author)? };
        if !owner && certificate.is_none() {
            return Ok(None);
        }
        let object = Digest::of(&sealed);
        let (vault, at) = (self.state.vault(), self.state.head());
        let head = CheckpointHead { vault, at, object, author, certificate };
        let key = if owner { keyring.root_signing()? } else { keyring.signing()? };
        let signature = key.sign(SigningContext::Checkpoint, &head.encode());
        let bytes = [head.encode_signed(&signature), sealed].concat();
        Ok((bytes.len() as u64 <= CHECKPOINT_BYTES_MAX).then_some(bytes))
    }

    /// The same when one is due: [`CHECKPOINT_RECORDS`] after the last, or later for a large
    /// state. With nothing to do it asks nothing of the place.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub fn write_due_checkpoint(&mut self) -> Result<Option<Appended>> {
        let last = self.state.checkpoint().map_or(0, |checkpoint| checkpoint.at.seq.0);
        let since = self.state.next().0.saturating_sub(last);
        let role = self.keyring.as_ref().map(|keyring| keyring.role());
        if !matches!(role, Some(Role::Owner | Role::Collector)) || since < CHECKPOINT_RECORDS {
            return Ok(None);
        }
        if self.state.weight() / STATE_BYTES_PER_RECORD > since {
            return Ok(None);
        }
        self.write_checkpoint()
    }

    /// Goes on from the newest checkpoint that counts. Says whether there is one.
    pub(super) fn take_checkpoint(&mut self) -> Result<bool> {
        if self.checkpoints_tried || self.keyring.is_none() {
            return Ok(false);
        }
        self.checkpoints_tried = true;
        let mut numbers = Vec::new();
        for listed in self.components.place.list(&VaultNames::checkpoints(), None)? {
            if let Some(NamedObject::Checkpoint(seq)) = NamedObject::parse(&listed?.name) {
                numbers.push(seq);
            }
        }
        numbers.sort_unstable();
        // What is remembered below a checkpoint could not be compared any more.
        let comparable = |seq: &Seq| self.remembered.is_none_or(|at| at.seq >= *seq);
        numbers.retain(|seq| comparable(seq) && *seq > self.state.head().seq);
        for seq in numbers.into_iter().rev().take(CHECKPOINTS_TRIED) {
            if let Some((state, vouched)) = self.read_checkpoint(seq)? {
                self.head_bytes = Some(state.head().hash);
                self.state = state;
                self.standing.vouched = vouched;
                self.meet_remembered(self.state.head());
                self.take_missing_epochs()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The state of a checkpoint, and who vouches for it; `None` when it does not count here.
    fn read_checkpoint(&self, seq: Seq) -> Result<Option<(State, Vouched)>> {
        let name = VaultNames::checkpoint(seq);
        let bytes = match self.components.place.get_start(&name, CHECKPOINT_BYTES_MAX) {
            Ok(start) if start.bytes.len() as u64 == start.whole_length => start.bytes,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == places::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Ok((head, signature, sealed)) = CheckpointHead::decode(&bytes) else {
            return Ok(None);
        };
        if head.at.seq != seq || head.vault != self.state.vault() {
            return Ok(None);
        }
        let Some((key, vouched)) = self.voucher(&head) else { return Ok(None) };
        let signed = key.verify(SigningContext::Checkpoint, &head.encode(), &signature).is_ok();
        if !signed || Digest::of(sealed) != head.object {
            return Ok(None);
        }
        let Some(state) = self.open_state(sealed) else { return Ok(None) };
        let author = state.member(head.author);
        let stands = head.author == MemberId::ROOT
            || author.is_some_and(|m| m.revoked.is_none() && m.role == Role::Collector);
        if !stands || state.head() != head.at || state.config_bytes() != self.state.config_bytes() {
            return Ok(None);
        }
        let there = self.shelf.read(seq)?;
        let hash = there.map(|there| SignedRecord::hash(&there.bytes, there.whole_length));
        Ok((hash == Some(head.at.hash)).then_some((state, vouched)))
    }

    /// Whose word a checkpoint is, when this client takes it: the owner's, its own, and for a
    /// writer a collector's.
    fn voucher(&self, head: &CheckpointHead) -> Option<(crypto::VerifyingKey, Vouched)> {
        let Some(certificate) = &head.certificate else {
            return Some((self.state.root(), Vouched::ByOwner));
        };
        let keyring = self.keyring.as_ref()?;
        let own = keyring.member_id().is_ok_and(|own| own == head.author);
        if !own && keyring.role() != Role::Writer {
            return None;
        }
        let signed = SignedCertificate::decode(certificate).ok()?;
        let certificate = signed.verify(&self.state.root()).ok()?;
        let fits = certificate.vault_id == head.vault
            && certificate.member == head.author
            && certificate.role == Role::Collector;
        let vouched = if own { Vouched::ByOwner } else { Vouched::ByCollector };
        fits.then_some((certificate.verifying, vouched))
    }

    fn seal_state(&self) -> Result<Vec<u8>> {
        let kind = Kind::Checkpoint;
        let keyring = self.keyring.as_deref().ok_or(Error::NoKeys { kind })?;
        let header = Header {
            suite: keyring.suite(),
            kind: ObjectKind::Checkpoint,
            vault_id: keyring.vault_id(),
            session: SessionId::from_bytes([0; 16]),
            epoch: self.state.epoch(),
        };
        let key = keyring.ledger(header.epoch)?;
        let entropy = &*self.components.entropy;
        let mut sealer = ObjectSealer::new(header, Wrapping::Keyed(&key), entropy, Vec::new())?;
        sealer.write(&self.state.encode());
        let padded = padded_stream_len(sealer.stream_len());
        Ok(sealer.finish(padded)?.bytes)
    }

    fn open_state(&self, sealed: &[u8]) -> Option<State> {
        let keyring = self.keyring.as_deref()?;
        let key = keyring.ledger(Header::peek(sealed).ok()?.epoch).ok()?;
        let expected = Expected {
            kind: ObjectKind::Checkpoint,
            vault_id: keyring.vault_id(),
            suite: keyring.suite(),
        };
        let opened = OpenedObject::open_whole(sealed, Unwrapping::Keyed(&key), expected).ok()?;
        State::decode(&opened).ok()
    }

    /// The newest certificate of a member, from its record.
    fn certificate_of(&self, member: MemberId) -> Result<Option<Vec<u8>>> {
        let Some(known) = self.state.member(member) else { return Ok(None) };
        let Some(bytes) = self.shelf.read(known.certified)? else { return Ok(None) };
        let signed = SignedRecord::decode(&bytes.bytes).ok();
        let refs = signed.as_ref().and_then(|signed| signed.record.refs.inline());
        Ok(refs.and_then(|refs| match refs.first()? {
            Ref::Certificate(bytes) => Some(bytes.clone()),
            _ => None,
        }))
    }
}

/// What tests do that no client would.
#[cfg(test)]
impl Ledger {
    /// Forgets at other numbers than a vault does.
    pub(crate) fn set_compaction(&mut self, every: u64, age: u64) {
        self.state.set_compaction(every, age);
    }

    /// Begins anew at the newest checkpoint, however short the ledger is.
    pub(crate) fn begin_at_checkpoint(&mut self) {
        self.restart(&[]).unwrap();
        self.checkpoints_tried = false;
        self.remembered = None;
        assert!(self.take_checkpoint().unwrap());
        self.refresh().unwrap();
    }

    /// A checkpoint by this member that says that all packs were condemned.
    pub(crate) fn pretended_checkpoint(&mut self, at: format::RecordAt) -> Vec<u8> {
        let honest = self.state.clone();
        self.state.pretend(at);
        let bytes = self.checkpoint().unwrap().unwrap();
        self.state = honest;
        bytes
    }
}
