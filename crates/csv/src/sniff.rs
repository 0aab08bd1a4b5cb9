//! What was detected in a file as one row, in the columns and the words of DuckDB's `sniff_csv`.
//! Detection itself lives in `detect`.
//! Called by the engine for the table function of that name.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, ListArray, RecordBatch, StringArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use serde_json::{Map, Value};

use crate::detect::{Sample, Usage, detect};
use crate::dialect::{Newline, TableFormat};
use crate::error::CsvError;
use crate::options::CsvOptions;
use crate::types::CsvType;

/// Arguments that DuckDB does not repeat: the columns say the same.
const NOT_REPEATED: [&str; 9] = [
    "types",
    "dtypes",
    "column_types",
    "names",
    "column_names",
    "columns",
    "auto_detect",
    "auto_type_candidates",
    "union_by_name",
];

/// Detects dialect and columns of one file, called `path`, and tells them as DuckDB's `sniff_csv` does.
///
/// `arguments` are those of the call; `options` are the settings they are laid over.
///
/// # Errors
/// As [`CsvOptions::with_arguments`] and [`detect`].
pub fn sniff(
    path: &str,
    sample: Sample<'_>,
    options: &CsvOptions,
    arguments: &Map<String, Value>,
) -> Result<RecordBatch, CsvError> {
    let about_files = |name: &str| name == "filename" || name.starts_with("hive_");
    let arguments: Map<String, Value> = arguments
        .iter()
        .filter(|(name, _)| !about_files(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let options = options.with_arguments(&arguments)?;
    if options.columns.is_some() && options.auto_detect == Some(false) {
        return Err(CsvError::Argument {
            argument: "auto_detect".to_owned(),
            message: "there is nothing to detect where it is false".to_owned(),
        });
    }
    let format = detect(&[sample], &options)?.format;
    let usage = Usage::of(sample, &format, &options);
    let told = Told { path, format: &format, options: &options, arguments: &arguments, usage };
    let empty = |text: &str| if text.is_empty() { "(empty)".to_owned() } else { text.to_owned() };
    let text = |value: Option<String>| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let skip = u32::try_from(format.dialect.skip).unwrap_or(u32::MAX);
    let columns: [(&str, ArrayRef); 12] = [
        ("Delimiter", text(Some(empty(&told.delimiter())))),
        ("Quote", text(Some(empty(&told.quote())))),
        ("Escape", text(Some(empty(&told.escape())))),
        ("NewLineDelimiter", text(Some(told.new_line().to_owned()))),
        ("Comment", text(Some(empty(&told.comment())))),
        ("SkipRows", Arc::new(UInt32Array::from(vec![skip]))),
        ("HasHeader", Arc::new(BooleanArray::from(vec![format.dialect.header]))),
        ("Columns", told.columns()),
        ("DateFormat", text(told.date_format())),
        ("TimestampFormat", text(told.timestamp_format())),
        ("UserArguments", text(Some(told.user_arguments()).filter(|arguments| !arguments.is_empty()))),
        ("Prompt", text(Some(told.prompt()))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
        .map_err(|error| CsvError::Batch { file: path.to_owned(), message: error.to_string() })
}

/// All that is told.
struct Told<'a> {
    path: &'a str,
    format: &'a TableFormat,
    options: &'a CsvOptions,
    arguments: &'a Map<String, Value>,
    usage: Usage,
}

impl Told<'_> {
    fn delimiter(&self) -> String {
        let dialect = &self.format.dialect;
        if self.format.columns.len() == 1 && self.options.delim.is_none() {
            // Whatever does not occur would do.
            return ",".to_owned();
        }
        format!("{}{}", dialect.delimiter, if dialect.spaced { " " } else { "" })
    }

    fn quote(&self) -> String {
        let shown = self.usage.quotes || self.options.quote.is_some() || self.options.escape.is_some();
        self.format.dialect.quote.filter(|_| shown).map(String::from).unwrap_or_default()
    }

    fn escape(&self) -> String {
        let shown = self.usage.escapes || self.options.escape.is_some();
        self.format.dialect.escape.filter(|_| shown).map(String::from).unwrap_or_default()
    }

    fn new_line(&self) -> &'static str {
        match self.format.dialect.newline {
            Newline::Lf => "\\n",
            Newline::Crlf => "\\r\\n",
            Newline::Cr => "\\r",
        }
    }

    fn comment(&self) -> String {
        self.format.dialect.comment.clone().unwrap_or_default()
    }

    fn columns(&self) -> ArrayRef {
        let names: Vec<&str> = self.format.columns.iter().map(|column| column.name.as_str()).collect();
        let types: Vec<String> = self.format.columns.iter().map(|column| column.data_type.to_string()).collect();
        let fields: Fields = ["name", "type"].map(|name| Field::new(name, DataType::Utf8, true)).into_iter().collect();
        let arrays: Vec<ArrayRef> = vec![Arc::new(StringArray::from(names)), Arc::new(StringArray::from(types))];
        let length = self.format.columns.len();
        let entries = StructArray::new(fields.clone(), arrays, None);
        let item = Arc::new(Field::new_list_field(DataType::Struct(fields), true));
        Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([length]), Arc::new(entries), None))
    }

    fn date_format(&self) -> Option<String> {
        let dates = |column: &&crate::dialect::CsvColumn| column.data_type == CsvType::Date;
        let column = self.format.columns.iter().find(dates);
        let found = column.map(|column| column.format.clone().unwrap_or_else(|| "%Y-%m-%d".to_owned()));
        self.options.dateformat.clone().or(found)
    }

    fn timestamp_format(&self) -> Option<String> {
        let moments = |column: &&crate::dialect::CsvColumn| {
            matches!(column.data_type, CsvType::Timestamp | CsvType::TimestampTz) && column.format.is_some()
        };
        let column = self.format.columns.iter().find(moments);
        self.options.timestampformat.clone().or_else(|| column.and_then(|column| column.format.clone()))
    }

    fn user_arguments(&self) -> String {
        let mut arguments: Vec<String> = self
            .arguments
            .iter()
            .filter(|(name, _)| !NOT_REPEATED.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={}", self.spelled(name, value)))
            .collect();
        arguments.sort_unstable();
        arguments.join(", ")
    }

    /// A call of `read_csv` that reads the file as detected.
    fn prompt(&self) -> String {
        let given = |names: &[&str]| names.iter().any(|name| self.arguments.contains_key(*name));
        let mut parts = vec![format!("FROM read_csv({}, auto_detect=false", literal(self.path))];
        for (names, value) in [
            (["delim", "sep", "delimiter"].as_slice(), literal(&self.delimiter())),
            (&["quote"], literal(&self.quote())),
            (&["escape"], literal(&self.escape())),
            (&["new_line", "newline"], literal(self.new_line())),
            (&["skip"], self.format.dialect.skip.to_string()),
            (&["comment"], literal(&self.comment())),
            (&["header"], self.format.dialect.header.to_string()),
        ] {
            if !given(names) {
                parts.push(format!("{}={value}", names[0]));
            }
        }
        let columns = self.format.columns.iter();
        let columns: Vec<String> = columns
            .map(|column| format!("{}: {}", literal(&column.name), literal(&column.data_type.to_string())))
            .collect();
        parts.push(format!("columns={{{}}}", columns.join(", ")));
        for (name, value) in [("dateformat", self.date_format()), ("timestampformat", self.timestamp_format())] {
            parts.extend(value.filter(|_| !given(&[name])).map(|value| format!("{name}={}", literal(&value))));
        }
        parts.push(self.user_arguments());
        parts.retain(|part| !part.is_empty());
        format!("{});", parts.join(", "))
    }

    /// A value as SQL; switches are spelled as such, whatever they were given as.
    fn spelled(&self, name: &str, value: &Value) -> String {
        let merged = serde_json::to_value(self.options).unwrap_or_default();
        match (value, &merged[name]) {
            (_, Value::Bool(flag)) => flag.to_string(),
            (Value::String(text), _) => literal(text),
            (Value::Array(items), _) => {
                format!("[{}]", items.iter().map(|item| self.spelled("", item)).collect::<Vec<_>>().join(", "))
            }
            (other, _) => other.to_string(),
        }
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use arrow::util::display::array_value_to_string;

    use super::*;

    fn sniffed(bytes: &[u8], arguments: &str) -> Vec<String> {
        let arguments = serde_json::from_str(arguments).expect("arguments of a test");
        let sample = Sample { name: "t.csv", bytes, complete: true };
        let batch = sniff("t.csv", sample, &CsvOptions::default(), &arguments).expect("a table");
        batch.columns().iter().map(|column| array_value_to_string(column, 0).expect("a value")).collect()
    }

    #[test]
    fn a_plain_file() {
        let told = sniffed(b"a,b\n1,2024-01-01\n", "{}");
        assert_eq!(told[..7], [",", "(empty)", "(empty)", "\\n", "(empty)", "0", "true"]);
        assert_eq!(told[7], "[{name: a, type: BIGINT}, {name: b, type: DATE}]");
        assert_eq!(told[8..11], ["%Y-%m-%d", "", ""]);
        assert_eq!(
            told[11],
            "FROM read_csv('t.csv', auto_detect=false, delim=',', quote='', escape='', new_line='\\n', skip=0, comment='', \
             header=true, columns={'a': 'BIGINT', 'b': 'DATE'}, dateformat='%Y-%m-%d');"
        );
    }

    #[test]
    fn quotes_and_arguments() {
        let told = sniffed(b"a;b\r\n'it''s';2\r\n", r#"{"quote": "'", "header": 1, "ignore_errors": "true"}"#);
        assert_eq!(told[..4], [";", "'", "'", "\\r\\n"]);
        assert_eq!(told[10], "header=true, ignore_errors=true, quote=''''");
        assert!(told[11].ends_with("'b': 'BIGINT'}, header=true, ignore_errors=true, quote='''');"), "{}", told[11]);
    }
}
