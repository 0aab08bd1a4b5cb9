//! Tests of the project-file reader: tree, variables, typed values, and above all the places that errors give.

mod mistakes;
mod places;
mod refusals;
mod trees;
mod types;
mod variables;

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const FILE: &str = "tapline.yaml";

fn tree(text: &str) -> Node {
    parse(text, FILE).expect("the text is YAML")
}

fn refused(text: &str) -> String {
    parse(text, FILE).expect_err("the text is refused").to_string()
}

struct Fixed(HashMap<&'static str, &'static str>);

impl Lookup for Fixed {
    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        match self.0.get(name) {
            Some(&"not unicode") => Err("its value is not UTF-8".to_owned()),
            found => Ok(found.map(|value| (*value).to_owned())),
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        self.0.get(path).map(|value| (*value).to_owned()).ok_or_else(|| "no such file".to_owned())
    }
}

fn lookup<const N: usize>(values: [(&'static str, &'static str); N]) -> Fixed {
    Fixed(values.into_iter().collect())
}

fn expanded<const N: usize>(text: &str, values: [(&'static str, &'static str); N]) -> Node {
    let mut node = tree(text);
    node.expand(Variables::Expand(&lookup(values))).expect("every variable is set");
    node
}

fn expansion_errors<const N: usize>(text: &str, values: [(&'static str, &'static str); N]) -> String {
    let mut node = tree(text);
    node.expand(Variables::Expand(&lookup(values))).expect_err("the expansion fails").to_string()
}

fn read<'de, T: Deserialize<'de>>(node: &'de Node) -> T {
    from_node(node).unwrap_or_else(|error| panic!("{error} {:?}", error.hints))
}

fn error<T: for<'de> Deserialize<'de>>(node: &Node) -> ConfigError {
    from_node::<T>(node).err().expect("the value does not fit")
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Project {
    version: u16,
    #[serde(default)]
    sources: BTreeMap<String, Source>,
    #[serde(default)]
    syncs: BTreeMap<String, Sync>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    bucket: String,
    path: Option<String>,
    #[serde(default)]
    path_style: Option<bool>,
    auth: Option<Auth>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Auth {
    IamUser {
        access_key_id: String,
        secret_access_key: String,
        session_token: Option<String>,
    },
    IamRole {
        role_arn: String,
        external_id: Option<String>,
        seconds: Option<u16>,
        strict: Option<bool>,
        base: Option<Box<Auth>>,
    },
    Default,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sync {
    mode: Mode,
    #[serde(default)]
    ratio: f64,
    #[serde(default)]
    keys: Vec<String>,
    schedule: Option<Schedule>,
    every: Option<Seconds>,
    limit: Option<std::num::NonZeroU32>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Incremental,
    FullRefresh,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Schedule {
    Manual,
    Every(String),
    Cron { expression: String, timezone: String },
}

#[derive(Debug, PartialEq)]
struct Seconds(u64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_suffix('s').and_then(|digits| digits.parse().ok());
        digits.map(Self).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a duration such as 15s")))
    }
}

/// Texts that are nearly project files, besides arbitrary ones.
fn texts() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "a", "b: ", "- ", "\n", "  ", "{", "}", "[", "]", ",", ": ", "'", "\"", "|", ">", "&x ", "*x", "!t ", "<<: ",
        "${A}", "${B:-", "}", "$", "~", "5", "true", "#", "\t", "? ", "---\n", "...\n", "é", "%", "@", "://", "\\",
        "\r", "type: ", "auth: ",
    ]);
    let tokens = prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat());
    prop_oneof![any::<String>(), tokens, "[ -~\n]{0,80}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in texts()) {
        if let Ok(mut node) = parse(&text, FILE) {
            for mode in [Variables::Leave, Variables::Refuse, Variables::Expand(&lookup([("A", "5 @/\u{e9}")]))] {
                let mut node = node.clone();
                let _ = node.expand(mode);
                let _ = from_node::<serde_json::Value>(&node);
                let _ = from_node::<Project>(&node);
                let _ = from_node::<BTreeMap<String, Auth>>(&node);
            }
            let _ = node.merge(node.clone(), 3);
        }
    }

    #[test]
    fn json_is_read_as_it_is(text in "[ -~\u{e9}\u{1f600}\n\t]{0,20}", number in any::<i64>(), float in -1e300f64..1e300) {
        let value = serde_json::json!({ "text": text, "number": number, "float": float, "list": [null, true, { "a": text }] });
        let read: serde_json::Value = read(&tree(&value.to_string()));
        prop_assert_eq!(read, value);
    }
}
