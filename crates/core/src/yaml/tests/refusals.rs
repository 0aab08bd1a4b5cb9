//! Texts that are no project file.

use super::*;

#[test]
fn broken_yaml_names_the_place() {
    assert_eq!(refused("a:\n\tb: 1\n").split(": ").next(), Some("tapline.yaml:2:2"));
    assert!(refused("a: [1, 2\nb: 3\n").starts_with("tapline.yaml:2:"));
    assert!(refused("a: 'x\n").starts_with("tapline.yaml:"));
    let tab = parse("a:\n\tb: 1\n", FILE).expect_err("tabs do not indent");
    assert_eq!(tab.hints, ["indent with spaces; YAML allows no tabs there"]);
    let flow = parse("a: { b: ${X} }\n", FILE).expect_err("braces end the value");
    assert_eq!(flow.hints, ["between `{ }` and `[ ]` a value with a variable needs quotes: \"${NAME}\""]);
}

#[test]
fn a_key_given_twice() {
    let error = parse("a: 1\nb:\n  c: 1\n  c: 2\n", FILE).expect_err("the key occurs twice");
    assert_eq!(error.to_string(), "tapline.yaml:4:3: key `c` is given twice");
    assert_eq!(error.hints, ["first given at line 3, column 3"]);
    assert_eq!(refused("{a: 1, \"a\": 2}"), "tapline.yaml:1:8: key `a` is given twice");
}

#[test]
fn what_a_project_file_does_not_need() {
    assert_eq!(refused("a: 1\n---\nb: 2\n"), "tapline.yaml:2:1: a second document in the same file");
    assert_eq!(refused("a: !env HOME\n"), "tapline.yaml:1:4: unknown tag `!env`");
    assert_eq!(refused("[a]: 1\n"), "tapline.yaml:1:1: a key must be a single word or text");
    assert_eq!(refused("a: 1\n: 2\n"), "tapline.yaml:2:1: expected a key before `:`");
    assert_eq!(refused("<<: 1\n"), "tapline.yaml:1:5: `<<` takes a mapping or a list of mappings");
    assert_eq!(refused("a: &x [ *x ]\n"), "tapline.yaml:1:9: the alias refers to a value that contains it");
    assert_eq!(refused("a: 1\nb: x\0y\n"), "tapline.yaml:2:5: control character U+0000 in the text");
    assert!(refused("a: *nowhere\n").starts_with("tapline.yaml:1:4: invalid YAML"));
}

#[test]
fn core_tags_are_understood() {
    let node = tree("a: !!str 5\nb: !!int 5\nc: !!map {d: 1}\n");
    assert_eq!(node.get("a").and_then(Node::scalar).map(Scalar::is_plain), Some(false));
    assert_eq!(node.get("b").and_then(Node::scalar).map(Scalar::is_plain), Some(true));
}

#[test]
fn depth_and_repetition_are_bounded() {
    assert_eq!(refused(&"[".repeat(100)), "tapline.yaml:1:66: more than 64 levels of nesting");
    assert!(refused(&"- ".repeat(5000)).ends_with("more than 64 levels of nesting"));
    assert!(refused(&format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000))).contains("tapline.yaml:1:"));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let below = level - 1;
        let aliases = format!("*a{below}, ").repeat(9);
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}*a{below}]\n"));
    }
    assert!(refused(&bomb).ends_with("the aliases of this file repeat too much"));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(100));
    assert!(refused(&long).ends_with("the aliases of this file repeat too much"));
}
