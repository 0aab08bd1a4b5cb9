//! Parts of values: `list[1]`, `text[2:4]`, `struct.member`, `value.function()`.
//! Not here: the functions that take them out.
//! Called while expressions are bound.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Subscript,
};
use tapline_core::Result;

use super::expr::{Names, unsupported};
use super::{Binder, Env, ast};

impl Binder<'_> {
    pub(super) fn access(&self, root: Expr, chain: Vec<AccessExpr>, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        // Names at the beginning belong together: a table's, a column's, a member's.
        let mut path: Vec<Ident> = match &root {
            Expr::Identifier(name) => vec![name.clone()],
            Expr::CompoundIdentifier(parts) => parts.clone(),
            _ => Vec::new(),
        };
        let mut rest = chain.into_iter().peekable();
        while !path.is_empty()
            && let Some(AccessExpr::Dot(Expr::Identifier(name))) = rest.peek()
        {
            path.push(name.clone());
            rest.next();
        }
        let start = if path.is_empty() { self.expr(root, names, env)? } else { self.path(&path, names, env)? };
        rest.try_fold(start, |value, part| self.part(value, part, names, env))
    }

    fn part(&self, value: Expr, part: AccessExpr, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        let bound = |bound: Option<Expr>| bound.map_or_else(|| Ok(ast::null()), |expr| self.expr(expr, names, env));
        Ok(match part {
            AccessExpr::Dot(Expr::Identifier(name)) => {
                ast::call("array_extract", vec![value, ast::string(&name.value)])
            }
            AccessExpr::Dot(Expr::Value(name)) => {
                let name = name.value.into_string().unwrap_or_default();
                ast::call("array_extract", vec![value, ast::string(&name)])
            }
            AccessExpr::Dot(Expr::Function(mut function)) => {
                // Bound already, so that it must not be bound again: only the other arguments are.
                let FunctionArguments::List(list) = &mut function.args else {
                    return Err(unsupported("this function after a dot"));
                };
                for argument in &mut list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument
                        && !matches!(expr, Expr::Lambda(_))
                    {
                        *expr = self.expr(expr.clone(), names, env)?;
                    }
                }
                list.args.insert(0, FunctionArg::Unnamed(FunctionArgExpr::Expr(value)));
                let name = ast::function_name(&function);
                self.bound_call(&name, function, names, env)?
            }
            AccessExpr::Dot(other) => return Err(unsupported(&format!(".{other}"))),
            AccessExpr::Subscript(Subscript::Index { index }) => {
                ast::call("array_extract", vec![value, self.expr(index, names, env)?])
            }
            AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
                let mut arguments = vec![value, bound(lower_bound)?, bound(upper_bound)?];
                if let Some(stride) = stride {
                    arguments.push(self.expr(stride, names, env)?);
                }
                ast::call("array_slice", arguments)
            }
        })
    }
}
