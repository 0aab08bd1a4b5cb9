//! Listings: `ListObjectsV2`, and `ListObjects` for clients that still use it.
//! Not here: the order of keys and what is deleted (`store`).
//! Called by `Service`.

use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::{Service, strong};
use crate::store::{BucketState, url_encode};

/// One page of a listing.
struct Page {
    contents: Vec<Object>,
    common_prefixes: Vec<CommonPrefix>,
    /// The last key or common prefix of the page, where there is more behind it.
    next: Option<String>,
}

/// What is asked for.
struct Query<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    /// Only keys behind this one; a common prefix equal to it has been listed.
    after: &'a str,
    limit: usize,
    encode: bool,
}

impl Service {
    pub(super) fn list_v2(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let token = input.continuation_token.as_deref().map(decode_token).transpose()?;
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            after: token.as_deref().or(input.start_after.as_deref()).unwrap_or_default(),
            limit: self.limit(input.max_keys)?,
            encode: is_url(input.encoding_type.as_ref()),
        };
        let page = self.read(&input.bucket, |bucket| Ok(page(bucket, &query)))?;
        Ok(ListObjectsV2Output {
            prefix: Some(query.text(query.prefix)),
            delimiter: input.delimiter.as_deref().map(|text| query.text(text)),
            start_after: input.start_after.as_deref().map(|text| query.text(text)),
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            key_count: Some((page.contents.len() + page.common_prefixes.len()) as i32),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| encode_token(&next)),
            contents: Some(page.contents),
            common_prefixes: Some(page.common_prefixes),
            encoding_type: input.encoding_type,
            name: Some(input.bucket),
            request_charged: None,
        })
    }

    pub(super) fn list_v1(&self, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            after: input.marker.as_deref().unwrap_or_default(),
            limit: self.limit(input.max_keys)?,
            encode: is_url(input.encoding_type.as_ref()),
        };
        let page = self.read(&input.bucket, |bucket| Ok(page(bucket, &query)))?;
        Ok(ListObjectsOutput {
            prefix: Some(query.text(query.prefix)),
            delimiter: input.delimiter.as_deref().map(|text| query.text(text)),
            marker: Some(query.text(query.after)),
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            is_truncated: Some(page.next.is_some()),
            // Without a delimiter clients continue behind the last key, which is the same.
            next_marker: page.next.filter(|_| input.delimiter.is_some()).map(|next| query.text(&next)),
            contents: Some(page.contents),
            common_prefixes: Some(page.common_prefixes),
            encoding_type: input.encoding_type,
            name: Some(input.bucket),
            request_charged: None,
        })
    }

    fn limit(&self, max_keys: Option<i32>) -> S3Result<usize> {
        let asked = usize::try_from(max_keys.unwrap_or(1000))
            .map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative"))?;
        Ok(asked.min(self.page_size))
    }
}

fn page(bucket: &BucketState, query: &Query<'_>) -> Page {
    let mut page = Page { contents: Vec::new(), common_prefixes: Vec::new(), next: None };
    if query.limit == 0 {
        return page;
    }
    let mut last = query.after.to_owned();
    let mut entries = 0;
    for (key, object) in bucket.scan(query.prefix, query.after) {
        let group = query.group(key);
        if group.is_some_and(|group| group == last) {
            continue;
        }
        if entries == query.limit {
            page.next = Some(last);
            break;
        }
        entries += 1;
        match group {
            Some(group) => {
                page.common_prefixes.push(CommonPrefix { prefix: Some(query.text(group)) });
                last = group.to_owned();
            }
            None => {
                page.contents.push(Object {
                    key: Some(query.text(key)),
                    size: Some(object.content.length() as i64),
                    e_tag: Some(strong(&object.etag)),
                    last_modified: Some(object.last_modified.into()),
                    storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                    ..Default::default()
                });
                last = key.to_owned();
            }
        }
    }
    page
}

impl Query<'_> {
    /// The part of a key through the first delimiter behind the prefix.
    fn group<'k>(&self, key: &'k str) -> Option<&'k str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let end = key[self.prefix.len()..].find(self.delimiter)?;
        Some(&key[..self.prefix.len() + end + self.delimiter.len()])
    }

    fn text(&self, text: &str) -> String {
        if self.encode { url_encode(text) } else { text.to_owned() }
    }
}

fn is_url(encoding: Option<&EncodingType>) -> bool {
    encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL)
}

/// Tokens are opaque to clients; hexadecimal digits keep them from taking one for a key.
fn encode_token(last: &str) -> String {
    crate::store::hex(last.as_bytes())
}

fn decode_token(token: &str) -> S3Result<String> {
    let digits = |at: usize| token.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..token.len()).step_by(2).map(digits).collect();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
