//! A copy of a ledger at another place: records taken over as they are.
//!
//! Whoever copies needs no key and adds nothing: each record keeps its number and its bytes. It is
//! put only where it continues the chain that lies there, so a copy is at every instant a whole
//! beginning of its source. Nothing else is ever written to a marked replica. DESIGN §12.

use std::sync::Arc;

use bytes::Bytes;
use format::{RecordAt, Seq};

use super::{Components, Ledger, append, check_config};
use crate::shelf::Shelf;
use crate::state::Link;
use crate::{Break, Error, Memory, RecordBytes, Result, State, Trust};

impl Ledger {
    /// Puts another place's first record here, unless it lies here already, and opens the ledger.
    ///
    /// # Errors
    /// [`Error::Config`]; [`Error::Broken`] when these bytes are not the first record of the
    /// config's vault; [`Error::Taken`] when another record lies here; and as [`Self::open`].
    pub fn receive_first(
        components: Components,
        config_bytes: &[u8],
        genesis: &Bytes,
        memory: Arc<dyn Memory>,
    ) -> Result<Self> {
        check_config(config_bytes)?;
        State::begin(config_bytes, &RecordBytes::whole(genesis.clone()), Trust::Check)?;
        let shelf = Shelf::new(components.place.clone());
        if !append::settle(&shelf, &components, Seq(0), genesis)? {
            return Err(Error::Taken { seq: Seq(0) });
        }
        Self::open(components, config_bytes, None, memory, None)
    }

    /// Takes over the record of the next number, with the bytes that it has at `source`, and says
    /// how many; where a `mend` known there settled a number that holds nothing, nothing and 0.
    ///
    /// # Errors
    /// [`Error::Broken`] when it does not continue this chain: nothing was put then.
    /// [`Error::Taken`] when another record has the number here. [`Error::NoRecord`] at the
    /// source's end. [`Error::Unsettled`], [`Error::ReadBack`], [`Error::Place`] as
    /// [`Self::append`].
    pub fn receive_next(&mut self, source: &Self) -> Result<u64> {
        let seq = self.state.next();
        let newest = source.state.head().seq;
        if seq > newest {
            return Err(Error::NoRecord { seq, newest });
        }
        if let Some(mended) = source.mended(seq) {
            self.state.learn_mend(mended);
        }
        let Some(bytes) = source.shelf.read_whole(seq)? else {
            return match self.pass_settled() {
                true => Ok(0),
                false => Err(Break::Missing { seq, above: newest }.into()),
            };
        };
        let record = RecordBytes::whole(bytes.clone());
        if source.mended(seq).is_none()
            && let Some(found) = self.state.breaks_chain(&record)
        {
            return Err(found.into());
        }
        if !append::settle(&self.shelf, &self.components, seq, &bytes)? {
            return Err(Error::Taken { seq });
        }
        match self.absorb(&record)? {
            Some(found) => Err(found.into()),
            None => Ok(bytes.len() as u64),
        }
    }

    /// The newest number here whose record `source` lacks or has otherwise; `None` when what lies
    /// here is a beginning of it.
    ///
    /// # Errors
    /// [`Error::Place`], [`Error::NoRecord`].
    pub fn fork_from(&self, source: &Self) -> Result<Option<Seq>> {
        let (here, there) = (self.state.head(), source.state.head());
        let mut hash = here.hash;
        let mut seq = here.seq;
        while seq < there.seq {
            seq = seq.next();
            if let Some(mended) = source.mended(seq) {
                hash = mended.hash;
                continue;
            }
            // What nobody signed says nothing of what lies before it; the next record does.
            match self.state.link(seq, &source.read(seq)?.bytes, &hash) {
                Link::Signed { prev } => return Ok((prev != hash).then_some(here.seq)),
                Link::Junk { chained } => hash = chained,
            }
        }
        Ok((seq != there.seq || hash != there.hash).then_some(here.seq))
    }

    /// The lowest number whose record is not the same here and at `source`; the number behind the
    /// shorter one's newest when one is a beginning of the other.
    ///
    /// # Errors
    /// [`Error::Place`].
    pub fn parting_from(&self, source: &Self) -> Result<Seq> {
        let (mut same, mut other) = (0, self.state.next().0.min(source.state.next().0));
        // Each record names the hash of the one before, so those that differ follow those that
        // do not.
        while same < other {
            let middle = Seq(same + (other - same) / 2);
            match self.digest_at(middle)? == source.digest_at(middle)? {
                true => same = middle.0 + 1,
                false => other = middle.0,
            }
        }
        Ok(Seq(same))
    }

    fn mended(&self, seq: Seq) -> Option<RecordAt> {
        let mut mends = self.state.mends();
        let hash = mends.find(|(mended, _)| *mended == seq)?.1;
        Some(RecordAt { seq, hash })
    }
}
