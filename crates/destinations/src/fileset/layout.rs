//! How the files of a set look and what they are called: formats, compressions, names, sizes.
//! Not here: the encoding itself (`encode`), and where the files stand (`place`).
//! Called by the settings of every destination that keeps files.

use chrono::NaiveDate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use tapline_core::{Error, Owner, Result, StreamName, codes};

/// The folder of Tapline's own files in every place.
pub(crate) const OWN: &str = "_tapline";

/// The format of the files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Parquet, with the types of the model.
    #[default]
    Parquet,
    /// Text with a delimiter: NULL is empty, and an empty text is `""`.
    Csv,
    /// A JSON object per line.
    Ndjson,
}

/// How the files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// For Parquet alone.
    Snappy,
    /// For CSV and NDJSON: `.gz`.
    Gzip,
    /// For every format; `.zst` where it is not Parquet.
    Zstd,
}

/// What the files of a run hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Every row of the stream: after each run the files are one consistent set, and those of the run before are gone.
    #[default]
    All,
    /// What the run changed: files of added, of changed and of removed rows (the keys of these). Those of earlier runs stay.
    Diff,
}

/// How CSV is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CsvSettings {
    /// One ASCII character between cells, such as `;` or a tab; a comma without it.
    pub delimiter: String,
    /// Whether the first line of every file names the fields; true without it.
    pub header: bool,
}

impl Default for CsvSettings {
    fn default() -> Self {
        Self { delimiter: ",".to_owned(), header: true }
    }
}

/// A length in bytes as people write it: `64MB`, `1GiB`, `5000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().ok()?;
        let unit: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(unit).filter(|size| *size > 0).map(Self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a size; write a number with a unit: 500KB, 64MB, 1GiB"))
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ ?([kKmMgG]i?)?[bB]?$" })
    }
}

/// How the files of a destination look.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    pub(crate) delimiter: u8,
    pub(crate) header: bool,
    pub(crate) formula_guard: bool,
    pub(crate) content: Content,
    pub(crate) name: String,
    pub(crate) max_file_size: Option<u64>,
}

/// The same as it is written in the settings of a destination.
#[derive(Debug, Clone, Default)]
pub(crate) struct LayoutKeys<'a> {
    pub(crate) format: Format,
    pub(crate) compression: Option<Compression>,
    pub(crate) csv: Option<&'a CsvSettings>,
    pub(crate) formula_guard: bool,
    pub(crate) content: Content,
    pub(crate) name: Option<&'a str>,
    pub(crate) max_file_size: Option<Size>,
}

impl LayoutKeys<'_> {
    /// What is wrong with the settings, one line per problem.
    pub(crate) fn lint(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match (self.format, self.compression) {
            (Format::Parquet, Some(Compression::Gzip)) => {
                problems.push("compression: gzip is for csv and ndjson; write zstd, snappy or none".to_owned());
            }
            (Format::Csv | Format::Ndjson, Some(Compression::Snappy)) => {
                problems.push("compression: snappy is for parquet; write gzip, zstd or none".to_owned());
            }
            _ => {}
        }
        if self.format != Format::Csv && self.csv.is_some() {
            problems.push("csv: these settings belong to `format: csv`".to_owned());
        }
        if self.format != Format::Csv && self.formula_guard {
            problems.push("formula_guard: only CSV opens in spreadsheets that take texts for formulas".to_owned());
        }
        if let Some(csv) = self.csv
            && !matches!(csv.delimiter.as_bytes(), [byte] if byte.is_ascii() && !b"\"\r\n\0".contains(byte))
        {
            problems.push("csv.delimiter: write one ASCII character other than a quote or a line end".to_owned());
        }
        let name = self.name.unwrap_or(DEFAULT_NAME);
        match variables(name) {
            Err(problem) => problems.push(format!("name: {problem}")),
            Ok(variables) => {
                if self.content == Content::Diff && !variables.contains(&"generation") {
                    problems
                        .push("name: with `content: diff` it must hold {generation}, or runs would share it".into());
                }
            }
        }
        let plain = name.replace(['{', '}'], "");
        if let Err(problem) = plain.split('/').try_for_each(check_segment) {
            problems.push(format!("name: {problem}"));
        } else if plain.split('/').next() == Some(OWN) {
            problems.push(format!("name: the folder {OWN} is Tapline's own"));
        }
        if self.max_file_size.is_some_and(|size| size.0 < 1_000) {
            problems.push("max_file_size: it must be at least 1KB".to_owned());
        }
        problems
    }

    pub(crate) fn settle(&self) -> Layout {
        let csv = self.csv.cloned().unwrap_or_default();
        let usual = if self.format == Format::Parquet { Compression::Zstd } else { Compression::None };
        Layout {
            format: self.format,
            compression: self.compression.unwrap_or(usual),
            delimiter: csv.delimiter.bytes().next().unwrap_or(b','),
            header: csv.header,
            formula_guard: self.formula_guard,
            content: self.content,
            name: self.name.unwrap_or(DEFAULT_NAME).to_owned(),
            max_file_size: self.max_file_size.map(|size| size.0),
        }
    }
}

/// Every generation in a folder of its own.
const DEFAULT_NAME: &str = "{stream}/{generation}/rows";

const VARIABLES: [&str; 4] = ["stream", "sync", "date", "generation"];

/// The names in braces.
fn variables(template: &str) -> Result<Vec<&str>, String> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some(start) = rest.find(['{', '}']) {
        let end = rest[start..].find('}').filter(|_| rest[start..].starts_with('{'));
        let end = end.ok_or("a brace has no partner")?;
        let variable = &rest[start + 1..start + end];
        if !VARIABLES.contains(&variable) {
            return Err(format!("{{{variable}}} is not known; there are {{{}}}", VARIABLES.join("}, {")));
        }
        found.push(variable);
        rest = &rest[start + end + 1..];
    }
    Ok(found)
}

/// What the variables of a name stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Naming<'a> {
    pub(crate) stream: &'a StreamName,
    pub(crate) owner: &'a Owner,
    pub(crate) generation: u64,
    pub(crate) date: NaiveDate,
}

impl Layout {
    /// The path that the files of a run begin with.
    pub(crate) fn stem(&self, naming: &Naming<'_>) -> Result<String> {
        let stream = naming.stream.parts().join("/");
        let stem = self
            .name
            .replace("{stream}", &stream)
            .replace("{sync}", &naming.owner.sync)
            .replace("{date}", &naming.date.to_string())
            .replace("{generation}", &naming.generation.to_string());
        let mut parts = naming.stream.parts().iter().map(String::as_str);
        let odd_part = parts.any(|part| part.contains('/')).then(|| "a part of it holds a slash".to_owned());
        let problem = odd_part.or_else(|| stem.split('/').find_map(|segment| check_segment(segment).err()));
        match problem {
            None if stem.split('/').next() != Some(OWN) => Ok(stem),
            problem => {
                let problem = problem.unwrap_or_else(|| format!("the folder {OWN} is Tapline's own"));
                Err(Error::new(
                    codes::CONF_005,
                    format!("the files of {} cannot be called {stem:?}: {problem}", naming.stream),
                )
                .hint("choose another stream, or another `name` in the destination"))
            }
        }
    }

    /// What stands behind the stem: `-2` for the second part, `.csv.gz`.
    pub(crate) fn path(&self, stem: &str, change: Option<&str>, part: usize) -> String {
        let change = change.map(|change| format!("-{change}")).unwrap_or_default();
        let part = if part == 0 { String::new() } else { format!("-{}", part + 1) };
        format!("{stem}{change}{part}{}", self.suffix())
    }

    fn suffix(&self) -> &'static str {
        match (self.format, self.compression) {
            (Format::Parquet, _) => ".parquet",
            (Format::Csv, Compression::Gzip) => ".csv.gz",
            (Format::Csv, Compression::Zstd) => ".csv.zst",
            (Format::Csv, _) => ".csv",
            (Format::Ndjson, Compression::Gzip) => ".ndjson.gz",
            (Format::Ndjson, Compression::Zstd) => ".ndjson.zst",
            (Format::Ndjson, _) => ".ndjson",
        }
    }
}

/// Fails where a part of a path means something else than a name.
fn check_segment(segment: &str) -> Result<(), String> {
    match segment {
        "" => Err("a part of the path is empty".to_owned()),
        "." | ".." => Err(format!("`{segment}` is no name")),
        _ if segment.contains('\\') || segment.chars().any(char::is_control) => {
            Err("backslashes and control characters cannot be part of a name".to_owned())
        }
        _ if segment.len() > 200 => Err("a part of the path is longer than 200 bytes".to_owned()),
        _ => Ok(()),
    }
}

/// The folder of Tapline's own files for a stream, which no other stream shares.
pub(crate) fn own_folder(stream: &StreamName) -> String {
    let part = |part: &String| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+=@ ".contains(&byte) || !byte.is_ascii();
        let encode = |byte: u8| if plain(byte) { vec![byte] } else { format!("%{byte:02x}").into_bytes() };
        // What is left as it is and what takes its place are whole characters.
        String::from_utf8(part.bytes().flat_map(encode).collect()).unwrap_or_default()
    };
    let parts: Vec<String> = stream.parts().iter().map(part).collect();
    format!("{OWN}/{}", parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let cases = [("5000", 5_000), ("64MB", 64_000_000), ("1 GiB", 1 << 30), ("2kib", 2_048)];
        for (text, bytes) in cases {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
        }
        for text in ["", "MB", "-1", "1.5GB", "0", "1TBs", "99999999999GB"] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }

    fn stem(name: &str, stream: &str) -> Result<String> {
        let layout = LayoutKeys { name: Some(name), ..LayoutKeys::default() }.settle();
        let owner = Owner { store: "s".into(), sync: "nightly".into() };
        let date = NaiveDate::from_ymd_opt(2026, 2, 3).unwrap();
        let stream = StreamName::parse(stream).unwrap();
        layout.stem(&Naming { stream: &stream, owner: &owner, generation: 7, date })
    }

    #[test]
    fn names_are_made_from_templates() {
        assert_eq!(stem("{sync}/{date}/{generation}", "a").unwrap(), "nightly/2026-02-03/7");
        assert_eq!(stem(DEFAULT_NAME, "public.customers").unwrap(), "public/customers/7/rows");
        assert_eq!(stem("export", "a").unwrap(), "export");
        for stream in ["\"..\"", "\"a/b\"", "_tapline", "\"a\\\\b\""] {
            assert!(stem("{stream}/x", stream).is_err(), "{stream}");
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let lint = |keys: LayoutKeys<'_>| keys.lint();
        assert!(lint(LayoutKeys::default()).is_empty());
        for name in ["{what}", "{stream", "a}", "/a", "a//b", "../a", "_tapline/x"] {
            assert_eq!(lint(LayoutKeys { name: Some(name), ..LayoutKeys::default() }).len(), 1, "{name}");
        }
        let csv = CsvSettings { delimiter: "||".into(), header: true };
        assert_eq!(lint(LayoutKeys { format: Format::Csv, csv: Some(&csv), ..LayoutKeys::default() }).len(), 1);
        let guarded = LayoutKeys { formula_guard: true, ..LayoutKeys::default() };
        assert_eq!(lint(guarded).len(), 1);
        let diff = LayoutKeys { content: Content::Diff, name: Some("{date}"), ..LayoutKeys::default() };
        assert_eq!(lint(diff).len(), 1);
    }

    #[test]
    fn streams_have_folders_of_their_own() {
        let folder = |name: &str| own_folder(&StreamName::parse(name).unwrap());
        assert_eq!(folder("public.customers"), "_tapline/public.customers");
        assert_eq!(folder("\"public.customers\""), "_tapline/public%2ecustomers");
        assert_eq!(folder("\"../x\""), "_tapline/%2e%2e%2fx");
    }
}
