//! Calls of functions: scalar ones, aggregates and windows.
//! Not here: the functions themselves.
//! Called while expressions are bound.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArgumentClause, FunctionArguments, Interval, LambdaFunction, LambdaFunctionParameter, LambdaSyntax,
    ObjectNamePart, OneOrManyWithParens, OrderByExpr, Value, ValueWithSpan, VisitMut, VisitorMut, WindowFrame,
    WindowFrameBound, WindowSpec, WindowType,
};
use tapline_core::{Error, Result, codes};

use super::expr::{Names, unsupported};
use super::scope::Found;
use super::{Binder, Env, ast};
use crate::sql::syntax::FRAME_EXCLUDE;

/// The functions that take lambdas; an arrow among the arguments of any other is access to JSON.
const WITH_LAMBDAS: [&str; 13] = [
    "list_transform",
    "array_transform",
    "list_apply",
    "array_apply",
    "apply",
    "list_filter",
    "array_filter",
    "filter",
    "list_reduce",
    "array_reduce",
    "reduce",
    "map_filter",
    "map_transform",
];

/// The functions whose named arguments become members of a struct.
const WITH_MEMBERS: [&str; 4] = ["struct_pack", "struct_insert", "struct_update", "row"];

impl Binder<'_> {
    pub(super) fn call(&self, mut function: Function, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        let name = ast::function_name(&function);
        // `column.function()` has the column as its first argument.
        if let [ObjectNamePart::Identifier(first), ObjectNamePart::Identifier(_)] = function.name.0.as_slice()
            && (names.is_parameter(first) || matches!(names.scope.find(first), Ok(Found::Column(_))))
            && let FunctionArguments::List(list) = &mut function.args
        {
            let column = Expr::Identifier(first.clone());
            list.args.insert(0, FunctionArg::Unnamed(FunctionArgExpr::Expr(column)));
        }
        match &mut function.args {
            FunctionArguments::Subquery(query) => {
                let query = std::mem::replace(query.as_mut(), super::empty_query());
                return self.subquery_call(&name, query, names, env);
            }
            FunctionArguments::None => {}
            FunctionArguments::List(_) if name == "try" => return self.tried(&function, names, env),
            FunctionArguments::List(list) => {
                let lambdas = WITH_LAMBDAS.contains(&name.as_str());
                let mut bound = Vec::with_capacity(list.args.len());
                for argument in std::mem::take(&mut list.args) {
                    self.argument(&name, argument, lambdas, names, env, &mut bound)?;
                }
                list.args = bound;
                for clause in &mut list.clauses {
                    if let FunctionArgumentClause::OrderBy(order) = clause {
                        *order = self.order_terms(std::mem::take(order), names, env)?;
                    }
                }
            }
        }
        self.bound_call(&name, function, names, env)
    }

    /// `TRY(expr)`: a lambda, so that the function itself computes what may fail.
    fn tried(&self, function: &Function, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        let [expr] = ast::arguments(function)[..] else {
            return Err(Error::new(codes::SQL_005, "planning the SQL: TRY takes one expression"));
        };
        let body = typed(self.expr(expr.clone(), names, env)?);
        if self.aggregates(&body) {
            return Err(Error::new(codes::SQL_005, "planning the SQL: TRY cannot hold aggregates"));
        }
        let row = LambdaFunctionParameter { name: ast::ident("tapline row"), data_type: None };
        let lambda = LambdaFunction {
            params: OneOrManyWithParens::One(row),
            body: Box::new(ast::nested(body)),
            syntax: LambdaSyntax::Arrow,
        };
        Ok(ast::call("try", vec![Expr::value(Value::Boolean(true)), Expr::Lambda(lambda)]))
    }

    fn argument(
        &self,
        function: &str,
        argument: FunctionArg,
        lambdas: bool,
        names: Names<'_>,
        env: &Env<'_>,
        bound: &mut Vec<FunctionArg>,
    ) -> Result<()> {
        let plain = |expr: Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Lambda(lambda))) if lambdas => {
                bound.push(plain(typed(self.lambda(lambda, names, env)?)));
            }
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if lambdas => {
                bound.push(plain(typed(self.expr(expr, names, env)?)));
            }
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => bound.push(plain(self.expr(expr, names, env)?)),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), operator: FunctionArgOperator::Equals } => {
                let equal = ast::binary(Expr::Identifier(name), BinaryOperator::Eq, expr);
                bound.push(plain(self.expr(equal, names, env)?));
            }
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. }
            | FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(expr), .. } => {
                if WITH_MEMBERS.contains(&function) {
                    bound.push(plain(ast::string(&name.value)));
                }
                bound.push(plain(self.expr(expr, names, env)?));
            }
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if function == "count" => {
                bound.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
            }
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)) if function == "count" => {
                bound.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
            }
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {
                bound.extend(names.scope.visible().map(|column| plain(column.bare().clone())));
            }
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(table)) => {
                let table = table.to_string();
                let columns = names.scope.of_table(table.trim_matches('"'));
                bound.extend(columns.into_iter().map(|column| plain(column.expr.clone())));
            }
            other => return Err(unsupported(&format!("the argument {other}"))),
        }
        Ok(())
    }

    /// A lambda, whose parameters hide columns of the same name.
    fn lambda(&self, mut lambda: LambdaFunction, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        let mut parameters = names.parameters.to_vec();
        let lower = |parameter: &mut LambdaFunctionParameter| {
            parameter.name = ast::ident(&parameter.name.value.to_lowercase());
        };
        match &mut lambda.params {
            OneOrManyWithParens::One(parameter) => lower(parameter),
            OneOrManyWithParens::Many(several) => several.iter_mut().for_each(lower),
        }
        parameters.extend(lambda.params.iter().map(|parameter| parameter.name.value.clone()));
        let inner = Names { parameters: &parameters, ..names };
        lambda.body = Box::new(ast::nested(self.expr(*lambda.body, inner, env)?));
        Ok(Expr::Lambda(lambda))
    }

    /// A call whose arguments are bound; the other parts of it are not yet.
    pub(super) fn bound_call(
        &self,
        name: &str,
        mut function: Function,
        names: Names<'_>,
        env: &Env<'_>,
    ) -> Result<Expr> {
        function.filter = match function.filter {
            Some(filter) => Some(Box::new(self.expr(*filter, names, env)?)),
            None => None,
        };
        let within_group = self.order_terms(std::mem::take(&mut function.within_group), names, env)?;
        let mut name = name.to_owned();
        if !within_group.is_empty() {
            name = ordered_set(&name, &mut function, within_group)?;
        }
        if name == "count_star" {
            "count".clone_into(&mut name);
        }
        if let FunctionArguments::List(list) = &mut function.args {
            if name == "count" && list.args.is_empty() {
                list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
            }
            list.clauses.retain(|clause| match clause {
                FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => {
                    function.null_treatment = Some(*treatment);
                    false
                }
                _ => true,
            });
        }
        if name == crate::sql::syntax::UNPACK || name == "columns" {
            return Err(Error::new(codes::SQL_005, "planning the SQL: COLUMNS cannot stand here"));
        }
        if let Some(plain) = plain_call(&name, &ast::arguments(&function)) {
            return Ok(plain);
        }
        function.name = ast::object(&name);
        if let Some(over) = function.over.take() {
            return self.windowed(function, over, names, env);
        }
        Ok(match name.as_str() {
            "grouping" | "grouping_id" => {
                function.name = ast::object("grouping");
                ast::cast(Expr::Function(function), "BIGINT")
            }
            _ => Expr::Function(function),
        })
    }

    /// Terms of an ORDER BY inside a call or a window.
    pub(super) fn order_terms(
        &self,
        terms: Vec<OrderByExpr>,
        names: Names<'_>,
        env: &Env<'_>,
    ) -> Result<Vec<OrderByExpr>> {
        terms
            .into_iter()
            .map(|mut term| {
                term.expr = self.expr(term.expr, names, env)?;
                Ok(term)
            })
            .collect()
    }

    fn windowed(&self, mut function: Function, over: WindowType, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        match over {
            WindowType::NamedWindow(name) => Err(super::windows::unknown(&name)),
            WindowType::WindowSpec(spec) => {
                let (mut spec, excluded) = self.window(spec, names, env)?;
                super::windows::ordered(&mut function, &mut spec);
                match (excluded, ast::function_name(&function).as_str()) {
                    (Some(excluded), _) => super::frames::excluding(function, spec, &excluded),
                    (None, name) => {
                        let counts = ["row_number", "rank", "dense_rank", "ntile"].contains(&name);
                        function.over = Some(WindowType::WindowSpec(spec));
                        let call = Expr::Function(function);
                        Ok(if counts { ast::cast(call, "BIGINT") } else { call })
                    }
                }
            }
        }
    }

    /// A window, and what its frame leaves out.
    pub(super) fn window(
        &self,
        mut spec: WindowSpec,
        names: Names<'_>,
        env: &Env<'_>,
    ) -> Result<(WindowSpec, Option<String>)> {
        if let Some(name) = &spec.window_name {
            return Err(super::windows::unknown(name));
        }
        let mut excluded = None;
        if let Some(Expr::Identifier(first)) = spec.partition_by.first()
            && let Some(what) = first.value.strip_prefix(FRAME_EXCLUDE)
        {
            excluded = Some(what.to_owned());
            spec.partition_by.remove(0);
        }
        spec.partition_by =
            spec.partition_by.into_iter().map(|expr| self.expr(expr, names, env)).collect::<Result<_>>()?;
        spec.order_by = self.order_terms(spec.order_by, names, env)?;
        if let Some(frame) = &mut spec.window_frame {
            frame_bounds(frame);
        }
        Ok((spec, excluded))
    }
}

/// An expression whose whole numbers say their type: that of a lambda's parameter is settled before literals get theirs.
fn typed(mut expr: Expr) -> Expr {
    struct Typed;
    impl VisitorMut for Typed {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) = expr
                && text.parse::<i32>().is_ok()
            {
                *expr = ast::cast(expr.clone(), "INTEGER");
            }
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = expr.visit(&mut Typed);
    expr
}

/// `INTERVAL 3 DAY` as the engine takes it in a frame: with a string.
fn frame_bounds(frame: &mut WindowFrame) {
    for bound in std::iter::once(&mut frame.start_bound).chain(frame.end_bound.as_mut()) {
        if let WindowFrameBound::Preceding(Some(expr)) | WindowFrameBound::Following(Some(expr)) = bound {
            while let Expr::Nested(inner) = expr.as_mut() {
                let bare = std::mem::replace(inner.as_mut(), ast::null());
                **expr = bare;
            }
            if let Expr::Interval(Interval { value, leading_field: Some(unit), .. }) = expr.as_mut() {
                while let Expr::Nested(inner) = value.as_mut() {
                    **value = std::mem::replace(inner.as_mut(), ast::null());
                }
                if let Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) = value.as_ref() {
                    let text = format!("{text} {unit}");
                    **expr = Expr::Interval(Interval {
                        value: Box::new(ast::string(&text)),
                        leading_field: None,
                        leading_precision: None,
                        last_field: None,
                        fractional_seconds_precision: None,
                    });
                }
            }
        }
    }
}

/// Functions that are other expressions.
fn plain_call(name: &str, arguments: &[&Expr]) -> Option<Expr> {
    match (name, arguments) {
        ("if" | "iff", [condition, then, otherwise]) => Some(Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen { condition: (*condition).clone(), result: (*then).clone() }],
            else_result: Some(Box::new((*otherwise).clone())),
        }),
        ("age", [moment]) => {
            let today = ast::cast(ast::call("current_date", Vec::new()), "TIMESTAMP");
            Some(ast::call("age", vec![today, (*moment).clone()]))
        }
        ("generate_subscripts", [list, _]) => {
            let positions = vec![ast::number("1"), ast::call("len", vec![(*list).clone()])];
            Some(ast::call("unnest", vec![ast::call("generate_series", positions)]))
        }
        ("regexp_split_to_table", arguments) => {
            let arguments = arguments.iter().map(|argument| (*argument).clone()).collect();
            Some(ast::call("unnest", vec![ast::call("string_split_regex", arguments)]))
        }
        ("ifnull", [value, default]) => Some(ast::call("coalesce", vec![(*value).clone(), (*default).clone()])),
        _ => None,
    }
}

/// `f(…) WITHIN GROUP (ORDER BY x)` as a plain call, and its name.
fn ordered_set(name: &str, function: &mut Function, order: Vec<OrderByExpr>) -> Result<String> {
    let FunctionArguments::List(list) = &mut function.args else { return Err(unsupported("WITHIN GROUP here")) };
    let value = |order: &[OrderByExpr]| FunctionArg::Unnamed(FunctionArgExpr::Expr(order[0].expr.clone()));
    let plain = match name {
        "percentile_cont" | "quantile_cont" => "quantile_cont",
        "percentile_disc" | "quantile_disc" => "quantile_disc",
        "mode" | "median" => name,
        _ => {
            list.clauses.push(FunctionArgumentClause::OrderBy(order));
            return Ok(name.to_owned());
        }
    };
    list.args.insert(0, value(&order));
    if order.iter().any(|term| term.options.asc == Some(false)) {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    Ok(plain.to_owned())
}
