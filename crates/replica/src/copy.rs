//! Copies objects, several at once, each verified by the digest that is its name.
//!
//! An object is in memory whole while it is copied, so memory is bounded by the largest object
//! times the connections. What lies at the target already under the name is left as it is: two
//! replicators may keep one target.

use std::sync::atomic::AtomicBool;
use std::thread;

use crypto::Digest;
use ledger::Components;
use places::{ErrorKind, ObjectName, Place, Put, PutOptions};

use crate::replicator::{Wanted, go_on};
use crate::{Error, MissingObject, ReplicaOptions, ReplicaProgress, Result};

/// How copying one object ended.
pub(crate) enum Outcome {
    /// It lies at the target: so many bytes were moved.
    Copied(u64),
    /// It is not at the source, or other bytes are.
    Missing(String),
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
    cancel: &'a AtomicBool,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(
        source: &'a dyn Place,
        target: &'a Components,
        options: &'a ReplicaOptions,
        cancel: &'a AtomicBool,
    ) -> Self {
        Self { source, target, options, cancel }
    }

    /// Copies one object; with a digest, only bytes that have it.
    pub(crate) fn copy(&self, name: &ObjectName, digest: Option<&Digest>) -> Result<Outcome> {
        let bytes = match self.source.get(name, None) {
            Ok(bytes) => bytes,
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::Corrupt => {
                    return Ok(Outcome::Missing(error.to_string()));
                }
                _ => return Err(error.into()),
            },
        };
        if let Some(digest) = digest {
            let found = Digest::of(&bytes);
            if found != *digest {
                let reason = format!("it is damaged: its bytes have the digest {found}");
                return Ok(Outcome::Missing(reason));
            }
        }
        let size = bytes.len() as u64;
        let (Put::Created | Put::Exists) =
            self.target.place.put(name, bytes, &PutOptions::default())?;
        Ok(Outcome::Copied(size))
    }

    /// Copies all of these.
    pub(crate) fn copy_all(
        &self,
        plan: Vec<Wanted>,
        progress: &dyn ReplicaProgress,
    ) -> Result<Copied> {
        let threads = self.options.connections.max(1).min(plan.len().max(1));
        if threads == 1 {
            return self.copy_some(plan.into_iter(), progress);
        }
        let (give, take) = crossbeam_channel::unbounded();
        plan.into_iter().for_each(|wanted| {
            let _ = give.send(wanted);
        });
        drop(give);
        let parts = thread::scope(|scope| {
            let work = |_| {
                let take = take.clone();
                scope.spawn(move || self.copy_some(take.into_iter(), progress))
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
        Ok(all)
    }

    fn copy_some(
        &self,
        plan: impl Iterator<Item = Wanted>,
        progress: &dyn ReplicaProgress,
    ) -> Result<Copied, Error> {
        let mut copied = Copied::default();
        for Wanted { name, digest, .. } in plan {
            go_on(self.cancel)?;
            match self.copy(&name, Some(&digest))? {
                Outcome::Copied(bytes) => {
                    progress.copied(&name, bytes);
                    copied.objects += 1;
                    copied.bytes += bytes;
                    copied.present.push(digest);
                }
                Outcome::Missing(reason) => {
                    copied.missing.push(MissingObject { object: name, reason });
                }
            }
        }
        Ok(copied)
    }
}
