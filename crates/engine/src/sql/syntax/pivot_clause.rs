//! `FROM t PIVOT (… FOR a IN (…) b IN (…) GROUP BY c)`: the parser knows one column and no groups.
//! Not here: the PIVOT statement (`statements`).
//! Called between the tokenizer and the parser.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{closing, find_at_depth, is_any, is_word, name, token};
use super::{PIVOT_FOR, PIVOT_GROUP};

/// Puts what the parser does not know among the aggregates, as calls of marks.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut rewritten = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let opens = is_any(&tokens, index, &["pivot", "pivot_wider"])
            && tokens.get(index + 1).is_some_and(|next| next.token == Token::LParen);
        match if opens { marked(&tokens, index + 1) } else { None } {
            Some((clause, end)) => {
                rewritten.push(tokens[index].clone());
                rewritten.extend(clause);
                index = end + 1;
            }
            None => {
                rewritten.push(tokens[index].clone());
                index += 1;
            }
        }
    }
    rewritten
}

/// The clause in the parentheses that open at `open`, and where it ends; `None` where the parser knows it all.
fn marked(tokens: &[TokenWithSpan], open: usize) -> Option<(Vec<TokenWithSpan>, usize)> {
    let end = closing(tokens, open);
    let for_at = find_at_depth(tokens, open + 1, |_, current| is_word(current, "for"));
    let first = listed(tokens, for_at + 1, end)?;
    if first == end {
        return None;
    }
    let span = tokens[for_at].span;
    let mut clause = tokens[open..for_at].to_vec();
    let mut mark = |mark: &str, parts: &[TokenWithSpan]| {
        clause.extend([token(Token::Comma, span), name(mark, span), token(Token::LParen, span)]);
        clause.extend_from_slice(parts);
        clause.push(token(Token::RParen, span));
    };
    let mut start = first;
    while start < end {
        if is_any(tokens, start, &["group"]) && is_any(tokens, start + 1, &["by"]) {
            mark(PIVOT_GROUP, &tokens[start + 2..end]);
            break;
        }
        let next = listed(tokens, start, end)?;
        mark(PIVOT_FOR, &tokens[start..next]);
        start = next;
    }
    clause.extend_from_slice(&tokens[for_at..first]);
    clause.push(token(Token::RParen, span));
    Some((clause, end))
}

/// Where `column IN (…)` ends that begins at `start`.
fn listed(tokens: &[TokenWithSpan], start: usize, end: usize) -> Option<usize> {
    let in_at = find_at_depth(tokens, start, |_, current| is_word(current, "in"));
    let list = tokens.get(in_at + 1).filter(|_| in_at < end)?;
    (list.token == Token::LParen).then(|| closing(tokens, in_at + 1) + 1).filter(|after| *after <= end)
}
