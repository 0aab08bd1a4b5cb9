//! SQL text to one read-only statement, in DuckDB's dialect.
//! Not here: what the names in it mean (`references`, `bind`), planning (`session`).
//! Called by the session, and by `validate` without a network.

use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use tapline_core::{Error, Result, codes};

use super::syntax::{self, dialect::Duck};

/// How deeply expressions and sub-queries may nest.
const RECURSION_LIMIT: usize = 128;

/// The stack on which the parser goes that deep.
const STACK: usize = 64 << 20;

/// Parses one SELECT. Everything that writes, configures or names another statement is refused.
///
/// # Errors
/// `SQL-001` with a caret where the text is no SQL, `SQL-010` where it is another statement, or several.
pub fn parse(sql: &str) -> Result<Box<Query>> {
    let statements = syntax::tokenize(sql)
        .and_then(|tokens| {
            let mut parser =
                Parser::new(&Duck).with_recursion_limit(RECURSION_LIMIT).with_tokens_with_locations(tokens);
            stacker::grow(STACK, || parser.parse_statements())
        })
        .map_err(|error| if is_other_statement(sql) { not_allowed(sql) } else { syntax_error(sql, &error) })?;
    let mut statements = statements.into_iter();
    let Some(statement) = statements.next() else {
        return Err(Error::new(codes::SQL_001, "the SQL is empty")
            .hint("write one SELECT, such as SELECT * FROM 's3://bucket/file.parquet'"));
    };
    if statements.next().is_some() {
        return Err(Error::new(codes::SQL_010, "the SQL holds more than one statement").hint("keep one SELECT"));
    }
    match statement {
        Statement::Query(query) if reads_only(&query.body) => Ok(query),
        other => Err(not_allowed(&other.to_string())),
    }
}

/// Whether a text begins as a statement that is no query, of those that the parser need not know.
fn is_other_statement(sql: &str) -> bool {
    const WORDS: [&str; 26] = [
        "ALTER",
        "ANALYZE",
        "ATTACH",
        "BEGIN",
        "CALL",
        "CHECKPOINT",
        "COMMENT",
        "COPY",
        "CREATE",
        "DELETE",
        "DETACH",
        "DROP",
        "EXECUTE",
        "EXPORT",
        "IMPORT",
        "INSERT",
        "INSTALL",
        "LOAD",
        "MERGE",
        "PRAGMA",
        "PREPARE",
        "RESET",
        "SET",
        "UPDATE",
        "USE",
        "VACUUM",
    ];
    let first = sql.split_whitespace().next().unwrap_or("").trim_end_matches(';');
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(first))
}

/// Whether a query's body is made of SELECT, VALUES and set operations alone.
fn reads_only(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(query) => reads_only(&query.body),
        SetExpr::SetOperation { left, right, .. } => reads_only(left) && reads_only(right),
        SetExpr::Values(_) | SetExpr::Table(_) => true,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
    }
}

fn not_allowed(text: &str) -> Error {
    let word = text.split_whitespace().next().unwrap_or("this statement").to_uppercase();
    Error::new(codes::SQL_010, format!("{word} is not allowed: a model is one SELECT that only reads"))
        .hint("write one SELECT; settings belong into the project file")
}

fn syntax_error(sql: &str, error: &ParserError) -> Error {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
        ParserError::RecursionLimitExceeded => "the SQL nests too deeply".to_owned(),
    };
    let (message, position) = split_position(&text);
    let position = position.or_else(|| text.contains("EOF").then(|| end_of(sql)));
    let error = Error::new(codes::SQL_001, format!("parsing the SQL: {}", lower_first(message))).hint(
        "write one SELECT in DuckDB's dialect; names of files stand in single quotes: FROM 's3://bucket/file.parquet'",
    );
    match position {
        Some((line, column)) => error.excerpt(caret(sql, line, column)),
        None => error,
    }
}

/// Line and column behind the last character, both from 1.
fn end_of(sql: &str) -> (usize, usize) {
    let last = sql.lines().last().unwrap_or("");
    (sql.lines().count().max(1), last.chars().count() + 1)
}

/// Takes ` at Line: 1, Column: 8` off the end of a parser's message.
fn split_position(text: &str) -> (&str, Option<(usize, usize)>) {
    let Some((message, position)) = text.rsplit_once(" at Line: ") else { return (text, None) };
    let mut numbers = position.split(", Column: ").map(|number| number.trim().parse::<usize>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => (message, Some((line, column))),
        _ => (text, None),
    }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// Shows where a name first stands in the SQL, if it does.
pub(crate) fn caret_at(sql: &str, name: &str) -> Option<String> {
    let tokens = Tokenizer::new(&Duck, sql).tokenize_with_location().ok()?;
    let found = tokens.iter().find(|token| match &token.token {
        Token::Word(word) if word.quote_style.is_some() => word.value == name,
        Token::Word(word) => word.value.eq_ignore_ascii_case(name),
        _ => false,
    })?;
    let place = found.span.start;
    Some(caret(sql, usize::try_from(place.line).ok()?, usize::try_from(place.column).ok()?))
}

/// The line of the SQL that holds a position (both from 1), with a caret below the column.
pub(crate) fn caret(sql: &str, line: usize, column: usize) -> String {
    const BEFORE: usize = 60;
    const AFTER: usize = 40;
    let text: Vec<char> = sql.lines().nth(line.saturating_sub(1)).unwrap_or("").chars().collect();
    let position = column.saturating_sub(1).min(text.len());
    let start = position.saturating_sub(BEFORE);
    let end = (position + AFTER).min(text.len());
    let shown: String = text[start..end].iter().map(|c| if c.is_control() { ' ' } else { *c }).collect();
    let prefix = format!("LINE {line}: {}", if start > 0 { "…" } else { "" });
    let indent = prefix.chars().count() + position - start;
    format!("{prefix}{shown}{}\n{}^", if end < text.len() { "…" } else { "" }, " ".repeat(indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_select_is_a_model() {
        for sql in [
            "SELECT 1",
            "FROM 's3://b/k.csv'",
            "SELECT 1;",
            "WITH a AS (SELECT 1) SELECT * FROM a -- done",
            "VALUES (1)",
        ] {
            assert!(parse(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn what_is_not_one_select_is_refused() {
        for (sql, code) in [
            ("", "SQL-001"),
            ("SELECT FROM WHERE", "SQL-001"),
            ("SELECT 1; SELECT 2", "SQL-010"),
            ("COPY (SELECT 1) TO '/tmp/x'", "SQL-010"),
            ("CREATE TABLE t AS SELECT 1", "SQL-010"),
            ("INSERT INTO t VALUES (1)", "SQL-010"),
            ("SET memory_limit = '1GB'", "SQL-010"),
            ("SELECT 1 INTO t", "SQL-010"),
        ] {
            let error = parse(sql).expect_err(sql);
            assert_eq!(error.code().id, code, "{sql}: {error}");
        }
    }

    #[test]
    fn the_caret_stands_below_the_fault() {
        let error = parse("SELECT id\nFROM t WHERE )").unwrap_err();
        let excerpt = error.excerpt_text().unwrap();
        assert_eq!(excerpt, "LINE 2: FROM t WHERE )\n                     ^");
    }

    #[test]
    fn a_name_is_found_as_a_word_of_its_own() {
        let sql = "SELECT 'nmae' AS a, -- nmae\n  names, nmae FROM t";
        assert_eq!(caret_at(sql, "NMAE").unwrap(), "LINE 2:   names, nmae FROM t\n                 ^");
        assert_eq!(caret_at(sql, "absent"), None);
    }
}
