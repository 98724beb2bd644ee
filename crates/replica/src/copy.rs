//! Copies objects, several at once, each verified by the digest that is its name.
//!
//! An object is in memory whole while it is copied; how much is so at a time is bounded. Its bytes
//! are verified before they are put; a place that took them answers for them, unless they are to be
//! read back. What lies at the target already under the name is left as it is: two replicators may
//! keep one target.

use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use crypto::Digest;
use ledger::Components;
use places::{ErrorKind, ObjectName, Place, Put, PutOptions};

use crate::plan::{Need, Wanted};
use crate::replicator::go_on;
use crate::{Error, MissingObject, ReadBack, ReplicaOptions, ReplicaProgress, Result};

/// How copying one object ended.
enum Outcome {
    /// It lies at the target: so many bytes were moved.
    Copied(u64),
    /// It is not at the source.
    Absent(String),
    /// Other bytes are, at one of the two.
    Damaged(String),
}

/// What copying many came to.
#[derive(Default)]
pub(crate) struct Copied {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) present: Vec<Digest>,
    pub(crate) missing: Vec<MissingObject>,
}

/// Copies from one place to another.
pub(crate) struct Copier<'a> {
    source: &'a dyn Place,
    target: &'a Components,
    options: &'a ReplicaOptions,
    progress: &'a dyn ReplicaProgress,
    cancel: &'a AtomicBool,
    room: Room,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(
        source: &'a dyn Place,
        target: &'a Components,
        options: &'a ReplicaOptions,
        progress: &'a dyn ReplicaProgress,
        cancel: &'a AtomicBool,
    ) -> Self {
        Self { source, target, options, progress, cancel, room: Room::default() }
    }

    /// Copies all of these.
    pub(crate) fn copy_all(&self, plan: Vec<Wanted>) -> Result<Copied> {
        let threads = self.options.connections.max(1).min(plan.len().max(1));
        if threads == 1 {
            return self.copy_some(plan.into_iter());
        }
        let (give, take) = crossbeam_channel::unbounded();
        plan.into_iter().for_each(|wanted| {
            let _ = give.send(wanted);
        });
        drop(give);
        let parts = thread::scope(|scope| {
            let work = |_| {
                let take = take.clone();
                scope.spawn(move || {
                    let copied = self.copy_some(take.iter());
                    if copied.is_err() {
                        // The others end with what they have at hand.
                        take.try_iter().for_each(drop);
                    }
                    copied
                })
            };
            let threads: Vec<_> = (0..threads).map(work).collect();
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        let mut all = Copied::default();
        for part in parts {
            let part = part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.objects += part.objects;
            all.bytes += part.bytes;
            all.present.extend(part.present);
            all.missing.extend(part.missing);
        }
        all.missing.sort_by(|one, other| one.object.cmp(&other.object));
        Ok(all)
    }

    fn copy_some(&self, plan: impl Iterator<Item = Wanted>) -> Result<Copied, Error> {
        let mut copied = Copied::default();
        for wanted in plan {
            go_on(self.cancel)?;
            let _taken = self.room.take(wanted.size.unwrap_or_default());
            let Wanted { name, digest, need, .. } = wanted;
            let reason = match self.copy(&name, digest.as_ref())? {
                Outcome::Copied(bytes) => {
                    self.progress.copied(&name, bytes);
                    copied.objects += 1;
                    copied.bytes += bytes;
                    copied.present.extend(digest);
                    continue;
                }
                Outcome::Absent(_) if need == Need::Passing => continue,
                Outcome::Absent(reason) | Outcome::Damaged(reason) => reason,
            };
            copied.missing.push(MissingObject { object: name, reason });
        }
        Ok(copied)
    }

    /// Copies one object; with a digest, only bytes that have it.
    fn copy(&self, name: &ObjectName, digest: Option<&Digest>) -> Result<Outcome> {
        let bytes = match self.source.get(name, None) {
            Ok(bytes) => bytes,
            Err(error) => match error.kind() {
                ErrorKind::NotFound => return Ok(Outcome::Absent(error.to_string())),
                ErrorKind::Corrupt => return Ok(Outcome::Damaged(error.to_string())),
                _ => return Err(error.into()),
            },
        };
        let found = Digest::of(&bytes);
        if digest.is_some_and(|digest| *digest != found) {
            let reason = format!("it is damaged: its bytes have the digest {found}");
            return Ok(Outcome::Damaged(reason));
        }
        let size = bytes.len() as u64;
        let target = &self.target.place;
        let there = match target.put(name, bytes, &PutOptions::default())? {
            Put::Created => None,
            // Somebody else put it meanwhile; its size says at no cost whether it was this.
            Put::Exists => Some(target.stat(name)?.map_or(0, |stat| stat.size)),
        };
        if let Some(there) = there.filter(|there| *there != size) {
            let reason = format!("{there} bytes lie at the target under its name, not {size}");
            return Ok(Outcome::Damaged(reason));
        }
        if self.options.read_back == ReadBack::Yes {
            let back = Digest::of(&target.get(name, None)?);
            if back != found {
                let reason = format!("the target gives back bytes with the digest {back}");
                return Ok(Outcome::Damaged(reason));
            }
        }
        Ok(Outcome::Copied(size))
    }
}

/// Room in memory for objects that are being copied. One alone may be larger than all of it.
#[derive(Default)]
struct Room {
    taken: Mutex<u64>,
    given_back: Condvar,
}

/// Bytes of objects in memory at a time, unless one alone has more.
const ROOM_BYTES: u64 = 256 << 20;

impl Room {
    /// Waits until there is room for so many bytes.
    fn take(&self, bytes: u64) -> Taken<'_> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 && *taken + bytes > ROOM_BYTES {
            taken = self.given_back.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
        Taken { room: self, bytes }
    }
}

/// Room that is given back when this is dropped.
struct Taken<'r> {
    room: &'r Room,
    bytes: u64,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.room.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.room.given_back.notify_all();
    }
}
