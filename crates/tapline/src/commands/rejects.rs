//! `tapline rejects SYNC [--source]`: what was not delivered, or could not be read, and why.
//! Not here: how rejects are kept (the state store) and offered again (`retry`).
//! Called by the dispatcher in `commands`.

use serde::Serialize;
use serde_json::Value;
use tapline_core::{Reject, SourceReject};

use super::Context;
use crate::cli::Rejects;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::human;
use crate::terminal;
use crate::wiring::Wiring;

/// Prints the open rejects of a sync.
pub async fn run(arguments: &Rejects, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    wiring.sync(&arguments.sync)?;
    let state = wiring.existing_state().await?;
    let name = &arguments.sync;
    if arguments.source {
        let rejects = match state {
            Some(state) => state.source_rejects(name).await?,
            None => Vec::new(),
        };
        tell(&rejects, lines, arguments)?;
    } else {
        let rejects = match state {
            Some(state) => state.rejects(name).await?,
            None => Vec::new(),
        };
        tell(&rejects, rows, arguments)?;
    }
    Ok(Exit::Done)
}

fn tell<T: Serialize>(rejects: &[T], text: fn(&[T]) -> String, arguments: &Rejects) -> Result<(), Failure> {
    if arguments.report.is_json() {
        return terminal::print_json(&rejects);
    }
    if rejects.is_empty() {
        terminal::note("none");
        return Ok(());
    }
    terminal::print(&text(rejects))
}

/// A line per row: its key, why, how often it was offered, since when.
fn rows(rejects: &[Reject]) -> String {
    let heads = ["key", "code", "attempts", "first (UTC)", "last (UTC)", "reason"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(rejects.iter().map(|reject| {
        vec![
            key(&reject.key),
            reject.code.clone(),
            human::number(u64::from(reject.attempts)),
            human::time(reject.first_at),
            human::time(reject.last_at),
            reject.reason.clone(),
        ]
    }));
    human::columns(&rows, &[2])
}

/// A line per line: `s3://bucket/file.csv:17  reason`, which editors and terminals can open.
fn lines(rejects: &[SourceReject]) -> String {
    let rows: Vec<Vec<String>> = rejects
        .iter()
        .map(|reject| {
            let column = reject.column.as_ref().map(|column| format!("{column}: ")).unwrap_or_default();
            vec![format!("{}:{}", reject.file, reject.line), format!("{column}{}", reject.reason)]
        })
        .collect();
    human::columns(&rows, &[])
}

/// A key as people write it: `id=7`, `region=eu id=7`.
pub(super) fn key(key: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) if !text.is_empty() && !text.contains(char::is_whitespace) => text.clone(),
        other => other.to_string(),
    };
    match key {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join(" ")
        }
        other => text(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_names_its_columns() {
        assert_eq!(key(&json!({ "region": "eu", "id": 7, "name": "a b" })), r#"region=eu id=7 name="a b""#);
        assert_eq!(key(&Value::Null), "null");
    }

    #[test]
    fn an_unreadable_line_is_shown_where_it_stands() {
        let reject = SourceReject {
            file: "s3://lake/a.csv".to_owned(),
            line: 17,
            byte_offset: 400,
            column: None,
            reason: "2 fields where 3 are expected".to_owned(),
        };
        assert_eq!(lines(&[reject]), "s3://lake/a.csv:17  2 fields where 3 are expected\n");
    }
}
