//! Columns that are the same for all rows of a file: those of its folders `name=value`, and its own name.
//! Not here: the columns in the files (`table`), leaving out files by them (`prune`).
//! Called by `files` for every listing.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use arrow::util::display::FormatOptions;
use datafusion::common::ScalarValue;
use tapline_core::values::duckdb_type_name;
use tapline_core::{Error, Result, codes};

use super::reader_options::{FILENAME, ReaderOptions};

/// The folder that stands for NULL, as Hive writes it.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// Where a file comes from.
pub(crate) struct Place {
    /// Its URL or path, as it is shown.
    pub(crate) url: String,
    /// Its folders `name=value`, from the outside in.
    pub(crate) folders: Vec<(String, String)>,
}

/// Columns, and for every file the value of each.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Constants {
    /// The file's name where it is asked for, then the folders' columns by name, as DuckDB orders them.
    pub(crate) fields: Vec<FieldRef>,
    /// By file, in the order of the fields.
    pub(crate) values: Vec<Vec<ScalarValue>>,
}

/// The columns that the places of files give them.
///
/// # Errors
/// `FILE-003` where folders are to be columns and differ, `SQL-005` for types that fit no folder.
pub(crate) fn constants(places: &[Place], options: &ReaderOptions) -> Result<Constants> {
    let mut constants = Constants { fields: Vec::new(), values: vec![Vec::new(); places.len()] };
    let hidden = options.hidden.contains(&FILENAME).then(|| FILENAME.to_owned());
    if let Some(name) = options.filename.clone().or(hidden) {
        constants.fields.push(Arc::new(Field::new(name, DataType::Utf8, true)));
        for (values, place) in constants.values.iter_mut().zip(places) {
            values.push(ScalarValue::Utf8(Some(place.url.clone())));
        }
    }
    let folders = match options.hive_partitioning {
        Some(false) => Vec::new(),
        asked => shared_folders(places, asked == Some(true))?,
    };
    if let Some((name, _)) =
        options.hive_types.iter().find(|(name, _)| !folders.iter().any(|(column, _)| column.eq_ignore_ascii_case(name)))
    {
        let names: Vec<&str> = folders.iter().map(|(column, _)| column.as_str()).collect();
        return Err(Error::new(
            codes::SQL_005,
            format!("planning the SQL: hive_types names {name}, which no folder is"),
        )
        .hint(format!("folders that are columns: {}", names.join(", "))));
    }
    for (name, texts) in folders {
        let declared = options.hive_types.iter().find(|(column, _)| column.eq_ignore_ascii_case(&name));
        let (data_type, scalars) = match declared {
            Some((_, data_type)) => (data_type.clone(), cast(&name, &texts, data_type, places)?),
            None if options.hive_types_autocast => typed(&texts),
            None => as_texts(&texts),
        };
        constants.fields.push(Arc::new(Field::new(&name, data_type, true)));
        for (values, scalar) in constants.values.iter_mut().zip(scalars) {
            values.push(scalar);
        }
    }
    Ok(constants)
}

/// A column of folders: its name, and for every file the text, `None` for NULL.
type Folder<'a> = (String, Vec<Option<&'a str>>);

/// The folders that all files have. Files without the same ones have none, unless they must.
fn shared_folders(places: &[Place], required: bool) -> Result<Vec<Folder<'_>>> {
    let maps: Vec<BTreeMap<&str, &str>> = places
        .iter()
        .map(|place| place.folders.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
        .collect();
    let Some(first) = maps.first() else { return Ok(Vec::new()) };
    for (place, map) in places.iter().zip(&maps) {
        if map.keys().eq(first.keys()) {
            continue;
        }
        if !required {
            return Ok(Vec::new());
        }
        let missing = first.keys().find(|name| !map.contains_key(*name));
        let (url, name) = match missing {
            Some(name) => (&place.url, name),
            None => (&places[0].url, map.keys().find(|name| !first.contains_key(*name)).unwrap_or(&"")),
        };
        return Err(Error::new(
            codes::FILE_003,
            format!("{url} lies in no folder {name}=…, other files of the table do"),
        )
        .hint("name files whose folders have the same names, or leave hive_partitioning out"));
    }
    Ok(first
        .keys()
        .map(|name| {
            let texts = maps.iter().map(|map| map.get(name).copied().filter(|text| *text != NULL_FOLDER)).collect();
            ((*name).to_owned(), texts)
        })
        .collect())
}

/// The first of BIGINT, DATE and TIMESTAMP that takes all texts, else VARCHAR.
fn typed(texts: &[Option<&str>]) -> (DataType, Vec<ScalarValue>) {
    fn all<T>(texts: &[Option<&str>], parse: impl Fn(&str) -> Option<T>) -> Option<Vec<Option<T>>> {
        texts.iter().map(|text| text.map_or(Some(None), |text| parse(text).map(Some))).collect()
    }
    if !texts.iter().any(Option::is_some) {
        return as_texts(texts);
    }
    // A number that would lose its leading zeros is a text.
    if let Some(numbers) = all(texts, |text| text.parse::<i64>().ok().filter(|number| number.to_string() == text)) {
        return (DataType::Int64, numbers.into_iter().map(ScalarValue::Int64).collect());
    }
    let date = |text: &str| {
        let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        i32::try_from(date.signed_duration_since(chrono::NaiveDate::default()).num_days()).ok()
    };
    if let Some(days) = all(texts, date) {
        return (DataType::Date32, days.into_iter().map(ScalarValue::Date32).collect());
    }
    let moment = |text: &str| {
        let format = if text.contains('T') { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%d %H:%M:%S%.f" };
        Some(chrono::NaiveDateTime::parse_from_str(text, format).ok()?.and_utc().timestamp_micros())
    };
    if let Some(moments) = all(texts, moment) {
        let scalars = moments.into_iter().map(|micros| ScalarValue::TimestampMicrosecond(micros, None));
        return (DataType::Timestamp(TimeUnit::Microsecond, None), scalars.collect());
    }
    as_texts(texts)
}

fn as_texts(texts: &[Option<&str>]) -> (DataType, Vec<ScalarValue>) {
    (DataType::Utf8, texts.iter().map(|text| ScalarValue::Utf8(text.map(str::to_owned))).collect())
}

fn cast(name: &str, texts: &[Option<&str>], data_type: &DataType, places: &[Place]) -> Result<Vec<ScalarValue>> {
    let strict = CastOptions { safe: false, format_options: FormatOptions::default() };
    texts
        .iter()
        .zip(places)
        .map(|(text, place)| {
            ScalarValue::Utf8(text.map(str::to_owned)).cast_to_with_options(data_type, &strict).map_err(|_| {
                let wanted = duckdb_type_name(&Field::new(name, data_type.clone(), true));
                Error::new(
                    codes::SQL_005,
                    format!("planning the SQL: the folder {name}=… of {} is no {wanted}", place.url),
                )
                .hint("give the column another type in hive_types, or VARCHAR")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(keys: &[&str]) -> Vec<Place> {
        keys.iter()
            .map(|key| Place {
                url: (*key).to_owned(),
                folders: key
                    .split('/')
                    .filter_map(|part| part.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            })
            .collect()
    }

    fn types(constants: &Constants) -> Vec<(&str, &DataType)> {
        constants.fields.iter().map(|field| (field.name().as_str(), field.data_type())).collect()
    }

    #[test]
    fn folders_are_typed_over_all_files_and_ordered_by_name() {
        let places = places(&["year=2024/day=2024-03-01/kind=web/a", "year=2023/day=2024-03-02/kind=7/b"]);
        let found = constants(&places, &ReaderOptions::default()).unwrap();
        assert_eq!(types(&found), [("day", &DataType::Date32), ("kind", &DataType::Utf8), ("year", &DataType::Int64)]);
        assert_eq!(found.values[1][2], ScalarValue::Int64(Some(2023)));
    }

    #[test]
    fn the_null_folder_is_null_and_tells_no_type() {
        let keys = ["at=__HIVE_DEFAULT_PARTITION__/a", "at=2024-01-01 10:00:00/b"];
        let found = constants(&places(&keys), &ReaderOptions::default()).unwrap();
        assert_eq!(found.values[0][0], ScalarValue::TimestampMicrosecond(None, None));
        let alone = constants(&places(&keys[..1]), &ReaderOptions::default()).unwrap();
        assert_eq!(types(&alone), [("at", &DataType::Utf8)]);
    }

    #[test]
    fn folders_that_differ_are_none_or_an_error() {
        let places = places(&["a=1/x", "b=1/y"]);
        assert_eq!(constants(&places, &ReaderOptions::default()).unwrap().fields, Vec::<FieldRef>::new());
        let required = ReaderOptions { hive_partitioning: Some(true), ..ReaderOptions::default() };
        let error = constants(&places, &required).unwrap_err();
        assert!(error.code() == codes::FILE_003 && error.message().contains("a=") && error.message().contains("b=1/y"));
    }

    #[test]
    fn types_can_be_declared() {
        let declared = |name: &str, data_type| ReaderOptions {
            hive_types: vec![(name.to_owned(), data_type)],
            filename: Some("origin".to_owned()),
            ..ReaderOptions::default()
        };
        let places = places(&["y=07/a"]);
        let found = constants(&places, &declared("Y", DataType::Int32)).unwrap();
        assert_eq!(found.values[0], [ScalarValue::Utf8(Some("y=07/a".to_owned())), ScalarValue::Int32(Some(7))]);
        assert!(constants(&places, &declared("y", DataType::Boolean)).unwrap_err().message().contains("y=07/a"));
        assert!(constants(&places, &declared("z", DataType::Int32)).unwrap_err().message().contains('z'));
    }
}
