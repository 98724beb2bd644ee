//! Large objects in parts, several at a time.
//!
//! Nothing is under the name until the last request, which carries the condition; so an upload that
//! is killed leaves no object. Its parts are taken back when it fails, and when the process dies
//! they stay until the bucket's own rule for unfinished uploads removes them.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use places::{ObjectName, Put, PutOptions};
use tokio::task::JoinSet;

use crate::client::within;
use crate::errors::Fault;
use crate::place::{S3Place, lock_mode};

/// Puts `body` in parts.
pub(crate) fn put(
    place: &S3Place,
    name: &ObjectName,
    body: Bytes,
    options: &PutOptions,
) -> Result<Put, Fault> {
    let client = &place.client;
    let upload = Upload { place, key: client.key(name) };
    client.block_on(async {
        let id = upload.begin(options).await?;
        let ended = async {
            let parts = upload.put_parts(&id, &body).await?;
            upload.complete(&id, parts).await
        };
        let ended = ended.await;
        if ended.is_err() {
            // Whatever becomes of it, the error that is told is the first one.
            let _ = upload.abort(&id).await;
        }
        ended.map(|()| Put::Created)
    })
}

struct Upload<'a> {
    place: &'a S3Place,
    key: String,
}

impl Upload<'_> {
    async fn begin(&self, options: &PutOptions) -> Result<String, Fault> {
        let client = &self.place.client;
        let request = client
            .sdk
            .create_multipart_upload()
            .bucket(&client.bucket)
            .key(&self.key)
            .set_object_lock_mode(lock_mode(options))
            .set_object_lock_retain_until_date(options.retain_until.map(S3Place::date));
        let begun = client.ask(0, request.send()).await?;
        let nameless = || Fault::Lost { reason: "an upload was begun without a name".to_owned() };
        begun.upload_id.ok_or_else(nameless)
    }

    async fn put_parts(&self, id: &str, body: &Bytes) -> Result<Vec<CompletedPart>, Fault> {
        let client = &self.place.client;
        let step = self.place.options.part_bytes;
        let mut running: JoinSet<Result<CompletedPart, Fault>> = JoinSet::new();
        for (number, start) in (1..).zip((0..body.len()).step_by(step)) {
            let part = body.slice(start..body.len().min(start + step));
            let length = part.len() as u64;
            let request = client
                .sdk
                .upload_part()
                .bucket(&client.bucket)
                .key(&self.key)
                .upload_id(id)
                .part_number(number)
                .body(ByteStream::from(part));
            let connections = client.connections();
            running.spawn(async move {
                let _connection = connections.acquire_owned().await.expect("it is never closed");
                let sent = async { request.send().await.map_err(Fault::from) };
                let answer = within(length, sent).await?;
                Ok(CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(answer.e_tag)
                    .set_checksum_crc32(answer.checksum_crc32)
                    .build())
            });
        }
        let mut parts = Vec::with_capacity(running.len());
        // Dropped at the first error, the set stops the others.
        while let Some(ended) = running.join_next().await {
            parts.push(ended.map_err(|error| Fault::Lost { reason: error.to_string() })??);
        }
        parts.sort_by_key(|part| part.part_number);
        Ok(parts)
    }

    async fn complete(&self, id: &str, parts: Vec<CompletedPart>) -> Result<(), Fault> {
        let client = &self.place.client;
        let request = client
            .sdk
            .complete_multipart_upload()
            .bucket(&client.bucket)
            .key(&self.key)
            .upload_id(id)
            .if_none_match("*")
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build());
        client.ask(COMPLETION_BYTES, request.send()).await?;
        Ok(())
    }

    async fn abort(&self, id: &str) -> Result<(), Fault> {
        let client = &self.place.client;
        let request =
            client.sdk.abort_multipart_upload().bucket(&client.bucket).key(&self.key).upload_id(id);
        client.ask(0, request.send()).await?;
        Ok(())
    }
}

/// A service joins the parts in its own time: it is waited for as for so many bytes.
const COMPLETION_BYTES: u64 = 64 << 20;
