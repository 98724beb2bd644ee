//! SIGINT and SIGTERM: the first asks the work to stop, the second ends the program at once.
//!
//! Handlers only set flags. A thread looks at them and raises what the work looks at, so the work
//! ends within a second or so. While a passphrase is typed, the first signal ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

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
pub(crate) struct Signals {
    received: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    at_once: Arc<AtomicBool>,
    cancel: Arc<Cancel>,
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let signals = Self {
            received: Arc::default(),
            stop: Arc::default(),
            at_once: Arc::default(),
            cancel: Arc::default(),
        };
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and raises it.
            flag::register_conditional_shutdown(signal, 128 + signal, signals.at_once.clone())?;
            flag::register(signal, signals.at_once.clone())?;
            flag::register_usize(signal, signals.received.clone(), signal as usize)?;
            flag::register(signal, signals.stop.clone())?;
        }
        let (stop, cancel) = (signals.stop.clone(), signals.cancel.clone());
        let watch = move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK_EVERY);
            }
            cancel.raise();
        };
        std::thread::Builder::new().name("signals".into()).spawn(watch)?;
        Ok(signals)
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
