//! What DuckDB calls columns whose expressions have no alias.
//! Not here: names that the statement gives.
//! Called for lists of SELECT.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, LambdaSyntax,
    Subscript, TrimWhereField, UnaryOperator, Value, ValueWithSpan,
};

use tapline_core::values::identifier;

use super::ast;
use super::expr::type_text;

/// The name of an expression without alias.
pub(super) fn output_name(expr: &Expr) -> String {
    match expr {
        Expr::Nested(inner) => output_name(inner),
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |part| part.value.clone()),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let named = matches!(root.as_ref(), Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            match access_chain.last() {
                Some(AccessExpr::Dot(Expr::Identifier(member)))
                    if named && access_chain.iter().all(|part| matches!(part, AccessExpr::Dot(_))) =>
                {
                    member.value.clone()
                }
                _ => text(expr),
            }
        }
        other => text(other),
    }
}

fn text(expr: &Expr) -> String {
    let list = |exprs: &[Expr]| exprs.iter().map(text).collect::<Vec<_>>().join(", ");
    match expr {
        Expr::Identifier(name) => identifier(&name.value),
        Expr::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |part| identifier(&part.value)),
        Expr::Nested(inner) => text(inner),
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::Boolean(true) => "CAST('t' AS BOOLEAN)".to_owned(),
            Value::Boolean(false) => "CAST('f' AS BOOLEAN)".to_owned(),
            Value::Number(number, _) => number_text(number),
            Value::DollarQuotedString(text) => format!("'{}'", text.value.replace('\'', "''")),
            other => other.to_string(),
        },
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (text(left), text(right));
            match op {
                BinaryOperator::Custom(name) if name == "IN" => format!("contains({right}, {left})"),
                BinaryOperator::Custom(name) if name == "GLOB" => format!("({left} ~~~ {right})"),
                BinaryOperator::Custom(name) => format!("({left} {name} {right})"),
                BinaryOperator::NotEq => format!("({left} != {right})"),
                op => format!("({left} {op} {right})"),
            }
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => format!("(NOT {})", text(expr)),
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr } => format!("~({})", text(expr)),
        Expr::IsDistinctFrom(left, right) => format!("({} IS DISTINCT FROM {})", text(left), text(right)),
        Expr::IsNotDistinctFrom(left, right) => format!("({} IS NOT DISTINCT FROM {})", text(left), text(right)),
        Expr::UnaryOp { op, expr } => match expr.as_ref() {
            Expr::Value(_) if *op != UnaryOperator::Plus => format!("{op}{}", text(expr)),
            _ => format!("{op}({})", text(expr)),
        },
        Expr::IsNull(inner) => format!("({} IS NULL)", text(inner)),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", text(inner)),
        Expr::Between { expr, negated: false, low, high } => {
            format!("({} BETWEEN {} AND {})", text(expr), text(low), text(high))
        }
        Expr::InList { expr, list: members, negated } => {
            format!("({} {}IN ({}))", text(expr), if *negated { "NOT " } else { "" }, list(members))
        }
        Expr::Like { negated, expr, pattern, escape_char: None, .. } => {
            format!("({} {}~~ {})", text(expr), if *negated { "!" } else { "" }, text(pattern))
        }
        Expr::ILike { negated, expr, pattern, escape_char: None, .. } => {
            format!("({} {}~~* {})", text(expr), if *negated { "!" } else { "" }, text(pattern))
        }
        Expr::Cast { kind, expr, data_type, .. } => {
            let name = if matches!(kind, CastKind::TryCast | CastKind::SafeCast) { "TRY_CAST" } else { "CAST" };
            format!("{name}({} AS {})", text(expr), canonical(&type_text(data_type)))
        }
        Expr::TypedString(typed) => {
            format!("CAST({} AS {})", typed.value.value, canonical(&type_text(&typed.data_type)))
        }
        Expr::Extract { field, expr, .. } => {
            format!("date_part('{}', {})", field.to_string().trim_matches('\'').to_lowercase(), text(expr))
        }
        Expr::Ceil { expr, .. } => format!("ceil({})", text(expr)),
        Expr::Floor { expr, .. } => format!("floor({})", text(expr)),
        Expr::Position { expr, r#in } => format!("main.\"position\"({}, {})", text(r#in), text(expr)),
        Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
            let name = match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "\"trim\"",
            };
            let what = trim_what.as_deref().into_iter().chain(trim_characters.iter().flatten());
            let what: String = what.map(|what| format!(", {}", text(what))).collect();
            format!("main.{name}({}{what})", text(expr))
        }
        Expr::Lambda(lambda) => match lambda.syntax {
            LambdaSyntax::Arrow => format!("({} -> {})", lambda.params, text(&lambda.body)),
            LambdaSyntax::LambdaKeyword => {
                let names: Vec<String> = lambda.params.iter().map(|parameter| parameter.name.value.clone()).collect();
                format!("(lambda {}: {})", names.join(", "), text(&lambda.body))
            }
        },
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let bounds =
                [substring_from, substring_for].into_iter().flatten().map(|bound| format!(", {}", text(bound)));
            format!("\"substring\"({}{})", text(expr), bounds.collect::<String>())
        }
        Expr::Array(array) => format!("main.list_value({})", list(&array.elem)),
        Expr::Map(map) => {
            let part = |of: fn(&datafusion::sql::sqlparser::ast::MapEntry) -> &Expr| {
                map.entries.iter().map(|entry| text(of(entry))).collect::<Vec<_>>().join(", ")
            };
            let (keys, values) = (part(|entry| &entry.key), part(|entry| &entry.value));
            format!("main.\"map\"(main.list_value({keys}), main.list_value({values}))")
        }
        Expr::Tuple(members) => format!("main.\"row\"({})", list(members)),
        Expr::Dictionary(fields) => {
            let member =
                fields.iter().map(|field| format!("{} := {}", field.key.value, text(&field.value))).collect::<Vec<_>>();
            format!("main.struct_pack({})", member.join(", "))
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            let condition = |condition: &Expr| match operand {
                Some(operand) => format!("({} = {})", text(operand), text(condition)),
                None => text(condition),
            };
            let whens: String = conditions
                .iter()
                .map(|when| format!("WHEN ({}) THEN ({}) ", condition(&when.condition), text(&when.result)))
                .collect();
            let default = else_result.as_ref().map_or_else(|| "NULL".to_owned(), |result| text(result));
            format!("CASE  {whens}ELSE {default} END")
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            let parts = access_chain.iter().map(|part| match part {
                AccessExpr::Dot(member) => format!(".{}", text(member)),
                AccessExpr::Subscript(Subscript::Index { index }) => format!("[{}]", text(index)),
                AccessExpr::Subscript(slice) => format!("[{slice}]"),
            });
            format!("{}{}", text(root), parts.collect::<String>())
        }
        Expr::Function(function) => {
            let name = ast::function_name(function);
            let FunctionArguments::List(arguments) = &function.args else { return format!("{name}()") };
            let over = function.over.as_ref().map_or_else(String::new, |over| format!(" OVER {over}"));
            if name == "count"
                && matches!(arguments.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] | [])
            {
                return format!("count_star(){over}");
            }
            let shown: Vec<String> = arguments
                .args
                .iter()
                .map(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => text(expr),
                    FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                        format!("{} := {}", name.value, text(expr))
                    }
                    other => other.to_string(),
                })
                .collect();
            let name = match name.as_str() {
                "coalesce" | "ifnull" => "COALESCE".to_owned(),
                "grouping" | "grouping_id" => "GROUPING".to_owned(),
                "if" if shown.len() == 3 => {
                    return format!("CASE  WHEN ({}) THEN ({}) ELSE {} END", shown[0], shown[1], shown[2]);
                }
                _ => name,
            };
            let distinct = if arguments.duplicate_treatment.is_some() { "DISTINCT " } else { "" };
            let clauses: String = arguments.clauses.iter().map(|clause| format!(" {clause}")).collect();
            let filter =
                function.filter.as_ref().map_or_else(String::new, |filter| format!(" FILTER (WHERE {})", text(filter)));
            format!("{}({distinct}{}{clauses}){filter}{over}", quoted(&name), shown.join(", "))
        }
        Expr::Interval(interval) => match &interval.leading_field {
            Some(unit) => {
                let unit = unit.to_string().to_lowercase();
                let unit = unit.trim_end_matches('s');
                let whole = if matches!(unit, "hour" | "minute" | "microsecond") { "BIGINT" } else { "INTEGER" };
                match unit {
                    "second" | "millisecond" => format!("to_{unit}s(CAST({} AS DOUBLE))", text(&interval.value)),
                    _ => format!("to_{unit}s(CAST(trunc(CAST({} AS DOUBLE)) AS {whole}))", text(&interval.value)),
                }
            }
            None => format!("CAST({} AS INTERVAL)", text(&interval.value)),
        },
        Expr::Subquery(query) => format!("({query})"),
        other => other.to_string(),
    }
}

/// A number as DuckDB prints it.
fn number_text(number: &str) -> String {
    let digits = number.replace('_', "");
    match digits.parse::<f64>() {
        Ok(value) if digits.contains(['e', 'E']) => {
            let shown = format!("{value:?}");
            // An exponent has its sign.
            if shown.contains("e-") { shown } else { shown.replace('e', "e+") }
        }
        _ => digits.trim_end_matches('.').to_owned(),
    }
}

/// DuckDB's name of a type, however it is spelled.
fn canonical(name: &str) -> String {
    match name {
        "INT" | "INT4" | "SIGNED" => "INTEGER".to_owned(),
        "TEXT" | "STRING" => "VARCHAR".to_owned(),
        "BOOL" => "BOOLEAN".to_owned(),
        "INT8" | "LONG" => "BIGINT".to_owned(),
        "DATETIME" => "TIMESTAMP".to_owned(),
        "DATE" | "DOUBLE" | "TINYINT" | "HUGEINT" | "UTINYINT" | "USMALLINT" | "UINTEGER" | "UBIGINT" | "UUID"
        | "BLOB" | "JSON" => format!("\"{name}\""),
        "FLOAT8" => "\"DOUBLE\"".to_owned(),
        other => other.replace(',', ", ").replace(",  ", ", "),
    }
}

/// A function's name as it stands before its arguments.
fn quoted(name: &str) -> String {
    match name {
        // What the grammar has a form of its own for.
        "overlay" | "position" | "row" | "substring" | "trim" => format!("main.\"{name}\""),
        // No functions to DuckDB, but operators.
        "COALESCE" | "GROUPING" => name.to_owned(),
        name => identifier(name),
    }
}

/// Gives every name but the first of its kind a number, as DuckDB does for the columns of a query in FROM.
pub(super) fn deduplicated<'a>(names: impl Iterator<Item = &'a mut String>) {
    let mut seen: HashSet<String> = HashSet::new();
    for name in names {
        if seen.insert(name.to_lowercase()) {
            continue;
        }
        let mut number = 1;
        let mut candidate = format!("{name}_{number}");
        while !seen.insert(candidate.to_lowercase()) {
            number += 1;
            candidate = format!("{name}_{number}");
        }
        *name = candidate;
    }
}
