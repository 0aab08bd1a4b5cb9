//! `SELECT total: price * 2` and `FROM t: 'file.csv'`: an alias before what it names.
//! Not here: aliases behind, which the parser knows.
//! Called between the tokenizer and the parser.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{depth_change, find_at_depth, is_any, word};

/// The words that end an item of a list after SELECT or FROM.
const ENDS: [&str; 20] = [
    "from",
    "where",
    "group",
    "having",
    "qualify",
    "window",
    "order",
    "limit",
    "offset",
    "union",
    "except",
    "intersect",
    "using",
    "join",
    "on",
    "left",
    "right",
    "inner",
    "full",
    "cross",
];

/// Moves every such alias behind its item.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|current| current.token == Token::Colon) {
        return tokens;
    }
    let mut rewritten = Vec::with_capacity(tokens.len());
    // Whether each open parenthesis holds a query whose list of SELECT or FROM is being read.
    let mut lists = vec![false];
    let mut pending: Vec<(usize, TokenWithSpan)> = Vec::new();
    let mut index = 0;
    while index <= tokens.len() {
        while let Some((_, alias)) = pending.pop_if(|(end, _)| *end == index) {
            rewritten.push(word("AS", alias.span));
            rewritten.push(alias);
        }
        let Some(current) = tokens.get(index) else { break };
        if is_any(&tokens, index, &["select", "from"]) {
            set(&mut lists, true);
        } else if is_any(&tokens, index, &["where", "group", "having", "qualify", "order", "limit", "window"]) {
            set(&mut lists, false);
        }
        let after = index > 0
            && (tokens[index - 1].token == Token::Comma
                || is_any(&tokens, index - 1, &["select", "distinct", "all", "from", "join"]));
        let named = matches!(current.token, Token::Word(_) | Token::SingleQuotedString(_));
        let colon = tokens.get(index + 1).is_some_and(|next| next.token == Token::Colon);
        if after && named && colon && lists.last() == Some(&true) {
            let end = find_at_depth(&tokens, index + 2, |position, token| {
                matches!(token.token, Token::Comma | Token::SemiColon) || is_any(&tokens, position, &ENDS)
            });
            pending.push((end, current.clone()));
            index += 2;
            continue;
        }
        match depth_change(&current.token) {
            1 => lists.push(false),
            -1 if lists.len() > 1 => {
                lists.pop();
            }
            _ => {}
        }
        rewritten.push(current.clone());
        index += 1;
    }
    rewritten
}

fn set(lists: &mut [bool], value: bool) {
    if let Some(last) = lists.last_mut() {
        *last = value;
    }
}
