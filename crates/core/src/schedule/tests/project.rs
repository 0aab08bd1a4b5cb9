//! A project file whose schedules cannot be kept to.

use std::collections::HashMap;

use crate::config;
use crate::yaml::{Lookup, Variables};

struct Environment(HashMap<&'static str, &'static str>);

impl Lookup for Environment {
    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.0.get(name).map(|value| (*value).to_owned()))
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("no {path} here"))
    }
}

fn problems(schedule: &str, variables: Variables<'_>) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tapline.yaml");
    let text = format!(
        "version: 1\nsources:\n  lake: {{ type: s3 }}\nmodels:\n  m: {{ source: lake, sql: SELECT 1, primary_key: id }}\ndestinations:\n  d: {{ type: sqlite }}\nsyncs:\n  s:\n    model: m\n    destination: d\n    stream: t\n    mode: incremental\n    schedule: {schedule}\n"
    );
    std::fs::write(&file, text).expect("written");
    let (_, errors) = config::examine(&file, variables);
    errors.0.into_iter().filter(|error| !error.left_open).map(|error| error.to_string()).collect()
}

#[test]
fn errors_point_at_the_value() {
    let problems = |schedule| problems(schedule, Variables::Refuse);
    let minute = problems("{ cron: 61 * * * *, timezone: UTC }");
    assert!(minute[0].starts_with("tapline.yaml:14:23: `61` is no valid minute; write"), "{minute:?}");
    let zone = problems("{ cron: 0 6 * * *, timezone: Berlin }");
    assert!(zone[0].starts_with("tapline.yaml:14:44: `Berlin` is no time zone; write"), "{zone:?}");
    let interval = problems("{ every: 0s }");
    assert_eq!(interval, ["tapline.yaml:14:24: an interval lasts from 1s to 366d"]);
    for valid in ["manual", "{ every: 45m }", "{ cron: '@daily' }", "{ cron: 0 6 * * 1-5, timezone: Europe/Berlin }"] {
        assert_eq!(problems(valid), [""; 0]);
    }
}

#[test]
fn variables_are_neither_judged_nor_told() {
    for open in ["{ every: '${WHEN}' }", "{ cron: '${WHEN}' }", "{ cron: 0 6 * * *, timezone: '${WHEN}' }"] {
        assert_eq!(problems(open, Variables::Leave), [""; 0], "{open}");
    }
    let lookup = Environment(HashMap::from([("WHEN", "hunter2-hunter2")]));
    let told = problems("{ cron: '${WHEN}' }", Variables::Expand(&lookup));
    assert!(told.len() == 1 && told[0].contains("${WHEN}") && !told[0].contains("hunter2"), "{told:?}");
}
