//! Names of places in S3: `s3://bucket/key` as people type it, and the one spelling of a source's path.
//! Not here: wildcards (`pattern`) and the addresses of HTTP requests (`client`).
//! Called by the configuration, by patterns, and by whoever meets an S3 URL in SQL.

use std::fmt;

use tapline_core::{Error, Result, codes};

/// A bucket and what stands behind it, exactly as typed: nothing is decoded, so `%20`, `+` and `?` are themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct S3Url {
    /// The bucket's name.
    pub bucket: String,
    /// Key, folder or pattern; empty for the whole bucket.
    pub key: String,
}

impl S3Url {
    /// Whether the text is meant as an S3 URL: `s3://`, and `s3a://` and `s3n://` as Hadoop writes them.
    pub fn is_s3(text: &str) -> bool {
        strip_scheme(text).is_some()
    }

    /// Reads an S3 URL. Fails with `S3-009` when the text is none.
    pub fn parse(text: &str) -> Result<Self> {
        let not_a_url = || {
            Error::new(codes::S3_009, format!("`{text}` does not name files in S3"))
                .hint("write s3://bucket/path/file.parquet")
        };
        let rest = strip_scheme(text).ok_or_else(not_a_url)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(not_a_url());
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl fmt::Display for S3Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.key)
    }
}

fn strip_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    ["s3", "s3a", "s3n"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)
}

/// A path without leading, trailing and doubled slashes.
pub(crate) fn normalise(path: &str) -> String {
    path.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/")
}

/// A key without leading and doubled slashes; one at its end stays, because it tells a folder.
pub(crate) fn one_spelling(key: &str) -> String {
    let path = normalise(key);
    if key.ends_with('/') && !path.is_empty() { path + "/" } else { path }
}

/// Whether a key is the path itself or lies below it; the empty path holds everything.
pub(crate) fn is_within(path: &str, key: &str) -> bool {
    path.is_empty() || key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The folder that a key lies in, with its slash; empty at the top of the bucket.
pub(crate) fn folder(key: &str) -> &str {
    key.rfind('/').map_or("", |slash| &key[..=slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_as_typed() {
        for (text, bucket, key) in [
            ("s3://lake/a b+c%20d=é/x.csv", "lake", "a b+c%20d=é/x.csv"),
            ("S3A://lake.example/a", "lake.example", "a"),
            ("s3n://lake", "lake", ""),
            ("s3://lake//a/", "lake", "/a/"),
        ] {
            let url = S3Url::parse(text).expect(text);
            assert_eq!((url.bucket.as_str(), url.key.as_str()), (bucket, key), "{text}");
        }
        for text in ["s3://", "s3:///key", "https://lake/a", "lake/a", ""] {
            assert_eq!(S3Url::parse(text).expect_err(text).code(), codes::S3_009, "{text}");
        }
    }

    #[test]
    fn every_spelling_of_a_path_is_one() {
        for spelling in ["a/b", "/a/b", "a/b/", "//a///b//"] {
            assert_eq!(normalise(spelling), "a/b");
        }
        assert_eq!(normalise("/"), "");
    }

    #[test]
    fn neighbours_are_not_within() {
        assert!(is_within("", "x"));
        assert!(is_within("a/b", "a/b"));
        assert!(is_within("a/b", "a/b/c"));
        assert!(!is_within("a/b", "a/bc"));
        assert!(!is_within("a/b", "a"));
    }
}
