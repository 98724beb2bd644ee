//! Leaping: catching up through bundles, many at a time.
//!
//! A bundle may be by anybody. A row of them counts only when its records replay without a break
//! up to a last one that is well signed, and when the last ones lie in the ledger with the same
//! bytes, back to one by the owner, by this client itself or by a second member. That one's chain
//! vouches for all before it. Signatures are checked by all processors. FORMAT.md §11.

use crypto::Role;
use format::{BUNDLE_SPANS, MemberId, Seq};

use super::Ledger;
use super::bundle::bounds;
use crate::shelf::side_by_side;
use crate::state::Stop;
use crate::{Applied, Context, Outcome, RecordBytes, Result, State, Trust, VoidReason};

/// A bundle is worth a read when this many of its records are wanted, by its length.
const WORTH: [u64; BUNDLE_SPANS.len()] = [16, 8, 4];
/// Bundles read at once.
const BUNDLES_AT_ONCE: u64 = 4;
/// How much is read before it is applied. More than 16,000 records of usual length.
const GATHERED_BYTES_MAX: usize = 32 << 20;
/// Records of a row that are compared with the ledger at most; when more have to be, bundles save
/// too little.
const COMPARED_MAX: usize = 256;
/// Fewer signatures than this are checked by one thread.
const CHECKED_ALONE: usize = 64;
const CHECKERS_MAX: usize = 16;

/// What one bundle holds from the head on.
type Part = Vec<RecordBytes>;

impl Ledger {
    /// Applies what bundles hold beyond the head, as far as there are any.
    pub(super) fn leap(&mut self) -> Result<Leap> {
        let mut leap = Leap::Nothing;
        loop {
            let parts = self.gather()?;
            if parts.is_empty() {
                return Ok(leap);
            }
            // A long way to go: what it leads to may lie there ready.
            if parts[0].len() as u64 > BUNDLE_SPANS[1] && self.take_checkpoint()? {
                leap = Leap::Applied;
                continue;
            }
            if !self.apply_parts(&parts)? {
                return Ok(leap);
            }
            leap = Leap::Applied;
        }
    }

    /// Reads bundles from the head on: long ones while there are any, then shorter ones.
    fn gather(&mut self) -> Result<Vec<Part>> {
        let (mut parts, mut next, mut bytes) = (Vec::new(), self.state.next(), 0);
        for (level, span) in BUNDLE_SPANS.into_iter().enumerate() {
            // Where a longer one could begin, it is looked for first.
            let longer = level.checked_sub(1).map(|above| BUNDLE_SPANS[above]);
            let end = longer.map_or(u64::MAX, |longer| (next.0 / longer + 1) * longer);
            let mut at_once = 1;
            while bytes < GATHERED_BYTES_MAX && next.0 < end && next >= self.bundles_from[level] {
                let number = next.0 / span;
                let (_, last) = bounds(span, number);
                if last.0 - next.0 + 1 < WORTH[level] {
                    break;
                }
                let count = (end / span - number).min(at_once);
                let read =
                    side_by_side(self.shelf.calls_at_once(), number..number + count, |number| {
                        let (first, last) = bounds(span, number);
                        (last, self.read_bundle(first, last))
                    });
                for (last, records) in read {
                    let Some(mut records) = records?.filter(|_| next <= last) else {
                        self.bundles_from[level] = last.next();
                        break;
                    };
                    let known = records.len() as u64 - (last.0 - next.0 + 1);
                    records.drain(..known as usize);
                    bytes += records.iter().map(|record| record.bytes.len()).sum::<usize>();
                    parts.push(records);
                    next = last.next();
                }
                at_once = longer.map_or((at_once * 2).min(BUNDLES_AT_ONCE), |longer| longer / span);
            }
        }
        Ok(parts)
    }

    /// Applies what was gathered, all of it or as much as counts. Says whether all did.
    fn apply_parts(&mut self, parts: &[Part]) -> Result<bool> {
        if self.apply_row(&parts.concat())? {
            return Ok(true);
        }
        for part in parts {
            let last = Seq(self.state.head().seq.0 + part.len() as u64);
            if parts.len() == 1 || !self.apply_row(part)? {
                // Its records are read singly.
                self.bundles_from = [last.next(); BUNDLE_SPANS.len()];
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn apply_row(&mut self, records: &[RecordBytes]) -> Result<bool> {
        let signatures = check_signatures(&self.state, records);
        let mut state = self.state.clone();
        let mut applied = Vec::with_capacity(records.len());
        let keyring = self.keyring.as_deref();
        let context = Context { trust: Trust::Check, lists: &self.shelf, keyring };
        for (record, signature) in records.iter().zip(signatures) {
            match state.step_signed(record, &context, signature) {
                Ok(one) => {
                    // Bodies behind a rotate need its keys.
                    self.take_rotated(&one);
                    applied.push(one);
                }
                Err(Stop::Break(_)) => return Ok(false),
                Err(Stop::Error(error)) => return Err(error),
            }
        }
        let own = self.keyring.as_ref().and_then(|keyring| keyring.member_id().ok());
        let compared = to_compare(&state, &applied, own);
        let Some(compared) = compared.filter(|count| *count <= COMPARED_MAX) else {
            return Ok(false);
        };
        let first = Seq(state.next().0 - compared as u64);
        let lie_there = self.shelf.read_some(first, compared)?;
        let given = &records[records.len() - compared..];
        if !lie_there.iter().map(Option::as_ref).eq(given.iter().map(Some)) {
            return Ok(false);
        }
        self.head_bytes = Some(state.head().hash);
        self.state = state;
        applied.iter().for_each(|one| self.meet_remembered(one.at));
        Ok(true)
    }
}

/// Whether a leap brought anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leap {
    /// It did.
    Applied,
    /// It did not.
    Nothing,
}

/// Checks the signatures of a row ahead of its replay, by all processors.
fn check_signatures(state: &State, records: &[RecordBytes]) -> Vec<Trust> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(CHECKERS_MAX);
    if records.len() < CHECKED_ALONE || threads == 1 {
        return vec![Trust::Check; records.len()];
    }
    let check = |part: &[RecordBytes]| -> Vec<Trust> {
        part.iter().map(|record| state.check_ahead(record)).collect()
    };
    side_by_side(threads, records.chunks(records.len().div_ceil(threads)), check).concat()
}

/// How many of the last records must lie in the ledger with the same bytes: back to the newest by
/// the root key, by a member of role owner, by this client's own member, or by another member than
/// the last one's author. Whoever signed the last could have signed for a history that hides what
/// others appended; that one's `prev` vouches for all before it. `None` when nobody vouches for
/// the last.
fn to_compare(state: &State, applied: &[Applied], own: Option<MemberId>) -> Option<usize> {
    let author = |one: &Applied| match one.outcome {
        Outcome::Void(reason) if reason.is_unsigned() || reason == VoidReason::Mended => None,
        _ => one.record.as_ref().map(|record| record.author),
    };
    let last = author(applied.last()?)?;
    let owner = |id| state.member(id).is_none_or(|member| member.role == Role::Owner);
    let vouches =
        |one: &Applied| author(one).is_some_and(|id| id != last || Some(id) == own || owner(id));
    let after = applied.iter().rev().take_while(|one| !vouches(one)).count();
    Some(applied.len().min(after + 1))
}
