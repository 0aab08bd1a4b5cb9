//! Tests of printing: what stands around the values.

mod columnar;
mod tables;
mod texts;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};

use super::{Format, RowPrinter, TableStyle};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length")
}

fn printed(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
    let mut printer = RowPrinter::new(format, batches[0].schema_ref(), Vec::new(), TableStyle::default());
    for batch in batches {
        printer.write(batch).expect("a vector takes everything");
    }
    printer.finish().expect("a vector takes everything")
}

fn printed_text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(printed(format, batches)).expect("UTF-8")
}
