//! Rows of list columns: where each lies in the flat items, and lists made by picking items.
//! Not here: any list function.
//! Called by the families of lists, maps and aggregates.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array, new_empty_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_datafusion_err, plan_err};

/// The field of a list's items, for any kind of list.
pub(crate) fn item_of(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(item),
        _ => None,
    }
}

/// The plain list type to which any kind of list is cast; NULL becomes a list of NULL.
pub(crate) fn list_type(data_type: &DataType) -> Result<DataType> {
    match (data_type, item_of(data_type)) {
        (_, Some(item)) => Ok(DataType::List(nullable(item))),
        (DataType::Null, None) => Ok(list_of(DataType::Null)),
        (other, None) => plan_err!("a list is expected, not {}", super::typed::type_name(other)),
    }
}

/// A list type over an item's type.
pub(crate) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// A list type over a field, whose tags are kept.
pub(crate) fn list_of_field(item: &Field) -> DataType {
    DataType::List(Arc::new(item.clone().with_name(Field::LIST_FIELD_DEFAULT_NAME).with_nullable(true)))
}

fn nullable(item: &FieldRef) -> FieldRef {
    Arc::new(item.as_ref().clone().with_name(Field::LIST_FIELD_DEFAULT_NAME).with_nullable(true))
}

/// A column of lists.
pub(crate) struct Lists<'a> {
    array: &'a ListArray,
}

impl<'a> Lists<'a> {
    pub(crate) fn new(array: &'a ArrayRef) -> Result<Self> {
        let array = array
            .as_list_opt::<i32>()
            .ok_or_else(|| exec_datafusion_err!("a list is expected, not {}", array.data_type()))?;
        Ok(Self { array })
    }

    /// All items, of which each row has a range.
    pub(crate) fn items(&self) -> &'a ArrayRef {
        self.array.values()
    }

    /// The field of the items.
    pub(crate) fn item(&self) -> &'a FieldRef {
        match self.array.data_type() {
            DataType::List(item) => item,
            _ => unreachable!("a list array has a list type"),
        }
    }

    /// Where a row's items are; `None` for NULL.
    pub(crate) fn range(&self, row: usize) -> Option<Range<usize>> {
        let offsets = self.array.value_offsets();
        self.array.is_valid(row).then(|| offsets[row] as usize..offsets[row + 1] as usize)
    }
}

/// Makes lists by picking items.
#[derive(Default)]
pub(crate) struct Picker {
    picked: Vec<Option<u32>>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
    open: usize,
}

impl Picker {
    /// Adds an item to the row that is being made; `None` adds a NULL.
    pub(crate) fn pick(&mut self, index: Option<usize>) {
        self.picked.push(index.and_then(|index| u32::try_from(index).ok()));
        self.open += 1;
    }

    /// Ends a row.
    pub(crate) fn end(&mut self) {
        self.lengths.push(std::mem::take(&mut self.open));
        self.valid.push(true);
    }

    /// Adds a row that is NULL.
    pub(crate) fn null(&mut self) {
        self.lengths.push(0);
        self.valid.push(false);
    }

    /// The lists of what was picked from the items.
    pub(crate) fn finish(self, items: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
        let Some(field) = item_of(data_type) else { return plan_err!("a list is expected as the answer") };
        let picked = if self.picked.is_empty() {
            new_empty_array(field.data_type())
        } else {
            arrow::compute::take(items, &UInt32Array::from(self.picked), None)?
        };
        let picked = if picked.data_type() == field.data_type() {
            picked
        } else {
            arrow::compute::cast(&picked, field.data_type())?
        };
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        let nulls = NullBuffer::from(self.valid);
        Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, picked, Some(nulls))?))
    }
}
