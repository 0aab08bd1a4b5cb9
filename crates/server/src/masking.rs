//! Secrets in settings: which values are secret, by the JSON Schema of their kind, and how they are hidden and kept.
//! Not here: sealing at rest, which the state store does.
//! Called whenever settings leave the server, come back from an editor, or are exported.

use schemars::Schema;
use serde_json::{Map, Value, json};

/// How deeply schemas may refer to each other, and settings nest.
const DEPTH: usize = 32;

/// The JSON Schema of the settings of one kind.
#[derive(Debug, Clone)]
pub struct Shape {
    root: Value,
}

impl Shape {
    /// The shape that a schema describes; what it refers to stands below its `$defs`.
    pub fn new(schema: Schema) -> Self {
        Self { root: schema.to_value() }
    }

    /// Settings as they may be shown: `{"secret": true}` in the place of each secret that is there.
    pub fn mask(&self, settings: &Value) -> Value {
        self.replace(settings, &mut |_, _| json!({ "secret": true }))
    }

    /// Settings with something else in the place of each secret that is there; `secret` gets its path and its value.
    pub fn replace(&self, settings: &Value, secret: &mut dyn FnMut(&[String], &Value) -> Value) -> Value {
        let mut path = Vec::new();
        self.walk(settings, &[&self.root], &mut path, secret)
    }

    /// Settings as an editor sent them, with the secrets that were left out, or sent back masked, as they were before.
    pub fn restore(&self, settings: &Value, before: &Value) -> Value {
        self.merge(settings, before, &[&self.root], DEPTH)
    }

    fn walk(
        &self,
        value: &Value,
        schemas: &[&Value],
        path: &mut Vec<String>,
        secret: &mut dyn FnMut(&[String], &Value) -> Value,
    ) -> Value {
        if path.len() > DEPTH {
            return Value::Null;
        }
        match value {
            Value::Object(members) => {
                let mut shown = Map::new();
                for (key, member) in members {
                    path.push(key.clone());
                    let below = self.below(schemas, key);
                    let hidden = !member.is_null() && below.iter().any(|schema| is_secret(schema));
                    let member = if hidden { secret(path, member) } else { self.walk(member, &below, path, secret) };
                    shown.insert(key.clone(), member);
                    path.pop();
                }
                Value::Object(shown)
            }
            Value::Array(items) => {
                let below = self.items(schemas);
                let mut shown = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    let hidden = below.iter().any(|schema| is_secret(schema));
                    shown.push(if hidden { secret(path, item) } else { self.walk(item, &below, path, secret) });
                    path.pop();
                }
                Value::Array(shown)
            }
            other => other.clone(),
        }
    }

    fn merge(&self, settings: &Value, before: &Value, schemas: &[&Value], depth: usize) -> Value {
        let (Value::Object(new), Value::Object(old)) = (settings, before) else { return settings.clone() };
        if depth == 0 {
            return settings.clone();
        }
        let mut merged = Map::new();
        for (key, member) in new {
            let below = self.below(schemas, key);
            let held = old.get(key).unwrap_or(&Value::Null);
            let kept = below.iter().any(|schema| is_secret(schema)) && is_mask(member);
            merged.insert(key.clone(), if kept { held.clone() } else { self.merge(member, held, &below, depth - 1) });
        }
        // Another kind of the same thing has no use for the secrets of the one before.
        let same_kind = new.get("type") == old.get("type");
        for (key, held) in old.iter().filter(|(key, _)| same_kind && !new.contains_key(*key)) {
            if self.below(schemas, key).iter().any(|schema| is_secret(schema)) {
                merged.insert(key.clone(), held.clone());
            }
        }
        Value::Object(merged)
    }

    /// The schemas of a member, by every schema that may describe the object.
    fn below<'a>(&'a self, schemas: &[&'a Value], key: &str) -> Vec<&'a Value> {
        let mut found = Vec::new();
        for schema in schemas {
            self.each(schema, DEPTH, &mut |schema| match schema
                .get("properties")
                .and_then(|properties| properties.get(key))
            {
                Some(property) => self.each(property, DEPTH, &mut |property| found.push(property)),
                None => {
                    if let Some(any @ Value::Object(_)) = schema.get("additionalProperties") {
                        self.each(any, DEPTH, &mut |any| found.push(any));
                    }
                }
            });
        }
        found
    }

    fn items<'a>(&'a self, schemas: &[&'a Value]) -> Vec<&'a Value> {
        let mut found = Vec::new();
        for schema in schemas {
            self.each(schema, DEPTH, &mut |schema| {
                if let Some(items) = schema.get("items") {
                    self.each(items, DEPTH, &mut |items| found.push(items));
                }
            });
        }
        found
    }

    /// A schema, and all that it is put together from.
    fn each<'a>(&'a self, schema: &'a Value, depth: usize, visit: &mut dyn FnMut(&'a Value)) {
        if depth == 0 {
            return;
        }
        visit(schema);
        if let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|link| link.strip_prefix('#'))
            && let Some(target) = self.root.pointer(pointer)
        {
            self.each(target, depth - 1, visit);
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            for option in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
                self.each(option, depth - 1, visit);
            }
        }
    }
}

/// Whether a value stands for a secret that is kept elsewhere.
pub fn is_mask(value: &Value) -> bool {
    value.get("secret") == Some(&Value::Bool(true))
}

/// The JSON pointer of the first mask of a secret in settings, which nothing stands behind.
pub fn first_mask(settings: &Value) -> Option<String> {
    let found = |part: &str, member: &Value| Some(format!("{}{}", pointer_to(&[part.to_owned()]), first_mask(member)?));
    match settings {
        Value::Object(_) if is_mask(settings) => Some(String::new()),
        Value::Object(members) => members.iter().find_map(|(key, member)| found(key, member)),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| found(&index.to_string(), item)),
        _ => None,
    }
}

/// A path through settings as a JSON pointer.
pub fn pointer_to(path: &[String]) -> String {
    path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
}

fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use tapline_core::Secret;

    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Settings {
        host: String,
        password: Option<Secret>,
        auth: Option<Auth>,
        headers: Option<std::collections::BTreeMap<String, Secret>>,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Auth {
        key: String,
        secret: Option<Secret>,
        base: Option<Box<Auth>>,
    }

    fn shape() -> Shape {
        Shape::new(schemars::schema_for!(Settings))
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let settings = json!({
            "type": "x", "host": "h", "password": "hunter2", "headers": { "a": "hunter2" },
            "auth": { "key": "k", "base": { "key": "k", "secret": "hunter2" } },
        });
        let shown = shape().mask(&settings);
        assert!(!shown.to_string().contains("hunter2"));
        assert_eq!(shown["auth"]["base"], json!({ "key": "k", "secret": { "secret": true } }));
        assert_eq!(shown["host"], "h");
    }

    #[test]
    fn an_edit_that_leaves_a_secret_out_keeps_it() {
        let before = json!({ "type": "x", "host": "h", "password": "old", "auth": { "key": "k", "secret": "s" } });
        let edited = json!({ "type": "x", "host": "i", "auth": { "key": "k", "secret": { "secret": true } } });
        let expected = json!({ "type": "x", "host": "i", "auth": { "key": "k", "secret": "s" }, "password": "old" });
        assert_eq!(shape().restore(&edited, &before), expected);
        let changed = json!({ "type": "x", "host": "i", "password": "new" });
        assert_eq!(shape().restore(&changed, &before)["password"], "new");
        assert_eq!(shape().restore(&changed, &before).get("auth"), None);
        let cleared = json!({ "type": "x", "host": "i", "password": null });
        assert_eq!(shape().restore(&cleared, &before)["password"], Value::Null);
    }

    #[test]
    fn a_mask_without_a_secret_behind_it_stays_visible() {
        let restored = shape().restore(&json!({ "password": { "secret": true } }), &json!({}));
        assert_eq!(first_mask(&restored), None, "{restored}");
        assert_eq!(first_mask(&json!({ "auth": [{ "a/b": { "secret": true } }] })).as_deref(), Some("/auth/0/a~1b"));
    }
}
