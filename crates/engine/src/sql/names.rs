//! Names as DuckDB sees them: any spelling finds a column, output columns are called as DuckDB calls them.
//! Not here: file references, which are tables by now.
//! Called by the session between parsing and planning.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Cte, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart, Query, Select,
    SelectFlavor, SelectItem, TableFactor, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

/// Rewrites a statement whose file references have become tables: `FROM t` gets its `SELECT *`, identifiers get the
/// spelling they were defined with, and expressions without alias get DuckDB's names.
pub fn apply(query: &mut Query, tables: &HashMap<String, SchemaRef>) {
    let mut definitions = Definitions { spellings: Spellings::default(), tables, aliases: HashMap::new() };
    for schema in tables.values() {
        for field in schema.fields() {
            definitions.spellings.define(field.name());
        }
    }
    let _: ControlFlow<()> = query.visit(&mut definitions);
    let Definitions { spellings, aliases, .. } = definitions;
    let _: ControlFlow<()> = query.visit(&mut Rewriter { spellings, aliases });
}

/// The spellings of every name that the statement defines, by their lower case.
#[derive(Default)]
struct Spellings {
    exact: HashSet<String>,
    first: HashMap<String, String>,
}

impl Spellings {
    fn define(&mut self, name: &str) {
        self.exact.insert(name.to_owned());
        self.first.entry(name.to_lowercase()).or_insert_with(|| name.to_owned());
    }

    fn correct(&self, identifier: &mut Ident) {
        if self.exact.contains(&identifier.value) {
            return;
        }
        if let Some(spelling) = self.first.get(&identifier.value.to_lowercase()) {
            identifier.value.clone_from(spelling);
        }
    }
}

/// First pass: which names are defined, and which alias stands for which table.
struct Definitions<'a> {
    spellings: Spellings,
    tables: &'a HashMap<String, SchemaRef>,
    aliases: HashMap<String, SchemaRef>,
}

impl VisitorMut for Definitions<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for Cte { alias, .. } in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.spellings.define(&alias.name.value);
            for column in &alias.columns {
                self.spellings.define(&column.name.value);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.flavor == SelectFlavor::FromFirstNoSelect {
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
            select.flavor = SelectFlavor::Standard;
        }
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && let Some(name) = output_name(expr)
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) };
            }
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.spellings.define(&alias.value);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let alias = match factor {
            TableFactor::Table { name, alias, .. } => {
                if let ([ObjectNamePart::Identifier(table)], Some(alias)) = (name.0.as_slice(), &alias)
                    && let Some(schema) = self.tables.get(&table.value)
                {
                    self.aliases.insert(alias.name.value.to_lowercase(), schema.clone());
                }
                alias
            }
            TableFactor::Derived { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. } => alias,
            _ => return ControlFlow::Continue(()),
        };
        if let Some(alias) = alias {
            self.spellings.define(&alias.name.value);
            for column in &alias.columns {
                self.spellings.define(&column.name.value);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Second pass: every use of a name gets the spelling of its definition.
struct Rewriter {
    spellings: Spellings,
    aliases: HashMap<String, SchemaRef>,
}

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, .. } = factor
            && let [ObjectNamePart::Identifier(table)] = name.0.as_mut_slice()
        {
            self.spellings.correct(table);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            let (SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options)) = item else { continue };
            correct_wildcard(&self.spellings, options);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(identifier) => self.spellings.correct(identifier),
            Expr::CompoundIdentifier(parts) => {
                let schema = match parts.as_slice() {
                    [qualifier, _, ..] => self.aliases.get(&qualifier.value.to_lowercase()).cloned(),
                    _ => None,
                };
                for (index, part) in parts.iter_mut().enumerate() {
                    match &schema {
                        Some(schema) if index == 1 => correct_in(schema, part),
                        _ => self.spellings.correct(part),
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn correct_wildcard(spellings: &Spellings, options: &mut WildcardAdditionalOptions) {
    use datafusion::sql::sqlparser::ast::{ExcludeSelectItem, RenameSelectItem};
    let correct = |name: &mut datafusion::sql::sqlparser::ast::ObjectName| {
        for part in &mut name.0 {
            if let ObjectNamePart::Identifier(identifier) = part {
                spellings.correct(identifier);
            }
        }
    };
    match &mut options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => correct(name),
        Some(ExcludeSelectItem::Multiple(names)) => names.iter_mut().for_each(correct),
        None => {}
    }
    for element in options.opt_replace.iter_mut().flat_map(|replace| &mut replace.items) {
        spellings.correct(&mut element.column_name);
    }
    match &mut options.opt_rename {
        Some(RenameSelectItem::Single(rename)) => spellings.correct(&mut rename.ident),
        Some(RenameSelectItem::Multiple(renames)) => {
            renames.iter_mut().for_each(|rename| spellings.correct(&mut rename.ident));
        }
        None => {}
    }
}

fn correct_in(schema: &SchemaRef, identifier: &mut Ident) {
    if schema.field_with_name(&identifier.value).is_ok() {
        return;
    }
    if let Some(field) = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(&identifier.value)) {
        identifier.value.clone_from(field.name());
    }
}

/// What DuckDB calls the column of an expression without alias; `None` where the plain column name serves.
fn output_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => None,
        Expr::Function(function) if is_unnest(&function.name.to_string()) => None,
        other => Some(name_of(other)),
    }
}

fn is_unnest(name: &str) -> bool {
    name.eq_ignore_ascii_case("unnest") || name.eq_ignore_ascii_case("columns")
}

fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(identifier) => identifier.value.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |part| part.value.clone()),
        Expr::Nested(inner) => name_of(inner),
        Expr::BinaryOp { left, op, right } => {
            let op = match op {
                BinaryOperator::And => "AND".to_owned(),
                BinaryOperator::Or => "OR".to_owned(),
                other => other.to_string(),
            };
            format!("({} {op} {})", name_of(left), name_of(right))
        }
        Expr::Cast { expr, data_type, .. } => {
            format!("CAST({} AS {})", name_of(expr), data_type.to_string().to_uppercase())
        }
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            let FunctionArguments::List(list) = &function.args else { return format!("{name}()") };
            if name == "count" && matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] | [])
            {
                return "count_star()".to_owned();
            }
            let arguments: Vec<String> = list
                .args
                .iter()
                .map(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => name_of(expr),
                    other => other.to_string(),
                })
                .collect();
            let distinct = if list.duplicate_treatment.is_some() { "DISTINCT " } else { "" };
            let over = function.over.as_ref().map_or_else(String::new, |over| format!(" OVER {over}"));
            format!("{name}({distinct}{}){over}", arguments.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::sql::parse::parse;

    fn rewritten(sql: &str) -> String {
        let columns = ["Lead Id", "Email", "id"].map(|name| Field::new(name, DataType::Utf8, true));
        let tables = HashMap::from([("t".to_owned(), Arc::new(Schema::new(columns.to_vec())) as SchemaRef)]);
        let mut query = parse(sql).unwrap();
        apply(&mut query, &tables);
        query.to_string()
    }

    #[test]
    fn any_spelling_finds_a_column() {
        assert_eq!(
            rewritten("SELECT email, \"LEAD ID\", x.ID FROM t AS x"),
            "SELECT Email, \"Lead Id\", x.id FROM t AS x"
        );
    }

    #[test]
    fn a_bare_from_selects_everything() {
        assert_eq!(rewritten("FROM t WHERE EMAIL = 'a'"), "SELECT * FROM t WHERE Email = 'a'");
    }

    #[test]
    fn expressions_are_named_as_duckdb_names_them() {
        assert_eq!(
            rewritten("SELECT count(*), MAX(id), id + 1 FROM t"),
            "SELECT count(*) AS \"count_star()\", MAX(id) AS \"max(id)\", id + 1 AS \"(id + 1)\" FROM t"
        );
    }
}
