//! A lake of many small tables, each with its own difficulty: discovered, queried, synced, and compared with what the
//! destination then holds.
//! Not here: whether the queries' answers are right, which the engine's conformance tests say.

use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Database, World, skip};

/// Kinds that PostgreSQL is asked to show as JSON.
fn is_nested(kind: &str) -> bool {
    kind.ends_with(']') || ["STRUCT", "MAP", "JSON"].iter().any(|begin| kind.starts_with(begin))
}

fn files() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance/queries/lake"));
    folder.is_dir().then_some(folder)
}

struct Stream {
    path: String,
    columns: Vec<(String, String)>,
}

#[test]
fn every_table_arrives_value_by_value() {
    let Some(folder) = files() else { return skip(1, "the conformance material is not there") };
    let Some(database) = Database::create() else { return skip(1, "TAPLINE_TEST_POSTGRES_URL is not set") };
    let world = World::new();
    let uploaded = world.endpoint.upload_dir("lake", "lake", &folder).unwrap();
    let source = world.source().replace("type: s3,", "type: s3, path: lake, file_type: any,");
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
    let streams = discover(&world, uploaded as u64);
    assert!(streams.len() > 25, "{} streams", streams.len());

    let mut project = format!("version: 1\nsources: {{ lake: {source} }}\n");
    project.push_str(&format!("destinations: {{ target: {{ type: postgres, url: \"{}\" }} }}\n", database.url()));
    let (mut models, mut syncs) = ("models:\n".to_owned(), "syncs:\n".to_owned());
    for (index, stream) in streams.iter().enumerate() {
        models.push_str(&format!("  t{index}: {{ source: lake, sql: \"SELECT * FROM '{}'\" }}\n", stream.path));
        syncs.push_str(&format!(
            "  t{index}: {{ model: t{index}, destination: target, stream: public.t{index}, mode: full_refresh }}\n"
        ));
    }
    world.write("tapline.yaml", &(project + &models + &syncs));
    let outcome = world.tapline(&["sync", "--all", "--format", "json"]);
    let reports = outcome.ndjson();
    assert_eq!(reports.len(), streams.len(), "{outcome}");

    let mut wrong = Vec::new();
    for (index, stream) in streams.iter().enumerate() {
        let report = &reports[index];
        let query =
            world.tapline(&["query", "lake", &format!("SELECT * FROM '{}'", stream.path), "--format", "ndjson"]);
        // Lines that cannot be read are counted alike, and nothing else goes wrong.
        let rejected = report["source_rows"]["rejected"].as_u64().unwrap();
        let (code, status) = if rejected == 0 { (0, "succeeded") } else { (3, "partial") };
        if query.code != Some(code) || report["status"] != status || report["rows"]["rejected"] != 0 {
            wrong.push(format!("{}: {report}\n{}", stream.path, query.stderr));
            continue;
        }
        let expected = sorted(query.ndjson().iter().map(|row| stream.of_query(row)));
        let found = sorted(database.rows(&stream.select(index)).into_iter().map(|row| stream.of_postgres(row)));
        assert_eq!(report["rows"]["inserted"], expected.len() as u64, "{}", stream.path);
        if let Some((found, expected)) = found.iter().zip(&expected).find(|(found, expected)| found != expected) {
            wrong.push(format!("{}:\n  found    {found:?}\n  expected {expected:?}", stream.path));
        } else if found.len() != expected.len() {
            wrong.push(format!("{}: {} rows of {}", stream.path, found.len(), expected.len()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} tables:\n{}", wrong.len(), streams.len(), wrong.join("\n"));
}

/// The streams of the source, of which every file is part of one.
fn discover(world: &World, files: u64) -> Vec<Stream> {
    let document = world.tapline(&["discover", "lake", "--format", "json"]).exits(0).json();
    let streams = document["streams"].as_array().unwrap();
    let unreadable: Vec<&Value> =
        streams.iter().filter(|stream| stream.get("error").is_some_and(|error| !error.is_null())).collect();
    assert!(unreadable.is_empty(), "{unreadable:#?}");
    assert_eq!(streams.iter().map(|stream| stream["files"].as_u64().unwrap()).sum::<u64>(), files, "{document:#}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let stream = |stream: &Value| Stream {
        path: text(&stream["path"]),
        columns: stream["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| (text(&column["name"]), text(&column["type"])))
            .collect(),
    };
    streams.iter().map(stream).collect()
}

fn sorted(rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

impl Stream {
    fn select(&self, index: usize) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, kind)| {
                let name = format!("\"{}\"", name.replace('"', "\"\""));
                if is_nested(kind) { format!("to_jsonb({name})") } else { name }
            })
            .collect();
        format!("SELECT {} FROM t{index}", columns.join(", "))
    }

    /// A row that `query` printed, in one form for all.
    fn of_query(&self, row: &Value) -> Vec<String> {
        let row = row.as_object().unwrap();
        assert!(row.keys().eq(self.columns.iter().map(|(name, _)| name)), "{}: {row:?}", self.path);
        let form = |(name, kind): &(String, String)| match &row[name] {
            Value::Null => "NULL".to_owned(),
            value if is_nested(kind) => nested(value),
            Value::String(text) => scalar(kind, text),
            other => scalar(kind, &other.to_string()),
        };
        self.columns.iter().map(form).collect()
    }

    /// A row that PostgreSQL printed, in the same form.
    fn of_postgres(&self, row: Vec<Option<String>>) -> Vec<String> {
        let form = |(text, (_, kind)): (Option<String>, &(String, String))| match text {
            None => "NULL".to_owned(),
            Some(text) if is_nested(kind) => nested(&serde_json::from_str(&text).unwrap()),
            Some(text) if kind == "BLOB" => text,
            Some(text) => scalar(kind, &text),
        };
        row.into_iter().zip(&self.columns).map(form).collect()
    }
}

/// A value that is not nested: what both programs print alike is left as it is.
fn scalar(kind: &str, text: &str) -> String {
    match kind {
        "BOOLEAN" => text.starts_with('t').to_string(),
        "DOUBLE" => format!("{:?}", text.parse::<f64>().unwrap()),
        "FLOAT" => format!("{:?}", text.parse::<f32>().unwrap()),
        "BLOB" => bytea(text),
        "INTERVAL" => text.replace("mons", "months").replace("mon ", "month "),
        _ => text.to_owned(),
    }
}

/// PostgreSQL's form of bytes from DuckDB's, in which only some are escaped as `\xNN`.
fn bytea(text: &str) -> String {
    let mut hex = String::from("\\x");
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(escaped) = rest.strip_prefix("\\x") {
            hex.push_str(&escaped[..2].to_lowercase());
            rest = &escaped[2..];
        } else {
            hex.push_str(&format!("{:02x}", u32::from(letter)));
            rest = &rest[letter.len_utf8()..];
        }
    }
    hex
}

/// A nested value: numbers by what they are worth, members in the order of their names.
fn nested(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:?}", number.as_f64().unwrap()),
        Value::Array(items) => format!("[{}]", items.iter().map(nested).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let mut members: Vec<String> =
                members.iter().map(|(name, value)| format!("{name:?}:{}", nested(value))).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}
