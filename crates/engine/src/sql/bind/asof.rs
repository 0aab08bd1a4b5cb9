//! ASOF joins: each row with the last one of the other side up to its moment.
//! Not here: how the words get here (`syntax::joins`).
//! Called for such joins.
//!
//! Both sides are put together, sorted by their keys and moments, and the last row of the right side is carried along:
//! one pass over both, however many rows there are.

use datafusion::common::{Column as EngineColumn, JoinType, ScalarValue};
use datafusion::functions::expr_fn::{get_field, named_struct};
use datafusion::functions_window::expr_fn::last_value;
use datafusion::logical_expr::expr::NullTreatment;
use datafusion::logical_expr::{
    Expr as EngineExpr, ExprFunctionExt, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, WindowFrame, lit,
    when,
};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, JoinConstraint};
use tapline_core::{Error, Result, codes};

use super::expr::Names;
use super::joins::Condition;
use super::scope::Scope;
use super::{Binder, Env};

/// What an ASOF join compares.
struct Match {
    /// Equal on both sides.
    keys: Vec<(EngineExpr, EngineExpr)>,
    left: EngineExpr,
    operator: Operator,
    right: EngineExpr,
}

impl Binder<'_> {
    pub(super) fn asof(
        &self,
        left: Scope,
        right: Scope,
        constraint: &JoinConstraint,
        outer: bool,
        env: &Env<'_>,
    ) -> Result<Scope> {
        let (columns, condition) = self.constraint(&left, &right, JoinType::Inner, constraint)?;
        let both = Scope { columns, plan: self.pair(&left, &right)?, used: std::rc::Rc::default() };
        let condition = match condition {
            Condition::Bound(condition) => last_is_moment(condition),
            Condition::Unbound(condition) => self.expr(condition, Names::of(&both), env)?,
            Condition::None => return Err(invalid()),
        };
        let condition = self.engine_expr(condition, &both)?;
        let matched = matched(condition, &left, &right)?;
        let plan = self.told(carried(&left.plan, &right.plan, matched, outer))?;
        Ok(Scope { columns: both.columns, plan, used: left.used })
    }
}

fn invalid() -> Error {
    Error::new(
        codes::SQL_005,
        "planning the SQL: an ASOF join needs one comparison by <, <=, > or >= beside equalities",
    )
    .hint("ON a.key = b.key AND a.moment >= b.moment, or USING (key, moment)")
}

/// `USING (key, moment)`: the last column is compared by `>=`.
fn last_is_moment(condition: Expr) -> Expr {
    let later = |expr: Expr| match expr {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            Expr::BinaryOp { left, op: BinaryOperator::GtEq, right }
        }
        other => other,
    };
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let last = match *right {
                Expr::Nested(inner) => later(*inner),
                other => later(other),
            };
            Expr::BinaryOp { left, op: BinaryOperator::And, right: Box::new(Expr::Nested(Box::new(last))) }
        }
        Expr::Nested(inner) => last_is_moment(*inner),
        other => later(other),
    }
}

fn matched(condition: EngineExpr, left: &Scope, right: &Scope) -> Result<Match> {
    let within = |expr: &EngineExpr, scope: &Scope| {
        expr.column_refs().into_iter().all(|column| scope.schema().has_column(column))
    };
    let (mut keys, mut moment) = (Vec::new(), None);
    for conjunct in super::joins::conjuncts(condition) {
        let EngineExpr::BinaryExpr(binary) = conjunct else { return Err(invalid()) };
        let (one, other) = (*binary.left, *binary.right);
        let (one, operator, other) = if within(&one, left) && within(&other, right) {
            (one, binary.op, other)
        } else if within(&one, right) && within(&other, left) {
            (other, binary.op.swap().unwrap_or(binary.op), one)
        } else {
            return Err(invalid());
        };
        match operator {
            Operator::Eq => keys.push((one, other)),
            Operator::Gt | Operator::GtEq | Operator::Lt | Operator::LtEq if moment.is_none() => {
                moment = Some((one, operator, other));
            }
            _ => return Err(invalid()),
        }
    }
    let (left, operator, right) = moment.ok_or_else(invalid)?;
    Ok(Match { keys, left, operator, right })
}

/// The rows of the left side, each with the last row of the right side that it matches.
fn carried(
    left: &LogicalPlan,
    right: &LogicalPlan,
    matched: Match,
    outer: bool,
) -> datafusion::error::Result<LogicalPlan> {
    const MOMENT: &str = "moment";
    const SIDE: &str = "side";
    const ROW: &str = "row";
    const LAST: &str = "last";
    let bare = |name: &str| EngineExpr::Column(EngineColumn::new_unqualified(name));
    let members = right.schema().columns();
    let packed = members
        .iter()
        .enumerate()
        .flat_map(|(index, column)| [lit(format!("f{index}")), EngineExpr::Column(column.clone())])
        .collect();
    let packed = named_struct(packed);
    let packed_type = packed.get_type(right.schema())?;
    let (mut of_left, mut of_right) = (Vec::new(), Vec::new());
    let mut present = matched.right.clone().is_not_null();
    for (index, (own, other)) in matched.keys.into_iter().enumerate() {
        present = present.and(other.clone().is_not_null());
        of_left.push(own.alias(format!("key{index}")));
        of_right.push(other.alias(format!("key{index}")));
    }
    let keys: Vec<EngineExpr> = (0..of_left.len()).map(|index| bare(&format!("key{index}"))).collect();
    // At the same moment the right side's row comes first where it counts, last where it does not.
    let counts = matches!(matched.operator, Operator::GtEq | Operator::LtEq);
    let (left_side, right_side) = if counts { (1, 0) } else { (0, 1) };
    of_left.extend([matched.left.alias(MOMENT), lit(left_side).alias(SIDE)]);
    of_right.extend([matched.right.alias(MOMENT), lit(right_side).alias(SIDE)]);
    let columns = left.schema().columns();
    for (index, column) in columns.iter().enumerate() {
        let own = EngineExpr::Column(column.clone());
        let nothing = ScalarValue::try_from(&own.get_type(left.schema())?)?;
        of_left.push(own.alias(format!("c{index}")));
        of_right.push(EngineExpr::Literal(nothing, None).alias(format!("c{index}")));
    }
    of_left.push(EngineExpr::Literal(ScalarValue::try_from(&packed_type)?, None).alias(ROW));
    of_right.push(packed.alias(ROW));
    let right = LogicalPlanBuilder::from(right.clone()).filter(present)?.project(of_right)?.build()?;
    let ascending = matches!(matched.operator, Operator::Gt | Operator::GtEq);
    let last = last_value(bare(ROW))
        .null_treatment(NullTreatment::IgnoreNulls)
        .partition_by(keys)
        .order_by(vec![bare(MOMENT).sort(ascending, false), bare(SIDE).sort(true, false)])
        .window_frame(running())
        .build()?
        .alias(LAST);
    let mut kept = bare(SIDE).eq(lit(left_side));
    let found = when(bare(MOMENT).is_not_null(), bare(LAST)).end()?;
    if !outer {
        kept = kept.and(found.clone().is_not_null());
    }
    let mut output = Vec::with_capacity(columns.len() + members.len());
    for (index, column) in columns.into_iter().enumerate() {
        output.push(bare(&format!("c{index}")).alias_qualified(column.relation, column.name));
    }
    for (index, column) in members.into_iter().enumerate() {
        let member = get_field(found.clone(), format!("f{index}"));
        output.push(member.alias_qualified(column.relation, column.name));
    }
    LogicalPlanBuilder::from(left.clone())
        .project(of_left)?
        .union(right)?
        .window([last])?
        .filter(kept)?
        .project(output)?
        .build()
}

/// From the first row up to the current one.
fn running() -> WindowFrame {
    use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits};
    WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::CurrentRow,
    )
}
