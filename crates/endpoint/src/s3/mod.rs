//! The S3 operations, as `s3s` calls them once a request is parsed, authenticated and allowed.
//! Not here: the store they work on (`store`, `content`), permissions (`access`) and HTTP (`server`).
//! Called by `s3s` only.

mod conditions;
mod listing;
mod objects;
mod uploads;

use std::sync::Arc;

use hyper::http::Extensions;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use crate::access::Caller;
use crate::store::{BucketState, Store};

/// The S3 service over a [`Store`].
pub(crate) struct Service {
    pub store: Arc<Store>,
    /// The most keys that one page of a listing holds.
    pub page_size: usize,
}

impl Service {
    fn read<T>(&self, bucket: &str, action: impl FnOnce(&BucketState) -> S3Result<T>) -> S3Result<T> {
        let buckets = self.store.read();
        action(buckets.get(bucket).ok_or_else(no_such_bucket)?)
    }

    fn write<T>(&self, bucket: &str, action: impl FnOnce(&mut BucketState) -> S3Result<T>) -> S3Result<T> {
        let mut buckets = self.store.write();
        action(buckets.get_mut(bucket).ok_or_else(no_such_bucket)?)
    }
}

fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}

fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

/// The caller that the access check left with the request; `None` for anonymous ones.
fn caller(extensions: &Extensions) -> Option<&Caller> {
    extensions.get::<Option<Caller>>()?.as_ref()
}

/// A failure of the endpoint itself, such as a file that has gone.
fn internal(error: impl std::fmt::Display) -> S3Error {
    s3_error!(InternalError, "the endpoint cannot serve the object: {error}")
}

fn strong(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

type Answer<T> = S3Result<S3Response<T>>;

#[async_trait::async_trait]
impl S3 for Service {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let bucket = |name: &String| Bucket { name: Some(name.clone()), ..Default::default() };
        let buckets = self.store.read().keys().map(bucket).collect();
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), ..Default::default() }))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        // The region is in a header that `server` adds to every answer about a bucket.
        self.read(&request.input.bucket, |_| Ok(S3Response::new(HeadBucketOutput::default())))
    }

    async fn get_bucket_location(&self, request: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        let region = self.read(&request.input.bucket, |bucket| Ok(bucket.settings.region.clone()))?;
        // us-east-1 is written as nothing, see
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
        let constraint = (region != "us-east-1").then(|| BucketLocationConstraint::from(region));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint: constraint }))
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        self.list_v1(request.input).map(S3Response::new)
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        self.list_v2(request.input).map(S3Response::new)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        self.get(&request.input, caller(&request.extensions)).map(S3Response::new)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        self.head(&request.input, caller(&request.extensions)).map(S3Response::new)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        self.put(request.input).await.map(S3Response::new)
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        self.copy(&request.input, caller(&request.extensions)).map(S3Response::new)
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        self.delete(&request.input).map(S3Response::new)
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        self.delete_many(&request.input, caller(&request.extensions)).map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        self.create_upload(request.input).map(S3Response::new)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        self.put_part(request.input).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        self.complete_upload(&request.input).map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        self.abort_upload(&request.input).map(S3Response::new)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        self.parts(&request.input).map(S3Response::new)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        self.list_uploads(&request.input).map(S3Response::new)
    }
}
