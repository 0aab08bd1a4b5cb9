//! `USING SAMPLE 10%` and `TABLESAMPLE reservoir(20 ROWS)`.
//! Not here: how rows are picked.
//! Called between the tokenizer and the parser.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::SAMPLE;
use super::tokens::{closing, depth_change, is_any, name, token, word};

/// Rewrites every sample: of a query into a mark in its list, of a table into the parser's spelling.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut rewritten: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let span = tokens[index].span;
        let of_query = is_any(&tokens, index, &["using"]) && is_any(&tokens, index + 1, &["sample"]);
        let of_table = is_any(&tokens, index, &["tablesample"]);
        if (of_query || of_table)
            && let Some((number, percent, end)) = amount(&tokens, index + 1 + usize::from(of_query))
        {
            if of_query {
                let unit = token(Token::SingleQuotedString(if percent { "%" } else { "rows" }.to_owned()), span);
                let comma = || token(Token::Comma, span);
                mark(&mut rewritten, [name(SAMPLE, span), comma(), number, comma(), unit, comma()]);
            } else {
                rewritten.extend([tokens[index].clone(), token(Token::LParen, span), number]);
                rewritten.extend([word(if percent { "PERCENT" } else { "ROWS" }, span), token(Token::RParen, span)]);
            }
            index = end;
        } else {
            rewritten.push(tokens[index].clone());
            index += 1;
        }
    }
    rewritten
}

/// The number, whether it is a share, and where the clause ends.
fn amount(tokens: &[TokenWithSpan], start: usize) -> Option<(TokenWithSpan, bool, usize)> {
    let mut index = start;
    let method = matches!(tokens.get(index).map(|first| &first.token), Some(Token::Word(_)));
    index += usize::from(method);
    let parenthesis = tokens.get(index).is_some_and(|next| next.token == Token::LParen);
    let inner = index + usize::from(parenthesis);
    let number = tokens.get(inner).filter(|next| matches!(next.token, Token::Number(..)))?.clone();
    let after = tokens.get(inner + 1);
    let marked = after.is_some_and(|next| next.token == Token::Mod) || is_any(tokens, inner + 1, &["percent"]);
    let rows = is_any(tokens, inner + 1, &["rows"]);
    let percent = marked || (method && !rows && !is_any(tokens, start, &["reservoir"]));
    let mut end = if parenthesis { closing(tokens, index) + 1 } else { inner + 1 + usize::from(marked || rows) };
    // The method may stand behind in parentheses, then a seed: a sample may always be another one.
    if !parenthesis && tokens.get(end).is_some_and(|next| next.token == Token::LParen) {
        end = closing(tokens, end) + 1;
    }
    if is_any(tokens, end, &["repeatable"]) {
        end = closing(tokens, end + 1) + 1;
    }
    Some((number, percent, end.min(tokens.len())))
}

/// Puts a mark first into the list of the SELECT that is being read.
fn mark(tokens: &mut Vec<TokenWithSpan>, marks: [TokenWithSpan; 6]) {
    let mut depth = 0;
    for index in (0..tokens.len()).rev() {
        depth -= depth_change(&tokens[index].token);
        if depth < 0 {
            return;
        }
        if depth == 0 && is_any(tokens, index, &["select"]) {
            let mut position = index + 1;
            if is_any(tokens, position, &["distinct", "all"]) {
                position += 1;
                if is_any(tokens, position, &["on"]) {
                    position = closing(tokens, position + 1) + 1;
                }
            }
            let position = position.min(tokens.len());
            tokens.splice(position..position, marks);
            return;
        }
    }
}
