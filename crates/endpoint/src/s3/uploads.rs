//! Multipart uploads: create, put parts, complete, abort, list.
//! Not here: objects put in one piece (`objects`).
//! Called by `Service`.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Error, S3Result, s3_error};

use super::conditions::check_write;
use super::objects::upload_failed;
use super::{Service, strong};
use crate::content::Content;
use crate::store::{Attributes, BucketState, Object, Upload, composite_etag, now, random_name};

/// Every part but the last has at least this many bytes, see
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
const SMALLEST_PART: u64 = 5 << 20;

impl Service {
    pub(super) fn create_upload(&self, input: CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
        let id = random_name();
        let attributes = Attributes {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            metadata: input.metadata.unwrap_or_default(),
        };
        let upload = Upload { key: input.key.clone(), attributes, parts: Default::default() };
        self.write(&input.bucket, |bucket| {
            bucket.uploads.insert(id.clone(), upload);
            Ok(())
        })?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..Default::default()
        })
    }

    pub(super) async fn put_part(&self, input: UploadPartInput) -> S3Result<UploadPartOutput> {
        self.read(&input.bucket, |bucket| upload(bucket, &input.upload_id, &input.key).map(|_| ()))?;
        let received = self.store.spool.receive(input.body).await.map_err(upload_failed)?;
        let part = Object::new(received, Attributes::default());
        let etag = strong(&part.etag);
        self.write(&input.bucket, |bucket| {
            // It may have been aborted while the part came in.
            let upload = bucket.uploads.get_mut(&input.upload_id).ok_or_else(no_such_upload)?;
            upload.parts.insert(input.part_number, Arc::new(part));
            Ok(())
        })?;
        Ok(UploadPartOutput { e_tag: Some(etag), ..Default::default() })
    }

    pub(super) fn complete_upload(
        &self,
        input: &CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let listed = input.multipart_upload.as_ref().and_then(|parts| parts.parts.as_deref()).unwrap_or_default();
        self.write(&input.bucket, |bucket| {
            let parts = chosen_parts(upload(bucket, &input.upload_id, &input.key)?, listed)?;
            let present = bucket.latest(&input.key).map(|(_, object)| object.as_ref());
            check_write(input.if_match.as_ref(), input.if_none_match.as_ref(), present)?;
            let upload = bucket.uploads.remove(&input.upload_id).ok_or_else(no_such_upload)?;
            let etags: String = parts.iter().map(|part| part.etag.as_str()).collect();
            let object = Object {
                etag: composite_etag(etags.as_bytes(), parts.len()),
                content: Content::concat(parts.iter().map(|part| part.content.clone())),
                last_modified: now(),
                attributes: upload.attributes,
            };
            let etag = strong(&object.etag);
            let id = bucket.insert(&input.key, object);
            Ok(CompleteMultipartUploadOutput {
                bucket: Some(input.bucket.clone()),
                key: Some(input.key.clone()),
                location: Some(format!("/{}/{}", input.bucket, input.key)),
                e_tag: Some(etag),
                version_id: bucket.settings.versioned.then_some(id),
                ..Default::default()
            })
        })
    }

    pub(super) fn abort_upload(&self, input: &AbortMultipartUploadInput) -> S3Result<AbortMultipartUploadOutput> {
        self.write(&input.bucket, |bucket| {
            upload(bucket, &input.upload_id, &input.key)?;
            bucket.uploads.remove(&input.upload_id);
            Ok(AbortMultipartUploadOutput::default())
        })
    }

    pub(super) fn parts(&self, input: &ListPartsInput) -> S3Result<ListPartsOutput> {
        let parts = self.read(&input.bucket, |bucket| {
            let upload = upload(bucket, &input.upload_id, &input.key)?;
            Ok(upload.parts.iter().map(|(number, part)| describe(*number, part)).collect::<Vec<_>>())
        })?;
        Ok(ListPartsOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            upload_id: Some(input.upload_id.clone()),
            is_truncated: Some(false),
            parts: Some(parts),
            ..Default::default()
        })
    }

    pub(super) fn list_uploads(&self, input: &ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let uploads = self.read(&input.bucket, |bucket| {
            let described = |(id, upload): (&String, &Upload)| MultipartUpload {
                key: Some(upload.key.clone()),
                upload_id: Some(id.clone()),
                ..Default::default()
            };
            Ok(bucket.uploads.iter().filter(|(_, upload)| upload.key.starts_with(prefix)).map(described).collect())
        })?;
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket.clone()),
            prefix: input.prefix.clone(),
            is_truncated: Some(false),
            uploads: Some(uploads),
            ..Default::default()
        })
    }
}

fn upload<'a>(bucket: &'a BucketState, id: &str, key: &str) -> S3Result<&'a Upload> {
    bucket.uploads.get(id).filter(|upload| upload.key == key).ok_or_else(no_such_upload)
}

fn no_such_upload() -> S3Error {
    s3_error!(NoSuchUpload, "The specified upload does not exist. It may have been aborted or completed.")
}

/// The parts that the client lists, in ascending order and with the ETags that they were given.
fn chosen_parts(upload: &Upload, listed: &[CompletedPart]) -> S3Result<Vec<Arc<Object>>> {
    if listed.is_empty() {
        return Err(s3_error!(MalformedXML, "a completed upload lists at least one part"));
    }
    if !listed.is_sorted_by(|left, right| left.part_number < right.part_number) {
        return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
    }
    let mut parts = Vec::with_capacity(listed.len());
    for completed in listed {
        let part = completed.part_number.and_then(|number| upload.parts.get(&number));
        let same = |part: &&Arc<Object>| completed.e_tag.as_ref().is_none_or(|etag| etag.value() == part.etag);
        let part = part
            .filter(same)
            .ok_or_else(|| s3_error!(InvalidPart, "One or more of the specified parts could not be found."))?;
        parts.push(Arc::clone(part));
    }
    let (_, all_but_last) = parts.split_last().ok_or_else(no_such_upload)?;
    if all_but_last.iter().any(|part| part.content.length() < SMALLEST_PART) {
        return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
    }
    Ok(parts)
}

fn describe(number: i32, part: &Object) -> Part {
    Part {
        part_number: Some(number),
        size: Some(part.content.length() as i64),
        e_tag: Some(strong(&part.etag)),
        last_modified: Some(part.last_modified.into()),
        ..Default::default()
    }
}
