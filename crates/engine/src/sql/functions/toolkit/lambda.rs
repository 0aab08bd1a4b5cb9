//! Functions that take lambdas, around the query engine's own lambdas.
//! Not here: the functions (`lists::lambdas`).
//! Called by the registration.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDFImpl,
    LambdaArgument, LambdaParametersProgress, ValueOrLambda, Volatility,
};

/// What a function with one lambda has to say.
pub(crate) trait Higher: Send + Sync {
    /// The types to which the arguments other than the lambda are cast.
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>>;

    /// The lambda's parameters. `lambda` is the type of its answer, once that was found with the parameters of the
    /// step before.
    fn parameters(&self, values: &[FieldRef], lambda: Option<&FieldRef>) -> Result<Vec<FieldRef>>;

    /// Whether the parameters depend on the answer of the lambda, so that they are asked for twice.
    fn depends_on_itself(&self) -> bool {
        false
    }

    /// The type of the answer.
    fn result(&self, values: &[FieldRef], lambda: &FieldRef) -> Result<FieldRef>;

    /// The types of the other arguments, once the lambda's is known.
    fn coerce_for(&self, values: &[DataType], _lambda: &DataType) -> Vec<DataType> {
        values.to_vec()
    }

    /// The answer.
    fn run(&self, values: &[ArrayRef], lambda: &LambdaArgument, result: &FieldRef) -> Result<ArrayRef>;
}

/// A function with a lambda under one of its names.
pub(crate) struct HigherFunction {
    name: &'static str,
    signature: HigherOrderSignature,
    body: Arc<dyn Higher>,
}

impl HigherFunction {
    pub(crate) fn new(name: &'static str, body: Arc<dyn Higher>) -> Self {
        Self { name, signature: HigherOrderSignature::user_defined(Volatility::Immutable), body }
    }
}

/// The values and the lambda among the arguments.
fn split<'a, V, L>(name: &str, arguments: &'a [ValueOrLambda<V, L>]) -> Result<(Vec<&'a V>, &'a L)> {
    let mut values = Vec::new();
    let mut lambdas = Vec::new();
    for argument in arguments {
        match argument {
            ValueOrLambda::Value(value) => values.push(value),
            ValueOrLambda::Lambda(lambda) => lambdas.push(lambda),
        }
    }
    match lambdas.as_slice() {
        [lambda] => Ok((values, lambda)),
        _ => plan_err!("{name} takes one lambda, such as x -> x + 1"),
    }
}

impl std::fmt::Debug for HigherFunction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl PartialEq for HigherFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for HigherFunction {}

impl Hash for HigherFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl HigherOrderUDFImpl for HigherFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.body.coerce(types)
    }

    fn lambda_parameters(
        &self,
        step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let (values, lambda) = split(self.name, fields)?;
        let values: Vec<FieldRef> = values.into_iter().cloned().collect();
        let parameters = self.body.parameters(&values, lambda.as_ref())?;
        Ok(if self.body.depends_on_itself() && step == 0 && lambda.is_none() {
            LambdaParametersProgress::Partial(vec![Some(parameters)])
        } else {
            LambdaParametersProgress::Complete(vec![parameters])
        })
    }

    fn coerce_values_for_lambdas(&self, fields: &[ValueOrLambda<DataType, DataType>]) -> Result<Option<Vec<DataType>>> {
        let (values, lambda) = split(self.name, fields)?;
        let values: Vec<DataType> = values.into_iter().cloned().collect();
        Ok(Some(self.body.coerce_for(&values, lambda)))
    }

    fn return_field_from_args(&self, arguments: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let (values, lambda) = split(self.name, arguments.arg_fields)?;
        let values: Vec<FieldRef> = values.into_iter().cloned().collect();
        self.body.result(&values, lambda)
    }

    fn short_circuits(&self) -> bool {
        true
    }

    /// What a lambda computes may fail where it is not called, so it stays in the lambda.
    fn conditional_arguments<'a>(&self, arguments: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        Some(arguments.iter().partition(|argument| !matches!(argument, Expr::Lambda(_))))
    }

    fn invoke_with_args(&self, arguments: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (values, lambda) = split(self.name, &arguments.args)?;
        let values =
            values.into_iter().map(|value| value.to_array(arguments.number_rows)).collect::<Result<Vec<ArrayRef>>>()?;
        Ok(ColumnarValue::Array(self.body.run(&values, lambda, &arguments.return_field)?))
    }
}
