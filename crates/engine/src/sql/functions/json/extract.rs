//! Parts of JSON documents, by paths.
//! Not here: facts about documents (`inspect`).
//! Called by `json`, and by access to items.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{Result, plan_err};

use super::document::Document;
use super::path::Path;
use crate::sql::functions::toolkit::general::{Call, General, Plan, expect_arguments};
use crate::sql::functions::toolkit::lists::{Lists, item_of, list_of};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(
            &["json_extract", "json_extract_path", "->"],
            "the JSON at a path",
            Paths { part: Part::Json, alone: false },
        ),
        general(
            &["json_extract_string", "json_extract_path_text", "->>"],
            "the JSON at a path as text",
            Paths { part: Part::Text, alone: false },
        ),
        general(
            &["json_value"],
            "the value at a path, unless it is an array or object",
            Paths { part: Part::Value, alone: false },
        ),
        general(&["json_exists"], "whether there is something at a path", Paths { part: Part::Exists, alone: false }),
        general(
            &["json_array_length"],
            "how many items the array, at a path, has",
            Paths { part: Part::Length, alone: true },
        ),
        general(
            &["json_keys"],
            "the names of the members of the object, at a path",
            Paths { part: Part::Keys, alone: true },
        ),
        general(&["json_type"], "the type of the value, at a path", Paths { part: Part::Type, alone: true }),
    ]
}

/// What is asked of the value at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Json,
    Text,
    Value,
    Exists,
    Length,
    Keys,
    Type,
}

impl Part {
    fn field(self) -> Field {
        match self {
            Self::Json => Json::field(),
            Self::Text | Self::Value | Self::Type => Text::field(),
            Self::Exists => Truth::field(),
            Self::Length => UInt::field(),
            Self::Keys => ListOf::<Text>::field(),
        }
    }

    /// The answers for what paths lead to in each row.
    fn build(self, found: Vec<Option<Answer>>) -> ArrayRef {
        match self {
            Self::Json => Json::build(texts(found)),
            Self::Text | Self::Value | Self::Type => Text::build(texts(found)),
            Self::Exists => Truth::build(
                found.into_iter().map(|answer| answer.map(|answer| matches!(answer, Answer::Truth(true)))).collect(),
            ),
            Self::Length => UInt::build(
                found
                    .into_iter()
                    .map(|answer| match answer {
                        Some(Answer::Count(count)) => Some(count),
                        _ => None,
                    })
                    .collect(),
            ),
            Self::Keys => ListOf::<Text>::build(
                found
                    .into_iter()
                    .map(|answer| match answer {
                        Some(Answer::Names(names)) => Some(names.into_iter().map(Some).collect()),
                        _ => None,
                    })
                    .collect(),
            ),
        }
    }

    fn of(self, document: &Document) -> Option<Answer> {
        Some(match self {
            Self::Json => Answer::Text(document.to_string()),
            Self::Text => Answer::Text(as_text(document)?),
            Self::Value => match document {
                Document::Array(_) | Document::Object(_) => return None,
                value => Answer::Text(as_text(value)?),
            },
            Self::Exists => Answer::Truth(true),
            Self::Length => Answer::Count(match document {
                Document::Array(items) => items.len() as u64,
                _ => 0,
            }),
            Self::Keys => Answer::Names(match document {
                Document::Object(members) => members.iter().map(|(name, _)| name.clone()).collect(),
                _ => Vec::new(),
            }),
            Self::Type => Answer::Text(type_of(document).to_owned()),
        })
    }
}

/// The answer for one value.
enum Answer {
    Text(String),
    Truth(bool),
    Count(u64),
    Names(Vec<String>),
}

fn texts(found: Vec<Option<Answer>>) -> Vec<Option<String>> {
    found
        .into_iter()
        .map(|answer| match answer {
            Some(Answer::Text(text)) => Some(text),
            _ => None,
        })
        .collect()
}

/// A value as text: strings without quotes, no text for null.
pub(super) fn as_text(document: &Document) -> Option<String> {
    match document {
        Document::Null => None,
        Document::Text(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn type_of(document: &Document) -> &'static str {
    match document {
        Document::Null => "NULL",
        Document::Truth(_) => "BOOLEAN",
        Document::Natural(_) => "UBIGINT",
        Document::Negative(_) => "BIGINT",
        Document::Real(_) => "DOUBLE",
        Document::Text(_) => "VARCHAR",
        Document::Array(_) => "ARRAY",
        Document::Object(_) => "OBJECT",
    }
}

/// A function of a document and a path, or a list of paths.
struct Paths {
    part: Part,
    /// Whether it may be called without a path.
    alone: bool,
}

impl General for Paths {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_arguments(types, usize::from(!self.alone) + 1..=2)?;
        let path = match types.get(1) {
            None => return Ok(vec![DataType::Utf8]),
            Some(list) if item_of(list).is_some() => list_of(DataType::Utf8),
            Some(index) if index.is_integer() => DataType::Int64,
            Some(_) => DataType::Utf8,
        };
        Ok(vec![DataType::Utf8, path])
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        let wild = match plan.text(1) {
            Some(path) => Path::parse(path)?.is_wild(),
            None => false,
        };
        let many = wild || item_of(plan.data_type(1)).is_some();
        let one = self.part.field();
        Ok(if many { Field::new("", crate::sql::functions::toolkit::lists::list_of_field(&one), true) } else { one })
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let texts = call.columns[0].as_string::<i32>();
        let many = item_of(call.result.data_type()).is_some()
            && (self.part != Part::Keys
                || item_of(call.result.data_type()).is_some_and(|item| item_of(item.data_type()).is_some()));
        let mut last: Option<(String, Path)> = None;
        let mut path_of = |text: &str| -> Result<Path> {
            match &last {
                Some((known, path)) if known == text => Ok(path.clone()),
                _ => {
                    let path = Path::parse(text)?;
                    last = Some((text.to_owned(), path.clone()));
                    Ok(path)
                }
            }
        };
        let mut answers: Vec<Option<Answer>> = Vec::new();
        let mut lengths: Vec<Option<usize>> = Vec::with_capacity(call.rows);
        for row in 0..call.rows {
            if texts.is_null(row) || call.columns.get(1).is_some_and(|column| column.is_null(row)) {
                lengths.push(None);
                if !many {
                    answers.push(None);
                }
                continue;
            }
            let document = Document::parse(texts.value(row))?;
            let before = answers.len();
            match call.columns.get(1).map(|column| (column, column.data_type())) {
                None => answers.push(self.part.of(&document)),
                Some((column, DataType::Int64)) => {
                    let path = Path::item(column.as_primitive::<Int64Type>().value(row));
                    answers.push(self.first(&path, &document));
                }
                Some((column, DataType::Utf8)) => {
                    let path = path_of(column.as_string::<i32>().value(row))?;
                    if many {
                        answers.extend(path.find(&document).into_iter().map(|found| self.part.of(found)));
                    } else if path.is_wild() {
                        return plan_err!("a path with * must be a constant");
                    } else {
                        answers.push(self.first(&path, &document));
                    }
                }
                Some((column, _)) => {
                    let lists = Lists::new(column)?;
                    let paths = lists.items().as_string::<i32>();
                    for index in lists.range(row).into_iter().flatten() {
                        let path = path_of(paths.value(index))?;
                        answers.push(self.first(&path, &document));
                    }
                }
            }
            lengths.push(Some(answers.len() - before));
        }
        let items = self.part.build(answers);
        if !many {
            return Ok(items);
        }
        let Some(field) = item_of(call.result.data_type()) else { return plan_err!("a list is expected") };
        let offsets = arrow::buffer::OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
        let nulls = arrow::buffer::NullBuffer::from_iter(lengths.iter().map(Option::is_some));
        Ok(std::sync::Arc::new(arrow::array::ListArray::try_new(field.clone(), offsets, items, Some(nulls))?))
    }
}

impl Paths {
    fn first(&self, path: &Path, document: &Document) -> Option<Answer> {
        match path.find(document).first() {
            Some(found) => self.part.of(found),
            None if self.part == Part::Exists => Some(Answer::Truth(false)),
            None => None,
        }
    }
}

/// The member of a name, or the item at a place from 0, of each document.
pub(in crate::sql::functions) fn extract_by(documents: &ArrayRef, keys: &ArrayRef) -> Result<ArrayRef> {
    let texts = documents.as_string::<i32>();
    let found = (0..texts.len()).map(|row| -> Result<Option<String>> {
        if texts.is_null(row) || keys.is_null(row) {
            return Ok(None);
        }
        let path = match keys.as_string_opt::<i32>() {
            Some(names) => Path::parse(names.value(row))?,
            None => Path::item(keys.as_primitive::<Int64Type>().value(row)),
        };
        let document = Document::parse(texts.value(row))?;
        Ok(path.find(&document).first().map(ToString::to_string))
    });
    Ok(Json::build(found.collect::<Result<_>>()?))
}
