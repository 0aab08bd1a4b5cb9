//! Asking S3 which files there are: by name, by folder, by pattern.
//! Not here: deciding about a name (`pattern`), and what is done with the files (`pinned`, `streams`).
//! Called by the engine once per run and table, and by `discover`.

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use tapline_core::{Error, Result, codes};

use crate::client::{Listed, Pin};
use crate::failure::Failure;
use crate::format::{FileFormat, is_json};
use crate::location::{folder, is_within};
use crate::manifest::{FileEntry, Manifest, is_folder_marker};
use crate::pattern::{FilePattern, Fit, Kind};
use crate::source::S3Source;

/// Prefixes that are listed at the same time.
const PARALLEL_PREFIXES: usize = 16;

/// A listing that goes on after this many pages may be split by folders; the pages are then asked for again.
const PAGES_BEFORE_FOLDERS: usize = 4;

/// Folders are listed one by one where they hold at least this many keys, so that a request for each is not a waste.
const KEYS_OF_LARGE_FOLDER: usize = 500;

/// What a listing has found so far.
#[derive(Default)]
struct Found {
    files: Vec<(Listed, Option<FileFormat>)>,
    listed: u64,
    skipped: u64,
}

impl Found {
    fn take(&mut self, pattern: &FilePattern, listed: Listed) {
        if is_folder_marker(&listed) {
            return;
        }
        match pattern.fit(&listed.key) {
            Fit::Outside => {}
            Fit::Skip => {
                self.listed += 1;
                self.skipped += 1;
            }
            Fit::Read(format) => {
                self.listed += 1;
                self.files.push((listed, format));
            }
        }
    }

    fn add(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        Self { listed: self.listed + other.listed, skipped: self.skipped + other.skipped, ..self }
    }
}

/// The folders directly below a prefix, as a listing in order shows them.
#[derive(Default)]
struct ChildFolders {
    keys: usize,
    folders: usize,
    last: String,
}

impl ChildFolders {
    fn see(&mut self, below: &str) {
        self.keys += 1;
        if let Some((name, _)) = below.split_once('/')
            && (self.folders == 0 || self.last != name)
        {
            self.folders += 1;
            name.clone_into(&mut self.last);
        }
    }

    fn are_large(&self) -> bool {
        self.folders > 0 && self.keys >= self.folders * KEYS_OF_LARGE_FOLDER
    }
}

impl S3Source {
    /// Finds the files that a pattern means, as they are now.
    ///
    /// A key named exactly is looked up without listing. Fails with `S3-007` when there is no file, with `S3-011` when one
    /// named exactly is of another type than the source's, and as the requests do.
    pub async fn list(&self, pattern: &FilePattern) -> Result<Manifest> {
        let mut found = self.find(pattern).await?;
        if found.listed == 0
            && let Some(respelled) = pattern.respelled()
        {
            found = self.find(&respelled).await?;
        }
        if found.files.is_empty() {
            return Err(self.nothing_found(pattern, &found).await);
        }
        found.files.sort_unstable_by(|(left, _), (right, _)| left.key.cmp(&right.key));
        let sniffed = match found.files.iter().find(|(_, format)| format.is_none()) {
            Some((listed, _)) => self.sniff(listed).await?,
            None => FileFormat::Csv,
        };
        Ok(Manifest {
            bucket: self.bucket().to_owned(),
            files: found
                .files
                .into_iter()
                .map(|(listed, format)| FileEntry::new(listed, format.unwrap_or(sniffed)))
                .collect(),
            listed: found.listed,
            skipped: found.skipped,
        })
    }

    async fn find(&self, pattern: &FilePattern) -> Result<Found> {
        match &pattern.kind {
            Kind::Named(key) => self.named(pattern, key).await,
            Kind::Folder(_) | Kind::Globs(_) => self.listed(pattern).await.map_err(Failure::into_error),
        }
    }

    /// One key, or what is in the folder of that name.
    async fn named(&self, pattern: &FilePattern, key: &str) -> Result<Found> {
        match self.client().head(key).await {
            Ok(listed) => {
                let format = pattern.format(key);
                if let Some(format) = format {
                    pattern.require_type(format)?;
                }
                return Ok(Found { files: vec![(listed, format)], listed: 1, skipped: 0 });
            }
            Err(failure) if failure.is_not_found() => {}
            Err(failure) => return Err(failure.into_error()),
        }
        match self.listed(&pattern.as_folder(key)).await {
            Ok(found) => Ok(found),
            // The file is known not to be there; that nobody may look for a folder is no news.
            Err(failure) if failure.is_denied() => Ok(Found::default()),
            Err(failure) => Err(failure.into_error()),
        }
    }

    async fn listed(&self, pattern: &FilePattern) -> Result<Found, Failure> {
        self.side_by_side(pattern, pattern.prefixes().into_iter().map(str::to_owned).collect()).await
    }

    async fn side_by_side(&self, pattern: &FilePattern, prefixes: Vec<String>) -> Result<Found, Failure> {
        futures::stream::iter(prefixes)
            .map(|prefix| self.below(pattern, prefix))
            .buffer_unordered(PARALLEL_PREFIXES)
            .try_fold(Found::default(), |all, found| async { Ok(all.add(found)) })
            .await
    }

    /// All keys below a prefix: page by page while there are few, folder by folder side by side when there are many.
    fn below<'a>(&'a self, pattern: &'a FilePattern, prefix: String) -> BoxFuture<'a, Result<Found, Failure>> {
        async move {
            let mut found = Found::default();
            let mut folders = ChildFolders::default();
            let mut next = None;
            for page_number in 1_usize.. {
                let page = self.client().list(&prefix, false, None, next.as_deref()).await?;
                for listed in page.objects {
                    folders.see(&listed.key[prefix.len().min(listed.key.len())..]);
                    found.take(pattern, listed);
                }
                next = page.next;
                if next.is_none() {
                    break;
                }
                if page_number == PAGES_BEFORE_FOLDERS && folders.are_large() {
                    return self.folder_by_folder(pattern, &prefix).await;
                }
            }
            Ok(found)
        }
        .boxed()
    }

    async fn folder_by_folder(&self, pattern: &FilePattern, prefix: &str) -> Result<Found, Failure> {
        let mut found = Found::default();
        let mut folders = Vec::new();
        let mut next = None;
        loop {
            let page = self.client().list(prefix, true, None, next.as_deref()).await?;
            for listed in page.objects {
                found.take(pattern, listed);
            }
            folders.extend(page.folders);
            next = page.next;
            if next.is_none() {
                return Ok(found.add(self.side_by_side(pattern, folders).await?));
            }
        }
    }

    /// The format of files whose names don't tell, by the first bytes of one of them. JSON is read as lines or not at all.
    async fn sniff(&self, listed: &Listed) -> Result<FileFormat> {
        if listed.size == 0 {
            return Ok(FileFormat::Csv);
        }
        let pin = Pin { etag: listed.etag.clone(), version: None };
        let (_, bytes) = self
            .client()
            .get(&listed.key, &pin, 0..listed.size.min(16))
            .await
            .map_err(|failure| failure.of_listed_object().into_error())?;
        Ok(if bytes.starts_with(b"PAR1") {
            FileFormat::Parquet
        } else if bytes.starts_with(b"{") || is_json(&listed.key) {
            FileFormat::Ndjson
        } else {
            FileFormat::Csv
        })
    }

    async fn nothing_found(&self, pattern: &FilePattern, found: &Found) -> Error {
        let text = pattern.text();
        if found.skipped > 0 {
            let names = if found.skipped == 1 {
                "one name matches".to_owned()
            } else {
                format!("{} names match", found.skipped)
            };
            return Error::new(codes::S3_007, format!("no file of {text} can be read: {names}, but hidden or of another type"))
                .hint(format!(
                    "the source has file_type: {}; `any` reads every known type, and a reader function such as read_csv('{text}') any name",
                    self.config().file_type
                ));
        }
        let error = Error::new(codes::S3_007, format!("no file matches {text}"));
        match self.what_is_there(pattern.prefixes().first().copied().unwrap_or_default()).await {
            Some(hint) => error.hint(hint),
            None => error.hint("keys are case-sensitive; `tapline discover` lists what is there"),
        }
    }

    /// The names beside a key that does not exist, the most alike first. Climbs to the first folder that does.
    async fn what_is_there(&self, key: &str) -> Option<String> {
        let mut at = folder(key);
        loop {
            let page = self.client().list(at, true, Some(100), None).await.ok()?;
            let names = page.folders.iter().chain(page.objects.iter().map(|listed| &listed.key));
            let mut names: Vec<&str> =
                names.filter_map(|name| name.strip_prefix(at)).filter(|name| !name.is_empty()).collect();
            if !names.is_empty() {
                let missing = key[at.len()..].split('/').next().unwrap_or_default();
                let likeness = |name: &str| strsim::jaro_winkler(name.trim_end_matches('/'), missing);
                names.sort_by(|left, right| likeness(right).total_cmp(&likeness(left)));
                names.truncate(5);
                return Some(format!("s3://{}/{at} holds {}", self.bucket(), names.join(", ")));
            }
            let above = folder(at.trim_end_matches('/'));
            if at.is_empty() || !is_within(&self.config().path, above.trim_end_matches('/')) {
                return None;
            }
            at = above;
        }
    }
}
