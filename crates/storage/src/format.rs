//! What a file holds, as far as its name tells: formats, suffixes, and what a source's `file_type` admits.
//! Not here: looking into files, and the compression of CSV, which the reader finds by name and by magic bytes.
//! Called by `pattern` to choose files, by `manifest` to type them, by `streams` to name them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The format of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Delimited text, compressed or not.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object per line, compressed or not.
    Ndjson,
}

impl FileFormat {
    /// The format that the suffix of a name stands for, such as Parquet for `a.parquet` and CSV for `a.tsv.gz`.
    pub fn from_name(name: &str) -> Option<Self> {
        match suffix(name) {
            Suffix::Known(format) => Some(format),
            Suffix::None | Suffix::Unknown => None,
        }
    }

    /// The name as it stands in `file_type` and in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Ndjson => "ndjson",
        }
    }

    fn of_suffix(suffix: &str) -> Option<Self> {
        match suffix {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Which files a source reads, and the format of those whose names do not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileType {
    /// CSV files only.
    Csv,
    /// Parquet files only.
    Parquet,
    /// Files with one JSON object per line only.
    Ndjson,
    /// Every format, told apart by suffix.
    #[default]
    Any,
}

impl FileType {
    /// The one format; `None` for `any`.
    pub fn format(self) -> Option<FileFormat> {
        match self {
            Self::Csv => Some(FileFormat::Csv),
            Self::Parquet => Some(FileFormat::Parquet),
            Self::Ndjson => Some(FileFormat::Ndjson),
            Self::Any => None,
        }
    }

    /// Whether files of this format are read.
    pub fn admits(self, format: FileFormat) -> bool {
        self.format().is_none_or(|own| own == format)
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.format().map_or("any", FileFormat::name))
    }
}

/// What the end of a file's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suffix {
    /// There is none, as in `part-00000` or `export.gz`.
    None,
    /// One that stands for a format.
    Known(FileFormat),
    /// Any other, as in `notes.pdf`.
    Unknown,
}

const COMPRESSIONS: [&str; 4] = ["gz", "zst", "bz2", "xz"];

/// Reads the suffix of the last segment of a key, in any case; one for compression is looked through.
pub(crate) fn suffix(key: &str) -> Suffix {
    let (_, format) = split(key);
    match format {
        None => Suffix::None,
        Some(text) => FileFormat::of_suffix(&text.to_ascii_lowercase()).map_or(Suffix::Unknown, Suffix::Known),
    }
}

/// Whether the name says that there is JSON of some kind in the file.
pub(crate) fn is_json(key: &str) -> bool {
    split(key).1.is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"))
}

/// The key without the suffixes that stand for format and compression.
pub(crate) fn without_suffix(key: &str) -> &str {
    match (suffix(key), split(key)) {
        (Suffix::Known(_) | Suffix::None, (stem, _)) => stem,
        (Suffix::Unknown, _) => key,
    }
}

/// Splits a key into its stem and its suffix, dropping a suffix for compression.
fn split(key: &str) -> (&str, Option<&str>) {
    let stem = match cut(key) {
        Some((stem, suffix)) if COMPRESSIONS.iter().any(|known| suffix.eq_ignore_ascii_case(known)) => stem,
        _ => key,
    };
    match cut(stem) {
        Some((stem, suffix)) => (stem, Some(suffix)),
        None => (stem, None),
    }
}

/// Cuts at the last dot of the last segment. A dot that begins the name, or ends it, cuts nothing.
fn cut(key: &str) -> Option<(&str, &str)> {
    let (stem, suffix) = key.rsplit_once('.')?;
    let is_name = !stem.is_empty() && !stem.ends_with('/');
    (is_name && !suffix.is_empty() && !suffix.contains('/')).then_some((stem, suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_stand_for_formats() {
        for (key, expected) in [
            ("a/b.csv", Suffix::Known(FileFormat::Csv)),
            ("a/b.TSV", Suffix::Known(FileFormat::Csv)),
            ("a/b.csv.gz", Suffix::Known(FileFormat::Csv)),
            ("b.parquet", Suffix::Known(FileFormat::Parquet)),
            ("b.c000.snappy.parquet", Suffix::Known(FileFormat::Parquet)),
            ("b.jsonl.zst", Suffix::Known(FileFormat::Ndjson)),
            ("b.pdf", Suffix::Unknown),
            ("part-00000", Suffix::None),
            ("v1.2/part-00000", Suffix::None),
            ("dump.gz", Suffix::None),
            ("a/.csv", Suffix::None),
            ("ends.", Suffix::None),
        ] {
            assert_eq!(suffix(key), expected, "{key}");
        }
    }

    #[test]
    fn json_is_told_by_its_suffix() {
        assert!(["a/b.json", "b.JSON.gz"].into_iter().all(is_json));
        assert!(["b.csv", "json", "b.json/part-0", "b.json.txt"].into_iter().all(|key| !is_json(key)));
    }

    #[test]
    fn stems() {
        for (key, expected) in [
            ("crm/customers.csv.gz", "crm/customers"),
            ("crm/customers.parquet", "crm/customers"),
            ("crm/customers", "crm/customers"),
            ("crm/v1.2/customers", "crm/v1.2/customers"),
            ("notes.v2", "notes.v2"),
        ] {
            assert_eq!(without_suffix(key), expected, "{key}");
        }
    }
}
