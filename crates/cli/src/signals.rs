//! SIGINT and SIGTERM: the first asks the work to stop, the second ends the program at once.
//!
//! Handlers only set flags. A thread looks at them and raises what the work looks at. Work that can
//! be left at any point is left when it has not stopped within a second, as in a slow read or
//! upload. While a passphrase is typed, the first signal ends the program.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use strongroom::Cancel;

/// A signal that asked the program to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
}

/// What signals have asked for.
#[derive(Clone)]
pub(crate) struct Signals {
    received: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    at_once: Arc<AtomicBool>,
    cancel: Arc<Cancel>,
    leave: Arc<Mutex<Option<Leave>>>,
}

/// Says the last words and ends the program.
type Leave = Box<dyn FnOnce(Signal) + Send>;

/// While it is there, the program is left when a signal does not stop the work in time.
pub(crate) struct Leaving<'a>(&'a Signals);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let leave = self.0.leave.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Without it, another thread is about to end the program: it has the last word.
        while leave.is_none() {
            std::thread::park();
        }
    }
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let signals = Self {
            received: Arc::default(),
            stop: Arc::default(),
            at_once: Arc::default(),
            cancel: Arc::default(),
            leave: Arc::default(),
        };
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and raises it.
            flag::register_conditional_shutdown(signal, 128 + signal, signals.at_once.clone())?;
            flag::register(signal, signals.at_once.clone())?;
            flag::register_usize(signal, signals.received.clone(), signal as usize)?;
            flag::register(signal, signals.stop.clone())?;
        }
        let watched = signals.clone();
        let watch = move || watched.watch();
        std::thread::Builder::new().name("signals".into()).spawn(watch)?;
        Ok(signals)
    }

    fn watch(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_EVERY);
        }
        self.cancel.raise();
        let raised = Instant::now();
        loop {
            std::thread::sleep(LOOK_EVERY);
            if raised.elapsed() < LEAVE_AFTER {
                continue;
            }
            let leave = self.leave.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let (Some(leave), Some(signal)) = (leave, self.received()) {
                leave(signal);
            }
        }
    }

    /// From here on, until what this gives is dropped, the program may be left at any point: what
    /// is durable stays, all else is nothing. `leave` says so and ends the program.
    pub(crate) fn leave_when_late(
        &self,
        leave: impl FnOnce(Signal) + Send + 'static,
    ) -> Leaving<'_> {
        *self.leave.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(leave));
        Leaving(self)
    }

    /// What stops backups and restores.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Whether to stop.
    pub(crate) fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// The signal that asked to stop.
    pub(crate) fn received(&self) -> Option<Signal> {
        match self.received.load(Ordering::Relaxed) as i32 {
            SIGINT => Some(Signal::Interrupt),
            SIGTERM => Some(Signal::Terminate),
            _ => None,
        }
    }

    /// Does something during which the first signal ends the program at once.
    pub(crate) fn while_waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.at_once.store(true, Ordering::SeqCst);
        let waited = wait();
        self.at_once.store(self.stop.load(Ordering::SeqCst), Ordering::SeqCst);
        waited
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Work that was asked to stop has so long to do it well.
const LEAVE_AFTER: Duration = Duration::from_millis(750);
