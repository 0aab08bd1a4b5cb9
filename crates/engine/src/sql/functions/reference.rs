//! Which of DuckDB's functions there are here, for the reference.
//! Not here: how the reference is printed.
//! Called by the command line.

use std::collections::BTreeMap;

use super::families;

/// Names of DuckDB 1.5.5's functions, and what kind of name each is.
const NAMES: &str = include_str!("duckdb_names.tsv");

/// Whether a function is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Support {
    /// It is, with DuckDB's answers.
    Supported,
    /// It is not.
    Missing,
    /// It never will be: it reads or changes what is outside the statement.
    Refused,
}

/// A name of a function of DuckDB's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionEntry {
    /// The name.
    pub name: &'static str,
    /// The family under which the reference lists it.
    pub family: &'static str,
    /// Whether it is here.
    pub support: Support,
    /// What it does, where it is here.
    pub about: &'static str,
}

/// DuckDB's functions by family; operators and internal ones are left out.
pub fn function_reference() -> Vec<FunctionEntry> {
    let mut known = BTreeMap::new();
    for (family, functions) in families() {
        for function in functions {
            for name in function.names {
                known.insert(*name, (family, function.about));
            }
        }
    }
    NAMES
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(_, kind)| !matches!(*kind, "internal" | "operator"))
        .map(|(name, kind)| match (known.get(name), kind) {
            (Some((family, about)), _) => FunctionEntry { name, family, support: Support::Supported, about },
            (None, "refused") => FunctionEntry { name, family: "session", support: Support::Refused, about: "" },
            (None, "catalog") => FunctionEntry { name, family: "catalog", support: Support::Missing, about: "" },
            (None, _) => FunctionEntry { name, family: "others", support: Support::Missing, about: "" },
        })
        .collect()
}
