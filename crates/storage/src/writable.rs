//! A bucket that can be written to, as an `object_store`.
//! Not here: reading files of a source, which are pinned to what was listed (`pinned`).
//! Called by what keeps files of Tapline's own in S3, such as shared snapshots.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::{CredentialProvider, ObjectStore};
use tapline_core::{Error, Result, codes};

use crate::source::S3Source;

impl S3Source {
    /// The whole bucket with this source's address and credentials, to be read and written. Asks for the region where the
    /// settings leave it open.
    ///
    /// # Errors
    /// As any request of the source; `CONF-005` where the address cannot be used.
    pub async fn writable(&self) -> Result<Arc<dyn ObjectStore>> {
        let config = self.config();
        let region = self.region().await?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(region)
            .with_virtual_hosted_style_request(!config.is_path_style())
            .with_allow_http(true)
            .with_skip_signature(self.is_anonymous())
            .with_credentials(Arc::new(Signer(self.clone())));
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        let store = builder.build().map_err(|error| {
            Error::new(codes::CONF_005, format!("preparing to write to s3://{}", config.bucket))
                .because(error)
                .hint("check the bucket's name, and the endpoint where one is set")
        })?;
        Ok(Arc::new(store))
    }
}

/// Hands out the credentials of a source, renewed as its reads renew them.
#[derive(Debug)]
struct Signer(S3Source);

#[async_trait]
impl CredentialProvider for Signer {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |error: Error| object_store::Error::Generic { store: "S3", source: Box::new(error) };
        let credential = self.0.credential().await.map_err(failed)?;
        credential.ok_or_else(|| failed(Error::new(codes::CONF_005, "an anonymous source cannot be written to")))
    }
}
