//! Expressions: names become columns, DuckDB's spellings become calls of functions.
//! Not here: calls (`call`), access to parts of values (`access`), the functions themselves.
//! Called for every expression of a statement.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DataType, Expr, Ident, Interval, Query, TrimWhereField, UnaryOperator,
    Value, ValueWithSpan,
};
use tapline_core::{Error, Result, codes};

use super::quantified::opposite;
use super::scope::{Found, Scope, row, same, unknown_column};
use super::{Binder, Env, ast};

/// What names mean where an expression stands.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) scope: &'a Scope,
    /// Names of the SELECT's list with what they stand for.
    pub(super) aliases: &'a [(String, Expr)],
    /// Whether those come before columns.
    pub(super) aliases_first: bool,
    /// Parameters of the lambdas around the expression.
    pub(super) parameters: &'a [String],
}

impl<'a> Names<'a> {
    /// Columns alone.
    pub(super) fn of(scope: &'a Scope) -> Self {
        Self { scope, aliases: &[], aliases_first: false, parameters: &[] }
    }

    /// Columns, then names of the list.
    pub(super) fn with_aliases(self, aliases: &'a [(String, Expr)]) -> Self {
        Self { aliases, ..self }
    }

    /// Whether a name is a parameter of a lambda around the expression.
    pub(super) fn is_parameter(&self, name: &Ident) -> bool {
        self.parameters.iter().any(|parameter| same(parameter, &name.value))
    }

    fn alias(&self, name: &Ident) -> Option<Expr> {
        let (_, expr) = self.aliases.iter().rev().find(|(alias, _)| same(alias, &name.value))?;
        Some(ast::nested(expr.clone()))
    }
}

impl Binder<'_> {
    /// Binds an expression.
    pub(super) fn expr(&self, expr: Expr, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        let bind = |expr: Box<Expr>| self.expr(*expr, names, env);
        let boxed = |expr: Box<Expr>| bind(expr).map(|bound| Box::new(ast::nested(bound)));
        let truth = |expr: Box<Expr>| bind(expr).map(|bound| Box::new(ast::nested(ast::cast(bound, "BOOLEAN"))));
        let list =
            |exprs: Vec<Expr>| exprs.into_iter().map(|expr| self.expr(expr, names, env)).collect::<Result<Vec<_>>>();
        Ok(match expr {
            Expr::Identifier(name) => self.name(&name, names, env)?,
            Expr::CompoundIdentifier(parts) => self.path(&parts, names, env)?,
            Expr::CompoundFieldAccess { root, access_chain } => self.access(*root, access_chain, names, env)?,
            Expr::JsonAccess { .. } => return Err(unsupported("a path after a colon")),
            Expr::Nested(inner) => ast::nested(bind(inner)?),
            Expr::Value(value) => self.value(value)?,
            Expr::IsNull(inner) => Expr::IsNull(boxed(inner)?),
            Expr::IsNotNull(inner) => Expr::IsNotNull(boxed(inner)?),
            Expr::IsTrue(inner) => Expr::IsTrue(truth(inner)?),
            Expr::IsNotTrue(inner) => Expr::IsNotTrue(truth(inner)?),
            Expr::IsFalse(inner) => Expr::IsFalse(truth(inner)?),
            Expr::IsNotFalse(inner) => Expr::IsNotFalse(truth(inner)?),
            Expr::IsUnknown(inner) => Expr::IsUnknown(truth(inner)?),
            Expr::IsNotUnknown(inner) => Expr::IsNotUnknown(truth(inner)?),
            Expr::IsDistinctFrom(left, right) => Expr::IsDistinctFrom(boxed(left)?, boxed(right)?),
            Expr::IsNotDistinctFrom(left, right) => Expr::IsNotDistinctFrom(boxed(left)?, boxed(right)?),
            Expr::InList { expr, list: members, negated } => self.in_list(*expr, members, negated, names, env)?,
            Expr::InSubquery { expr, subquery, negated } => {
                let subquery = self.inner_query(*subquery, names, env)?;
                match *expr {
                    Expr::Tuple(members) => self.row_in_query(list(members)?, subquery, negated)?,
                    expr => {
                        let expr = Box::new(ast::nested(self.expr(expr, names, env)?));
                        Expr::InSubquery { expr, subquery: Box::new(subquery), negated }
                    }
                }
            }
            Expr::InUnnest { expr, array_expr, negated } => {
                let contains = ast::call("list_contains", vec![bind(array_expr)?, bind(expr)?]);
                if negated { ast::not(contains) } else { contains }
            }
            Expr::Between { expr, negated, low, high } => {
                Expr::Between { expr: boxed(expr)?, negated, low: boxed(low)?, high: boxed(high)? }
            }
            Expr::BinaryOp { left, op, right } => {
                let (left, right) = collated(*left, *right);
                self.operator(left, op, right, names, env)?
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                like(negated, false, bind(expr)?, bind(pattern)?, escape_char)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                like(negated, true, bind(expr)?, bind(pattern)?, escape_char)
            }
            Expr::SimilarTo { negated, expr, pattern, escape_char: None } => {
                let matches = ast::call("regexp_full_match", vec![bind(expr)?, bind(pattern)?]);
                if negated { ast::not(matches) } else { matches }
            }
            Expr::AnyOp { left, compare_op, right, .. } => match *right {
                Expr::Subquery(subquery) => {
                    let subquery = self.inner_query(*subquery, names, env)?;
                    let left = bind(left)?;
                    match compare_op {
                        BinaryOperator::Eq => Expr::InSubquery {
                            expr: Box::new(ast::nested(left)),
                            subquery: Box::new(subquery),
                            negated: false,
                        },
                        compare_op => self.any_of_query(left, compare_op, &subquery)?,
                    }
                }
                list if compare_op == BinaryOperator::Eq => {
                    let list = self.expr(list, names, env)?;
                    ast::call("list_contains", vec![list, bind(left)?])
                }
                _ => return Err(unsupported("ANY over a list with another comparison than =")),
            },
            Expr::AllOp { left, compare_op, right } => match *right {
                Expr::Subquery(subquery) => {
                    let subquery = self.inner_query(*subquery, names, env)?;
                    let opposite = opposite(&compare_op).ok_or_else(|| unsupported("ALL with this operator"))?;
                    ast::not(self.any_of_query(bind(left)?, opposite, &subquery)?)
                }
                _ => return Err(unsupported("ALL over a list")),
            },
            Expr::UnaryOp { op, expr } => self.unary(op, *expr, names, env)?,
            Expr::Cast { kind, expr, data_type, format: None, .. } => {
                let name = match kind {
                    CastKind::TryCast | CastKind::SafeCast => "try ::",
                    CastKind::Cast | CastKind::DoubleColon => "::",
                };
                ast::call(name, vec![bind(expr)?, ast::string(&data_type.to_string())])
            }
            Expr::TypedString(typed) => {
                let text = ast::string(&typed.value.value.into_string().unwrap_or_default());
                ast::call("::", vec![text, ast::string(&typed.data_type.to_string())])
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                ast::call("timezone", vec![bind(time_zone)?, bind(timestamp)?])
            }
            Expr::Extract { field, expr, .. } => {
                let part = field.to_string().trim_matches(['\'', '"']).to_lowercase();
                ast::call("date_part", vec![ast::string(&part), bind(expr)?])
            }
            Expr::Ceil { expr, field } => rounded("ceil", bind(expr)?, field),
            Expr::Floor { expr, field } => rounded("floor", bind(expr)?, field),
            Expr::Position { expr, r#in } => ast::call("strpos", vec![bind(r#in)?, bind(expr)?]),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut arguments = vec![bind(expr)?];
                arguments.push(substring_from.map_or_else(|| Ok(ast::number("1")), bind)?);
                arguments.extend(substring_for.map(bind).transpose()?);
                ast::call("substring", arguments)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "trim",
                };
                let mut arguments = vec![bind(expr)?];
                arguments.extend(trim_what.map(bind).transpose()?);
                arguments.extend(list(trim_characters.unwrap_or_default())?);
                ast::call(name, arguments)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments = vec![bind(expr)?, bind(overlay_what)?, bind(overlay_from)?];
                arguments.extend(overlay_for.map(bind).transpose()?);
                ast::call("overlay", arguments)
            }
            Expr::Collate { expr, .. } => bind(expr)?,
            Expr::Function(function) => self.call(function, names, env)?,
            Expr::Lambda(lambda) => self.json_arrow(lambda, names, env)?,
            Expr::Case { case_token, end_token, operand, conditions, else_result } => Expr::Case {
                case_token,
                end_token,
                operand: operand.map(boxed).transpose()?,
                conditions: conditions
                    .into_iter()
                    .map(|mut when| {
                        when.condition = self.expr(when.condition, names, env)?;
                        when.result = self.expr(when.result, names, env)?;
                        Ok(when)
                    })
                    .collect::<Result<_>>()?,
                else_result: else_result.map(boxed).transpose()?,
            },
            Expr::Exists { subquery, negated } => {
                Expr::Exists { subquery: Box::new(self.inner_query(*subquery, names, env)?), negated }
            }
            Expr::Subquery(subquery) => Expr::Subquery(Box::new(self.inner_query(*subquery, names, env)?)),
            Expr::GroupingSets(sets) => Expr::GroupingSets(self.sets(sets, names, env)?),
            Expr::Cube(sets) => Expr::Cube(self.sets(sets, names, env)?),
            Expr::Rollup(sets) => Expr::Rollup(self.sets(sets, names, env)?),
            Expr::Tuple(members) => ast::call("row", list(members)?),
            Expr::Dictionary(fields) => {
                let mut arguments = Vec::with_capacity(fields.len() * 2);
                for field in fields {
                    arguments.push(ast::string(&field.key.value));
                    arguments.push(bind(field.value)?);
                }
                ast::call("struct_pack", arguments)
            }
            Expr::Map(map) => {
                let (mut keys, mut values) = (Vec::new(), Vec::new());
                for entry in map.entries {
                    keys.push(bind(entry.key)?);
                    values.push(bind(entry.value)?);
                }
                ast::call("map", vec![ast::call("list_value", keys), ast::call("list_value", values)])
            }
            // A list of texts is a constant to those functions that take names from it.
            Expr::Array(array) if !array.elem.is_empty() && array.elem.iter().all(is_text) => Expr::Array(array),
            Expr::Array(array) => ast::call("list_value", list(array.elem)?),
            Expr::Interval(interval) => self.interval(interval, names, env)?,
            other => return Err(unsupported(&other.to_string())),
        })
    }

    fn sets(&self, sets: Vec<Vec<Expr>>, names: Names<'_>, env: &Env<'_>) -> Result<Vec<Vec<Expr>>> {
        sets.into_iter().map(|set| set.into_iter().map(|expr| self.expr(expr, names, env)).collect()).collect()
    }

    /// A name on its own.
    fn name(&self, name: &Ident, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        if names.is_parameter(name) {
            return Ok(Expr::Identifier(ast::ident(&name.value.to_lowercase())));
        }
        if let Some(column) = names.scope.at(&name.value) {
            return Ok(column.bare().clone());
        }
        if names.aliases_first
            && let Some(expr) = names.alias(name)
        {
            return Ok(expr);
        }
        let found = match names.scope.find(name)? {
            Found::Row(_) if names.alias(name).is_some() => Found::Nothing,
            found => found,
        };
        match found {
            Found::Column(column) => return Ok(column.bare().clone()),
            Found::Row(columns) => return Ok(row(&columns)),
            Found::Nothing => {}
        }
        if let Some(expr) = names.alias(name) {
            return Ok(expr);
        }
        for outer in env.outers() {
            match outer.scope.find(name)? {
                Found::Column(column) => {
                    outer.scope.used.set(true);
                    return Ok(column.bare().clone());
                }
                Found::Row(columns) => {
                    outer.scope.used.set(true);
                    return Ok(row(&columns));
                }
                Found::Nothing => {}
            }
            if let Some((_, expr)) = outer.aliases.iter().find(|(alias, _)| same(alias, &name.value)) {
                outer.scope.used.set(true);
                return Ok(ast::nested(expr.clone()));
            }
        }
        if let Some(call) = keyword_call(name) {
            return Ok(call);
        }
        let mut scopes = vec![names.scope];
        scopes.extend(env.outers().map(|outer| outer.scope));
        let aliases: Vec<String> = names.aliases.iter().map(|(alias, _)| alias.clone()).collect();
        Err(self.at(name, unknown_column(&name.value, &scopes, &aliases)))
    }

    /// `table.column`, `column.member` and longer ones.
    pub(super) fn path(&self, parts: &[Ident], names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        let [first, second, rest @ ..] = parts else {
            return match parts {
                [only] => self.name(only, names, env),
                _ => Err(unsupported("an empty name")),
            };
        };
        if !names.is_parameter(first) {
            if let Some(column) = names.scope.find_in(&first.value, second) {
                return Ok(members(column.expr.clone(), rest));
            }
            let own = matches!(names.scope.find(first), Ok(Found::Column(_)) | Err(_)) || names.alias(first).is_some();
            if !own {
                for outer in env.outers() {
                    if let Some(column) = outer.scope.find_in(&first.value, second) {
                        outer.scope.used.set(true);
                        return Ok(members(column.expr.clone(), rest));
                    }
                }
                let tables: Vec<&Scope> = std::iter::once(names.scope)
                    .chain(env.outers().map(|outer| outer.scope))
                    .filter(|scope| !scope.of_table(&first.value).is_empty())
                    .collect();
                if let Some(scope) = tables.first() {
                    let valid = scope.of_table(&first.value).iter().map(|column| column.name.clone()).collect();
                    let error = crate::sql::errors::column_not_found("planning the SQL", &second.value, valid);
                    return Err(self.at(second, error));
                }
            }
        }
        match self.name(first, names, env) {
            Ok(value) => Ok(members(value, &parts[1..])),
            Err(error) if error.code() == codes::SQL_002 && error.to_string().contains("there is no column") => {
                let mut tables: Vec<&str> = names.scope.columns.iter().map(|column| column.table.as_str()).collect();
                tables.dedup();
                let message = format!("planning the SQL: there is no table \"{}\" in FROM", first.value);
                let error = Error::new(codes::SQL_003, message);
                let error = match tables.is_empty() {
                    true => error,
                    false => error.hint(format!("tables: {}", tables.join(", "))),
                };
                Err(self.at(first, error))
            }
            Err(error) => Err(error),
        }
    }

    fn value(&self, value: ValueWithSpan) -> Result<Expr> {
        Ok(match value.value {
            Value::Number(text, _) => numeral(&text, false),
            Value::HexStringLiteral(digits) => ast::call("unhex", vec![ast::string(&digits)]),
            Value::Boolean(_) | Value::Null => Expr::Value(value),
            Value::Placeholder(name) => {
                return Err(Error::new(codes::SQL_013, format!("planning the SQL: the parameter {name} has no value")));
            }
            other => ast::string(&other.into_string().unwrap_or_default()),
        })
    }

    fn unary(&self, op: UnaryOperator, expr: Expr, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        if let (UnaryOperator::Minus, Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. })) = (op, &expr) {
            return Ok(numeral(text, true));
        }
        let expr = self.expr(expr, names, env)?;
        Ok(match op {
            UnaryOperator::Plus => expr,
            UnaryOperator::Minus => ast::call("-", vec![expr]),
            UnaryOperator::PGAbs => ast::call("abs", vec![expr]),
            UnaryOperator::PGPostfixFactorial => ast::call("factorial", vec![expr]),
            // All bits turned around: -1 minus the number.
            UnaryOperator::BitwiseNot => ast::call("-", vec![ast::number("-1"), expr]),
            op => Expr::UnaryOp { op, expr: Box::new(ast::nested(expr)) },
        })
    }

    fn in_list(&self, expr: Expr, members: Vec<Expr>, negated: bool, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        if let Expr::Tuple(_) = &expr {
            let equal = |member: Expr| Expr::BinaryOp {
                left: Box::new(expr.clone()),
                op: BinaryOperator::Eq,
                right: Box::new(member),
            };
            let any = ast::any_of(members.into_iter().map(equal)).unwrap_or_else(ast::null);
            let any = if negated { ast::not(any) } else { any };
            return self.expr(any, names, env);
        }
        let list = members.into_iter().map(|member| self.expr(member, names, env)).collect::<Result<_>>()?;
        let expr = Box::new(ast::nested(self.expr(expr, names, env)?));
        Ok(Expr::InList { expr, list, negated })
    }

    /// A query within an expression.
    fn inner_query(&self, query: Query, names: Names<'_>, env: &Env<'_>) -> Result<Query> {
        self.subquery(query, &env.within(&names))
    }

    fn interval(&self, interval: Interval, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        let Some(unit) = interval.leading_field else {
            return match *interval.value {
                Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
                    Ok(ast::cast(ast::string(&text), "INTERVAL"))
                }
                other => Ok(ast::cast(self.expr(other, names, env)?, "INTERVAL")),
            };
        };
        let unit = unit.to_string().to_lowercase();
        let unit = unit.trim_end_matches('s');
        if let Some(text) = literal_text(&interval.value) {
            return Ok(ast::cast(ast::string(&format!("{text} {unit}")), "INTERVAL"));
        }
        let value = self.expr(*interval.value, names, env)?;
        let whole = !matches!(unit, "second" | "millisecond");
        let value = match whole {
            true => ast::cast(
                ast::call("trunc", vec![ast::cast(value, "DOUBLE")]),
                if matches!(unit, "hour" | "minute" | "microsecond") { "BIGINT" } else { "INTEGER" },
            ),
            false => ast::cast(value, "DOUBLE"),
        };
        let function = match unit {
            "century" | "centurie" => "to_centuries".to_owned(),
            "millennium" => "to_millennia".to_owned(),
            unit => format!("to_{unit}s"),
        };
        Ok(ast::call(&function, vec![value]))
    }
}

/// What cannot be carried out.
pub(super) fn unsupported(what: &str) -> Error {
    Error::new(codes::SQL_013, format!("planning the SQL: {what} is not supported"))
        .hint("`tapline explain SQL-013` says more about the code")
}

/// Members of a value, one within the other.
pub(super) fn members(value: Expr, path: &[Ident]) -> Expr {
    path.iter().fold(value, |value, member| ast::call("array_extract", vec![value, ast::string(&member.value)]))
}

/// A number's type by how it is written: INTEGER or BIGINT, HUGEINT, DECIMAL, DOUBLE.
fn numeral(text: &str, negative: bool) -> Expr {
    let digits = text.replace('_', "");
    let signed = if negative { format!("-{digits}") } else { digits.clone() };
    let plain = |digits: &str| match negative {
        true => Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(ast::number(digits)) },
        false => ast::number(digits),
    };
    if digits.contains(['e', 'E']) {
        return ast::cast(ast::string(&signed), "DOUBLE");
    }
    if let Some((whole, places)) = digits.split_once('.') {
        // Leading zeros count as digits, which the engine's own literals leave out.
        return match whole.len() + places.len() {
            39.. => ast::cast(ast::string(&signed), "DOUBLE"),
            width if places.is_empty() || whole.starts_with('0') => {
                ast::cast(ast::string(&signed), &format!("DECIMAL({width},{})", places.len()))
            }
            _ => plain(&digits),
        };
    }
    match signed.parse::<i128>() {
        Ok(value) if i64::try_from(value).is_ok() => plain(&digits),
        Ok(_) => ast::cast(ast::string(&signed), "HUGEINT"),
        Err(_) => ast::cast(ast::string(&signed), "DOUBLE"),
    }
}

/// Both sides as a collation of either compares them.
fn collated(left: Expr, right: Expr) -> (Expr, Expr) {
    let collation = match (&left, &right) {
        (Expr::Collate { collation, .. }, _) | (_, Expr::Collate { collation, .. }) => collation.to_string(),
        _ => return (left, right),
    };
    (in_collation(left, &collation), in_collation(right, &collation))
}

/// What stands for a text where it is compared in a collation such as `NOCASE.NOACCENT`.
fn in_collation(expr: Expr, collation: &str) -> Expr {
    let expr = match expr {
        Expr::Collate { expr, .. } => *expr,
        other => other,
    };
    collation.split('.').fold(expr, |expr, part| match part.to_lowercase().as_str() {
        "nocase" => ast::call("lower", vec![expr]),
        "noaccent" => ast::call("strip_accents", vec![expr]),
        _ => expr,
    })
}

/// A term of an ORDER BY as its collation sorts it.
pub(super) fn sorting(expr: Expr) -> Expr {
    match &expr {
        Expr::Collate { collation, .. } => {
            let collation = collation.to_string();
            in_collation(expr, &collation)
        }
        _ => expr,
    }
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(_), .. }))
}

fn literal_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) => Some(text.clone()),
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text.clone()),
        Expr::Nested(inner) => literal_text(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Some(format!("-{}", literal_text(expr)?)),
        _ => None,
    }
}

/// Functions of SQL that are called without parentheses.
fn keyword_call(name: &Ident) -> Option<Expr> {
    if name.quote_style.is_some() {
        return None;
    }
    let known = ["current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "today", "now"];
    let lower = name.value.to_lowercase();
    known[..5].contains(&lower.as_str()).then(|| ast::call(&lower, Vec::new()))
}

fn like(negated: bool, lower: bool, expr: Expr, pattern: Expr, escape: Option<ValueWithSpan>) -> Expr {
    match escape {
        Some(escape) => {
            let escape = ast::string(&escape.value.into_string().unwrap_or_default());
            let name = match (negated, lower) {
                (false, false) => "like_escape",
                (true, false) => "not_like_escape",
                (false, true) => "ilike_escape",
                (true, true) => "not_ilike_escape",
            };
            ast::call(name, vec![expr, pattern, escape])
        }
        // A backslash is a character like any other in DuckDB's patterns.
        None => {
            let (expr, pattern) = (Box::new(ast::nested(expr)), Box::new(escaped(pattern)));
            match lower {
                false => Expr::Like { negated, any: false, expr, pattern, escape_char: None },
                true => Expr::ILike { negated, any: false, expr, pattern, escape_char: None },
            }
        }
    }
}

/// A pattern whose backslashes stand for themselves to the engine, which takes them for escapes.
fn escaped(pattern: Expr) -> Expr {
    match &pattern {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
            ast::string(&text.replace('\\', "\\\\"))
        }
        _ => ast::nested(pattern),
    }
}

fn rounded(function: &str, expr: Expr, field: CeilFloorKind) -> Expr {
    let mut arguments = vec![expr];
    if let CeilFloorKind::Scale(scale) = field {
        arguments.push(Expr::Value(scale));
    }
    ast::call(function, arguments)
}

/// The name of a type as DuckDB prints it in a column's name.
pub(super) fn type_text(data_type: &DataType) -> String {
    data_type.to_string().to_uppercase()
}
