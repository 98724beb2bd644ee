//! The trait [`Place`] and the values that pass through it.
//!
//! Five verbs on immutable named bytes. There is no overwrite: `put` is always if-absent, so one
//! name means one content forever, and the ledger's total order stands on nothing else.
//! The prose on the trait is the contract; [`conformance`](crate::conformance) checks it.
//! DESIGN.md §4.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::abilities::{Retention, RetentionMode, Versions, cannot_retain};
use crate::error::{Error, Result};
use crate::name::{NamePrefix, ObjectName};
use crate::time::Time;

/// The largest object, in bytes. DESIGN.md §14.
pub const OBJECT_BYTES_MAX: u64 = 4 << 30;

/// Calls at the same time that most places are worth.
const CALLS_AT_ONCE: usize = 16;

/// Where objects lie.
///
/// - **Atomic**: an object is there with all its bytes, or it is absent. A put that is killed,
///   refused or cut off leaves no object, or the whole object; never a part.
/// - **Durable**: when `put` returns `Ok`, either way, the object outlives a power cut.
/// - **One winner**: of all puts to one name, from any thread, process or host, exactly one is
///   answered [`Put::Created`] as long as the object is not deleted; the others are answered
///   [`Put::Exists`] and change nothing.
/// - **Seen**: once a put has returned, every later `get`, `stat` and `list` sees the object.
/// - **Ambiguous only when it says so**: after [`ErrorKind::Unavailable`] a put may or may not
///   have happened, even later; after any other error it has not. [`Retrying`] settles that.
/// - No object's name is the folder of another's: `a` and `a/b` never lie in one place.
///
/// Calls block. All methods may be called from many threads at once.
///
/// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
/// [`Retrying`]: crate::Retrying
pub trait Place: Send + Sync {
    /// Stores `body` under `name` unless something lies there already.
    ///
    /// # Errors
    /// `Full`, `Unavailable`, `Denied`; `Corrupt` when what lies under the name is no object;
    /// `Unsupported` when `options` ask for what the place cannot do; `Invalid` when the body is
    /// larger than [`OBJECT_BYTES_MAX`].
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put>;

    /// Returns the whole object, or exactly the bytes of `range`. An empty range is fine.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` when the range ends beyond the object or before it starts;
    /// `Corrupt`, `Unavailable`, `Denied`.
    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes>;

    /// Returns the first bytes of an object, at most `most`, and how long the whole of it is: one
    /// request where the place can, for objects whose length nobody vouches for.
    ///
    /// # Errors
    /// As [`Place::get`].
    fn get_start(&self, name: &ObjectName, most: u64) -> Result<Start> {
        if let Some(Stat { size: whole_length, .. }) = self.stat(name)? {
            let bytes = self.get(name, Some(0..whole_length.min(most)))?;
            return Ok(Start { bytes, whole_length });
        }
        // Of what is absent the get tells; what came meanwhile is not taken for empty.
        let bytes = self.get(name, None)?;
        let whole_length = bytes.len() as u64;
        Ok(Start { bytes: bytes.slice(..whole_length.min(most) as usize), whole_length })
    }

    /// Walks the objects whose names begin with `prefix` and come after `start_after` in byte
    /// order. The walk itself is in no order that may be relied on, uses bounded memory, and may
    /// or may not show objects that are put or deleted meanwhile.
    ///
    /// # Errors
    /// `Unavailable` and `Denied`, at once or in the walk; an error ends the walk. Only who
    /// retries asks on: a place that reads in pages then goes on where it stood, others end.
    fn list(&self, prefix: &NamePrefix, start_after: Option<&ObjectName>) -> Result<Listing<'_>>;

    /// Size and age of an object, `None` when it is absent.
    ///
    /// # Errors
    /// `Corrupt`, `Unavailable`, `Denied`.
    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>>;

    /// Removes an object; removing what is absent is fine. A power cut may bring it back. Where
    /// versions are kept, this only hides the object: the place's own rules say when its bytes go.
    ///
    /// # Errors
    /// `Denied` (also while it is retained), `Unavailable`, `Corrupt`.
    fn delete(&self, name: &ObjectName) -> Result<()>;

    /// What the place can do, as far as it knows; [`probe`](crate::probe()) finds out.
    fn capabilities(&self) -> Capabilities;

    /// What a [`Place::list`] that starts far behind in a long row of names costs.
    fn list_cost(&self) -> ListCost {
        ListCost::OfAnswer
    }

    /// How many calls at the same time are worth making. Who has more to ask for asks for so many
    /// side by side; where it is one, all calls of a caller come one after the other, from the
    /// thread that needs them: so a simulation replays them in one order.
    fn calls_at_once(&self) -> usize {
        CALLS_AT_ONCE
    }

    /// How many large puts at the same time are worth their memory, each being a pack: more than
    /// one only where a put waits for a network rather than for a disk.
    fn puts_at_once(&self) -> usize {
        1
    }

    /// Extends how long objects are kept, where the place can.
    fn retention(&self) -> Option<&dyn Retention> {
        None
    }

    /// Reads older versions, where the place keeps them.
    fn versions(&self) -> Option<&dyn Versions> {
        None
    }

    /// The place for messages: its URL, never with secrets.
    fn describe(&self) -> String;
}

/// What a [`Place::list`] returns.
pub type Listing<'a> = Box<dyn Iterator<Item = Result<Listed>> + Send + 'a>;

/// How to store an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Until when nobody may delete it. Only where [`Capabilities::object_lock`] holds.
    pub retain_until: Option<Time>,
    /// Who may end that earlier; without a time it means nothing.
    pub retention_mode: RetentionMode,
}

/// How a put ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Put {
    /// This call stored the object.
    Created,
    /// An object of that name was there before, with these or other bytes; nothing changed.
    Exists,
}

/// An object met in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: ObjectName,
    /// Its bytes.
    pub size: u64,
    /// When it was stored, by the place's clock.
    pub stored_at: Time,
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its bytes.
    pub size: u64,
    /// When it was stored, by the place's clock.
    pub stored_at: Time,
}

/// The beginning of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its first bytes.
    pub bytes: Bytes,
    /// How long the whole object is, in bytes.
    pub whole_length: u64,
}

/// What a listing's cost grows with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListCost {
    /// The names that it shows, as in a bucket. A stat costs as much as a page of them.
    OfAnswer,
    /// All names beside those, as in a folder. Stats are cheap there.
    OfFolder,
}

/// What a place can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Puts have exactly one winner. Without it only a single writer is safe.
    pub if_absent: bool,
    /// Objects can be kept until a time, whoever asks for their removal.
    pub object_lock: bool,
    /// Overwritten and deleted objects can be read back.
    pub versions: bool,
}

macro_rules! place_by_reference {
    ($($reference:ty),+) => {$(
        impl<P: Place + ?Sized> Place for $reference {
            fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
                (**self).put(name, body, options)
            }

            fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
                (**self).get(name, range)
            }

            fn get_start(&self, name: &ObjectName, most: u64) -> Result<Start> {
                (**self).get_start(name, most)
            }

            fn list_cost(&self) -> ListCost {
                (**self).list_cost()
            }

            fn list(
                &self,
                prefix: &NamePrefix,
                start_after: Option<&ObjectName>,
            ) -> Result<Listing<'_>> {
                (**self).list(prefix, start_after)
            }

            fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
                (**self).stat(name)
            }

            fn delete(&self, name: &ObjectName) -> Result<()> {
                (**self).delete(name)
            }

            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }

            fn calls_at_once(&self) -> usize {
                (**self).calls_at_once()
            }

            fn puts_at_once(&self) -> usize {
                (**self).puts_at_once()
            }

            fn retention(&self) -> Option<&dyn Retention> {
                (**self).retention()
            }

            fn versions(&self) -> Option<&dyn Versions> {
                (**self).versions()
            }

            fn describe(&self) -> String {
                (**self).describe()
            }
        }
    )+};
}

place_by_reference!(&P, Arc<P>, Box<P>);

/// Refuses what no place may store.
pub(crate) fn check_size(name: &ObjectName, body: &Bytes) -> Result<()> {
    let size = body.len() as u64;
    if size > OBJECT_BYTES_MAX {
        return Err(Error::TooLarge { object: name.clone(), size, limit: OBJECT_BYTES_MAX });
    }
    Ok(())
}

/// Refuses options that a place without object lock cannot honour.
pub(crate) fn refuse_retention(place: &dyn Place, options: &PutOptions) -> Result<()> {
    match options.retain_until {
        None => Ok(()),
        Some(_) => Err(cannot_retain(place.describe())),
    }
}

/// The range to read of an object of `size` bytes, or [`Error::Range`].
pub(crate) fn check_range(
    place: &dyn Place,
    name: &ObjectName,
    range: Option<Range<u64>>,
    size: u64,
) -> Result<Range<u64>> {
    let range = range.unwrap_or(0..size);
    if range.start > range.end || range.end > size {
        return Err(Error::Range {
            place: place.describe(),
            object: name.clone(),
            start: range.start,
            end: range.end,
            size,
        });
    }
    Ok(range)
}
