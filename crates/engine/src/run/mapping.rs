//! From the model's columns to the destination's fields: standard, static and template mappings.
//! Not here: what the fields mean at the destination.
//! Called by runs, plans and previews for every batch; by `validate` without one.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringBuilder,
    new_null_array,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use liquid::model::Value;
use liquid::{Object, Parser, ParserBuilder, Template};
use tapline_core::config::{FieldMapping, ModelConfig, SyncConfig};
use tapline_core::{Error, Result, codes};

/// The mapping of one sync, bound to the columns of its model.
pub(crate) struct Mapping {
    fields: Vec<Bound>,
    schema: SchemaRef,
    key: Vec<String>,
}

enum Bound {
    Column(usize),
    Static(serde_json::Value),
    Template { field: String, template: Template, columns: Vec<(String, usize)> },
}

impl Mapping {
    /// Binds a sync's fields to the model's columns.
    ///
    /// # Errors
    /// `MAP-001` for a column that is not there, `MAP-002` for a template that cannot be used, `KEY-003` for a key that
    /// is not mapped.
    pub(crate) fn bind(sync: &SyncConfig, model: &ModelConfig, columns: &SchemaRef) -> Result<Self> {
        let parser = parser()?;
        let (bound, fields) = match &sync.fields {
            None => {
                let bound = (0..columns.fields().len()).map(Bound::Column).collect();
                (bound, columns.fields().iter().cloned().collect::<Vec<FieldRef>>())
            }
            Some(mappings) => {
                let mut bound = Vec::with_capacity(mappings.len());
                let mut fields = Vec::with_capacity(mappings.len());
                for (name, mapping) in mappings {
                    let (binding, field) = bind_field(&parser, name, mapping, columns)?;
                    bound.push(binding);
                    fields.push(field);
                }
                (bound, fields)
            }
        };
        if let Some(twice) = duplicate(&fields) {
            return Err(Error::new(codes::MAP_001, format!("two columns of the model are called \"{twice}\""))
                .hint("give one of them another name with AS"));
        }
        let key = key_fields(sync, model, columns)?;
        Ok(Self { fields: bound, schema: Arc::new(Schema::new(fields)), key })
    }

    /// The destination fields, with their Arrow types.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The fields that hold the primary key, in the order of the model's `primary_key`.
    pub(crate) fn key(&self) -> &[String] {
        &self.key
    }

    /// The model's columns that the key fields take their values from.
    pub(crate) fn key_columns(&self) -> Option<Vec<usize>> {
        let column = |name: &String| match &self.fields[self.schema.index_of(name).ok()?] {
            Bound::Column(index) => Some(*index),
            _ => None,
        };
        self.key.iter().map(column).collect()
    }

    /// Maps some rows.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let columns = self
            .fields
            .iter()
            .map(|field| match field {
                Bound::Column(index) => Ok(Arc::clone(batch.column(*index))),
                Bound::Static(value) => Ok(repeat(value, rows)),
                Bound::Template { field, template, columns } => render_all(field, template, columns, batch),
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::internal("mapping rows").because(error))
    }
}

/// What is wrong with a sync without knowing the model's columns: templates that do not parse, keys that are not mapped.
pub fn validate_job(sync: &SyncConfig, model: &ModelConfig) -> Vec<Error> {
    let mut errors = Vec::new();
    let Some(mappings) = &sync.fields else { return errors };
    match parser() {
        Ok(parser) => {
            for (name, mapping) in mappings {
                if let FieldMapping::Template { template } = mapping
                    && let Err(error) = parser.parse(template)
                {
                    errors.push(template_error(name, &error));
                }
            }
        }
        Err(error) => errors.push(error),
    }
    for key in &model.primary_key {
        let mapped = mappings
            .values()
            .any(|mapping| matches!(mapping, FieldMapping::Column(column) if column.eq_ignore_ascii_case(key)));
        if !mapped {
            errors.push(key_not_mapped(key));
        }
    }
    errors
}

/// Whether a template reads the clock, so that the same row may map to other values tomorrow.
pub(crate) fn reads_clock(sync: &SyncConfig) -> bool {
    sync.fields.iter().flat_map(|fields| fields.values()).any(|mapping| {
        matches!(mapping, FieldMapping::Template { template } if template.contains("now") || template.contains("today"))
    })
}

fn parser() -> Result<Parser> {
    ParserBuilder::with_stdlib().build().map_err(|error| Error::internal("preparing templates").because(error))
}

fn key_not_mapped(key: &str) -> Error {
    Error::new(codes::KEY_003, format!("the primary key column \"{key}\" is not mapped to a field"))
        .hint(format!("add `{key}: {key}` to the sync's fields"))
}

fn bind_field(parser: &Parser, name: &str, mapping: &FieldMapping, columns: &SchemaRef) -> Result<(Bound, FieldRef)> {
    Ok(match mapping {
        FieldMapping::Column(column) => {
            let index = find(columns, column).ok_or_else(|| unknown_column(name, column, columns))?;
            let field = columns.field(index).clone().with_name(name);
            (Bound::Column(index), Arc::new(field))
        }
        FieldMapping::Static { value } => {
            let data_type = match value {
                serde_json::Value::Bool(_) => DataType::Boolean,
                serde_json::Value::Number(number) if number.is_i64() => DataType::Int64,
                serde_json::Value::Number(_) => DataType::Float64,
                _ => DataType::Utf8,
            };
            (Bound::Static(value.clone()), Arc::new(Field::new(name, data_type, true)))
        }
        FieldMapping::Template { template } => {
            let parsed = parser.parse(template).map_err(|error| template_error(name, &error))?;
            let used = columns
                .fields()
                .iter()
                .enumerate()
                .filter(|(_, field)| template.contains(field.name().as_str()))
                .map(|(index, field)| (field.name().clone(), index))
                .collect();
            let bound = Bound::Template { field: name.to_owned(), template: parsed, columns: used };
            // A model without rows must not hide a column that does not exist.
            if let Bound::Template { field, template, columns: used } = &bound {
                let nulls: Vec<ArrayRef> =
                    columns.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
                let fields: Vec<FieldRef> =
                    columns.fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect();
                let options = RecordBatchOptions::new().with_row_count(Some(1));
                let probe = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), nulls, &options)
                    .map_err(|error| Error::internal("checking a template").because(error))?;
                render_all(field, template, used, &probe)?;
            }
            (bound, Arc::new(Field::new(name, DataType::Utf8, true)))
        }
    })
}

fn key_fields(sync: &SyncConfig, model: &ModelConfig, columns: &SchemaRef) -> Result<Vec<String>> {
    model
        .primary_key
        .iter()
        .map(|key| {
            let index = find(columns, key).ok_or_else(|| {
                let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
                Error::new(codes::KEY_003, format!("the model has no column \"{key}\", which its primary_key names"))
                    .hint(format!("columns: {}", names.join(", ")))
            })?;
            let column = columns.field(index).name();
            match &sync.fields {
                None => Ok(column.clone()),
                Some(mappings) => mappings
                    .iter()
                    .find(|(_, mapping)| matches!(mapping, FieldMapping::Column(name) if find(columns, name) == Some(index)))
                    .map(|(field, _)| field.clone())
                    .ok_or_else(|| key_not_mapped(key)),
            }
        })
        .collect()
}

/// The column of this name: exactly, else in any case.
pub(crate) fn find(columns: &SchemaRef, name: &str) -> Option<usize> {
    columns
        .index_of(name)
        .ok()
        .or_else(|| columns.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name)))
}

fn unknown_column(field: &str, column: &str, columns: &SchemaRef) -> Error {
    let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
    Error::new(
        codes::MAP_001,
        format!("the field \"{field}\" takes the column \"{column}\", which the model does not have"),
    )
    .hint(format!("columns: {}", names.join(", ")))
}

fn duplicate(fields: &[FieldRef]) -> Option<&str> {
    fields
        .iter()
        .enumerate()
        .find(|(index, field)| fields[..*index].iter().any(|before| before.name() == field.name()))
        .map(|(_, field)| field.name().as_str())
}

fn template_error(field: &str, error: &liquid::Error) -> Error {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let message = lines.first().map_or("", |line| line.strip_prefix("liquid: ").unwrap_or(line));
    Error::new(codes::MAP_002, format!("the template of the field \"{field}\": {}", message.to_lowercase()))
        .hint("templates are Liquid: {{ first_name | capitalize }}; the names are columns of the model")
}

fn repeat(value: &serde_json::Value, rows: usize) -> ArrayRef {
    match value {
        serde_json::Value::Bool(flag) => Arc::new(BooleanArray::from(vec![*flag; rows])),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Arc::new(Int64Array::from_value(number, rows)),
            None => Arc::new(Float64Array::from_value(number.as_f64().unwrap_or(f64::NAN), rows)),
        },
        serde_json::Value::String(text) => {
            Arc::new(arrow::array::StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
        }
        _ => new_null_array(&DataType::Utf8, rows),
    }
}

fn render_all(field: &str, template: &Template, columns: &[(String, usize)], batch: &RecordBatch) -> Result<ArrayRef> {
    let readers = columns
        .iter()
        .map(|(name, index)| Ok((name.as_str(), Reader::new(batch.column(*index).as_ref())?)))
        .collect::<Result<Vec<_>>>()?;
    let mut output = StringBuilder::with_capacity(batch.num_rows(), batch.num_rows() * 16);
    for row in 0..batch.num_rows() {
        let mut object = Object::new();
        for (name, reader) in &readers {
            object.insert((*name).to_owned().into(), reader.value(row));
        }
        let text = template.render(&object).map_err(|error| unknown_variable(field, &error))?;
        output.append_value(text);
    }
    Ok(Arc::new(output.finish()))
}

/// A template's failure while it renders, without the values that Liquid's own message may quote.
fn unknown_variable(field: &str, error: &liquid::Error) -> Error {
    let text = error.to_string();
    let variable = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("requested variable="))
        .filter(|_| text.contains("Unknown variable"));
    let message = match variable {
        Some(name) => format!("the template of the field \"{field}\" uses {name}, which the model does not have"),
        None => format!("the template of the field \"{field}\" cannot be rendered"),
    };
    Error::new(codes::MAP_002, message)
        .hint("templates are Liquid: {{ first_name | capitalize }}; the names are columns of the model")
}

/// Reads a column as Liquid values: numbers and booleans as such, everything else as its text; NULL as nil.
enum Reader<'a> {
    Integer(&'a arrow::array::PrimitiveArray<Int64Type>),
    Float(&'a arrow::array::PrimitiveArray<Float64Type>),
    Boolean(&'a BooleanArray),
    Text(&'a dyn Array, ArrayFormatter<'a>),
}

impl<'a> Reader<'a> {
    fn new(array: &'a dyn Array) -> Result<Self> {
        const OPTIONS: FormatOptions<'static> = FormatOptions::new()
            .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));
        Ok(match array.data_type() {
            DataType::Int64 => Self::Integer(array.as_primitive()),
            DataType::Float64 => Self::Float(array.as_primitive()),
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            _ => Self::Text(
                array,
                ArrayFormatter::try_new(array, &OPTIONS)
                    .map_err(|error| Error::internal("reading a column for a template").because(error))?,
            ),
        })
    }

    fn value(&self, row: usize) -> Value {
        match self {
            Self::Integer(array) if array.is_valid(row) => Value::scalar(array.value(row)),
            Self::Float(array) if array.is_valid(row) => Value::scalar(array.value(row)),
            Self::Boolean(array) if array.is_valid(row) => Value::scalar(array.value(row)),
            Self::Text(array, formatter) if array.is_valid(row) => Value::scalar(formatter.value(row).to_string()),
            _ => Value::Nil,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    fn sync(fields: &str) -> SyncConfig {
        serde_json::from_str(&format!(
            r#"{{"model": "m", "destination": "d", "stream": "s", "mode": "incremental", "fields": {fields}}}"#
        ))
        .unwrap()
    }

    fn model() -> ModelConfig {
        serde_json::from_str(r#"{"source": "s", "sql": "SELECT 1", "primary_key": "id"}"#).unwrap()
    }

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            ("id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef, true),
            ("name", Arc::new(StringArray::from(vec![Some("ada"), None])) as ArrayRef, true),
        ])
        .unwrap()
    }

    #[test]
    fn standard_static_and_template_fields() {
        let sync = sync(
            r#"{"key": "id", "origin": {"value": "s3"}, "hello": {"template": "Hi {{ name | capitalize }} {{ id }}"}}"#,
        );
        let mapping = Mapping::bind(&sync, &model(), &batch().schema()).unwrap();
        assert_eq!(mapping.key(), ["key"]);
        let mapped = mapping.apply(&batch()).unwrap();
        let texts: Vec<&str> = mapped.column(2).as_string::<i32>().iter().flatten().collect();
        assert_eq!(texts, ["Hi Ada 1", "Hi  2"]);
        assert_eq!(mapped.column(1).as_string::<i32>().value(1), "s3");
    }

    #[test]
    fn unknown_columns_are_errors_even_without_rows() {
        for (fields, code) in [
            (r#"{"id": "id", "x": "nmae"}"#, "MAP-001"),
            (r#"{"id": "id", "x": {"template": "{{ nmae }}"}}"#, "MAP-002"),
            (r#"{"id": "id", "x": {"template": "{{ name "}}"#, "MAP-002"),
            (r#"{"x": "name"}"#, "KEY-003"),
        ] {
            let error = Mapping::bind(&sync(fields), &model(), &batch().schema()).err().unwrap();
            assert_eq!(error.code().id, code, "{fields}: {error}");
        }
    }
}
