//! JSON values as trees, so that what comes in through an API is read by the same code as a project file; and back.
//! Not here: parsing JSON text.
//! Called by the server for the settings of definitions.

use serde_json::Value as Json;

use super::scalar::Reading;
use super::{Key, Node, Origin, Scalar, Span, Value};

impl Node {
    /// The tree of a JSON value. There are no lines in it: the `file` of every place is `name` followed by the JSON
    /// pointer (RFC 6901) of the value, so that errors say which value they mean.
    pub fn from_json(json: &Json, name: &str) -> Self {
        let span = Span { file: name.into(), line: 1, column: 1 };
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(boolean) => Value::Scalar(Scalar::new(boolean.to_string(), true)),
            Json::Number(number) => Value::Scalar(Scalar::new(number.to_string(), true)),
            Json::String(text) => Value::Scalar(Scalar::new(text.clone(), false)),
            Json::Array(items) => Value::Sequence(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| Self::from_json(item, &format!("{name}/{index}")))
                    .collect(),
            ),
            Json::Object(members) => Value::Mapping(
                members
                    .iter()
                    .map(|(key, member)| {
                        let node = Self::from_json(member, &format!("{name}/{}", escaped(key)));
                        (Key { text: key.clone(), span: node.span.clone() }, node)
                    })
                    .collect(),
            ),
        };
        Self { span, value }
    }

    /// The tree as JSON, with what variables gave.
    pub fn to_json(&self) -> Json {
        self.json(&|scalar| scalar.text().to_owned())
    }

    /// The tree as JSON to be shown: what a variable gave is shown by the variable's name, since it may be a secret.
    pub fn to_shown_json(&self) -> Json {
        self.json(&|scalar| match scalar.origin() {
            Origin::Expanded { names, .. } => names.clone(),
            Origin::File | Origin::Open => scalar.text().to_owned(),
        })
    }

    fn json(&self, text: &dyn Fn(&Scalar) -> String) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Scalar(scalar) => {
                let text = text(scalar);
                let typed = scalar.typed_reading().filter(|_| text == scalar.text()).map(|reading| match reading {
                    Reading::Boolean(boolean) => Json::Bool(boolean),
                    Reading::Unsigned(number) => number.into(),
                    Reading::Signed(number) => number.into(),
                    Reading::Float(number) => number.into(),
                });
                // `007` and `0x10` stay what they are for whoever takes a text.
                let spelled =
                    |json: &Json| json.as_i64().map(|n| n.to_string()).or(json.as_u64().map(|n| n.to_string()));
                typed.filter(|json| spelled(json).is_none_or(|digits| digits == text)).unwrap_or(Json::String(text))
            }
            Value::Sequence(items) => items.iter().map(|item| item.json(text)).collect(),
            Value::Mapping(entries) => {
                Json::Object(entries.iter().map(|(key, node)| (key.text.clone(), node.json(text))).collect())
            }
        }
    }
}

/// A member's name within a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml::{Variables, from_node};

    #[test]
    fn a_value_keeps_its_type_and_its_pointer() {
        #[derive(serde::Deserialize, Debug, PartialEq)]
        struct Settings {
            name: String,
            limit: Option<u64>,
            header: bool,
            list: Vec<String>,
        }

        let json = json!({ "name": "007", "limit": 3, "header": true, "list": ["a", "b"] });
        let settings: Settings = from_node(&Node::from_json(&json, "x")).unwrap();
        assert_eq!(
            settings,
            Settings { name: "007".into(), limit: Some(3), header: true, list: vec!["a".into(), "b".into()] }
        );
        let error = from_node::<Settings>(&Node::from_json(&json!({ "name": "x", "header": "true", "list": [] }), "x"));
        assert_eq!(&*error.unwrap_err().file, "x/header");
        let deep = Node::from_json(&json!({ "a/b": [null, { "c~d": 1 }] }), "");
        assert_eq!(&*deep.get("a/b").unwrap().items()[1].get("c~d").unwrap().span.file, "/a~1b/1/c~0d");
    }

    #[test]
    fn a_tree_and_back() {
        let json = json!({ "a": [1, -2, 0.5, true, null, "x", "1"], "b": { "c": "" } });
        assert_eq!(Node::from_json(&json, "").to_json(), json);
        let node = crate::yaml::parse("{ a: 007, b: 0x10, c: 7, d: True }", "").unwrap();
        assert_eq!(node.to_json(), json!({ "a": "007", "b": "0x10", "c": 7, "d": true }));
    }

    #[test]
    fn variables_are_refused_where_they_stand() {
        let mut node = Node::from_json(&json!({ "auth": { "secret": "${HOME}" } }), "body");
        let errors = node.expand(Variables::Refuse).unwrap_err();
        assert_eq!(&*errors.0[0].file, "body/auth/secret");
    }
}
