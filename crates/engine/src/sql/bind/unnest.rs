//! Elements of lists as rows and members of structs as columns: `unnest` in a list and in FROM.
//! Not here: how rows are repeated, which the engine knows.
//! Called for lists of SELECT and for FROM.

use arrow::datatypes::DataType;
use datafusion::common::{Column as EngineColumn, UnnestOptions};
use datafusion::logical_expr::{Expr as EngineExpr, ExprSchemable, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{BinaryOperator, CaseWhen, Expr, Ident, TableAlias, Value, ValueWithSpan};
use tapline_core::{Error, Result, codes};

use super::expr::{Names, members};
use super::from::{Kind, Relation};
use super::scope::{Column, Scope};
use super::{Binder, Env, ast};
use crate::sql::functions::toolkit::lists::item_of;
use crate::sql::functions::toolkit::typed::type_name;

impl Binder<'_> {
    /// The items that a bound item stands for: several where it takes a struct apart.
    pub(super) fn unnested_items(
        &self,
        name: String,
        expr: Expr,
        scope: &Scope,
        env: &Env<'_>,
    ) -> Result<Vec<(String, Expr)>> {
        let Expr::Function(function) = &expr else { return Ok(vec![(name, expr)]) };
        if ast::function_name(function) != "unnest" {
            return Ok(vec![(name, expr)]);
        }
        let arguments = ast::arguments(function);
        let Some(value) = arguments.first().copied().cloned() else {
            return Err(Error::new(codes::SQL_005, "planning the SQL: unnest needs a list"));
        };
        let depth = match arguments.get(1) {
            Some(Expr::Value(ValueWithSpan { value: Value::Boolean(true), .. })) => usize::MAX,
            Some(Expr::Value(ValueWithSpan { value: Value::Number(depth, _), .. })) => depth.parse().unwrap_or(1),
            _ => 1,
        };
        let outer = env.outer_schema();
        let list = self.told(self.engine.expr_within(value.clone(), scope.schema(), outer.as_ref()))?;
        let data_type = self.told(list.to_field(scope.schema().as_ref()))?.1.data_type().clone();
        let mut items = Vec::new();
        if !matches!(data_type, DataType::Null | DataType::Struct(_)) && item_of(&data_type).is_none() {
            let message = format!("planning the SQL: unnest takes a list or a struct, not {}", type_name(&data_type));
            return Err(Error::new(codes::SQL_005, message));
        }
        taken_apart(name, value, &data_type, depth, &mut items);
        Ok(items)
    }

    /// `unnest(list)` in FROM, next to what stands left of it.
    #[allow(clippy::too_many_arguments, reason = "all parts of one clause")]
    pub(super) fn unnest_relation(
        &self,
        name: &str,
        exprs: Vec<Expr>,
        alias: Option<TableAlias>,
        ordinality: bool,
        left: &Scope,
        outer: bool,
        env: &Env<'_>,
    ) -> Result<Relation> {
        let [expr] = <[Expr; 1]>::try_from(exprs)
            .map_err(|_| Error::new(codes::SQL_005, "planning the SQL: unnest in FROM takes one list"))?;
        let bound = self.expr(expr, Names::of(left), env)?;
        self.elements(name, bound, alias, ordinality, left, outer, env)
    }

    /// The elements of a bound list as a relation.
    #[allow(clippy::too_many_arguments, reason = "all parts of one clause")]
    pub(super) fn elements(
        &self,
        name: &str,
        bound: Expr,
        alias: Option<TableAlias>,
        ordinality: bool,
        left: &Scope,
        outer: bool,
        env: &Env<'_>,
    ) -> Result<Relation> {
        let (table, names): (String, Vec<Ident>) = match alias {
            Some(alias) => (alias.name.value, alias.columns.into_iter().map(|column| column.name).collect()),
            None => (name.to_owned(), Vec::new()),
        };
        let qualifier = self.unique(&table);
        let mut lists = vec![(names.first().map_or_else(|| name.to_owned(), |name| name.value.clone()), bound.clone())];
        if ordinality {
            let positions = ast::call("generate_series", vec![ast::number("1"), ast::call("len", vec![bound])]);
            lists.push((names.get(1).map_or_else(|| "ordinality".to_owned(), |name| name.value.clone()), positions));
        }
        if outer {
            // An empty list gives no row, NULL gives one.
            for (_, list) in &mut lists {
                let length = ast::call("len", vec![list.clone()]);
                let empty = ast::binary(length, BinaryOperator::Eq, ast::number("0"));
                *list = Expr::Case {
                    case_token: AttachedToken::empty(),
                    end_token: AttachedToken::empty(),
                    operand: None,
                    conditions: vec![CaseWhen { condition: empty, result: ast::null() }],
                    else_result: Some(Box::new(list.clone())),
                };
            }
        }
        let outer_schema = env.outer_schema();
        let mut exprs: Vec<EngineExpr> = left.schema().columns().into_iter().map(EngineExpr::Column).collect();
        let mut output = exprs.clone();
        let mut columns = Vec::with_capacity(lists.len());
        for (name, list) in &lists {
            let list = self.told(self.engine.expr_within(list.clone(), left.schema(), outer_schema.as_ref()))?;
            let elements = EngineColumn::new_unqualified(self.unique("elements"));
            exprs.push(list.alias(elements.name.clone()));
            output.push(EngineExpr::Column(elements.clone()).alias_qualified(Some(qualifier.clone()), name));
            columns.push(elements);
        }
        let options = UnnestOptions::new().with_preserve_nulls(outer);
        let plan = LogicalPlanBuilder::from(left.plan.clone())
            .project(exprs)
            .and_then(|builder| builder.unnest_columns_with_options(columns, options))
            .and_then(|builder| builder.project(output))
            .and_then(LogicalPlanBuilder::build);
        let plan = self.told(plan)?;
        let mut all = left.columns.clone();
        for (name, _) in &lists {
            all.push(Column {
                table: table.clone(),
                name: name.clone(),
                expr: ast::column(&qualifier, name),
                visible: true,
                merged: None,
            });
        }
        Ok(Relation { scope: Scope { columns: all, plan, used: std::rc::Rc::clone(&left.used) }, kind: Kind::Unnested })
    }
}

/// A list's elements as rows, a struct's members as columns, as deep as is wanted.
fn taken_apart(name: String, value: Expr, data_type: &DataType, depth: usize, items: &mut Vec<(String, Expr)>) {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) if depth > 0 => {
            let elements = ast::call("unnest", vec![value]);
            taken_apart(name, elements, item.data_type(), depth - 1, items);
        }
        DataType::Struct(fields) if depth > 0 => {
            for field in fields {
                let member = members(value.clone(), &[ast::ident(field.name())]);
                taken_apart(field.name().clone(), member, field.data_type(), depth - 1, items);
            }
        }
        DataType::Null if depth > 0 => items.push((name, ast::call("unnest", vec![value]))),
        _ => items.push((name, value)),
    }
}
