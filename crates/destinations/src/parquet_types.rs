//! What Parquet calls types that Arrow's alone do not tell: UUID on 16 bytes, JSON on texts.
//! Not here: which fields carry such a name (`tapline_core::values`).
//! Called by everything that writes Parquet files for others to read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::LogicalType;
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::{BasicTypeInfo, SchemaDescriptor, Type, TypePtr};
use tapline_core::values::duckdb_type_name;

/// The options of a writer whose files name the types of their columns, of lists' items and of members too.
///
/// # Errors
/// A type that Parquet does not have.
pub fn writer_options(schema: &Schema, properties: WriterProperties) -> Result<ArrowWriterOptions> {
    let plain = ArrowSchemaConverter::new().with_coerce_types(properties.coerce_types()).convert(schema)?;
    let root = plain.root_schema();
    let columns = named(schema.fields(), root.get_fields())?;
    let root = Type::group_type_builder(root.name()).with_fields(columns).build()?;
    let options = ArrowWriterOptions::new().with_properties(properties);
    Ok(options.with_parquet_schema(SchemaDescriptor::new(Arc::new(root))))
}

fn named(fields: &[FieldRef], types: &[TypePtr]) -> Result<Vec<TypePtr>> {
    fields.iter().zip(types).map(|(field, plain)| named_type(field, plain)).collect()
}

fn named_type(field: &Field, plain: &TypePtr) -> Result<TypePtr> {
    match (field.data_type(), plain.as_ref()) {
        (DataType::Struct(members), Type::GroupType { basic_info, fields }) => {
            Ok(group(basic_info, named(members, fields)?))
        }
        // The values are in a group that is repeated: `list` with the items, or `key_value` with keys and values.
        (_, Type::GroupType { basic_info, fields }) => match (inner(field.data_type()), fields.as_slice()) {
            (Some(items), [repeated]) => {
                let Type::GroupType { basic_info: repeated, fields } = repeated.as_ref() else {
                    return Ok(Arc::clone(plain));
                };
                Ok(group(basic_info, vec![group(repeated, named(&items, fields)?)]))
            }
            _ => Ok(Arc::clone(plain)),
        },
        (_, Type::PrimitiveType { basic_info, physical_type, type_length, .. }) => {
            let Some(logical) = logical_type(field) else { return Ok(Arc::clone(plain)) };
            let named = Type::primitive_type_builder(basic_info.name(), *physical_type)
                .with_repetition(basic_info.repetition())
                .with_id(basic_info.has_id().then(|| basic_info.id()))
                .with_length(*type_length)
                .with_logical_type(Some(logical));
            Ok(Arc::new(named.build()?))
        }
    }
}

fn group(basic_info: &BasicTypeInfo, fields: Vec<TypePtr>) -> TypePtr {
    Arc::new(Type::GroupType { basic_info: basic_info.clone(), fields })
}

/// What a list or a map repeats.
fn inner(data_type: &DataType) -> Option<Vec<FieldRef>> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(vec![Arc::clone(item)])
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(members) => Some(members.to_vec()),
            _ => None,
        },
        _ => None,
    }
}

fn logical_type(field: &Field) -> Option<LogicalType> {
    let stored = match field.data_type() {
        DataType::Dictionary(_, value) => value,
        stored => stored,
    };
    match (stored, duckdb_type_name(field).as_str()) {
        (DataType::FixedSizeBinary(16), "UUID") => Some(LogicalType::Uuid),
        (stored, "JSON") if stored.is_string() => Some(LogicalType::Json),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{RecordBatch, new_null_array};
    use arrow::datatypes::Fields;
    use parquet::arrow::ArrowWriter;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use tapline_core::values::TYPE_KEY;

    use super::*;

    fn tagged(name: &str, data_type: DataType, tag: &str) -> Field {
        Field::new(name, data_type, true).with_metadata([(TYPE_KEY.to_owned(), tag.to_owned())].into())
    }

    #[test]
    fn columns_items_members_and_entries_are_named() {
        let uuid = |name| tagged(name, DataType::FixedSizeBinary(16), "UUID");
        let json = |name| tagged(name, DataType::Utf8, "JSON");
        let entries = Fields::from(vec![uuid("key").with_nullable(false), json("value")]);
        let entries = Field::new("entries", DataType::Struct(entries), false);
        let schema = Arc::new(Schema::new(vec![
            uuid("uuid"),
            json("json"),
            Field::new("bytes", DataType::FixedSizeBinary(16), true),
            Field::new("text", DataType::Utf8, true),
            Field::new("list", DataType::List(Arc::new(uuid("item"))), true),
            Field::new("struct", DataType::Struct(vec![uuid("a"), Field::new("b", DataType::Utf8, true)].into()), true),
            Field::new("map", DataType::Map(Arc::new(entries), false), true),
        ]));
        let options = writer_options(&schema, WriterProperties::default()).expect("types that Parquet has");
        let columns = schema.fields().iter().map(|field| new_null_array(field.data_type(), 2)).collect();
        let rows = RecordBatch::try_new(Arc::clone(&schema), columns).expect("columns of the schema");
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new_with_options(&mut file, schema, options).expect("a writer");
        writer.write(&rows).expect("rows that Parquet holds");
        writer.close().expect("a vector takes everything");

        let reader = SerializedFileReader::new(bytes::Bytes::from(file)).expect("a Parquet file");
        let columns = reader.metadata().file_metadata().schema_descr().columns().to_vec();
        let names: Vec<_> =
            columns.iter().map(|column| (column.path().string(), column.logical_type_ref().cloned())).collect();
        let expected = [
            ("uuid", Some(LogicalType::Uuid)),
            ("json", Some(LogicalType::Json)),
            ("bytes", None),
            ("text", Some(LogicalType::String)),
            ("list.list.item", Some(LogicalType::Uuid)),
            ("struct.a", Some(LogicalType::Uuid)),
            ("struct.b", Some(LogicalType::String)),
            ("map.entries.key", Some(LogicalType::Uuid)),
            ("map.entries.value", Some(LogicalType::Json)),
        ];
        assert_eq!(names, expected.map(|(path, logical)| (path.to_owned(), logical)));
    }
}
