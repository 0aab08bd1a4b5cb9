//! Values for typed targets.

use super::*;

#[test]
fn a_project() {
    let text = "version: 1\nsources:\n  lake:\n    bucket: acme\n    path: 0123\n    path_style: true\n    auth: { type: iam_user, access_key_id: 12345, secret_access_key: yes, session_token: ~ }\nsyncs:\n  s: { mode: full_refresh, ratio: 1, keys: [id, 7, 1e3], schedule: { every: 15m }, every: 5s }\n";
    let project: Project = read(&tree(text));
    let user = Auth::IamUser { access_key_id: "12345".into(), secret_access_key: "yes".into(), session_token: None };
    assert_eq!(project.sources["lake"].auth, Some(user));
    assert_eq!(project.sources["lake"].path.as_deref(), Some("0123"));
    let sync = &project.syncs["s"];
    assert_eq!((&sync.mode, sync.ratio), (&Mode::FullRefresh, 1.0));
    assert_eq!(sync.keys, ["id", "7", "1e3"]);
    assert_eq!((&sync.schedule, &sync.every), (&Some(Schedule::Every("15m".into())), &Some(Seconds(5))));
}

#[test]
fn empty_values_are_empty_mappings_and_lists() {
    let project: Project = read(&tree("version: 1\nsources:\nsyncs:\n  s:\n    mode: incremental\n    keys:\n"));
    assert!(project.sources.is_empty() && project.syncs["s"].keys.is_empty());
}

#[test]
fn the_core_schema_where_no_type_is_wanted() {
    let text = "[null, ~, '', true, False, yes, 0, -7, +7, 0o17, 0x1F, 007, 1.5, -.5, 1e3, .inf, 1.2.3, --, 18446744073709551615, 18446744073709551616, '5', 12:30, 1_000, 0x, .]";
    let value: serde_json::Value = read(&tree(text));
    assert_eq!(
        value,
        serde_json::json!([
            null,
            null,
            "",
            true,
            false,
            "yes",
            0,
            -7,
            7,
            15,
            31,
            7,
            1.5,
            -0.5,
            1000.0,
            null,
            "1.2.3",
            "--",
            18446744073709551615u64,
            "18446744073709551616",
            "5",
            "12:30",
            "1_000",
            "0x",
            "."
        ])
    );
}

#[test]
fn every_kind_of_enum_and_tuple() {
    let cron: Schedule = read(&tree("cron: { expression: 0 6 * * *, timezone: UTC }"));
    assert_eq!(cron, Schedule::Cron { expression: "0 6 * * *".into(), timezone: "UTC".into() });
    assert_eq!(read::<Schedule>(&tree("manual")), Schedule::Manual);
    assert_eq!(read::<Schedule>(&tree("manual:")), Schedule::Manual);
    assert_eq!(read::<(u8, String, Option<i64>)>(&tree("[1, 2, ~]")), (1, "2".into(), None));
    assert_eq!(read::<BTreeMap<Mode2, char>>(&tree("{a: x}")), BTreeMap::from([(Mode2::A, 'x')]));
    read::<()>(&tree("~"));
    let nested: Auth = read(&tree(
        "{type: iam_role, role_arn: a, external_id: 7, seconds: 7, strict: false, base: {type: iam_user, access_key_id: 7, secret_access_key: 0x7}}",
    ));
    let Auth::IamRole { external_id, seconds, strict, base, .. } = nested else { panic!("a role") };
    assert_eq!((external_id.as_deref(), seconds, strict), (Some("7"), Some(7), Some(false)));
    let user = Auth::IamUser { access_key_id: "7".into(), secret_access_key: "0x7".into(), session_token: None };
    assert_eq!(base.as_deref(), Some(&user));
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode2 {
    A,
}

#[test]
fn what_variables_give_is_text_until_a_type_is_wanted() {
    let node = expanded("a: ${N}\nb: ${T}\nc: x\n", [("N", "5"), ("T", "true")]);
    let value: serde_json::Value = read(&node);
    assert_eq!(value, serde_json::json!({"a": "5", "b": "true", "c": "x"}));
    let text = "type: iam_role\nrole_arn: ${N}\nexternal_id: ${N}\nseconds: '${N}'\nstrict: ${T}\n";
    let role: Auth = read(&expanded(text, [("N", "5"), ("T", "true")]));
    let expected = Auth::IamRole {
        role_arn: "5".into(),
        external_id: Some("5".into()),
        seconds: Some(5),
        strict: Some(true),
        base: None,
    };
    assert_eq!(role, expected);
    let source: Source = read(&expanded("bucket: ${N}\npath_style: '${T} '\n", [("N", "5"), ("T", "true")]));
    assert_eq!((source.bucket.as_str(), source.path_style), ("5", Some(true)));
}

#[test]
fn an_unquoted_variable_that_gives_nothing_is_absent() {
    let source: Source = read(&expanded("bucket: ${E:-}\npath: ${E:-}\npath_style: ${E:-}\n", []));
    assert_eq!((source.bucket.as_str(), source.path, source.path_style), ("", None, None));
    let quoted: Source = read(&expanded("{bucket: '${E:-}', path: '${E:-}'}", []));
    assert_eq!(quoted.path.as_deref(), Some(""));
    let text = "type: iam_user\naccess_key_id: ${E:-}\nsecret_access_key: x\nsession_token: ${E:-}\n";
    let user: Auth = read(&expanded(text, []));
    let expected = Auth::IamUser {
        access_key_id: String::new(),
        secret_access_key: "x".into(),
        session_token: Some(String::new()),
    };
    assert_eq!(user, expected);
}

#[test]
fn open_variables_fail_no_type() {
    let text = "version: ${V}\nsources:\n  lake:\n    bucket: ${B}\n    path_style: ${P}\n    auth: { type: iam_role, role_arn: '${R}', seconds: '${S}', strict: '${X}' }\nsyncs:\n  s: { mode: incremental, ratio: '${R}', keys: [id, '${K}'], schedule: '${S}', every: '${E}', limit: '${L}' }\n";
    let mut node = tree(text);
    node.expand(Variables::Leave).expect("nothing is looked up");
    let project: Project = read(&node);
    assert_eq!(project.version, 0);
    assert_eq!((project.sources["lake"].bucket.as_str(), project.sources["lake"].path_style), ("${B}", None));
    let sync = &project.syncs["s"];
    assert_eq!((sync.ratio, &sync.schedule, &sync.every, &sync.limit), (0.0, &None, &None, &None));
    assert_eq!(sync.keys, ["id", "${K}"]);
}

#[test]
fn errors_that_an_open_variable_may_cause_say_so() {
    let mut node = tree("syncs:\n  s: { mode: \"${MODE}\" }\n");
    node.expand(Variables::Leave).expect("nothing is looked up");
    let mode =
        from_node::<Mode>(&node.get("syncs").and_then(|node| node.get("s")?.get("mode")).expect("there").clone());
    assert!(mode.expect_err("no mode is called so").left_open);
    let mut whole = tree("version: x\n");
    whole.expand(Variables::Leave).expect("nothing is looked up");
    assert!(!error::<Project>(&whole).left_open);
    let sync = node.get("syncs").and_then(|node| node.get("s")).expect("there");
    let missing = error::<Sync>(sync);
    assert!(missing.left_open, "{missing}");
}
