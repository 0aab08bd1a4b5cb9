//! JSON as structs, lists and other types.
//! Not here: single values at a path (`extract`).
//! Called by `json`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StringArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use datafusion::common::{Result, exec_err, plan_datafusion_err, plan_err};

use super::document::Document;
use super::extract::as_text;
use crate::sql::functions::toolkit::general::{Call, General, Plan, expect_arguments};
use crate::sql::functions::toolkit::lists::list_of_field;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(
            &["json_transform", "from_json"],
            "the JSON as the types of a structure; NULL for what does not fit",
            Transform { strict: false },
        ),
        general(
            &["json_transform_strict", "from_json_strict"],
            "the JSON as the types of a structure",
            Transform { strict: true },
        ),
    ]
}

struct Transform {
    /// Whether what does not fit is an error.
    strict: bool,
}

impl General for Transform {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_arguments(types, 2..=2)?;
        Ok(vec![DataType::Utf8; 2])
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        let Some(structure) = plan.text(1) else { return plan_err!("the structure must be a constant") };
        field_of(&Document::parse(structure)?)
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let documents = call.columns[0]
            .as_string::<i32>()
            .iter()
            .map(|text| text.map(Document::parse).transpose())
            .collect::<Result<Vec<_>>>()?;
        let documents: Vec<Option<&Document>> = documents.iter().map(Option::as_ref).collect();
        self.column(&documents, call.result)
    }
}

impl Transform {
    /// A column of the field's type.
    fn column(&self, documents: &[Option<&Document>], field: &Field) -> Result<ArrayRef> {
        let present = |document: &Option<&Document>| !matches!(document, None | Some(Document::Null));
        match field.data_type() {
            DataType::Struct(fields) => {
                let valid: Vec<bool> =
                    documents.iter().map(|document| matches!(document, Some(Document::Object(_)))).collect();
                self.refuse(documents, &valid)?;
                let columns = fields
                    .iter()
                    .map(|field| {
                        let members: Vec<_> = documents
                            .iter()
                            .map(|document| document.and_then(|document| document.member(field.name())))
                            .collect();
                        self.column(&members, field)
                    })
                    .collect::<Result<Vec<_>>>()?;
                Ok(Arc::new(StructArray::try_new_with_length(
                    fields.clone(),
                    columns,
                    Some(NullBuffer::from(valid)),
                    documents.len(),
                )?))
            }
            DataType::List(item) => {
                let valid: Vec<bool> =
                    documents.iter().map(|document| matches!(document, Some(Document::Array(_)))).collect();
                self.refuse(documents, &valid)?;
                let lists: Vec<&[Document]> = documents
                    .iter()
                    .map(|document| match document {
                        Some(Document::Array(items)) => items.as_slice(),
                        _ => &[],
                    })
                    .collect();
                let items: Vec<_> = lists.iter().flat_map(|items| items.iter().map(Some)).collect();
                let offsets = OffsetBuffer::from_lengths(lists.iter().map(|items| items.len()));
                Ok(Arc::new(ListArray::try_new(
                    Arc::clone(item),
                    offsets,
                    self.column(&items, item)?,
                    Some(NullBuffer::from(valid)),
                )?))
            }
            DataType::Map(entries, sorted) => {
                let DataType::Struct(pair) = entries.data_type() else { return plan_err!("a map has keys and values") };
                let valid: Vec<bool> =
                    documents.iter().map(|document| matches!(document, Some(Document::Object(_)))).collect();
                self.refuse(documents, &valid)?;
                let maps: Vec<&[(String, Document)]> = documents
                    .iter()
                    .map(|document| match document {
                        Some(Document::Object(members)) => members.as_slice(),
                        _ => &[],
                    })
                    .collect();
                let names: Vec<Document> = maps
                    .iter()
                    .flat_map(|members| members.iter().map(|(name, _)| Document::Text(name.clone())))
                    .collect();
                let names: Vec<_> = names.iter().map(Some).collect();
                let values: Vec<_> =
                    maps.iter().flat_map(|members| members.iter().map(|(_, value)| Some(value))).collect();
                let columns = vec![self.column(&names, &pair[0])?, self.column(&values, &pair[1])?];
                let structs = StructArray::try_new(pair.clone(), columns, None)?;
                let offsets = OffsetBuffer::from_lengths(maps.iter().map(|members| members.len()));
                Ok(Arc::new(MapArray::try_new(
                    Arc::clone(entries),
                    offsets,
                    structs,
                    Some(NullBuffer::from(valid)),
                    *sorted,
                )?))
            }
            DataType::Utf8 if is_tagged(field, "JSON") => {
                Ok(Json::build(documents.iter().map(|document| document.map(ToString::to_string)).collect()))
            }
            data_type => {
                let texts: StringArray = documents.iter().map(|document| document.and_then(as_text)).collect();
                let cast = cast_with_options(&texts, data_type, &CastOptions { safe: true, ..CastOptions::default() })?;
                if self.strict
                    && documents.iter().enumerate().any(|(row, document)| present(document) && cast.is_null(row))
                {
                    return exec_err!("a JSON value does not fit the structure");
                }
                Ok(cast)
            }
        }
    }

    fn refuse(&self, documents: &[Option<&Document>], valid: &[bool]) -> Result<()> {
        let misfit = documents
            .iter()
            .zip(valid)
            .any(|(document, valid)| !valid && !matches!(document, None | Some(Document::Null)));
        if self.strict && misfit { exec_err!("a JSON value does not fit the structure") } else { Ok(()) }
    }
}

/// The field that a structure describes.
fn field_of(structure: &Document) -> Result<Field> {
    match structure {
        Document::Object(members) => {
            let fields = members
                .iter()
                .map(|(name, structure)| Ok(field_of(structure)?.with_name(name.clone())))
                .collect::<Result<Fields>>()?;
            Ok(Field::new("", DataType::Struct(fields), true))
        }
        Document::Array(items) => match items.as_slice() {
            [item] => Ok(Field::new("", list_of_field(&field_of(item)?), true)),
            _ => plan_err!("an array of a structure has one item"),
        },
        Document::Text(name) => type_of(name),
        _ => plan_err!("a structure is made of objects, arrays and names of types"),
    }
}

/// The field of a type's name.
fn type_of(name: &str) -> Result<Field> {
    let upper = name.trim().to_uppercase();
    let unknown = || plan_datafusion_err!("the type '{name}' of a structure is not known");
    if let Some(item) = upper.strip_suffix("[]") {
        return Ok(Field::new("", list_of_field(&type_of(item)?), true));
    }
    let inside =
        |prefix: &str| upper.strip_prefix(prefix)?.trim().strip_prefix('(')?.strip_suffix(')').map(str::to_owned);
    if let Some(pair) = inside("MAP") {
        let (key, value) = pair.split_once(',').ok_or_else(unknown)?;
        let fields: Vec<FieldRef> = vec![
            Arc::new(type_of(key)?.with_name("key").with_nullable(false)),
            Arc::new(type_of(value)?.with_name("value")),
        ];
        let entries = Field::new("entries", DataType::Struct(fields.into()), false);
        return Ok(Field::new("", DataType::Map(Arc::new(entries), false), true));
    }
    if let Some(digits) = inside("DECIMAL").or_else(|| inside("NUMERIC")) {
        let (precision, scale) = digits.split_once(',').unwrap_or((&digits, "0"));
        let (precision, scale) =
            (precision.trim().parse().map_err(|_| unknown())?, scale.trim().parse().map_err(|_| unknown())?);
        return Ok(Field::new("", DataType::Decimal128(precision, scale), true));
    }
    Ok(match upper.as_str() {
        "BOOLEAN" | "BOOL" => Truth::field(),
        "TINYINT" => Int1::field(),
        "SMALLINT" => Int2::field(),
        "INTEGER" | "INT" => Int4::field(),
        "BIGINT" | "LONG" => Int::field(),
        "UTINYINT" => UInt1::field(),
        "USMALLINT" => UInt2::field(),
        "UINTEGER" => UInt4::field(),
        "UBIGINT" => UInt::field(),
        "HUGEINT" => Huge::field(),
        "FLOAT" | "REAL" => Single::field(),
        "DOUBLE" => Double::field(),
        "DECIMAL" => Field::new("", DataType::Decimal128(18, 3), true),
        "VARCHAR" | "TEXT" | "STRING" => Text::field(),
        "DATE" => Date::field(),
        "TIME" => Time::field(),
        "TIMESTAMP" | "DATETIME" => Moment::field(),
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => ZonedMoment::field(),
        "TIMESTAMP_NS" => Field::new("", DataType::Timestamp(TimeUnit::Nanosecond, None), true),
        "JSON" => Json::field(),
        "NULL" => Int4::field(),
        _ => return Err(unknown()),
    })
}
