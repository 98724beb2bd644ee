//! The five verbs as requests.
//!
//! A put carries `If-None-Match: *` and its bytes as they lie in memory; a get asks for exactly the
//! bytes that are wanted and believes the length of the whole only as the answer tells it, because
//! S3 shortens a range that reaches beyond an object without a word. Digests and checksums of
//! services are not relied on: who reads an object knows what it must be. DESIGN.md §4.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled, ObjectLockMode};
use bytes::Bytes;
use places::{
    Capabilities, Error, Listing, NamePrefix, OBJECT_BYTES_MAX, ObjectName, Place, Put, PutOptions,
    RequestCounts, Result, Retention, RetentionMode, S3Url, Start, Stat, Time, VersionId, Versions,
};

use crate::client::{Client, within};
use crate::errors::Fault;
use crate::list::Pages;
use crate::multipart;
use crate::options::S3Options;

/// A prefix of keys in a bucket.
///
/// Calls block; they are not for async code. Nothing is retried: wrap it in [`places::Retrying`].
pub struct S3Place {
    pub(crate) client: Client,
    pub(crate) options: S3Options,
    found: OnceLock<Found>,
    /// Whether an answer ever showed that the bucket is there.
    is_bucket_seen: AtomicBool,
}

/// What the bucket can do, as it says itself.
#[derive(Clone, Copy, Default)]
struct Found {
    versions: bool,
    object_lock: bool,
}

/// Packs on their way at the same time. Measured with 250 ms added to each request and two cores: a
/// backup of 28 packs took 28 s with one, 20 s with two, 17 s with four.
const PUTS_AT_ONCE: usize = 4;
/// No bytes for so long end a get.
const STALL: Duration = Duration::from_secs(75);
/// No answer makes more room than this before its bytes come.
const ROOM_AT_ONCE: u64 = 64 << 20;

impl S3Place {
    /// Makes ready to ask for the bucket of `url`; asks it nothing yet.
    ///
    /// # Errors
    /// [`Error::Setting`] when the URL's options, the certificates or the lack of TLS make no
    /// sense.
    pub fn open(url: &S3Url, options: S3Options) -> Result<Self> {
        let client = Client::open(url, &options)?;
        let is_bucket_seen = AtomicBool::new(false);
        Ok(Self { client, options, found: OnceLock::new(), is_bucket_seen })
    }

    /// The count of all that was asked.
    pub fn counts(&self) -> &Arc<RequestCounts> {
        &self.options.counts
    }

    fn found(&self) -> Found {
        match self.found.get() {
            Some(found) => *found,
            // What could not be asked may be asked later.
            None => self.look().map_or(Found::default(), |found| *self.found.get_or_init(|| found)),
        }
    }

    fn look(&self) -> Result<Found, Fault> {
        let (client, sdk) = (&self.client, &self.client.sdk);
        let asked = sdk.get_bucket_versioning().bucket(&client.bucket).send();
        let versions = match client.call(0, asked) {
            Ok(answer) => matches!(
                answer.status(),
                Some(BucketVersioningStatus::Enabled | BucketVersioningStatus::Suspended)
            ),
            Err(fault) => unknown(fault)?,
        };
        if !versions {
            return Ok(Found::default());
        }
        let asked = sdk.get_object_lock_configuration().bucket(&client.bucket).send();
        let object_lock = match client.call(0, asked) {
            Ok(answer) => {
                let lock = answer.object_lock_configuration();
                lock.and_then(|lock| lock.object_lock_enabled())
                    == Some(&ObjectLockEnabled::Enabled)
            }
            Err(fault) => unknown(fault)?,
        };
        Ok(Found { versions, object_lock })
    }

    pub(crate) fn error(&self, fault: Fault, subject: &str) -> Error {
        fault.into_error(self.client.asked(), subject)
    }

    /// Until when, as S3 takes it: in whole seconds, never too early.
    pub(crate) fn date(until: Time) -> DateTime {
        DateTime::from_secs(until.as_millis().div_euclid(1000).saturating_add(1))
    }

    /// Reads an object or a version of it.
    pub(crate) fn read(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
        range: Option<Range<u64>>,
    ) -> Result<Bytes> {
        let Some(range) = range else {
            return match self.fetch(name, version, None) {
                Ok(Fetched::Bytes { bytes, .. }) => Ok(bytes),
                Ok(Fetched::Beyond) => Err(self.too_large(name, OBJECT_BYTES_MAX + 1)),
                Err(fault) => Err(fault.into_get_error(self.client.asked(), name)),
            };
        };
        if range.is_empty() || range.end > OBJECT_BYTES_MAX {
            let size = self.size(name, version)?;
            if range.start > range.end || range.end > size {
                return Err(self.out_of_range(name, &range, size));
            }
            if range.is_empty() {
                return Ok(Bytes::new());
            }
        }
        match self.fetch(name, version, Some(range.clone())) {
            Ok(Fetched::Bytes { bytes, total }) if range.end <= total => Ok(bytes),
            Ok(Fetched::Bytes { total, .. }) => Err(self.out_of_range(name, &range, total)),
            Ok(Fetched::Beyond) => {
                let size = self.size(name, version)?;
                if range.end > size {
                    return Err(self.out_of_range(name, &range, size));
                }
                let reason = format!("it refused bytes of an object that has {size}");
                Err(self.error(Fault::Lost { reason }, name.as_str()))
            }
            Err(fault) => Err(fault.into_get_error(self.client.asked(), name)),
        }
    }

    /// Bytes of an object, shortened where it ends.
    fn fetch(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
        range: Option<Range<u64>>,
    ) -> Result<Fetched, Fault> {
        let client = &self.client;
        let http_range = range.as_ref().map(|r| format!("bytes={}-{}", r.start, r.end - 1));
        let request = client
            .sdk
            .get_object()
            .bucket(&client.bucket)
            .key(client.key(name))
            .set_version_id(version.map(|version| version.as_str().to_owned()))
            .set_range(http_range);
        client.block_on(async {
            let _connection = client.connection().await;
            let sent = async { request.send().await.map_err(Fault::from) };
            let answer = match within(0, sent).await {
                Err(fault) if fault.is_range() => return Ok(Fetched::Beyond),
                answered => answered?,
            };
            self.is_bucket_seen.store(true, Ordering::Relaxed);
            let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
            let Some(length) = length else {
                return Err(Fault::Lost { reason: "its answer does not tell a length".to_owned() });
            };
            let asked = range.unwrap_or(0..OBJECT_BYTES_MAX);
            let (start, total) = match answer.content_range() {
                None => (0, length),
                Some(text) => content_range(text).ok_or_else(|| Fault::Lost {
                    reason: format!("its answer has bytes of no range: {text:?}"),
                })?,
            };
            if start > asked.start {
                let reason = format!("it answered bytes from {start} on, not {}", asked.start);
                return Err(Fault::Lost { reason });
            }
            let end = asked.end.min(total);
            if total > OBJECT_BYTES_MAX && asked.end == OBJECT_BYTES_MAX && asked.start == 0 {
                return Ok(Fetched::Beyond);
            }
            if end <= asked.start {
                return Ok(Fetched::Bytes { bytes: Bytes::new(), total });
            }
            let needed = end - start;
            let bytes = within(needed, read_body(answer.body, needed)).await?;
            let skipped = usize::try_from(asked.start - start).unwrap_or(usize::MAX);
            Ok(Fetched::Bytes { bytes: bytes.slice(skipped.min(bytes.len())..), total })
        })
    }

    fn size(&self, name: &ObjectName, version: Option<&VersionId>) -> Result<u64> {
        match self.head(name, version)? {
            Some(stat) => Ok(stat.size),
            None => {
                Err(Error::NotFound { place: self.client.place().to_owned(), object: name.clone() })
            }
        }
    }

    pub(crate) fn head(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Option<Stat>> {
        let client = &self.client;
        let request = client
            .sdk
            .head_object()
            .bucket(&client.bucket)
            .key(client.key(name))
            .set_version_id(version.map(|version| version.as_str().to_owned()));
        match client.call(0, request.send()) {
            Ok(answer) => {
                self.is_bucket_seen.store(true, Ordering::Relaxed);
                let size = answer.content_length().and_then(|size| u64::try_from(size).ok());
                let Some(size) = size else {
                    let reason = "its answer does not tell a length".to_owned();
                    return Err(self.error(Fault::Lost { reason }, name.as_str()));
                };
                Ok(Some(Stat { size, stored_at: time(answer.last_modified()) }))
            }
            Err(fault) if fault.is_absent() => {
                self.see_bucket(name)?;
                Ok(None)
            }
            // Without a body no answer says why: a get's does.
            Err(fault) if fault.is_not_allowed() => match self.fetch(name, version, Some(0..1)) {
                Err(told) if !told.is_absent() => Err(told.into_get_error(client.asked(), name)),
                // Where the two disagree, the clock was off at the first; the SDK knows it now.
                _ => {
                    let reason = "it denied a look at what it does not deny".to_owned();
                    Err(self.error(Fault::Lost { reason }, name.as_str()))
                }
            },
            Err(fault) => Err(fault.into_get_error(client.asked(), name)),
        }
    }

    /// A missing bucket and a missing object look alike without a body: a get tells them apart.
    fn see_bucket(&self, name: &ObjectName) -> Result<()> {
        if self.is_bucket_seen.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.fetch(name, None, Some(0..1)) {
            Err(fault) if !fault.is_absent() => {
                Err(fault.into_get_error(self.client.asked(), name))
            }
            _ => {
                self.is_bucket_seen.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn put_whole(
        &self,
        name: &ObjectName,
        body: Bytes,
        options: &PutOptions,
    ) -> Result<Put, Fault> {
        let (client, length) = (&self.client, body.len() as u64);
        let request = client
            .sdk
            .put_object()
            .bucket(&client.bucket)
            .key(client.key(name))
            .if_none_match("*")
            .set_object_lock_mode(lock_mode(options))
            .set_object_lock_retain_until_date(options.retain_until.map(Self::date))
            .body(ByteStream::from(body));
        client.call(length, request.send()).map(|_| Put::Created)
    }

    /// Deletes an object; where versions are kept, a service only marks it.
    pub(crate) fn put_delete_marker(&self, name: &ObjectName) -> Result<()> {
        let client = &self.client;
        let request =
            client.sdk.delete_object().bucket(&client.bucket).key(client.key(name)).send();
        match client.call(0, request) {
            Ok(_) => Ok(()),
            Err(fault) if fault.is_absent() => Ok(()),
            Err(fault) => Err(self.error(fault, name.as_str())),
        }
    }

    fn out_of_range(&self, name: &ObjectName, range: &Range<u64>, size: u64) -> Error {
        Error::Range {
            place: self.client.place().to_owned(),
            object: name.clone(),
            start: range.start,
            end: range.end,
            size,
        }
    }

    fn too_large(&self, name: &ObjectName, size: u64) -> Error {
        Error::Corrupt {
            place: self.client.place().to_owned(),
            object: name.clone(),
            reason: format!("it is {size} bytes or more, and no object is"),
        }
    }
}

impl Place for S3Place {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
        let size = body.len() as u64;
        if size > OBJECT_BYTES_MAX {
            return Err(Error::TooLarge { object: name.clone(), size, limit: OBJECT_BYTES_MAX });
        }
        if options.retain_until.is_some() && !self.found().object_lock {
            return Err(Error::Unsupported {
                place: self.describe(),
                what: "keep objects until a time: its bucket has no Object Lock".into(),
            });
        }
        let ended = match size > self.options.multipart_above_bytes {
            true => multipart::put(self, name, body, options),
            false => self.put_whole(name, body, options),
        };
        match ended {
            Ok(put) => {
                self.is_bucket_seen.store(true, Ordering::Relaxed);
                Ok(put)
            }
            Err(fault) if fault.is_condition() => Ok(Put::Exists),
            Err(fault) => Err(fault.into_put_error(self.client.asked(), name, size)),
        }
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        self.read(name, None, range)
    }

    fn get_start(&self, name: &ObjectName, most: u64) -> Result<Start> {
        if most == 0 {
            return Ok(Start { bytes: Bytes::new(), whole_length: self.size(name, None)? });
        }
        match self.fetch(name, None, Some(0..most.min(OBJECT_BYTES_MAX))) {
            Ok(Fetched::Bytes { bytes, total }) => Ok(Start { bytes, whole_length: total }),
            // An empty object has no first byte.
            Ok(Fetched::Beyond) => match self.size(name, None)? {
                0 => Ok(Start { bytes: Bytes::new(), whole_length: 0 }),
                size => Err(self.too_large(name, size)),
            },
            Err(fault) => Err(fault.into_get_error(self.client.asked(), name)),
        }
    }

    fn list(&self, prefix: &NamePrefix, start_after: Option<&ObjectName>) -> Result<Listing<'_>> {
        Ok(Box::new(Pages::first(self, prefix, start_after)?))
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
        self.head(name, None)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        if self.found().object_lock {
            self.refuse_locked(name)?;
        }
        self.put_delete_marker(name)
    }

    fn capabilities(&self) -> Capabilities {
        let Found { versions, object_lock } = self.found();
        Capabilities { if_absent: true, object_lock, versions }
    }

    fn calls_at_once(&self) -> usize {
        self.options.connections.get()
    }

    fn puts_at_once(&self) -> usize {
        self.options.connections.get().min(PUTS_AT_ONCE)
    }

    fn retention(&self) -> Option<&dyn Retention> {
        self.found().object_lock.then_some(self)
    }

    fn versions(&self) -> Option<&dyn Versions> {
        self.found().versions.then_some(self)
    }

    fn describe(&self) -> String {
        self.client.place().to_owned()
    }
}

enum Fetched {
    Bytes {
        bytes: Bytes,
        total: u64,
    },
    /// The range lies beyond the object, or the object beyond all objects.
    Beyond,
}

/// How firmly an object is locked that is put with these options, if it is.
pub(crate) fn lock_mode(options: &PutOptions) -> Option<ObjectLockMode> {
    options.retain_until.map(|_| match options.retention_mode {
        RetentionMode::Governance => ObjectLockMode::Governance,
        RetentionMode::Compliance => ObjectLockMode::Compliance,
    })
}

/// The time of a service, the epoch where it tells none.
pub(crate) fn time(date: Option<&DateTime>) -> Time {
    let millis = date.and_then(|date| date.to_millis().ok());
    millis.map_or(Time::EPOCH, Time::from_millis)
}

/// What may not be asked, or is not known there, is not there.
fn unknown(fault: Fault) -> Result<bool, Fault> {
    if fault.is_not_allowed() || fault.is_unknown_request() { Ok(false) } else { Err(fault) }
}

/// First byte and whole length of `bytes 3-5/10`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// The first `needed` bytes of a body.
async fn read_body(mut body: ByteStream, needed: u64) -> Result<Bytes, Fault> {
    let lost = |reason: String| Err(Fault::Lost { reason });
    let mut bytes = Vec::with_capacity(needed.min(ROOM_AT_ONCE) as usize);
    while (bytes.len() as u64) < needed {
        let part = match tokio::time::timeout(STALL, body.next()).await {
            Err(_) => return lost(format!("no bytes in {} s", STALL.as_secs())),
            Ok(None) => return lost(format!("{} bytes came of {needed}", bytes.len())),
            Ok(Some(Err(error))) => {
                let chain = crate::errors::chain(&error);
                return lost(format!("{} bytes came of {needed}: {chain}", bytes.len()));
            }
            Ok(Some(Ok(part))) => part,
        };
        let room = (needed - bytes.len() as u64).min(part.len() as u64) as usize;
        bytes.extend_from_slice(&part[..room]);
    }
    Ok(bytes.into())
}
