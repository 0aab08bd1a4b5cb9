//! INTERVAL columns of Parquet files, whole. Arrow's reader takes them for days and milliseconds, or for months, and drops
//! the rest: here their bytes are read as they are, and decoded.
//! Not here: which columns are of that type (`parquet`), arithmetic (`semantics`).
//! Called when such a column is planned, and for every batch of it.
//!
//! See <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#interval>.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, IntervalMonthDayNanoArray, ListArray, MapArray, StructArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, IntervalUnit};
use arrow::error::ArrowError;
use bytes::Bytes;
use datafusion::common::internal_err;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{ConvertedType, Type as PhysicalType};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataBuilder};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

/// The bytes of a value: months, days and milliseconds, each in four, the least significant first.
const WIDTH: i32 = 12;

/// Whether a type is an interval or holds one.
pub(crate) fn holds_span(data_type: &DataType) -> bool {
    let mut found = false;
    map(data_type, &mut |_| {
        found = true;
        DataType::Null
    });
    found
}

/// The type with its intervals as the bytes that a file has.
pub(crate) fn as_bytes(data_type: &DataType) -> DataType {
    map(data_type, &mut |_| DataType::FixedSizeBinary(WIDTH))
}

/// The type with its intervals as the table has them.
pub(crate) fn as_spans(data_type: &DataType) -> DataType {
    map(data_type, &mut |_| DataType::Interval(IntervalUnit::MonthDayNano))
}

/// The type with other types in the place of intervals.
fn map(data_type: &DataType, put: &mut dyn FnMut(&DataType) -> DataType) -> DataType {
    let mut inside = |field: &FieldRef| -> FieldRef {
        let data_type = map(field.data_type(), put);
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        DataType::Interval(_) => put(data_type),
        DataType::List(item) => DataType::List(inside(item)),
        DataType::Struct(members) => DataType::Struct(members.iter().map(inside).collect()),
        DataType::Map(entries, sorted) => DataType::Map(inside(entries), *sorted),
        other => other.clone(),
    }
}

/// Decodes what was read as [`as_bytes`] into [`as_spans`].
pub(crate) fn decode(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let inside = |array: &ArrayRef, field: &Field| decode(array, field.data_type());
    Ok(match (array.data_type(), data_type) {
        (there, wanted) if there == wanted => Arc::clone(array),
        (DataType::FixedSizeBinary(WIDTH), DataType::Interval(IntervalUnit::MonthDayNano)) => {
            Arc::new(spans(array.as_fixed_size_binary()))
        }
        (DataType::List(_), DataType::List(item)) => {
            let (_, offsets, items, nulls) = array.as_list::<i32>().clone().into_parts();
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, inside(&items, item)?, nulls)?)
        }
        (DataType::Struct(_), DataType::Struct(members)) => {
            let (_, arrays, nulls) = array.as_struct().clone().into_parts();
            let arrays = arrays.iter().zip(members).map(|(array, member)| inside(array, member));
            Arc::new(StructArray::try_new(members.clone(), arrays.collect::<Result<_, _>>()?, nulls)?)
        }
        (DataType::Map(_, _), DataType::Map(entries, sorted)) => {
            let (_, offsets, pairs, nulls, _) = array.as_map().clone().into_parts();
            let pairs = decode(&(Arc::new(pairs) as ArrayRef), entries.data_type())?;
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs.as_struct().clone(), nulls, *sorted)?)
        }
        (there, wanted) => {
            let message = format!("an interval was read as {there}, which says too little for {wanted}");
            return Err(ArrowError::ParquetError(message));
        }
    })
}

fn spans(array: &FixedSizeBinaryArray) -> IntervalMonthDayNanoArray {
    let span = |bytes: &[u8]| {
        let part = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        // Months and days as DuckDB takes them, of which it writes none that are negative.
        IntervalMonthDayNano::new(part(0) as i32, part(4) as i32, i64::from(part(8)) * 1_000_000)
    };
    array.iter().map(|bytes| bytes.map(span)).collect()
}

/// Opens files whose footers call intervals plain bytes.
#[derive(Debug)]
struct BytesOfSpans(Arc<dyn ParquetFileReaderFactory>);

impl ParquetFileReaderFactory for BytesOfSpans {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        let reader = self.0.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(Reader(reader)))
    }
}

/// The scan of Parquet files with a reader for which intervals are bytes.
pub(crate) fn read_as_bytes(scan: Arc<dyn ExecutionPlan>) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let found =
        scan.downcast_ref::<DataSourceExec>().and_then(DataSourceExec::downcast_to_file_source::<ParquetSource>);
    let Some((config, source, factory)) =
        found.and_then(|(config, source)| Some((config, source, source.parquet_file_reader_factory()?)))
    else {
        return internal_err!("a scan of Parquet files without a reader of its own");
    };
    let source = source.clone().with_parquet_file_reader_factory(Arc::new(BytesOfSpans(Arc::clone(factory))));
    let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source)).build();
    Ok(DataSourceExec::from_data_source(config))
}

struct Reader(Box<dyn AsyncFileReader + Send>);

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.0.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.0.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let metadata = self.0.get_metadata(options).await?;
            with_bytes(&metadata)
        }
        .boxed()
    }
}

/// A footer that calls intervals plain bytes.
fn with_bytes(metadata: &ParquetMetaData) -> ParquetResult<Arc<ParquetMetaData>> {
    let file = metadata.file_metadata();
    let schema = SchemaDescriptor::new(type_with_bytes(&file.schema_descr().root_schema_ptr())?);
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        Arc::new(schema),
        file.column_orders().cloned(),
    );
    let metadata = ParquetMetaDataBuilder::new(file)
        .set_row_groups(metadata.row_groups().to_vec())
        .set_column_index(metadata.column_index().cloned())
        .set_offset_index(metadata.offset_index().cloned());
    Ok(Arc::new(metadata.build()))
}

fn type_with_bytes(of: &TypePtr) -> ParquetResult<TypePtr> {
    let info = of.get_basic_info();
    let id = info.has_id().then(|| info.id());
    if of.is_primitive() {
        if info.converted_type() != ConvertedType::INTERVAL {
            return Ok(Arc::clone(of));
        }
        let bytes = Type::primitive_type_builder(of.name(), PhysicalType::FIXED_LEN_BYTE_ARRAY)
            .with_length(WIDTH)
            .with_repetition(info.repetition())
            .with_id(id);
        return Ok(Arc::new(bytes.build()?));
    }
    let fields = of.get_fields().iter().map(type_with_bytes).collect::<ParquetResult<Vec<_>>>()?;
    let group = Type::group_type_builder(of.name())
        .with_converted_type(info.converted_type())
        .with_logical_type(info.logical_type_ref().cloned())
        .with_fields(fields)
        .with_id(id);
    let group = if info.has_repetition() { group.with_repetition(info.repetition()) } else { group };
    Ok(Arc::new(group.build()?))
}
