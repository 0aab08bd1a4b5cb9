//! Spellings that differ from the parser's by a word or two.
//! Not here: anything that needs to know which query it stands in.
//! Called between the tokenizer and the parser.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{closing, find_at_depth, is_any, name, token, word};
use super::{FRAME_EXCLUDE, PERCENT, UNPACK};

/// Applies all of them, one after the other.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let tokens = powers(tokens);
    let tokens = unpacked_columns(tokens);
    let tokens = star_filters(tokens);
    let tokens = words(tokens);
    let tokens = percent_limits(tokens);
    frame_exclusions(tokens)
}

/// `**` reaches here as two stars.
fn powers(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut merged: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for current in tokens {
        match merged.last_mut() {
            Some(last)
                if last.token == Token::Mul && current.token == Token::Mul && last.span.end == current.span.start =>
            {
                last.token = Token::CustomBinaryOperator("**".to_owned());
                last.span.end = current.span.end;
            }
            _ => merged.push(current),
        }
    }
    merged
}

/// `*COLUMNS(…)` where an operand is expected.
fn unpacked_columns(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut rewritten = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let current = &tokens[index];
        let operand = current.token == Token::Mul && expects_operand(rewritten.last());
        if operand && is_any(&tokens, index + 1, &["columns"]) {
            let end = closing(&tokens, index + 2);
            rewritten.push(name(UNPACK, current.span));
            rewritten.push(token(Token::LParen, current.span));
            rewritten.extend_from_slice(&tokens[index + 1..(end + 1).min(tokens.len())]);
            rewritten.push(token(Token::RParen, current.span));
            index = end + 1;
        } else {
            rewritten.push(current.clone());
            index += 1;
        }
    }
    rewritten
}

fn expects_operand(before: Option<&TokenWithSpan>) -> bool {
    match before.map(|before| &before.token) {
        Some(Token::LParen | Token::LBracket | Token::Comma) => true,
        Some(Token::Word(word)) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case("select"),
        _ => false,
    }
}

/// `* LIKE 'a%'` picks columns by name: `COLUMNS(name -> name LIKE 'a%')`.
fn star_filters(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut rewritten = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let current = &tokens[index];
        let negated = usize::from(is_any(&tokens, index + 1, &["not"]));
        let filtered = is_any(&tokens, index + 1 + negated, &["like", "ilike", "glob", "similar"]);
        if current.token == Token::Mul && filtered && expects_operand(rewritten.last()) {
            let end = find_at_depth(&tokens, index + 1, |position, _| {
                tokens[position].token == Token::Comma || is_any(&tokens, position, &["from", "where", "as"])
            });
            let span = current.span;
            let opening = [
                word("COLUMNS", span),
                token(Token::LParen, span),
                name("column", span),
                token(Token::Arrow, span),
                name("column", span),
            ];
            rewritten.extend(opening);
            rewritten.extend_from_slice(&tokens[index + 1..end]);
            rewritten.push(token(Token::RParen, span));
            index = end;
        } else {
            rewritten.push(current.clone());
            index += 1;
        }
    }
    rewritten
}

/// `FILTER (x)` for `FILTER (WHERE x)`, `AS [NOT] MATERIALIZED (…)` for `AS (…)`, `#1` for the first column,
/// `E'…'` for a string, `trim(LEADING FROM …)` with the blank that it leaves out.
fn words(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut rewritten: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let current = &tokens[index];
        let negated = usize::from(is_any(&tokens, index, &["not"]));
        let after_as = index > 0 && is_any(&tokens, index - 1, &["as"]);
        if after_as
            && is_any(&tokens, index + negated, &["materialized"])
            && tokens.get(index + negated + 1).is_some_and(|next| next.token == Token::LParen)
        {
            index += negated + 1;
            continue;
        }
        if current.token == Token::Sharp
            && let Some(TokenWithSpan { token: Token::Number(number, _), .. }) = tokens.get(index + 1)
        {
            rewritten.push(name(&format!("#{number}"), current.span));
            index += 2;
            continue;
        }
        if let Token::EscapedStringLiteral(text) = &current.token {
            rewritten.push(token(Token::SingleQuotedString(text.clone()), current.span));
            index += 1;
            continue;
        }
        rewritten.push(current.clone());
        let trims = index > 1
            && tokens[index - 1].token == Token::LParen
            && is_any(&tokens, index - 2, &["trim"])
            && is_any(&tokens, index, &["leading", "trailing", "both"]);
        if trims && is_any(&tokens, index + 1, &["from"]) {
            rewritten.push(token(Token::SingleQuotedString(" ".to_owned()), current.span));
        }
        let opens = index > 0 && current.token == Token::LParen && is_any(&tokens, index - 1, &["filter"]);
        let aggregate = index > 1 && tokens[index - 2].token == Token::RParen;
        if opens && aggregate && !is_any(&tokens, index + 1, &["where"]) {
            rewritten.push(word("WHERE", current.span));
        }
        index += 1;
    }
    rewritten
}

/// `LIMIT 10%` and `LIMIT 10 PERCENT`.
fn percent_limits(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut rewritten = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        rewritten.push(tokens[index].clone());
        if is_any(&tokens, index, &["limit"]) {
            let end = find_at_depth(&tokens, index + 1, |position, _| {
                tokens[position].token == Token::SemiColon || is_any(&tokens, position, &["offset"])
            });
            let share = &tokens[index + 1..end];
            let percent = share.last().is_some_and(|last| last.token == Token::Mod)
                || is_any(&tokens, end.saturating_sub(1), &["percent"]);
            if percent && share.len() > 1 {
                let span = tokens[index].span;
                rewritten.push(name(PERCENT, span));
                rewritten.push(token(Token::LParen, span));
                rewritten.extend_from_slice(&share[..share.len() - 1]);
                rewritten.push(token(Token::RParen, span));
                index = end;
                continue;
            }
        }
        index += 1;
    }
    rewritten
}

/// `EXCLUDE CURRENT ROW` and its like at the end of a window's frame.
fn frame_exclusions(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut rewritten = Vec::with_capacity(tokens.len());
    // Where the tokens of each open parenthesis begin in the output.
    let mut opened = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let current = &tokens[index];
        let bound = index > 0 && is_any(&tokens, index - 1, &["row", "preceding", "following"]);
        let words = match () {
            () if is_any(&tokens, index + 1, &["no"]) && is_any(&tokens, index + 2, &["others"]) => 3,
            () if is_any(&tokens, index + 1, &["current"]) && is_any(&tokens, index + 2, &["row"]) => 3,
            () if is_any(&tokens, index + 1, &["group", "ties"]) => 2,
            () => 0,
        };
        if bound && words > 0 && is_any(&tokens, index, &["exclude"]) {
            let what = &tokens[index + 1];
            if !is_any(&tokens, index + 1, &["no"])
                && let Some(start) = opened.last().copied()
            {
                mark_partition(&mut rewritten, start, &format!("{FRAME_EXCLUDE}{}", what.token).to_lowercase());
            }
            index += words;
            continue;
        }
        rewritten.push(current.clone());
        match current.token {
            Token::LParen => opened.push(rewritten.len()),
            Token::RParen => {
                opened.pop();
            }
            _ => {}
        }
        index += 1;
    }
    rewritten
}

/// Puts a mark first into the PARTITION BY of the window that begins at `start`.
fn mark_partition(tokens: &mut Vec<TokenWithSpan>, start: usize, mark: &str) {
    let Some(span) = tokens.get(start).map(|first| first.span) else { return };
    let partition = find_at_depth(tokens, start, |position, _| {
        is_any(tokens, position, &["partition", "order", "rows", "range", "groups"])
    });
    let marked = if is_any(tokens, partition, &["partition"]) {
        (partition + 2, vec![name(mark, span), token(Token::Comma, span)])
    } else {
        (partition, vec![word("PARTITION", span), word("BY", span), name(mark, span)])
    };
    let position = marked.0.min(tokens.len());
    tokens.splice(position..position, marked.1);
}
