//! Reads whole packs: by name alone, or opening every chunk.
//!
//! Packs are shared out among threads, one at a time each. A pack whose bytes do not have its name
//! is then searched frame by frame for what can still be read, so that only what is really hurt is
//! named.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use crypto::{Digest, ObjectKind};
use format::{ChunkRef, DomainId, NamedObject, PackListing, VaultNames, split_pack};
use ledger::State;
use places::{ObjectName, Place};

use super::{Check, go_on};
use crate::reader::Reader;
use crate::writer::lock;
use crate::{Error, ErrorKind, Result};

/// What was found of one object.
struct Finding {
    name: ObjectName,
    bytes: u64,
    chunks: u64,
    damage: Option<Error>,
    bad: Vec<(Digest, ChunkRef)>,
    gone: Option<Digest>,
}

/// Checks that every needed pack and run has the bytes of its name.
pub(super) fn verify_names(check: &mut Check<'_>, state: &State) -> Result<()> {
    let packs = state.packs().map(|(name, _)| VaultNames::pack(name));
    let names: Vec<ObjectName> =
        packs.chain(state.runs().map(|(n, _)| VaultNames::run(n))).collect();
    let place = check.components.place.clone();
    let findings = in_parallel(check, &names, |name| {
        let bytes = match read_named(place.as_ref(), name) {
            Ok(bytes) => bytes.len() as u64,
            Err(error) => return finding(name, 0, Some(error)),
        };
        finding(name, bytes, None)
    })?;
    take_findings(check, findings)
}

/// Opens every chunk of every pack.
pub(super) fn verify_data(
    check: &mut Check<'_>,
    reader: &Reader,
    listings: &HashMap<Digest, (PackListing, DomainId)>,
) -> Result<()> {
    let mut packs: Vec<&(PackListing, DomainId)> =
        listings.values().filter(|(p, _)| !check.missing.contains(&p.name)).collect();
    packs.sort_by_key(|(listing, _)| listing.name);
    let place = check.components.place.clone();
    let findings = in_parallel(check, &packs, |(listing, domain)| {
        let name = VaultNames::pack(&listing.name);
        match read_pack(place.as_ref(), reader, &name, listing, *domain) {
            Ok((bytes, chunks)) => Finding { chunks, ..finding(&name, bytes, None) },
            Err(error) => salvage(reader, listing, *domain, finding(&name, 0, Some(error))),
        }
    })?;
    take_findings(check, findings)
}

/// Reads one pack whole: its name, its directory, every chunk.
fn read_pack(
    place: &dyn Place,
    reader: &Reader,
    name: &ObjectName,
    listing: &PackListing,
    domain: DomainId,
) -> Result<(u64, u64)> {
    let object = read_named(place, name)?;
    if listing.kind == ObjectKind::ContentPack && !reader.may_read_content(listing.epoch) {
        return Ok((object.len() as u64, 0));
    }
    let payload = reader.open_pack(listing, &object)?;
    let (frames, directory) =
        split_pack(&payload, listing.kind).map_err(|e| Error::object(name, e))?;
    if directory != listing.directory {
        return Err(Error::object(name, "its directory is not the one that its index run lists"));
    }
    let mut rest = frames;
    let mut chunks = 0;
    for frame in &directory.frames {
        let (stored, left) = rest.split_at(frame.stored_length as usize);
        rest = left;
        let plain = reader.decompress(frame.codec, stored, frame.plain_length() as usize)?;
        let mut plain = &plain[..];
        for entry in &frame.chunks {
            let (bytes, left) = plain.split_at(entry.length as usize);
            plain = left;
            if reader.name(domain, entry.chunk.kind, bytes)? != entry.chunk.id {
                return Err(Error::ChunkContent { chunk: entry.chunk, pack: listing.name });
            }
            chunks += 1;
        }
    }
    Ok((object.len() as u64, chunks))
}

/// Finds out which chunks of a damaged pack can still be read.
fn salvage(
    reader: &Reader,
    listing: &PackListing,
    domain: DomainId,
    mut finding: Finding,
) -> Finding {
    for entry in listing.directory.frames.iter().flat_map(|frame| &frame.chunks) {
        if reader.chunk_of_pack(domain, entry.chunk, listing.name).is_err() {
            finding.bad.push((listing.name, entry.chunk));
        }
    }
    finding
}

fn read_named(place: &dyn Place, name: &ObjectName) -> Result<Bytes> {
    let bytes = place.get(name, None)?;
    let digest = match NamedObject::parse(name) {
        Some(NamedObject::Pack(digest) | NamedObject::Run(digest)) => digest,
        _ => return Err(Error::object(name, "its name is no digest")),
    };
    if Digest::of(&bytes) != digest {
        return Err(Error::object(name, "its bytes do not have its name"));
    }
    Ok(bytes)
}

fn finding(name: &ObjectName, bytes: u64, damage: Option<Error>) -> Finding {
    let absent = damage.as_ref().is_some_and(|error| error.kind() == ErrorKind::NotFound);
    let gone = match NamedObject::parse(name) {
        Some(NamedObject::Pack(digest)) if absent => Some(digest),
        _ => None,
    };
    Finding { name: name.clone(), bytes, chunks: 0, damage, bad: Vec::new(), gone }
}

fn take_findings(check: &mut Check<'_>, findings: Vec<Finding>) -> Result<()> {
    for finding in findings {
        check.found.objects += 1;
        check.found.bytes += finding.bytes;
        check.found.chunks += finding.chunks;
        check.missing.extend(finding.gone);
        check.bad.extend(finding.bad.into_iter().map(|(pack, chunk)| (pack, chunk.id)));
        if let Some(error) = finding.damage {
            check.take(finding.name.as_str(), error)?;
        }
    }
    Ok(())
}

/// Does `work` on every item, on as many threads as the machine has cores.
fn in_parallel<T: Sync>(
    check: &Check<'_>,
    items: &[T],
    work: impl Fn(&T) -> Finding + Sync,
) -> Result<Vec<Finding>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let next = AtomicUsize::new(0);
    let findings = Mutex::new(Vec::with_capacity(items.len()));
    let (progress, cancel) = (check.progress, check.cancel);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if go_on(cancel).is_err() {
                        return;
                    }
                    let finding = work(item);
                    progress.object(finding.name.as_str(), finding.bytes);
                    lock(&findings).push(finding);
                }
            });
        }
    });
    go_on(cancel)?;
    let mut findings = findings.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    findings.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(findings)
}
