//! `FROM t WHERE …` without a SELECT: DuckDB's way to say `SELECT * FROM t WHERE …`.
//! Not here: `FROM t SELECT x`, which the parser knows.
//! Called between the tokenizer and the parser.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Where a query stands between its parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing of it has been seen, or a set operation just came.
    Start,
    /// Its WITH has begun, its body has not.
    With,
    /// Inside its body, or inside something that is no query.
    Body,
}

/// Puts `SELECT *` before every FROM that begins a query and is followed by no SELECT of its own.
pub(crate) fn complete(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut completed = Vec::with_capacity(tokens.len() + 4);
    let mut places = vec![Place::Start];
    for (index, token) in tokens.iter().enumerate() {
        let place = places.last().copied().unwrap_or(Place::Body);
        let mut next = place;
        match &token.token {
            Token::Whitespace(_) => {}
            Token::LParen => places.push(Place::Start),
            Token::RParen => {
                places.pop();
            }
            Token::SemiColon => next = Place::Start,
            Token::Word(word) => {
                let begins = place != Place::Body;
                next = match word.keyword {
                    Keyword::FROM if begins => {
                        if !has_select(&tokens[index + 1..]) {
                            completed.push(TokenWithSpan { token: Token::make_keyword("SELECT"), span: token.span });
                            completed.push(TokenWithSpan { token: Token::Mul, span: token.span });
                        }
                        Place::Body
                    }
                    Keyword::WITH if place == Place::Start => Place::With,
                    Keyword::SELECT | Keyword::VALUES => Place::Body,
                    Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => Place::Start,
                    Keyword::ALL | Keyword::DISTINCT | Keyword::BY | Keyword::NAME if place == Place::Start => place,
                    _ if place == Place::With => place,
                    _ => Place::Body,
                };
            }
            _ if place == Place::With => {}
            _ => next = Place::Body,
        }
        let nested = matches!(token.token, Token::LParen);
        let depth = if nested { places.len().checked_sub(2) } else { places.len().checked_sub(1) };
        if !matches!(token.token, Token::RParen | Token::LParen)
            && let Some(current) = depth.and_then(|depth| places.get_mut(depth))
        {
            *current = next;
        }
        completed.push(token.clone());
    }
    completed
}

/// Whether a SELECT follows within the same query.
fn has_select(rest: &[TokenWithSpan]) -> bool {
    let mut depth = 0_usize;
    for token in rest {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return false,
            Token::RParen => depth -= 1,
            Token::SemiColon if depth == 0 => return false,
            Token::Word(Word { keyword, .. }) if depth == 0 => match keyword {
                Keyword::SELECT => return true,
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => return false,
                _ => {}
            },
            _ => {}
        }
    }
    false
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
