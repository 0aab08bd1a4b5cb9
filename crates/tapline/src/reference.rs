//! The keys of a config struct, read out of its JSON Schema: as a table for a terminal, as Markdown for the documentation.
//! Not here: the structs, which stand beside each connector.
//! Called by `tapline destinations`.

use serde_json::{Map, Value};

/// One key of the settings.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name; keys of nested settings are joined by dots.
    pub name: String,
    /// What it takes, in words.
    pub takes: String,
    /// Whether it must be given.
    pub required: bool,
    /// The value that holds without it, as it would be written.
    pub default: Option<String>,
    /// What it is for.
    pub description: String,
}

/// The keys of an object schema whose definitions stand under `$defs`.
pub fn keys(schema: &Value) -> Vec<Key> {
    let mut keys = Vec::new();
    collect(schema, &[schema], "", &mut keys);
    keys
}

/// Adds the keys of the last of `path`, which is a way from the outermost settings inwards.
fn collect(root: &Value, path: &[&Value], prefix: &str, keys: &mut Vec<Key>) {
    let Some(object) = path.last() else { return };
    let required = object["required"].as_array().cloned().unwrap_or_default();
    let Some(properties) = object["properties"].as_object() else { return };
    for (name, property) in properties {
        let resolved = resolve(root, property);
        let default = property.get("default").or_else(|| resolved.get("default")).filter(|value| !value.is_null());
        let description = property["description"].as_str().or_else(|| resolved["description"].as_str());
        keys.push(Key {
            name: format!("{prefix}{name}"),
            takes: takes(root, property),
            required: required.iter().any(|key| key == name),
            default: default.map(written),
            description: description.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
        });
        // Settings may hold settings of their own kind, as a role's base identity does: once is enough.
        if resolved["properties"].is_object() && !path.iter().any(|outer| std::ptr::eq(*outer, resolved)) {
            collect(root, &[path, &[resolved]].concat(), &format!("{prefix}{name}."), keys);
        }
    }
}

/// Follows `$ref`, and passes over the `null` beside an optional value.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        return resolve(root, &root["$defs"][name]);
    }
    let beside_null = schema["anyOf"].as_array().and_then(|choices| {
        let mut others = choices.iter().filter(|choice| choice["type"] != "null");
        others.next().filter(|_| others.next().is_none())
    });
    beside_null.map_or(schema, |only| resolve(root, only))
}

/// What a value may be, in words: `text`, `whole number`, `one of a, b`, `list of text`, `secret`, `duration`.
fn takes(root: &Value, schema: &Value) -> String {
    let schema = resolve(root, schema);
    if let Some(constant) = schema.get("const") {
        return written(constant);
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().filter(|value| !value.is_null()).map(written).collect();
        return format!("one of {}", values.join(", "));
    }
    for combined in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[combined].as_array() {
            return either(root, choices);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        kind => kind.as_str(),
    };
    match kind {
        Some("string") if schema["format"] == "password" => "secret".to_owned(),
        Some("string") if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains("ms|s|m")) => {
            "duration".to_owned()
        }
        Some("string") => "text".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("number") => "number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => format!("list of {}", takes(root, &schema["items"])),
        Some("object") if schema["properties"].is_object() => "settings".to_owned(),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("names, each with {}", takes(root, &schema["additionalProperties"]))
        }
        _ => "value".to_owned(),
    }
}

/// Constants become one list; other choices are joined by `or`.
fn either(root: &Value, choices: &[Value]) -> String {
    let constants: Option<Vec<String>> = choices.iter().map(|choice| choice.get("const").map(written)).collect();
    if let Some(constants) = constants {
        return format!("one of {}", constants.join(", "));
    }
    let mut words: Vec<String> = Vec::new();
    for choice in choices.iter().filter(|choice| choice["type"] != "null") {
        let word = tagged(choice).unwrap_or_else(|| takes(root, choice));
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" or ")
}

/// Settings with a `type` of their own, by that type.
fn tagged(choice: &Value) -> Option<String> {
    let name = choice["properties"]["type"]["const"].as_str()?;
    Some(format!("{{ type: {name} }}"))
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A Markdown table of keys.
pub fn markdown_table(keys: &[Key]) -> String {
    let mut text = "| key | takes | default | meaning |\n|---|---|---|---|\n".to_owned();
    for key in keys {
        let default = match &key.default {
            _ if key.required => "required".to_owned(),
            Some(default) => format!("`{default}`"),
            None => String::new(),
        };
        let cells = [format!("`{}`", key.name), key.takes.clone(), default, key.description.clone()];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        text.push_str(&format!("| {} |\n", cells.join(" | ")).replace("|  |", "| |"));
    }
    text
}

/// The schema of a type without the definitions that others share: what [`keys`] reads.
pub fn with_definitions(schema: schemars::Schema, definitions: Map<String, Value>) -> Value {
    let mut schema = schema.to_value();
    if let Some(object) = schema.as_object_mut()
        && !definitions.is_empty()
    {
        object.insert("$defs".to_owned(), Value::Object(definitions));
    }
    schema
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, SchemaGenerator};
    use serde::Deserialize;
    use tapline_core::Secret;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code)]
    enum Compression {
        /// As it is.
        None,
        /// Smaller.
        Zstd,
    }

    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Tls {
        /// A certificate's file.
        certificate: Option<String>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Config {
        /// Where the server
        /// is.
        host: String,
        /// What it wants to hear.
        password: Option<Secret>,
        #[serde(default = "port")]
        port: u16,
        compression: Option<Compression>,
        tls: Option<Tls>,
        columns: Vec<String>,
    }

    fn port() -> u16 {
        5432
    }

    #[test]
    fn keys_say_what_they_take() {
        let mut generator = SchemaGenerator::default();
        let schema = Config::json_schema(&mut generator);
        let keys = keys(&with_definitions(schema, generator.take_definitions(true)));
        let told: Vec<(&str, &str, bool, Option<&str>)> = keys
            .iter()
            .map(|key| (key.name.as_str(), key.takes.as_str(), key.required, key.default.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("host", "text", true, None),
                ("password", "secret", false, None),
                ("port", "whole number", false, Some("5432")),
                ("compression", "one of none, zstd", false, None),
                ("tls", "settings", false, None),
                ("tls.certificate", "text", false, None),
                ("columns", "list of text", true, None),
            ]
        );
        assert_eq!(keys[0].description, "Where the server is.");
        let table = markdown_table(&keys[..3]);
        assert!(table.contains("| `host` | text | required | Where the server is. |\n"), "{table}");
        assert!(table.contains("| `port` | whole number | `5432` | |\n"), "{table}");
    }
}
