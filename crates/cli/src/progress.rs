//! How far long work has come, on standard error.
//!
//! The work counts into a [`Meter`], cheaply and from any thread; a thread of its own draws from
//! it: a line that is rewritten on a terminal, else a line now and then, or JSON. DESIGN.md §15.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom::{Progress, VerifyProgress};

use crate::args::ProgressMode;
use crate::context::Context;
use crate::output::{fields, put_path, show_path};
use crate::sizes;

/// What the work counts into.
pub(crate) struct Meter {
    started: Instant,
    total: Option<u64>,
    files: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    current: Mutex<Vec<u8>>,
}

impl Meter {
    fn new(total: Option<u64>) -> Self {
        Self {
            started: Instant::now(),
            total,
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            current: Mutex::default(),
        }
    }

    /// How long the work has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn now_at(&self, path: &[u8]) {
        // Who draws holds it for a moment only, and the next path comes soon.
        if let Ok(mut current) = self.current.try_lock() {
            current.clear();
            current.extend_from_slice(path);
        }
    }

    fn reading(&self) -> Reading {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let skipped = self.skipped.load(Ordering::Relaxed);
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let rate = (bytes as f64 / seconds) as u64;
        let left = self.total.map(|total| total.saturating_sub(bytes + skipped));
        Reading {
            files: self.files.load(Ordering::Relaxed),
            bytes,
            skipped,
            rate,
            left_seconds: left.filter(|_| rate > 0).map(|left| left / rate),
            path: self.current.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Progress for Meter {
    fn file(&self, path: &[u8]) {
        self.now_at(path);
    }

    fn files_done(&self, count: u64) {
        self.files.fetch_add(count, Ordering::Relaxed);
    }

    fn bytes_done(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    fn bytes_skipped(&self, count: u64) {
        self.skipped.fetch_add(count, Ordering::Relaxed);
    }
}

impl VerifyProgress for Meter {
    fn object(&self, name: &str, bytes: u64) {
        self.files_done(1);
        self.bytes_done(bytes);
        self.now_at(name.as_bytes());
    }
}

/// What a meter shows at one moment.
struct Reading {
    files: u64,
    bytes: u64,
    skipped: u64,
    rate: u64,
    left_seconds: Option<u64>,
    path: Vec<u8>,
}

impl Reading {
    fn text(&self, what: &str) -> String {
        let left = self.left_seconds.map(|left| format!(", {}:{:02} left", left / 60, left % 60));
        format!(
            "{} {what}, {}, {}/s{}  {}",
            sizes::count(self.files),
            sizes::show(self.bytes + self.skipped),
            sizes::show(self.rate),
            left.unwrap_or_default(),
            show_path(&self.path),
        )
    }

    fn json(&self, what: &str) -> String {
        let mut object = fields(json!({
            what: self.files, "bytes": self.bytes, "bytes_skipped": self.skipped,
            "bytes_per_second": self.rate, "seconds_left": self.left_seconds,
        }));
        put_path(&mut object, "path", &self.path);
        json!({ "progress": object }).to_string()
    }
}

/// A meter that is shown until this is dropped.
pub(crate) struct Display {
    meter: Arc<Meter>,
    drawer: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Display {
    /// Begins to show. `what` is counted, such as `files`; `total` is in bytes, where it is known.
    pub(crate) fn start(context: &Context, what: &'static str, total: Option<u64>) -> Self {
        let meter = Arc::new(Meter::new(total));
        let drawer = style(context).and_then(|style| {
            let (stop, stopped) = channel();
            let meter = meter.clone();
            let draw = move || {
                while stopped.recv_timeout(style.pause()) == Err(RecvTimeoutError::Timeout) {
                    style.draw(&meter.reading(), what);
                }
                style.end();
            };
            Some((stop, std::thread::Builder::new().name("progress".into()).spawn(draw).ok()?))
        });
        Self { meter, drawer }
    }

    /// What the work counts into.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some((stop, drawer)) = self.drawer.take() {
            drop(stop);
            let _ = drawer.join();
        }
    }
}

/// How a meter is drawn.
#[derive(Clone, Copy)]
enum Style {
    Line { width: usize },
    Plain,
    Json,
}

fn style(context: &Context) -> Option<Style> {
    let is_terminal = std::io::stderr().is_terminal();
    match context.common.progress {
        ProgressMode::None => None,
        ProgressMode::Json => Some(Style::Json),
        ProgressMode::Plain => Some(Style::Plain),
        ProgressMode::Auto if context.output.quiet || context.output.json => None,
        ProgressMode::Auto if is_terminal => {
            let size = rustix::termios::tcgetwinsize(std::io::stderr());
            let columns = size.map_or(0, |size| usize::from(size.ws_col));
            // Some terminals do not say how wide they are.
            let width = if columns == 0 { 80 } else { columns.max(20) };
            Some(Style::Line { width })
        }
        ProgressMode::Auto => Some(Style::Plain),
    }
}

impl Style {
    fn pause(self) -> Duration {
        match self {
            Self::Line { .. } => Duration::from_millis(200),
            Self::Plain => Duration::from_secs(30),
            Self::Json => Duration::from_secs(1),
        }
    }

    /// Writes are best effort: progress that nobody sees must not stop the work.
    fn draw(self, reading: &Reading, what: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = match self {
            Self::Line { width } => {
                let text: String = reading.text(what).chars().take(width - 1).collect();
                write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush())
            }
            Self::Plain => writeln!(stderr, "{}", reading.text(what)),
            Self::Json => writeln!(stderr, "{}", reading.json(what)),
        };
    }

    fn end(self) {
        if let Self::Line { .. } = self {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
