//! Single objects: get, head, put, copy, delete.
//! Not here: listings and multipart uploads, which have files of their own.
//! Called by `Service`.

use std::ops::Range;
use std::sync::Arc;

use hyper::HeaderMap;
use s3s::dto::*;
use s3s::{Body, S3Error, S3Result, s3_error};

use super::conditions::{ReadConditions, check_write};
use super::{Service, internal, no_such_key, strong};
use crate::access::{Caller, arn};
use crate::store::{Attributes, BucketState, Object, Version};

impl Service {
    pub(super) fn get(&self, input: &GetObjectInput, caller: Option<&Caller>) -> S3Result<GetObjectOutput> {
        let found = self.find(&input.bucket, &input.key, input.version_id.as_deref(), caller)?;
        let conditions = ReadConditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        conditions.check(&found.object)?;
        let length = found.object.content.length();
        let (range, content_range) = slice(input.range.as_ref(), length)?;
        let body: Body = found.object.content.read(range.clone()).map_err(internal)?;
        let attributes = found.object.attributes.clone();
        Ok(GetObjectOutput {
            body: Some(body.into()),
            content_length: Some((range.end - range.start) as i64),
            content_range,
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(strong(&found.object.etag)),
            last_modified: Some(found.object.last_modified.into()),
            version_id: found.version,
            content_type: Some(attributes.content_type()),
            content_encoding: attributes.content_encoding,
            metadata: Some(attributes.metadata),
            ..Default::default()
        })
    }

    pub(super) fn head(&self, input: &HeadObjectInput, caller: Option<&Caller>) -> S3Result<HeadObjectOutput> {
        let found = self.find(&input.bucket, &input.key, input.version_id.as_deref(), caller)?;
        let conditions = ReadConditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        conditions.check(&found.object)?;
        let (range, content_range) = slice(input.range.as_ref(), found.object.content.length())?;
        let attributes = found.object.attributes.clone();
        Ok(HeadObjectOutput {
            content_length: Some((range.end - range.start) as i64),
            content_range,
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(strong(&found.object.etag)),
            last_modified: Some(found.object.last_modified.into()),
            version_id: found.version,
            content_type: Some(attributes.content_type()),
            content_encoding: attributes.content_encoding,
            metadata: Some(attributes.metadata),
            ..Default::default()
        })
    }

    pub(super) async fn put(&self, input: PutObjectInput) -> S3Result<PutObjectOutput> {
        // A missing bucket is said before the body is read.
        self.read(&input.bucket, |_| Ok(()))?;
        let received = self.store.spool.receive(input.body).await.map_err(upload_failed)?;
        let attributes = Attributes {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            metadata: input.metadata.unwrap_or_default(),
        };
        let object = Object::new(received, attributes);
        let etag = strong(&object.etag);
        let version = self.write(&input.bucket, |bucket| {
            let present = bucket.latest(&input.key).map(|(_, object)| object.as_ref());
            check_write(input.if_match.as_ref(), input.if_none_match.as_ref(), present)?;
            let id = bucket.insert(&input.key, object);
            Ok(bucket.settings.versioned.then_some(id))
        })?;
        Ok(PutObjectOutput { e_tag: Some(etag), version_id: version, ..Default::default() })
    }

    pub(super) fn copy(&self, input: &CopyObjectInput, caller: Option<&Caller>) -> S3Result<CopyObjectOutput> {
        let CopySource::Bucket { bucket, key, version_id } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "copies from access points are not supported"));
        };
        let action = if version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        if let Some(caller) = caller {
            caller.require(action, &arn(bucket, key), &[])?;
        }
        let source = self.find(bucket, key, version_id.as_deref(), caller)?;
        let conditions = ReadConditions {
            if_match: input.copy_source_if_match.as_ref(),
            if_none_match: input.copy_source_if_none_match.as_ref(),
            if_modified_since: input.copy_source_if_modified_since.as_ref(),
            if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
        };
        conditions.check(&source.object).map_err(|_| {
            s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
        })?;
        let replace = MetadataDirective::from_static(MetadataDirective::REPLACE);
        let attributes = if input.metadata_directive == Some(replace) {
            Attributes {
                content_type: input.content_type.clone(),
                content_encoding: input.content_encoding.clone(),
                metadata: input.metadata.clone().unwrap_or_default(),
            }
        } else {
            source.object.attributes.clone()
        };
        let copy = Object {
            content: source.object.content.clone(),
            etag: source.object.etag.clone(),
            last_modified: crate::store::now(),
            attributes,
        };
        let result = CopyObjectResult {
            e_tag: Some(strong(&copy.etag)),
            last_modified: Some(copy.last_modified.into()),
            ..Default::default()
        };
        let version = self.write(&input.bucket, |bucket| {
            let id = bucket.insert(&input.key, copy);
            Ok(bucket.settings.versioned.then_some(id))
        })?;
        Ok(CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: source.version,
            version_id: version,
            ..Default::default()
        })
    }

    pub(super) fn delete(&self, input: &DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
        self.write(&input.bucket, |bucket| Ok(delete(bucket, &input.key, input.version_id.as_deref())))
    }

    /// Permissions are checked per key: whoever may not delete one still deletes the others.
    pub(super) fn delete_many(
        &self,
        input: &DeleteObjectsInput,
        caller: Option<&Caller>,
    ) -> S3Result<DeleteObjectsOutput> {
        let mut deleted = Vec::new();
        let mut errors = Vec::new();
        self.write(&input.bucket, |bucket| {
            for object in &input.delete.objects {
                let action = if object.version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
                let resource = arn(&input.bucket, &object.key);
                if !caller.is_some_and(|caller| caller.may(action, &resource, &[])) {
                    errors.push(Error {
                        code: Some("AccessDenied".to_owned()),
                        key: Some(object.key.clone()),
                        message: Some("Access Denied".to_owned()),
                        version_id: object.version_id.clone(),
                    });
                    continue;
                }
                let outcome = delete(bucket, &object.key, object.version_id.as_deref());
                deleted.push(DeletedObject {
                    key: Some(object.key.clone()),
                    version_id: object.version_id.clone(),
                    delete_marker: outcome.delete_marker,
                    delete_marker_version_id: outcome.version_id.filter(|_| outcome.delete_marker == Some(true)),
                });
            }
            Ok(())
        })?;
        if input.delete.quiet == Some(true) {
            deleted.clear();
        }
        Ok(DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), request_charged: None })
    }

    fn find(&self, bucket: &str, key: &str, version: Option<&str>, caller: Option<&Caller>) -> S3Result<Found> {
        self.read(bucket, |state| {
            let found = find(state, key, version);
            // Who may not list a bucket does not learn which keys it lacks, see
            // https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
            let may_list = state.settings.public
                || caller.is_some_and(|caller| caller.may("s3:ListBucket", &arn(bucket, ""), &[("s3:prefix", key)]));
            match found {
                Err(error) if error.code().as_str() == "NoSuchKey" && !may_list => {
                    Err(s3_error!(AccessDenied, "Access Denied"))
                }
                found => found,
            }
        })
    }
}

/// An object and the id of its version, where the bucket keeps versions.
struct Found {
    object: Arc<Object>,
    version: Option<String>,
}

fn find(bucket: &BucketState, key: &str, version: Option<&str>) -> S3Result<Found> {
    let versions = bucket.versions(key);
    let chosen: Option<&Version> = match version {
        None => versions.last(),
        Some(id) => Some(
            versions
                .iter()
                .find(|version| version.id == id)
                .ok_or_else(|| s3_error!(NoSuchVersion, "The specified version does not exist."))?,
        ),
    };
    match chosen {
        None => Err(no_such_key()),
        Some(Version { id, object: Some(object) }) => {
            Ok(Found { object: Arc::clone(object), version: bucket.settings.versioned.then(|| id.clone()) })
        }
        Some(Version { id, object: None }) => {
            let mut error = if version.is_some() {
                s3_error!(MethodNotAllowed, "The specified method is not allowed against this resource.")
            } else {
                no_such_key()
            };
            error.set_headers(marker_headers(id)?);
            Err(error)
        }
    }
}

fn marker_headers(id: &str) -> S3Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-delete-marker", hyper::header::HeaderValue::from_static("true"));
    headers.insert("x-amz-version-id", id.parse().map_err(internal)?);
    Ok(headers)
}

fn delete(bucket: &mut BucketState, key: &str, version: Option<&str>) -> DeleteObjectOutput {
    match version {
        Some(id) => {
            let was_marker = bucket.delete_version(key, id);
            DeleteObjectOutput {
                delete_marker: was_marker.then_some(true),
                version_id: Some(id.to_owned()),
                ..Default::default()
            }
        }
        None => {
            let marker = bucket.delete(key);
            DeleteObjectOutput {
                delete_marker: marker.is_some().then_some(true),
                version_id: marker,
                ..Default::default()
            }
        }
    }
}

impl Attributes {
    fn content_type(&self) -> String {
        self.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())
    }
}

/// The bytes that a `Range` header selects, and the `Content-Range` to answer with.
fn slice(range: Option<&s3s::dto::Range>, length: u64) -> S3Result<(Range<u64>, Option<String>)> {
    let Some(range) = range else {
        return Ok((0..length, None));
    };
    let selected = range.check(length).ok().filter(|selected| !selected.is_empty()).ok_or_else(|| {
        let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
        let mut headers = HeaderMap::new();
        if let Ok(value) = format!("bytes */{length}").parse() {
            headers.insert(hyper::header::CONTENT_RANGE, value);
        }
        error.set_headers(headers);
        error
    })?;
    let content_range = format!("bytes {}-{}/{length}", selected.start, selected.end - 1);
    Ok((selected, Some(content_range)))
}

/// A body that cannot be read to its end: cut off, or other than its signature or checksum says.
pub(super) fn upload_failed(error: s3s::StdError) -> S3Error {
    match error.downcast::<S3Error>() {
        Ok(error) => *error,
        Err(error) => s3_error!(IncompleteBody, "the body cannot be read: {error}"),
    }
}
