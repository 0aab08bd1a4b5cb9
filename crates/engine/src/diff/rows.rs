//! Encoding of primary keys and hashing of rows.
//! Not here: comparing them (`compare`), keeping them (`snapshot`).
//! Called by runs for every batch of mapped rows.

use std::hash::Hasher;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use arrow_row::{RowConverter, Rows, SortField};
use siphasher::sip128::{Hasher128, SipHasher13};
use tapline_core::{Error, Result, codes};

use super::{PARTITIONS, RowHash};
use crate::run::record::KeyField;

/// Encodes the primary key of mapped rows into bytes: equal keys, equal bytes, and back.
///
/// The encoding is the [row format](https://docs.rs/arrow-row) of arrow-row, whose bytes are injective per type.
pub(crate) struct KeyCodec {
    columns: Vec<usize>,
    fields: Vec<FieldRef>,
    converter: RowConverter,
}

impl KeyCodec {
    /// A codec for the fields `key` of mapped rows.
    pub(crate) fn new(schema: &SchemaRef, key: &[String]) -> Result<Self> {
        let mut columns = Vec::with_capacity(key.len());
        let mut fields = Vec::with_capacity(key.len());
        for name in key {
            let (index, field) = schema.fields().find(name).ok_or_else(|| {
                Error::new(codes::KEY_003, format!("the primary key field \"{name}\" is not among the mapped fields"))
            })?;
            columns.push(index);
            fields.push(field.clone());
        }
        let converter = converter(&fields)?;
        Ok(Self { columns, fields, converter })
    }

    /// A codec for keys alone, whose fields were recorded by name and type.
    pub(crate) fn from_fields(key: &[KeyField]) -> Result<Self> {
        let fields = key
            .iter()
            .map(|field| {
                let data_type = DataType::from_str(&field.data_type)
                    .map_err(|error| Error::internal("reading the types of a primary key").because(error))?;
                Ok(Arc::new(Field::new(&field.name, data_type, true)))
            })
            .collect::<Result<Vec<FieldRef>>>()?;
        let converter = converter(&fields)?;
        Ok(Self { columns: (0..fields.len()).collect(), fields, converter })
    }

    /// The key fields, in order.
    pub(crate) fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// The keys of a batch, row by row.
    pub(crate) fn encode(&self, batch: &RecordBatch) -> Result<Rows> {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|index| batch.column(*index).clone()).collect();
        self.encode_columns(&columns)
    }

    /// The keys whose parts are these columns, in order.
    pub(crate) fn encode_columns(&self, columns: &[ArrayRef]) -> Result<Rows> {
        self.converter.convert_columns(columns).map_err(|error| Error::internal("encoding primary keys").because(error))
    }

    /// The keys of rows that hold the key fields somewhere, by name.
    pub(crate) fn encode_by_name(&self, batch: &RecordBatch) -> Result<Rows> {
        let columns = self
            .fields
            .iter()
            .map(|field| batch.column_by_name(field.name()).cloned())
            .collect::<Option<Vec<ArrayRef>>>()
            .ok_or_else(|| Error::internal("rows were read back without their primary key"))?;
        self.encode_columns(&columns)
    }

    /// Whether a row lacks a part of its key.
    pub(crate) fn has_null(&self, batch: &RecordBatch, row: usize) -> bool {
        self.columns.iter().any(|index| batch.column(*index).is_null(row))
    }

    /// Whether any row of a batch may lack a part of its key.
    pub(crate) fn may_have_null(&self, batch: &RecordBatch) -> bool {
        self.columns.iter().any(|index| batch.column(*index).logical_null_count() > 0)
    }

    /// Encoded keys back into columns of the key fields.
    pub(crate) fn decode<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        self.converter
            .convert_rows(keys.into_iter().map(|key| parser.parse(key)))
            .map_err(|error| Error::internal("decoding primary keys").because(error))
    }
}

/// What a comparison needs to know of some rows.
#[derive(Debug)]
pub(crate) struct RowKeys {
    /// Their encoded keys.
    pub(crate) keys: Rows,
    /// Their hashes.
    pub(crate) hashes: Vec<RowHash>,
    /// The partitions that their keys belong to.
    pub(crate) partitions: Vec<usize>,
    /// Whether any row may lack a part of its key.
    pub(crate) may_have_null: bool,
}

impl RowKeys {
    /// Encodes, hashes and places the rows of a batch.
    pub(crate) fn of(codec: &KeyCodec, hasher: &RowHasher, rows: &RecordBatch) -> Result<Self> {
        let keys = codec.encode(rows)?;
        let partitions = keys.iter().map(|key| partition_of(&hasher.sync_key, key.data())).collect();
        Ok(Self { hashes: hasher.hash(rows)?, partitions, may_have_null: codec.may_have_null(rows), keys })
    }
}

/// Hashes the mapped values of rows: by the names of their fields, in whatever order these come.
pub(crate) struct RowHasher {
    /// The columns, ordered by name.
    columns: Vec<usize>,
    converter: RowConverter,
    /// The sync's own key.
    sync_key: [u8; 16],
    /// The same, mixed with the names of the fields.
    key: [u8; 16],
}

impl RowHasher {
    /// A hasher for rows of `schema`, keyed with the sync's own key.
    pub(crate) fn new(schema: &SchemaRef, key: [u8; 16]) -> Result<Self> {
        let mut columns: Vec<usize> = (0..schema.fields().len()).collect();
        columns.sort_by_key(|column| schema.field(*column).name());
        let fields: Vec<FieldRef> = columns.iter().map(|column| Arc::clone(&schema.fields()[*column])).collect();
        let mut names = Vec::new();
        for field in &fields {
            names.extend_from_slice(&(field.name().len() as u64).to_le_bytes());
            names.extend_from_slice(field.name().as_bytes());
        }
        Ok(Self { columns, converter: converter(&fields)?, sync_key: key, key: hash(&key, &names) })
    }

    /// One hash per row. Field names count, so that a renamed field sends its rows again; their order does not.
    pub(crate) fn hash(&self, batch: &RecordBatch) -> Result<Vec<RowHash>> {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|column| Arc::clone(batch.column(*column))).collect();
        let rows =
            self.converter.convert_columns(&columns).map_err(|error| Error::internal("hashing rows").because(error))?;
        Ok((0..batch.num_rows()).map(|row| hash(&self.key, rows.row(row).data())).collect())
    }
}

fn converter(fields: &[FieldRef]) -> Result<RowConverter> {
    let sorts: Vec<SortField> = fields.iter().map(|field| SortField::new(field.data_type().clone())).collect();
    RowConverter::new(sorts).map_err(|error| {
        Error::new(codes::KEY_004, "a column of the model has a type that cannot be compared").because(error)
    })
}

/// SipHash-1-3 with 128 bits of output (<https://www.aumasson.jp/siphash/siphash.pdf>).
pub(crate) fn hash(key: &[u8; 16], bytes: &[u8]) -> RowHash {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(bytes);
    hasher.finish128().as_bytes()
}

/// The partition of an encoded key. It depends on the sync's own key, so that no data set can crowd one partition.
pub(crate) fn partition_of(key: &[u8; 16], encoded: &[u8]) -> usize {
    let mut hasher = siphasher::sip::SipHasher13::new_with_key(key);
    hasher.write(encoded);
    (hasher.finish() >> 32) as usize % PARTITIONS
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::Schema;

    use super::*;

    fn batch() -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("region", DataType::Utf8, true),
            Field::new("name", DataType::Utf8, true),
        ]));
        RecordBatch::try_new(
            schema,
            vec![
                Arc::new(Int64Array::from(vec![Some(1), Some(1), None])),
                Arc::new(StringArray::from(vec!["ab", "a", "a"])),
                Arc::new(StringArray::from(vec![Some("c"), Some("bc"), None])),
            ],
        )
        .unwrap()
    }

    #[test]
    fn composite_keys_round_trip_and_do_not_run_together() {
        let batch = batch();
        let codec = KeyCodec::new(&batch.schema(), &["region".to_owned(), "name".to_owned()]).unwrap();
        let rows = codec.encode(&batch).unwrap();
        assert_ne!(rows.row(0).data(), rows.row(1).data());
        let decoded = codec.decode((0..2).map(|row| rows.row(row).data())).unwrap();
        assert_eq!(decoded[0].as_ref(), &StringArray::from(vec!["ab", "a"]) as &dyn Array);
        assert!(codec.has_null(&batch, 2) && !codec.has_null(&batch, 0));
    }

    #[test]
    fn hashes_tell_null_from_empty_and_depend_on_the_key() {
        let batch = batch();
        let one = RowHasher::new(&batch.schema(), [1; 16]).unwrap().hash(&batch).unwrap();
        let two = RowHasher::new(&batch.schema(), [2; 16]).unwrap().hash(&batch).unwrap();
        assert_ne!(one[0], one[1]);
        assert_ne!(one[0], two[0]);
        assert_eq!(one, RowHasher::new(&batch.schema(), [1; 16]).unwrap().hash(&batch).unwrap());
    }

    #[test]
    fn hashes_follow_the_names_of_fields_and_not_their_order() {
        let batch = batch();
        let hashes = |batch: &RecordBatch| RowHasher::new(&batch.schema(), [1; 16]).unwrap().hash(batch).unwrap();
        assert_eq!(hashes(&batch), hashes(&batch.project(&[2, 0, 1]).unwrap()));
        let schema = batch.schema();
        let fields = ["id", "region", "nickname"].into_iter().zip(schema.fields().iter().cloned());
        let renamed =
            Schema::new(fields.map(|(name, field)| field.as_ref().clone().with_name(name)).collect::<Vec<Field>>());
        let renamed = RecordBatch::try_new(Arc::new(renamed), batch.columns().to_vec()).unwrap();
        assert_ne!(hashes(&batch)[0], hashes(&renamed)[0]);
    }
}
