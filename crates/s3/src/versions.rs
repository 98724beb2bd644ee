//! Older versions of objects, and the marks that deletions left.
//!
//! A service answers versions and marks in two lists, each newest first within a name; they are
//! merged by time, the latest first. Versions of one name may lie on two pages, in order.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use places::{
    NamePrefix, ObjectName, Result, Version, VersionContent, VersionId, VersionListing, Versions,
};

use crate::place::{S3Place, time};

impl Versions for S3Place {
    fn list_versions(&self, prefix: &NamePrefix) -> Result<VersionListing<'_>> {
        let keys = self.client.key_prefix(prefix);
        Ok(Box::new(Walk::first(self, keys, prefix.as_str())?))
    }

    fn versions_of(&self, name: &ObjectName) -> Result<Vec<Version>> {
        let walk = Walk::first(self, self.client.key(name), name.as_str())?;
        // Longer keys begin alike.
        walk.filter(|met| met.as_ref().map_or(true, |version| version.name == *name)).collect()
    }

    fn get_version(
        &self,
        name: &ObjectName,
        version: &VersionId,
        range: Option<Range<u64>>,
    ) -> Result<Bytes> {
        self.read(name, Some(version), range)
    }

    fn hide(&self, name: &ObjectName) -> Result<()> {
        self.put_delete_marker(name)
    }
}

struct Walk<'a> {
    place: &'a S3Place,
    /// What the keys begin with.
    keys: String,
    /// What errors say was asked for.
    subject: String,
    page: VecDeque<Version>,
    /// The last key and version of the page before.
    marker: Option<(String, Option<String>)>,
    is_over: bool,
}

impl<'a> Walk<'a> {
    fn first(place: &'a S3Place, keys: String, subject: &str) -> Result<Self> {
        let page = VecDeque::new();
        let subject = subject.to_owned();
        let mut walk = Self { place, keys, subject, page, marker: None, is_over: false };
        walk.turn()?;
        Ok(walk)
    }

    fn turn(&mut self) -> Result<()> {
        let client = &self.place.client;
        let (key, version) = self.marker.clone().unzip();
        let request = client
            .sdk
            .list_object_versions()
            .bucket(&client.bucket)
            .prefix(&self.keys)
            .max_keys(self.place.options.list_page)
            .set_key_marker(key)
            .set_version_id_marker(version.flatten());
        let answer = client.call(0, request.send());
        let answer = answer.map_err(|fault| self.place.error(fault, &self.subject))?;
        let objects = answer.versions().iter().filter_map(|version| {
            let size = u64::try_from(version.size()?).ok()?;
            let met = Version {
                name: client.name(version.key()?)?,
                id: VersionId::new(version.version_id()?),
                stored_at: time(version.last_modified()),
                content: VersionContent::Object { size },
            };
            Some((version.is_latest() == Some(true), met))
        });
        let marks = answer.delete_markers().iter().filter_map(|mark| {
            let met = Version {
                name: client.name(mark.key()?)?,
                id: VersionId::new(mark.version_id()?),
                stored_at: time(mark.last_modified()),
                content: VersionContent::DeleteMarker,
            };
            Some((mark.is_latest() == Some(true), met))
        });
        let mut met: Vec<_> = objects.chain(marks).collect();
        // The sort keeps the service's order among versions of the same moment.
        met.sort_by(|(a_latest, a), (b_latest, b)| {
            let newest_first = || (b_latest, b.stored_at).cmp(&(a_latest, a.stored_at));
            a.name.cmp(&b.name).then_with(newest_first)
        });
        self.page = met.into_iter().map(|(_, version)| version).collect();
        match (answer.is_truncated(), answer.next_key_marker) {
            (Some(true), Some(key)) => self.marker = Some((key, answer.next_version_id_marker)),
            _ => self.is_over = true,
        }
        Ok(())
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Version>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(version) = self.page.pop_front() {
                return Some(Ok(version));
            }
            if self.is_over {
                return None;
            }
            if let Err(error) = self.turn() {
                return Some(Err(error));
            }
        }
    }
}
