//! `tapline destinations [KIND]`: the kinds of destinations, and the keys of each, made from the config structs.
//! Not here: how a schema becomes a list of keys (`reference`).
//! Called by the dispatcher in `commands`; its Markdown are the reference pages.

use schemars::SchemaGenerator;
use serde_json::{Value, json};
use tapline_core::ErasedConnector;

use crate::cli::{Destinations, ReferenceFormat};
use crate::errors::{Failure, nearest, usage};
use crate::exit::Exit;
use crate::human;
use crate::reference;
use crate::terminal::{self, Paint};

/// Prints the list, or the keys of one kind.
pub fn run(arguments: &Destinations) -> Result<Exit, Failure> {
    let connectors = tapline_destinations::connectors();
    let Some(kind) = &arguments.kind else {
        match arguments.format {
            ReferenceFormat::Text => terminal::print(&list(&connectors))?,
            ReferenceFormat::Json => terminal::print_json(
                &connectors.iter().map(|connector| summary(connector.as_ref())).collect::<Vec<_>>(),
            )?,
            ReferenceFormat::Markdown => terminal::print(&index(&connectors))?,
        }
        return Ok(Exit::Done);
    };
    let Some(connector) = connectors.iter().find(|connector| connector.name() == kind) else {
        let names = || connectors.iter().map(|connector| connector.name());
        let error = usage(format!("there is no kind of destination `{kind}`"));
        let error = match nearest(kind, names()).next() {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        };
        return Err(error.hint(format!("valid: {}", names().collect::<Vec<_>>().join(", "))).into());
    };
    let connector = connector.as_ref();
    match arguments.format {
        ReferenceFormat::Text => terminal::print(&one(connector, Paint::stdout()))?,
        ReferenceFormat::Json => {
            let mut document = summary(connector);
            document["schema"] = schema(connector);
            terminal::print_json(&document)?;
        }
        ReferenceFormat::Markdown => terminal::print(&page(connector))?,
    }
    Ok(Exit::Done)
}

fn schema(connector: &dyn ErasedConnector) -> Value {
    let mut generator = SchemaGenerator::default();
    let schema = connector.schema(&mut generator);
    reference::with_definitions(schema, generator.take_definitions(true))
}

fn summary(connector: &dyn ErasedConnector) -> Value {
    let can = connector.capabilities();
    json!({
        "kind": connector.name(),
        "summary": connector.summary(),
        "maturity": connector.maturity(),
        "tested_against": connector.tested_against(),
        "exactly_once": can.transactional,
        "deletes": can.deletes,
        "full_refresh": can.full_refresh,
    })
}

fn list(connectors: &[Box<dyn ErasedConnector>]) -> String {
    let row = |connector: &dyn ErasedConnector| {
        [connector.name(), connector.maturity().as_str(), connector.summary()].map(str::to_owned).to_vec()
    };
    human::columns(&connectors.iter().map(|connector| row(connector.as_ref())).collect::<Vec<_>>(), &[])
}

/// How far a kind has come, in words.
fn standing(connector: &dyn ErasedConnector) -> String {
    format!("Maturity: {}. Tested against {}.", connector.maturity().as_str(), connector.tested_against())
}

/// What a kind can do, in words.
fn abilities(connector: &dyn ErasedConnector) -> String {
    let can = connector.capabilities();
    let delivery = if can.transactional {
        "A run becomes visible in one step, and every row is delivered exactly once."
    } else {
        "Rows are delivered at least once, by key: those on their way when a process is killed are sent again."
    };
    let yes_or_no = |ability| if ability { "yes" } else { "no" };
    format!("{delivery} Full refresh: {}. Deletes: {}.", yes_or_no(can.full_refresh), yes_or_no(can.deletes))
}

fn one(connector: &dyn ErasedConnector, paint: Paint) -> String {
    let mut text = format!(
        "{}: {}\n{}\n{}\n\n",
        paint.strong(connector.name()),
        connector.summary(),
        abilities(connector),
        standing(connector)
    );
    for key in reference::keys(&schema(connector)) {
        let default = match &key.default {
            _ if key.required => ", required".to_owned(),
            Some(default) => format!(", default {default}"),
            None => String::new(),
        };
        text.push_str(&format!(
            "  {}  {}\n",
            paint.strong(&key.name),
            paint.faint(format_args!("{}{default}", key.takes))
        ));
        if !key.description.is_empty() {
            text.push_str(&format!("      {}\n", key.description));
        }
    }
    text
}

const GENERATED: &str = "<!-- Made by `cargo xtask generate` from the config structs; do not edit. -->";

/// The page that lists all kinds; `cargo xtask generate` reads its links.
fn index(connectors: &[Box<dyn ErasedConnector>]) -> String {
    let mut text = format!("{GENERATED}\n\n# Destinations\n\n| kind | what it is | maturity |\n|---|---|---|\n");
    for connector in connectors {
        let (name, summary, maturity) = (connector.name(), connector.summary(), connector.maturity().as_str());
        text.push_str(&format!("| [{name}](destinations/{name}.md) | {summary} | {maturity} |\n"));
    }
    text.push_str(
        "\n`alpha`: it works where it was tried, and its settings may still change. `beta`: it keeps the whole \
         [contract](../destination-spec.md) against the real thing. `stable`: it has proved itself in daily use.\n",
    );
    text
}

/// The reference page of one kind.
fn page(connector: &dyn ErasedConnector) -> String {
    let schema = schema(connector);
    let description = schema["description"].as_str().unwrap_or_default().trim();
    let table = reference::markdown_table(&reference::keys(&schema));
    let name = connector.name();
    format!(
        "{GENERATED}\n\n# Destination `{name}`\n\n{description}\n\n{}\n\n{}\n\n## Settings\n\nBeside `type: {name}`:\n\n{table}",
        abilities(connector),
        standing(connector)
    )
}
