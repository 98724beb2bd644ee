//! What a finished mark found, kept for the next one.
//!
//! The file holds the record that the mark was of, its roots, the tables of the index that it went
//! over, and the reached entries of those as a bitmap. It is used only when its record is on the
//! chain, each of its roots still is one, and each of its tables is still there: then all that it
//! calls reached is, with all below it, and only what is new is walked. Else everything is walked
//! again; the file is disposable. Only whole marks are kept. FORMAT.md §12.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use crypto::{Digest, SessionId};
use format::{DecodeError, Decoder, Encoder, Seq};

use crate::mark::{Reach, Root};
use crate::state_cache::{keep_file, load_file};
use crate::vault::Vault;

const FILE: (&str, &str) = ("collect", "mark");
const VERSION: u8 = 1;
const ITEMS_MAX: usize = 1 << 26;

/// What is kept of a mark.
pub(super) struct Remembered {
    seq: Seq,
    hash: Digest,
    roots: BTreeSet<SessionId>,
    /// The files of the tables, in the order that ordinals count through them.
    pub(super) tables: Vec<Digest>,
    /// The bitmap.
    pub(super) words: Vec<u64>,
}

/// The last mark that was kept, if it holds for these roots.
pub(super) fn load(vault: &Vault, roots: &[Root]) -> Option<Remembered> {
    let bytes = load_file(vault.home(), vault.keyring(), FILE.0, FILE.1)?;
    let remembered = decode(&bytes).ok()?;
    let now: BTreeSet<SessionId> = roots.iter().map(|root| root.snapshot).collect();
    let ledger = vault.ledger();
    let on_chain = remembered.seq <= ledger.state().head().seq
        && ledger.read(remembered.seq).is_ok_and(|entry| entry.hash == remembered.hash);
    (on_chain && remembered.roots.is_subset(&now)).then_some(remembered)
}

/// Keeps a whole mark, unless tables were merged since or lie in memory only.
pub(super) fn keep(vault: &Vault, roots: &[Root], reach: &Reach, order: u64) {
    let head = vault.ledger().state().head();
    // A void record of nobody counts with another hash than that of its bytes.
    let on_chain = vault.ledger().read(head.seq).is_ok_and(|entry| entry.hash == head.hash);
    let handle = vault.index_handle();
    let index = handle.read().unwrap_or_else(PoisonError::into_inner);
    let Some(tables) = index.table_names().filter(|_| index.reordered() == order && on_chain)
    else {
        return;
    };
    let remembered = Remembered {
        seq: head.seq,
        hash: head.hash,
        roots: roots.iter().map(|root| root.snapshot).collect(),
        tables: tables.into_iter().map(|(name, _)| name).collect(),
        words: reach.to_words(),
    };
    drop(index);
    let entropy = vault.components().entropy.clone();
    keep_file(vault.home(), vault.keyring(), FILE, &encode(&remembered), entropy.as_ref());
}

/// Whatever decodes encodes back to the same bytes.
pub(crate) fn check_remembered(bytes: &[u8]) {
    if let Ok(remembered) = decode(bytes) {
        assert_eq!(encode(&remembered), bytes);
    }
}

fn encode(remembered: &Remembered) -> Vec<u8> {
    let mut e = Encoder::new();
    e.u8(VERSION).u64(remembered.seq.0).raw(remembered.hash.as_bytes());
    let roots: Vec<_> = remembered.roots.iter().collect();
    e.list(&roots, |e, root| {
        e.raw(root.as_bytes());
    });
    e.list(&remembered.tables, |e, table| {
        e.raw(table.as_bytes());
    });
    e.list(&remembered.words, |e, word| {
        e.u64(*word);
    });
    e.finish()
}

fn decode(bytes: &[u8]) -> Result<Remembered, DecodeError> {
    let mut d = Decoder::new(bytes);
    let version = d.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version { what: "a kept mark", version, known: VERSION });
    }
    let seq = Seq(d.u64()?);
    let hash = Digest::from_bytes(d.array()?);
    let root = |d: &mut Decoder<'_>| Ok::<_, DecodeError>(SessionId::from_bytes(d.array()?));
    let roots = d.list(ITEMS_MAX, 16, root)?;
    let table = |d: &mut Decoder<'_>| Ok::<_, DecodeError>(Digest::from_bytes(d.array()?));
    let tables = d.list(ITEMS_MAX, 32, table)?;
    let words = d.list(ITEMS_MAX, 8, |d| d.u64())?;
    d.finish()?;
    if !roots.is_sorted_by(|a, b| a < b) {
        return Err(DecodeError::NotCanonical { what: "the roots of a kept mark" });
    }
    let roots = roots.into_iter().collect();
    Ok(Remembered { seq, hash, roots, tables, words })
}
