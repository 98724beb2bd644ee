//! What a service across a network is asked, counted the way it is billed.
//!
//! A place fills one [`RequestCounts`]; whoever made the place reads it, during the work or after.
//! Every request counts once that leaves this machine: a part of a large object is a put, each page
//! of a listing is a list, and tries that fail count too.

use std::sync::atomic::{AtomicU64, Ordering};

/// Requests and bytes since it was made. Shared by many threads.
#[derive(Debug, Default)]
pub struct RequestCounts {
    requests: [AtomicU64; RequestClass::ALL.len()],
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
}

/// What a request is billed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestClass {
    /// Whatever stores: an object, a part of one, how long it is kept.
    Put,
    /// Whatever reads bytes or settings.
    Get,
    /// A page of a listing.
    List,
    /// A look at an object without its bytes.
    Head,
    /// A removal.
    Delete,
}

impl RequestClass {
    /// Every class.
    pub const ALL: [Self; 5] = [Self::Put, Self::Get, Self::List, Self::Head, Self::Delete];
}

/// Numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestTotals {
    /// Requests by class, in the order of [`RequestClass::ALL`].
    pub requests: [u64; RequestClass::ALL.len()],
    /// Bytes of bodies sent.
    pub bytes_sent: u64,
    /// Bytes of bodies that answers announced.
    pub bytes_received: u64,
}

impl RequestCounts {
    /// Counts a request with a body of `bytes`.
    pub fn note_request(&self, class: RequestClass, bytes: u64) {
        self.requests[class as usize].fetch_add(1, Ordering::Relaxed);
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts the body of an answer.
    pub fn note_answer(&self, bytes: u64) {
        self.bytes_received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The numbers now.
    pub fn totals(&self) -> RequestTotals {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        RequestTotals {
            requests: RequestClass::ALL.map(|class| load(&self.requests[class as usize])),
            bytes_sent: load(&self.bytes_sent),
            bytes_received: load(&self.bytes_received),
        }
    }
}

impl RequestTotals {
    /// Requests of one class.
    pub fn of(&self, class: RequestClass) -> u64 {
        self.requests[class as usize]
    }

    /// Requests of all classes.
    pub fn all(&self) -> u64 {
        self.requests.iter().sum()
    }
}
