//! The files a statement names: `FROM 's3://…'`, `FROM read_csv('s3://…', delim = ';')`, `FROM read_parquet([…])`.
//! Not here: whether they may be read and what is in them (`files`, `table`).
//! Called by the session, which registers a table for each reference and puts its name in the reference's place.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query,
    TableAlias, TableFactor, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
};
use serde_json::{Map, Value as Json};
use tapline_core::{Error, Result, codes};
use tapline_storage::FileFormat;

use super::footers::Footers;

/// A table made of files, as the SQL names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// URLs, paths, folders or patterns.
    pub patterns: Vec<String>,
    /// What the reader function says of the files' type.
    pub reader: Option<FileFormat>,
    /// The reader function's other arguments by name.
    pub options: Map<String, Json>,
    /// What is wanted of the files.
    pub wanted: Wanted,
}

/// What a statement wants of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Their rows.
    Rows,
    /// What is detected in the first of them: `sniff_csv`.
    Dialect,
    /// What the footers of Parquet files say.
    Footers(Footers),
}

/// Finds every file reference in a statement and puts a table name in its place: `name_of(reference)`.
///
/// A reference without an alias gets the file's stem, so that columns can be qualified with it as in DuckDB.
///
/// # Errors
/// An argument of a reader function that is no literal, and functions that read what is no table.
pub fn replace_references(query: &mut Query, mut name_of: impl FnMut(Reference) -> String) -> Result<()> {
    let mut replacer = Replacer { name_of: &mut name_of };
    // Statements are walked by recursion, however deep they are.
    match stacker::grow(STACK, || query.visit(&mut replacer)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The file references of a statement, each once.
///
/// # Errors
/// Those of [`replace_references`].
pub fn references(query: &mut Query) -> Result<Vec<Reference>> {
    let mut references: Vec<Reference> = Vec::new();
    replace_references(query, |reference| {
        if !references.contains(&reference) {
            references.push(reference);
        }
        String::new()
    })?;
    Ok(references)
}

/// The stack on which a statement is walked.
const STACK: usize = 64 << 20;

struct Replacer<'a> {
    name_of: &'a mut dyn FnMut(Reference) -> String,
}

impl VisitorMut for Replacer<'_> {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        match reference(factor) {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(reference)) => {
                let stem = stem(&reference);
                let table = (self.name_of)(reference);
                if let TableFactor::Table { name, alias, args, .. } = factor {
                    *name = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', table))]);
                    *args = None;
                    if let (None, Some(stem)) = (&alias, stem) {
                        *alias = Some(TableAlias {
                            explicit: true,
                            name: Ident::with_quote('"', stem),
                            columns: Vec::new(),
                            at: None,
                        });
                    }
                }
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn reference(factor: &TableFactor) -> Result<Option<Reference>> {
    let TableFactor::Table { name, args, .. } = factor else { return Ok(None) };
    let [ObjectNamePart::Identifier(identifier)] = name.0.as_slice() else { return Ok(None) };
    let Some(arguments) = args else {
        return Ok(is_file(identifier).then(|| Reference {
            patterns: vec![identifier.value.clone()],
            reader: None,
            options: Map::new(),
            wanted: Wanted::Rows,
        }));
    };
    let function = identifier.value.to_ascii_lowercase();
    let Some(format) = reader_format(&function) else {
        return match function.as_str() {
            "read_text" | "read_blob" | "glob" => Err(Error::new(
                codes::SQL_013,
                format!("{function}() is not available: a model reads tables from CSV and Parquet files"),
            )
            .hint("use read_csv('s3://…') or read_parquet('s3://…')")),
            _ => Ok(None),
        };
    };
    let mut patterns = None;
    let mut options = Map::new();
    for argument in &arguments.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) if patterns.is_none() => {
                // A named argument with `=` reaches here as a comparison in some positions.
                patterns = Some(strings(&function, literal(&function, expression)?)?);
            }
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expression), .. } => {
                options.insert(name.value.to_ascii_lowercase(), literal(&function, expression)?);
            }
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(expression), .. } => {
                options.insert(name.value.to_ascii_lowercase(), literal(&function, expression)?);
            }
            other => {
                return Err(Error::new(codes::SQL_005, format!("{function}() does not take the argument {other}")));
            }
        }
    }
    let patterns = patterns.ok_or_else(|| {
        Error::new(codes::SQL_005, format!("{function}() needs a file: {function}('s3://bucket/key')"))
    })?;
    let wanted = match Footers::of_function(&function) {
        Some(footers) => Wanted::Footers(footers),
        None if function == "sniff_csv" => Wanted::Dialect,
        None => Wanted::Rows,
    };
    Ok(Some(Reference { patterns, reader: Some(format), options, wanted }))
}

fn reader_format(function: &str) -> Option<FileFormat> {
    match function {
        "read_csv" | "read_csv_auto" | "sniff_csv" => Some(FileFormat::Csv),
        "read_parquet" | "parquet_scan" => Some(FileFormat::Parquet),
        function if Footers::of_function(function).is_some() => Some(FileFormat::Parquet),
        "read_json" | "read_json_auto" | "read_ndjson" | "read_ndjson_auto" | "read_ndjson_objects" => {
            Some(FileFormat::Ndjson)
        }
        _ => None,
    }
}

/// Whether a name in FROM is a file: single quotes say so, double quotes where it looks like a URL or path.
fn is_file(identifier: &Ident) -> bool {
    match identifier.quote_style {
        Some('\'') => true,
        Some(_) => identifier.value.contains('/') || has_suffix(&identifier.value),
        None => false,
    }
}

fn has_suffix(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = [".gz", ".zst", ".bz2", ".xz"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
    [".csv", ".tsv", ".txt", ".parquet", ".ndjson", ".jsonl", ".json"].iter().any(|suffix| name.ends_with(suffix))
}

/// The name by which columns of the table can be qualified: the last part of a single file's path, up to its first dot.
fn stem(reference: &Reference) -> Option<String> {
    let [pattern] = reference.patterns.as_slice() else { return None };
    let file = pattern.trim_end_matches('/').rsplit('/').next()?;
    // The query engine takes spaces around a qualifier for none.
    let stem = file.split('.').next()?.trim();
    let plain = !stem.is_empty() && !stem.contains(['*', '?', '[', '{']);
    plain.then(|| stem.to_owned())
}

fn strings(function: &str, value: Json) -> Result<Vec<String>> {
    let problem = || Error::new(codes::SQL_005, format!("{function}() needs a file name or a list of them"));
    match value {
        Json::String(text) => Ok(vec![text]),
        Json::Array(items) if !items.is_empty() => {
            items.into_iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(problem)).collect()
        }
        _ => Err(problem()),
    }
}

/// A literal of the SQL as JSON: strings, numbers, booleans, NULL, lists, structs and maps of them.
fn literal(function: &str, expression: &Expr) -> Result<Json> {
    let problem = || {
        Error::new(codes::SQL_005, format!("an argument of {function}() is not a literal: {expression}"))
            .hint("write it as a string, number, boolean, list or struct")
    };
    Ok(match expression {
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::Boolean(flag) => Json::Bool(*flag),
            Value::Null => Json::Null,
            Value::Number(text, _) => serde_json::from_str(text).map_err(|_| problem())?,
            other => Json::String(other.clone().into_string().ok_or_else(problem)?),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match literal(function, expr)? {
            Json::Number(number) => serde_json::from_str(&format!("-{number}")).map_err(|_| problem())?,
            _ => return Err(problem()),
        },
        Expr::Array(array) => {
            Json::Array(array.elem.iter().map(|item| literal(function, item)).collect::<Result<_>>()?)
        }
        Expr::Dictionary(fields) => Json::Object(
            fields
                .iter()
                .map(|field| Ok((field.key.value.clone(), literal(function, &field.value)?)))
                .collect::<Result<_>>()?,
        ),
        Expr::Function(call) => named_members(function, call)?.ok_or_else(problem)?,
        Expr::Nested(inner) => literal(function, inner)?,
        Expr::Identifier(word) => Json::String(word.value.clone()),
        _ => return Err(problem()),
    })
}

/// The members of `struct_pack(name := value, …)`; `None` for any other call.
fn named_members(function: &str, call: &Function) -> Result<Option<Json>> {
    let FunctionArguments::List(list) = &call.args else { return Ok(None) };
    if !call.name.to_string().eq_ignore_ascii_case("struct_pack") {
        return Ok(None);
    }
    let mut members = Map::new();
    for argument in &list.args {
        let (name, value) = match argument {
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => (name, value),
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(value), .. } => {
                (name, value)
            }
            _ => return Ok(None),
        };
        members.insert(name.value.clone(), literal(function, value)?);
    }
    Ok(Some(Json::Object(members)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::parse;

    fn references(sql: &str) -> (Vec<Reference>, String) {
        let mut query = parse(sql).unwrap();
        let mut found = Vec::new();
        replace_references(&mut query, |reference| {
            found.push(reference);
            format!("file_{}", found.len())
        })
        .unwrap();
        (found, query.to_string())
    }

    #[test]
    fn files_become_tables_named_after_their_stem() {
        let (found, sql) = references("SELECT a.x FROM 's3://b/a.csv' JOIN \"s3://b/c.parquet\" AS d ON a.x = d.x");
        assert_eq!(found[0].patterns, ["s3://b/a.csv"]);
        assert_eq!(found[1].patterns, ["s3://b/c.parquet"]);
        assert_eq!(sql, "SELECT a.x FROM \"file_1\" AS \"a\" JOIN \"file_2\" AS d ON a.x = d.x");
    }

    #[test]
    fn reader_functions_keep_their_options() {
        let (found, _) = references(
            "SELECT * FROM read_csv(['s3://b/a*.csv', 's3://b/c.csv'], delim = ';', header := true, skip=2, columns={'id': 'BIGINT'}, \
             types = struct_pack(id := 'BIGINT'))",
        );
        assert_eq!(found[0].reader, Some(FileFormat::Csv));
        assert_eq!(found[0].patterns.len(), 2);
        assert_eq!(
            Json::Object(found[0].options.clone()),
            serde_json::json!({"delim": ";", "header": true, "skip": 2, "columns": {"id": "BIGINT"}, "types": {"id": "BIGINT"}})
        );
    }

    #[test]
    fn structs_are_maps() {
        let (found, _) = references("FROM read_csv('a.csv', columns = STRUCT_PACK(b := 'INT', a := 'VARCHAR'))");
        assert_eq!(
            Json::Object(found[0].options.clone()),
            serde_json::json!({"columns": {"b": "INT", "a": "VARCHAR"}})
        );
        let (found, _) = references("FROM sniff_csv('a.csv')");
        assert_eq!(found[0].wanted, Wanted::Dialect);
    }

    #[test]
    fn references_in_ctes_subqueries_and_unions_are_found() {
        let (found, _) = references(
            "WITH t AS (FROM 's3://b/1.csv') SELECT *, (SELECT max(x) FROM 's3://b/2.csv') FROM t WHERE y IN (SELECT y FROM 's3://b/3.csv') UNION ALL SELECT * FROM 's3://b/4.csv'",
        );
        assert_eq!(found.len(), 4);
    }
}
