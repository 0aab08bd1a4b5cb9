//! Joins of two relations, by conditions, by common columns and by position.
//! Not here: ASOF joins (`asof`), relations that depend on what stands left of them (`lateral`).
//! Called for every FROM clause with more than one relation.

use std::rc::Rc;

use datafusion::common::JoinType;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, ObjectNamePart};
use tapline_core::{Error, Result, codes};

use super::expr::{Names, unsupported};
use super::from::{Kind, Relation};
use super::scope::{Column, Scope, same, unknown_column};
use super::{Binder, Env, ast};

impl Binder<'_> {
    /// Joins a relation to what stands left of it.
    pub(super) fn join(&self, left: Scope, right: Relation, operator: &JoinOperator, env: &Env<'_>) -> Result<Scope> {
        use JoinOperator as Op;
        let (kind, constraint) = match operator {
            Op::Join(constraint) | Op::Inner(constraint) | Op::CrossJoin(constraint) => (JoinType::Inner, constraint),
            Op::Left(constraint) | Op::LeftOuter(constraint) => (JoinType::Left, constraint),
            Op::Right(constraint) | Op::RightOuter(constraint) => (JoinType::Right, constraint),
            Op::FullOuter(constraint) => (JoinType::Full, constraint),
            Op::Semi(constraint) | Op::LeftSemi(constraint) => (JoinType::LeftSemi, constraint),
            Op::Anti(constraint) | Op::LeftAnti(constraint) => (JoinType::LeftAnti, constraint),
            // The words that `syntax::joins` puts in the place of ASOF and POSITIONAL.
            Op::RightSemi(constraint) => return self.asof(left, right.scope, constraint, false, env),
            Op::RightAnti(constraint) => return self.asof(left, right.scope, constraint, true, env),
            Op::CrossApply => return self.positional(left, right.scope),
            other => return Err(unsupported(&format!("the join {other:?}"))),
        };
        match right.kind {
            Kind::Alone => self.conditional(left, right.scope, kind, constraint, env),
            Kind::Unnested => match constraint {
                JoinConstraint::None => Ok(right.scope),
                JoinConstraint::On(condition) => self.filtered(right.scope, condition.clone(), kind, env),
                _ => Err(unsupported("USING with a list's elements")),
            },
            Kind::Lateral => self.lateral(left, right.scope, kind, constraint, env),
        }
    }

    /// Rows of a list's elements that meet a condition.
    fn filtered(&self, scope: Scope, condition: Expr, kind: JoinType, env: &Env<'_>) -> Result<Scope> {
        let condition = self.expr(condition, Names::of(&scope), env)?;
        if is_true(&condition) {
            return Ok(scope);
        }
        if kind != JoinType::Inner {
            return Err(unsupported("an outer join with a list's elements under a condition"));
        }
        let condition = self.engine_expr(condition, &scope)?;
        let plan = LogicalPlanBuilder::from(scope.plan).filter(condition).and_then(LogicalPlanBuilder::build);
        Ok(Scope { plan: self.told(plan)?, ..scope })
    }

    fn conditional(
        &self,
        left: Scope,
        right: Scope,
        kind: JoinType,
        constraint: &JoinConstraint,
        env: &Env<'_>,
    ) -> Result<Scope> {
        let (columns, condition) = self.constraint(&left, &right, kind, constraint)?;
        let builder = LogicalPlanBuilder::from(left.plan.clone());
        let both = Scope { columns, plan: self.pair(&left, &right)?, used: Rc::default() };
        let condition = match condition {
            Condition::None if kind == JoinType::Inner => {
                return Ok(both);
            }
            Condition::None => Expr::value(datafusion::sql::sqlparser::ast::Value::Boolean(true)),
            Condition::Bound(condition) => condition,
            Condition::Unbound(condition) => self.expr(condition, Names::of(&both), env)?,
        };
        let outer = env.outer_schema();
        let condition = self.told(self.engine.expr_within(condition, both.schema(), outer.as_ref()))?;
        let plan =
            self.told(builder.join_on(right.plan, kind, conjuncts(condition)).and_then(LogicalPlanBuilder::build))?;
        let columns = match kind {
            JoinType::LeftSemi | JoinType::LeftAnti => left.columns,
            _ => both.columns,
        };
        Ok(Scope { columns, plan, used: left.used })
    }

    /// Every row with every other: what conditions are planned over.
    pub(super) fn pair(&self, left: &Scope, right: &Scope) -> Result<datafusion::logical_expr::LogicalPlan> {
        let pair = LogicalPlanBuilder::from(left.plan.clone()).cross_join(right.plan.clone());
        self.told(pair.and_then(LogicalPlanBuilder::build))
    }

    /// The columns of both sides and what joins them.
    pub(super) fn constraint(
        &self,
        left: &Scope,
        right: &Scope,
        kind: JoinType,
        constraint: &JoinConstraint,
    ) -> Result<(Vec<Column>, Condition)> {
        let mut columns = left.columns.clone();
        let names: Vec<Ident> = match constraint {
            JoinConstraint::None => {
                columns.extend(right.columns.iter().cloned());
                return Ok((columns, Condition::None));
            }
            JoinConstraint::On(condition) => {
                columns.extend(right.columns.iter().cloned());
                return Ok((columns, Condition::Unbound(condition.clone())));
            }
            JoinConstraint::Using(names) => names
                .iter()
                .filter_map(|name| match name.0.last() {
                    Some(ObjectNamePart::Identifier(name)) => Some(name.clone()),
                    _ => None,
                })
                .collect(),
            JoinConstraint::Natural => {
                let common =
                    left.visible().filter(|column| right.visible().any(|other| same(&column.name, &other.name)));
                let names: Vec<Ident> = common.map(|column| Ident::new(column.name.clone())).collect();
                if names.is_empty() {
                    return Err(Error::new(
                        codes::SQL_005,
                        "planning the SQL: there are no columns in common for a NATURAL JOIN",
                    ));
                }
                names
            }
        };
        let mut right_columns = right.columns.clone();
        let mut equal = Vec::with_capacity(names.len());
        for name in &names {
            let one = |scope: &Scope| -> Result<(String, String)> {
                match scope.find(name)? {
                    super::scope::Found::Column(column) => Ok((column.table.clone(), column.name.clone())),
                    _ => Err(self.at(name, unknown_column(&name.value, &[scope], &[]))),
                }
            };
            let (left_key, right_key) = (one(left)?, one(right)?);
            let find = |columns: &[Column], key: &(String, String)| {
                columns.iter().position(|column| column.table == key.0 && column.name == key.1)
            };
            let (Some(at), Some(other)) = (find(&columns, &left_key), find(&right_columns, &right_key)) else {
                continue;
            };
            let (mine, theirs) = (columns[at].bare().clone(), right_columns[other].bare().clone());
            equal.push(ast::binary(mine.clone(), BinaryOperator::Eq, theirs.clone()));
            columns[at].merged = match kind {
                JoinType::Full => Some(ast::call("coalesce", vec![mine, theirs])),
                JoinType::Right => Some(theirs),
                _ => columns[at].merged.take(),
            };
            right_columns[other].visible = false;
        }
        columns.extend(right_columns);
        let condition = ast::all_of(equal).map_or(Condition::None, Condition::Bound);
        Ok((columns, condition))
    }

    /// The first row with the first, the second with the second, as far as the longer side goes.
    fn positional(&self, left: Scope, right: Scope) -> Result<Scope> {
        let numbered = |scope: &Scope| {
            let name = self.unique("position");
            let number = row_number().alias(&name);
            let builder = LogicalPlanBuilder::from(scope.plan.clone()).window([number]);
            let plan = self.told(builder.and_then(LogicalPlanBuilder::build))?;
            Ok::<_, Error>((plan, EngineExpr::Column(datafusion::common::Column::new_unqualified(name))))
        };
        let ((left_plan, left_number), (right_plan, right_number)) = (numbered(&left)?, numbered(&right)?);
        let plan = LogicalPlanBuilder::from(left_plan)
            .join_on(right_plan, JoinType::Full, [left_number.clone().eq(right_number.clone())])
            .and_then(|builder| {
                let number = datafusion::functions::expr_fn::coalesce(vec![left_number, right_number]);
                builder.sort([number.sort(true, false)])
            })
            .and_then(LogicalPlanBuilder::build);
        let mut columns = left.columns;
        columns.extend(right.columns);
        Ok(Scope { columns, plan: self.told(plan)?, used: left.used })
    }
}

/// What joins two relations.
pub(super) enum Condition {
    None,
    Bound(Expr),
    Unbound(Expr),
}

fn is_true(expr: &Expr) -> bool {
    use datafusion::sql::sqlparser::ast::{Value, ValueWithSpan};
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::Boolean(true), .. }))
}

/// The parts of a condition that all must hold.
pub(super) fn conjuncts(condition: EngineExpr) -> Vec<EngineExpr> {
    datafusion::logical_expr::utils::split_conjunction_owned(condition)
}
