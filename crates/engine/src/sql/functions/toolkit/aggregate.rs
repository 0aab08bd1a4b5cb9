//! Aggregates: an answer from all rows of a group at once, in the order asked for.
//! Not here: any aggregate; sums that grow without keeping rows (`folds`).
//! Called by the families and the registration.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortColumn, SortOptions, concat, filter, lexsort_to_indices};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};

use super::lists::list_of_field;
use super::values::keys;

/// What an aggregate has to say.
pub(crate) trait Aggregate: Send + Sync {
    /// The types to which the arguments are cast.
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>>;

    /// The type of the answer.
    fn result(&self, fields: &[FieldRef]) -> Result<Field>;

    /// The answer for a group's rows.
    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue>;

    /// Whether rows whose first argument is NULL are left out.
    fn skips_nulls(&self) -> bool {
        true
    }

    /// Whether it may be called as `f(…) WITHIN GROUP (ORDER BY x)`, which makes `x` its first argument.
    fn within_group(&self) -> bool {
        false
    }

    /// Which of the rows, unless they are ordered, decide alone.
    fn keep(&self) -> Keep {
        Keep::All
    }

    /// The query engine's own aggregate, where it says the same for arguments of the types.
    fn engine(&self, _types: &[DataType]) -> Option<Arc<AggregateUDF>> {
        None
    }

    /// An accumulator that keeps less than all rows, where there is one.
    fn fold(&self, _fields: &[FieldRef], _result: &Field) -> Option<Box<dyn Fold>> {
        None
    }
}

/// Which rows of a group decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    All,
    First,
    Last,
}

/// What an aggregate keeps of the rows, as numbers.
pub(crate) trait Fold: Send + Sync + std::fmt::Debug {
    /// Takes rows in, none of whose arguments is NULL.
    fn update(&mut self, columns: &[ArrayRef]) -> Result<()>;

    /// What is kept.
    fn state(&self) -> Vec<f64>;

    /// Takes in what another has kept.
    fn merge(&mut self, state: &[f64]);

    /// The answer.
    fn finish(&self) -> Result<ScalarValue>;
}

/// The rows of a group.
pub(crate) struct Group<'a> {
    /// The columns of the arguments.
    pub columns: &'a [ArrayRef],
    /// Their fields.
    pub fields: &'a [FieldRef],
    /// What [`Aggregate::result`] said.
    pub result: &'a Field,
    /// Whether a descending order is asked for, for those that order the values themselves.
    pub descending: bool,
}

impl Group<'_> {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.columns.first().map_or(0, |column| column.len())
    }

    /// The answer where there are no rows.
    pub(crate) fn null(&self) -> Result<ScalarValue> {
        ScalarValue::try_new_null(self.result.data_type())
    }
}

/// The answer of a fold over a group's rows, without those that hold a NULL.
pub(crate) fn folded(body: &dyn Aggregate, group: &Group<'_>) -> Result<ScalarValue> {
    let Some(fold) = body.fold(group.fields, group.result) else { return group.null() };
    let mut folding = Folding { fold };
    folding.update_batch(group.columns)?;
    folding.evaluate()
}

/// Calls an aggregate on rows, leaving NULLs out where it does so.
pub(crate) fn finish(
    body: &dyn Aggregate,
    columns: &[ArrayRef],
    fields: &[FieldRef],
    result: &Field,
    descending: bool,
) -> Result<ScalarValue> {
    let kept;
    let columns = match columns.first() {
        Some(first) if body.skips_nulls() && first.logical_null_count() > 0 => {
            let valid = arrow::compute::is_not_null(first)?;
            kept = columns.iter().map(|column| filter(column, &valid)).collect::<Result<Vec<_>, _>>()?;
            &kept
        }
        _ => columns,
    };
    body.finish(&Group { columns, fields, result, descending })
}

/// An aggregate under one of its names.
pub(crate) struct AggregateFunction {
    name: &'static str,
    signature: Signature,
    body: Arc<dyn Aggregate>,
}

impl AggregateFunction {
    pub(crate) fn new(name: &'static str, body: Arc<dyn Aggregate>) -> Self {
        Self { name, signature: Signature::user_defined(Volatility::Immutable), body }
    }
}

impl std::fmt::Debug for AggregateFunction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl PartialEq for AggregateFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for AggregateFunction {}

impl Hash for AggregateFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// How many numbers the widest fold keeps.
const FOLD_WIDTH: usize = 8;

impl AggregateUDFImpl for AggregateFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match self.body.engine(types) {
            Some(engine) => coerced_by(&engine, types),
            None => self.body.coerce(types).map_err(|error| error.context(format!("{}()", self.name))),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let fields: Vec<FieldRef> =
            types.iter().map(|data_type| Arc::new(Field::new("", data_type.clone(), true)) as FieldRef).collect();
        Ok(self.body.result(&fields)?.data_type().clone())
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let field = match self.engine(fields) {
            Some(engine) => engine.return_field(fields)?.as_ref().clone().with_metadata(fields[0].metadata().clone()),
            None => self.body.result(fields)?,
        };
        Ok(Arc::new(field.with_name(self.name).with_nullable(true)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        // The rows are kept with what they are ordered by, and sorted at the end.
        AggregateOrderSensitivity::Beneficial
    }

    fn with_beneficial_ordering(self: Arc<Self>, _: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        Ok(Some(self))
    }

    fn supports_within_group_clause(&self) -> bool {
        self.body.within_group()
    }

    fn supports_null_handling_clause(&self) -> bool {
        true
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.engine(arguments.expr_fields).is_some_and(|engine| engine.groups_accumulator_supported(arguments))
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match self.engine(arguments.expr_fields) {
            Some(engine) => engine.create_groups_accumulator(arguments),
            None => internal_err!("{} has no accumulator of groups", self.name),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if let Some(engine) = self.engine(arguments.input_fields) {
            return engine.state_fields(arguments);
        }
        let name = |index: usize| format!("{}[{index}]", arguments.name);
        let folded = !arguments.is_distinct
            && arguments.ordering_fields.is_empty()
            && self.body.fold(arguments.input_fields, &arguments.return_field).is_some();
        if folded {
            let field = |index| Arc::new(Field::new(name(index), DataType::Float64, true)) as FieldRef;
            return Ok((0..FOLD_WIDTH).map(field).collect());
        }
        let kept = arguments.input_fields.iter().chain(arguments.ordering_fields);
        Ok(kept
            .enumerate()
            .map(|(index, field)| Arc::new(Field::new(name(index), list_of_field(field), true)) as _)
            .collect())
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if let Some(engine) = self.engine(arguments.expr_fields) {
            return engine.accumulator(arguments);
        }
        let folded = !arguments.is_distinct && arguments.order_bys.is_empty();
        if folded && let Some(fold) = self.body.fold(arguments.expr_fields, &arguments.return_field) {
            return Ok(Box::new(Folding { fold }));
        }
        self.keeping(arguments, true)
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if let Some(engine) = self.engine(arguments.expr_fields) {
            return engine.create_sliding_accumulator(arguments);
        }
        self.keeping(arguments, false)
    }
}

impl AggregateFunction {
    fn engine(&self, fields: &[FieldRef]) -> Option<Arc<AggregateUDF>> {
        let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        self.body.engine(&types)
    }

    /// An accumulator that keeps rows, and drops those that cannot decide where none is to leave again.
    fn keeping(&self, arguments: AccumulatorArgs, may_drop: bool) -> Result<Box<dyn Accumulator>> {
        if self.body.within_group() && arguments.order_bys.len() > 1 {
            return plan_err!("{} is ordered by one expression", self.name);
        }
        let mut fields = arguments.expr_fields.to_vec();
        for order in arguments.order_bys {
            fields.push(order.expr.return_field(arguments.schema)?);
        }
        Ok(Box::new(Keeping {
            body: Arc::clone(&self.body),
            arguments: arguments.expr_fields.len(),
            fields,
            result: arguments.return_field.as_ref().clone(),
            orders: arguments.order_bys.iter().map(|order| order.options).collect(),
            distinct: arguments.is_distinct,
            ignore_nulls: arguments.ignore_nulls,
            keep: if may_drop && arguments.order_bys.is_empty() && !arguments.ignore_nulls {
                self.body.keep()
            } else {
                Keep::All
            },
            batches: Vec::new(),
        }))
    }
}

/// The types to which the engine's aggregate casts arguments.
fn coerced_by(engine: &AggregateUDF, types: &[DataType]) -> Result<Vec<DataType>> {
    let field = |data_type: &DataType| Arc::new(Field::new("", data_type.clone(), true)) as FieldRef;
    let fields: Vec<FieldRef> = types.iter().map(field).collect();
    let fields = datafusion::logical_expr::type_coercion::functions::fields_with_udf(&fields, engine)?;
    Ok(fields.iter().map(|field| field.data_type().clone()).collect())
}

/// Keeps the rows of a group.
struct Keeping {
    body: Arc<dyn Aggregate>,
    /// How many of the columns are arguments; the others are what the rows are ordered by.
    arguments: usize,
    fields: Vec<FieldRef>,
    result: Field,
    orders: Vec<SortOptions>,
    distinct: bool,
    ignore_nulls: bool,
    keep: Keep,
    batches: Vec<Vec<ArrayRef>>,
}

impl std::fmt::Debug for Keeping {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} batches of rows", self.batches.len())
    }
}

impl Keeping {
    /// All rows as one batch, which then is the only one.
    fn compact(&mut self) -> Result<&[ArrayRef]> {
        if self.batches.len() != 1 {
            let column = |index: usize| -> Result<ArrayRef> {
                if self.batches.is_empty() {
                    return Ok(arrow::array::new_empty_array(self.fields[index].data_type()));
                }
                let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch[index].as_ref()).collect();
                Ok(concat(&parts)?)
            };
            self.batches = vec![(0..self.fields.len()).map(column).collect::<Result<_>>()?];
        }
        Ok(&self.batches[0])
    }
}

impl Accumulator for Keeping {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = &values[..self.fields.len()];
        let Some(first) = values.first().filter(|column| !column.is_empty()) else { return Ok(()) };
        let decides = |row: &usize| !self.body.skips_nulls() || first.is_valid(*row);
        let row = match self.keep {
            Keep::All => {
                self.batches.push(values.to_vec());
                return Ok(());
            }
            Keep::First if !self.batches.is_empty() => None,
            Keep::First => (0..first.len()).find(decides),
            Keep::Last => (0..first.len()).rfind(decides),
        };
        if let Some(row) = row {
            self.batches = vec![values.iter().map(|column| column.slice(row, 1)).collect()];
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        // Windows move forward, so that the rows that leave are those that came first.
        let mut leaving = values.first().map_or(0, |column| column.len());
        while leaving > 0 {
            let Some(first) = self.batches.first_mut() else { return internal_err!("more rows leave than came") };
            let rows = first[0].len();
            if rows <= leaving {
                self.batches.remove(0);
                leaving -= rows;
            } else {
                for column in first {
                    *column = column.slice(leaving, rows - leaving);
                }
                leaving = 0;
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let (arguments, distinct, ignore_nulls, orders) =
            (self.arguments, self.distinct, self.ignore_nulls, self.orders.clone());
        let mut columns = self.compact()?.to_vec();
        if !orders.is_empty() {
            let order: Vec<SortColumn> = columns[arguments..]
                .iter()
                .zip(&orders)
                .map(|(values, options)| SortColumn { values: Arc::clone(values), options: Some(*options) })
                .collect();
            let indices = lexsort_to_indices(&order, None)?;
            columns = arrow::compute::take_arrays(&columns, &indices, None)?;
        }
        columns.truncate(arguments);
        if distinct {
            let rows = keys(&columns[..1])?;
            let mut seen = std::collections::HashSet::with_capacity(rows.num_rows());
            let fresh: BooleanArray = rows.iter().map(|row| Some(seen.insert(row.owned()))).collect();
            columns = columns.iter().map(|column| filter(column, &fresh)).collect::<Result<_, _>>()?;
        }
        if ignore_nulls && columns.first().is_some_and(|column| column.logical_null_count() > 0) {
            let valid = arrow::compute::is_not_null(&columns[0])?;
            columns = columns.iter().map(|column| filter(column, &valid)).collect::<Result<_, _>>()?;
        }
        let descending = orders.first().is_some_and(|order| order.descending);
        finish(self.body.as_ref(), &columns, &self.fields[..arguments], &self.result, descending)
    }

    fn size(&self) -> usize {
        let bytes = |batch: &Vec<ArrayRef>| batch.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
        size_of::<Self>() + self.batches.iter().map(bytes).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let fields = self.fields.clone();
        let columns = self.compact()?;
        let list = |(column, field): (&ArrayRef, &FieldRef)| list_scalar(Arc::clone(column), &list_of_field(field));
        columns.iter().zip(&fields).map(list).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states.first().map_or(0, |state| state.len()) {
            let batch: Vec<ArrayRef> = states.iter().map(|state| state.as_list::<i32>().value(row)).collect();
            self.update_batch(&batch)?;
        }
        Ok(())
    }
}

/// Keeps a few numbers of a group.
#[derive(Debug)]
struct Folding {
    fold: Box<dyn Fold>,
}

impl Accumulator for Folding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut valid: Option<BooleanArray> = None;
        for column in values.iter().filter(|column| column.logical_null_count() > 0) {
            let present = arrow::compute::is_not_null(column)?;
            valid = Some(match valid {
                Some(valid) => arrow::compute::and(&valid, &present)?,
                None => present,
            });
        }
        match valid {
            Some(valid) => {
                let kept = values.iter().map(|column| filter(column, &valid)).collect::<Result<Vec<_>, _>>()?;
                self.fold.update(&kept)
            }
            None => self.fold.update(values),
        }
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.fold.finish()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + FOLD_WIDTH * size_of::<f64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut state = self.fold.state();
        state.resize(FOLD_WIDTH, 0.0);
        Ok(state.into_iter().map(|number| ScalarValue::Float64(Some(number))).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let columns: Vec<_> =
            states.iter().map(|state| state.as_primitive::<arrow::datatypes::Float64Type>()).collect();
        for row in 0..columns.first().map_or(0, |column| column.len()) {
            let state: Vec<f64> = columns.iter().map(|column| column.value(row)).collect();
            self.fold.merge(&state);
        }
        Ok(())
    }
}

/// A list of items as a scalar of the list's type.
pub(crate) fn list_scalar(items: ArrayRef, data_type: &DataType) -> Result<ScalarValue> {
    let DataType::List(item) = data_type else { return internal_err!("a list type is expected") };
    let items =
        if items.data_type() == item.data_type() { items } else { arrow::compute::cast(&items, item.data_type())? };
    let offsets = OffsetBuffer::from_lengths([items.len()]);
    Ok(ScalarValue::List(Arc::new(arrow::array::ListArray::try_new(Arc::clone(item), offsets, items, None)?)))
}
