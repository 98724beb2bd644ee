//! How far long work has come, on standard error.
//!
//! The work counts into a [`Meter`], cheaply and from any thread; a thread of its own draws from
//! it: a line that is rewritten on a terminal, else a line now and then, or JSON. DESIGN.md §15.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom::{CollectProgress, ObjectName, Progress, ReplicaProgress, VerifyProgress, Written};

use crate::args::ProgressMode;
use crate::context::Context;
use crate::output::{fields, put_path, show_path};
use crate::sizes;

/// What the work counts into.
pub(crate) struct Meter {
    started: Instant,
    /// How much there is to do, in all or about; 0 while nobody knows.
    files_expected: AtomicU64,
    bytes_expected: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    /// What a session found new, stored, and has where the next one finds it.
    bytes_new: AtomicU64,
    bytes_stored: AtomicU64,
    bytes_published: AtomicU64,
    is_hidden: AtomicBool,
    current: Mutex<Vec<u8>>,
}

impl Meter {
    fn new(total: Option<u64>) -> Self {
        Self {
            started: Instant::now(),
            files_expected: AtomicU64::new(0),
            bytes_expected: AtomicU64::new(total.unwrap_or(0)),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            bytes_new: AtomicU64::new(0),
            bytes_stored: AtomicU64::new(0),
            bytes_published: AtomicU64::new(0),
            is_hidden: AtomicBool::new(false),
            current: Mutex::default(),
        }
    }

    /// How long the work has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How many bytes of packs the next session finds, whatever becomes of this one.
    pub(crate) fn bytes_published(&self) -> u64 {
        self.bytes_published.load(Ordering::Relaxed)
    }

    /// From here on nothing is drawn.
    pub(crate) fn hide(&self) {
        self.is_hidden.store(true, Ordering::Relaxed);
    }

    /// From here on it is drawn again.
    pub(crate) fn show(&self) {
        self.is_hidden.store(false, Ordering::Relaxed);
    }

    fn now_at(&self, path: &[u8]) {
        // Who draws holds it for a moment only, and the next path comes soon.
        if let Ok(mut current) = self.current.try_lock() {
            current.clear();
            current.extend_from_slice(path);
        }
    }

    fn reading(&self, pace: &mut Pace) -> Reading {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (bytes, skipped) = (read(&self.bytes), read(&self.skipped));
        let expected = |counter| Some(read(counter)).filter(|expected| *expected > 0);
        let bytes_expected = expected(&self.bytes_expected);
        let done = bytes + skipped;
        let elapsed = self.started.elapsed();
        let left = bytes_expected.and_then(|all| all.checked_sub(done)).filter(|_| done > 0);
        let left = left.map(|left| left as f64 / done as f64 * elapsed.as_secs_f64());
        Reading {
            files: read(&self.files),
            files_expected: expected(&self.files_expected),
            bytes,
            bytes_expected,
            skipped,
            bytes_new: read(&self.bytes_new),
            bytes_stored: read(&self.bytes_stored),
            rate: pace.rate(elapsed, bytes),
            left_seconds: left.map(|seconds| seconds as u64),
            path: self.current.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// How fast the work was lately.
#[derive(Default)]
struct Pace(VecDeque<(Duration, u64)>);

/// What is longer ago than so many readings says nothing of now.
const PACE_READINGS: usize = 30;

impl Pace {
    /// Bytes in each second, over the last readings.
    fn rate(&mut self, elapsed: Duration, bytes: u64) -> u64 {
        let (since, before) = self.0.front().copied().unwrap_or_default();
        self.0.push_back((elapsed, bytes));
        if self.0.len() > PACE_READINGS {
            self.0.pop_front();
        }
        let seconds = elapsed.saturating_sub(since).as_secs_f64().max(0.001);
        (bytes.saturating_sub(before) as f64 / seconds) as u64
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

    fn expected(&self, files: u64, bytes: u64) {
        self.files_expected.store(files, Ordering::Relaxed);
        self.bytes_expected.store(bytes, Ordering::Relaxed);
    }

    fn written(&self, written: &Written) {
        // Several threads tell it, each what was true a moment ago.
        self.bytes_new.fetch_max(written.bytes_new, Ordering::Relaxed);
        self.bytes_stored.fetch_max(written.bytes_stored, Ordering::Relaxed);
        self.bytes_published.fetch_max(written.bytes_published, Ordering::Relaxed);
    }
}

impl VerifyProgress for Meter {
    fn object(&self, name: &str, bytes: u64) {
        self.files_done(1);
        self.bytes_done(bytes);
        self.now_at(name.as_bytes());
    }
}

impl ReplicaProgress for Meter {
    fn planned(&self, objects: u64, bytes: u64) {
        self.files_expected.fetch_add(objects, Ordering::Relaxed);
        self.bytes_expected.fetch_add(bytes, Ordering::Relaxed);
    }

    fn copied(&self, name: &ObjectName, bytes: u64) {
        self.files_done(1);
        self.bytes_done(bytes);
        self.now_at(name.as_str().as_bytes());
    }

    fn deleted(&self, name: &ObjectName) {
        self.now_at(name.as_str().as_bytes());
    }
}

impl CollectProgress for Meter {
    fn moved(&self, bytes: u64) {
        self.bytes_done(bytes);
    }

    fn marked(&self, nodes: u64) {
        self.files_done(nodes);
    }

    fn deleted(&self, name: &str, bytes: u64) {
        self.files_done(1);
        self.bytes_done(bytes);
        self.now_at(name.as_bytes());
    }
}

/// What a meter shows at one moment.
struct Reading {
    files: u64,
    files_expected: Option<u64>,
    bytes: u64,
    bytes_expected: Option<u64>,
    skipped: u64,
    bytes_new: u64,
    bytes_stored: u64,
    rate: u64,
    left_seconds: Option<u64>,
    path: Vec<u8>,
}

impl Reading {
    fn text(&self, what: &str) -> String {
        let of = |expected: Option<String>| {
            expected.map_or_else(String::new, |expected| format!(" of {expected}"))
        };
        let left = self.left_seconds.map(|left| match left {
            0..3600 => format!(", {}:{:02} left", left / 60, left % 60),
            _ => format!(", {}:{:02}:{:02} left", left / 3600, left / 60 % 60, left % 60),
        });
        format!(
            "{}{} {what}, {}{}, {}/s{}  {}",
            sizes::count(self.files),
            of(self.files_expected.map(sizes::count)),
            sizes::show(self.bytes + self.skipped),
            of(self.bytes_expected.map(sizes::show)),
            sizes::show(self.rate),
            left.unwrap_or_default(),
            show_path(&self.path),
        )
    }

    fn json(&self, what: &str) -> String {
        let mut object = fields(json!({
            what: self.files, format!("{what}_expected"): self.files_expected,
            "bytes": self.bytes, "bytes_expected": self.bytes_expected,
            "bytes_skipped": self.skipped, "bytes_new": self.bytes_new,
            "bytes_stored": self.bytes_stored, "bytes_per_second": self.rate,
            "seconds_left": self.left_seconds,
        }));
        put_path(&mut object, "path", &self.path);
        json!({ "progress": object }).to_string()
    }
}

/// A meter that is shown until this is dropped.
pub(crate) struct Display {
    meter: Arc<Meter>,
    style: Option<Style>,
    drawer: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Display {
    /// Begins to show. `what` is counted, such as `files`; `total` is in bytes, where it is known.
    pub(crate) fn start(context: &Context, what: &'static str, total: Option<u64>) -> Self {
        let meter = Arc::new(Meter::new(total));
        let style = style(context);
        let drawer = style.and_then(|style| {
            let (stop, stopped) = channel();
            let meter = meter.clone();
            let draw = move || {
                let mut pace = Pace::default();
                while stopped.recv_timeout(style.pause()) == Err(RecvTimeoutError::Timeout) {
                    let reading = meter.reading(&mut pace);
                    if !meter.is_hidden.load(Ordering::Relaxed) {
                        style.draw(&reading, what);
                    }
                }
                style.end();
            };
            Some((stop, std::thread::Builder::new().name("progress".into()).spawn(draw).ok()?))
        });
        Self { meter, style, drawer }
    }

    /// What the work counts into.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The same, for who outlives the work.
    pub(crate) fn shared_meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }

    /// Makes room on the terminal for a line of text.
    pub(crate) fn make_room(&self) {
        self.style.into_iter().for_each(Style::end);
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
