//! Functions that apply a lambda to the items of lists.
//! Not here: how lambdas are called (`toolkit::lambda`), how they are written.
//! Called by `lists`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, take, take_arrays};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::LambdaArgument;

use super::together;
use crate::sql::functions::toolkit::lambda::Higher;
use crate::sql::functions::toolkit::lists::{Lists, Picker, item_of, list_of_field, list_type};
use crate::sql::functions::toolkit::{Function, higher};

pub(super) fn functions() -> Vec<Function> {
    vec![
        higher(
            &["list_transform", "array_transform", "list_apply", "array_apply", "apply"],
            "the answers of a lambda for the items, and for their places",
            Transform,
        ),
        higher(&["list_filter", "array_filter", "filter"], "the items for which a lambda is true", Filter),
        higher(
            &["list_reduce", "array_reduce", "reduce"],
            "one value of all items, by a lambda over two of them",
            Reduce,
        ),
    ]
}

fn one_list(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [list] => Ok(vec![list_type(list)?]),
        _ => plan_err!("one list and a lambda are expected"),
    }
}

fn item(list: &FieldRef) -> Result<FieldRef> {
    match item_of(list.data_type()) {
        Some(item) => Ok(Arc::clone(item)),
        None => plan_err!("a list is expected"),
    }
}

fn place() -> FieldRef {
    Arc::new(Field::new("place", DataType::Int64, true))
}

/// The lambda's answers for the items of all lists, and which items of which row they are for.
struct Items {
    /// The indices of the items that belong to a row.
    indices: Vec<u32>,
    /// The row of each of them.
    rows: Vec<u32>,
    /// Their places in the row's list, from 1.
    places: Vec<i64>,
}

impl Items {
    fn of(lists: &Lists<'_>, rows: usize) -> Self {
        let mut items = Self { indices: Vec::new(), rows: Vec::new(), places: Vec::new() };
        for row in 0..rows {
            for (place, index) in lists.range(row).into_iter().flatten().enumerate() {
                items.indices.push(index as u32);
                items.rows.push(row as u32);
                items.places.push(place as i64 + 1);
            }
        }
        items
    }

    fn answers(&self, lists: &Lists<'_>, lambda: &LambdaArgument) -> Result<ArrayRef> {
        let indices = UInt32Array::from(self.indices.clone());
        let rows = UInt32Array::from(self.rows.clone());
        let values = || Ok(take(lists.items(), &indices, None)?);
        let places = || Ok(Arc::new(Int64Array::from(self.places.clone())) as ArrayRef);
        lambda
            .evaluate(&[&values, &places], |captured| Ok(take_arrays(captured, &rows, None)?))?
            .into_array(self.indices.len())
    }
}

/// `list_transform`
struct Transform;

impl Higher for Transform {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        one_list(types)
    }

    fn parameters(&self, values: &[FieldRef], _: Option<&FieldRef>) -> Result<Vec<FieldRef>> {
        Ok(vec![item(&values[0])?, place()])
    }

    fn result(&self, _: &[FieldRef], lambda: &FieldRef) -> Result<FieldRef> {
        Ok(Arc::new(Field::new("", list_of_field(lambda), true)))
    }

    fn run(&self, values: &[ArrayRef], lambda: &LambdaArgument, result: &FieldRef) -> Result<ArrayRef> {
        let lists = Lists::new(&values[0])?;
        let rows = values[0].len();
        let answers = Items::of(&lists, rows).answers(&lists, lambda)?;
        let Some(field) = item_of(result.data_type()) else { return plan_err!("a list is expected") };
        let answers =
            if answers.data_type() == field.data_type() { answers } else { cast(&answers, field.data_type())? };
        let lengths = (0..rows).map(|row| lists.range(row).map_or(0, |range| range.len()));
        let nulls = NullBuffer::from_iter((0..rows).map(|row| lists.range(row).is_some()));
        Ok(Arc::new(ListArray::try_new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), answers, Some(nulls))?))
    }
}

/// `list_filter`
struct Filter;

impl Higher for Filter {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        one_list(types)
    }

    fn parameters(&self, values: &[FieldRef], _: Option<&FieldRef>) -> Result<Vec<FieldRef>> {
        Ok(vec![item(&values[0])?, place()])
    }

    fn result(&self, values: &[FieldRef], _: &FieldRef) -> Result<FieldRef> {
        Ok(Arc::new(Field::new("", list_of_field(item(&values[0])?.as_ref()), true)))
    }

    fn run(&self, values: &[ArrayRef], lambda: &LambdaArgument, result: &FieldRef) -> Result<ArrayRef> {
        let lists = Lists::new(&values[0])?;
        let rows = values[0].len();
        let truths = cast(&Items::of(&lists, rows).answers(&lists, lambda)?, &DataType::Boolean)?;
        let truths = truths.as_boolean();
        let mut picker = Picker::default();
        let mut at = 0;
        for row in 0..rows {
            let Some(range) = lists.range(row) else {
                picker.null();
                continue;
            };
            for index in range {
                if truths.is_valid(at) && truths.value(at) {
                    picker.pick(Some(index));
                }
                at += 1;
            }
            picker.end();
        }
        picker.finish(lists.items(), result.data_type())
    }
}

/// `list_reduce`
struct Reduce;

impl Reduce {
    /// The type of what is carried from item to item.
    fn carried(values: &[FieldRef]) -> Result<FieldRef> {
        match values {
            [list] => item(list),
            [_, initial] => Ok(Arc::clone(initial)),
            _ => plan_err!("a list, a lambda and an initial value are expected"),
        }
    }
}

impl Higher for Reduce {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [list] => Ok(vec![list_type(list)?]),
            [list, initial] => {
                let list = list_type(list)?;
                let item = item_of(&list).map_or(DataType::Null, |item| item.data_type().clone());
                let carried = if item.is_null() { initial.clone() } else { together(&[item, initial.clone()])? };
                Ok(vec![list, carried])
            }
            _ => plan_err!("a list, a lambda and an initial value are expected"),
        }
    }

    fn depends_on_itself(&self) -> bool {
        true
    }

    fn parameters(&self, values: &[FieldRef], lambda: Option<&FieldRef>) -> Result<Vec<FieldRef>> {
        let carried = Self::carried(values)?;
        // What a lambda gives is what it is given next: sums of numbers may be wider than their items.
        let carried = match lambda {
            Some(answer) => Arc::new(carried.as_ref().clone().with_data_type(answer.data_type().clone())),
            None => carried,
        };
        let carried = Arc::new(carried.as_ref().clone().with_nullable(true));
        Ok(vec![carried, item(&values[0])?, place()])
    }

    fn result(&self, _: &[FieldRef], lambda: &FieldRef) -> Result<FieldRef> {
        Ok(Arc::new(lambda.as_ref().clone().with_name("").with_nullable(true)))
    }

    fn coerce_for(&self, values: &[DataType], lambda: &DataType) -> Vec<DataType> {
        match values {
            [list, _] => vec![list.clone(), lambda.clone()],
            values => values.to_vec(),
        }
    }

    fn run(&self, values: &[ArrayRef], lambda: &LambdaArgument, result: &FieldRef) -> Result<ArrayRef> {
        let lists = Lists::new(&values[0])?;
        let rows = values[0].len();
        let has_initial = values.len() == 2;
        let first = |row: usize| -> Result<Option<u32>> {
            match lists.range(row) {
                Some(range) if range.is_empty() => {
                    exec_err!("a list without items cannot be reduced without an initial value")
                }
                Some(range) => Ok(u32::try_from(range.start).ok()),
                None => Ok(None),
            }
        };
        let mut carried = if has_initial {
            Arc::clone(&values[1])
        } else {
            let firsts = (0..rows).map(first).collect::<Result<UInt32Array>>()?;
            take(lists.items(), &firsts, None)?
        };
        if carried.data_type() != result.data_type() {
            carried = cast(&carried, result.data_type())?;
        }
        // Step by step through the lists, all rows that still have an item at once.
        let mut step = usize::from(!has_initial);
        loop {
            let active: Vec<(u32, u32)> = (0..rows)
                .filter_map(|row| {
                    let range = lists.range(row)?;
                    (step < range.len()).then_some((row as u32, (range.start + step) as u32))
                })
                .collect();
            if active.is_empty() {
                break;
            }
            let of_rows = UInt32Array::from_iter_values(active.iter().map(|(row, _)| *row));
            let of_items = UInt32Array::from_iter_values(active.iter().map(|(_, index)| *index));
            let sofar = || Ok(take(&carried, &of_rows, None)?);
            let items = || Ok(take(lists.items(), &of_items, None)?);
            let places = || Ok(Arc::new(Int64Array::from(vec![step as i64 + 1; active.len()])) as ArrayRef);
            let answers = lambda
                .evaluate(&[&sofar, &items, &places], |captured| Ok(take_arrays(captured, &of_rows, None)?))?
                .into_array(active.len())?;
            let answers = cast(&answers, result.data_type())?;
            let mut order: Vec<u32> = (0..rows as u32).collect();
            for (place, (row, _)) in active.iter().enumerate() {
                order[*row as usize] = (rows + place) as u32;
            }
            let both = arrow::compute::concat(&[carried.as_ref(), answers.as_ref()])?;
            carried = take(&both, &UInt32Array::from(order), None)?;
            step += 1;
        }
        // A row whose list is NULL has no answer, whatever the initial value.
        let kept = UInt32Array::from_iter((0..rows).map(|row| lists.range(row).map(|_| row as u32)));
        Ok(take(&carried, &kept, None)?)
    }
}
