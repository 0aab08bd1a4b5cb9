//! List comprehensions: `[x * 2 FOR x IN list IF x > 1]` as `list_transform(list_filter(list, …), …)`.
//! Not here: the functions.
//! Called between the tokenizer and the parser.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{closing, find_at_depth, is_word, token, word};

/// Rewrites every comprehension, the inner ones too.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|current| is_word(current, "for")) {
        return tokens;
    }
    let mut rewritten = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        if tokens[index].token == Token::LBracket
            && let Some((comprehension, end)) = comprehension(&tokens, index)
        {
            rewritten.extend(comprehension);
            index = end + 1;
        } else {
            rewritten.push(tokens[index].clone());
            index += 1;
        }
    }
    rewritten
}

/// The comprehension that begins at `open`, and where it ends.
fn comprehension(tokens: &[TokenWithSpan], open: usize) -> Option<(Vec<TokenWithSpan>, usize)> {
    let end = closing(tokens, open);
    let for_at = find_at_depth(tokens, open + 1, |_, current| is_word(current, "for"));
    let in_at = find_at_depth(tokens, for_at + 1, |_, current| is_word(current, "in"));
    if for_at >= end || in_at >= end {
        return None;
    }
    let if_at = find_at_depth(tokens, in_at + 1, |_, current| is_word(current, "if")).min(end);
    let span = tokens[open].span;
    let call = |function: &str, list: Vec<TokenWithSpan>, body: &[TokenWithSpan]| {
        let mut call = vec![word(function, span), token(Token::LParen, span)];
        call.extend(list);
        call.push(token(Token::Comma, span));
        call.push(token(Token::LParen, span));
        call.extend_from_slice(&tokens[for_at + 1..in_at]);
        call.extend([token(Token::RParen, span), token(Token::Arrow, span), token(Token::LParen, span)]);
        call.extend(rewrite(body.to_vec()));
        call.extend([token(Token::RParen, span), token(Token::RParen, span)]);
        call
    };
    let mut list = rewrite(tokens[in_at + 1..if_at].to_vec());
    if if_at < end {
        list = call("list_filter", list, &tokens[if_at + 1..end]);
    }
    Some((call("list_transform", list, &tokens[open + 1..for_at]), end))
}
