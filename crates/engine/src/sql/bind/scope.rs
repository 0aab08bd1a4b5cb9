//! What names mean at one place of a statement.
//! Not here: how relations come about (`from`), what expressions around names become (`expr`).
//! Called while expressions are bound.

use std::cell::Cell;
use std::rc::Rc;

use datafusion::common::DFSchemaRef;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Expr, Ident};
use tapline_core::{Error, Result, codes};

use super::ast;

/// A column that a FROM clause offers.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// The table as the statement names it.
    pub(super) table: String,
    pub(super) name: String,
    /// What stands for it in the planned statement.
    pub(super) expr: Expr,
    /// Whether `*` and names without a table find it: a column that USING merged into another is hidden.
    pub(super) visible: bool,
    /// What stands for it where USING merged it with another: either side may lack the row.
    pub(super) merged: Option<Expr>,
}

impl Column {
    /// What stands for the column where it is named without its table.
    pub(super) fn bare(&self) -> &Expr {
        self.merged.as_ref().unwrap_or(&self.expr)
    }
}

/// The columns of a FROM clause.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) columns: Vec<Column>,
    pub(super) plan: LogicalPlan,
    /// Whether something within an inner query has used a name of this one.
    pub(super) used: Rc<Cell<bool>>,
}

/// What a name was found to be.
pub(super) enum Found<'a> {
    Column(&'a Column),
    /// A whole row of a table.
    Row(Vec<&'a Column>),
    Nothing,
}

impl Scope {
    pub(super) fn schema(&self) -> &DFSchemaRef {
        self.plan.schema()
    }

    /// The columns that `*` stands for.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.visible)
    }

    /// The columns of one table.
    pub(super) fn of_table(&self, table: &str) -> Vec<&Column> {
        self.columns.iter().filter(|column| same(&column.table, table)).collect()
    }

    /// The column of that name.
    ///
    /// # Errors
    /// `SQL-002` where several tables have it.
    pub(super) fn find(&self, name: &Ident) -> Result<Found<'_>> {
        let found: Vec<&Column> = self.visible().filter(|column| same(&column.name, &name.value)).collect();
        let found = match found.iter().filter(|column| column.name == name.value).count() {
            1 => found.into_iter().filter(|column| column.name == name.value).collect(),
            _ => found,
        };
        match found.as_slice() {
            [] => {
                let row = self.of_table(&name.value);
                Ok(if row.is_empty() { Found::Nothing } else { Found::Row(row) })
            }
            [column] => Ok(Found::Column(column)),
            several => {
                let uses: Vec<String> =
                    several.iter().map(|column| format!("\"{}.{}\"", column.table, column.name)).collect();
                Err(Error::new(
                    codes::SQL_002,
                    format!("planning the SQL: ambiguous reference to column name \"{}\"", name.value),
                )
                .hint(format!("use one of {}", uses.join(", "))))
            }
        }
    }

    /// A table's column of that name.
    pub(super) fn find_in(&self, table: &str, name: &Ident) -> Option<&Column> {
        let columns = self.of_table(table);
        let exact = columns.iter().find(|column| column.name == name.value);
        exact.or_else(|| columns.iter().find(|column| same(&column.name, &name.value))).copied()
    }

    /// The position of `*` at which a column stands, from 1.
    pub(super) fn position(&self, wanted: &Column) -> Option<usize> {
        let found = self.visible().position(|column| column.table == wanted.table && column.name == wanted.name)?;
        Some(found + 1)
    }

    /// `#1`, `#2`, …: a column by its position.
    pub(super) fn at(&self, name: &str) -> Option<&Column> {
        let position: usize = name.strip_prefix('#')?.parse().ok()?;
        self.visible().nth(position.checked_sub(1)?)
    }
}

/// Whether two names are the same to DuckDB, which does not tell upper from lower case.
pub(super) fn same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// A whole row as a struct.
pub(super) fn row(columns: &[&Column]) -> Expr {
    let members = columns.iter().flat_map(|column| [ast::string(&column.name), column.expr.clone()]);
    ast::call("struct_pack", members.collect())
}

/// That a column does not exist, with those that do.
pub(super) fn unknown_column(name: &str, scopes: &[&Scope], aliases: &[String]) -> Error {
    let mut candidates: Vec<String> =
        scopes.iter().flat_map(|scope| scope.visible().map(|column| column.name.clone())).collect();
    candidates.extend(aliases.iter().cloned());
    crate::sql::errors::column_not_found("planning the SQL", name, candidates)
}
