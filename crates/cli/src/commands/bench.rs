//! `bench`: how fast this machine and the place are, stage by stage.
//!
//! Content that is made up goes through the stages of a backup one after the other, each on one
//! thread: the slowest one says what to change. No key is needed, and what is stored lies below
//! `probe/` and is removed again, however the run ends.

mod content;
mod place;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom::{Compression, Entropy, OsEntropy, Stages, preferred_suite};

use crate::context::Context;
use crate::exit::Result;
use crate::output::{Fields, Report, fields};
use crate::sizes;
use crate::table::{Align, Table};
use place::{Latency, Probes};

/// Measures the stages of a backup on this machine, and the place.
///
/// Half of the content shrinks, half does not. Each stage runs alone on one thread; a backup runs
/// them side by side, on all cores. Without a vault the place is memory. Needs no key, and leaves
/// nothing behind.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How much content to measure with, 1MiB to 4GiB; it is held in memory
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64MiB")]
    size: u64,
}

const SIZE_BYTES_MIN: u64 = 1 << 20;
const SIZE_BYTES_MAX: u64 = 4 << 30;

fn size(text: &str) -> Result<u64, String> {
    let size = sizes::parse(text)?;
    match (SIZE_BYTES_MIN..=SIZE_BYTES_MAX).contains(&size) {
        true => Ok(size),
        false => Err("a size to measure with is 1MiB to 4GiB".to_owned()),
    }
}

/// What was measured.
pub(crate) struct Measured {
    place: String,
    rates: Vec<Rate>,
    latencies: Vec<Latency>,
}

/// How fast a stage is.
pub(crate) struct Rate {
    stage: &'static str,
    bytes: u64,
    elapsed: Duration,
}

/// Measures.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Measured> {
    let memory = "memory:".parse::<strongroom::PlaceUrl>()?;
    let has_vault = context.common.vault.is_some() || context.environment.vault.is_some();
    let (place, name) = match has_vault {
        true => {
            let url = context.place_url()?;
            (context.place_at(&url)?, url.to_string())
        }
        false => (context.place_at(&memory)?, memory.to_string()),
    };
    let mut rates = Vec::new();
    let content = content::make(args.size, &OsEntropy, context)?;
    rates.push(content::measure_reading(&content, context)?);
    let packs = measure_stages(&content, context, &mut rates)?;
    drop(content);
    let mut probes = Probes::new(place.as_ref(), context);
    rates.extend(probes.measure_rates(packs)?);
    let latencies = probes.measure_latencies()?;
    probes.finish()?;
    Ok(Measured { place: crate::hooks::without_credentials(&name), rates, latencies })
}

fn measure_stages(
    content: &[u8],
    context: &Context,
    rates: &mut Vec<Rate>,
) -> Result<Vec<bytes::Bytes>> {
    let entropy: &dyn Entropy = &OsEntropy;
    let mut stages = Stages::new(preferred_suite(), Compression::Default, entropy)?;
    let size = content.len() as u64;
    let lengths = timed("chunk", size, rates, || Ok(stages.chunk(content)))?;
    context.check_stopped()?;
    timed("name", size, rates, || Ok(stages.name(content, &lengths)))?;
    context.check_stopped()?;
    let stored = timed("compress", size, rates, || Ok(stages.compress(content, &lengths)?))?;
    context.check_stopped()?;
    timed("seal", stored.len() as u64, rates, || Ok(stages.seal(&stored, entropy)?))
}

/// Runs a stage, and notes how long it took.
fn timed<T>(
    stage: &'static str,
    bytes: u64,
    rates: &mut Vec<Rate>,
    run: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let begun = Instant::now();
    let made = std::hint::black_box(run()?);
    rates.push(Rate { stage, bytes, elapsed: begun.elapsed() });
    Ok(made)
}

impl Rate {
    /// Megabytes, of a million bytes, in a second.
    fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl Report for Measured {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = [
            ("STAGE", Align::Left),
            ("SIZE", Align::Right),
            ("MB/s", Align::Right),
            ("", Align::Left),
        ];
        let mut table = Table::new(&columns);
        for rate in &self.rates {
            let speed = format!("{:.0}", rate.megabytes_per_second());
            let what = describe(rate.stage).to_owned();
            table.row([rate.stage.to_owned(), sizes::show(rate.bytes), speed, what]);
        }
        table.write(out)?;
        writeln!(out, "\nplace {}", self.place)?;
        let columns =
            [("REQUEST", Align::Left), ("MEDIAN ms", Align::Right), ("WORST ms", Align::Right)];
        let mut table = Table::new(&columns);
        for latency in &self.latencies {
            let cell = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
            let (median, worst) = (cell(latency.median), cell(latency.worst));
            table.row([latency.request.to_owned(), median, worst]);
        }
        table.write(out)
    }

    fn fields(&self) -> Fields {
        let rate = |rate: &Rate| -> Value {
            json!({
                "stage": rate.stage, "bytes": rate.bytes, "seconds": rate.elapsed.as_secs_f64(),
                "megabytes_per_second": rate.megabytes_per_second(),
            })
        };
        let latency = |latency: &Latency| -> Value {
            json!({
                "request": latency.request, "count": latency.count,
                "median_ms": latency.median.as_secs_f64() * 1e3,
                "worst_ms": latency.worst.as_secs_f64() * 1e3,
            })
        };
        let stages: Vec<_> = self.rates.iter().map(rate).collect();
        let latencies: Vec<_> = self.latencies.iter().map(latency).collect();
        fields(json!({ "place": self.place, "stages": stages, "latencies": latencies }))
    }

    fn is_answer(&self) -> bool {
        true
    }
}

fn describe(stage: &str) -> &'static str {
    match stage {
        "read" => "a file that is not in memory",
        "chunk" => "content-defined chunking",
        "name" => "keyed BLAKE3",
        "compress" => "zstd 3, where it helps",
        "seal" => "encryption, authentication, BLAKE3",
        "put" => "packs, to the place",
        _ => "packs, from the place",
    }
}
