//! Finds out how a table's files are written and what their columns are, from samples of them.
//! Reading values happens elsewhere; here candidates are compared and choices are explained.
//! Called once per table before its first scan; the result is pinned (see [`TableFormat`]).

mod candidates;
mod cells;
mod infer;
mod parsed;
mod structure;

use std::collections::HashSet;

use encoding_rs::Encoding;

use crate::dialect::{CsvColumn, Dialect, TableFormat};
use crate::encoding;
use crate::error::CsvError;
use crate::names::{NameIndex, column_names, normalized_name, positional_name};
use crate::options::{ColumnTypes, CsvOptions, TypeSettings};
use crate::scanner::{FieldKind, Syntax};
use crate::temporal::TemporalFormat;
use crate::types::CsvType;
use candidates::choose_dialect;
use infer::{Evidence, Rules};
use parsed::Parsed;
use structure::Structure;

/// Rows looked at per file, unless `sample_size` says otherwise.
const SAMPLE_ROWS: usize = 20_480;
/// `sample_size` counts in steps of so many rows, as in DuckDB, and a started step is taken.
const SAMPLE_STEP: usize = 2048;

/// The start of a file, already decompressed, still in its own encoding.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The file's name, for messages.
    pub name: &'a str,
    /// Its first bytes; 1 MiB is plenty.
    pub bytes: &'a [u8],
    /// The bytes are the whole file.
    pub complete: bool,
}

/// What was found out about a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// How to read it.
    pub format: TableFormat,
    /// Each choice and what spoke for it, in sentences for people.
    pub reasons: Vec<String>,
    /// Every row of the samples was looked at, so that no type is too narrow for them.
    pub all_rows: bool,
}

/// Detects dialect and columns of a table from samples of its files, in the files' order. What the options set is not questioned.
///
/// # Errors
/// [`CsvError::Setting`] where a setting cannot be used, [`CsvError::MissingColumn`] where a file lacks a column of the first file and
/// `union_by_name` is not set.
pub fn detect(samples: &[Sample<'_>], options: &CsvOptions) -> Result<Detection, CsvError> {
    options.validate()?;
    for pattern in options.dateformat.iter().chain(&options.timestampformat) {
        if !TemporalFormat::is_valid(pattern) {
            return Err(crate::options::setting(
                "dateformat",
                format!("{pattern:?} is not a strptime format, such as %d.%m.%Y"),
            ));
        }
    }
    let mut reasons = Vec::new();
    let encoding = choose_encoding(samples, options, &mut reasons)?;
    let texts: Vec<Text<'_>> = samples
        .iter()
        .map(|sample| Text {
            name: sample.name,
            bytes: encoding::to_utf8(sample.bytes, encoding, sample.complete),
            complete: sample.complete,
        })
        .collect();
    let rows = match options.sample_size {
        Some(rows) if rows > 0 => {
            (usize::try_from(rows).unwrap_or(usize::MAX) / SAMPLE_STEP).saturating_add(1).saturating_mul(SAMPLE_STEP)
        }
        Some(_) => usize::MAX,
        None => SAMPLE_ROWS,
    };
    skip_leaves_lines(&texts, options)?;
    let rules = Rules::new(options)?;
    let look = |texts: &[Text<'_>], reasons: &mut Vec<String>| {
        let mut dialect = choose_dialect(texts, options, encoding::name_of(encoding), reasons);
        let mut structure = structure::find(texts, &mut dialect, options, &rules, rows, reasons);
        if structure.title_first && starts_where_told(options) {
            reasons.push("one column: skip says where the table begins, and that line has one field".to_owned());
            (dialect.delimiter, dialect.quote, dialect.escape) = (String::new(), None, None);
            structure = structure::find(texts, &mut dialect, options, &rules, rows, &mut Vec::new());
        }
        (dialect, structure)
    };
    let (mut dialect, mut structure) = look(&texts, &mut reasons);
    let mut others = Vec::new();
    if options.union_by_name == Some(true) && options.delim.is_none() {
        // Together, files of several delimiters look like those that have most to show.
        let mut written: Vec<(Dialect, Structure)> = Vec::with_capacity(texts.len());
        for text in texts.iter().map(std::slice::from_ref) {
            let mut shared = (dialect.clone(), Structure::default());
            shared.1 = structure::find(text, &mut shared.0, options, &rules, rows, &mut Vec::new());
            let own = look(text, &mut Vec::new());
            written.push(if shared.1.width == 1 && own.1.width > 1 { own } else { shared });
        }
        if written.iter().any(|(other, _)| other.delimiter != dialect.delimiter) {
            (dialect, structure) = written[0].clone();
            others = texts.iter().zip(&written).map(|(text, (own, _))| (text.name.to_owned(), own.clone())).collect();
            others.retain(|(_, other)| *other != dialect);
            reasons.push(format!("{} of {} files are written otherwise", others.len(), texts.len()));
        }
    }
    let source = Source {
        texts: &texts,
        dialect: &dialect,
        others: &others,
        structure: &structure,
        options,
        rules: &rules,
        rows,
    };
    let (columns, all_rows) = match &options.columns {
        Some(schema) => (source.declared_columns(schema, &mut reasons)?, true),
        None => source.columns(&mut reasons)?,
    };
    Ok(Detection { format: TableFormat { dialect, columns, others }, reasons, all_rows })
}

/// Which marks of its dialect a sample makes use of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Some value is quoted.
    pub quotes: bool,
    /// Some quoted value holds an escaped quote.
    pub escapes: bool,
}

impl Usage {
    pub(crate) fn of(sample: Sample<'_>, format: &TableFormat, options: &CsvOptions) -> Usage {
        let Ok(encoding) = encoding::by_label(&format.dialect.encoding) else { return Usage::default() };
        let bytes = encoding::to_utf8(sample.bytes, encoding, sample.complete);
        let syntax = Syntax::new(&format.dialect, format.columns.len(), options);
        let parsed = Parsed::new(&bytes, &syntax, sample.complete, format.dialect.skip, SAMPLE_ROWS);
        let kinds = || parsed.records.iter().flat_map(|line| parsed.fields(line)).map(|field| field.kind);
        let escapes = kinds().any(|kind| kind == FieldKind::Escaped);
        Usage { quotes: escapes || kinds().any(|kind| kind == FieldKind::Quoted), escapes }
    }
}

/// A sample as UTF-8.
pub(crate) struct Text<'a> {
    name: &'a str,
    bytes: Vec<u8>,
    complete: bool,
}

fn choose_encoding(
    samples: &[Sample<'_>],
    options: &CsvOptions,
    reasons: &mut Vec<String>,
) -> Result<&'static Encoding, CsvError> {
    if let Some(label) = &options.encoding {
        let encoding = encoding::by_label(label)?;
        reasons.push(format!("encoding {}: set", encoding::name_of(encoding)));
        return Ok(encoding);
    }
    if options.auto_detect == Some(false) {
        reasons.push("encoding utf-8: auto_detect is off".to_owned());
        return Ok(encoding_rs::UTF_8);
    }
    let guesses: Vec<_> = samples.iter().map(|sample| encoding::guess(sample.bytes, sample.complete)).collect();
    // Files of plain ASCII fit any choice, so the first file that needs another encoding decides.
    let chosen = guesses.iter().find(|(encoding, _)| *encoding != encoding_rs::UTF_8).or(guesses.first());
    let (encoding, reason) = chosen.cloned().unwrap_or((encoding_rs::UTF_8, "encoding utf-8".to_owned()));
    reasons.push(reason);
    Ok(encoding)
}

/// More lines to skip than there are is a mistake worth an error; a file of nothing is not.
fn skip_leaves_lines(texts: &[Text<'_>], options: &CsvOptions) -> Result<(), CsvError> {
    let Some(skip) = options.skip.filter(|_| options.columns.is_none()) else { return Ok(()) };
    let lines = |text: &Text<'_>| text.bytes.split_inclusive(|byte| *byte == b'\n').count() as u64;
    let longest = texts.iter().map(lines).max().unwrap_or(0);
    if longest > 0 && longest < skip && texts.iter().all(|text| text.complete && !text.bytes.contains(&b'\r')) {
        return Err(crate::options::setting("skip", format!("{skip} lines are to be skipped of {longest}")));
    }
    Ok(())
}

/// The line at which the table begins is given, and nothing that tells its columns.
fn starts_where_told(options: &CsvOptions) -> bool {
    let told = [options.delim.is_some(), options.columns.is_some(), options.names.is_some(), options.types.is_some()];
    options.skip.is_some()
        && options.header != Some(true)
        && options.null_padding != Some(true)
        && options.auto_detect != Some(false)
        && !told.contains(&true)
}

/// All that the columns are found out from.
struct Source<'a> {
    texts: &'a [Text<'a>],
    dialect: &'a Dialect,
    /// The dialects of files that have another one.
    others: &'a [(String, Dialect)],
    structure: &'a Structure,
    options: &'a CsvOptions,
    rules: &'a Rules,
    rows: usize,
}

/// Column names as the files know them, with what their values have in common.
struct Gathered {
    names: Vec<String>,
    evidence: Vec<Evidence>,
    all_rows: bool,
}

impl Source<'_> {
    /// The columns of a schema that the settings give in full. The samples tell how its dates are spelled where the settings do not.
    fn declared_columns(&self, schema: &ColumnTypes, reasons: &mut Vec<String>) -> Result<Vec<CsvColumn>, CsvError> {
        reasons.push(format!("{} columns: set", schema.0.len()));
        let column = |(name, type_name): &(String, String)| {
            Ok(CsvColumn::declared(name.clone(), CsvType::parse(type_name)?, self.options))
        };
        let mut columns = schema.0.iter().map(column).collect::<Result<Vec<_>, CsvError>>()?;
        let unformatted = |column: &CsvColumn| {
            column.format.is_none() && (column.data_type == CsvType::Date || column.data_type.is_moment())
        };
        if self.options.auto_detect != Some(false) && columns.iter().any(unformatted) {
            let gathered = self.gather(false)?;
            for (column, evidence) in columns.iter_mut().zip(&gathered.evidence) {
                if unformatted(column) {
                    column.format = evidence.format_as(column.data_type, self.rules);
                }
            }
        }
        Ok(columns)
    }

    /// The columns, and whether all rows were looked at for them.
    fn columns(&self, reasons: &mut Vec<String>) -> Result<(Vec<CsvColumn>, bool), CsvError> {
        let mut gathered = self.gather(false)?;
        let text_first =
            gathered.evidence.first().is_some_and(|first| first.conclude(self.rules).0 == CsvType::Varchar);
        if self.dialect.may_mark_rows() && text_first {
            // What looks like a comment may be a row whose first value begins with the mark.
            gathered = self.gather(true)?;
        }
        let Gathered { names: header_names, evidence, all_rows } = gathered;
        let mut names = header_names.clone();
        if self.options.normalize_names == Some(true) {
            let count = names.len();
            let blank = |position, name: &str| self.dialect.header && *name == positional_name(position, count);
            let normalized = |(position, name): (usize, &String)| {
                if blank(position, name) { "_".to_owned() } else { normalized_name(name) }
            };
            names = column_names(names.iter().enumerate().map(normalized).collect());
        }
        if let Some(given) = &self.options.names {
            let padding = self.options.null_padding == Some(true);
            if given.len() > names.len() && !padding {
                return Err(crate::options::setting(
                    "names",
                    format!("{} names are given for {} columns", given.len(), names.len()),
                ));
            }
            names.splice(..given.len().min(names.len()), given.iter().take(names.len()).cloned());
            names = column_names(names);
        }
        let mut columns = Vec::with_capacity(names.len());
        let mut ambiguous = Vec::new();
        let all_text = self.options.all_varchar == Some(true) || self.options.auto_detect == Some(false);
        for (position, ((name, header_name), evidence)) in names.into_iter().zip(header_names).zip(evidence).enumerate()
        {
            let declared = self.options.declared_type(&name, position)?;
            let (data_type, format) = match declared {
                Some(data_type) => {
                    let given = data_type.format_in(self.options);
                    (data_type, given.or_else(|| evidence.format_as(data_type, self.rules)))
                }
                None if all_text => (CsvType::Varchar, None),
                None => evidence.conclude(self.rules),
            };
            if declared.is_none() && !all_text && evidence.is_ambiguous_date(self.rules) {
                ambiguous.push(name.clone());
            }
            let header_name = (header_name != name && self.dialect.header).then_some(header_name);
            let declared = declared.is_some() || (data_type == CsvType::TimestampTz && evidence.mixes_zones());
            columns.push(CsvColumn { name, header_name, data_type, format, declared });
        }
        if !ambiguous.is_empty() {
            reasons.push(format!(
                "text instead of dates in {}: day and month cannot be told apart; dateformat settles it",
                ambiguous.join(", ")
            ));
        }
        superfluous_types(self.options, &columns)?;
        superfluous_names(self.options, &columns)?;
        Ok((columns, all_rows))
    }

    /// Looks at the rows of all samples; lines that begin with a detected comment mark count if `comment_rows`.
    fn gather(&self, comment_rows: bool) -> Result<Gathered, CsvError> {
        let mut names = self.structure.names.clone();
        let mut known = NameIndex::new(&names);
        let mut evidence = vec![Evidence::default(); names.len()];
        let mut scratch = Vec::new();
        let mut all_rows = true;
        let sniffed = self.options.sniffed_files().unwrap_or(usize::MAX);
        for (number, text) in self.texts.iter().enumerate() {
            let other = self.others.iter().find(|(name, _)| name == text.name);
            let dialect = other.map_or(self.dialect, |(_, dialect)| dialect);
            let mark = dialect.comment.as_ref().filter(|_| dialect.comment_detected && !comment_rows);
            let syntax = Syntax::new(dialect, self.structure.width, self.options);
            let parsed = Parsed::new(&text.bytes, &syntax, text.complete, dialect.skip, self.rows);
            all_rows &= parsed.records.len() < self.rows;
            let body = structure::body(&parsed, dialect);
            let (positions, width) = match body.header.as_slice() {
                header if header.is_empty() || self.options.columns.is_some() => {
                    ((0..names.len()).map(Some).collect(), self.structure.width)
                }
                header => {
                    let found = column_names(structure::header_cells(&parsed, header, self.structure.width));
                    if self.options.union_by_name == Some(true) {
                        for (position, name) in found.iter().enumerate() {
                            let blank = *name == positional_name(position, found.len());
                            if !blank && known.find(name).is_none() {
                                known.insert(name, names.len());
                                names.push(name.clone());
                                evidence.push(Evidence::default());
                            }
                        }
                    }
                    (self.positions(text.name, &names, &found)?, found.len())
                }
            };
            if number >= sniffed {
                continue;
            }
            for line in body
                .rows
                .into_iter()
                .filter(|line| mark.is_none_or(|mark| !parsed.data[line.start..].starts_with(mark.as_bytes())))
            {
                let fields = parsed.fields(line);
                let surplus = fields.get(width..).unwrap_or_default();
                let short = fields.len() < width && self.options.null_padding != Some(true);
                if short || (self.options.is_strict() && !surplus.iter().all(|field| field.is_blank())) {
                    continue;
                }
                for (evidence, position) in evidence.iter_mut().zip(&positions) {
                    if let Some(field) = position.and_then(|position| fields.get(position)) {
                        evidence.add(parsed.text(*field, &mut scratch), field.kind, self.rules);
                    }
                }
            }
        }
        Ok(Gathered { names, evidence, all_rows })
    }

    /// Where a file has the table's columns.
    fn positions(&self, file: &str, names: &[String], found: &[String]) -> Result<Vec<Option<usize>>, CsvError> {
        let mut index = NameIndex::new(found);
        let nameless = |position: &usize| found[*position] == positional_name(*position, found.len());
        (0..found.len()).filter(nameless).for_each(|position| index.insert_nameless(position));
        let positions: Vec<Option<usize>> = names.iter().map(|name| index.find(name)).collect();
        match positions.iter().position(Option::is_none) {
            Some(column) if self.options.union_by_name != Some(true) => {
                Err(CsvError::MissingColumn { file: file.to_owned(), column: names[column].clone() })
            }
            _ => Ok(positions),
        }
    }
}

/// As little as a column that is to hold no NULL.
fn superfluous_names(options: &CsvOptions, columns: &[CsvColumn]) -> Result<(), CsvError> {
    let forced = options.force_not_null.as_ref().map(|names| names.as_slice()).unwrap_or_default();
    let known = |name: &&String| columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    match forced.iter().find(|name| !known(name)) {
        Some(name) => Err(crate::options::setting("force_not_null", format!("there is no column {name:?}"))),
        None => Ok(()),
    }
}

/// A declared type for a column that does not exist is a mistake worth an error.
fn superfluous_types(options: &CsvOptions, columns: &[CsvColumn]) -> Result<(), CsvError> {
    let types = match &options.types {
        None => return Ok(()),
        Some(TypeSettings::ByPosition(types)) if types.len() > columns.len() => {
            let message = format!("{} types are given for {} columns", types.len(), columns.len());
            return Err(crate::options::setting("types", message));
        }
        Some(TypeSettings::ByPosition(_)) => return Ok(()),
        Some(TypeSettings::ByName(types)) => types,
    };
    let known: HashSet<String> = columns.iter().map(|column| column.name.to_lowercase()).collect();
    match types.0.iter().find(|(name, _)| !known.contains(&name.to_lowercase())) {
        Some((name, _)) => Err(crate::options::setting("types", format!("there is no column {name:?}"))),
        None => Ok(()),
    }
}
