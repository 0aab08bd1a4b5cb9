//! The settings a user may give for reading CSV, in a project file (`csv:`) or as named arguments of the SQL function `read_csv`.
//! Only names, shapes and plausibility live here; what a setting does lives with the reader.
//! Names follow DuckDB's `read_csv` (<https://duckdb.org/docs/stable/data/csv/overview#parameters>); everything is optional.

use std::collections::HashSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::dialect::Newline;
use crate::encoding;
use crate::error::CsvError;
use crate::types::CsvType;

/// Rows are collected up to this many bytes before a line counts as too long, unless `max_line_size` says otherwise.
pub(crate) const DEFAULT_MAX_LINE_SIZE: u64 = 16 * 1024 * 1024;

/// Settings for reading CSV. What is not given is detected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CsvOptions {
    /// Field delimiter, one or more characters, `\t` for a tab; an empty string means that every line is one field.
    #[serde(
        alias = "sep",
        alias = "delimiter",
        deserialize_with = "with_tabs",
        skip_serializing_if = "Option::is_none"
    )]
    pub delim: Option<String>,
    /// Quote character; an empty string means that nothing is quoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// Character that escapes a quote inside a quoted field; by default a quote is doubled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<String>,
    /// Whether the first line (after `skip`) names the columns.
    #[serde(deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// How many lines name the columns where there is a header; the texts of a column are joined by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_lines: Option<u64>,
    /// Text that stands for NULL; by default the empty unquoted field.
    #[serde(alias = "null", skip_serializing_if = "Option::is_none")]
    pub nullstr: Option<OneOrMany>,
    /// Physical lines to skip at the start of every file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<u64>,
    /// Lines that begin with this character are skipped; an empty string means there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The only line break, `\n`, `\r\n` or `\r`: rows that end in another one are rejected, unless `strict` is off. By default all are understood.
    #[serde(alias = "newline", skip_serializing_if = "Option::is_none")]
    pub new_line: Option<String>,
    /// Encoding by its WHATWG label, such as `utf-8`, `utf-16`, `latin-1`, `windows-1252`, `shift_jis`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Compression of the files; by default seen from their first bytes and name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<CompressionOption>,
    /// Declared types: a map from column to DuckDB type name, or a list by position. Other columns are detected.
    #[serde(alias = "dtypes", alias = "column_types", skip_serializing_if = "Option::is_none")]
    pub types: Option<TypeSettings>,
    /// Column names by position; they replace the names of a header.
    #[serde(alias = "column_names", skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// The whole schema: every column with its DuckDB type, in file order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<ColumnTypes>,
    /// Read every column that has no declared type as VARCHAR.
    #[serde(deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub all_varchar: Option<bool>,
    /// Format of DATE values, as in `strptime`, such as `%d.%m.%Y`.
    #[serde(alias = "date_format", deserialize_with = "strptime", skip_serializing_if = "Option::is_none")]
    pub dateformat: Option<String>,
    /// Format of TIMESTAMP values, as in `strptime`.
    #[serde(alias = "timestamp_format", deserialize_with = "strptime", skip_serializing_if = "Option::is_none")]
    pub timestampformat: Option<String>,
    /// Decimal separator of numbers: `.` (default) or `,`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal_separator: Option<String>,
    /// Character between groups of digits, such as `,` in `1,234.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thousands: Option<String>,
    /// Fill rows that are too short with NULL instead of rejecting them.
    #[serde(deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub null_padding: Option<bool>,
    /// `false` tolerates text after a closing quote and unclosed quotes, and leaves out surplus fields.
    #[serde(alias = "strict_mode", deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// What a line that does not fit does: `reject` (default) sets it aside, `fail` ends the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_bad_row: Option<OnBadRow>,
    /// DuckDB's name for `on_bad_row`: `true` is `reject`, `false` is `fail`. `on_bad_row` wins where both are given.
    #[serde(deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub ignore_errors: Option<bool>,
    /// Rows to look at per file for detection; -1 means all that is at hand. Together with `ignore_errors` the types found there are binding: a later line that does not fit them is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_size: Option<i64>,
    /// Longest row in bytes; longer ones are rejected.
    #[serde(alias = "maximum_line_size", skip_serializing_if = "Option::is_none")]
    pub max_line_size: Option<u64>,
    /// Columns in which an empty field is an empty string, never NULL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_not_null: Option<OneOrMany>,
    /// Whether a quoted value stands for NULL where it equals `nullstr`. By default it does where `nullstr` is given, but a quoted empty value is an
    /// empty string.
    #[serde(deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub allow_quoted_nulls: Option<bool>,
    /// Turn column names into lower-case words joined by `_`.
    #[serde(deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub normalize_names: Option<bool>,
    /// `false` detects nothing: the defaults `,`, `"`, no header, and VARCHAR, or what the other settings say.
    #[serde(deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub auto_detect: Option<bool>,
    /// Types that detection may choose from, by DuckDB name; VARCHAR is always one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_type_candidates: Option<Vec<String>>,
    /// Unite the columns of all files by name; a column that a file lacks is NULL there.
    #[serde(deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub union_by_name: Option<bool>,
    /// Accepted for compatibility, without effect: rejected lines are always kept and shown.
    #[serde(deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub store_rejects: Option<bool>,
    /// Accepted for compatibility, without effect: rejected lines are shown, not put into a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejects_table: Option<String>,
    /// Accepted for compatibility, without effect, as `rejects_table`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejects_scan: Option<String>,
    /// Accepted for compatibility, without effect: every rejected line is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejects_limit: Option<u64>,
    /// How many files, from the first on, are looked at for the types; by default, and with -1, files across the whole table. Together with `ignore_errors` these types are binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_to_sniff: Option<i64>,
    /// The longest row in bytes where `max_line_size` does not say it; buffers have the size they need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_size: Option<u64>,
    /// Accepted for compatibility, without effect: how a file is read never changes what is read.
    #[serde(deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub parallel: Option<bool>,
}

impl CsvOptions {
    /// These settings, overlaid with the named arguments of a reader function, under whichever of their names.
    ///
    /// # Errors
    /// [`CsvError::Argument`] for an argument that is unknown, given twice or NULL, and as [`CsvOptions::validate`].
    pub fn with_arguments(&self, arguments: &Map<String, Value>) -> Result<CsvOptions, CsvError> {
        /// NULL stands for "none" here.
        const NULLABLE: [&str; 7] = ["delim", "delimiter", "sep", "quote", "escape", "comment", "thousands"];
        let mut named = Map::new();
        for (name, value) in arguments {
            let value = match value {
                Value::Null if NULLABLE.contains(&name.as_str()) => Value::String(String::new()),
                Value::Null => {
                    return Err(CsvError::Argument { argument: name.clone(), message: "it cannot be NULL".to_owned() });
                }
                Value::Object(entries) if entries.is_empty() => {
                    return Err(CsvError::Argument { argument: name.clone(), message: "it is empty".to_owned() });
                }
                value => value.clone(),
            };
            // One at a time, so that the error can name it.
            serde_json::from_value::<CsvOptions>(Value::Object(Map::from_iter([(name.clone(), value.clone())])))
                .map_err(|error| CsvError::Argument { argument: name.clone(), message: error.to_string() })?;
            named.insert(name.clone(), value);
        }
        let twice = |error: serde_json::Error| CsvError::Argument {
            argument: named.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            message: error.to_string(),
        };
        let given: CsvOptions = serde_json::from_value(Value::Object(named.clone())).map_err(twice)?;
        let object = |options: &CsvOptions| match serde_json::to_value(options) {
            Ok(Value::Object(object)) => object,
            _ => Map::new(),
        };
        let mut merged = object(self);
        if given.columns.is_some() {
            merged.remove("types");
            merged.remove("names");
        }
        merged.extend(object(&given));
        let merged: CsvOptions = serde_json::from_value(Value::Object(merged)).map_err(twice)?;
        if given.auto_detect == Some(false) && merged.columns.is_none() {
            return Err(CsvError::Argument {
                argument: "auto_detect".to_owned(),
                message: "without detection the columns have to be given: columns = {'name': 'TYPE', …}".to_owned(),
            });
        }
        merged.validate()?;
        Ok(merged)
    }

    /// Checks every setting that can be checked without a file.
    ///
    /// # Errors
    /// [`CsvError::Setting`] names the first setting that cannot be used.
    pub fn validate(&self) -> Result<(), CsvError> {
        if let Some(delimiter) = &self.delim
            && (delimiter.len() > 8 || delimiter.contains(['\r', '\n']))
        {
            return Err(setting("delim", "use at most 8 bytes without line breaks"));
        }
        single_character("quote", self.quote.as_deref())?;
        single_character("escape", self.escape.as_deref())?;
        if self.comment.as_deref().is_some_and(|comment| comment.contains(['\r', '\n'])) {
            return Err(setting("comment", "a comment cannot begin with a line break"));
        }
        self.validate_roles()?;
        if let Some(names) = &self.names {
            let mut known = HashSet::new();
            if let Some(name) = names.iter().find(|name| !known.insert(name.as_str())) {
                return Err(setting("names", format!("{name:?} is there twice")));
            }
        }
        if let Some(new_line) = self.new_line.as_deref()
            && !matches!(new_line, "\n" | "\r\n" | "\r" | "\\n" | "\\r\\n" | "\\r")
        {
            return Err(setting("new_line", r"use \n, \r\n or \r"));
        }
        if let Some(label) = &self.encoding {
            encoding::by_label(label)?;
        }
        match (self.decimal_separator.as_deref(), self.thousands.as_deref()) {
            (None | Some("." | ","), None | Some("")) => {}
            (Some(decimal), _) if decimal != "." && decimal != "," => {
                return Err(setting("decimal_separator", "use `.` or `,`"));
            }
            (decimal, Some(thousands)) => {
                let usable = thousands.len() == 1
                    && !thousands.contains(|character: char| character.is_ascii_alphanumeric() || character == '-');
                if !usable || thousands == decimal.unwrap_or(".") {
                    return Err(setting(
                        "thousands",
                        "use one character that is no letter, no digit and not the decimal separator",
                    ));
                }
            }
            (Some(_), None) => {}
        }
        let kept = [self.store_rejects.is_some(), self.rejects_table.is_some(), self.rejects_scan.is_some()];
        if kept.contains(&true) && self.bad_row_policy() == OnBadRow::Fail {
            return Err(setting("store_rejects", "nothing is rejected where the first bad line ends the reading"));
        }
        if self.rejects_limit.is_some() && !kept.contains(&true) {
            return Err(setting("rejects_limit", "it goes with store_rejects"));
        }
        if self.files_to_sniff.is_some_and(|files| files == 0 || files < -1) {
            return Err(setting("files_to_sniff", "use a number of files, or -1 for all of them"));
        }
        if self.header_lines.is_some_and(|lines| lines == 0 || lines > 100) {
            return Err(setting("header_lines", "use 1 to 100, or header: false where no line names the columns"));
        }
        if self.max_line_size == Some(0) || self.max_line_size.is_some_and(|size| size > 1 << 30) {
            return Err(setting("max_line_size", "use 1 to 1073741824 bytes"));
        }
        if self.buffer_size == Some(0)
            || self.buffer_size.zip(self.max_line_size).is_some_and(|(buffer, line)| buffer < line)
        {
            return Err(setting("buffer_size", "use at least the bytes of max_line_size"));
        }
        if self.sample_size.is_some_and(|rows| rows == 0 || rows < -1) {
            return Err(setting("sample_size", "use a number of rows, or -1 for all of them"));
        }
        if self.columns.is_some() && (self.types.is_some() || self.names.is_some()) {
            return Err(setting("columns", "it is the whole schema: do not give `types` or `names` with it"));
        }
        for name in self.auto_type_candidates.iter().flatten() {
            if !CsvType::parse(name)?.is_candidate() {
                return Err(setting("auto_type_candidates", format!("{name} can be declared, not detected")));
            }
        }
        for (_, name) in self.columns.iter().flat_map(|columns| &columns.0) {
            CsvType::parse(name)?;
        }
        match &self.types {
            Some(TypeSettings::ByName(types)) => {
                types.0.iter().try_for_each(|(_, name)| CsvType::parse(name).map(drop))
            }
            Some(TypeSettings::ByPosition(types)) => types.iter().try_for_each(|name| CsvType::parse(name).map(drop)),
            None => Ok(()),
        }
    }

    /// No character can have two meanings.
    fn validate_roles(&self) -> Result<(), CsvError> {
        let given = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
        let [delimiter, quote, escape, comment] = [&self.delim, &self.quote, &self.escape, &self.comment].map(given);
        let clash = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => one.contains(other.as_str()) || other.contains(one.as_str()),
            _ => false,
        };
        for (name, one, others) in [
            ("quote", &quote, [("delimiter", &delimiter), ("comment", &comment)]),
            ("escape", &escape, [("delimiter", &delimiter), ("comment", &comment)]),
            ("comment", &comment, [("delimiter", &delimiter), ("quote", &quote)]),
        ] {
            if let Some((other, _)) = others.into_iter().find(|(_, other)| clash(one, other)) {
                return Err(setting(name, format!("it must not be part of the {other} or contain it")));
            }
        }
        Ok(())
    }

    /// What to do with a line that does not fit.
    pub fn bad_row_policy(&self) -> OnBadRow {
        match (self.on_bad_row, self.ignore_errors) {
            (Some(policy), _) => policy,
            (None, Some(false)) => OnBadRow::Fail,
            (None, _) => OnBadRow::Reject,
        }
    }

    /// The only line break that may end a row.
    pub(crate) fn line_break(&self) -> Option<Newline> {
        let given = self.new_line.as_deref().filter(|_| self.is_strict())?;
        Some(match given {
            "\r\n" | "\\r\\n" => Newline::Crlf,
            "\r" | "\\r" => Newline::Cr,
            _ => Newline::Lf,
        })
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.strict.unwrap_or(true)
    }

    /// The caller says which rows tell the types, and that those which do not fit them are to be set aside.
    pub(crate) fn limits_sample(&self) -> bool {
        let limited = self.sample_size.is_some_and(|rows| rows > 0) || self.sniffed_files().is_some();
        limited && self.ignore_errors == Some(true)
    }

    /// How many files tell the types, where not all of them do.
    pub fn sniffed_files(&self) -> Option<usize> {
        self.files_to_sniff.and_then(|files| usize::try_from(files).ok())
    }

    pub(crate) fn line_limit(&self) -> usize {
        let limit = self.max_line_size.or(self.buffer_size).unwrap_or(DEFAULT_MAX_LINE_SIZE);
        usize::try_from(limit.min(1 << 30)).unwrap_or(usize::MAX)
    }

    /// The declared type of a column, by name (case-insensitively) or position.
    pub(crate) fn declared_type(&self, name: &str, position: usize) -> Result<Option<CsvType>, CsvError> {
        let text = match &self.types {
            Some(TypeSettings::ByName(types)) => types.get(name),
            Some(TypeSettings::ByPosition(types)) => types.get(position).map(String::as_str),
            None => None,
        };
        text.map(CsvType::parse).transpose()
    }
}

/// A switch: a boolean, or as SQL also spells it, `0`, `1`, `'true'` or `'false'`.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Spelling {
        Flag(bool),
        Number(i64),
        Word(String),
    }
    let problem = |found: String| serde::de::Error::custom(format!("{found} is neither true nor false"));
    match Option::<Spelling>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Spelling::Flag(flag)) => Ok(Some(flag)),
        Some(Spelling::Number(number @ (0 | 1))) => Ok(Some(number == 1)),
        Some(Spelling::Number(number)) => Err(problem(number.to_string())),
        Some(Spelling::Word(word)) => match word.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Ok(Some(true)),
            "false" | "f" | "0" => Ok(Some(false)),
            _ => Err(problem(format!("{word:?}"))),
        },
    }
}

/// A delimiter in which `\t`, as SQL strings spell it, is a tab.
fn with_tabs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(|text| text.replace("\\t", "\t")))
}

/// A format string; `auto` and `iso` stand for what is understood without one.
fn strptime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let understood = |text: &String| ["auto", "iso"].iter().any(|word| text.eq_ignore_ascii_case(word));
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !understood(text)))
}

/// A [`CsvError::Setting`].
pub(crate) fn setting(setting: &str, message: impl Into<String>) -> CsvError {
    CsvError::Setting { setting: setting.to_owned(), message: message.into() }
}

fn single_character(name: &'static str, value: Option<&str>) -> Result<(), CsvError> {
    match value {
        Some(text) if text.len() > 1 || text.contains(['\r', '\n']) => {
            Err(setting(name, "use one ASCII character, or an empty string for none"))
        }
        _ => Ok(()),
    }
}

/// What a line that does not fit does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadRow {
    /// The line is set aside and counted; reading goes on.
    #[default]
    Reject,
    /// Reading ends with an error that names file and line.
    Fail,
}

/// The `compression` setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompressionOption {
    /// By the file's first bytes, then its name.
    #[default]
    #[serde(alias = "auto_detect")]
    Auto,
    /// Not compressed.
    #[serde(alias = "uncompressed")]
    None,
    /// gzip, one or several members.
    #[serde(alias = "gz")]
    Gzip,
    /// Zstandard.
    #[serde(alias = "zst")]
    Zstd,
    /// bzip2.
    #[serde(rename = "bz2", alias = "bzip2")]
    Bzip2,
    /// xz.
    Xz,
}

/// One string, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// A single string.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All strings in order.
    pub fn as_slice(&self) -> &[String] {
        match self {
            OneOrMany::One(text) => std::slice::from_ref(text),
            OneOrMany::Many(texts) => texts,
        }
    }
}

/// The `types` setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TypeSettings {
    /// Column name to DuckDB type name.
    ByName(ColumnTypes),
    /// DuckDB type names by position.
    ByPosition(Vec<String>),
}

/// An ordered map from column name to DuckDB type name; order matters where it is a table's whole schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnTypes(pub Vec<(String, String)>);

impl ColumnTypes {
    /// The type name of a column, by its name without regard to case.
    pub fn get(&self, column: &str) -> Option<&str> {
        let exact = self.0.iter().find(|(name, _)| name == column);
        let folded = || self.0.iter().find(|(name, _)| name.to_lowercase() == column.to_lowercase());
        exact.or_else(folded).map(|(_, type_name)| type_name.as_str())
    }
}

impl Serialize for ColumnTypes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, type_name) in &self.0 {
            map.serialize_entry(name, type_name)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for ColumnTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = ColumnTypes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map from column name to type name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<ColumnTypes, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(ColumnTypes(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl JsonSchema for ColumnTypes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ColumnTypes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Column name to DuckDB type name, such as { \"zip\": \"VARCHAR\" }.",
            "additionalProperties": { "type": "string" }
        })
    }
}
