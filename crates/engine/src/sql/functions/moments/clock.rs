//! The clock: one answer for a whole statement.
//! Not here: zones (`zones`); everything runs in UTC.
//! Called by `moments` and the registration.

use std::hash::Hash;

use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::calendar::DAY;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Body, Function};

/// What the clock is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reading {
    Zoned,
    Local,
    Date,
    Time,
}

pub(super) fn functions() -> Vec<Function> {
    let function = |names, about, reading| Function { names, about, body: Body::Clock(reading) };
    vec![
        function(
            &["now", "current_timestamp", "get_current_timestamp", "transaction_timestamp"],
            "the moment at which the statement began",
            Reading::Zoned,
        ),
        function(
            &["current_localtimestamp", "localtimestamp"],
            "the moment at which the statement began, without a zone",
            Reading::Local,
        ),
        function(&["current_date", "today"], "the day on which the statement began", Reading::Date),
        function(
            &["current_time", "get_current_time", "current_localtime", "localtime"],
            "the time of day at which the statement began",
            Reading::Time,
        ),
    ]
}

/// A reading of the clock under one of its names.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Clock {
    name: &'static str,
    reading: Reading,
    signature: Signature,
}

impl Clock {
    pub(crate) fn new(name: &'static str, reading: Reading) -> Self {
        Self { name, reading, signature: Signature::nullary(Volatility::Stable) }
    }

    fn read(&self, now: DateTime<Utc>) -> ScalarValue {
        let micros = now.timestamp_micros();
        match self.reading {
            Reading::Zoned => ScalarValue::TimestampMicrosecond(Some(micros), Some(UTC.into())),
            Reading::Local => ScalarValue::TimestampMicrosecond(Some(micros), None),
            Reading::Date => ScalarValue::Date32(i32::try_from(micros.div_euclid(DAY)).ok()),
            Reading::Time => ScalarValue::Time64Microsecond(Some(micros.rem_euclid(DAY))),
        }
    }
}

impl ScalarUDFImpl for Clock {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.reading {
            Reading::Zoned => ZonedMoment::data_type(),
            Reading::Local => Moment::data_type(),
            Reading::Date => Date::data_type(),
            Reading::Time => Time::data_type(),
        })
    }

    fn simplify(&self, arguments: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match context.query_execution_start_time() {
            Some(now) => ExprSimplifyResult::Simplified(Expr::Literal(self.read(now), None)),
            None => ExprSimplifyResult::Original(arguments),
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("the clock is read when a statement is planned")
    }
}
