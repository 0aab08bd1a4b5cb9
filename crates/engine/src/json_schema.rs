//! Tables as JSON Schema: what `--format json` prints of their rows, column by column.
//! Not here: printing rows (crate `tapline-core`), and the schema of the project file.
//! Called by `discover`.

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use serde_json::{Map, Value as Json, json};
use tapline_core::values::duckdb_type_name;

/// The keyword that names DuckDB's type of a value, which JSON alone does not tell.
const TYPE_NAME: &str = "x-duckdb-type";
/// The first whole number beyond those that every reader of JSON keeps exactly.
const INEXACT: i64 = 1 << 53;

/// The schema of the object that a row is.
pub(crate) fn row_schema(schema: &Schema) -> Json {
    let mut document = members(schema.fields().iter(), false);
    document.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    Json::Object(document)
}

/// An object with these members, each of which is there in every row.
fn members<'a>(fields: impl Iterator<Item = &'a FieldRef> + Clone, nested: bool) -> Map<String, Json> {
    let properties: Map<String, Json> =
        fields.clone().map(|field| (field.name().clone(), value_schema(field, nested))).collect();
    let required: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), Json::Object(properties));
    object.insert("required".to_owned(), json!(required));
    object.insert("additionalProperties".to_owned(), json!(false));
    object
}

/// A value of a column, or, `nested`, one inside of another value.
fn value_schema(field: &Field, nested: bool) -> Json {
    let name = duckdb_type_name(field);
    let mut schema = shape(field, &name, nested);
    if field.is_nullable() {
        or_null(&mut schema);
    }
    schema.insert(TYPE_NAME.to_owned(), json!(name));
    Json::Object(schema)
}

fn shape(field: &Field, name: &str, nested: bool) -> Map<String, Json> {
    use DataType::{FixedSizeList, LargeList, LargeListView, List, ListView, Struct, Union};
    let schema = match (name.split('(').next().unwrap_or(name), field.data_type()) {
        // Any JSON at all.
        ("JSON" | "VARIANT", _) => json!({}),
        ("BOOLEAN", _) => json!({"type": "boolean"}),
        ("TINYINT", _) => json!({"type": "integer", "minimum": i8::MIN, "maximum": i8::MAX}),
        ("SMALLINT", _) => json!({"type": "integer", "minimum": i16::MIN, "maximum": i16::MAX}),
        ("INTEGER", _) => json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX}),
        ("UTINYINT", _) => json!({"type": "integer", "minimum": 0, "maximum": u8::MAX}),
        ("USMALLINT", _) => json!({"type": "integer", "minimum": 0, "maximum": u16::MAX}),
        ("UINTEGER", _) => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
        ("HUGEINT" | "UHUGEINT" | "DECIMAL", _) if nested => json!({"type": "number"}),
        ("BIGINT" | "UBIGINT", _) if nested => json!({"type": "integer"}),
        ("BIGINT" | "HUGEINT", _) => {
            json!({"type": ["integer", "string"], "minimum": -INEXACT, "maximum": INEXACT, "pattern": "^-?[0-9]+$"})
        }
        ("UBIGINT" | "UHUGEINT", _) => {
            json!({"type": ["integer", "string"], "minimum": 0, "maximum": INEXACT, "pattern": "^[0-9]+$"})
        }
        ("FLOAT" | "DOUBLE", _) => json!({"type": ["number", "string"], "pattern": "^(nan|-?inf)$"}),
        ("DECIMAL", _) => json!({"type": "string", "pattern": "^-?[0-9]*(\\.[0-9]+)?$"}),
        ("DATE", _) => json!({"type": "string", "format": "date"}),
        ("UUID", _) => json!({"type": "string", "format": "uuid"}),
        (_, List(item) | LargeList(item) | ListView(item) | LargeListView(item)) => {
            json!({"type": "array", "items": value_schema(item, true)})
        }
        (_, FixedSizeList(item, length)) => {
            json!({"type": "array", "items": value_schema(item, true), "minItems": length, "maxItems": length})
        }
        (_, Struct(fields)) => return members(fields.iter(), true),
        (_, DataType::Map(entries, _)) => match entries.data_type() {
            Struct(entry) if entry.len() == 2 => {
                json!({"type": "object", "additionalProperties": value_schema(&entry[1], true)})
            }
            _ => json!({"type": "object"}),
        },
        // A union is an object with the one member that it has.
        (_, Union(fields, _)) => {
            let properties: Map<String, Json> =
                fields.iter().map(|(_, field)| (field.name().clone(), value_schema(field, true))).collect();
            json!({"type": "object", "properties": properties, "additionalProperties": false})
        }
        // Texts, and what DuckDB's cast to VARCHAR gives of all others.
        _ => json!({"type": "string"}),
    };
    match schema {
        Json::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// Allows NULL beside whatever is allowed.
fn or_null(schema: &mut Map<String, Json>) {
    match schema.get_mut("type") {
        Some(Json::Array(types)) => types.push(json!("null")),
        Some(one) => *one = json!([one.take(), "null"]),
        // Without a type, NULL is allowed already.
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow::datatypes::{Fields, TimeUnit};
    use tapline_core::values::TYPE_KEY;

    use super::*;

    fn column(data_type: DataType) -> Json {
        value_schema(&Field::new("c", data_type, false), false)
    }

    #[test]
    fn every_type_is_told_as_it_is_printed() {
        for (data_type, kind, name) in [
            (DataType::Boolean, json!("boolean"), "BOOLEAN"),
            (DataType::UInt16, json!("integer"), "USMALLINT"),
            (DataType::Int64, json!(["integer", "string"]), "BIGINT"),
            (DataType::Float32, json!(["number", "string"]), "FLOAT"),
            (DataType::Decimal128(10, 2), json!("string"), "DECIMAL(10,2)"),
            (DataType::Timestamp(TimeUnit::Nanosecond, None), json!("string"), "TIMESTAMP_NS"),
            (DataType::FixedSizeBinary(4), json!("string"), "BLOB"),
            (DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), json!("string"), "VARCHAR"),
        ] {
            let schema = column(data_type);
            assert_eq!((&schema["type"], &schema[TYPE_NAME]), (&kind, &json!(name)), "{schema}");
        }
        let uuid = Field::new("c", DataType::FixedSizeBinary(16), true)
            .with_metadata(HashMap::from([(TYPE_KEY.to_owned(), "UUID".to_owned())]));
        let expected = json!({"type": ["string", "null"], "format": "uuid", "x-duckdb-type": "UUID"});
        assert_eq!(value_schema(&uuid, false), expected);
    }

    #[test]
    fn nested_values_are_told_to_the_bottom() {
        let price = Arc::new(Field::new("price", DataType::Decimal128(5, 2), true));
        let lines = Arc::new(Field::new("item", DataType::Struct(Fields::from(vec![price])), false));
        let schema = Schema::new(vec![Field::new("lines", DataType::List(lines), true)]);
        assert_eq!(
            row_schema(&schema),
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object", "required": ["lines"], "additionalProperties": false,
                "properties": {"lines": {
                    "type": ["array", "null"], "x-duckdb-type": "STRUCT(price DECIMAL(5,2))[]",
                    "items": {
                        "type": "object", "required": ["price"], "additionalProperties": false,
                        "x-duckdb-type": "STRUCT(price DECIMAL(5,2))",
                        "properties": {"price": {"type": ["number", "null"], "x-duckdb-type": "DECIMAL(5,2)"}}
                    }
                }}
            })
        );
    }
}
