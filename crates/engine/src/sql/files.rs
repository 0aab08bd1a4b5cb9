//! From a reference in the SQL to the files behind it: scope, listing, partition values.
//! Not here: what is in the files (`table`), the listing itself (crate `tapline-storage`).
//! Called by the session.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::execution::object_store::{ObjectStoreRegistry, ObjectStoreUrl};
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use tapline_core::{Error, Result, codes};
use tapline_storage::{ConnectOptions, FileFormat, Manifest, PinnedStore, S3Source, S3SourceConfig, S3Url};
use url::Url;

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
    /// The files by key.
    pub files: Vec<TableFile>,
    /// Columns that come from `name=value` folders, with their types.
    pub partition_fields: Vec<FieldRef>,
    /// Names seen when listing.
    pub listed: u64,
    /// Names not read, since their suffix does not fit.
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
pub(crate) async fn resolve(access: &Access, stores: &Stores, reference: &Reference) -> Result<TableFiles> {
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
        (false, true, _) => resolve_s3(access, stores, &s3_patterns, reference.reader).await,
        (true, false, Access::Ambient { folder }) => {
            resolve_local(stores, folder, &local_patterns, reference.reader).await
        }
        (_, false, Access::Source(source)) => Err(Error::new(
            codes::S3_009,
            format!("{} is outside the source: its files are below {}", local_patterns[0], source.url()),
        )
        .hint(format!("name a file as '{}/…'", source.url()))),
        _ => Err(Error::new(codes::S3_009, "one table cannot mix files in S3 with local ones")),
    }
}

async fn resolve_s3(
    access: &Access,
    stores: &Stores,
    patterns: &[&String],
    reader: Option<FileFormat>,
) -> Result<TableFiles> {
    let mut merged: Option<Manifest> = None;
    for url in patterns {
        let parsed = S3Url::parse(url)?;
        let (source, _) = stores.s3(access, &parsed.bucket)?;
        let manifest = source.list(&source.pattern(url, reader)?).await?;
        merged = Some(match merged {
            None => manifest,
            Some(before) if before.bucket == manifest.bucket => before.merge(manifest),
            Some(before) => {
                return Err(Error::new(
                    codes::S3_009,
                    format!("one table cannot mix files of the buckets {} and {}", before.bucket, manifest.bucket),
                )
                .hint("join two tables, or UNION ALL them"));
            }
        });
    }
    let Some(manifest) = merged else {
        return Err(Error::new(codes::S3_007, "the SQL names no file"));
    };
    pin_manifest(access, stores, manifest)
}

/// Pins the files of a listing, so that they can be read as listed and nothing else can.
pub(crate) fn pin_manifest(access: &Access, stores: &Stores, manifest: Manifest) -> Result<TableFiles> {
    let bucket = manifest.bucket.clone();
    let (_, pinned) = stores.s3(access, &bucket)?;
    pinned.pin(&manifest)?;
    let partitions: Vec<Vec<(String, String)>> = manifest.files.iter().map(|file| file.partitions()).collect();
    let (partition_fields, values) = partition_columns(&partitions);
    let files = manifest
        .files
        .iter()
        .zip(values)
        .map(|(file, partition_values)| TableFile {
            url: file.url(&bucket),
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
        partition_fields,
        listed: manifest.listed,
        skipped: manifest.skipped,
        digest: manifest.digest(),
    })
}

async fn resolve_local(
    stores: &Stores,
    folder: &FilePath,
    patterns: &[&String],
    reader: Option<FileFormat>,
) -> Result<TableFiles> {
    let mut paths = BTreeSet::new();
    for pattern in patterns {
        if let Some((scheme, _)) = pattern.split_once("://").filter(|(scheme, _)| *scheme != "file") {
            return Err(Error::new(codes::S3_009, format!("{scheme}:// is not supported"))
                .hint("name files as 's3://bucket/key', or by a local path"));
        }
        let full = folder.join(pattern.strip_prefix("file://").unwrap_or(pattern));
        paths.extend(local_files(&full)?);
    }
    let store = stores.local();
    let mut files = Vec::new();
    for path in &paths {
        let shown = path.display().to_string();
        let location = object_store::path::Path::from_absolute_path(path)
            .map_err(|error| Error::new(codes::FILE_006, format!("reading {shown}")).because(error))?;
        let meta = store
            .head(&location)
            .await
            .map_err(|error| Error::new(codes::FILE_006, format!("reading {shown}")).because(error))?;
        let format = reader.or_else(|| FileFormat::from_name(&shown)).ok_or_else(|| {
            Error::new(codes::S3_011, format!("the type of {shown} is not clear from its name"))
                .hint("use read_csv('…') or read_parquet('…')")
        })?;
        files.push(TableFile { url: shown, meta, format, partition_values: Vec::new() });
    }
    if files.is_empty() {
        return Err(Error::new(codes::S3_007, format!("no file matches {}", patterns[0]))
            .hint("local paths are relative to the current folder"));
    }
    let partitions: Vec<Vec<(String, String)>> = files
        .iter()
        .map(|file| {
            file.url
                .split('/')
                .filter_map(|segment| segment.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        })
        .collect();
    let (partition_fields, values) = partition_columns(&partitions);
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
        partition_fields,
    })
}

/// Local files that a path, folder or pattern names.
fn local_files(full: &FilePath) -> Result<Vec<PathBuf>> {
    let text = full.to_string_lossy().into_owned();
    if full.is_file() {
        return Ok(vec![full.canonicalize().unwrap_or_else(|_| full.to_owned())]);
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
                found.push(path.canonicalize().unwrap_or(path));
            }
        }
    }
    Ok(found)
}

/// The partition columns that all files share, typed as DuckDB types them (BIGINT, DATE, else VARCHAR), and every
/// file's values.
fn partition_columns(files: &[Vec<(String, String)>]) -> (Vec<FieldRef>, Vec<Vec<ScalarValue>>) {
    let names: Vec<String> =
        files.first().map(|pairs| pairs.iter().map(|(name, _)| name.clone()).collect()).unwrap_or_default();
    let shared = files.iter().all(|pairs| pairs.iter().map(|(name, _)| name).eq(names.iter()));
    if names.is_empty() || !shared {
        return (Vec::new(), vec![Vec::new(); files.len()]);
    }
    let mut fields = Vec::with_capacity(names.len());
    let mut values = vec![Vec::with_capacity(names.len()); files.len()];
    for (index, name) in names.iter().enumerate() {
        let texts: Vec<Option<&str>> = files
            .iter()
            .map(|pairs| Some(pairs[index].1.as_str()).filter(|text| *text != "__HIVE_DEFAULT_PARTITION__"))
            .collect();
        let (data_type, scalars) = typed_partition(&texts);
        fields.push(Arc::new(Field::new(name, data_type, true)));
        for (row, scalar) in values.iter_mut().zip(scalars) {
            row.push(scalar);
        }
    }
    (fields, values)
}

fn typed_partition(texts: &[Option<&str>]) -> (DataType, Vec<ScalarValue>) {
    fn all<T>(texts: &[Option<&str>], parse: impl Fn(&str) -> Option<T>) -> Option<Vec<Option<T>>> {
        texts.iter().map(|text| text.map_or(Some(None), |text| parse(text).map(Some))).collect()
    }
    let epoch = chrono::NaiveDate::default();
    let date = |text: &str| {
        let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        i32::try_from(date.signed_duration_since(epoch).num_days()).ok()
    };
    let known = texts.iter().any(Option::is_some);
    if known && let Some(numbers) = all(texts, |text| text.parse::<i64>().ok()) {
        return (DataType::Int64, numbers.into_iter().map(ScalarValue::Int64).collect());
    }
    if known && let Some(days) = all(texts, date) {
        return (DataType::Date32, days.into_iter().map(ScalarValue::Date32).collect());
    }
    (DataType::Utf8, texts.iter().map(|text| ScalarValue::Utf8(text.map(str::to_owned))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_typed_over_all_files() {
        let files = [
            vec![
                ("year".to_owned(), "2024".to_owned()),
                ("day".to_owned(), "2024-03-01".to_owned()),
                ("kind".to_owned(), "web".to_owned()),
            ],
            vec![
                ("year".to_owned(), "2023".to_owned()),
                ("day".to_owned(), "2024-03-02".to_owned()),
                ("kind".to_owned(), "7".to_owned()),
            ],
        ];
        let (fields, values) = partition_columns(&files);
        let types: Vec<&DataType> = fields.iter().map(|field| field.data_type()).collect();
        assert_eq!(types, [&DataType::Int64, &DataType::Date32, &DataType::Utf8]);
        assert_eq!(values[1][2], ScalarValue::Utf8(Some("7".to_owned())));
    }

    #[test]
    fn files_of_different_depth_have_no_partitions() {
        let files = [vec![("a".to_owned(), "1".to_owned())], Vec::new()];
        assert!(partition_columns(&files).0.is_empty());
    }
}
