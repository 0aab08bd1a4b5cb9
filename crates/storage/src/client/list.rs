//! Pages of ListObjectsV2, see <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>.
//! Not here: asking for them, and choosing among the keys.
//! Called by the client alone.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::bare_etag;

/// What S3 says of one object without showing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub key: String,
    pub size: u64,
    /// Without quotes.
    pub etag: Option<String>,
    pub last_modified: DateTime<Utc>,
}

/// One page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ListPage {
    pub objects: Vec<Listed>,
    /// Folders, where they were asked for; with their slashes.
    pub folders: Vec<String>,
    /// Where the next page continues; `None` at the last.
    pub next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    common_prefixes: Vec<CommonPrefix>,
    next_continuation_token: Option<String>,
    /// Always there in a list of objects, and in no other document.
    is_truncated: bool,
    encoding_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    size: u64,
    last_modified: DateTime<Utc>,
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

/// Reads a page; the error says what is wrong with it.
pub(super) fn parse(body: &[u8]) -> Result<ListPage, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the list of objects is not UTF-8".to_owned())?;
    let document: Document =
        quick_xml::de::from_str(text).map_err(|error| format!("the list of objects cannot be read: {error}"))?;
    let encoded = document.encoding_type.as_deref() == Some("url");
    let objects = document
        .contents
        .into_iter()
        .map(|entry| {
            Ok(Listed {
                key: decode(entry.key, encoded)?,
                size: entry.size,
                etag: entry.etag.as_deref().map(bare_etag),
                last_modified: entry.last_modified,
            })
        })
        .collect::<Result<_, String>>()?;
    let folders =
        document.common_prefixes.into_iter().map(|entry| decode(entry.prefix, encoded)).collect::<Result<_, _>>()?;
    if document.is_truncated && document.next_continuation_token.is_none() {
        return Err("the list of objects breaks off without saying where it continues".to_owned());
    }
    Ok(ListPage { objects, folders, next: document.next_continuation_token.filter(|_| document.is_truncated) })
}

/// Keys are encoded as in forms, because XML cannot hold all characters.
fn decode(text: String, encoded: bool) -> Result<String, String> {
    if !encoded {
        return Ok(text);
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().map(Cow::into_owned).map_err(|_| "a key is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let page = parse(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">
             <Name>lake</Name><Prefix>a</Prefix><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>
             <EncodingType>url</EncodingType><NextContinuationToken>t+1</NextContinuationToken>
             <Contents><Key>a+b%2Bc%2Fx.csv</Key><LastModified>2024-05-01T10:00:00.123Z</LastModified>
             <ETag>&quot;abc&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>
             <CommonPrefixes><Prefix>a%2Fb%2F</Prefix></CommonPrefixes></ListBucketResult>"
                .as_bytes(),
        )
        .expect("a page");
        assert_eq!(page.objects[0].key, "a b+c/x.csv");
        assert_eq!(page.objects[0].etag.as_deref(), Some("abc"));
        assert_eq!(page.objects[0].size, 7);
        assert_eq!(page.folders, ["a/b/"]);
        assert_eq!(page.next.as_deref(), Some("t+1"));
    }

    #[test]
    fn keys_that_are_not_encoded_stay() {
        let page = parse(
            b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a+b%20</Key>
              <LastModified>2024-05-01T10:00:00Z</LastModified><Size>0</Size></Contents></ListBucketResult>",
        )
        .expect("a page");
        assert_eq!(page.objects[0].key, "a+b%20");
        assert_eq!(page.next, None);
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for text in [
            "<html><body>Welcome</body></html>",
            "",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
