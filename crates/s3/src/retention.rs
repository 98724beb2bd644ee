//! Keeps objects until a time, by the bucket's Object Lock.
//!
//! A time is only ever moved on: what is asked for and does not reach beyond what holds changes
//! nothing. A lock that nobody can lift stays one. A service that locks a version still hides it
//! when it is asked to delete the object, so whether a lock holds is looked at before.

use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use places::{
    Clock, Error, ObjectName, Result, Retention, RetentionMode, SystemClock, Time, VersionId,
};

use crate::place::{S3Place, time};

impl Retention for S3Place {
    fn extend_retention(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
        until: Time,
        mode: RetentionMode,
    ) -> Result<()> {
        let holding = self.holding(name, version)?;
        if holding.as_ref().is_some_and(|(holds_until, _)| *holds_until >= until) {
            return Ok(());
        }
        let mode = match (holding, mode) {
            (Some((_, Some(ObjectLockRetentionMode::Compliance))), _)
            | (_, RetentionMode::Compliance) => ObjectLockRetentionMode::Compliance,
            (_, RetentionMode::Governance) => ObjectLockRetentionMode::Governance,
        };
        let retention =
            ObjectLockRetention::builder().mode(mode).retain_until_date(Self::date(until));
        let client = &self.client;
        let request = client
            .sdk
            .put_object_retention()
            .bucket(&client.bucket)
            .key(client.key(name))
            .set_version_id(version.map(|version| version.as_str().to_owned()))
            .retention(retention.build());
        let ended = client.call(0, request.send());
        ended.map(drop).map_err(|fault| fault.into_get_error(client.asked(), name))
    }

    fn retained_until(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Option<Time>> {
        Ok(self.holding(name, version)?.map(|(until, _)| until))
    }
}

impl S3Place {
    /// Until when the object is kept, and how firmly.
    fn holding(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Option<(Time, Option<ObjectLockRetentionMode>)>> {
        let client = &self.client;
        let request = client
            .sdk
            .get_object_retention()
            .bucket(&client.bucket)
            .key(client.key(name))
            .set_version_id(version.map(|version| version.as_str().to_owned()));
        match client.call(0, request.send()) {
            Ok(answer) => Ok(answer.retention.and_then(|retention| {
                let until = time(Some(retention.retain_until_date()?));
                Some((until, retention.mode))
            })),
            Err(fault) if fault.has_code(&["NoSuchObjectLockConfiguration"]) => Ok(None),
            // Some services have one answer for an object without a lock and for no object.
            Err(fault) if fault.is_absent() && self.head(name, version)?.is_some() => Ok(None),
            Err(fault) => Err(fault.into_get_error(client.asked(), name)),
        }
    }

    /// An error when a lock keeps the object now. Requests carry the machine's time as well.
    pub(crate) fn refuse_locked(&self, name: &ObjectName) -> Result<()> {
        match self.holding(name, None) {
            Ok(Some((until, _))) if until > SystemClock.now() => Err(Error::Denied {
                place: self.client.place().to_owned(),
                subject: name.to_string(),
                reason: "a lock keeps it".to_owned(),
            }),
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
