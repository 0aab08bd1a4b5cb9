//! `*`, `t.*` and `COLUMNS(…)`: one item of a list that stands for many.
//! Not here: the items that come of it, which are bound like any other.
//! Called for lists of SELECT, and for conditions and terms that hold COLUMNS.

use std::ops::ControlFlow;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, RenameSelectItem, Value, ValueWithSpan, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use tapline_core::{Error, Result, codes};

use super::expr::{Names, members, unsupported};
use super::scope::{Column, Scope, same, unknown_column};
use super::{Binder, Env, ast};
use crate::sql::syntax::UNPACK;

/// One column that an item stands for: an expression that is not bound yet, and its name.
#[derive(Debug, Clone)]
pub(super) struct Picked {
    pub(super) expr: Expr,
    pub(super) name: String,
    /// What the groups of COLUMNS's pattern fit in the column's name, to be used in an alias.
    pub(super) groups: Vec<String>,
}

impl Picked {
    pub(super) fn new(expr: Expr, name: String) -> Self {
        Self { expr, name, groups: Vec::new() }
    }

    /// An alias with the column's name for `\0` and the pattern's groups for `\1` and so on.
    pub(super) fn aliased(&self, alias: &str) -> String {
        let mut name = String::with_capacity(alias.len());
        let mut characters = alias.chars().peekable();
        while let Some(character) = characters.next() {
            match characters.peek().and_then(|next| next.to_digit(10)) {
                Some(group) if character == '\\' => {
                    characters.next();
                    match group as usize {
                        0 => name.push_str(&self.name),
                        group => name.push_str(self.groups.get(group - 1).map_or("", String::as_str)),
                    }
                }
                _ => name.push(character),
            }
        }
        name
    }
}

/// A column by its position, which is bound to just that column.
fn by_position(scope: &Scope, column: &Column) -> Expr {
    match scope.position(column) {
        Some(position) if column.visible => Expr::Identifier(Ident::new(format!("#{position}"))),
        _ => ast::column(&column.table, &column.name),
    }
}

impl Binder<'_> {
    /// What `*` or `t.*` stands for.
    pub(super) fn star(
        &self,
        table: Option<&ObjectName>,
        options: &WildcardAdditionalOptions,
        names: Names<'_>,
        env: &Env<'_>,
    ) -> Result<Vec<Picked>> {
        let scope = names.scope;
        let mut picked: Vec<Picked> = match table {
            None => {
                let all = scope.visible();
                all.map(|column| Picked::new(by_position(scope, column), column.name.clone())).collect()
            }
            Some(table) => self.qualified_star(table, names, env)?,
        };
        if picked.is_empty() && scope.columns.is_empty() {
            return Err(Error::new(codes::SQL_005, "planning the SQL: * needs a FROM clause"));
        }
        let missing = |name: &str| {
            let error = unknown_column(name, &[scope], &[]);
            Err(error)
        };
        let excluded: Vec<&ObjectName> = match &options.opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => vec![name],
            Some(ExcludeSelectItem::Multiple(names)) => names.iter().collect(),
            None => Vec::new(),
        };
        for name in excluded {
            let parts = identifiers(name);
            let Some(last) = parts.last() else { continue };
            let before = picked.len();
            let kept = |column: &Picked| match parts.as_slice() {
                [qualifier, _] => {
                    let own = scope.find_in(&qualifier.value, last);
                    own.is_none_or(|own| by_position(scope, own) != column.expr)
                }
                _ => !same(&column.name, &last.value),
            };
            picked.retain(kept);
            if picked.len() == before {
                return missing(&last.value);
            }
        }
        for element in options.opt_replace.iter().flat_map(|replace| &replace.items) {
            let Some(column) = picked.iter_mut().find(|column| same(&column.name, &element.column_name.value)) else {
                return missing(&element.column_name.value);
            };
            column.expr = element.expr.clone();
        }
        let renames = match &options.opt_rename {
            Some(RenameSelectItem::Single(rename)) => std::slice::from_ref(rename),
            Some(RenameSelectItem::Multiple(renames)) => renames.as_slice(),
            None => &[],
        };
        for rename in renames {
            let Some(column) = picked.iter_mut().find(|column| same(&column.name, &rename.ident.value)) else {
                return missing(&rename.ident.value);
            };
            column.name.clone_from(&rename.alias.value);
        }
        Ok(picked)
    }

    /// `t.*` of a table, or of a struct.
    fn qualified_star(&self, name: &ObjectName, names: Names<'_>, env: &Env<'_>) -> Result<Vec<Picked>> {
        let parts = identifiers(name);
        if let [table] = parts.as_slice() {
            let columns = names.scope.of_table(&table.value);
            if !columns.is_empty() {
                let own = |column: &Column| ast::column(&column.table, &column.name);
                return Ok(columns.into_iter().map(|column| Picked::new(own(column), column.name.clone())).collect());
            }
        }
        let parts: Vec<Ident> = parts.into_iter().cloned().collect();
        let value = match parts.as_slice() {
            [only] => Expr::Identifier(only.clone()),
            _ => Expr::CompoundIdentifier(parts),
        };
        self.struct_star(value, names, env)
    }

    /// The members of a struct.
    pub(super) fn struct_star(&self, value: Expr, names: Names<'_>, env: &Env<'_>) -> Result<Vec<Picked>> {
        let bound = self.expr(value.clone(), names, env)?;
        let field = self.field(bound, names.scope)?;
        let DataType::Struct(fields) = field.data_type() else {
            return Err(Error::new(codes::SQL_005, format!("planning the SQL: {value}.* needs a table or a struct")));
        };
        Ok(fields
            .iter()
            .map(|field| {
                let member = members(value.clone(), &[Ident::new(field.name().clone())]);
                Picked::new(member, field.name().clone())
            })
            .collect())
    }

    /// Expands what COLUMNS in an expression stands for; `None` where it holds none.
    pub(super) fn expanded(&self, expr: &Expr, names: Names<'_>, env: &Env<'_>) -> Result<Option<Vec<Picked>>> {
        let mut expr = expr.clone();
        self.unpack(&mut expr, names, env)?;
        let mut calls = Vec::new();
        let _: ControlFlow<()> = expr.visit(&mut Columns::Collect(&mut calls));
        let Some(first) = calls.first() else {
            // COLUMNS may have been unpacked into arguments.
            return Ok(None);
        };
        let chosen = self.chosen(first, names, env)?;
        for other in &calls[1..] {
            let also: Vec<String> = self.chosen(other, names, env)?.into_iter().map(|column| column.name).collect();
            if !also.iter().eq(chosen.iter().map(|column| &column.name)) {
                return Err(Error::new(
                    codes::SQL_005,
                    "planning the SQL: several COLUMNS in one expression must stand for the same columns",
                ));
            }
        }
        if chosen.is_empty() {
            return Err(Error::new(codes::SQL_002, format!("planning the SQL: {first} matches no column")).hint(
                format!(
                    "columns: {}",
                    names.scope.visible().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
                ),
            ));
        }
        Ok(Some(
            chosen
                .into_iter()
                .map(|column| {
                    let mut one = expr.clone();
                    let _: ControlFlow<()> = one.visit(&mut Columns::Replace(&column.expr));
                    Picked { expr: one, ..column }
                })
                .collect(),
        ))
    }

    /// `f(*COLUMNS(…))`: the columns become arguments.
    pub(super) fn unpack(&self, expr: &mut Expr, names: Names<'_>, env: &Env<'_>) -> Result<()> {
        let mut failed = None;
        let _: ControlFlow<()> = expr.visit(&mut Columns::Unpack(&mut |function: &Function| {
            self.chosen(function, names, env).unwrap_or_else(|error| {
                failed = Some(error);
                Vec::new()
            })
        }));
        failed.map_or(Ok(()), Err)
    }

    /// The columns that `COLUMNS(…)` stands for.
    fn chosen(&self, function: &Function, names: Names<'_>, env: &Env<'_>) -> Result<Vec<Picked>> {
        let FunctionArguments::List(list) = &function.args else { return Err(unsupported("COLUMNS without a list")) };
        let all = WildcardAdditionalOptions::default();
        let [argument] = list.args.as_slice() else {
            return Err(Error::new(codes::SQL_005, "planning the SQL: COLUMNS takes one argument"));
        };
        let argument = match argument {
            FunctionArg::Unnamed(argument) => argument,
            other => return Err(unsupported(&format!("COLUMNS({other})"))),
        };
        let expr = match argument {
            FunctionArgExpr::Wildcard => return self.star(None, &all, names, env),
            FunctionArgExpr::QualifiedWildcard(table) => return self.star(Some(table), &all, names, env),
            FunctionArgExpr::WildcardWithOptions(options) => return self.star(None, options, names, env),
            FunctionArgExpr::Expr(expr) => expr,
        };
        let everything = self.star(None, &all, names, env)?;
        match expr {
            Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(pattern), .. }) => {
                let regex = regex::Regex::new(pattern).map_err(|error| {
                    Error::new(codes::SQL_005, "planning the SQL: the pattern of COLUMNS is no regular expression")
                        .because(error)
                })?;
                let fitting = everything.into_iter().filter_map(|mut column| {
                    let captures = regex.captures(&column.name)?;
                    let group = |index| captures.get(index).map_or_else(String::new, |group| group.as_str().to_owned());
                    column.groups = (1..captures.len()).map(group).collect();
                    Some(column)
                });
                Ok(fitting.collect())
            }
            Expr::Lambda(lambda) => {
                let Some(parameter) = lambda.params.iter().next() else { return Err(unsupported("this lambda")) };
                let parameter = parameter.name.value.to_lowercase();
                let mut kept = Vec::new();
                for column in everything {
                    let mut body = lambda.body.as_ref().clone();
                    let _: ControlFlow<()> = body.visit(&mut Columns::Parameter(&parameter, ast::string(&column.name)));
                    if self.is_true(body, env)? {
                        kept.push(column);
                    }
                }
                Ok(kept)
            }
            Expr::Array(array) => array
                .elem
                .iter()
                .map(|element| match element {
                    Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(name), .. }) => everything
                        .iter()
                        .find(|column| same(&column.name, name))
                        .cloned()
                        .ok_or_else(|| unknown_column(name, &[names.scope], &[])),
                    Expr::Identifier(name) => Ok(Picked::new(element.clone(), name.value.clone())),
                    other => Err(unsupported(&format!("{other} in COLUMNS"))),
                })
                .collect(),
            Expr::Identifier(name) => Ok(vec![Picked::new(expr.clone(), name.value.clone())]),
            other => self.listed(other.clone(), &everything, env),
        }
    }

    /// The columns that a list of names has, in which `*` is the list of all names.
    fn listed(&self, mut list: Expr, everything: &[Picked], env: &Env<'_>) -> Result<Vec<Picked>> {
        let all = everything.iter().map(|column| ast::string(&column.name)).collect();
        let written = list.to_string();
        let _: ControlFlow<()> = list.visit(&mut Columns::Names(&ast::call("list_value", all)));
        let scope = self.empty_scope()?;
        let bound = self.expr(list, Names::of(&scope), env)?;
        let Some(chosen) = self.constant(bound)?.as_ref().and_then(texts) else {
            return Err(unsupported(&format!("COLUMNS({written})")));
        };
        chosen
            .iter()
            .map(|name| {
                let column = everything.iter().find(|column| same(&column.name, name));
                column.cloned().ok_or_else(|| {
                    Error::new(codes::SQL_002, format!("planning the SQL: there is no column \"{name}\""))
                })
            })
            .collect()
    }
}

/// The texts of a list.
fn texts(list: &ScalarValue) -> Option<Vec<String>> {
    let ScalarValue::List(list) = list else { return None };
    let texts = arrow::compute::cast(list.values(), &DataType::Utf8).ok()?;
    Some(texts.as_string::<i32>().iter().flatten().map(ToOwned::to_owned).collect())
}

/// Walks over the COLUMNS calls of an expression.
enum Columns<'a> {
    Collect(&'a mut Vec<Function>),
    Replace(&'a Expr),
    Unpack(&'a mut dyn FnMut(&Function) -> Vec<Picked>),
    Parameter(&'a str, Expr),
    /// The list of all columns' names in the place of `*`.
    Names(&'a Expr),
}

impl VisitorMut for Columns<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match (self, expr) {
            (Columns::Collect(calls), Expr::Function(function)) if ast::function_name(function) == "columns" => {
                calls.push(function.clone());
            }
            (Columns::Parameter(parameter, name), expr) => {
                if let Expr::Identifier(identifier) = expr
                    && same(&identifier.value, parameter)
                {
                    *expr = name.clone();
                }
            }
            (Columns::Names(names), Expr::Function(function)) => {
                if let FunctionArguments::List(list) = &mut function.args {
                    for argument in &mut list.args {
                        if let FunctionArg::Unnamed(argument @ FunctionArgExpr::Wildcard) = argument {
                            *argument = FunctionArgExpr::Expr((*names).clone());
                        }
                    }
                }
            }
            (Columns::Unpack(columns), Expr::Function(function)) => {
                if let FunctionArguments::List(list) = &mut function.args {
                    for index in (0..list.args.len()).rev() {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner))) = &list.args[index]
                            && ast::function_name(inner) == UNPACK
                            && let Some(Expr::Function(call)) = ast::arguments(inner).first()
                        {
                            let arguments = columns(call)
                                .into_iter()
                                .map(|column| FunctionArg::Unnamed(FunctionArgExpr::Expr(column.expr)))
                                .collect::<Vec<_>>();
                            list.args.splice(index..=index, arguments);
                        }
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let (Columns::Replace(column), Expr::Function(function)) = (&self, &*expr)
            && ast::function_name(function) == "columns"
        {
            *expr = (*column).clone();
        }
        ControlFlow::Continue(())
    }
}

fn identifiers(name: &ObjectName) -> Vec<&Ident> {
    name.0
        .iter()
        .filter_map(|part| match part {
            ObjectNamePart::Identifier(identifier) => Some(identifier),
            ObjectNamePart::Function(_) => None,
        })
        .collect()
}
