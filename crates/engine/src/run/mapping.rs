//! From the model's columns to the destination's fields: standard, static and template mappings.
//! Not here: what the fields mean at the destination.
//! Called by runs, plans and previews for every batch; by `validate` without one.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use tapline_core::config::{FieldMapping, ModelConfig, SyncConfig};
use tapline_core::{Error, Result, codes};

use super::template::{self, FieldTemplate};

/// The mapping of one sync, bound to the columns of its model.
pub(crate) struct Mapping {
    fields: Vec<Bound>,
    schema: SchemaRef,
    key: Vec<String>,
}

enum Bound {
    Column(usize),
    Static(serde_json::Value),
    Template(FieldTemplate),
}

impl Mapping {
    /// Binds a sync's fields to the model's columns.
    ///
    /// # Errors
    /// `MAP-001` for a column that is not there, `MAP-002` for a template that cannot be used, `KEY-003` for a key that
    /// is not mapped.
    pub(crate) fn bind(sync: &SyncConfig, model: &ModelConfig, columns: &SchemaRef) -> Result<Self> {
        let (bound, fields) = match &sync.fields {
            None => {
                let bound = (0..columns.fields().len()).map(Bound::Column).collect();
                (bound, columns.fields().iter().cloned().collect::<Vec<FieldRef>>())
            }
            Some(mappings) => {
                let mut bound = Vec::with_capacity(mappings.len());
                let mut fields = Vec::with_capacity(mappings.len());
                for (name, mapping) in mappings {
                    let (binding, field) = bind_field(name, mapping, columns)?;
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
                Bound::Template(template) => template.render(batch),
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
    for (name, mapping) in mappings {
        if let FieldMapping::Template { template } = mapping {
            errors.extend(template::parse(name, template).err());
        }
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

fn key_not_mapped(key: &str) -> Error {
    Error::new(codes::KEY_003, format!("the primary key column \"{key}\" is not mapped to a field"))
        .hint(format!("add `{key}: {key}` to the sync's fields"))
}

fn bind_field(name: &str, mapping: &FieldMapping, columns: &SchemaRef) -> Result<(Bound, FieldRef)> {
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
            let template = FieldTemplate::bind(name, template, columns)?;
            (Bound::Template(template), Arc::new(Field::new(name, DataType::Utf8, true)))
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

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringArray};

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
