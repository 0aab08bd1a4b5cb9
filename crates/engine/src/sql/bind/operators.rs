//! Operators between two values.
//! Not here: what they compute (`semantics`).
//! Called while expressions are bound.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, LambdaFunction};
use tapline_core::Result;

use super::expr::{Names, unsupported};
use super::{Binder, Env, ast};

impl Binder<'_> {
    pub(super) fn operator(
        &self,
        left: Expr,
        op: BinaryOperator,
        right: Expr,
        names: Names<'_>,
        env: &Env<'_>,
    ) -> Result<Expr> {
        use BinaryOperator as Op;
        if let Some(compared) = compared_tuples(&left, &op, &right) {
            return self.expr(compared, names, env);
        }
        let left = self.expr(left, names, env)?;
        let right = self.expr(right, names, env)?;
        let call = |name: &str| ast::call(name, vec![left.clone(), right.clone()]);
        Ok(match &op {
            Op::Plus => call("+"),
            Op::Minus => call("-"),
            Op::Multiply => call("*"),
            Op::Divide => call("/"),
            Op::Modulo => call("%"),
            Op::DuckIntegerDivide | Op::MyIntegerDivide => call("//"),
            Op::PGExp => call("**"),
            Op::StringConcat => call("||"),
            Op::PGBitwiseXor | Op::BitwiseXor => call("xor"),
            Op::Arrow => call("json_extract"),
            Op::LongArrow => call("json_extract_string"),
            Op::AtArrow => call("list_has_all"),
            Op::ArrowAt => ast::call("list_has_all", vec![right, left]),
            Op::PGRegexMatch => call("regexp_full_match"),
            Op::PGRegexNotMatch => ast::not(call("regexp_full_match")),
            Op::PGRegexIMatch => ast::call("regexp_full_match", vec![left, right, ast::string("i")]),
            Op::PGRegexNotIMatch => ast::not(ast::call("regexp_full_match", vec![left, right, ast::string("i")])),
            Op::Custom(name) => match name.as_str() {
                "**" => call("**"),
                "^@" => call("starts_with"),
                "&&" => call("list_has_any"),
                "GLOB" => call("~~~"),
                "IN" => ast::call("list_contains", vec![right, left]),
                "~~" => Expr::Like {
                    negated: false,
                    any: false,
                    expr: left.into(),
                    pattern: right.into(),
                    escape_char: None,
                },
                "!~~" => Expr::Like {
                    negated: true,
                    any: false,
                    expr: left.into(),
                    pattern: right.into(),
                    escape_char: None,
                },
                "~~*" => Expr::ILike {
                    negated: false,
                    any: false,
                    expr: left.into(),
                    pattern: right.into(),
                    escape_char: None,
                },
                "!~~*" => Expr::ILike {
                    negated: true,
                    any: false,
                    expr: left.into(),
                    pattern: right.into(),
                    escape_char: None,
                },
                "~~~" => call("~~~"),
                other => return Err(unsupported(&format!("the operator {other}"))),
            },
            Op::PGLikeMatch => {
                Expr::Like { negated: false, any: false, expr: left.into(), pattern: right.into(), escape_char: None }
            }
            Op::PGNotLikeMatch => {
                Expr::Like { negated: true, any: false, expr: left.into(), pattern: right.into(), escape_char: None }
            }
            Op::PGILikeMatch => {
                Expr::ILike { negated: false, any: false, expr: left.into(), pattern: right.into(), escape_char: None }
            }
            Op::PGNotILikeMatch => {
                Expr::ILike { negated: true, any: false, expr: left.into(), pattern: right.into(), escape_char: None }
            }
            Op::BitwiseAnd | Op::BitwiseOr | Op::PGBitwiseShiftLeft | Op::PGBitwiseShiftRight => {
                ast::binary(left, op, right)
            }
            Op::And | Op::Or | Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => {
                ast::binary(left, op, right)
            }
            other => return Err(unsupported(&format!("the operator {other}"))),
        })
    }

    /// `a -> b` outside a function that takes lambdas is access to JSON. The parser has taken all that follows for the
    /// lambda's body, so the value goes in at its leftmost end.
    pub(super) fn json_arrow(&self, lambda: LambdaFunction, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        let Some(parameter) = lambda.params.iter().next() else { return Err(unsupported("this arrow")) };
        let value = Expr::Identifier(parameter.name.clone());
        self.expr(at_left_end(*lambda.body, value), names, env)
    }
}

/// Puts `value ->` before the leftmost operand of an expression.
fn at_left_end(body: Expr, value: Expr) -> Expr {
    let at = |inner: Box<Expr>, value: Expr| Box::new(at_left_end(*inner, value));
    match body {
        Expr::BinaryOp { left, op, right } => Expr::BinaryOp { left: at(left, value), op, right },
        Expr::IsNull(inner) => Expr::IsNull(at(inner, value)),
        Expr::IsNotNull(inner) => Expr::IsNotNull(at(inner, value)),
        Expr::Between { expr, negated, low, high } => Expr::Between { expr: at(expr, value), negated, low, high },
        Expr::InList { expr, list, negated } => Expr::InList { expr: at(expr, value), list, negated },
        Expr::Like { negated, any, expr, pattern, escape_char } => {
            Expr::Like { negated, any, expr: at(expr, value), pattern, escape_char }
        }
        Expr::ILike { negated, any, expr, pattern, escape_char } => {
            Expr::ILike { negated, any, expr: at(expr, value), pattern, escape_char }
        }
        operand => Expr::BinaryOp { left: Box::new(value), op: BinaryOperator::Arrow, right: Box::new(operand) },
    }
}

/// A comparison of two rows of equal length, member by member.
fn compared_tuples(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
    let (Expr::Tuple(left), Expr::Tuple(right)) = (left, right) else { return None };
    if left.len() != right.len() {
        return None;
    }
    let equal =
        left.iter().zip(right).map(|(left, right)| ast::binary(left.clone(), BinaryOperator::Eq, right.clone()));
    match op {
        BinaryOperator::Eq => ast::all_of(equal),
        BinaryOperator::NotEq => ast::all_of(equal).map(ast::not),
        BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq => {
            let strict = match op {
                BinaryOperator::Lt | BinaryOperator::LtEq => BinaryOperator::Lt,
                _ => BinaryOperator::Gt,
            };
            let last = left.len().checked_sub(1)?;
            let steps = (0..=last).map(|index| {
                let here = if index == last { op.clone() } else { strict.clone() };
                let step = ast::binary(left[index].clone(), here, right[index].clone());
                let before = (0..index)
                    .map(|before| ast::binary(left[before].clone(), BinaryOperator::Eq, right[before].clone()));
                ast::all_of(before.chain([step])).unwrap_or_else(ast::null)
            });
            ast::any_of(steps)
        }
        _ => None,
    }
}
