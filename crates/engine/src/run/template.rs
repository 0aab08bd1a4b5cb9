//! A field's Liquid template over the rows of a model.
//! Not here: the other kinds of mapping (`mapping`), the filters (`tapline_core::templates`).
//! Called by `mapping`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Fields, SchemaRef};
use liquid::model::Value;
use liquid::{Object, Template};
use tapline_core::templates::{self, TemplateFault, render_fault, syntax_fault};
use tapline_core::values::Column;
use tapline_core::{Error, Result, codes};

/// The template of one field, bound to the columns of its model.
pub(super) struct FieldTemplate {
    field: String,
    template: Template,
    columns: Vec<Used>,
}

/// A column that a template may use.
struct Used {
    /// The name that the template knows it by.
    name: String,
    /// Its place in the model.
    index: usize,
    /// Whether the template may look into its values.
    inside: bool,
    /// Whether it needs their parts, to look into them or to write them as JSON.
    whole: bool,
    /// Whether its values have keys that no other row may have.
    is_map: bool,
}

/// Parses a field's template.
///
/// # Errors
/// `MAP-002` with the place of the mistake in it.
pub(super) fn parse(field: &str, template: &str) -> Result<Template> {
    templates::parser()
        .and_then(|parser| parser.parse(template))
        .map_err(|error| fault(format!("the template of the field \"{field}\": {}", syntax_fault(&error))))
}

impl FieldTemplate {
    /// Binds a template to the columns of a model.
    ///
    /// # Errors
    /// `MAP-002` where it cannot be parsed or uses a column that does not exist.
    pub(super) fn bind(field: &str, source: &str, columns: &SchemaRef) -> Result<Self> {
        let template = parse(field, source)?;
        let mut used: Vec<Used> = Vec::new();
        let mut add = |name: &str, index: usize| {
            if !used.iter().any(|column| column.name == name) {
                let inside = ['.', '['].iter().any(|opening| source.contains(&format!("{name}{opening}")));
                let is_map = matches!(columns.field(index).data_type(), DataType::Map(_, _));
                let whole = inside || source.contains("json");
                used.push(Used { name: name.to_owned(), index, inside, whole, is_map });
            }
        };
        for (index, column) in columns.fields().iter().enumerate() {
            if source.contains(column.name().as_str()) {
                add(column.name(), index);
            }
        }
        for word in source.split(|character: char| !character.is_alphanumeric() && character != '_') {
            if let Some(index) = super::mapping::find(columns, word) {
                add(word, index);
            }
        }
        let bound = Self { field: field.to_owned(), template, columns: used };
        // A model without rows must not hide a column that does not exist. What else fails here says nothing of rows.
        let probe =
            bound.columns.iter().map(|used| (used.name.as_str(), typical(columns.field(used.index).data_type())));
        match bound.render_row(probe) {
            Err(unknown @ TemplateFault::Unknown(_)) => Err(bound.unrenderable(unknown)),
            // How many items a list has, only the rows know.
            Err(TemplateFault::Absent { value, part }) if part.parse::<i64>().is_err() => {
                Err(bound.unrenderable(TemplateFault::Unknown(format!("{value}.{part}"))))
            }
            _ => Ok(bound),
        }
    }

    /// The template's text for each row.
    ///
    /// # Errors
    /// `MAP-002` for a row whose values a filter cannot work with.
    pub(super) fn render(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let schema = batch.schema();
        let readers = self
            .columns
            .iter()
            .map(|used| {
                let (field, array) = (schema.field(used.index), batch.column(used.index));
                let column = Column::new(field, array)
                    .map_err(|error| Error::internal("reading a column for a template").because(error))?;
                Ok((used.name.as_str(), Reader { column, array, used }))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut output = StringBuilder::with_capacity(batch.num_rows(), batch.num_rows() * 16);
        for row in 0..batch.num_rows() {
            let values = readers.iter().map(|(name, reader)| (*name, reader.value(row)));
            output.append_value(self.render_row(values).map_err(|why| self.unrenderable(why))?);
        }
        Ok(Arc::new(output.finish()))
    }

    fn render_row<'a>(&self, values: impl Iterator<Item = (&'a str, Value)>) -> Result<String, TemplateFault> {
        let mut globals: Object = values.map(|(name, value)| (name.to_owned().into(), value)).collect();
        let mut nulls: Vec<String> = Vec::new();
        loop {
            let fault = match self.template.render(&globals) {
                Ok(text) => return Ok(text),
                Err(error) => render_fault(&error),
            };
            let TemplateFault::Absent { value: name, part } = &fault else { return Err(fault) };
            let Some(value) = globals.get_mut(name.as_str()) else { return Err(fault) };
            // Every part of a NULL is NULL, and so is a key that a map does not have.
            if matches!(value, Value::Nil) {
                *value = Value::Object(Object::new());
                nulls.push(name.clone());
            }
            let is_open =
                nulls.contains(name) || self.columns.iter().any(|column| column.is_map && column.name == *name);
            match value {
                Value::Object(parts) if is_open && !parts.contains_key(part.as_str()) => {
                    parts.insert(part.clone().into(), Value::Nil);
                }
                _ => return Err(fault),
            }
        }
    }

    fn unrenderable(&self, why: TemplateFault) -> Error {
        let field = &self.field;
        fault(match why {
            TemplateFault::Unknown(name) => {
                format!("the template of the field \"{field}\" uses {name}, which the model does not have")
            }
            TemplateFault::Absent { value, part } => {
                format!("the template of the field \"{field}\" cannot be rendered for a row: {value} has no {part}")
            }
            TemplateFault::Unfit(None) => format!("the template of the field \"{field}\" cannot be rendered for a row"),
            TemplateFault::Unfit(Some(why)) => {
                format!("the template of the field \"{field}\" cannot be rendered for a row: {why}")
            }
        })
    }
}

fn fault(message: String) -> Error {
    Error::new(codes::MAP_002, message)
        .hint("templates are Liquid: {{ first_name | capitalize }}; the names are columns of the model")
}

/// Reads a column as Liquid values: whole numbers, floating-point numbers and booleans as such, lists as lists, structs and
/// maps that a template looks into as objects, everything else as the text that DuckDB gives it, so that no digit is
/// lost; NULL as nil.
struct Reader<'a> {
    column: Column,
    array: &'a ArrayRef,
    used: &'a Used,
}

impl Reader<'_> {
    fn value(&self, row: usize) -> Value {
        if self.column.is_null(row) {
            return if self.used.inside { hollow(self.array.data_type()) } else { Value::Nil };
        }
        let mut written = Vec::new();
        match self.array.data_type() {
            DataType::Boolean => return Value::scalar(self.array.as_boolean().value(row)),
            nested if nested.is_nested() && (self.used.whole || is_list(nested)) => {
                self.column.json(row, &mut written);
                let json = serde_json::from_slice::<serde_json::Value>(&written).ok();
                return json.and_then(|json| liquid::model::to_value(&json).ok()).unwrap_or(Value::Nil);
            }
            _ => {}
        }
        self.column.text(row, &mut written);
        let text = String::from_utf8_lossy(&written).into_owned();
        let number = match self.array.data_type() {
            number if number.is_floating() => text.parse::<f64>().ok().map(Value::scalar),
            number if number.is_numeric() => text.parse::<i64>().ok().map(Value::scalar),
            _ => None,
        };
        number.unwrap_or_else(|| Value::scalar(text))
    }
}

fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _))
}

/// A struct whose members are NULL, down to the last.
fn hollow(data_type: &DataType) -> Value {
    match data_type {
        DataType::Struct(fields) => object(fields, &hollow),
        _ => Value::Nil,
    }
}

/// Some value of a type.
fn typical(data_type: &DataType) -> Value {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Value::Array(vec![typical(item.data_type())])
        }
        DataType::Struct(fields) => object(fields, &typical),
        DataType::Map(_, _) => Value::Object(Object::new()),
        DataType::Boolean => Value::scalar(true),
        number if number.is_numeric() => Value::scalar(1),
        _ => Value::scalar("1"),
    }
}

fn object(fields: &Fields, value: &dyn Fn(&DataType) -> Value) -> Value {
    Value::Object(fields.iter().map(|field| (field.name().clone().into(), value(field.data_type()))).collect())
}

#[cfg(test)]
mod tests {
    use arrow::array::*;
    use arrow::datatypes::{Field, Int32Type, Schema, TimeUnit, TimestampMicrosecondType};

    use super::*;

    /// One row of values and one of NULLs.
    fn rows() -> RecordBatch {
        let people = StructArray::from(vec![
            (
                Arc::new(Field::new("a", DataType::Int32, true)),
                Arc::new(Int32Array::from(vec![Some(7), None])) as ArrayRef,
            ),
            (
                Arc::new(Field::new("b", DataType::Utf8, true)),
                Arc::new(StringArray::from(vec![Some("x"), None])) as ArrayRef,
            ),
        ]);
        let (fields, members, _) = people.into_parts();
        let people = StructArray::new(fields, members, Some(vec![true, false].into()));
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        map.keys().append_value("k");
        map.values().append_value(9);
        map.append(true).unwrap();
        map.append(false).unwrap();
        let moments = PrimitiveArray::<TimestampMicrosecondType>::from(vec![Some(1_704_103_872_000_000), None]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int32Array::from(vec![Some(41), None]))),
            ("price", Arc::new(Decimal128Array::from(vec![Some(1250), None]).with_precision_and_scale(10, 2).unwrap())),
            ("ratio", Arc::new(Float64Array::from(vec![Some(1.0), None]))),
            ("big", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
            ("name", Arc::new(StringArray::from(vec![Some("ada lovelace"), None]))),
            ("d", Arc::new(Date32Array::from(vec![Some(19_723), None]))),
            ("tz", Arc::new(moments.with_timezone("UTC"))),
            ("bytes", Arc::new(BinaryArray::from(vec![Some(b"x".as_slice()), None]))),
            ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("l", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)]), None]))),
            ("s", Arc::new(people)),
            ("m", Arc::new(map.finish())),
        ];
        assert_eq!(columns[6].1.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    #[test]
    fn every_type_in_text_filters_and_conditions() {
        let batch = rows();
        for (source, of_values, of_nulls) in [
            ("{{ id | plus: 1 }}", "42", ""),
            ("{{ id | plus: 1 | default: 'none' }}", "42", "none"),
            ("{% if id > 40 %}more{% else %}less{% endif %}", "more", "less"),
            ("{{ price }}", "12.50", ""),
            ("{{ price | default: 0 }}", "12.50", "0"),
            ("{{ price | times: 2 }}", "25", ""),
            ("{% assign number = price | times: 1 %}{% if number > 9 %}dear{% endif %}", "dear", ""),
            ("{% if ratio > 0.5 %}{{ ratio }}{% endif %}", "1", ""),
            ("{{ big }}", "18446744073709551615", ""),
            ("{{ name | split: ' ' | last | capitalize }}", "Lovelace", ""),
            ("{{ d }}", "2024-01-01", ""),
            ("{{ d | date: '%d.%m.%Y' }}", "01.01.2024", ""),
            ("{{ tz }}", "2024-01-01 10:11:12+00", ""),
            ("{{ tz | date: '%H:%M' }}", "10:11", ""),
            ("{{ bytes }}", "x", ""),
            ("{{ flag }}{% if flag %}!{% endif %}", "true!", ""),
            ("{{ l }} {{ l | json }}", "12 [1,2]", " null"),
            ("{{ l | join: '+' }} {{ l | first }} {{ l | size }}", "1+2 1 2", "  0"),
            ("{{ l[1] }}{{ l[0] }}{{ l[-1] }}", "212", ""),
            ("{% for x in l %}<{{ x }}>{% endfor %}", "<1><2>", ""),
            ("{{ s }} {{ m }}", "{'a': 7, 'b': x} {k=9}", " "),
            ("{{ s | json }}", r#"{"a":7,"b":"x"}"#, "null"),
            ("{{ s.a | plus: 1 }} {{ s.b }}", "8 x", " "),
            ("{{ m.k }} {{ m.other }}{{ m['other one'] }}", "9 ", " "),
            ("{{ NAME | size }} {{ Id }}", "12 41", "0 "),
        ] {
            let bound = FieldTemplate::bind("f", source, &batch.schema()).unwrap();
            let texts = bound.render(&batch).unwrap_or_else(|error| panic!("{source}: {error}"));
            let texts: Vec<&str> = texts.as_string::<i32>().iter().flatten().collect();
            assert_eq!(texts, [of_values, of_nulls], "{source}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_reason() {
        let batch = rows();
        let bound = |source: &str| FieldTemplate::bind("f", source, &batch.schema());
        for source in ["{{ nmae }}", "{{ s.c }}", "{{ s.a.b }}"] {
            let error = bound(source).err().unwrap().to_string();
            assert!(error.contains("which the model does not have"), "{source}: {error}");
        }
        let error = bound("Hi {{ name ").err().unwrap().to_string();
        assert!(error.contains("line 1, column"), "{error}");
        let error = bound("{{ l[2] }}").unwrap().render(&batch).err().unwrap().to_string();
        assert!(error.contains("l has no 2"), "{error}");
        // Some other row may hold a number.
        let error = bound("{{ name | plus: 1 }}").unwrap().render(&batch).err().unwrap().to_string();
        assert!(error.contains("number expected") && !error.contains("ada"), "{error}");
        let none = RecordBatch::new_empty(Arc::new(Schema::new(batch.schema().fields().clone())));
        assert_eq!(bound("{{ name | plus: 1 }}").unwrap().render(&none).unwrap().len(), 0);
    }
}
