//! Where values and keys begin, and what aliases and merge keys become.

use super::*;

fn written(node: &Node, output: &mut String) {
    use std::fmt::Write;
    write!(output, "@{}:{} ", node.span.line, node.span.column).expect("a string takes all");
    match &node.value {
        Value::Null => output.push_str("null"),
        Value::Scalar(scalar) => write!(output, "{:?}", scalar.text()).expect("a string takes all"),
        Value::Sequence(items) => {
            output.push('[');
            items.iter().for_each(|item| {
                written(item, output);
                output.push(' ');
            });
            output.push(']');
        }
        Value::Mapping(entries) => {
            output.push('{');
            for (key, value) in entries {
                write!(output, "{}@{}:{}=", key.text, key.span.line, key.span.column).expect("a string takes all");
                written(value, output);
                output.push(' ');
            }
            output.push('}');
        }
    }
}

fn shape(text: &str) -> String {
    let mut output = String::new();
    written(&tree(text), &mut output);
    output
}

#[test]
fn block_and_flow_style() {
    assert_eq!(
        shape("a: 1\nb:\n  - x\n  - 'y z'\nc: { d: ~, e: \"f\" }\ng:\n"),
        "@1:1 {a@1:1=@1:4 \"1\" b@2:1=@3:3 [@3:5 \"x\" @4:5 \"y z\" ] \
         c@5:1=@5:4 {d@5:6=@5:9 null e@5:12=@5:15 \"f\" } g@6:1=@6:2 null }"
    );
}

#[test]
fn columns_count_characters_and_line_ends_may_be_crlf() {
    assert_eq!(shape("é: ü\r\nb: c\r\n"), "@1:1 {é@1:1=@1:4 \"ü\" b@2:1=@2:4 \"c\" }");
    assert_eq!(shape("\u{feff}a: b"), "@1:1 {a@1:1=@1:4 \"b\" }");
}

#[test]
fn text_blocks_and_escapes() {
    let node = tree("sql: |\n  SELECT 1\n  FROM x\nfolded: >-\n  a\n  b\nquoted: \"a\\tb\"\nsingle: 'it''s'\n");
    assert_eq!(node.get("sql").and_then(Node::text), Some("SELECT 1\nFROM x\n"));
    assert_eq!(node.get("folded").and_then(Node::text), Some("a b"));
    assert_eq!(node.get("quoted").and_then(Node::text), Some("a\tb"));
    assert_eq!(node.get("single").and_then(Node::text), Some("it's"));
}

#[test]
fn nothing_at_all_is_null() {
    for text in ["", "\n", "# only a comment\n", "---\n", "---\n...\n"] {
        assert!(tree(text).is_null(), "{text:?}");
    }
}

#[test]
fn aliases_and_merge_keys() {
    let text = "base: &base { region: r, bucket: b }\nmore: &more { bucket: c, path: p }\nuse: { <<: [*base, *more], region: own }\ncopy: *base\n";
    let node = tree(text);
    let keys = |name| {
        node.get(name).map(|node| {
            node.entries()
                .iter()
                .map(|(key, value)| format!("{}={}", key.text, value.text().unwrap_or("?")))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(keys("use"), Some(vec!["region=own".to_owned(), "bucket=b".to_owned(), "path=p".to_owned()]));
    assert_eq!(keys("copy"), Some(vec!["region=r".to_owned(), "bucket=b".to_owned()]));
    assert_eq!(node.get("copy").map(|node| node.span.to_string()), Some("tapline.yaml:1:7".to_owned()));
    assert_eq!(tree("\"<<\": 1").entries()[0].0.text, "<<");
}
