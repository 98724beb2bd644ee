//! Writers that break what goes through them: at a byte, in one bit, or piece by piece.
//! Each wraps another writer, and counts offsets from where it began.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts what is written.
pub(super) struct Counted<'a, W> {
    pub(super) inner: W,
    pub(super) count: &'a AtomicU64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.count.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Passes on so many bytes, then errs.
pub(super) struct Cut<W> {
    pub(super) inner: W,
    pub(super) left: u64,
}

impl<W: Write> Write for Cut<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let now = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let written = self.inner.write(&bytes[..now])?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Turns over one bit of the byte at an offset.
pub(super) struct Corrupt<W> {
    pub(super) inner: W,
    /// Bytes before the one to change; none when it has gone by.
    pub(super) until: Option<u64>,
}

impl<W: Write> Write for Corrupt<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.until {
            Some(until) if until < bytes.len() as u64 => {
                let mut changed = bytes.to_vec();
                changed[until as usize] ^= 1;
                self.inner.write_all(&changed)?;
                self.until = None;
                Ok(bytes.len())
            }
            until => {
                let written = self.inner.write(bytes)?;
                self.until = until.map(|until| until - written as u64);
                Ok(written)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes pieces with a pause before each.
pub(super) struct Trickle<W> {
    pub(super) inner: W,
    pub(super) piece: usize,
    pub(super) pause: Duration,
}

impl<W: Write> Write for Trickle<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::thread::sleep(self.pause);
        self.inner.write(&bytes[..bytes.len().min(self.piece.max(1))])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
