//! DuckDB's syntax in the parser's words: what the parser has no place for is spelled differently before it starts.
//! Not here: what any of it means (`bind`).
//! Called by `parse`, and by `bind` for the marks that are left in the statement.
//!
//! A construct that fits nowhere in the parser's grammar becomes a SELECT whose list begins with a *mark*, a name that
//! nobody would choose, followed by the construct's parts.

pub(crate) mod dialect;

mod comprehension;
mod from_first;
mod joins;
mod pivot_clause;
mod prefix_alias;
mod sample;
mod small;
mod statements;
mod tokens;

use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// `DESCRIBE query`.
pub(crate) const DESCRIBE: &str = "tapline describe";
/// `SUMMARIZE query`.
pub(crate) const SUMMARIZE: &str = "tapline summarize";
/// `PIVOT source ON …`: what follows the mark is the list of ON.
pub(crate) const PIVOT: &str = "tapline pivot";
/// `… USING …` of a PIVOT: the aggregates follow.
pub(crate) const PIVOT_USING: &str = "tapline pivot using";
/// A further `column IN (…)` of a PIVOT behind a relation, as a function of it among the aggregates.
pub(crate) const PIVOT_FOR: &str = "tapline pivot for";
/// `GROUP BY …` of such a PIVOT, likewise.
pub(crate) const PIVOT_GROUP: &str = "tapline pivot group";
/// `UNPIVOT source ON …`: the columns follow.
pub(crate) const UNPIVOT: &str = "tapline unpivot";
/// `… INTO NAME name VALUE value, …` of an UNPIVOT: the names follow.
pub(crate) const UNPIVOT_INTO: &str = "tapline unpivot into";
/// `… INCLUDE NULLS` of an UNPIVOT.
pub(crate) const UNPIVOT_NULLS: &str = "tapline unpivot nulls";
/// `USING SAMPLE`: how much and of what follow as two literals.
pub(crate) const SAMPLE: &str = "tapline sample";
/// `LIMIT n %` as a function of n.
pub(crate) const PERCENT: &str = "tapline percent";
/// `*COLUMNS(…)`: its columns become arguments.
pub(crate) const UNPACK: &str = "tapline unpack";
/// `EXCLUDE …` of a window's frame, first in its PARTITION BY; what is left out follows.
pub(crate) const FRAME_EXCLUDE: &str = "tapline frame exclude ";

/// Operators in a row that need no parentheses.
const CHAIN_LIMIT: usize = 300;

/// A statement's tokens without blanks and comments, in the parser's words.
pub(crate) fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, ParserError> {
    let mut tokens = Tokenizer::new(&dialect::Duck, sql).tokenize_with_location()?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    check_chains(&tokens)?;
    let tokens = small::rewrite(tokens);
    let tokens = comprehension::rewrite(tokens);
    let tokens = statements::rewrite(tokens)?;
    let tokens = from_first::complete(tokens);
    let tokens = prefix_alias::rewrite(tokens);
    let tokens = joins::rewrite(tokens)?;
    let tokens = pivot_clause::rewrite(tokens);
    Ok(sample::rewrite(tokens))
}

/// Refuses what would become a tree too deep to walk: the parser itself only counts parentheses.
fn check_chains(tokens: &[TokenWithSpan]) -> Result<(), ParserError> {
    let mut chains = vec![0_usize];
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => chains.push(0),
            Token::RParen | Token::RBracket | Token::RBrace if chains.len() > 1 => {
                chains.pop();
            }
            Token::Comma | Token::SemiColon => {
                if let Some(chain) = chains.last_mut() {
                    *chain = 0;
                }
            }
            Token::Number(..) | Token::SingleQuotedString(_) => {}
            Token::Word(word) if !is_chaining(&word.value) => {}
            _ => {
                if let Some(chain) = chains.last_mut() {
                    *chain += 1;
                    if *chain > CHAIN_LIMIT {
                        return Err(ParserError::RecursionLimitExceeded);
                    }
                }
            }
        }
    }
    Ok(())
}

fn is_chaining(word: &str) -> bool {
    ["and", "or", "not", "union", "except", "intersect", "join", "case", "in", "is", "like", "between", "when"]
        .iter()
        .any(|chaining| word.eq_ignore_ascii_case(chaining))
}
