//! What lies under each name where a place keeps versions, and whether a record still needs it.
//!
//! Objects are written once, so a name with a second version, or with a delete marker over what is
//! needed, was touched by somebody with the place's credentials. Which version is the object is
//! said by its name where that is a digest; of all other names it is the oldest. DESIGN §9.

use bytes::Bytes;
use format::{Digest, NamedObject};
use places::{ErrorKind, NamePrefix, ObjectName, Place, Version, VersionContent, Versions};

use crate::{PackStanding, Result, State};

/// A name and all that ever lay under it.
#[derive(Clone, Debug)]
pub struct NameVersions {
    /// The name.
    pub name: ObjectName,
    /// What it is the name of.
    pub object: NamedObject,
    /// Its versions, the newest first; at least one.
    pub versions: Vec<Version>,
}

/// Whether a vault needs an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It does.
    Needed,
    /// A record let it go.
    Dropped,
    /// No record names it: it may come to be needed, or was left by interrupted work.
    Unknown,
}

impl Need {
    /// What the records applied so far say of an object. Key slots come and go without a record,
    /// slots of streams and probes too: of these only what is not hidden is needed.
    pub fn of(object: &NamedObject, state: &State) -> Self {
        match object {
            NamedObject::Pack(name) => match state.pack_standing(name) {
                PackStanding::Unknown => Self::Unknown,
                PackStanding::Condemned => Self::Dropped,
                _ => Self::Needed,
            },
            NamedObject::Run(name) => match state.run(name) {
                None => Self::Unknown,
                Some(run) if run.dropped.is_some() => Self::Dropped,
                Some(_) => Self::Needed,
            },
            NamedObject::Probe(_) => Self::Dropped,
            _ => Self::Needed,
        }
    }
}

impl NameVersions {
    /// Whether a delete marker lies over the object.
    pub fn is_hidden(&self) -> bool {
        self.versions.first().is_some_and(|newest| !is_object(newest))
    }

    /// Whether hiding it is nobody's harm: what comes and goes without a record.
    pub fn may_be_hidden(&self) -> bool {
        matches!(
            self.object,
            NamedObject::Slot(_) | NamedObject::Stream { .. } | NamedObject::Probe(_)
        )
    }

    /// The versions that are no delete markers, the newest first.
    pub fn objects(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.versions.iter().filter(|version| is_object(version))
    }

    /// The digest that the name is, when it is one.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.object {
            NamedObject::Pack(digest) | NamedObject::Run(digest) | NamedObject::List(digest) => {
                Some(digest)
            }
            NamedObject::Record(name) => name.digest.as_ref(),
            _ => None,
        }
    }

    /// The bytes of the version that is the object: the first of the right digest, else the oldest
    /// of all. `None` when no version has the digest, or none is left.
    ///
    /// # Errors
    /// Those of the place.
    pub fn right_bytes(&self, place: &dyn Versions) -> Result<Option<Bytes>> {
        let Some(digest) = self.digest() else {
            let Some(oldest) = self.objects().next_back() else { return Ok(None) };
            return read(place, oldest);
        };
        // What somebody put there first is unlikely to be wrong, so the oldest is tried first.
        for version in self.objects().rev() {
            if let Some(bytes) = read(place, version)?
                && Digest::of(&bytes) == *digest
            {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Whether something else than the object lies under the name now, or nothing does.
    ///
    /// # Errors
    /// Those of the place.
    pub fn is_wrong(&self, place: &dyn Place, versions: &dyn Versions) -> Result<bool> {
        if self.is_hidden() {
            return Ok(true);
        }
        if self.objects().nth(1).is_none() {
            return Ok(false);
        }
        let current = match place.get(&self.name, None) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        match self.digest() {
            Some(digest) => Ok(Digest::of(&current) != *digest),
            None => Ok(self.right_bytes(versions)?.is_some_and(|right| right != current)),
        }
    }
}

/// Meets each name below a prefix with all its versions. Names that the format does not make are
/// passed over.
///
/// # Errors
/// Those of the place, and of `met`.
pub fn each_name<E: From<places::Error>>(
    place: &dyn Versions,
    prefix: &NamePrefix,
    mut met: impl FnMut(NameVersions) -> Result<(), E>,
) -> Result<(), E> {
    let mut together: Option<NameVersions> = None;
    for version in place.list_versions(prefix)? {
        let version = version?;
        if let Some(known) = together.as_mut().filter(|known| known.name == version.name) {
            known.versions.push(version);
            continue;
        }
        if let Some(whole) = together.take() {
            met(whole)?;
        }
        if let Some(object) = NamedObject::parse(&version.name) {
            let name = version.name.clone();
            together = Some(NameVersions { name, object, versions: vec![version] });
        }
    }
    together.map_or(Ok(()), met)
}

fn is_object(version: &Version) -> bool {
    matches!(version.content, VersionContent::Object { .. })
}

fn read(place: &dyn Versions, version: &Version) -> Result<Option<Bytes>> {
    match place.get_version(&version.name, &version.id, None) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
