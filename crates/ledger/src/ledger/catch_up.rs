//! Catching up: reads on from the head, bundles first, a few records ahead at a time.
//!
//! The tail is found by reading, and a number that is missing below one that exists is read once
//! more before it is a break. At a break the oldest versions of the records are tried where the
//! place keeps them, then mends that lie ahead; each makes replay begin anew. DESIGN §9.

use format::{Digest, Epoch, Kind, Record, RecordAt, Ref, Seq, SignedRecord};

use super::Ledger;
use super::leap::Leap;
use crate::state::Stop;
use crate::{
    Alarm, Applied, Break, Context, Error, Outcome, RecordBytes, Result, State, Trust, Vouched,
};

/// Records asked for at once while all of them are there. A read ends where a bundle may begin.
const AHEAD: [u64; 4] = [1, 2, 16, AHEAD_MAX as u64];
/// From this step on the tail is not near, and bundles are looked for.
const FAR: usize = 2;
const AHEAD_MAX: usize = 64;

impl Ledger {
    /// Applies what the place has beyond the head. Returns where the chain is broken.
    pub(super) fn catch_up(&mut self) -> Result<Option<Break>> {
        loop {
            let Some(found) = self.advance()? else {
                if self.state.has_unsettled_mends() {
                    self.restart(&[])?;
                    continue;
                }
                return Ok(None);
            };
            if self.shelf.find_oldest_versions()? {
                self.restart(&[])?;
                continue;
            }
            match self.mend_ahead(found.seq())? {
                Some(mend) => self.restart(&[mend])?,
                None => return Ok(Some(found)),
            }
        }
    }

    /// Replays from the first record, passing over what these mends settle beside those known.
    pub(super) fn restart(&mut self, mends: &[RecordAt]) -> Result<()> {
        let genesis = self.shelf.read(Seq(0))?.ok_or(Error::Empty)?;
        let mut state = State::begin(self.state.config_bytes(), &genesis, Trust::Check)?;
        state.forget_as(&self.state);
        for (seq, hash) in self.state.mends() {
            state.learn_mend(RecordAt { seq, hash });
        }
        mends.iter().for_each(|mend| state.learn_mend(*mend));
        self.head_bytes = Some(Digest::of(&genesis.bytes));
        self.state = state;
        self.history = None;
        self.checkpoints_tried = true;
        self.standing.vouched = Vouched::Replayed;
        self.bundles_from = Default::default();
        self.listed = false;
        self.meet_remembered(self.state.head());
        Ok(())
    }

    /// Goes on from a state that this host kept, when it is on the chain.
    pub(super) fn take_cached(&mut self, cached: State) -> Result<()> {
        let head = cached.head();
        // What is remembered below the cached head could not be compared any more.
        let comparable = self.remembered.is_none_or(|at| at.seq >= head.seq);
        if cached.config_bytes() != self.state.config_bytes() || !comparable {
            return Ok(());
        }
        let Some(bytes) = self.shelf.read(head.seq)? else { return Ok(()) };
        if SignedRecord::hash(&bytes.bytes, bytes.whole_length) != head.hash {
            return Ok(());
        }
        self.head_bytes = Some(head.hash);
        self.checkpoints_tried = true;
        self.state = cached;
        self.take_missing_epochs()
    }

    /// Checks that the newest record applied still is what it was.
    pub(super) fn check_head(&mut self) -> Result<()> {
        let head = self.state.head();
        let Some(known) = self.head_bytes else { return Ok(()) };
        let mut found = self.shelf.read(head.seq)?;
        if found.is_none() {
            found = self.shelf.read(head.seq)?;
        }
        let hash = found.map(|found| SignedRecord::hash(&found.bytes, found.whole_length));
        if hash == Some(known) {
            return Ok(());
        }
        if self.shelf.find_oldest_versions()? {
            return self.restart(&[]);
        }
        self.history = Some(match hash {
            Some(found) => Alarm::Forked { remembered: head, found },
            None => {
                let seq = self.shelf.numbers_from(Seq(0))?.last().copied().unwrap_or_default();
                let found = RecordAt { seq, hash: self.digest_at(seq)? };
                Alarm::RolledBack { remembered: head, found }
            }
        });
        Ok(())
    }

    /// Compares a record of the chain with the one remembered under its number.
    pub(super) fn meet_remembered(&mut self, at: RecordAt) {
        if let Some(remembered) = self.remembered.filter(|remembered| remembered.seq == at.seq)
            && remembered.hash != at.hash
        {
            self.history = Some(Alarm::Forked { remembered, found: at.hash });
        }
    }

    /// Where an owner's `recover` gave up the history that is remembered, the new one is followed.
    pub(super) fn follow_recovers(&mut self) -> Result<()> {
        let Some(newest) = self.state.recovers().last() else { return Ok(()) };
        let Some(remembered) = self.remembered else { return Ok(()) };
        let (head, at, lost_after) = (self.state.head(), newest.at, newest.lost_after);
        let other = self.history.is_some() || remembered.seq > head.seq;
        if !other || remembered.seq <= lost_after {
            return Ok(());
        }
        // One that lies in the history remembered gave up nothing of it: it shows that the place
        // was rolled back to it.
        if self.memory.recovered()?.is_some_and(|known| known == at || at.seq < known.seq) {
            return Ok(());
        }
        self.memory.follow_recover(at, head)?;
        self.remembered = Some(head);
        self.history = None;
        Ok(())
    }

    /// Applies records until there are no more or the chain is broken.
    fn advance(&mut self) -> Result<Option<Break>> {
        let mut step = 0;
        loop {
            if (step >= FAR || step > 0 && !self.listed) && self.leap()? == Leap::Applied {
                step = FAR;
            }
            let first = self.state.next();
            let reach = AHEAD[step.min(AHEAD.len() - 1)];
            let ahead = (reach - first.0 % reach) as usize;
            let mut found = self.shelf.read_some(first, ahead)?;
            let present = found.iter().take_while(|record| record.is_some()).count();
            let beyond = found[present..].iter().position(Option::is_some);
            found.truncate(present);
            for record in found.into_iter().flatten() {
                if let Some(broken) = self.absorb(&record)? {
                    return Ok(Some(broken));
                }
            }
            if present == ahead {
                step += 1;
                continue;
            }
            if self.pass_settled() {
                continue;
            }
            let missing = self.state.next();
            let above = match beyond {
                Some(step) => Some(Seq(missing.0 + step as u64)),
                None if self.listed => None,
                None => self.shelf.lowest_above(missing)?,
            };
            let Some(above) = above else {
                self.listed = true;
                return Ok(None);
            };
            match self.shelf.read(missing)? {
                Some(record) => {
                    if let Some(broken) = self.absorb(&record)? {
                        return Ok(Some(broken));
                    }
                }
                None => return Ok(Some(Break::Missing { seq: missing, above })),
            }
        }
    }

    /// Applies one record and does what follows from it outside of the state.
    pub(super) fn absorb(&mut self, bytes: &RecordBytes) -> Result<Option<Break>> {
        let keyring = self.keyring.as_deref();
        let context = Context { trust: Trust::Check, lists: &self.shelf, keyring };
        match self.state.step(bytes, &context) {
            Ok(applied) => {
                self.head_bytes = Some(SignedRecord::hash(&bytes.bytes, bytes.whole_length));
                self.memory.keep_record(applied.at, bytes);
                self.follow(&applied);
                Ok(None)
            }
            Err(Stop::Break(found)) => Ok(Some(*found)),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    /// Passes over a number that a `mend` settles although nothing lies there.
    pub(super) fn pass_settled(&mut self) -> bool {
        let Some(applied) = self.state.pass_settled() else { return false };
        self.head_bytes = None;
        self.follow(&applied);
        true
    }

    fn follow(&mut self, applied: &Applied) {
        self.meet_remembered(applied.at);
        self.take_rotated(applied);
    }

    pub(super) fn take_rotated(&self, applied: &Applied) {
        let valid = applied.outcome == Outcome::Valid;
        if let Some(record) = applied.record.as_ref().filter(|r| valid && r.kind == Kind::Rotate) {
            self.take_epoch(record);
        }
    }

    /// Takes the keys of a new epoch that a `rotate` holds for this member.
    fn take_epoch(&self, record: &Record) {
        let Some(keyring) = &self.keyring else { return };
        let Ok(own) = keyring.member_id() else { return };
        let refs = record.refs.inline().unwrap_or_default();
        let Some(Ref::EpochKeys(keys)) = refs.first() else { return };
        for named in refs {
            if let Ref::SealedKeys { member, sealed } = named
                && *member == own
            {
                // Keys that do not open leave the epoch unheld: whoever needs it hears so by name.
                let _ = keyring.take_epoch(keys.epoch, sealed);
            }
        }
    }

    /// Takes the keys of epochs that began before a cached state.
    pub(super) fn take_missing_epochs(&mut self) -> Result<()> {
        let Some(keyring) = &self.keyring else { return Ok(()) };
        let missing = self.state.epochs().filter(|(epoch, _)| keyring.ledger(*epoch).is_err());
        for (epoch, state) in missing.filter(|(epoch, _)| *epoch > Epoch(0)) {
            let Some(bytes) = self.shelf.read(state.seq)? else { continue };
            // Replay did not check these bytes, and anybody can seal keys to a member.
            if let Some(record) = self.state.signed_rotate(epoch, &bytes) {
                self.take_epoch(&record);
            }
        }
        Ok(())
    }

    /// The first `mend` at or above a number that was not tried yet: one that the root key signed,
    /// whatever the chain says.
    fn mend_ahead(&mut self, from: Seq) -> Result<Option<RecordAt>> {
        let numbers = self.shelf.numbers_from(from)?;
        let unbroken = numbers.chunk_by(|one, next| next.0 - one.0 == 1);
        for some in unbroken.flat_map(|numbers| numbers.chunks(AHEAD_MAX)) {
            for (seq, found) in some.iter().zip(self.shelf.read_some(some[0], some.len())?) {
                let mend = found.and_then(|bytes| self.state.signed_mend(*seq, &bytes));
                let Some(mend) = mend else { continue };
                if self.tried_mends.insert(*seq)
                    && !self.state.mends().any(|known| known == (mend.seq, mend.hash))
                {
                    return Ok(Some(mend));
                }
            }
        }
        Ok(None)
    }

    /// The digest of what lies under a number.
    pub(super) fn digest_at(&self, seq: Seq) -> Result<Digest> {
        let found = self.shelf.read(seq)?;
        let found = found.map(|found| SignedRecord::hash(&found.bytes, found.whole_length));
        Ok(found.unwrap_or(Digest::from_bytes([0; Digest::BYTES])))
    }
}
