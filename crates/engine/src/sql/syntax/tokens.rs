//! Looking around in a statement's tokens.
//! Not here: what is done with them.
//! Called by the other files of this folder.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

/// Where a query stands between its parentheses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Nothing of it has been seen, or a set operation just came.
    Start,
    /// Its WITH has begun, its body has not.
    With,
    /// Inside its body, or inside something that is no query.
    Body,
}

/// For every token, where it stands before it is read.
pub(super) fn places(tokens: &[TokenWithSpan]) -> Vec<Place> {
    let mut stack = vec![Place::Start];
    let mut found = Vec::with_capacity(tokens.len());
    for token in tokens {
        let place = stack.last().copied().unwrap_or(Place::Body);
        found.push(place);
        let next = match &token.token {
            Token::LParen => {
                if place == Place::Start {
                    set(&mut stack, Place::Body);
                }
                stack.push(Place::Start);
                continue;
            }
            Token::LBracket | Token::LBrace => {
                stack.push(Place::Body);
                continue;
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                if stack.len() > 1 {
                    stack.pop();
                }
                continue;
            }
            Token::SemiColon => Place::Start,
            Token::Word(word) => match word.keyword {
                Keyword::WITH if place == Place::Start => Place::With,
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => Place::Start,
                Keyword::ALL | Keyword::DISTINCT | Keyword::BY | Keyword::NAME if place == Place::Start => place,
                _ if place == Place::With && !begins_body(token) => place,
                _ => Place::Body,
            },
            _ if place == Place::With => place,
            _ => Place::Body,
        };
        set(&mut stack, next);
    }
    found
}

fn set(stack: &mut [Place], place: Place) {
    if let Some(last) = stack.last_mut() {
        *last = place;
    }
}

/// Whether a word begins the body of a query.
fn begins_body(token: &TokenWithSpan) -> bool {
    ["select", "from", "values", "pivot", "unpivot", "describe", "summarize"].iter().any(|word| is_word(token, word))
}

/// Whether a token is a word without quotes, in any case.
pub(super) fn is_word(token: &TokenWithSpan, text: &str) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

/// Whether the token at `index` is one of some words.
pub(super) fn is_any(tokens: &[TokenWithSpan], index: usize, words: &[&str]) -> bool {
    tokens.get(index).is_some_and(|token| words.iter().any(|word| is_word(token, word)))
}

/// How a token changes the depth of parentheses, brackets and braces.
pub(super) fn depth_change(token: &Token) -> isize {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => 1,
        Token::RParen | Token::RBracket | Token::RBrace => -1,
        _ => 0,
    }
}

/// The first position from `start` on, at the depth of `start`, for which `wanted` holds; else where that depth ends.
pub(super) fn find_at_depth(
    tokens: &[TokenWithSpan],
    start: usize,
    mut wanted: impl FnMut(usize, &TokenWithSpan) -> bool,
) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        if depth == 0 && (wanted(index, token) || depth_change(&token.token) < 0) {
            return index;
        }
        depth += depth_change(&token.token);
    }
    tokens.len()
}

/// The position of the token that closes what the token at `open` opens, or the end.
pub(super) fn closing(tokens: &[TokenWithSpan], open: usize) -> usize {
    find_at_depth(tokens, open + 1, |_, _| false)
}

/// A keyword or name made up on the way, at the place of another token.
pub(super) fn word(text: &str, span: Span) -> TokenWithSpan {
    TokenWithSpan { token: Token::make_keyword(text), span }
}

/// A quoted name made up on the way.
pub(super) fn name(text: &str, span: Span) -> TokenWithSpan {
    TokenWithSpan { token: Token::make_word(text, Some('"')), span }
}

/// Any other token made up on the way.
pub(super) fn token(token: Token, span: Span) -> TokenWithSpan {
    TokenWithSpan { token, span }
}
