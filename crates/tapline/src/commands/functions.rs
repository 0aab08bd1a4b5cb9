//! `tapline functions`: DuckDB's functions by family, and which of them are here.
//! Not here: the functions, which the engine has.
//! Called by the dispatcher in `commands`; its Markdown is the reference documentation.

use std::collections::BTreeMap;

use serde_json::json;
use tapline_engine::{FunctionEntry, Support, function_reference};

use crate::cli::{Functions, ReferenceFormat};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::human;
use crate::terminal;

/// Prints the list.
pub fn run(arguments: &Functions) -> Result<Exit, Failure> {
    let entries = function_reference();
    match arguments.format {
        ReferenceFormat::Text => {
            let supported = entries.iter().filter(|entry| entry.support == Support::Supported);
            let rows: Vec<Vec<String>> =
                supported.map(|entry| vec![entry.name.to_owned(), entry.about.to_owned()]).collect();
            terminal::print(&human::columns(&rows, &[]))?;
        }
        ReferenceFormat::Json => {
            let entry = |entry: &FunctionEntry| json!({"name": entry.name, "family": entry.family, "support": word(entry.support), "about": entry.about});
            terminal::print_json(&entries.iter().map(entry).collect::<Vec<_>>())?;
        }
        ReferenceFormat::Markdown => terminal::print(&page(&entries))?,
    }
    Ok(Exit::Done)
}

fn word(support: Support) -> &'static str {
    match support {
        Support::Supported => "yes",
        Support::Missing => "no",
        Support::Refused => "refused",
    }
}

const GENERATED: &str =
    "<!-- Made by `tapline functions --format markdown` from the registry of functions; do not edit. -->";

/// The reference page of all functions.
fn page(entries: &[FunctionEntry]) -> String {
    let count = |support| entries.iter().filter(|entry| entry.support == support).count();
    let supported = count(Support::Supported);
    let mut text = format!(
        "{GENERATED}\n\n# Functions\n\nOf the {} names of functions that DuckDB 1.5.5 has, without operators, collations and \
         what is internal, {supported} are supported ({} %), {} are refused since they read or change what is outside the \
         statement, and {} are missing.\n",
        entries.len(),
        supported * 100 / entries.len().max(1),
        count(Support::Refused),
        count(Support::Missing),
    );
    let mut families: BTreeMap<&str, Vec<&FunctionEntry>> = BTreeMap::new();
    for entry in entries {
        families.entry(entry.family).or_default().push(entry);
    }
    for (family, entries) in families {
        text.push_str(&format!("\n## {family}\n\n| name | supported | what it gives |\n|---|---|---|\n"));
        for entry in entries {
            let row = format!("| `{}` | {} | {} |", entry.name, word(entry.support), entry.about.replace('|', "\\|"));
            text.push_str(&row.replace("|  |", "| |"));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_of_five_names_are_supported() {
        let entries = function_reference();
        let supported = entries.iter().filter(|entry| entry.support == Support::Supported).count();
        assert!(supported * 5 >= entries.len() * 4, "{supported} of {}", entries.len());
    }

    #[test]
    fn the_page_names_each_function_once() {
        let page = page(&function_reference());
        assert_eq!(page.matches("| `list_transform` | yes |").count(), 1);
        assert_eq!(page.matches("| `current_setting` | refused |").count(), 1);
    }
}
