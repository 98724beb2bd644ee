//! What a proxy does to a request. Each act is one thing that a network or a server does on a bad
//! day; only [`Act::Later`] holds another.

use std::time::Duration;

/// What happens to one request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing: both are passed on as they came.
    Pass,
    /// Answered in the server's place; the server never hears of it.
    Refuse(Refusal),
    /// The headers `If-*` are taken out: a server that ignores conditions.
    StripConditions,
    /// The server does what it is asked; the connection closes before its answer goes back.
    LoseAnswer,
    /// The connection breaks after so many bytes of the request, head included, reached the server.
    CutRequest(u64),
    /// The connection breaks after so many bytes of the answer, head included, reached the client.
    CutAnswer(u64),
    /// The answer's body ends so many bytes early, and its head says that this is all.
    ShortenAnswer(u64),
    /// One bit of the request's body is turned over, at this offset (or the last byte).
    CorruptRequest(u64),
    /// One bit of the answer's body is turned over, at this offset (or the last byte).
    CorruptAnswer(u64),
    /// The answer comes in pieces of so many bytes, with a pause before each.
    Trickle(u64, Duration),
    /// A server whose clock differs by so many seconds: it refuses what is not signed near its own
    /// time, and dates its answers so.
    ShiftClock(i64),
    /// A server whose clock is so many seconds off, and that takes every signature: its answers and
    /// lists are dated so.
    ShiftTimes(i64),
    /// A server whose lists have at most so many names in a page.
    SmallPages(u32),
    /// Nothing happens until the client gives up, or this long.
    Hang(Duration),
    /// Another act, after a while.
    Later(Duration, Box<Self>),
}

/// A server's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code of HTTP.
    pub status: u16,
    /// S3's word for it.
    pub code: String,
    /// What it says to a human.
    pub message: String,
}

impl Act {
    /// A server that refuses with this status and S3's word for it.
    pub fn refuse(status: u16, code: &str) -> Self {
        let message = "refused by the test".to_owned();
        Self::Refuse(Refusal { status, code: code.to_owned(), message })
    }

    /// A server that has too much to do: 503 `SlowDown`.
    pub fn slow_down() -> Self {
        Self::refuse(503, "SlowDown")
    }

    /// A server that no longer lets the client in: 403 with `AccessDenied`, `ExpiredToken`, …
    pub fn deny(code: &str) -> Self {
        Self::refuse(403, code)
    }

    /// Another act, after a while.
    pub fn later(pause: Duration, act: Self) -> Self {
        Self::Later(pause, Box::new(act))
    }
}
