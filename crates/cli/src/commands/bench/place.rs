//! How fast a place takes and gives: large objects for the rate, small ones for the latency.
//!
//! All names lie below `probe/`, where no vault keeps anything. Whatever was put is deleted when
//! the measuring ends or fails; credentials that may not delete are told what stays.

use std::time::{Duration, Instant};

use bytes::Bytes;
use strongroom::{Entropy, ObjectName, OsEntropy, Place, PutOptions};

use super::Rate;
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::hex;

/// The objects that were put.
pub(super) struct Probes<'c> {
    place: &'c dyn Place,
    context: &'c Context,
    put: Vec<ObjectName>,
}

/// How long a request takes.
pub(super) struct Latency {
    pub(super) request: &'static str,
    pub(super) count: usize,
    pub(super) median: Duration,
    pub(super) worst: Duration,
}

const SMALL_BYTES: usize = 256;
const SMALL_OBJECTS: usize = 16;

impl<'c> Probes<'c> {
    pub(super) fn new(place: &'c dyn Place, context: &'c Context) -> Self {
        Self { place, context, put: Vec::new() }
    }

    /// Puts packs and gets them again.
    pub(super) fn measure_rates(&mut self, packs: Vec<Bytes>) -> Result<[Rate; 2]> {
        let size = packs.iter().map(|pack| pack.len() as u64).sum();
        let (begun, first) = (Instant::now(), self.put.len());
        for pack in packs {
            self.put(pack)?;
        }
        let put = Rate { stage: "put", bytes: size, elapsed: begun.elapsed() };
        let begun = Instant::now();
        for name in &self.put[first..] {
            self.context.check_stopped()?;
            self.place.get(name, None)?;
        }
        Ok([put, Rate { stage: "get", bytes: size, elapsed: begun.elapsed() }])
    }

    /// Puts, looks at, gets and deletes small objects, one after the other.
    pub(super) fn measure_latencies(&mut self) -> Result<Vec<Latency>> {
        let first = self.put.len();
        let mut times = Vec::new();
        for _ in 0..SMALL_OBJECTS {
            let mut body = vec![0; SMALL_BYTES];
            OsEntropy.fill(&mut body);
            let begun = Instant::now();
            self.put(body.into())?;
            times.push(begun.elapsed());
        }
        let mut latencies = vec![latency("put", times)];
        let small = self.put[first..].to_vec();
        latencies.push(self.time_each("stat", &small, |place, name| place.stat(name).map(drop))?);
        latencies
            .push(self.time_each("get", &small, |place, name| place.get(name, None).map(drop))?);
        latencies.push(self.time_each("delete", &small, |place, name| place.delete(name))?);
        self.put.truncate(first);
        Ok(latencies)
    }

    /// Deletes what is left.
    pub(super) fn finish(mut self) -> Result<()> {
        match self.clean_up() {
            0 => Ok(()),
            left => {
                let message = format!("{left} objects below probe/ could not be deleted");
                let hint = "they hurt nobody; delete them with credentials that may";
                Err(Failure::failed(message, hint))
            }
        }
    }

    fn put(&mut self, body: Bytes) -> Result<()> {
        self.context.check_stopped()?;
        let mut name = [0; 16];
        OsEntropy.fill(&mut name);
        let name = ObjectName::parse(&format!("probe/{}", hex(&name)))?;
        // Known before it is there: a put that fails may have stored it all the same.
        self.put.push(name.clone());
        let _ = self.place.put(&name, body, &PutOptions::default())?;
        Ok(())
    }

    fn time_each(
        &self,
        request: &'static str,
        names: &[ObjectName],
        ask: impl Fn(&dyn Place, &ObjectName) -> Result<(), strongroom::PlaceError>,
    ) -> Result<Latency> {
        let mut times = Vec::new();
        for name in names {
            self.context.check_stopped()?;
            let begun = Instant::now();
            ask(self.place, name)?;
            times.push(begun.elapsed());
        }
        Ok(latency(request, times))
    }

    /// Deletes what was put; gives how many stay.
    fn clean_up(&mut self) -> usize {
        let names = std::mem::take(&mut self.put);
        names.iter().filter(|name| self.place.delete(name).is_err()).count()
    }
}

impl Drop for Probes<'_> {
    fn drop(&mut self) {
        self.clean_up();
    }
}

fn latency(request: &'static str, mut times: Vec<Duration>) -> Latency {
    times.sort_unstable();
    let count = times.len();
    let median = times.get(count / 2).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    Latency { request, count, median, worst }
}
