//! `FROM t WHERE …` without a SELECT: DuckDB's way to say `SELECT * FROM t WHERE …`.
//! Not here: `FROM t SELECT x`, which the parser knows.
//! Called between the tokenizer and the parser.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::tokens::{Place, closing, find_at_depth, places, token, word};

/// Puts `SELECT *` before every FROM that begins a query and is followed by no SELECT of its own.
pub(super) fn complete(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = places(&tokens);
    let mut completed = Vec::with_capacity(tokens.len() + 4);
    let mut ends: Vec<usize> = Vec::new();
    for (index, current) in tokens.iter().enumerate() {
        let begins = places[index] != Place::Body && is_keyword(current, Keyword::FROM);
        if begins && !has_select(&tokens, index + 1) {
            completed.push(word("SELECT", current.span));
            completed.push(token(Token::Mul, current.span));
        } else if begins && index > 0 && tokens[index - 1].token == Token::LParen {
            // Inside an expression the parser knows a query by its first word alone.
            for part in [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM"), Token::LParen] {
                completed.push(token(part, current.span));
            }
            ends.push(closing(&tokens, index - 1));
        }
        if ends.last() == Some(&index) {
            ends.pop();
            completed.push(token(Token::RParen, current.span));
        }
        completed.push(current.clone());
    }
    completed
}

/// Whether a SELECT follows within the same query.
fn has_select(tokens: &[TokenWithSpan], start: usize) -> bool {
    let ends = [Keyword::UNION, Keyword::EXCEPT, Keyword::INTERSECT, Keyword::SELECT];
    let end = find_at_depth(tokens, start, |_, current| {
        current.token == Token::SemiColon || ends.iter().any(|keyword| is_keyword(current, *keyword))
    });
    tokens.get(end).is_some_and(|current| is_keyword(current, Keyword::SELECT))
}

fn is_keyword(current: &TokenWithSpan, wanted: Keyword) -> bool {
    matches!(&current.token, Token::Word(Word { keyword, .. }) if *keyword == wanted)
}

#[cfg(test)]
mod tests {
    use crate::sql::parse::parse;

    #[test]
    fn a_bare_from_selects_everything_wherever_it_stands() {
        for (sql, expected) in [
            ("FROM t WHERE a = 1 ORDER BY a LIMIT 2", "SELECT * FROM t WHERE a = 1 ORDER BY a LIMIT 2"),
            (
                "WITH x AS (FROM t WHERE a) FROM x WHERE b",
                "WITH x AS (SELECT * FROM t WHERE a) SELECT * FROM x WHERE b",
            ),
            ("FROM t UNION ALL FROM u WHERE a", "SELECT * FROM t UNION ALL SELECT * FROM u WHERE a"),
            ("SELECT (SELECT 1) FROM t", "SELECT (SELECT 1) FROM t"),
            ("SELECT EXTRACT(YEAR FROM d) FROM t", "SELECT EXTRACT(YEAR FROM d) FROM t"),
            ("SELECT a FROM (FROM t WHERE b)", "SELECT a FROM (SELECT * FROM t WHERE b)"),
            ("FROM t SELECT a WHERE b", "FROM t SELECT a WHERE b"),
        ] {
            assert_eq!(parse(sql).unwrap().to_string(), expected);
        }
    }
}
