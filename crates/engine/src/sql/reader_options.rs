//! What the arguments of `read_csv`, `read_parquet` and `read_json` say about files: which columns they get beside their
//! own, and how several are united.
//! Not here: how CSV is read (crate `tapline-csv`); its arguments are handed on.
//! Called by the session for every reference of a statement.

use arrow::datatypes::{DataType, TimeUnit};
use serde_json::{Map, Value as Json};
use tapline_core::{Error, Result, codes};
use tapline_storage::FileFormat;

use super::references::Reference;

/// The column that names each row's file, where its name is not chosen.
pub(crate) const FILENAME: &str = "filename";
/// The column that counts the rows of each Parquet file.
pub(crate) const FILE_ROW_NUMBER: &str = "file_row_number";

/// Arguments of every reader function.
const COMMON: [&str; 5] = ["filename", "hive_partitioning", "hive_types", "hive_types_autocast", "union_by_name"];
/// Arguments of `read_parquet`; the second half tells DuckDB how to read, never what is read.
const PARQUET: [&str; 6] =
    ["binary_as_string", "file_row_number", "can_have_nan", "compression", "explicit_cardinality", "parquet_version"];
/// Arguments of `read_json`, of which `format` has one value only.
const NDJSON: [&str; 4] = ["compression", "format", "maximum_object_size", "sample_size"];

/// Settings of one reference that do not depend on the format of its files, and those of Parquet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReaderOptions {
    /// Name of the column with each row's file.
    pub(crate) filename: Option<String>,
    /// Whether there is a column that counts the rows of each file.
    pub(crate) file_row_number: bool,
    /// Whether folders `name=value` are columns; `None` where they are if all files have the same.
    pub(crate) hive_partitioning: Option<bool>,
    /// Types of such columns.
    pub(crate) hive_types: Vec<(String, DataType)>,
    /// Whether the types of the others are found out; else they are VARCHAR.
    pub(crate) hive_types_autocast: bool,
    /// Whether the columns of all files are united.
    pub(crate) union_by_name: bool,
    /// Whether binary columns of Parquet files are text.
    pub(crate) binary_as_string: bool,
    /// Columns that exist when they are named, but are not among `*`.
    pub(crate) hidden: Vec<&'static str>,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            filename: None,
            file_row_number: false,
            hive_partitioning: None,
            hive_types: Vec::new(),
            hive_types_autocast: true,
            union_by_name: false,
            binary_as_string: false,
            hidden: Vec::new(),
        }
    }
}

impl ReaderOptions {
    /// Reads the arguments of a reference; those that only CSV has are given back.
    ///
    /// # Errors
    /// `SQL-005` for arguments that the function does not have, or that are of the wrong kind.
    pub(crate) fn read(reference: &Reference) -> Result<(Self, Map<String, Json>)> {
        let mut options = Self::default();
        let mut rest = Map::new();
        for (name, value) in &reference.options {
            let known = match reference.reader {
                Some(FileFormat::Parquet) => COMMON.contains(&name.as_str()) || PARQUET.contains(&name.as_str()),
                Some(FileFormat::Ndjson) => COMMON.contains(&name.as_str()) || NDJSON.contains(&name.as_str()),
                Some(FileFormat::Csv) | None => true,
            };
            if !known {
                return Err(unknown(reference, name));
            }
            match name.as_str() {
                "filename" => options.filename = filename(value)?,
                "file_row_number" if reference.reader == Some(FileFormat::Parquet) => {
                    options.file_row_number = flag(name, value)?;
                }
                "hive_partitioning" => options.hive_partitioning = Some(flag(name, value)?),
                "hive_types" => options.hive_types = hive_types(value)?,
                "hive_types_autocast" => options.hive_types_autocast = flag(name, value)?,
                "union_by_name" => {
                    options.union_by_name = flag(name, value)?;
                    if reference.reader == Some(FileFormat::Csv) {
                        rest.insert(name.clone(), Json::Bool(options.union_by_name));
                    }
                }
                "binary_as_string" if reference.reader == Some(FileFormat::Parquet) => {
                    options.binary_as_string = flag(name, value)?;
                }
                "format" if reference.reader == Some(FileFormat::Ndjson) => one_object_per_line(value)?,
                _ if reference.reader == Some(FileFormat::Csv) => {
                    rest.insert(name.clone(), value.clone());
                }
                _ => {}
            }
        }
        Ok((options, rest))
    }
}

/// An argument that a reader function does not have.
fn unknown(reference: &Reference, name: &str) -> Error {
    let (function, own): (_, &[&str]) = match reference.reader {
        Some(FileFormat::Ndjson) => ("read_json", &NDJSON),
        _ => ("read_parquet", &PARQUET),
    };
    let mut valid: Vec<&str> = COMMON.iter().chain(own).copied().collect();
    valid.sort_unstable();
    let error = Error::new(codes::SQL_005, format!("planning the SQL: {function}() does not take the argument {name}"));
    let near = valid.iter().map(|candidate| (strsim::osa_distance(candidate, name), candidate)).min();
    let error = match near.filter(|(distance, _)| *distance <= 3) {
        Some((_, candidate)) => error.hint(format!("did you mean {candidate}?")),
        None => error,
    };
    error.hint(format!("arguments: {}", valid.join(", ")))
}

/// The arguments that every reader function takes, for messages about those that it does not.
pub(crate) fn common_arguments() -> String {
    COMMON.join(", ")
}

fn wrong(name: &str, wanted: &str) -> Error {
    Error::new(codes::SQL_005, format!("planning the SQL: the argument {name} of a reader function is not {wanted}"))
        .hint(format!("give {name} as {wanted}"))
}

/// A boolean; numbers and words that stand for one do as well.
fn flag(name: &str, value: &Json) -> Result<bool> {
    match value {
        Json::Bool(flag) => Ok(*flag),
        Json::Number(number) if matches!(number.as_i64(), Some(0 | 1)) => Ok(number.as_i64() == Some(1)),
        Json::String(word) if word.eq_ignore_ascii_case("true") => Ok(true),
        Json::String(word) if word.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(wrong(name, "true or false")),
    }
}

/// `true`, or the name of the column.
fn filename(value: &Json) -> Result<Option<String>> {
    match value {
        Json::String(name) if !["true", "false"].iter().any(|word| name.eq_ignore_ascii_case(word)) => {
            Ok(Some(name.clone()))
        }
        other => Ok(flag("filename", other)?.then(|| FILENAME.to_owned())),
    }
}

fn hive_types(value: &Json) -> Result<Vec<(String, DataType)>> {
    let Json::Object(members) = value else { return Err(wrong("hive_types", "a struct such as {'year': INTEGER}")) };
    members
        .iter()
        .map(|(column, name)| {
            let name = name.as_str().unwrap_or_default();
            let found = data_type(name).ok_or_else(|| {
                Error::new(codes::SQL_005, format!("planning the SQL: hive_types has no type {name:?} for {column}"))
                    .hint("types: BOOLEAN, the integers, FLOAT, DOUBLE, DECIMAL(p,s), VARCHAR, DATE, TIMESTAMP")
            })?;
            Ok((column.clone(), found))
        })
        .collect()
}

/// DuckDB's names of the types that a folder's name can have.
fn data_type(name: &str) -> Option<DataType> {
    let name = name.trim().to_ascii_uppercase();
    if let Some(digits) = name.strip_prefix("DECIMAL(").or_else(|| name.strip_prefix("NUMERIC(")) {
        let (precision, scale) =
            digits.strip_suffix(')')?.split_once(',').unwrap_or((digits.trim_end_matches(')'), "0"));
        let (precision, scale): (u8, i8) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
        return ((1..=38).contains(&precision) && (0..=precision.cast_signed()).contains(&scale))
            .then_some(DataType::Decimal128(precision, scale));
    }
    Some(match name.as_str() {
        "BOOLEAN" | "BOOL" | "LOGICAL" => DataType::Boolean,
        "TINYINT" | "INT1" => DataType::Int8,
        "SMALLINT" | "INT2" | "SHORT" => DataType::Int16,
        "INTEGER" | "INT" | "INT4" | "SIGNED" => DataType::Int32,
        "BIGINT" | "INT8" | "LONG" => DataType::Int64,
        "UTINYINT" => DataType::UInt8,
        "USMALLINT" => DataType::UInt16,
        "UINTEGER" => DataType::UInt32,
        "UBIGINT" => DataType::UInt64,
        "FLOAT" | "REAL" | "FLOAT4" => DataType::Float32,
        "DOUBLE" | "FLOAT8" => DataType::Float64,
        "VARCHAR" | "TEXT" | "STRING" | "CHAR" => DataType::Utf8,
        "DATE" => DataType::Date32,
        "TIMESTAMP" | "DATETIME" => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => return None,
    })
}

fn one_object_per_line(value: &Json) -> Result<()> {
    match value.as_str() {
        Some("auto" | "newline_delimited" | "nd" | "ndjson" | "jsonl") => Ok(()),
        _ => Err(Error::new(codes::SQL_013, "planning the SQL: JSON is read as one object per line, no other way")
            .hint("write format = 'newline_delimited', or leave it out")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sql::references::Wanted;

    fn read(reader: FileFormat, options: Json) -> Result<(ReaderOptions, Map<String, Json>)> {
        let Json::Object(options) = options else { panic!("no object") };
        ReaderOptions::read(&Reference { patterns: Vec::new(), reader: Some(reader), options, wanted: Wanted::Rows })
    }

    #[test]
    fn arguments_of_parquet() {
        let (options, rest) = read(
            FileFormat::Parquet,
            json!({"filename": 1, "hive_types": {"y": "int", "p": "DECIMAL(5, 2)"}, "binary_as_string": true,
                   "can_have_nan": true, "file_row_number": 0}),
        )
        .unwrap();
        assert_eq!(options.filename.as_deref(), Some("filename"));
        assert_eq!(
            options.hive_types,
            [("y".to_owned(), DataType::Int32), ("p".to_owned(), DataType::Decimal128(5, 2))]
        );
        assert!(options.binary_as_string && !options.file_row_number && rest.is_empty());
        let (options, _) = read(FileFormat::Parquet, json!({"filename": "origin"})).unwrap();
        assert_eq!(options.filename.as_deref(), Some("origin"));
    }

    #[test]
    fn an_unknown_argument_is_answered_with_the_known_ones() {
        let error = read(FileFormat::Parquet, json!({"file_names": true})).unwrap_err();
        assert_eq!(error.code(), codes::SQL_005);
        assert!(error.message().contains("read_parquet() does not take the argument file_names"), "{error}");
        assert!(error.hints()[0].contains("filename") && error.hints()[1].contains("binary_as_string"), "{error:?}");
        for options in [json!({"filename": 7}), json!({"hive_types": "x"}), json!({"hive_types": {"a": "BLOB[]"}})] {
            assert_eq!(read(FileFormat::Csv, options).unwrap_err().code(), codes::SQL_005);
        }
    }

    #[test]
    fn what_only_csv_has_is_handed_on() {
        let (options, rest) =
            read(FileFormat::Csv, json!({"delim": ";", "filename": false, "union_by_name": 1})).unwrap();
        assert_eq!((options.filename, options.union_by_name), (None, true));
        assert_eq!(Json::Object(rest), json!({"delim": ";", "union_by_name": true}));
    }
}
