//! Moves chunks: read as any reader reads them, held to their ids, and stored in packs of a new
//! session.
//!
//! A large frame all of whose chunks live moves as it is stored. The chunks of other frames are put
//! together with their neighbours, in their old order, and compressed anew. A chunk that its pack
//! does not give is looked for in others; one that none gives stays where it is listed, and so does
//! its pack. The session publishes as every session does, and ends without a snapshot.

use std::collections::BTreeMap;

use bytes::Bytes;
use crypto::{Digest, DomainId};
use format::{ChunkEntry, ChunkRef, Codec, FRAME_BYTES_TARGET};
use ledger::PackStanding;

use super::{Moving, UnmovedPack};
use crate::collect::Work;
use crate::compression::Paranoia;
use crate::index::Found;
use crate::mark::{in_parallel, is_damage, stored_share};
use crate::table::TableEntry;
use crate::writer::{Lane, WriteOptions, Writer};
use crate::{Reader, Result};

/// So much is read side by side, before compression, and one frame more; as much is being stored.
const BATCH_BYTES: u64 = 16 << 20;
/// And so many frames.
const BATCH_FRAMES: usize = 256;
/// A frame of at least so many bytes moves as it is; smaller ones are put together.
const WHOLE_BYTES_MIN: u32 = FRAME_BYTES_TARGET / 2;

/// The live chunks of one frame, with the number of their pack.
type Frame<'a> = &'a [(u32, TableEntry)];

/// A frame that was read, and what it gave.
enum Gave {
    /// All of it lives: the bytes as they are stored.
    Whole(Codec, Bytes, Vec<ChunkEntry>),
    /// Its live chunks, and for each that nobody gives, why.
    Chunks(Vec<(ChunkEntry, Result<Bytes, String>)>),
}

/// Chunks that nobody gave: how many of a pack, and why the last one.
type Missing = BTreeMap<u32, (u64, String)>;

impl Work<'_> {
    /// Moves these chunks in one session.
    pub(super) fn rewrite(&mut self, domain: DomainId, moving: &Moving) -> Result<()> {
        self.go_on()?;
        let reader = self.vault.reader()?;
        let options = WriteOptions {
            domain: Some(domain),
            // What is moved is about to be deleted where it was.
            paranoia: Paranoia::EveryFrame,
            ..WriteOptions::default()
        };
        let writer = self.vault.write(options)?;
        let session = writer.session();
        self.compaction().sessions.push(session);
        let mut missing = Missing::new();
        if let Err(error) = self.copy_all(&writer, &reader, moving, &mut missing) {
            // What is published counts, and the next compaction goes on from there.
            let _ = writer.abandon();
            return Err(error);
        }
        let written = writer.commit_packs()?;
        let compaction = self.compaction();
        compaction.new_packs += written.packs;
        compaction.new_bytes += written.bytes_uploaded;
        compaction.packs += (moving.packs.len() - missing.len()) as u64;
        self.note_missing(moving, missing)
    }

    fn copy_all(
        &mut self,
        writer: &Writer,
        reader: &Reader,
        moving: &Moving,
        missing: &mut Missing,
    ) -> Result<()> {
        let at_once = self.place().calls_at_once();
        let frame = |entry: &(u32, TableEntry)| (entry.0, entry.1.frame.offset);
        let mut frames = moving.chunks.chunk_by(|a, b| frame(a) == frame(b));
        let batches = std::iter::from_fn(|| {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while batch.len() < BATCH_FRAMES && bytes < BATCH_BYTES {
                let Some(frame) = frames.next() else { break };
                bytes += frame.first().map_or(0, |(_, e)| u64::from(e.frame.plain_length));
                batch.push(frame);
            }
            (!batch.is_empty()).then_some(batch)
        });
        let read = |batch: &Vec<Frame<'_>>| -> Result<Vec<Gave>> {
            let parts = in_parallel(at_once, batch, |part| {
                part.iter().map(|frame| read_frame(reader, moving, frame)).collect()
            })?;
            Ok(parts.into_iter().flat_map(|part: Vec<Gave>| part).collect())
        };
        let mut lane = writer.lane();
        read_ahead(at_once, batches, read, |batch, gave| {
            self.go_on()?;
            let mut frames = batch.into_iter().zip(gave);
            frames.try_for_each(|(frame, gave)| self.store(writer, &mut lane, frame, gave, missing))
        })?;
        lane.flush()
    }

    fn store(
        &mut self,
        writer: &Writer,
        lane: &mut Lane<'_>,
        frame: Frame<'_>,
        gave: Gave,
        missing: &mut Missing,
    ) -> Result<()> {
        let mut moved: Vec<u64> = frame.iter().map(|(_, entry)| stored_share(entry)).collect();
        match gave {
            Gave::Whole(codec, stored, chunks) => writer.copy_frame(codec, &stored, chunks)?,
            Gave::Chunks(chunks) => {
                moved.clear();
                for ((pack, at), (entry, bytes)) in frame.iter().zip(chunks) {
                    match bytes {
                        Ok(bytes) => {
                            lane.store_again(entry, &bytes)?;
                            moved.push(stored_share(at));
                        }
                        Err(reason) => {
                            let before = missing.get(pack).map_or(0, |(chunks, _)| *chunks);
                            missing.insert(*pack, (before + 1, reason));
                        }
                    }
                }
            }
        }
        let bytes = moved.iter().sum();
        let compaction = self.compaction();
        compaction.chunks += moved.len() as u64;
        compaction.moved_bytes += bytes;
        self.progress.moved(bytes);
        Ok(())
    }

    /// Reports the packs of which something is missing, unless somebody deleted them meanwhile:
    /// then nothing needed it any more.
    fn note_missing(&mut self, moving: &Moving, missing: Missing) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        self.vault.refresh()?;
        let standings: Vec<(Digest, PackStanding)> = {
            let ledger = self.vault.ledger();
            let packs = moving.packs.iter().map(|pack| pack.name);
            packs.map(|name| (name, ledger.state().pack_standing(&name))).collect()
        };
        for (pack, (chunks, reason)) in missing {
            let (pack, standing) = standings[pack as usize];
            if standing != PackStanding::Condemned && standing != PackStanding::Unknown {
                self.compaction().unmoved.push(UnmovedPack { pack, chunks, reason });
            }
        }
        Ok(())
    }
}

/// Reads each batch while the one before it is stored; where calls come one by one, after that.
fn read_ahead<B: Sync, G: Send>(
    at_once: usize,
    mut batches: impl Iterator<Item = B>,
    read: impl Fn(&B) -> Result<G> + Sync,
    mut store: impl FnMut(B, G) -> Result<()>,
) -> Result<()> {
    let Some(mut batch) = batches.next() else { return Ok(()) };
    let mut gave = read(&batch)?;
    for next in batches {
        gave = if at_once <= 1 {
            store(batch, gave)?;
            read(&next)?
        } else {
            std::thread::scope(|scope| {
                let ahead = scope.spawn(|| read(&next));
                let stored = store(batch, gave);
                let read = ahead.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                stored.and(read)
            })?
        };
        batch = next;
    }
    store(batch, gave)
}

/// Reads a frame's live chunks.
fn read_frame(reader: &Reader, moving: &Moving, frame: Frame<'_>) -> Result<Gave> {
    let entry = |entry: &TableEntry| ChunkEntry {
        chunk: ChunkRef { kind: entry.kind, id: entry.id },
        length: entry.length,
    };
    let (number, first) = frame[0];
    let pack = &moving.packs[number as usize];
    let found =
        |entry: TableEntry| Found { pack: pack.clone(), entry, standing: PackStanding::Good };
    let live: u64 = frame.iter().map(|(_, entry)| u64::from(entry.length)).sum();
    let all_live = live == u64::from(first.frame.plain_length);
    if all_live && first.frame.plain_length >= WHOLE_BYTES_MIN {
        match reader.whole_frame(&found(first), frame.iter().map(|(_, entry)| *entry)) {
            Ok(stored) => {
                let chunks = frame.iter().map(|(_, e)| entry(e)).collect();
                return Ok(Gave::Whole(first.frame.codec.codec(), stored, chunks));
            }
            Err(error) if is_damage(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let mut chunks = Vec::with_capacity(frame.len());
    for (_, at) in frame {
        let chunk = entry(at).chunk;
        let here = reader.chunk_at(pack.domain, chunk, &found(*at));
        let bytes = match here {
            Err(error) if is_damage(&error) => reader.chunk(pack.domain, chunk),
            here => here,
        };
        match bytes {
            Ok(bytes) => chunks.push((entry(at), Ok(bytes))),
            Err(error) if is_damage(&error) => chunks.push((entry(at), Err(error.to_string()))),
            Err(error) => return Err(error),
        }
    }
    Ok(Gave::Chunks(chunks))
}
