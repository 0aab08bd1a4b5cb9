//! The query engine's errors in Tapline's words.
//! Not here: syntax errors, which the parser reports with a position.
//! Called by the session and by everyone who reads its streams.

use std::collections::HashSet;
use std::error::Error as StdError;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use tapline_core::{Code, Error, codes};
use tapline_csv::Widen;

use super::functions::{Support, function_reference};

/// A value did not fit the type that was inferred for its column; the scan starts again with a wider one.
#[derive(Debug, Clone)]
pub struct Widened {
    /// The table's name in the session.
    pub table: String,
    /// Which columns, and to which types.
    pub widen: Widen,
}

impl std::fmt::Display for Widened {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns: Vec<&str> = self.widen.columns.iter().map(|column| column.name.as_str()).collect();
        write!(formatter, "a value of {} does not fit the type of {}", self.widen.file, columns.join(", "))
    }
}

impl StdError for Widened {}

/// Carries a Tapline error through the query engine.
#[derive(Debug)]
pub(crate) struct Carried(pub(crate) parking_lot::Mutex<Option<Error>>);

impl std::fmt::Display for Carried {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("reading a file failed")
    }
}

impl StdError for Carried {}

/// Wraps a Tapline error for the query engine; [`from_datafusion`] takes it out again.
pub(crate) fn carry(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(Carried(parking_lot::Mutex::new(Some(error)))))
}

/// The first cause of type `T` in an error's chain.
pub(crate) fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(DataFusionError::Shared(shared)) = current.downcast_ref::<DataFusionError>() {
            return find(shared.as_ref());
        }
        cause = current.source();
    }
    None
}

/// Turns an error of planning or running a query into one that says what to do. `tables` maps the session's table
/// names to what the SQL calls them, so that no made-up name reaches the reader.
pub(crate) fn from_datafusion(error: &DataFusionError, doing: &str, tables: &[(String, String)]) -> Error {
    if let Some(carried) = find::<Carried>(error).and_then(|carried| carried.0.lock().take()) {
        return carried;
    }
    if let Some(error) = tapline_storage::carried_error(error) {
        return error;
    }
    let restore = |text: &str| -> String {
        let mut text = text.replace(".\"", ".").replace("\".", ".");
        for (name, shown) in tables {
            text = text.replace(name.as_str(), shown);
        }
        text
    };
    if let Some(SchemaError::FieldNotFound { field, valid_fields }) = find::<SchemaError>(error) {
        return column_not_found(doing, &field.name, valid_fields.iter().map(|column| column.name.clone()).collect());
    }
    let root = error.find_root();
    let (code, text): (Code, String) = match root {
        DataFusionError::Plan(text) if text.contains("nvalid function") => (codes::SQL_004, first_line(text)),
        DataFusionError::Plan(text) if text.contains("table") && text.contains("not found") => {
            let text = first_line(text).replace("datafusion.public.", "");
            return Error::new(codes::SQL_003, format!("{doing}: {}", restore(&text)))
                .hint("name files in quotes: FROM 's3://bucket/path/file.parquet'");
        }
        DataFusionError::Plan(text) => (codes::SQL_005, first_line(text)),
        DataFusionError::NotImplemented(text) => (codes::SQL_013, first_line(text)),
        DataFusionError::ResourcesExhausted(_) => {
            return Error::new(codes::SQL_012, format!("{doing}: the query needs more memory than it may use"))
                .hint("read fewer columns or rows, or split the model");
        }
        DataFusionError::SchemaError(error, _) => (codes::SQL_005, first_line(&error.to_string())),
        DataFusionError::ParquetError(error) => {
            return Error::new(
                codes::FILE_001,
                format!("{doing}: a Parquet file is damaged: {}", first_line(&error.to_string())),
            )
            .hint("read it with another tool to make sure; export it again if that fails too");
        }
        DataFusionError::ArrowError(error, _) => (codes::SQL_011, without_values(&error.to_string())),
        DataFusionError::Execution(text) => (codes::SQL_011, without_values(text)),
        other => (codes::SQL_011, first_line(&other.strip_backtrace())),
    };
    let text = text.trim_end_matches('.').replace("datafusion.public.", "");
    let error = Error::new(code, format!("{doing}: {}", restore(&lower(&text))));
    match code.id {
        "SQL-004" => match similar_functions(&blamed_name(root).unwrap_or_default()).as_slice() {
            [] => error.hint("see `tapline functions`; functions have DuckDB's names"),
            names => error.hint(format!("did you mean {}?", names.join(" or "))),
        },
        "SQL-011" => error.hint("TRY_CAST gives NULL where a value does not fit; a WHERE leaves such rows out"),
        _ => error.hint("`tapline explain` says more about the code"),
    }
}

/// The name in a statement that could not be planned which is to blame: of a column, a table or a function.
pub(crate) fn blamed_name(error: &DataFusionError) -> Option<String> {
    if let Some(SchemaError::FieldNotFound { field, .. } | SchemaError::AmbiguousReference { field }) =
        find::<SchemaError>(error)
    {
        return Some(field.name.clone());
    }
    let DataFusionError::Plan(text) = error.find_root() else { return None };
    let (_, quoted) = text.lines().next()?.split_once('\'')?;
    let name = quoted.split('\'').next()?;
    Some(name.rsplit('.').next().unwrap_or(name).to_owned())
}

/// The functions whose names are most like one that there is not, three at most.
fn similar_functions(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let most = 1 + name.chars().count() / 4;
    let mut near: Vec<(usize, usize, &str)> = function_reference()
        .iter()
        .filter(|function| function.support == Support::Supported)
        // Of equally near ones the one that only lacks or adds letters was meant more likely.
        .map(|function| {
            let lengths = function.name.len().abs_diff(name.len());
            (strsim::osa_distance(function.name, &name), usize::from(lengths == 0), function.name)
        })
        .filter(|(distance, ..)| *distance <= most)
        .collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(.., name)| format!("`{name}`")).collect()
}

/// That a column does not exist, with those that do.
pub(crate) fn column_not_found(doing: &str, name: &str, mut valid: Vec<String>) -> Error {
    let mut seen = HashSet::new();
    valid.retain(|name| seen.insert(name.clone()));
    let error = Error::new(codes::SQL_002, format!("{doing}: there is no column \"{name}\""));
    let near = valid
        .iter()
        .map(|candidate| (strsim::osa_distance(&candidate.to_lowercase(), &name.to_lowercase()), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 3);
    let error = match near {
        Some((_, candidate)) => error.hint(format!("did you mean \"{candidate}\"?")),
        None => error,
    };
    if valid.is_empty() {
        return error;
    }
    const SHOWN: usize = 20;
    let more = if valid.len() > SHOWN { ", …" } else { "" };
    error.hint(format!("columns: {}{more}", valid[..valid.len().min(SHOWN)].join(", ")))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("").trim().to_owned()
}

/// Drops what an error of a running query quotes, since it may be a cell's value.
fn without_values(text: &str) -> String {
    let text = first_line(text);
    match text.find(['\'', '"']) {
        Some(quote) => {
            let head = text[..quote].trim_end();
            let tail = text.rfind(" to ").filter(|position| *position > quote).map_or("", |position| &text[position..]);
            format!("{head} a value{tail}")
        }
        None => text,
    }
}

fn lower(text: &str) -> String {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}
