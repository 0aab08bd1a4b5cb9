//! Files as another program sees them: it follows the manifest, and knows nothing of how they came to be.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tapline_core::values::Column;
use tapline_endpoint::Endpoint;

/// Where files are looked at.
#[derive(Clone)]
pub struct Look {
    pub place: Arc<Place>,
    _guard: Option<Arc<tempfile::TempDir>>,
}

pub enum Place {
    Folder(PathBuf),
    /// Below a prefix of a bucket.
    Bucket(Endpoint, &'static str, &'static str),
}

/// What a manifest leads to.
#[derive(Debug)]
pub struct Shown {
    pub generation: u64,
    /// Names and types.
    pub fields: Vec<(String, String)>,
    pub files: Vec<FileShown>,
    /// Of files without a kind of change.
    pub rows: Vec<Vec<Option<String>>>,
}

#[derive(Debug)]
pub struct FileShown {
    pub path: String,
    pub change: Option<String>,
    pub content: Vec<u8>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Look {
    pub fn folder(folder: tempfile::TempDir, below: &str) -> Self {
        let path = folder.path().join(below);
        Self { place: Arc::new(Place::Folder(path)), _guard: Some(Arc::new(folder)) }
    }

    pub fn at(folder: &Path) -> Self {
        Self { place: Arc::new(Place::Folder(folder.to_owned())), _guard: None }
    }

    pub fn bucket(endpoint: Endpoint, bucket: &'static str, prefix: &'static str) -> Self {
        Self { place: Arc::new(Place::Bucket(endpoint, bucket, prefix)), _guard: None }
    }

    /// A file's content.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        match self.place.as_ref() {
            Place::Folder(folder) => std::fs::read(folder.join(path)).ok(),
            Place::Bucket(endpoint, bucket, prefix) => {
                endpoint.get(bucket, &format!("{prefix}{path}")).unwrap().map(|content| content.to_vec())
            }
        }
    }

    /// The paths of all files, in order.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = match self.place.as_ref() {
            Place::Folder(folder) => {
                let mut paths = Vec::new();
                let mut folders = vec![folder.clone()];
                while let Some(next) = folders.pop() {
                    for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
                        let path = entry.path();
                        if path.is_dir() {
                            folders.push(path);
                        } else {
                            paths.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
                        }
                    }
                }
                paths
            }
            Place::Bucket(endpoint, bucket, prefix) => {
                let keys = endpoint.keys(bucket).unwrap();
                keys.iter().filter_map(|key| key.strip_prefix(prefix)).map(str::to_owned).collect()
            }
        };
        paths.sort();
        paths
    }

    /// The paths that readers see, who pass over what begins with an underscore.
    pub fn visible(&self) -> Vec<String> {
        self.paths().into_iter().filter(|path| !path.starts_with("_tapline/")).collect()
    }

    /// What the manifest of a stream leads to; `None` where there is none. A file that is replaced meanwhile is no
    /// mistake of the manifest's: it is read again then.
    pub fn stream(&self, stream: &str) -> Option<Shown> {
        loop {
            let manifest = self.read(&format!("_tapline/{stream}/manifest.json"))?;
            if let Some(shown) = self.follow(&serde_json::from_slice(&manifest).unwrap()) {
                return Some(shown);
            }
        }
    }

    fn follow(&self, manifest: &serde_json::Value) -> Option<Shown> {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let list = |value: &serde_json::Value| value.as_array().unwrap().clone();
        let fields: Vec<_> =
            list(&manifest["fields"]).iter().map(|field| (text(&field["name"]), text(&field["type"]))).collect();
        let mut files = Vec::new();
        for file in list(&manifest["files"]) {
            let path = text(&file["path"]);
            let content = self.read(&path)?;
            assert_eq!(content.len() as u64, file["bytes"].as_u64().unwrap(), "{path}");
            let change = file.get("change").map(text);
            let rows = rows(&path, &content, &fields, change.as_deref());
            assert_eq!(rows.len() as u64, file["rows"].as_u64().unwrap(), "{path}");
            files.push(FileShown { path, change, content, rows });
        }
        let whole = files.iter().filter(|file| file.change.is_none());
        let rows = whole.flat_map(|file| file.rows.clone()).collect();
        Some(Shown { generation: manifest["generation"].as_u64().unwrap(), fields, files, rows })
    }
}

fn rows(path: &str, content: &[u8], fields: &[(String, String)], change: Option<&str>) -> Vec<Vec<Option<String>>> {
    let plain = |content: &[u8]| {
        let mut text = String::new();
        match path {
            path if path.ends_with(".gz") => {
                flate2::read::MultiGzDecoder::new(content).read_to_string(&mut text).unwrap();
            }
            path if path.ends_with(".zst") => {
                zstd::Decoder::new(content).unwrap().read_to_string(&mut text).unwrap();
            }
            _ => text.push_str(str::from_utf8(content).unwrap()),
        }
        text
    };
    if path.contains(".csv") {
        let mut rows = csv(&plain(content));
        let header: Vec<String> = rows.remove(0).into_iter().flatten().collect();
        if change != Some("removed") {
            let names: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
            assert_eq!(header, names, "{path}");
        }
        rows
    } else if path.contains(".ndjson") {
        plain(content).lines().map(object).collect()
    } else {
        parquet(content)
    }
}

/// Cells in quotes and without: nothing without quotes is NULL.
pub fn csv(text: &str) -> Vec<Vec<Option<String>>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), None::<String>);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                let cell = cell.get_or_insert_default();
                loop {
                    match characters.next().expect("a quote closes") {
                        '"' if characters.peek() == Some(&'"') => cell.push(characters.next().unwrap()),
                        '"' => break,
                        inside => cell.push(inside),
                    }
                }
            }
            ',' => row.push(cell.take()),
            '\n' => {
                row.push(cell.take());
                rows.push(std::mem::take(&mut row));
            }
            other => cell.get_or_insert_default().push(other),
        }
    }
    assert!(row.is_empty() && cell.is_none(), "the last line ends");
    rows
}

fn object(line: &str) -> Vec<Option<String>> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let text = |value: serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    object.into_iter().map(|(_, value)| text(value)).collect()
}

fn parquet(content: &[u8]) -> Vec<Vec<Option<String>>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::copy_from_slice(content)).unwrap();
    let mut rows = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let schema = batch.schema();
        let columns: Vec<Column> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Column::new(field, array).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let text = |column: &Column| {
                let mut text = Vec::new();
                column.text(row, &mut text).then(|| String::from_utf8(text).unwrap())
            };
            rows.push(columns.iter().map(text).collect());
        }
    }
    rows
}
