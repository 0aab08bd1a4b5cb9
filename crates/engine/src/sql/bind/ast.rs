//! Making pieces of syntax trees.
//! Not here: what they stand for.
//! Called by everything in this folder.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, SelectItem, TableFactor, TableWithJoins, UnaryOperator, Value,
};

/// A name that is taken as it is.
pub(super) fn ident(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// A name of one part.
pub(super) fn object(name: &str) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(ident(name))])
}

/// A column of a relation.
pub(super) fn column(table: &str, name: &str) -> Expr {
    Expr::CompoundIdentifier(vec![ident(table), ident(name)])
}

/// A string.
pub(super) fn string(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

/// A number as it is written.
pub(super) fn number(text: &str) -> Expr {
    Expr::value(Value::Number(text.to_owned(), false))
}

/// NULL.
pub(super) fn null() -> Expr {
    Expr::value(Value::Null)
}

/// A function's call.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    Expr::Function(function(name, args))
}

/// A function's call, to be completed.
pub(super) fn function(name: &str, args: Vec<FunctionArg>) -> Function {
    Function {
        name: object(name),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}

/// A cast to a type by its name.
pub(super) fn cast(expr: Expr, to: &str) -> Expr {
    call("::", vec![expr, string(to)])
}

/// `left op right`.
pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(nested(left)), op, right: Box::new(nested(right)) }
}

/// `NOT expr`.
pub(super) fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested(expr)) }
}

/// Parentheses around what is not simple, so that a printed tree means the same.
pub(super) fn nested(expr: Expr) -> Expr {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) | Expr::Function(_) | Expr::Nested(_) => {
            expr
        }
        other => Expr::Nested(Box::new(other)),
    }
}

/// All of them.
pub(super) fn all_of(conditions: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    conditions.into_iter().reduce(|left, right| binary(left, BinaryOperator::And, right))
}

/// Any of them.
pub(super) fn any_of(conditions: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    conditions.into_iter().reduce(|left, right| binary(left, BinaryOperator::Or, right))
}

/// An item of a SELECT.
pub(super) fn item(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: ident(name) }
}

/// A relation by its name in FROM.
pub(super) fn relation(name: &str) -> TableWithJoins {
    let relation = TableFactor::Table {
        name: object(name),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
    TableWithJoins { relation, joins: Vec::new() }
}

/// The arguments of a call that are plain expressions.
pub(super) fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    list.args
        .iter()
        .filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. } => Some(expr),
            _ => None,
        })
        .collect()
}

/// A function's name in lower case, without its schema.
pub(super) fn function_name(function: &Function) -> String {
    match function.name.0.last() {
        Some(ObjectNamePart::Identifier(name)) => name.value.to_lowercase(),
        _ => function.name.to_string().to_lowercase(),
    }
}

/// What an expression is a quoted mark for, if it is one.
pub(super) fn mark(item: &SelectItem) -> Option<&str> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) if name.quote_style == Some('"') => Some(&name.value),
        _ => None,
    }
}
