//! Aggregates over the items of each list.
//! Not here: the aggregates (`aggregates`).
//! Called by `lists`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_datafusion_err, plan_err};

use crate::sql::functions::aggregates::find;
use crate::sql::functions::toolkit::aggregate::{Aggregate, finish};
use crate::sql::functions::toolkit::general::{Call, General, Plan};
use crate::sql::functions::toolkit::lists::{Lists, item_of, list_type};
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    let over = |names, about, name| general(names, about, Over { name: Some(name) });
    vec![
        general(
            &["list_aggregate", "list_aggr", "array_aggregate", "array_aggr", "aggregate"],
            "what the aggregate of a name gives for the items",
            Over { name: None },
        ),
        over(&["list_any_value"], "the first item that is not NULL", "any_value"),
        over(&["list_approx_count_distinct"], "how many different items there are", "approx_count_distinct"),
        over(&["list_avg"], "the average of the items", "avg"),
        over(&["list_bit_and"], "the bits that are set in all items", "bit_and"),
        over(&["list_bit_or"], "the bits that are set in any item", "bit_or"),
        over(&["list_bit_xor"], "the bits that are set in an odd number of items", "bit_xor"),
        over(&["list_bool_and"], "whether all items are true", "bool_and"),
        over(&["list_bool_or"], "whether any item is true", "bool_or"),
        over(&["list_count"], "how many items are not NULL", "count"),
        over(&["list_entropy"], "how evenly the items are spread", "entropy"),
        over(&["list_first"], "the first item", "first"),
        over(&["list_histogram"], "how often each item occurs", "histogram"),
        over(&["list_kurtosis"], "how heavy the tails of the items are, as a sample", "kurtosis"),
        over(&["list_kurtosis_pop"], "how heavy the tails of the items are", "kurtosis_pop"),
        over(&["list_last"], "the last item", "last"),
        over(&["list_mad"], "the median of the distances from the median", "mad"),
        over(&["list_max"], "the largest item", "max"),
        over(&["list_median"], "the middle item", "median"),
        over(&["list_min"], "the least item", "min"),
        over(&["list_mode"], "the most frequent item", "mode"),
        over(&["list_product"], "the product of the items", "product"),
        over(&["list_sem"], "the standard error of the mean of the items", "sem"),
        over(&["list_skewness"], "how far the items lean to one side", "skewness"),
        over(&["list_stddev_pop"], "the standard deviation of the items", "stddev_pop"),
        over(&["list_stddev_samp"], "the standard deviation of the items, as a sample", "stddev_samp"),
        over(&["list_string_agg"], "the items as text, joined by commas", "string_agg"),
        over(&["list_sum"], "the sum of the items", "sum"),
        over(&["list_var_pop"], "the variance of the items", "var_pop"),
        over(&["list_var_samp"], "the variance of the items, as a sample", "var_samp"),
    ]
}

/// An aggregate, named by the function or by its second argument.
struct Over {
    name: Option<&'static str>,
}

/// An aggregate with the fields of its arguments, the first of which are items.
struct Bound {
    body: Arc<dyn Aggregate>,
    fields: Vec<FieldRef>,
    result: Field,
}

impl Over {
    /// The arguments besides the list and the name.
    fn extras(&self) -> usize {
        if self.name.is_some() { 1 } else { 2 }
    }

    fn bind(&self, name: &str, arguments: &[FieldRef]) -> Result<Bound> {
        let body = find(&name.to_lowercase())
            .ok_or_else(|| plan_datafusion_err!("there is no aggregate '{name}' for lists"))?;
        let Some(item) = item_of(arguments[0].data_type()) else { return plan_err!("a list is expected") };
        let mut fields = vec![item.as_ref().clone()];
        fields.extend(arguments[self.extras()..].iter().map(|field| field.as_ref().clone()));
        let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        let types = body.coerce(&types)?;
        if types.len() != fields.len() {
            return plan_err!("the aggregate '{name}' takes other arguments");
        }
        let typed = |(field, data_type): (Field, DataType)| {
            let field = if *field.data_type() == data_type { field } else { Field::new(field.name(), data_type, true) };
            Arc::new(field) as FieldRef
        };
        let fields: Vec<FieldRef> = fields.into_iter().zip(types).map(typed).collect();
        let result = body.result(&fields)?;
        Ok(Bound { body, fields, result })
    }
}

impl General for Over {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.len() < self.extras() {
            return plan_err!(
                "a list{} is expected",
                if self.name.is_none() { " and the name of an aggregate" } else { "" }
            );
        }
        let mut types = types.to_vec();
        types[0] = list_type(&types[0])?;
        if self.name.is_none() {
            types[1] = DataType::Utf8;
        }
        Ok(types)
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        let Some(name) = self.name.or_else(|| plan.text(1)) else {
            return plan_err!("the name of the aggregate must be a constant");
        };
        Ok(self.bind(name, plan.fields)?.result.with_name(""))
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let given;
        let name = match self.name {
            Some(name) => name,
            None => {
                given = ScalarValue::try_from_array(&call.columns[1], 0)?;
                given.try_as_str().flatten().unwrap_or_default()
            }
        };
        if call.rows == 0 {
            return Ok(arrow::array::new_empty_array(call.result.data_type()));
        }
        let bound = self.bind(name, call.fields)?;
        let lists = Lists::new(&call.columns[0])?;
        let items = cast(lists.items(), bound.fields[0].data_type())?;
        let extras = call.columns[self.extras()..]
            .iter()
            .zip(&bound.fields[1..])
            .map(|(column, field)| cast(column, field.data_type()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut answers = Vec::with_capacity(call.rows);
        for row in 0..call.rows {
            let Some(range) = lists.range(row) else {
                answers.push(ScalarValue::try_new_null(bound.result.data_type())?);
                continue;
            };
            let length = range.len();
            let mut columns = vec![items.slice(range.start, length)];
            let same = UInt32Array::from_iter_values(std::iter::repeat_n(row as u32, length));
            for extra in &extras {
                columns.push(take(extra, &same, None)?);
            }
            answers.push(finish(bound.body.as_ref(), &columns, &bound.fields, &bound.result, false)?);
        }
        let answers = ScalarValue::iter_to_array(answers)?;
        if answers.data_type() == call.result.data_type() {
            Ok(answers)
        } else {
            Ok(cast(&answers, call.result.data_type())?)
        }
    }
}
