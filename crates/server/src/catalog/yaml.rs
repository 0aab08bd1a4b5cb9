//! Settings as YAML, as people write it.
//! Not here: reading YAML (`tapline_core::yaml`).
//! Called by `export`.

use serde_json::Value;

/// Appends the members of an object, indented by `depth` steps.
pub(super) fn members(object: &serde_json::Map<String, Value>, depth: usize, out: &mut String) {
    for (key, value) in object {
        indent(depth, out);
        out.push_str(&text(key));
        out.push(':');
        below(value, depth, out);
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// What follows a key.
fn below(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            out.push('\n');
            members(object, depth + 1, out);
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            out.push('\n');
            for item in items {
                indent(depth + 1, out);
                // JSON is YAML, and lists of mappings are rare.
                out.push_str("- ");
                out.push_str(&item.to_string());
                out.push('\n');
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            out.push_str(&format!(" [{}]\n", items.join(", ")));
        }
        Value::String(string) if is_block(string) => {
            out.push_str(if string.ends_with('\n') { " |\n" } else { " |-\n" });
            for line in string.lines() {
                if !line.is_empty() {
                    indent(depth + 1, out);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        other => {
            out.push(' ');
            out.push_str(&flow(other));
            out.push('\n');
        }
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        other => other.to_string(),
    }
}

/// Whether a text keeps its lines as they are when each is indented.
fn is_block(string: &str) -> bool {
    let lines: Vec<&str> = string.lines().collect();
    lines.len() > 1
        && !string.ends_with("\n\n")
        && !string.chars().any(|character| character.is_control() && character != '\n')
        && lines.first().is_some_and(|first| !first.is_empty() && !first.starts_with(' '))
        && lines.iter().all(|line| !line.ends_with(' '))
}

/// A text without quotes where it reads as itself everywhere, else in JSON's.
fn text(string: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | '/');
    let begins = string.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_word = words.contains(&string.to_ascii_lowercase().as_str());
    if begins && string.chars().all(plain) && !is_word {
        return string.to_owned();
    }
    Value::String(string.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tapline_core::yaml::parse;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let settings = json!({
            "type": "s3", "bucket": "acme-lake", "path": "a b", "flag": true, "yes": "no", "number": 3, "text": "3",
            "nothing": null, "empty": "", "objects": {}, "list": ["a", "", "x: y", "#"], "key: odd": "\t\u{7}",
            "sql": "SELECT 1,\n\n  2 -- three\nFROM 'x'", "ends": "a\nb\n", "two": "a\nb\n\n", "indented": " a\nb",
            "trailing": "a \nb", "carriage": "a\r\nb", "auth": { "type": "iam_user", "deep": { "a": [1, 2.5] } },
            "mappings": [{ "a": "b: c" }, [1]], "placeholder": "${LAKE_KEY}", "unicode": "größe",
        });
        let mut text = String::new();
        members(settings.as_object().unwrap(), 0, &mut text);
        assert_eq!(parse(&text, "x").unwrap().to_json(), settings, "{text}");
        assert!(text.contains("sql: |-\n  SELECT 1,\n\n    2 -- three\n"), "{text}");
    }
}
