//! What a typed target says about values that do not fit.

use super::*;

/// The error for a project, as `line:column: message` and its hints.
fn told(text: &str) -> (String, Vec<String>) {
    let error = error::<Project>(&tree(text));
    (format!("{}:{}: {}", error.line, error.column, error.message), error.hints)
}

#[test]
fn unknown_keys() {
    let (message, hints) = told("version: 1\nsorces: {}\n");
    assert_eq!(message, "2:1: unknown key `sorces`");
    assert_eq!(hints, ["did you mean `sources`?", "valid keys: `version`, `sources`, `syncs`"]);
    let (message, hints) = told("version: 1\nsources:\n  lake:\n    bucket: b\n    frobnicate: 1\n");
    assert_eq!(message, "5:5: unknown key `frobnicate`");
    assert_eq!(hints, ["valid keys: `bucket`, `path`, `path_style`, `auth`"]);
}

#[test]
fn unknown_keys_below_a_tag() {
    let text = "version: 1\nsources:\n  lake:\n    bucket: b\n    auth:\n      type: iam_role\n      role_arn: a\n      external_id: x\n      base:\n        type: iam_user\n        access_key_id: a\n        external_id: y\n";
    let (message, hints) = told(text);
    assert_eq!(message, "12:9: unknown key `external_id`");
    assert_eq!(hints, ["valid keys: `access_key_id`, `secret_access_key`, `session_token`"]);
}

#[test]
fn unknown_values() {
    let (message, hints) = told("version: 1\nsyncs: { s: { mode: incremantal } }\n");
    assert_eq!(message, "2:21: unknown value `incremantal` for `mode`; expected one of `incremental`, `full_refresh`");
    assert_eq!(hints, ["did you mean `incremental`?"]);
    let (message, _) = told("version: 1\nsources: { l: { bucket: b, auth: { type: role } } }\n");
    assert_eq!(message, "2:42: unknown value `role` for `type`; expected one of `iam_user`, `iam_role`, `default`");
    let (message, hints) = told("version: 1\nsyncs: { s: { mode: incremental, schedule: { evry: 1m } } }\n");
    assert_eq!(message, "2:46: unknown key `evry`");
    assert_eq!(hints[0], "did you mean `every`?");
    let (message, _) = told("version: 1\nsyncs: { s: { mode: [incremental] } }\n");
    assert_eq!(message, "2:21: expected one of `incremental`, `full_refresh`, found a list");
}

#[test]
fn missing_keys() {
    assert_eq!(told("sources: {}\n").0, "1:1: missing key `version`");
    assert_eq!(told("version: 1\nsources:\n  lake:\n    path: x\n").0, "4:5: missing key `bucket`");
    let text = "version: 1\nsources:\n  lake:\n    bucket: b\n    auth:\n      type: iam_role\n";
    assert_eq!(told(text).0, "6:7: missing key `role_arn`");
    let text = "version: 1\nsources:\n  lake:\n    bucket: b\n    auth: { role_arn: a }\n";
    assert_eq!(told(text).0, "5:11: missing key `type`");
    assert_eq!(told("version: 1\nsources:\n  lake:\n").0, "3:7: missing key `bucket`");
}

#[test]
fn wrong_types() {
    for (text, message) in [
        ("version: one\n", "1:10: expected a whole number from 0 to 65535, found a string"),
        ("version: 1.5\n", "1:10: expected a whole number from 0 to 65535, found a number"),
        ("version: 70000\n", "1:10: expected a whole number from 0 to 65535"),
        ("version: \"1\"\n", "1:10: expected a whole number from 0 to 65535, found a string"),
        ("version: [1]\n", "1:10: expected a whole number from 0 to 65535, found a list"),
        ("version:\n", "1:8: expected a whole number from 0 to 65535, found nothing"),
        ("version: 1\nsources: [a]\n", "2:10: expected a mapping, found a list"),
        ("version: 1\nsources: { l: b }\n", "2:15: expected a mapping, found a string"),
        ("version: 1\nsources: { l: { bucket: {} } }\n", "2:25: expected a string, found a mapping"),
        ("version: 1\nsources: { l: { bucket: null } }\n", "2:25: expected a string, found nothing"),
        (
            "version: 1\nsources: { l: { bucket: b, path_style: yes } }\n",
            "2:40: expected true or false, found a string",
        ),
        ("version: 1\nsources: { l: { bucket: b, path_style: 1 } }\n", "2:40: expected true or false, found a number"),
        ("version: 1\nsyncs: { s: { mode: incremental, ratio: x } }\n", "2:41: expected a number, found a string"),
        ("version: 1\nsyncs: { s: { mode: incremental, keys: id } }\n", "2:40: expected a list, found a string"),
        ("version: 1\nsyncs: { s: { mode: incremental, keys: [a, [b]] } }\n", "2:44: expected a string, found a list"),
        ("version: 1\nsyncs: { s: { mode: incremental, limit: 0 } }\n", "2:41: expected a whole number from 1"),
        ("version: 1\nsyncs: { s: { mode: incremental, every: 5x } }\n", "2:41: `5x` is not a duration such as 15s"),
        (
            "version: 1\nsyncs: { s: { mode: incremental, schedule: every } }\n",
            "2:44: expected a mapping, found a string",
        ),
        ("[]\n", "1:1: expected a mapping, found a list"),
    ] {
        assert_eq!(told(text).0, message, "{text}");
    }
    assert_eq!(told("version: \"1\"\n").1, ["leave out the quotes"]);
}

#[test]
fn wrong_types_below_a_tag() {
    let role = |rest: &str| {
        let (message, _) = told(&format!(
            "version: 1\nsources:\n  lake:\n    bucket: b\n    auth:\n      type: iam_role\n      role_arn: 70000\n      external_id: 3\n      {rest}\n"
        ));
        message
    };
    assert_eq!(role("seconds: soon"), "9:16: expected a whole number from 0 to 65535, found a string");
    assert_eq!(role("seconds: '3'"), "9:16: expected a whole number from 0 to 65535, found a string");
    assert_eq!(role("seconds: [3]"), "9:16: expected a whole number from 0 to 65535, found a list");
    assert_eq!(role("strict: 5"), "9:15: expected true or false, found a number");
    assert_eq!(role("base: 8"), "9:13: expected a mapping, found a number");
    assert_eq!(
        role("base: { type: nobody }"),
        "9:21: unknown value `nobody` for `type`; expected one of `iam_user`, `iam_role`, `default`"
    );
}

#[test]
fn no_error_prints_what_a_variable_gave() {
    let secret = "hunter2hunter2";
    for text in [
        "version: ${S}",
        "version: 1\nsources: ${S}",
        "version: 1\nsources: { l: { bucket: b, path_style: '${S}' } }",
        "version: 1\nsources: { l: { bucket: b, auth: { type: \"${S}\" } } }",
        "version: 1\nsources: { l: { bucket: b, auth: { type: iam_role, role_arn: a, seconds: '${S}' } } }",
        "version: 1\nsources: { l: { bucket: b, auth: { type: iam_role, role_arn: a, strict: 'x${S}' } } }",
        "version: 1\nsyncs: { s: { mode: '${S}' } }",
        "version: 1\nsyncs: { s: { mode: incremental, schedule: '${S}' } }",
        "version: 1\nsyncs: { s: { mode: incremental, every: '${S}' } }",
        "version: 1\nsyncs: { s: { mode: incremental, every: 'a ${S}' } }",
    ] {
        let error = error::<Project>(&expanded(text, [("S", secret)]));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("${S}"), "{shown}");
    }
}

#[test]
fn names_that_are_near() {
    let hints = |key: &str| told(&format!("version: 1\nsources: {{ l: {{ {key}: x }} }}\n")).1;
    assert_eq!(hints("Bucket")[0], "did you mean `bucket`?");
    assert_eq!(hints("pathstyle")[0], "did you mean `path_style`?");
    assert_eq!(hints("zzzzzz").len(), 1);
}
