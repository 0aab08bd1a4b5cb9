//! Variables: their syntax, their values, and what they do to URLs.

use super::*;

fn value<const N: usize>(text: &str, values: [(&'static str, &'static str); N]) -> String {
    expanded(&format!("v: {text}\n"), values).get("v").and_then(Node::text).expect("a scalar").to_owned()
}

#[test]
fn names_defaults_and_files() {
    assert_eq!(value("${A}", [("A", "x: [y")]), "x: [y");
    assert_eq!(value("a-${A}-${B:-b}-c", [("A", "1")]), "a-1-b-c");
    assert_eq!(value("${A:-b}", [("A", "")]), "b");
    assert_eq!(value("'${A:-}'", []), "");
    assert_eq!(value("${A:-${B:-c}d}e", []), "cde");
    assert_eq!(value("${A:-${B}}", [("B", "b")]), "b");
    assert_eq!(value("${file:/run/secrets/x}", [("/run/secrets/x", "geheim\n\n")]), "geheim\n");
    assert_eq!(value("${file:/run/secrets/x}", [("/run/secrets/x", "geheim\r\n")]), "geheim");
}

#[test]
fn a_value_is_not_expanded_again_and_dollars_stay() {
    assert_eq!(value("${A}", [("A", "${B}")]), "${B}");
    assert_eq!(value("$${A}", [("A", "1")]), "${A}");
    assert_eq!(value("$${A} ${A}", [("A", "1")]), "${A} 1");
    assert_eq!(value("$A $ $$ $1 a$", []), "$A $ $$ $1 a$");
    let node = expanded("${A}: ${A}\n", [("A", "1")]);
    assert_eq!((node.entries()[0].0.text.as_str(), node.entries()[0].1.text()), ("${A}", Some("1")));
    let mut twice = expanded("a: $${A}\n", []);
    twice.expand(Variables::Expand(&lookup([("A", "${A}")]))).expect("set");
    assert_eq!(twice.get("a").and_then(Node::text), Some("${A}"));
}

#[test]
fn every_fault_is_told_at_its_place() {
    let text =
        "a: ${ONE}\nb:\n  - x ${TWO} ${THREE}\n  - \"q ${FOUR}\"\nsql: |\n  SELECT 1\n  ${FIVE}\nok: ${file:/none}\n";
    assert_eq!(
        expansion_errors(text, [("THREE", "not unicode")]),
        "tapline.yaml:1:4: variable `ONE` is not set\n\
         hint: set `ONE` in the environment, or give a default: ${ONE:-…}\n\
         tapline.yaml:3:7: variable `TWO` is not set\n\
         hint: set `TWO` in the environment, or give a default: ${TWO:-…}\n\
         tapline.yaml:3:14: cannot use variable `THREE`: its value is not UTF-8\n\
         tapline.yaml:4:8: variable `FOUR` is not set\n\
         hint: set `FOUR` in the environment, or give a default: ${FOUR:-…}\n\
         tapline.yaml:7:3: variable `FIVE` is not set\n\
         hint: set `FIVE` in the environment, or give a default: ${FIVE:-…}\n\
         tapline.yaml:8:5: cannot read file `/none`: no such file"
    );
}

#[test]
fn malformed_expressions() {
    for (text, message) in [
        ("a: ${", "1:4: `${` without the name of a variable"),
        ("a: ${}", "1:4: `${` without the name of a variable"),
        ("a: ${A", "1:4: `${` without `}`"),
        ("a: ${A:-b", "1:4: `${` without `}`"),
        ("a: b ${A?b}", "1:6: unknown expression in `${…}`"),
        ("a: ${1A}", "1:4: `${` without the name of a variable"),
        ("a: '${file:}'", "1:5: `${file:}` without a path"),
        ("a: '${file:x'", "1:5: `${` without `}`"),
    ] {
        let told = expansion_errors(text, [("A", "1")]);
        assert_eq!(told.lines().next(), Some(format!("tapline.yaml:{message}").as_str()), "{text}");
    }
    assert!(expansion_errors(&format!("a: {}x{}", "${A:-".repeat(40), "}".repeat(40)), []).contains("too many"));
}

#[test]
fn a_password_cannot_break_its_url() {
    let url = "postgres://${USER}:${PASSWORD}@${HOST}/${DB}";
    let values = [("USER", "a@b"), ("PASSWORD", "p/w:%é ~"), ("HOST", "h.x:5432"), ("DB", "d/e?f=g@h")];
    assert_eq!(value(url, values), "postgres://a%40b:p%2Fw%3A%25%C3%A9%20~@h.x:5432/d/e?f=g@h");
    assert_eq!(value("${S}://u:${P}@h", [("S", "mysql"), ("P", "#")]), "mysql://u:%23@h");
    assert_eq!(value("${URL}", [("URL", "postgres://u:p@h/#")]), "postgres://u:p@h/#");
    assert_eq!(value("s3://${B}/${P}/a@b", [("B", "b"), ("P", "x y")]), "s3://b/x y/a@b");
    assert_eq!(value("mail to u://${P}@h", [("P", "#")]), "mail to u://#@h");
    assert_eq!(value("x: ${P}@h".replace(": ", ":").as_str(), [("P", "#")]), "x:#@h");
}

#[test]
fn refused_and_left_open() {
    let mut node = tree("a: 1\nb: x-${A}-${B:-c}\nc: $${A}\n");
    let errors = node.clone().expand(Variables::Refuse).expect_err("no variables in bodies");
    assert_eq!(errors.0.len(), 1);
    assert_eq!(errors.0[0].to_string(), "tapline.yaml:2:6: variables are not expanded here");
    node.expand(Variables::Leave).expect("nothing is looked up");
    let open = |key| node.get(key).map(|node| (node.text().unwrap_or_default(), node.is_open()));
    assert_eq!(open("b"), Some(("x-${A}-${B:-c}", true)));
    assert_eq!(open("c"), Some(("${A}", false)));
    assert!(tree("a: ${").expand(Variables::Leave).is_err());
}

#[test]
fn the_process_gives_its_environment_and_files() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret"), "word\n").expect("a file");
    let lookup = ProcessLookup { folder: folder.path().to_owned() };
    assert_eq!(lookup.file("secret").as_deref(), Ok("word\n"));
    assert!(lookup.file("absent").is_err());
    assert_eq!(lookup.variable("TAPLINE_TEST_NEVER_SET"), Ok(None));
    assert_eq!(lookup.variable("PATH").map(|path| path.is_some()), Ok(true));
}

#[test]
fn debug_output_keeps_secrets() {
    let node = expanded("a: pre-${A:-fallback}\n", [("A", "geheim")]);
    let shown = format!("{node:?}");
    assert!(shown.contains("${A}") && !shown.contains("geheim") && !shown.contains("fallback"), "{shown}");
}
