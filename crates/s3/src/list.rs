//! Listings, a page at a time.
//!
//! Services differ in the order of their names (by bytes, or folder by folder), so where to begin
//! is told them only as far as all orders agree, and the rest is left out here. Keys that are no
//! names of objects are passed over. A page that cannot be had is an error, and may be asked for
//! again by asking for the next name: so a listing goes on after the network was away.

use std::collections::VecDeque;

use places::{Error, Listed, NamePrefix, ObjectName, Result};

use crate::place::{S3Place, time};

/// The walk over all pages of a listing.
pub(crate) struct Pages<'a> {
    place: &'a S3Place,
    prefix: NamePrefix,
    start_after: Option<ObjectName>,
    page: VecDeque<Listed>,
    next: Next,
}

enum Next {
    First,
    After(String),
    None,
}

impl<'a> Pages<'a> {
    /// The walk with its first page.
    pub(crate) fn first(
        place: &'a S3Place,
        prefix: &NamePrefix,
        start_after: Option<&ObjectName>,
    ) -> Result<Self> {
        let mut pages = Self {
            place,
            prefix: prefix.clone(),
            start_after: start_after.cloned(),
            page: VecDeque::new(),
            next: Next::First,
        };
        pages.turn()?;
        Ok(pages)
    }

    fn turn(&mut self) -> Result<()> {
        let client = &self.place.client;
        let request = client
            .sdk
            .list_objects_v2()
            .bucket(&client.bucket)
            .prefix(client.key_prefix(&self.prefix))
            .max_keys(self.place.options.list_page);
        let request = match &self.next {
            Next::First => request.set_start_after(self.start_key()),
            Next::After(token) => request.continuation_token(token),
            Next::None => return Ok(()),
        };
        let answer = client.call(0, request.send());
        let answer = answer.map_err(|fault| self.place.error(fault, self.subject()))?;
        for object in answer.contents() {
            let Some(name) = object.key().and_then(|key| client.name(key)) else { continue };
            if self.start_after.as_ref().is_some_and(|after| name <= *after) {
                continue;
            }
            let size = object.size().and_then(|size| u64::try_from(size).ok());
            let Some(size) = size else {
                let reason = format!("its listing tells no size of {name}");
                return Err(self.lost(reason));
            };
            self.page.push_back(Listed { name, size, stored_at: time(object.last_modified()) });
        }
        self.next = match (answer.is_truncated(), answer.next_continuation_token) {
            (Some(true), Some(token)) => Next::After(token),
            (Some(true), None) => {
                return Err(self.lost("its listing goes on, and it does not say where".to_owned()));
            }
            _ => Next::None,
        };
        Ok(())
    }

    /// Where to begin, as far as all orders agree: a hyphen comes before a slash in one of bytes,
    /// and after it in one of folders.
    fn start_key(&self) -> Option<String> {
        let key = self.place.client.key(self.start_after.as_ref()?);
        let kept = key.len() - self.start_after.as_ref()?.as_str().len();
        let (stem, name) = key.split_at(kept);
        let agreed = name.split('-').next()?;
        (!agreed.is_empty()).then(|| format!("{stem}{agreed}"))
    }

    fn subject(&self) -> &str {
        match self.prefix.as_str() {
            "" => "its names",
            prefix => prefix,
        }
    }

    fn lost(&self, reason: String) -> Error {
        Error::Unavailable {
            place: self.place.client.place().to_owned(),
            subject: self.subject().to_owned(),
            reason,
        }
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Listed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(listed) = self.page.pop_front() {
                return Some(Ok(listed));
            }
            if matches!(self.next, Next::None) {
                return None;
            }
            if let Err(error) = self.turn() {
                // What the page began with comes again when it is asked for again.
                self.page.clear();
                return Some(Err(error));
            }
        }
    }
}
