//! The frozen view of a run: which files there are, and in which state.
//! Not here: finding them (`listing`), choosing among keys (`pattern`) and reading (`pinned`).
//! Called by the engine, which keeps a manifest for every table of a run, and by `discover`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use object_store::ObjectMeta;
use object_store::path::{Path, PathPart};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::client::Listed;
use crate::format::FileFormat;
use crate::location::folder;

/// One file of a [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// The object's key, exactly.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Without quotes; `None` where the server gives none.
    pub etag: Option<String>,
    /// By the server's clock.
    pub last_modified: DateTime<Utc>,
    /// What the file holds.
    pub format: FileFormat,
}

impl FileEntry {
    pub(crate) fn new(listed: Listed, format: FileFormat) -> Self {
        let Listed { key, size, etag, last_modified } = listed;
        Self { key, size, etag, last_modified, format }
    }

    /// The name of the file for an [`object_store::ObjectStore`]: the key, with segments encoded that a [`Path`] cannot hold.
    pub fn location(&self) -> Path {
        location(&self.key)
    }

    /// What an [`object_store::ObjectStore`] says of the file.
    pub fn object_meta(&self) -> ObjectMeta {
        ObjectMeta {
            location: self.location(),
            last_modified: self.last_modified,
            size: self.size,
            e_tag: self.etag.as_ref().map(|etag| format!("\"{etag}\"")),
            version: None,
        }
    }

    /// `s3://bucket/key`.
    pub fn url(&self, bucket: &str) -> String {
        format!("s3://{bucket}/{}", self.key)
    }

    /// The columns that folders named `column=value` give the file, from the outside in; names and values are
    /// percent-decoded as Hive encodes them.
    pub fn partitions(&self) -> Vec<(String, String)> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), Into::into);
        folder(&self.key)
            .split('/')
            .filter_map(|segment| segment.split_once('='))
            .filter(|(column, _)| !column.is_empty())
            .map(|(column, value)| (decode(column), decode(value)))
            .collect()
    }
}

/// [`Path`] takes no empty segments; they are named by an encoded slash, which no encoder writes for anything else.
fn location(key: &str) -> Path {
    match Path::parse(key) {
        Ok(path) if path.as_ref() == key => path,
        _ => {
            let segments = key
                .split('/')
                .map(|segment| if segment.is_empty() { PathPart::from("/") } else { PathPart::from(segment) });
            Path::from_iter(segments)
        }
    }
}

/// Files as they were when they were listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The bucket they are in.
    pub bucket: String,
    /// By key; those of several patterns one after the other.
    pub files: Vec<FileEntry>,
    /// Names that the pattern matches.
    pub listed: u64,
    /// Names among them that are not read: hidden, or of a suffix that does not fit.
    pub skipped: u64,
}

impl Manifest {
    /// A number for all that was seen of all files, in hexadecimal: equal as long as nothing was added, removed or replaced.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for file in &self.files {
            let etag = file.etag.as_deref().unwrap_or_default();
            // Lengths keep neighbouring texts apart.
            for text in [&file.key, etag] {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
            hash.update(file.size.to_le_bytes());
            hash.update(file.last_modified.timestamp_micros().to_le_bytes());
        }
        hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }

    /// The size of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The files of both, one after the other, as a list of patterns names them.
    #[must_use]
    pub fn append(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        Self { listed: self.listed + other.listed, skipped: self.skipped + other.skipped, ..self }
    }
}

/// Whether an object only shows that there is a folder, as consoles and Hadoop write them.
pub(crate) fn is_folder_marker(listed: &Listed) -> bool {
    listed.key.ends_with('/') || (listed.size == 0 && listed.key.ends_with("_$folder$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> FileEntry {
        FileEntry {
            key: key.to_owned(),
            size: 1,
            etag: Some("e".to_owned()),
            last_modified: DateTime::UNIX_EPOCH,
            format: FileFormat::Csv,
        }
    }

    fn manifest(files: Vec<FileEntry>) -> Manifest {
        Manifest { bucket: "lake".to_owned(), listed: files.len() as u64, files, skipped: 0 }
    }

    #[test]
    fn locations_tell_keys_apart() {
        let keys = ["a/b", "a//b", "/a/b", "a/b/", "a b+c%20=é/x", "a%2Fb", "a\u{1}b"];
        let locations: std::collections::BTreeSet<_> = keys.iter().map(|key| location(key)).collect();
        assert_eq!(locations.len(), keys.len(), "{locations:?}");
        for plain in ["a/b", "a b+c%20=é/x"] {
            assert_eq!(location(plain).as_ref(), plain);
        }
    }

    #[test]
    fn partitions_are_decoded() {
        let expected =
            [("year", "2024"), ("city", "São Paulo/SP")].map(|(column, value)| (column.to_owned(), value.to_owned()));
        assert_eq!(entry("t/year=2024/city=S%C3%A3o Paulo%2FSP/x=1.csv").partitions(), expected);
    }

    #[test]
    fn the_digest_sees_every_change() {
        let base = manifest(vec![entry("a"), entry("b")]);
        assert_eq!(base.digest(), manifest(vec![entry("a"), entry("b")]).digest());
        let changes: [fn(&mut FileEntry); 4] = [
            |file| file.key.push('x'),
            |file| file.size += 1,
            |file| file.etag = None,
            |file| file.last_modified += chrono::TimeDelta::seconds(1),
        ];
        for change in changes {
            let mut changed = base.clone();
            change(&mut changed.files[1]);
            assert_ne!(base.digest(), changed.digest());
        }
        assert_ne!(base.digest(), manifest(vec![entry("a")]).digest());
    }

    #[test]
    fn a_file_that_is_named_twice_is_there_twice() {
        let both = manifest(vec![entry("b"), entry("c")]).append(manifest(vec![entry("a"), entry("b")]));
        let keys: Vec<_> = both.files.iter().map(|file| file.key.as_str()).collect();
        assert_eq!(keys, ["b", "c", "a", "b"]);
        assert_eq!(both.listed, 4);
    }
}
