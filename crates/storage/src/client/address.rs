//! Addresses of buckets and objects: virtual-hosted or path style, on AWS or elsewhere.
//! Not here: sending requests to them.
//! Called by the client alone.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::config::S3SourceConfig;
use crate::partition::Partition;

/// What AWS encodes in signed queries: all but unreserved characters, see
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// How the objects of one bucket are addressed.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    bucket: String,
    /// Without a slash at its end; `None` for AWS.
    endpoint: Option<String>,
    path_style: bool,
}

impl Address {
    pub fn new(config: &S3SourceConfig) -> Self {
        Self { bucket: config.bucket.clone(), endpoint: config.endpoint.clone(), path_style: config.is_path_style() }
    }

    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// A region to begin with where none is known; other servers than AWS mostly call theirs so too.
    pub fn first_region(&self) -> &'static str {
        Partition::Standard.first_region()
    }

    /// Scheme, host and port.
    pub fn server(&self, region: &str) -> String {
        let base = self.base(region);
        match Url::parse(&base) {
            Ok(url) => url.origin().ascii_serialization(),
            Err(_) => base,
        }
    }

    /// The URL of an object, or of the bucket when the key is empty. Fails, saying why, for keys that a URL cannot hold.
    pub fn url(&self, region: &str, key: &str, query: &[(&str, String)]) -> Result<String, String> {
        if let Some(segment) = unaddressable_segment(key) {
            return Err(format!("the key has the segment `{segment}`, which is resolved away in URLs"));
        }
        let mut url = format!("{}/{}", self.base(region), utf8_percent_encode(key, PATH));
        for (index, (name, value)) in query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, QUERY));
        }
        Ok(url)
    }

    fn base(&self, region: &str) -> String {
        let bucket = &self.bucket;
        match (&self.endpoint, self.path_style) {
            (Some(endpoint), true) => format!("{endpoint}/{bucket}"),
            (Some(endpoint), false) => match endpoint.split_once("://") {
                Some((scheme, host)) => format!("{scheme}://{bucket}.{host}"),
                None => format!("{bucket}.{endpoint}"),
            },
            (None, path_style) => {
                let domain = Partition::of_region(region).domain();
                if path_style {
                    format!("https://s3.{region}.{domain}/{bucket}")
                } else {
                    format!("https://{bucket}.s3.{region}.{domain}")
                }
            }
        }
    }
}

/// A segment that URLs give another meaning to; S3 itself allows such keys.
pub(crate) fn unaddressable_segment(key: &str) -> Option<&str> {
    key.split('/').find(|segment| matches!(*segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::FileType;

    fn address(bucket: &str, endpoint: Option<&str>, path_style: Option<bool>) -> Address {
        Address::new(&S3SourceConfig {
            region: None,
            bucket: bucket.to_owned(),
            path: String::new(),
            file_type: FileType::Any,
            auth: crate::config::Auth::Anonymous,
            endpoint: endpoint.map(str::to_owned),
            sts_endpoint: None,
            path_style,
            csv: tapline_csv::CsvOptions::default(),
        })
    }

    #[test]
    fn styles() {
        let local = Some("http://127.0.0.1:9000");
        for (address, region, expected) in [
            (address("lake", None, None), "eu-west-1", "https://lake.s3.eu-west-1.amazonaws.com/k"),
            (address("lake", None, None), "cn-north-1", "https://lake.s3.cn-north-1.amazonaws.com.cn/k"),
            (address("my.lake", None, None), "eu-west-1", "https://s3.eu-west-1.amazonaws.com/my.lake/k"),
            (address("lake", None, Some(true)), "eu-west-1", "https://s3.eu-west-1.amazonaws.com/lake/k"),
            (address("lake", local, None), "any", "http://127.0.0.1:9000/lake/k"),
            (address("lake", Some("https://s3.example"), Some(false)), "any", "https://lake.s3.example/k"),
        ] {
            assert_eq!(address.url(region, "k", &[]).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn keys_are_encoded_once_and_whole() {
        let address = address("lake", None, None);
        assert_eq!(
            address.url("eu-west-1", "a b+c%20d=é//x.csv", &[("prefix", "a b/".to_owned())]).as_deref(),
            Ok("https://lake.s3.eu-west-1.amazonaws.com/a%20b%2Bc%2520d%3D%C3%A9//x.csv?prefix=a%20b%2F")
        );
        assert!(address.url("eu-west-1", "a/../b", &[]).is_err());
    }
}
