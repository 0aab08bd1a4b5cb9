//! Working with the tree.

use super::*;

#[test]
fn entries_can_be_found_changed_and_removed() {
    let mut node = tree("a: { b: 1 }\nc: [x]\n");
    assert_eq!(node.get("c").map(|list| list.items().len()), Some(1));
    assert!(node.get("b").is_none() && node.items().is_empty());
    node.get_mut("a").and_then(|inner| inner.get_mut("b")).expect("there").value =
        Value::Scalar(Scalar::new("2", true));
    let (key, removed) = node.remove("a").expect("there");
    assert_eq!((key.text.as_str(), removed.get("b").and_then(Node::text)), ("a", Some("2")));
    assert!(node.remove("a").is_none() && node.entries().len() == 1);
    assert_eq!(node.get("c").expect("there").error("odd").to_string(), "tapline.yaml:2:4: odd");
}

#[test]
fn files_are_merged_by_section() {
    let mut main = tree("version: 1\nsyncs: { a: 1 }\nmodels:\n");
    let part = parse("syncs: { b: 2 }\nmodels: { m: 1 }\nsources: { s: 1 }\n", "part.yaml").expect("YAML");
    main.merge(part, 1).expect("nothing is given twice");
    let keys: Vec<_> =
        main.get("syncs").expect("there").entries().iter().map(|(key, _)| key.span.to_string()).collect();
    assert_eq!(keys, ["tapline.yaml:2:10", "part.yaml:1:10"]);
    assert_eq!(main.get("models").expect("there").entries().len(), 1);
    let clash = parse("version: 2\nsyncs: { a: 2, c: 3 }\nmodels: { m: { x: 1 } }\n", "clash.yaml").expect("YAML");
    let errors = main.merge(clash, 1).expect_err("three keys are given twice");
    assert_eq!(
        errors.to_string(),
        "clash.yaml:1:1: key `version` is given twice\nhint: first given at tapline.yaml:1:1\n\
         clash.yaml:2:10: key `a` is given twice\nhint: first given at tapline.yaml:2:10\n\
         clash.yaml:3:11: key `m` is given twice\nhint: first given at part.yaml:2:11"
    );
    assert!(main.get("syncs").and_then(|syncs| syncs.get("c")).is_some());
    assert!(main.merge(tree("[a]"), 1).is_err());
}
