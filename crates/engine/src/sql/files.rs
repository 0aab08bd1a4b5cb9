//! From a reference in the SQL to the files behind it: scope and listing.
//! Not here: what is in the files (`table`), what their folders say (`partitions`), the listing itself (crate
//! `tapline-storage`).
//! Called by the session.

use std::collections::HashMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::ScalarValue;
use datafusion::execution::object_store::{ObjectStoreRegistry, ObjectStoreUrl};
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use tapline_core::{Error, Result, codes};
use tapline_storage::{ConnectOptions, FileEntry, FileFormat, Manifest, PinnedStore, S3Source, S3SourceConfig, S3Url};
use url::Url;

use super::partitions::{Constants, Place, constants};
use super::reader_options::ReaderOptions;
use super::references::Reference;

/// Where the files of a session may come from.
#[derive(Clone)]
pub enum Access {
    /// One source: its bucket, its path, its types.
    Source(Arc<S3Source>),
    /// Any bucket with the ambient credentials, and local paths relative to `folder`: for the shell user's own queries.
    Ambient {
        /// The folder that relative paths start from.
        folder: PathBuf,
    },
}

/// One file of a table.
#[derive(Debug, Clone)]
pub struct TableFile {
    /// Its URL or path, as shown to people.
    pub url: String,
    /// Where and how large it is, and its ETag.
    pub meta: ObjectMeta,
    /// What is in it.
    pub format: FileFormat,
    /// The values of the table's partition columns, in their order.
    pub partition_values: Vec<ScalarValue>,
}

/// The files behind one reference: the frozen view of one run.
#[derive(Clone)]
pub struct TableFiles {
    /// The store that serves them.
    pub store: Arc<dyn ObjectStore>,
    /// The store's URL in the session.
    pub store_url: ObjectStoreUrl,
    /// The files in the order of the patterns, those of one pattern by key; one that is named twice is there twice.
    pub files: Vec<TableFile>,
    /// Columns that come from the files' names and `name=value` folders, with their types.
    pub partition_fields: Vec<FieldRef>,
    /// Whether no row of any file can be of use, so that the files only tell the columns.
    pub unread: bool,
    /// Names seen when listing.
    pub listed: u64,
    /// Names not read: hidden, of a suffix that does not fit, or in folders that the statement leaves out.
    pub skipped: u64,
    /// A digest over the files' keys, sizes and ETags.
    pub digest: String,
}

/// The stores of a session: `s3://bucket` of the source, or what ambient queries have named so far. Nothing else can be
/// reached through the query engine.
#[derive(Default)]
pub(crate) struct Stores {
    s3: Mutex<HashMap<String, (S3Source, Arc<PinnedStore>)>>,
    local: Mutex<Option<Arc<dyn ObjectStore>>>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Stores")
    }
}

impl Stores {
    fn s3(&self, access: &Access, bucket: &str) -> Result<(S3Source, Arc<PinnedStore>)> {
        let mut stores = self.s3.lock();
        if let Some(found) = stores.get(bucket) {
            return Ok(found.clone());
        }
        let source = match access {
            Access::Source(source) => source.as_ref().clone(),
            Access::Ambient { .. } => S3Source::connect(S3SourceConfig::ambient(bucket), ConnectOptions::default())?,
        };
        let pinned = Arc::new(PinnedStore::new(&source));
        stores.insert(bucket.to_owned(), (source.clone(), Arc::clone(&pinned)));
        Ok((source, pinned))
    }

    fn local(&self) -> Arc<dyn ObjectStore> {
        let mut local = self.local.lock();
        Arc::clone(local.get_or_insert_with(|| Arc::new(LocalFileSystem::new())))
    }

    /// Bytes fetched from S3 so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.s3.lock().values().map(|(_, store)| store.traffic().bytes).sum()
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> datafusion::error::Result<Arc<dyn ObjectStore>> {
        let found: Option<Arc<dyn ObjectStore>> = match url.scheme() {
            "s3" => self.s3.lock().get(url.host_str().unwrap_or("")).map(|(_, store)| Arc::clone(store) as _),
            "file" => self.local.lock().clone(),
            _ => None,
        };
        found.ok_or_else(|| {
            datafusion::error::DataFusionError::Execution(format!("{}:// is not a store of this source", url.scheme()))
        })
    }
}

/// Lists the files behind a reference.
///
/// # Errors
/// `S3-009` outside the source, `S3-007` where nothing matches, `S3-011` for a file of another type than the source's,
/// and whatever listing meets.
pub(crate) async fn resolve(
    access: &Access,
    stores: &Stores,
    reference: &Reference,
    options: &ReaderOptions,
) -> Result<TableFiles> {
    let mut s3_patterns = Vec::new();
    let mut local_patterns = Vec::new();
    for pattern in &reference.patterns {
        if S3Url::is_s3(pattern) {
            s3_patterns.push(pattern);
        } else {
            local_patterns.push(pattern);
        }
    }
    match (s3_patterns.is_empty(), local_patterns.is_empty(), access) {
        (false, true, _) => {
            let manifest = list_s3(access, stores, &s3_patterns, reference.reader).await?;
            pin_manifest(access, stores, manifest, options)
        }
        (true, false, Access::Ambient { folder }) => {
            resolve_local(stores, folder, &local_patterns, reference.reader, options).await
        }
        (_, false, Access::Source(source)) => Err(outside(local_patterns[0], &source.url())),
        _ => Err(Error::new(codes::S3_009, "one table cannot mix files in S3 with local ones")),
    }
}

/// A path in the SQL that is none of the source at `url`.
pub(crate) fn outside(path: &str, url: &str) -> Error {
    Error::new(codes::S3_009, format!("{path} is outside the source: its files are below {url}"))
        .hint(format!("name a file as '{}/…'", url.trim_end_matches('/')))
}

async fn list_s3(
    access: &Access,
    stores: &Stores,
    patterns: &[&String],
    reader: Option<FileFormat>,
) -> Result<Manifest> {
    let mut merged: Option<Manifest> = None;
    for url in patterns {
        let parsed = S3Url::parse(url)?;
        let (source, _) = stores.s3(access, &parsed.bucket)?;
        let manifest = source.list(&source.pattern(url, reader)?).await?;
        merged = Some(match merged {
            None => manifest,
            Some(before) if before.bucket == manifest.bucket => before.append(manifest),
            Some(before) => {
                return Err(Error::new(
                    codes::S3_009,
                    format!("one table cannot mix files of the buckets {} and {}", before.bucket, manifest.bucket),
                )
                .hint("join two tables, or UNION ALL them"));
            }
        });
    }
    merged.ok_or_else(|| Error::new(codes::S3_007, "the SQL names no file"))
}

/// Pins the files of a listing, so that they can be read as listed and nothing else can.
pub(crate) fn pin_manifest(
    access: &Access,
    stores: &Stores,
    manifest: Manifest,
    options: &ReaderOptions,
) -> Result<TableFiles> {
    let bucket = manifest.bucket.clone();
    let (_, pinned) = stores.s3(access, &bucket)?;
    pinned.pin(&manifest)?;
    let places: Vec<Place> =
        manifest.files.iter().map(|file| Place { url: file.url(&bucket), folders: file.partitions() }).collect();
    let Constants { fields, values } = constants(&places, options)?;
    let files = manifest
        .files
        .iter()
        .zip(places)
        .zip(values)
        .map(|((file, place), partition_values)| TableFile {
            url: place.url,
            meta: file.object_meta(),
            format: file.format,
            partition_values,
        })
        .collect();
    let store_url = ObjectStoreUrl::parse(format!("s3://{bucket}"))
        .map_err(|error| Error::new(codes::S3_009, format!("{bucket} is no bucket name")).because(error))?;
    Ok(TableFiles {
        store: pinned,
        store_url,
        files,
        partition_fields: fields,
        unread: false,
        listed: manifest.listed,
        skipped: manifest.skipped,
        digest: manifest.digest(),
    })
}

/// The columns that the folders of files give them. Neighbours in one folder say the same.
pub(crate) fn partition_fields(bucket: &str, files: &[FileEntry], options: &ReaderOptions) -> Result<Vec<FieldRef>> {
    let mut places: Vec<Place> = Vec::new();
    for file in files {
        let folders = file.partitions();
        if places.last().is_none_or(|last| last.folders != folders) {
            places.push(Place { url: file.url(bucket), folders });
        }
    }
    Ok(constants(&places, options)?.fields)
}

async fn resolve_local(
    stores: &Stores,
    folder: &FilePath,
    patterns: &[&String],
    reader: Option<FileFormat>,
    options: &ReaderOptions,
) -> Result<TableFiles> {
    let store = stores.local();
    let mut files = Vec::new();
    let mut places = Vec::new();
    for pattern in patterns {
        if let Some((scheme, _)) = pattern.split_once("://").filter(|(scheme, _)| *scheme != "file") {
            return Err(Error::new(codes::S3_009, format!("{scheme}:// is not supported"))
                .hint("name files as 's3://bucket/key', or by a local path"));
        }
        let pattern = pattern.strip_prefix("file://").unwrap_or(pattern);
        let mut found = local_files(&folder.join(pattern))?;
        if found.is_empty() {
            return Err(Error::new(codes::S3_007, format!("no file matches {pattern}"))
                .hint("local paths are relative to the current folder"));
        }
        found.sort();
        for path in found {
            let own = if FilePath::new(pattern).is_relative() { path.strip_prefix(folder).ok() } else { None };
            let shown = own.unwrap_or(&path).display().to_string();
            let file = local_file(&store, &path, &shown, reader).await?;
            let parents = path.parent().into_iter().flat_map(FilePath::components);
            let folders = parents.filter_map(|part| {
                let (name, value) = part.as_os_str().to_str()?.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            });
            places.push(Place { url: shown, folders: folders.collect() });
            files.push(file);
        }
    }
    let Constants { fields, values } = constants(&places, options)?;
    for (file, partition_values) in files.iter_mut().zip(values) {
        file.partition_values = partition_values;
    }
    Ok(TableFiles {
        store,
        store_url: ObjectStoreUrl::local_filesystem(),
        listed: files.len() as u64,
        skipped: 0,
        digest: String::new(),
        files,
        partition_fields: fields,
        unread: false,
    })
}

async fn local_file(
    store: &Arc<dyn ObjectStore>,
    path: &FilePath,
    shown: &str,
    reader: Option<FileFormat>,
) -> Result<TableFile> {
    let unreadable = || Error::new(codes::FILE_006, format!("reading {shown}"));
    let real = path.canonicalize().map_err(|error| unreadable().because(error))?;
    let location = object_store::path::Path::from_absolute_path(real).map_err(|error| unreadable().because(error))?;
    let meta = store.head(&location).await.map_err(|error| unreadable().because(error))?;
    let format = reader.or_else(|| FileFormat::from_name(shown)).ok_or_else(|| {
        Error::new(codes::S3_011, format!("the type of {shown} is not clear from its name"))
            .hint("use read_csv('…') or read_parquet('…')")
    })?;
    Ok(TableFile { url: shown.to_owned(), meta, format, partition_values: Vec::new() })
}

/// Local files that a path, folder or pattern names.
fn local_files(full: &FilePath) -> Result<Vec<PathBuf>> {
    let text = full.to_string_lossy().into_owned();
    if full.is_file() {
        return Ok(vec![full.to_owned()]);
    }
    let wild = text.find(['*', '?', '[', '{']);
    let base = match wild {
        Some(position) => PathBuf::from(&text[..text[..position].rfind('/').map_or(0, |slash| slash + 1)]),
        None if full.is_dir() => full.to_owned(),
        None => return Ok(Vec::new()),
    };
    let matcher = match wild {
        Some(_) => Some(
            globset::GlobBuilder::new(&text)
                .literal_separator(true)
                .build()
                .map_err(|error| Error::new(codes::S3_007, format!("{text} is not a pattern")).because(error))?
                .compile_matcher(),
        ),
        None => None,
    };
    let mut found = Vec::new();
    let mut folders = vec![base];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(['.', '_']) {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if matcher
                .as_ref()
                .map_or_else(|| FileFormat::from_name(&name).is_some(), |matcher| matcher.is_match(&path))
            {
                found.push(path);
            }
        }
    }
    Ok(found)
}
