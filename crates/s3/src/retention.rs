//! Keeps objects until a time, by the bucket's Object Lock.
//!
//! A time is only ever moved on: what is asked for and does not reach beyond what holds changes
//! nothing. A lock that nobody can lift stays one.

use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use places::{ObjectName, Result, Retention, Time};

use crate::options::LockMode;
use crate::place::{S3Place, time};

impl Retention for S3Place {
    fn extend_retention(&self, name: &ObjectName, until: Time) -> Result<()> {
        let holding = self.holding(name)?;
        if holding.as_ref().is_some_and(|(holds_until, _)| *holds_until >= until) {
            return Ok(());
        }
        let chosen = match self.options.lock_mode {
            LockMode::Governance => ObjectLockRetentionMode::Governance,
            LockMode::Compliance => ObjectLockRetentionMode::Compliance,
        };
        let mode = match holding {
            Some((_, Some(ObjectLockRetentionMode::Compliance))) => {
                ObjectLockRetentionMode::Compliance
            }
            _ => chosen,
        };
        let retention =
            ObjectLockRetention::builder().mode(mode).retain_until_date(Self::date(until));
        let client = &self.client;
        let request = client
            .sdk
            .put_object_retention()
            .bucket(&client.bucket)
            .key(client.key(name))
            .retention(retention.build());
        let ended = client.call(0, request.send());
        ended.map(drop).map_err(|fault| fault.into_get_error(client.asked(), name))
    }

    fn retained_until(&self, name: &ObjectName) -> Result<Option<Time>> {
        Ok(self.holding(name)?.map(|(until, _)| until))
    }
}

impl S3Place {
    /// Until when the object is kept, and how firmly.
    fn holding(
        &self,
        name: &ObjectName,
    ) -> Result<Option<(Time, Option<ObjectLockRetentionMode>)>> {
        let client = &self.client;
        let request =
            client.sdk.get_object_retention().bucket(&client.bucket).key(client.key(name));
        match client.call(0, request.send()) {
            Ok(answer) => Ok(answer.retention.and_then(|retention| {
                let until = time(Some(retention.retain_until_date()?));
                Some((until, retention.mode))
            })),
            Err(fault) if fault.has_code(&["NoSuchObjectLockConfiguration"]) => Ok(None),
            Err(fault) => Err(fault.into_get_error(client.asked(), name)),
        }
    }
}
