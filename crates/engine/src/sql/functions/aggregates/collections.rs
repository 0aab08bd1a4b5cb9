//! All values of a group in one: lists, texts, JSON.
//! Not here: histograms (`counts`).
//! Called by `aggregates`.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};

use super::field;
use crate::sql::functions::json;
use crate::sql::functions::toolkit::aggregate::{Aggregate, Group, list_scalar};
use crate::sql::functions::toolkit::lists::list_of_field;
use crate::sql::functions::toolkit::types::{Json, Type};
use crate::sql::functions::toolkit::values::texts;
use crate::sql::functions::toolkit::{Function, aggregate};

pub(super) fn functions() -> Vec<Function> {
    vec![
        aggregate(&["list", "array_agg"], "a list of all values, NULL too", List),
        aggregate(&["string_agg", "listagg", "group_concat"], "the values as text, joined by a separator", Joined),
        aggregate(&["json_group_array"], "a JSON array of all values", JsonGroup(Kind::Array)),
        aggregate(&["json_group_object"], "a JSON object of all pairs of name and value", JsonGroup(Kind::Object)),
        aggregate(&["json_group_structure"], "the structure that all JSON values share", JsonGroup(Kind::Structure)),
    ]
}

struct List;

impl Aggregate for List {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_] => Ok(types.to_vec()),
            _ => plan_err!("one argument is expected"),
        }
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        Ok(field(list_of_field(&fields[0])))
    }

    fn skips_nulls(&self) -> bool {
        false
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        if group.len() == 0 {
            return group.null();
        }
        list_scalar(group.columns[0].clone(), group.result.data_type())
    }
}

struct Joined;

impl Aggregate for Joined {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [value] => Ok(vec![value.clone()]),
            [value, _] => Ok(vec![value.clone(), DataType::Utf8]),
            _ => plan_err!("a value and a separator are expected"),
        }
    }

    fn result(&self, _: &[FieldRef]) -> Result<Field> {
        Ok(field(DataType::Utf8))
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        if group.len() == 0 {
            return group.null();
        }
        let separators = group.columns.get(1).map(|column| column.as_string::<i32>());
        let separator = match separators {
            Some(separators) if separators.is_null(0) => return exec_err!("the separator of a text is NULL"),
            Some(separators) => separators.value(0),
            None => ",",
        };
        let values = texts(&group.fields[0], &group.columns[0])?;
        Ok(ScalarValue::Utf8(Some(values.iter().flatten().collect::<Vec<_>>().join(separator))))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Array,
    Object,
    Structure,
}

struct JsonGroup(Kind);

impl Aggregate for JsonGroup {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let expected = if self.0 == Kind::Object { 2 } else { 1 };
        if types.len() != expected {
            return plan_err!("{expected} arguments are expected");
        }
        Ok(types.to_vec())
    }

    fn result(&self, _: &[FieldRef]) -> Result<Field> {
        Ok(Json::field())
    }

    fn skips_nulls(&self) -> bool {
        false
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        if group.len() == 0 {
            return group.null();
        }
        let values = json::documents(
            group.fields.last().map_or(&group.fields[0], |field| field),
            &group.columns[group.columns.len() - 1],
        )?;
        let text = match self.0 {
            Kind::Array => format!("[{}]", values.join(",")),
            Kind::Object => {
                let names = texts(&group.fields[0], &group.columns[0])?;
                let mut pairs = Vec::with_capacity(values.len());
                for (name, value) in names.iter().zip(values) {
                    let Some(name) = name else { return exec_err!("the name of a JSON object's member is NULL") };
                    pairs.push(format!("{}:{value}", json::quoted(name)));
                }
                format!("{{{}}}", pairs.join(","))
            }
            Kind::Structure => json::common_structure(&values)?,
        };
        Ok(ScalarValue::Utf8(Some(text)))
    }
}
