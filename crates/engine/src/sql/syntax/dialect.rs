//! DuckDB's dialect as the parser sees it: which spellings it takes, and how tightly operators bind.
//! Not here: what the parser has no place for, which other files of this folder put into its words before it starts.
//! Called by the tokenizer and the parser.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, DuckDbDialect};
use datafusion::sql::sqlparser::keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// DuckDB's grammar of expressions follows PostgreSQL's: signs bind tightest, then powers, products and sums, then all
/// other operators on one level.
const SIGN: u8 = 48;
const POWER: u8 = 45;
const OTHER: u8 = 24;
const LIKE: u8 = 19;

/// The dialect of models.
#[derive(Debug)]
pub(crate) struct Duck;

impl Dialect for Duck {
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, character: char) -> bool {
        DuckDbDialect.is_identifier_start(character)
    }

    fn is_identifier_part(&self, character: char) -> bool {
        DuckDbDialect.is_identifier_part(character)
    }

    fn supports_trailing_commas(&self) -> bool {
        true
    }

    fn supports_from_trailing_commas(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_eq_operator(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }

    fn supports_dictionary_syntax(&self) -> bool {
        true
    }

    fn support_map_literal_syntax(&self) -> bool {
        true
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    fn supports_from_first_select(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    fn supports_select_wildcard_rename(&self) -> bool {
        true
    }

    fn supports_select_expr_star(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_within_after_array_aggregation(&self) -> bool {
        true
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        true
    }

    fn is_column_alias(&self, keyword: &Keyword, _: &mut Parser) -> bool {
        // Words of other dialects' clauses are names like any other.
        const FREE: [Keyword; 9] = [
            Keyword::ANALYZE,
            Keyword::CLUSTER,
            Keyword::DISTRIBUTE,
            Keyword::EXCLUDE,
            Keyword::EXPLAIN,
            Keyword::MINUS,
            Keyword::SORT,
            Keyword::TOP,
            Keyword::VIEW,
        ];
        FREE.contains(keyword) || !RESERVED_FOR_COLUMN_ALIAS.contains(keyword)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let precedence = match &parser.peek_token_ref().token {
            Token::Caret => POWER,
            Token::CustomBinaryOperator(operator) if operator == "**" => POWER,
            Token::StringConcat
            | Token::Pipe
            | Token::Ampersand
            | Token::Overlap
            | Token::ShiftLeft
            | Token::ShiftRight
            | Token::Arrow
            | Token::LongArrow
            | Token::AtArrow
            | Token::ArrowAt
            | Token::CaretAt
            | Token::CustomBinaryOperator(_) => OTHER,
            Token::Word(word) if word.keyword == Keyword::NOT => {
                let next = &parser.peek_nth_token_ref(1).token;
                if !is_word(next, "glob") {
                    return None;
                }
                LIKE
            }
            token if is_word(token, "glob") => LIKE,
            _ => return None,
        };
        Some(Ok(precedence))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let op = match parser.peek_token_ref().token {
            Token::Minus => UnaryOperator::Minus,
            Token::Plus => UnaryOperator::Plus,
            Token::AtSign => UnaryOperator::PGAbs,
            _ => return None,
        };
        parser.advance_token();
        let operand = parser.parse_subexpr(SIGN);
        Some(operand.map(|expr| Expr::UnaryOp { op, expr: Box::new(expr) }))
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        let negated = is_word(&parser.peek_token_ref().token, "not");
        let operator = parser.peek_nth_token_ref(usize::from(negated)).token.clone();
        let negate = |expr: Expr| match negated {
            true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(expr))) },
            false => expr,
        };
        let skip = |parser: &mut Parser| (0..=usize::from(negated)).for_each(|_| parser.advance_token());
        if is_word(&operator, "glob") {
            skip(parser);
            let pattern = parser.parse_subexpr(LIKE);
            return Some(pattern.map(|right| negate(custom(left, "GLOB", right))));
        }
        if is_word(&operator, "in") {
            let next = &parser.peek_nth_token_ref(1 + usize::from(negated)).token;
            if matches!(next, Token::LParen) {
                return None;
            }
            skip(parser);
            let list = parser.parse_subexpr(OTHER - 1);
            return Some(list.map(|right| negate(custom(left, "IN", right))));
        }
        if operator == Token::ExclamationMark && !negated {
            parser.advance_token();
            let op = UnaryOperator::PGPostfixFactorial;
            return Some(Ok(Expr::UnaryOp { op, expr: Box::new(left.clone()) }));
        }
        let name = match &operator {
            Token::CustomBinaryOperator(name) if !negated => name.clone(),
            Token::Caret if !negated => "**".to_owned(),
            Token::CaretAt if !negated => "^@".to_owned(),
            Token::Overlap if !negated => "&&".to_owned(),
            Token::DoubleTilde if !negated => "~~".to_owned(),
            Token::ExclamationMarkDoubleTilde if !negated => "!~~".to_owned(),
            Token::DoubleTildeAsterisk if !negated => "~~*".to_owned(),
            Token::ExclamationMarkDoubleTildeAsterisk if !negated => "!~~*".to_owned(),
            _ => return None,
        };
        parser.advance_token();
        let level = match operator {
            Token::Caret => POWER,
            Token::CustomBinaryOperator(_) if name == "**" => POWER,
            _ => OTHER,
        };
        Some(parser.parse_subexpr(level).map(|right| custom(left, &name, right)))
    }
}

fn custom(left: &Expr, name: &str, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left.clone()), op: BinaryOperator::Custom(name.to_owned()), right: Box::new(right) }
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}
