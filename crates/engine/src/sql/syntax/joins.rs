//! ASOF and POSITIONAL joins, in the words of joins that DuckDB does not have.
//! Not here: how they are carried out.
//! Called between the tokenizer and the parser.
//!
//! | DuckDB | here |
//! |---|---|
//! | `ASOF [INNER] JOIN` | `RIGHT SEMI JOIN` |
//! | `ASOF LEFT JOIN` | `RIGHT ANTI JOIN` |
//! | `POSITIONAL JOIN` | `CROSS APPLY` |

use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use super::tokens::{is_any, word};

/// Replaces the words.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, ParserError> {
    let mut rewritten = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let span = tokens[index].span;
        if is_any(&tokens, index, &["right", "cross"]) && is_any(&tokens, index + 1, &["semi", "anti", "apply"]) {
            let place = span.start;
            return Err(ParserError::ParserError(format!(
                "there is no such join at Line: {}, Column: {}",
                place.line, place.column
            )));
        }
        if is_any(&tokens, index, &["asof"]) {
            let left = is_any(&tokens, index + 1, &["left"]);
            let mut end = index + 1;
            while is_any(&tokens, end, &["left", "inner", "outer"]) {
                end += 1;
            }
            if is_any(&tokens, end, &["join"]) {
                rewritten.push(word("RIGHT", span));
                rewritten.push(word(if left { "ANTI" } else { "SEMI" }, span));
                index = end;
                continue;
            }
        }
        if is_any(&tokens, index, &["positional"]) && is_any(&tokens, index + 1, &["join"]) {
            rewritten.extend([word("CROSS", span), word("APPLY", span)]);
            index += 2;
            continue;
        }
        rewritten.push(tokens[index].clone());
        index += 1;
    }
    Ok(rewritten)
}
