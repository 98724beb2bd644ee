//! The small async runtime of a place, and the one door between it and blocking code.
//!
//! Calls come from many threads; each blocks in its own until its future is done, while a few
//! workers move the bytes. Dropping it waits for nothing: what is under way is cut off.

use std::future::Future;

use places::{Error, Result};

/// Runs futures to their end for callers that block.
pub(crate) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(crate) fn start(place: &str) -> Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(WORKERS).max_blocking_threads(RESOLVERS).thread_name("s3");
        let runtime = builder.enable_all().build().map_err(|error| Error::Unavailable {
            place: place.to_owned(),
            subject: "threads for requests".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self(Some(runtime)))
    }

    /// Blocks until `future` is done. Never called by async code.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.as_ref().expect("it is taken only when dropped").block_on(future)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Threads that move bytes: encryption for the network is the most that they do.
const WORKERS: usize = 2;
/// Threads that ask for addresses.
const RESOLVERS: usize = 4;
