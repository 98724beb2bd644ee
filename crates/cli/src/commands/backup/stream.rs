//! Standard input, or another pipe, as the source of a backup.
//!
//! It is waited for in short turns, so that a signal is noticed while nothing comes.

use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::signals::Signals;

/// A pipe that is read until a signal comes.
pub(super) struct Piped<'a, F> {
    signals: &'a Signals,
    input: F,
}

/// Standard input.
pub(super) type StandardInput<'a> = Piped<'a, io::StdinLock<'static>>;

impl<'a> StandardInput<'a> {
    pub(super) fn of_process(signals: &'a Signals) -> Self {
        Self::new(io::stdin().lock(), signals)
    }
}

impl<'a, F: AsFd> Piped<'a, F> {
    pub(super) fn new(input: F, signals: &'a Signals) -> Self {
        Self { signals, input }
    }

    /// Whether a read gives something at once.
    fn is_ready(&self) -> io::Result<bool> {
        let mut waiting = [PollFd::new(&self.input, PollFlags::IN)];
        match poll(&mut waiting, Some(&LOOK_EVERY)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

impl<F: AsFd> Read for Piped<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.signals.received().is_some() {
                return Err(io::Error::other("stopped on request"));
            }
            if self.is_ready()? {
                return rustix::io::read(&self.input, &mut *buffer).map_err(io::Error::from);
            }
        }
    }
}
