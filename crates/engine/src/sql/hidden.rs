//! Columns that a table of files has when they are named, but not among `*`: `filename` and `file_row_number`.
//! Not here: the columns themselves (`table`).
//! Called by the session before tables are described, and again before the statement is planned.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableFactor, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use super::reader_options::{FILE_ROW_NUMBER, FILENAME};

/// The columns of that kind that a statement names anywhere.
pub(crate) fn named(query: &mut Query) -> Vec<&'static str> {
    let mut names = Names(Vec::new());
    let _: ControlFlow<()> = query.visit(&mut names);
    names.0
}

struct Names(Vec<&'static str>);

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let name = match expr {
            Expr::Identifier(name) => Some(&*name),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        let known = name.and_then(|name| {
            [FILENAME, FILE_ROW_NUMBER].into_iter().find(|known| name.value.eq_ignore_ascii_case(known))
        });
        if let Some(known) = known.filter(|known| !self.0.contains(known)) {
            self.0.push(known);
        }
        ControlFlow::Continue(())
    }
}

/// Takes the columns out of every `*`; `hidden` has those of each table by its name.
pub(crate) fn hide(query: &mut Query, hidden: &HashMap<&str, &[&'static str]>) {
    if hidden.values().any(|columns| !columns.is_empty()) {
        let _: ControlFlow<()> = query.visit(&mut Hider { hidden });
    }
}

struct Hider<'a> {
    hidden: &'a HashMap<&'a str, &'a [&'static str]>,
}

impl VisitorMut for Hider<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut tables = Vec::new();
        for from in &select.from {
            self.collect(&from.relation, &mut tables);
            from.joins.iter().for_each(|join| self.collect(&join.relation, &mut tables));
        }
        for item in &mut select.projection {
            match item {
                SelectItem::Wildcard(options) => {
                    tables.iter().for_each(|(_, columns)| exclude(options, columns));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let Some(ObjectNamePart::Identifier(name)) = name.0.last() else { continue };
                    let of_that_name = tables.iter().filter(|(table, _)| table.eq_ignore_ascii_case(&name.value));
                    of_that_name.for_each(|(_, columns)| exclude(options, columns));
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

impl<'a> Hider<'a> {
    /// The tables of a FROM that hide columns, by the names that qualify their columns.
    fn collect(&self, factor: &TableFactor, tables: &mut Vec<(String, &'a [&'static str])>) {
        match factor {
            TableFactor::Table { name, alias, .. } => {
                let Some(ObjectNamePart::Identifier(table)) = name.0.last() else { return };
                let Some(columns) = self.hidden.get(table.value.as_str()) else { return };
                let name = alias.as_ref().map_or(&table.value, |alias| &alias.name.value);
                tables.push((name.clone(), columns));
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.collect(&table_with_joins.relation, tables);
                table_with_joins.joins.iter().for_each(|join| self.collect(&join.relation, tables));
            }
            _ => {}
        }
    }
}

fn exclude(options: &mut WildcardAdditionalOptions, columns: &[&str]) {
    let mut names = match options.opt_exclude.take() {
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        Some(ExcludeSelectItem::Multiple(names)) => names,
        None => Vec::new(),
    };
    for column in columns {
        let is_there = names
            .iter()
            .any(|name| matches!(name.0.last(), Some(ObjectNamePart::Identifier(own)) if own.value == *column));
        if !is_there {
            names.push(ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', *column))]));
        }
    }
    options.opt_exclude = (!names.is_empty()).then_some(ExcludeSelectItem::Multiple(names));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::parse;

    fn hidden(sql: &str) -> (Vec<&'static str>, String) {
        let mut query = parse(sql).unwrap();
        let names = named(&mut query);
        hide(&mut query, &HashMap::from([("f", [FILENAME].as_slice()), ("g", &[])]));
        (names, query.to_string())
    }

    #[test]
    fn a_column_that_is_named_is_there_but_not_in_stars() {
        let (names, sql) = hidden("SELECT *, FileName FROM f AS x JOIN g ON x.file_row_number = g.id");
        assert_eq!(names, [FILENAME, FILE_ROW_NUMBER]);
        assert!(sql.starts_with("SELECT * EXCLUDE (\"filename\"), FileName FROM f"), "{sql}");
        let (names, sql) = hidden("SELECT g.*, x.* EXCLUDE (id) FROM (f AS x JOIN g ON true)");
        assert_eq!(names, Vec::<&str>::new());
        assert!(sql.contains("SELECT g.*, x.* EXCLUDE (id, \"filename\") FROM"), "{sql}");
    }
}
