//! `EXCLUDE CURRENT ROW`, `GROUP` and `TIES` in a window's frame: the frame in two parts, put together again as a list.
//! Not here: frames without it, which the engine knows.
//! Called for calls over windows.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value, ValueWithSpan, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};
use tapline_core::Result;

use super::ast;
use super::expr::unsupported;

/// An aggregate over a frame without its current row, or without the rows that sort as the current one does.
pub(super) fn excluding(function: Function, spec: WindowSpec, what: &str) -> Result<Expr> {
    let Some(frame) = spec.window_frame.clone() else { return Err(unsupported("EXCLUDE without a frame")) };
    let end = frame.end_bound.clone().unwrap_or(WindowFrameBound::CurrentRow);
    let units = match (what, frame.units) {
        ("current", WindowFrameUnits::Rows) => WindowFrameUnits::Rows,
        ("current", _) if unbounded(&frame.start_bound) && unbounded(&end) => WindowFrameUnits::Rows,
        ("group" | "ties", WindowFrameUnits::Groups) => WindowFrameUnits::Groups,
        // Rows that sort alike are in a frame of RANGE together or not at all.
        ("group" | "ties", _) if unbounded(&frame.start_bound) && unbounded(&end) => WindowFrameUnits::Groups,
        ("group" | "ties", WindowFrameUnits::Range) if plain(&frame.start_bound) && plain(&end) => {
            WindowFrameUnits::Groups
        }
        _ => return Err(unsupported(&format!("EXCLUDE {} in a frame of {}", what.to_uppercase(), frame.units))),
    };
    let one = || Some(Box::new(ast::number("1")));
    let mut parts = Vec::new();
    if before(&frame.start_bound) {
        let end_bound =
            if before(&end) && !at_current(&end) { end.clone() } else { WindowFrameBound::Preceding(one()) };
        parts.push(WindowFrame { units, start_bound: frame.start_bound.clone(), end_bound: Some(end_bound) });
    }
    if what == "ties" {
        let here = WindowFrameBound::CurrentRow;
        parts.push(WindowFrame { units: WindowFrameUnits::Rows, start_bound: here.clone(), end_bound: Some(here) });
    }
    if after(&end) {
        let start_bound =
            if after(&frame.start_bound) { frame.start_bound } else { WindowFrameBound::Following(one()) };
        parts.push(WindowFrame { units, start_bound, end_bound: Some(end) });
    }
    let name = ast::function_name(&function);
    let FunctionArguments::List(list) = &function.args else { return Err(unsupported("EXCLUDE here")) };
    let mut arguments = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Ok(ast::number("1")),
        other => Err(unsupported(&other.to_string())),
    });
    let Some(value) = arguments.next().transpose()? else { return Err(unsupported("EXCLUDE here")) };
    let rest = arguments.collect::<Result<Vec<_>>>()?;
    let lists = parts.into_iter().map(|frame| {
        let mut part = ast::function("list", vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()))]);
        part.filter.clone_from(&function.filter);
        part.over = Some(WindowType::WindowSpec(WindowSpec { window_frame: Some(frame), ..spec.clone() }));
        Expr::Function(part)
    });
    let all = lists.reduce(|left, right| ast::call("list_concat", vec![left, right])).unwrap_or_else(ast::null);
    let all = ast::call("coalesce", vec![all, ast::call("list_value", Vec::new())]);
    let name = match name.as_str() {
        "first_value" => "first".to_owned(),
        "last_value" => "last".to_owned(),
        _ => name,
    };
    let mut call = vec![all, ast::string(&name)];
    call.extend(rest);
    Ok(ast::call("list_aggregate", call))
}

fn unbounded(bound: &WindowFrameBound) -> bool {
    matches!(bound, WindowFrameBound::Preceding(None) | WindowFrameBound::Following(None))
}

/// Whether a bound is none, or the current row.
fn plain(bound: &WindowFrameBound) -> bool {
    unbounded(bound) || at_current(bound)
}

fn at_current(bound: &WindowFrameBound) -> bool {
    match bound {
        WindowFrameBound::CurrentRow => true,
        WindowFrameBound::Preceding(Some(distance)) | WindowFrameBound::Following(Some(distance)) => is_zero(distance),
        _ => false,
    }
}

fn is_zero(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) if text == "0")
}

/// Whether a bound lies before the current row.
fn before(bound: &WindowFrameBound) -> bool {
    matches!(bound, WindowFrameBound::Preceding(_)) && !at_current(bound)
}

/// Whether a bound lies behind the current row.
fn after(bound: &WindowFrameBound) -> bool {
    matches!(bound, WindowFrameBound::Following(_)) && !at_current(bound)
}
