//! The tables that the files of a source make up, as far as names tell.
//! Not here: schemas; whoever reads them splits a group whose files differ.
//! Called by `discover`.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::{FileFormat, without_suffix};
use crate::glob::escape;
use crate::location::folder;
use crate::manifest::{FileEntry, Manifest};
use crate::source::S3Source;

/// Files that form one table, provided that their schemas agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFiles {
    /// The path below the source's, without suffix.
    pub name: String,
    /// What to write after FROM: an S3 URL, or a glob.
    pub path: String,
    /// What the files hold.
    pub format: FileFormat,
    /// Whether folders are named `column=value`.
    pub hive: bool,
    /// At least one.
    pub files: Vec<FileEntry>,
}

impl StreamFiles {
    /// A stream for each file, for files that do not belong together after all.
    pub fn split(self, source: &S3Source) -> Vec<Self> {
        self.files.into_iter().map(|file| single(source, file)).collect()
    }
}

/// Groups files: one stream for each leaf folder whose files share a format, hive folders merged, and one for every other file.
/// Ordered by name.
pub fn streams(source: &S3Source, manifest: Manifest) -> Vec<StreamFiles> {
    let mut groups: BTreeMap<String, Vec<FileEntry>> = BTreeMap::new();
    for file in manifest.files {
        let home = table_folder(&file.key);
        match groups.get_mut(home) {
            Some(files) => files.push(file),
            None => {
                groups.insert(home.to_owned(), vec![file]);
            }
        }
    }
    let parents: BTreeSet<String> = groups.keys().flat_map(|home| folders_above(home)).map(str::to_owned).collect();
    let mut streams: Vec<StreamFiles> = groups
        .into_iter()
        .flat_map(|(home, files)| {
            let files = if parents.contains(&home) { Err(files) } else { table(source, &home, files) };
            files.map_or_else(|files| files.into_iter().map(|file| single(source, file)).collect(), |table| vec![table])
        })
        .collect();
    streams.sort_by(|left, right| left.name.cmp(&right.name));
    streams
}

/// The folders that a folder lies in, with their slashes; the last is the top of the bucket.
fn folders_above(home: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(home), |inner| (!inner.is_empty()).then(|| folder(inner.trim_end_matches('/')))).skip(1)
}

/// The folder of a file, above those named `column=value`.
fn table_folder(key: &str) -> &str {
    let home = folder(key);
    let mut end = 0;
    for segment in home.split_inclusive('/') {
        if is_partition(segment) {
            return &home[..end];
        }
        end += segment.len();
    }
    home
}

fn is_partition(segment: &str) -> bool {
    segment.split_once('=').is_some_and(|(column, _)| !column.is_empty())
}

/// All files of a folder as one table; the files themselves where they cannot be one.
fn table(source: &S3Source, home: &str, files: Vec<FileEntry>) -> Result<StreamFiles, Vec<FileEntry>> {
    let Some(format) = files.first().map(|file| file.format) else { return Err(files) };
    let own_folder = source.config().path.len() >= home.trim_end_matches('/').len();
    let hive = files.iter().any(|file| folder(&file.key) != home);
    // The source's own folder has no name below the source; a file in it has.
    if files.iter().any(|file| file.format != format) || (own_folder && files.len() == 1 && !hive) {
        return Err(files);
    }
    let suffixes: BTreeSet<&str> = files.iter().map(|file| &file.key[without_suffix(&file.key).len()..]).collect();
    let names = match suffixes.iter().next() {
        Some(suffix) if suffixes.len() == 1 => format!("*{suffix}"),
        _ => "*".to_owned(),
    };
    let depth = if hive { "**/" } else { "" };
    let path = format!("s3://{}/{}{depth}{names}", source.bucket(), escape(home));
    let name = name_of(source, home.trim_end_matches('/'));
    Ok(StreamFiles { name, path, format, hive, files })
}

fn single(source: &S3Source, file: FileEntry) -> StreamFiles {
    let stem = without_suffix(&file.key);
    StreamFiles {
        // A file that is the source's path is all of the source, whose own name would have the suffix.
        name: if file.key == source.config().path { last_segment(stem).to_owned() } else { name_of(source, stem) },
        path: format!("s3://{}/{}", source.bucket(), escape(&file.key)),
        format: file.format,
        hive: !file.partitions().is_empty(),
        files: vec![file],
    }
}

/// The path below the source's; the last segment, or the bucket, for the source's own.
fn name_of(source: &S3Source, path: &str) -> String {
    let below = path.strip_prefix(source.config().path.as_str()).unwrap_or(path).trim_start_matches('/');
    match (below, last_segment(path)) {
        ("", "") => source.bucket().to_owned(),
        ("", last) => last.to_owned(),
        (below, _) => below.to_owned(),
    }
}

fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
