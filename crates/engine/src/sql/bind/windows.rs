//! Windows that a WINDOW clause defines, and aggregates over windows that order their own rows.
//! Not here: windows themselves (`call`), what a frame leaves out (`frames`).
//! Called for every SELECT before it is bound, and for calls over windows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentClause, FunctionArguments, Ident, NamedWindowDefinition, NamedWindowExpr, OrderBy,
    Query, Select, VisitMut, VisitorMut, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};
use tapline_core::{Error, Result, codes};

use super::scope::same;

/// Puts the windows that a SELECT defines into the place of their names.
pub(super) fn inlined(select: &mut Select, order_by: Option<&mut OrderBy>) -> Result<()> {
    let mut windows: Vec<(Ident, WindowSpec)> = Vec::with_capacity(select.named_window.len());
    for NamedWindowDefinition(name, window) in std::mem::take(&mut select.named_window) {
        let mut spec = match window {
            NamedWindowExpr::NamedWindow(other) => named(other),
            NamedWindowExpr::WindowSpec(spec) => spec,
        };
        fill_in(&mut spec, &windows);
        windows.push((name, spec));
    }
    if windows.is_empty() {
        return Ok(());
    }
    let mut inline = Inline { windows: &windows, depth: 0 };
    let _: ControlFlow<()> = select.visit(&mut inline);
    if let Some(order_by) = order_by {
        let _: ControlFlow<()> = order_by.visit(&mut inline);
    }
    Ok(())
}

/// A window that is nothing but another.
fn named(name: Ident) -> WindowSpec {
    WindowSpec { window_name: Some(name), partition_by: Vec::new(), order_by: Vec::new(), window_frame: None }
}

/// Completes a window that begins with the name of another.
fn fill_in(spec: &mut WindowSpec, windows: &[(Ident, WindowSpec)]) {
    let known =
        spec.window_name.as_ref().and_then(|name| windows.iter().find(|(own, _)| same(&own.value, &name.value)));
    if let Some((_, base)) = known {
        spec.window_name.clone_from(&base.window_name);
        spec.partition_by.extend(base.partition_by.iter().cloned());
        if spec.order_by.is_empty() {
            spec.order_by.clone_from(&base.order_by);
        }
        if spec.window_frame.is_none() {
            spec.window_frame.clone_from(&base.window_frame);
        }
    }
}

/// The queries within a SELECT have windows of their own.
struct Inline<'a> {
    windows: &'a [(Ident, WindowSpec)],
    depth: usize,
}

impl VisitorMut for Inline<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(Function { over: Some(over), .. }) = expr
        {
            let mut spec = match over {
                WindowType::NamedWindow(name) => named(name.clone()),
                WindowType::WindowSpec(spec) => spec.clone(),
            };
            fill_in(&mut spec, self.windows);
            *over = WindowType::WindowSpec(spec);
        }
        ControlFlow::Continue(())
    }
}

/// `f(x ORDER BY y) OVER (…)` of a whole partition: the window orders its rows.
pub(super) fn ordered(function: &mut Function, spec: &mut WindowSpec) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    if !spec.order_by.is_empty() || spec.window_frame.is_some() {
        return;
    }
    let own = list.clauses.iter().position(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
    if let Some(index) = own
        && let FunctionArgumentClause::OrderBy(terms) = list.clauses.remove(index)
    {
        spec.order_by = terms;
        spec.window_frame = Some(WindowFrame {
            units: WindowFrameUnits::Rows,
            start_bound: WindowFrameBound::Preceding(None),
            end_bound: Some(WindowFrameBound::Following(None)),
        });
    }
}

/// The error for a window that no WINDOW clause defines.
pub(super) fn unknown(name: &Ident) -> Error {
    Error::new(codes::SQL_002, format!("planning the SQL: there is no window \"{}\"", name.value))
        .hint("WINDOW name AS (…) behind the FROM clause defines one")
}
