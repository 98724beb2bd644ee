//! The ledger's state at a number, kept sealed in the cache, so that opening replays only what came
//! since. It is disposable: what does not open or decode is replayed from the first record. That it
//! is on the chain is proven by the next record, whose `prev` must fit it. A large one is written
//! anew only when enough came since. FORMAT.md §12.

use crypto::{
    Entropy, Epoch, Expected, Header, Keyring, ObjectKind, ObjectSealer, OpenedObject, SessionId,
    Unwrapping, Wrapping, padded_stream_len,
};
use ledger::{RecordAt, State};

use crate::home::Home;

/// The state that was kept, if there is one.
pub(crate) fn load(home: &Home, keyring: &Keyring) -> Option<State> {
    State::decode(&load_file(home, keyring, "ledger", "state")?).ok()
}

/// So many records behind, a state is written anew, however large it is.
const RECORDS_REPLAYED_MAX: u64 = 1024;
/// What may be written to save replaying one record: about as long as that takes.
const BYTES_PER_RECORD: u64 = 64 << 10;

/// Whether a state of this head and about so many bytes is to be kept, although one of the head
/// `kept` is kept already.
pub(crate) fn is_worth_keeping(head: RecordAt, weight: u64, kept: Option<RecordAt>) -> bool {
    let Some(kept) = kept else { return true };
    let Some(since) = head.seq.0.checked_sub(kept.seq.0) else { return true };
    let other = since == 0 && head.hash != kept.hash;
    other || since > RECORDS_REPLAYED_MAX || weight < since * BYTES_PER_RECORD
}

/// Keeps a state. A cache that cannot be written costs speed, not safety.
pub(crate) fn keep(home: &Home, keyring: &Keyring, state: &State, entropy: &dyn Entropy) {
    keep_file(home, keyring, ("ledger", "state"), &state.encode(), entropy);
}

/// The payload of a sealed file of the cache, if it is there and opens.
pub(crate) fn load_file(
    home: &Home,
    keyring: &Keyring,
    folder: &str,
    name: &str,
) -> Option<Vec<u8>> {
    let folder = home.cache_folder(folder).ok().flatten()?;
    let bytes = std::fs::read(folder.join(name)).ok()?;
    let expected = Expected {
        kind: ObjectKind::CacheFile,
        vault_id: keyring.vault_id(),
        suite: keyring.suite(),
    };
    OpenedObject::open_whole(&bytes, Unwrapping::Keyed(home.local()), expected).ok()
}

/// Keeps a payload sealed in a file of the cache. One that cannot be written costs speed, not
/// safety.
pub(crate) fn keep_file(
    home: &Home,
    keyring: &Keyring,
    (folder, name): (&str, &str),
    payload: &[u8],
    entropy: &dyn Entropy,
) {
    let Ok(Some(folder)) = home.cache_folder(folder) else { return };
    let header = Header {
        suite: keyring.suite(),
        kind: ObjectKind::CacheFile,
        vault_id: keyring.vault_id(),
        session: SessionId::from_bytes([0; 16]),
        epoch: Epoch(0),
    };
    let wrapping = Wrapping::Keyed(home.local());
    let Ok(mut sealer) = ObjectSealer::new(header, wrapping, entropy, Vec::new()) else { return };
    sealer.write(payload);
    let padded = padded_stream_len(sealer.stream_len());
    if let Ok(object) = sealer.finish(padded) {
        let _ = Home::write_cache(&folder.join(name), &[&object.bytes]);
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordAt, is_worth_keeping};
    use crypto::Digest;
    use ledger::Seq;

    fn at(seq: u64) -> RecordAt {
        RecordAt { seq: Seq(seq), hash: Digest::of(&seq.to_le_bytes()) }
    }

    #[test]
    fn a_small_state_is_kept_at_every_record_and_a_large_one_when_enough_came() {
        let large = 30 << 20;
        assert!(is_worth_keeping(at(9), 60_000, Some(at(8))));
        assert!(!is_worth_keeping(at(9), 60_000, Some(at(9))), "nothing is new");
        assert!(!is_worth_keeping(at(5_100), large, Some(at(5_000))));
        assert!(is_worth_keeping(at(5_600), large, Some(at(5_000))));
        assert!(is_worth_keeping(at(6_025), u64::MAX, Some(at(5_000))));
    }

    #[test]
    fn a_state_of_another_history_is_always_kept() {
        let fork = RecordAt { seq: Seq(9), hash: Digest::of(b"another") };
        assert!(is_worth_keeping(at(9), u64::MAX, None));
        assert!(is_worth_keeping(at(9), u64::MAX, Some(fork)));
        assert!(is_worth_keeping(at(8), u64::MAX, Some(at(9))), "the owner recovered");
    }
}
