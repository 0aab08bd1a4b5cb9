//! Functions over columns of any type, where the type of the answer follows from those of the arguments.
//! Not here: functions that are computed row by row (`typed`).
//! Called by the families and the registration.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::typed::{columns, wrap};

/// What a function over columns of any type has to say.
pub(crate) trait General: Send + Sync {
    /// The types to which the arguments are cast.
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>>;

    /// The type of the answer.
    fn result(&self, plan: &Plan<'_>) -> Result<Field>;

    /// The answer.
    fn run(&self, call: &Call<'_>) -> Result<ArrayRef>;
}

/// What is known of a call before it runs.
pub(crate) struct Plan<'a> {
    /// The fields of the arguments.
    pub fields: &'a [FieldRef],
    /// The values of those arguments that are constant.
    pub constants: &'a [Option<&'a ScalarValue>],
}

impl Plan<'_> {
    /// The type of an argument.
    pub(crate) fn data_type(&self, index: usize) -> &DataType {
        self.fields.get(index).map_or(&DataType::Null, |field| field.data_type())
    }

    /// A constant text among the arguments.
    pub(crate) fn text(&self, index: usize) -> Option<&str> {
        match self.constants.get(index)? {
            Some(value) => value.try_as_str().flatten(),
            None => None,
        }
    }

    /// A constant whole number among the arguments.
    pub(crate) fn whole(&self, index: usize) -> Option<i64> {
        match self.constants.get(index)?.as_ref()?.cast_to(&DataType::Int64).ok()? {
            ScalarValue::Int64(value) => value,
            _ => None,
        }
    }
}

/// A call with its columns.
pub(crate) struct Call<'a> {
    /// The columns of the arguments.
    pub columns: Vec<ArrayRef>,
    /// Their fields.
    pub fields: &'a [FieldRef],
    /// What [`General::result`] said.
    pub result: &'a Field,
    /// How many rows the answer has.
    pub rows: usize,
}

/// A general function made of three plain functions.
pub(crate) struct Plain {
    pub coerce: fn(&[DataType]) -> Result<Vec<DataType>>,
    pub result: fn(&Plan<'_>) -> Result<Field>,
    pub run: fn(&Call<'_>) -> Result<ArrayRef>,
}

impl General for Plain {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        (self.coerce)(types)
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        (self.result)(plan)
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        (self.run)(call)
    }
}

/// Takes the arguments as they are.
pub(crate) fn as_they_are(types: &[DataType]) -> Result<Vec<DataType>> {
    Ok(types.to_vec())
}

/// A field for an answer, which may be NULL.
pub(crate) fn answer(data_type: DataType) -> Field {
    Field::new("", data_type, true)
}

/// Refuses a call with another number of arguments.
pub(crate) fn expect_arguments(types: &[DataType], counts: std::ops::RangeInclusive<usize>) -> Result<()> {
    if counts.contains(&types.len()) {
        return Ok(());
    }
    plan_err!("the function takes {} to {} arguments, not {}", counts.start(), counts.end(), types.len())
}

/// A general function under one of its names.
pub(crate) struct GeneralFunction {
    name: &'static str,
    signature: Signature,
    body: Arc<dyn General>,
}

impl GeneralFunction {
    pub(crate) fn new(name: &'static str, volatility: Volatility, body: Arc<dyn General>) -> Self {
        Self { name, signature: Signature::user_defined(volatility), body }
    }
}

impl std::fmt::Debug for GeneralFunction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl PartialEq for GeneralFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for GeneralFunction {}

impl Hash for GeneralFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for GeneralFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.body.coerce(types).map_err(|error| error.context(format!("{}()", self.name)))
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let fields: Vec<FieldRef> = types.iter().map(|data_type| Arc::new(answer(data_type.clone()))).collect();
        let constants = vec![None; fields.len()];
        Ok(self.body.result(&Plan { fields: &fields, constants: &constants })?.data_type().clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let plan = Plan { fields: arguments.arg_fields, constants: arguments.scalar_arguments };
        let field = self.body.result(&plan)?;
        Ok(Arc::new(field.with_name(self.name).with_nullable(true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (columns, rows, constant) = columns(&arguments, self.signature.volatility)?;
        let call = Call { columns, fields: &arguments.arg_fields, result: &arguments.return_field, rows };
        wrap(self.body.run(&call)?, constant)
    }
}
