//! `sum`: exact for whole numbers and DECIMAL, with an error instead of a wrap.
//! Not here: sums of DOUBLE, which are the engine's.
//! Called by the query engine.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array, ListArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::types::{HUGEINT, plain};

/// The aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sum {
    signature: Signature,
}

impl Default for Sum {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The type of a sum.
fn result(data_type: &DataType) -> Result<DataType> {
    Ok(match data_type {
        DataType::Boolean => HUGEINT,
        other if *other == HUGEINT => HUGEINT,
        other if other.is_integer() => HUGEINT,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => DataType::Decimal128(38, *scale),
        _ => DataType::Float64,
    })
}

fn is_exact(arguments: &AccumulatorArgs<'_>) -> bool {
    arguments.return_field.data_type() != &DataType::Float64
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [data_type] = types else { return plan_err!("sum takes one argument") };
        Ok(vec![match data_type {
            DataType::Boolean | DataType::Null => DataType::Int32,
            other if *other == HUGEINT => HUGEINT,
            DataType::Decimal32(width, scale)
            | DataType::Decimal64(width, scale)
            | DataType::Decimal256(width, scale) => DataType::Decimal128((*width).min(38), *scale),
            DataType::Float16 | DataType::Float32 => DataType::Float64,
            other if other.is_numeric() => other.clone(),
            other => {
                return plan_err!(
                    "No function matches the given name and argument types 'sum({})'. You might need to add explicit type casts",
                    tapline_core::values::duckdb_type_name(&Field::new("", other.clone(), true))
                );
            }
        }])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().map_or(Ok(HUGEINT), result)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let data_type = fields.first().map_or(Ok(HUGEINT), |field| result(field.data_type()))?;
        Ok(Arc::new(plain(data_type).with_name("sum")))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let exact = arguments.return_field.data_type() != &DataType::Float64;
        if !exact {
            return sum_udaf().state_fields(arguments);
        }
        let item = Field::new_list_field(HUGEINT, true);
        let data_type = if arguments.is_distinct { DataType::List(Arc::new(item)) } else { HUGEINT };
        Ok(vec![Arc::new(Field::new(format_state_name(arguments.name, "sum"), data_type, true))])
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if !is_exact(&arguments) {
            return sum_udaf().accumulator(arguments);
        }
        let data_type = arguments.return_field.data_type().clone();
        Ok(match arguments.is_distinct {
            true => Box::new(Distinct { seen: HashSet::new(), data_type }),
            false => Box::new(Exact { sum: i256::ZERO, count: 0, data_type }),
        })
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if is_exact(&arguments) {
            self.accumulator(arguments)
        } else {
            sum_udaf().create_sliding_accumulator(arguments)
        }
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        !arguments.is_distinct
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        if !is_exact(&arguments) {
            return sum_udaf().create_groups_accumulator(arguments);
        }
        Ok(Box::new(Groups { sums: Vec::new(), data_type: arguments.return_field.data_type().clone() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// The whole numbers of a column; those of a DECIMAL count its last place.
fn for_each(array: &ArrayRef, mut visit: impl FnMut(usize, i256)) -> Result<()> {
    macro_rules! visit {
        ($native:ty, $wide:expr) => {{
            let values = array.as_primitive::<$native>();
            for row in 0..values.len() {
                if values.is_valid(row) {
                    visit(row, $wide(values.value(row)));
                }
            }
        }};
    }
    macro_rules! integer {
        ($native:ty) => {
            visit!($native, |value| i256::from_i128(i128::from(value)))
        };
    }
    match array.data_type() {
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Decimal128(..) => visit!(Decimal128Type, i256::from_i128),
        DataType::Decimal256(..) => visit!(Decimal256Type, |value| value),
        DataType::Null => {}
        other => return exec_err!("sum cannot add values of type {other}"),
    }
    Ok(())
}

/// A sum that fits its type.
fn checked(sum: i256, data_type: &DataType) -> Result<i128> {
    let fits = match data_type {
        DataType::Decimal128(..) => sum.to_i128().filter(|sum| sum.unsigned_abs() < 10_u128.pow(38)),
        _ => sum.to_i128(),
    };
    match fits {
        Some(sum) => Ok(sum),
        None => exec_err!("Overflow in sum: the value is out of range of the result's type"),
    }
}

fn scalar(sum: i256, data_type: &DataType) -> Result<ScalarValue> {
    let sum = checked(sum, data_type)?;
    Ok(match data_type {
        DataType::Decimal128(width, scale) => ScalarValue::Decimal128(Some(sum), *width, *scale),
        _ => ScalarValue::Decimal256(Some(i256::from_i128(sum)), 39, 0),
    })
}

/// One group's sum.
#[derive(Debug)]
struct Exact {
    sum: i256,
    count: i64,
    data_type: DataType,
}

impl Accumulator for Exact {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each(&values[0], |_, value| {
            self.sum = self.sum.wrapping_add(value);
            self.count += 1;
        })
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each(&values[0], |_, value| {
            self.sum = self.sum.wrapping_sub(value);
            self.count -= 1;
        })
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 { ScalarValue::try_from(&self.data_type) } else { scalar(self.sum, &self.data_type) }
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = (self.count > 0).then_some(self.sum);
        Ok(vec![ScalarValue::Decimal256(sum, 39, 0)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// The sum of different values.
#[derive(Debug)]
struct Distinct {
    seen: HashSet<i256>,
    data_type: DataType,
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each(&values[0], |_, value| {
            self.seen.insert(value);
        })
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.seen.is_empty() {
            return ScalarValue::try_from(&self.data_type);
        }
        scalar(self.seen.iter().fold(i256::ZERO, |sum, value| sum.wrapping_add(*value)), &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.seen.capacity() * size_of::<i256>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Decimal256Array = self.seen.iter().copied().map(Some).collect();
        let values: ArrayRef = Arc::new(values.with_data_type(HUGEINT));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, values.len() as i32]));
        let list = ListArray::try_new(Arc::new(Field::new_list_field(HUGEINT, true)), offsets, values, None)?;
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        for row in 0..lists.len() {
            if lists.is_valid(row) {
                self.update_batch(&[lists.value(row)])?;
            }
        }
        Ok(())
    }
}

/// The sums of many groups.
#[derive(Debug)]
struct Groups {
    sums: Vec<Option<i256>>,
    data_type: DataType,
}

impl Groups {
    fn add(&mut self, values: &ArrayRef, groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        self.sums.resize(total, None);
        let sums = &mut self.sums;
        for_each(values, |row, value| {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                let sum = &mut sums[groups[row]];
                *sum = Some(sum.unwrap_or(i256::ZERO).wrapping_add(value));
            }
        })
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.add(&values[0], groups, filter, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        let checked = sums
            .into_iter()
            .map(|sum| sum.map(|sum| checked(sum, &self.data_type)).transpose())
            .collect::<Result<Vec<_>>>()?;
        Ok(match &self.data_type {
            DataType::Decimal128(..) => {
                let sums: Decimal128Array = checked.into_iter().collect();
                Arc::new(sums.with_data_type(self.data_type.clone()))
            }
            _ => {
                let sums: Decimal256Array = checked.into_iter().map(|sum| sum.map(i256::from_i128)).collect();
                Arc::new(sums.with_data_type(HUGEINT))
            }
        })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums: Decimal256Array = emit_to.take_needed(&mut self.sums).into_iter().collect();
        Ok(vec![Arc::new(sums.with_data_type(HUGEINT))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.add(&states[0], groups, None, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut sums = vec![None; values[0].len()];
        for_each(&values[0], |row, value| {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                sums[row] = Some(value);
            }
        })?;
        let sums: Decimal256Array = sums.into_iter().collect();
        Ok(vec![Arc::new(sums.with_data_type(HUGEINT))])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<Option<i256>>()
    }
}
