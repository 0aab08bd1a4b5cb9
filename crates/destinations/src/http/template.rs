//! Liquid templates over rows: texts, URLs and JSON bodies.
//! Not here: which requests they make (`request`).
//! Called by `request`.

use std::fmt;

use liquid::Object;
use liquid::model::Value as LiquidValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tapline_core::templates::{TemplateFault, parser, render_fault, syntax_fault};

use crate::delivery::Row;

/// All but the unreserved characters of RFC 3986, section 2.3.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a template is rendered over: the rows of one request.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) fields: &'a [String],
    /// Fields that may be missing, and are nil then.
    pub(super) optional: &'a [String],
    pub(super) rows: &'a [Row],
    pub(super) stream: &'a str,
    pub(super) operation: &'a str,
    /// Whether the request is for one row, whose fields stand for themselves.
    pub(super) single: bool,
}

/// A text with templates in it.
pub(super) struct Text {
    template: liquid::Template,
    source: String,
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Text")
    }
}

impl Text {
    /// Parses a template.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        let template = parser()
            .and_then(|parser| parser.parse(source))
            .map_err(|error| format!("is no Liquid template: {}", syntax_fault(&error)))?;
        Ok(Self { template, source: source.to_owned() })
    }

    /// The text as it was written.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it says the same for all rows.
    pub(super) fn is_constant(&self) -> bool {
        !self.source.contains("{{") && !self.source.contains("{%")
    }

    /// Whether it may say something else for each row.
    pub(super) fn mentions_rows(&self, fields: &[String]) -> bool {
        self.names().any(|name| name == "row" || name == "rows" || fields.iter().any(|field| field == name))
    }

    /// The words inside of its tags.
    fn names(&self) -> impl Iterator<Item = &str> {
        let inside = [("{{", "}}"), ("{%", "%}")].into_iter().flat_map(|(open, close)| {
            self.source.split(open).skip(1).filter_map(move |part| part.split_once(close).map(|(tag, _)| tag))
        });
        inside.flat_map(|tag| tag.split(|character: char| !character.is_alphanumeric() && character != '_'))
    }

    /// Renders it.
    pub(super) fn render(&self, scope: Scope<'_>) -> Result<String, TemplateFault> {
        self.render_with(scope, &|value| value)
    }

    /// Renders it with every text percent-encoded.
    pub(super) fn render_url(&self, scope: Scope<'_>) -> Result<String, TemplateFault> {
        self.render_with(scope, &encoded)
    }

    fn render_with(
        &self,
        scope: Scope<'_>,
        write: &dyn Fn(LiquidValue) -> LiquidValue,
    ) -> Result<String, TemplateFault> {
        if self.is_constant() {
            return Ok(self.source.clone());
        }
        let globals = scope.globals(&self.source, write);
        self.template.render(&globals).map_err(|error| render_fault(&error))
    }
}

impl Scope<'_> {
    /// The names that a template mentions, with their values.
    fn globals(&self, source: &str, write: &dyn Fn(LiquidValue) -> LiquidValue) -> Object {
        let mut globals = Object::new();
        let mut add = |name: &str, value: LiquidValue| {
            globals.insert(name.to_owned().into(), value);
        };
        add("stream", write(LiquidValue::scalar(self.stream.to_owned())));
        add("operation", write(LiquidValue::scalar(self.operation.to_owned())));
        if source.contains("row") {
            let rows: Vec<LiquidValue> = self.rows.iter().map(|row| write(self.object(row))).collect();
            if let (true, Some(row)) = (self.single, rows.first()) {
                add("row", row.clone());
            }
            add("rows", LiquidValue::Array(rows));
        }
        if self.single
            && let Some(row) = self.rows.first()
        {
            for name in self.optional.iter().filter(|name| !self.fields.contains(name)) {
                add(name, LiquidValue::Nil);
            }
            for (name, cell) in self.fields.iter().zip(&row.cells) {
                if source.contains(name.as_str()) {
                    add(name, write(liquid_value(cell)));
                }
            }
        }
        globals
    }

    fn object(&self, row: &Row) -> LiquidValue {
        let mut object = Object::new();
        for (name, cell) in self.fields.iter().zip(&row.cells) {
            object.insert(name.clone().into(), liquid_value(cell));
        }
        LiquidValue::Object(object)
    }

    /// The JSON of a name by itself: a field, `row` or `rows`; `None` for any other name.
    fn json(&self, name: &str) -> Option<Vec<u8>> {
        if self.single {
            let row = self.rows.first()?;
            if let Some(index) = self.fields.iter().position(|field| field == name) {
                return row.cells.get(index).cloned();
            }
            if name == "row" {
                return Some(row.json(self.fields));
            }
            if self.optional.iter().any(|field| field == name) {
                return Some(b"null".to_vec());
            }
        }
        (name == "rows").then(|| super::request::array(self.fields, self.rows))
    }
}

/// A cell's JSON as Liquid sees it.
fn liquid_value(cell: &[u8]) -> LiquidValue {
    let value: Value = serde_json::from_slice(cell).unwrap_or(Value::Null);
    liquid::model::to_value(&value).unwrap_or(LiquidValue::Nil)
}

fn encoded(value: LiquidValue) -> LiquidValue {
    match value {
        LiquidValue::Array(values) => LiquidValue::Array(values.into_iter().map(encoded).collect()),
        LiquidValue::Object(object) => {
            LiquidValue::Object(object.into_iter().map(|(name, value)| (name, encoded(value))).collect())
        }
        LiquidValue::Scalar(scalar) => {
            let text = scalar.into_string().to_string();
            LiquidValue::scalar(utf8_percent_encode(&text, COMPONENT).to_string())
        }
        other => other,
    }
}

/// A JSON body whose texts are templates.
#[derive(Debug)]
pub(super) enum Json {
    /// Numbers, booleans, null, and texts without a template: as they are.
    Constant(Vec<u8>),
    /// A name alone, whose JSON value it is.
    Name(String, Text),
    /// A text.
    Text(Text),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Parses the templates in a JSON value.
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => {
                let parsed = Text::parse(text)?;
                match alone(text) {
                    Some(name) => Self::Name(name.to_owned(), parsed),
                    None if parsed.is_constant() => Self::Constant(value.to_string().into_bytes()),
                    None => Self::Text(parsed),
                }
            }
            Value::Array(items) => Self::List(items.iter().map(Self::parse).collect::<Result<_, _>>()?),
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Self::parse(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => Self::Constant(other.to_string().into_bytes()),
        })
    }

    /// Appends the body.
    pub(super) fn render(&self, scope: Scope<'_>, omit_null: bool, out: &mut Vec<u8>) -> Result<(), TemplateFault> {
        match self {
            Self::Constant(json) => out.extend_from_slice(json),
            Self::Name(name, text) => match scope.json(name) {
                Some(json) => out.extend_from_slice(&json),
                None => push_text(&text.render(scope)?, out),
            },
            Self::Text(text) => push_text(&text.render(scope)?, out),
            Self::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.render(scope, omit_null, out)?;
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                let mut first = true;
                for (name, member) in members {
                    let before = out.len();
                    if !first {
                        out.push(b',');
                    }
                    push_text(name, out);
                    out.push(b':');
                    let value = out.len();
                    member.render(scope, omit_null, out)?;
                    if omit_null && out[value..] == *b"null" {
                        out.truncate(before);
                    } else {
                        first = false;
                    }
                }
                out.push(b'}');
            }
        }
        Ok(())
    }
}

/// The name in a text that is `{{ name }}` and nothing else.
fn alone(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let simple = |character: char| character.is_alphanumeric() || character == '_';
    (!name.is_empty() && name.chars().all(simple)).then_some(name)
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(Value::from(text).to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use tapline_core::RowId;

    use super::*;

    fn scope_over<'a>(fields: &'a [String], rows: &'a [Row]) -> Scope<'a> {
        Scope { fields, optional: &[], rows, stream: "people", operation: "insert", single: rows.len() == 1 }
    }

    fn row(cells: &[&str]) -> Row {
        Row { id: RowId { seq: 0, ordinal: 0 }, cells: cells.iter().map(|cell| cell.as_bytes().to_vec()).collect() }
    }

    fn fields() -> Vec<String> {
        ["id", "name", "tags"].map(str::to_owned).to_vec()
    }

    #[test]
    fn texts_and_urls() {
        let (fields, rows) = (fields(), [row(&["7", r#""Zoë /\"x\"""#, r#"["a",1.50]"#])]);
        let scope = scope_over(&fields, &rows);
        for (source, text) in [
            ("{{ id }} of {{ stream }}: {{ operation }}", "7 of people: insert"),
            ("{{ name | json }}", r#""Zoë /\"x\"""#),
            ("{{ row.name | upcase }}", "ZOË /\"X\""),
            ("{% for row in rows %}{{ row.id }};{% endfor %}", "7;"),
            ("{{ tags | json }}", r#"["a",1.5]"#),
            ("plain", "plain"),
        ] {
            assert_eq!(Text::parse(source).unwrap().render(scope).as_deref(), Ok(text), "{source}");
        }
        let url = Text::parse("https://a.test/{{ id }}/{{ name }}").unwrap();
        assert_eq!(url.render_url(scope).unwrap(), "https://a.test/7/Zo%C3%AB%20%2F%22x%22");
    }

    #[test]
    fn only_names_in_tags_are_mentioned() {
        let fields = fields();
        for (source, mentions) in [
            ("https://a.test/rows/{{ stream }}/id", false),
            ("https://a.test/{{ id }}", true),
            ("https://a.test/{{ row.id | upcase }}", true),
            ("{% if name %}a{% endif %}", true),
            ("{{ idea }}", false),
        ] {
            assert_eq!(Text::parse(source).unwrap().mentions_rows(&fields), mentions, "{source}");
        }
    }

    #[test]
    fn names_that_are_no_fields_are_told() {
        let (fields, rows) = (fields(), [row(&["7", "null", "null"])]);
        let scope = scope_over(&fields, &rows);
        let unknown = |source: &str| Text::parse(source).unwrap().render(scope);
        assert_eq!(unknown("{{ nmae }}"), Err(TemplateFault::Unknown("nmae".to_owned())));
        assert_eq!(unknown("{{ name }}").as_deref(), Ok(""));
        let optional = ["nmae".to_owned()];
        let scope = Scope { optional: &optional, ..scope };
        assert_eq!(Text::parse("{{ nmae }}").unwrap().render(scope).as_deref(), Ok(""));
        assert!(Text::parse("{{ name | nofilter }}").is_err());
    }

    #[test]
    fn bodies_of_json_keep_values_exact() {
        let fields = fields();
        let rows = [row(&["7", "null", r#"[12345678901234567890.10]"#])];
        let value = serde_json::json!({
            "id": "{{ id }}", "text": "no. {{ id }}", "name": "{{ name }}", "tags": "{{ tags }}", "fixed": [true, "x"],
        });
        let json = Json::parse(&value).unwrap();
        let mut out = Vec::new();
        json.render(scope_over(&fields, &rows), true, &mut out).unwrap();
        let expected = r#"{"id":7,"text":"no. 7","tags":[12345678901234567890.10],"fixed":[true,"x"]}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let rows = [rows[0].clone(), row(&["8", "null", "null"])];
        let mut out = Vec::new();
        let batch = Json::parse(&serde_json::json!({ "records": "{{ rows }}" })).unwrap();
        batch.render(scope_over(&fields, &rows), false, &mut out).unwrap();
        let expected =
            r#"{"records":[{"id":7,"name":null,"tags":[12345678901234567890.10]},{"id":8,"name":null,"tags":null}]}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
