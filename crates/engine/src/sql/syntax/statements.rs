//! DESCRIBE, SUMMARIZE, PIVOT and UNPIVOT where a query may stand: a SELECT with a mark and the construct's parts.
//! Not here: `FROM t PIVOT (…)` and `FROM t UNPIVOT (…)`, which the parser knows.
//! Called between the tokenizer and the parser.

use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::tokens::{Place, find_at_depth, is_any, is_word, name, places, token, word};
use super::{DESCRIBE, PIVOT, PIVOT_USING, SUMMARIZE, UNPIVOT, UNPIVOT_INTO, UNPIVOT_NULLS};

/// Puts what follows a statement's first word, which stands at a place, into the parser's words.
type Rewrite = fn(&[TokenWithSpan], Span) -> Result<Vec<TokenWithSpan>, ParserError>;

/// Rewrites every such statement, those within others too.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, ParserError> {
    let places = places(&tokens);
    let mut rewritten = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let current = &tokens[index];
        let begins = places[index] == Place::Start
            || (places[index] == Place::With && index > 0 && tokens[index - 1].token == Token::RParen);
        let statement: Option<Rewrite> = match () {
            () if !begins => None,
            () if is_any(&tokens, index, &["describe", "desc", "show"]) => Some(described),
            () if is_word(current, "summarize") => Some(summarized),
            () if is_any(&tokens, index, &["pivot", "pivot_wider"]) => Some(pivoted),
            () if is_any(&tokens, index, &["unpivot", "pivot_longer"]) => Some(unpivoted),
            () => None,
        };
        match statement {
            Some(statement) => {
                let end = find_at_depth(&tokens, index + 1, |_, current| current.token == Token::SemiColon);
                rewritten.extend(statement(&tokens[index + 1..end], current.span)?);
                index = end;
            }
            None => {
                rewritten.push(current.clone());
                index += 1;
            }
        }
    }
    Ok(rewritten)
}

fn described(rest: &[TokenWithSpan], span: Span) -> Result<Vec<TokenWithSpan>, ParserError> {
    over_query(DESCRIBE, rest, span)
}

fn summarized(rest: &[TokenWithSpan], span: Span) -> Result<Vec<TokenWithSpan>, ParserError> {
    over_query(SUMMARIZE, rest, span)
}

/// `SELECT mark FROM (query)`.
fn over_query(mark: &str, rest: &[TokenWithSpan], span: Span) -> Result<Vec<TokenWithSpan>, ParserError> {
    let mut rewritten = vec![word("SELECT", span), name(mark, span), word("FROM", span), token(Token::LParen, span)];
    let starts = ["select", "from", "with", "values", "pivot", "unpivot", "describe", "summarize"];
    let query = rest.first().is_some_and(|first| first.token == Token::LParen) || is_any(rest, 0, &starts);
    if !query {
        rewritten.push(word("FROM", span));
    }
    rewritten.extend(rewrite(rest.to_vec())?);
    rewritten.push(token(Token::RParen, span));
    Ok(rewritten)
}

fn pivoted(rest: &[TokenWithSpan], span: Span) -> Result<Vec<TokenWithSpan>, ParserError> {
    let clauses = Clauses::of(rest);
    let mut rewritten = vec![word("SELECT", span), name(PIVOT, span)];
    for (clause, mark) in [("on", None), ("using", Some(PIVOT_USING))] {
        if let Some(list) = clauses.get(clause) {
            if let Some(mark) = mark {
                rewritten.extend([token(Token::Comma, span), name(mark, span)]);
            }
            rewritten.push(token(Token::Comma, span));
            rewritten.extend(rewrite(list.to_vec())?);
        }
    }
    clauses.finish(rewritten, span)
}

fn unpivoted(rest: &[TokenWithSpan], span: Span) -> Result<Vec<TokenWithSpan>, ParserError> {
    let nulls = (0..rest.len())
        .find(|index| is_any(rest, *index, &["include", "exclude"]) && is_any(rest, index + 1, &["nulls"]));
    let mut kept = rest.to_vec();
    let mut with_nulls = false;
    if let Some(index) = nulls {
        with_nulls = is_any(rest, index, &["include"]);
        kept.drain(index..index + 2);
    }
    let clauses = Clauses::of(&kept);
    let mut rewritten = vec![word("SELECT", span), name(UNPIVOT, span)];
    if with_nulls {
        rewritten.extend([token(Token::Comma, span), name(UNPIVOT_NULLS, span)]);
    }
    if let Some(list) = clauses.get("on") {
        rewritten.push(token(Token::Comma, span));
        rewritten.extend(rewrite(list.to_vec())?);
    }
    if let Some(into) = clauses.get("into") {
        rewritten.extend([token(Token::Comma, span), name(UNPIVOT_INTO, span)]);
        for part in into {
            if is_word(part, "name") || is_word(part, "value") {
                rewritten.push(token(Token::Comma, span));
            } else {
                rewritten.push(part.clone());
            }
        }
    }
    clauses.finish(rewritten, span)
}

/// The parts of a PIVOT or UNPIVOT by the word that begins them.
struct Clauses<'a> {
    source: &'a [TokenWithSpan],
    parts: Vec<(String, &'a [TokenWithSpan])>,
    /// GROUP BY, ORDER BY and LIMIT, as they stand.
    rest: &'a [TokenWithSpan],
}

impl<'a> Clauses<'a> {
    fn of(tokens: &'a [TokenWithSpan]) -> Self {
        let begins = |position: usize| is_any(tokens, position, &["on", "using", "into"]);
        let ends = |position: usize| {
            is_any(tokens, position, &["limit", "offset", "union", "except", "intersect"])
                || (is_any(tokens, position, &["group", "order"]) && is_any(tokens, position + 1, &["by"]))
        };
        let mut parts = Vec::new();
        let source_end = find_at_depth(tokens, 0, |position, _| begins(position) || ends(position));
        let mut start = source_end;
        while start < tokens.len() && begins(start) {
            let end = find_at_depth(tokens, start + 1, |position, _| begins(position) || ends(position));
            parts.push((tokens[start].token.to_string().to_lowercase(), &tokens[start + 1..end]));
            start = end;
        }
        Self { source: &tokens[..source_end], parts, rest: &tokens[start..] }
    }

    fn get(&self, clause: &str) -> Option<&'a [TokenWithSpan]> {
        self.parts.iter().find(|(name, _)| name == clause).map(|(_, tokens)| *tokens)
    }

    fn finish(&self, mut rewritten: Vec<TokenWithSpan>, span: Span) -> Result<Vec<TokenWithSpan>, ParserError> {
        rewritten.push(word("FROM", span));
        rewritten.extend(rewrite(self.source.to_vec())?);
        rewritten.extend(rewrite(self.rest.to_vec())?);
        Ok(rewritten)
    }
}
