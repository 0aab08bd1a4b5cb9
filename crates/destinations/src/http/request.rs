//! From rows to requests: which template an operation has, and what it renders to.
//! Not here: sending (`client`), and what an answer means (`answer`).
//! Called by the carrier of a run, and by lints.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use tapline_core::templates::TemplateFault;
use tapline_core::{Op, Secret};
use url::Url;

use super::config::{Config, Format, Method, Request};
use super::template::{Json, Scope, Text};
use crate::delivery::{Kind, Row};

/// The requests of a destination.
#[derive(Debug)]
pub(super) struct Requests {
    insert: Template,
    update: Template,
    delete: Option<Template>,
    content_type: Option<HeaderValue>,
    idempotency: Option<HeaderName>,
    omit_null: bool,
}

/// How the rows of one operation are sent.
#[derive(Debug)]
pub(super) struct Template {
    method: reqwest::Method,
    url: Text,
    headers: Vec<(HeaderName, Text)>,
    body: Body,
    /// Rows of a request at most.
    pub(super) rows: usize,
}

#[derive(Debug)]
enum Body {
    Nothing,
    /// The rows themselves.
    Rows(Format),
    Text(Text),
    Json(Json),
}

/// A request, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) method: reqwest::Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why rows cannot be made into a request: what is wrong, without values.
pub(super) type Unfit = String;

impl Requests {
    /// Parses all templates.
    ///
    /// # Errors
    /// Everything that is wrong with them, each line with its key.
    pub(super) fn parse(config: &Config) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let base = Request::default();
        let insert = template(config, "insert", config.insert.as_ref().unwrap_or(&base), false, &mut problems);
        let update = template(config, "update", config.update.as_ref().unwrap_or(&base), false, &mut problems);
        let delete = config.delete.as_ref().map(|delete| template(config, "delete", delete, true, &mut problems));
        let lines = config.batch.is_some_and(|batch| batch.format == Format::Lines);
        let usual = if lines { "application/x-ndjson" } else { "application/json" };
        let content_type = HeaderValue::from_str(config.content_type.as_deref().unwrap_or(usual)).ok();
        if content_type.is_none() {
            problems.push("content_type: is no value of a header".to_owned());
        }
        let idempotency = match config.idempotency_header.as_deref().map(str::parse::<HeaderName>) {
            Some(Err(_)) => {
                problems.push("idempotency_header: is no name of a header".to_owned());
                None
            }
            other => other.and_then(Result::ok),
        };
        // What stands in the base is found in each request that takes it over.
        problems.sort();
        problems.dedup();
        match (insert, update, delete.transpose()) {
            (Ok(insert), Ok(update), Ok(delete)) if problems.is_empty() => {
                Ok(Self { insert, update, delete, content_type, idempotency, omit_null: config.omit_null })
            }
            _ => Err(problems),
        }
    }

    /// How rows of a kind are sent; `None` for deletions where the settings do not say.
    pub(super) fn of(&self, kind: Kind) -> Option<&Template> {
        match kind.op {
            Op::Delete => self.delete.as_ref(),
            Op::Update => Some(&self.update),
            Op::Insert => Some(&self.insert),
            Op::Upsert if kind.known => Some(&self.update),
            Op::Upsert => Some(&self.insert),
        }
    }

    /// The first name in the templates that is no field, where rows have these fields, and deletions these.
    pub(super) fn unknown_name(
        &self,
        fields: &[String],
        key: &[String],
        optional: &[String],
    ) -> Option<(&'static str, String)> {
        let id = tapline_core::RowId { seq: 0, ordinal: 0 };
        let unknown = |request: &Template, operation: &'static str, fields: &[String]| {
            let row = Row { id, cells: vec![b"null".to_vec(); fields.len()] };
            let scope =
                Scope { fields, optional, rows: &[row], stream: "stream", operation, single: request.rows == 1 };
            request.unknown_name(scope, self.omit_null).map(|name| (operation, name))
        };
        unknown(&self.insert, "insert", fields)
            .or_else(|| unknown(&self.update, "update", fields))
            .or_else(|| self.delete.as_ref().and_then(|delete| unknown(delete, "delete", key)))
    }

    /// Renders the request for some rows.
    pub(super) fn prepare(
        &self,
        kind: Kind,
        fields: &[String],
        rows: &[Row],
        around: Around<'_>,
    ) -> Result<Prepared, Unfit> {
        let request = self.of(kind).ok_or("the destination has no request that deletes rows")?;
        let scope = Scope {
            fields,
            optional: around.optional,
            rows,
            stream: around.stream,
            operation: operation(kind),
            single: request.rows == 1,
        };
        let url = request.url.render_url(scope).map_err(|fault| unfit("url", &fault))?;
        if request.leads_elsewhere(&url) {
            return Err("with its values the URL's path has an empty part, or one that leads elsewhere".to_owned());
        }
        let url = Url::parse(&url).map_err(|_| "with its values the URL is none")?;
        if url.origin() != around.origin.origin() {
            return Err("with its values the URL leads to another host".to_owned());
        }
        let mut headers = HeaderMap::new();
        for (name, text) in &request.headers {
            let value = text.render(scope).map_err(|fault| unfit(&format!("header {name}"), &fault))?;
            let value = HeaderValue::from_str(&value).map_err(|_| {
                format!("the header {name} cannot carry its values: they hold line ends or other controls")
            })?;
            headers.insert(name, value);
        }
        let body = request.body(scope, self.omit_null).map_err(|fault| unfit("body", &fault))?;
        if let Some(body) = &body
            && !headers.contains_key(CONTENT_TYPE)
            && !body.is_empty()
            && let Some(content_type) = &self.content_type
        {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        if let Some(name) = &self.idempotency
            && let Ok(value) = HeaderValue::from_str(&identity(kind, fields, rows, around.stream))
        {
            headers.insert(name, value);
        }
        Ok(Prepared { method: request.method.clone(), url, headers, body: body.unwrap_or_default() })
    }
}

/// What a request knows besides its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) stream: &'a str,
    pub(super) origin: &'a Url,
    pub(super) optional: &'a [String],
}

impl Template {
    fn body(&self, scope: Scope<'_>, omit_null: bool) -> Result<Option<Vec<u8>>, TemplateFault> {
        Ok(match &self.body {
            Body::Nothing => None,
            Body::Text(text) => Some(text.render(scope)?.into_bytes()),
            Body::Json(json) => {
                let mut out = Vec::new();
                json.render(scope, omit_null, &mut out)?;
                Some(out)
            }
            Body::Rows(Format::Array) if self.rows > 1 => Some(array(scope.fields, scope.rows)),
            Body::Rows(Format::Array) => scope.rows.first().map(|row| row.json(scope.fields)),
            Body::Rows(Format::Lines) => {
                let lines = scope.rows.iter().map(|row| [row.json(scope.fields), b"\n".to_vec()].concat());
                Some(lines.collect::<Vec<_>>().concat())
            }
        })
    }

    fn unknown_name(&self, scope: Scope<'_>, omit_null: bool) -> Option<String> {
        let name = |fault: TemplateFault| match fault {
            TemplateFault::Unknown(name) => Some(name),
            // Whether a value has a part shows only in the rows.
            TemplateFault::Absent { .. } | TemplateFault::Unfit(_) => None,
        };
        let in_body = self.body(scope, omit_null).err().and_then(name);
        let texts = self.headers.iter().map(|(_, text)| text).chain([&self.url]);
        in_body.or_else(|| texts.filter_map(|text| text.render(scope).err().and_then(name)).next())
    }

    /// Whether values have made parts of the path empty or into steps upwards: `DELETE /people/` and `DELETE /people/..`
    /// mean something else than to delete a row.
    fn leads_elsewhere(&self, rendered: &str) -> bool {
        let path = |url: &str| url.split(['?', '#']).next().unwrap_or_default().to_owned();
        let empty = |path: &str| path.split('/').filter(|part| part.is_empty()).count();
        let rendered = path(rendered);
        let upwards = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        empty(&rendered) > empty(&path(self.url.source())) || rendered.split('/').any(upwards)
    }

    /// Whether each row has a URL of its own, so that a missing one says something about the row.
    pub(super) fn has_url_per_row(&self, fields: &[String]) -> bool {
        self.url.mentions_rows(fields)
    }
}

/// What is to be done, as templates say it.
fn operation(kind: Kind) -> &'static str {
    match kind.op {
        Op::Delete => "delete",
        Op::Update => "update",
        Op::Insert => "insert",
        Op::Upsert => "upsert",
    }
}

/// The rows as a JSON array.
pub(super) fn array(fields: &[String], rows: &[Row]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&row.json(fields));
    }
    out.push(b']');
    out
}

/// Names a request by what it does: the same rows with the same values give the same name, in whatever run.
fn identity(kind: Kind, fields: &[String], rows: &[Row], stream: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{} {stream}\n", operation(kind)));
    for row in rows {
        hasher.update(row.json(fields));
        hasher.update(b"\n");
    }
    hasher.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unfit(part: &str, fault: &TemplateFault) -> Unfit {
    match fault {
        TemplateFault::Unknown(name) => format!("the template of its {part} uses {name}, which is no field"),
        TemplateFault::Absent { value, part: absent } => {
            format!("the template of its {part} cannot be rendered with its values: {value} has no {absent}")
        }
        TemplateFault::Unfit(None) => format!("the template of its {part} cannot be rendered with its values"),
        TemplateFault::Unfit(Some(why)) => {
            format!("the template of its {part} cannot be rendered with its values: {why}")
        }
    }
}

/// Parses the templates of one operation; what it leaves out is the destination's own.
fn template(
    config: &Config,
    operation: &str,
    request: &Request,
    deletes: bool,
    problems: &mut Vec<String>,
) -> Result<Template, ()> {
    let before = problems.len();
    let mut told = |own: bool, key: &str, problem: String| {
        problems.push(if own { format!("{operation}.{key}: {problem}") } else { format!("{key}: {problem}") });
    };
    let usual = if deletes { Method::Delete } else { config.method() };
    let source = request.url.as_deref().unwrap_or(&config.url);
    if source.contains("url_encode") {
        told(request.url.is_some(), "url", "values are percent-encoded already: take `url_encode` out".to_owned());
    }
    let url = Text::parse(source).map_err(|problem| told(request.url.is_some(), "url", problem)).ok();
    let mut all: IndexMap<&str, (&Secret, bool)> =
        config.headers.iter().map(|(name, value)| (name.as_str(), (value, false))).collect();
    all.extend(request.headers.iter().map(|(name, value)| (name.as_str(), (value, true))));
    let mut headers = Vec::with_capacity(all.len());
    for (name, (value, own)) in all {
        match (name.parse::<HeaderName>(), Text::parse(value.expose())) {
            (Ok(name), Ok(text)) => headers.push((name, text)),
            (Err(_), _) => told(own, "headers", format!("`{}` is no name of a header", name.escape_debug())),
            (_, Err(problem)) => told(own, &format!("headers.{name}"), problem),
        }
    }
    let own = request.body.is_some() || request.json.is_some();
    let (text, json) = if own || deletes { (&request.body, &request.json) } else { (&config.body, &config.json) };
    let usual_body = if deletes || config.method == Some(Method::Get) {
        Body::Nothing
    } else {
        Body::Rows(config.batch.map_or(Format::Array, |batch| batch.format))
    };
    let body = match (text, json) {
        (Some(_), Some(_)) => {
            told(own, "json", "a request has one of `body` and `json`".to_owned());
            Body::Nothing
        }
        (Some(text), None) => Text::parse(text).map_or_else(
            |problem| {
                told(own, "body", problem);
                Body::Nothing
            },
            Body::Text,
        ),
        (None, Some(json)) => Json::parse(json).map_or_else(
            |problem| {
                told(own, "json", problem);
                Body::Nothing
            },
            Body::Json,
        ),
        (None, None) => usual_body,
    };
    let rows = request.rows.unwrap_or(if deletes { 1 } else { config.rows() });
    match url {
        Some(url) if problems.len() == before => {
            Ok(Template { method: request.method.unwrap_or(usual).into(), url, headers, body, rows })
        }
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use tapline_core::RowId;

    use super::*;

    fn requests(yaml: &str) -> (Requests, Url) {
        let node = tapline_core::yaml::parse(yaml, "test").unwrap();
        let config: Config = tapline_core::yaml::from_node(&node).unwrap();
        (Requests::parse(&config).unwrap(), config.origin().unwrap())
    }

    fn row(id: &str, name: &str) -> Row {
        Row { id: RowId { seq: 0, ordinal: 0 }, cells: vec![id.into(), name.into()] }
    }

    fn kind(op: Op, known: bool) -> Kind {
        Kind { op, known }
    }

    fn prepare(yaml: &str, kind: Kind, rows: &[Row]) -> Result<Prepared, Unfit> {
        let (requests, origin) = requests(yaml);
        let fields = ["id".to_owned(), "name".to_owned()];
        requests.prepare(kind, &fields, rows, Around { stream: "people", origin: &origin, optional: &[] })
    }

    #[test]
    fn each_operation_has_its_request() {
        let yaml = "{ url: https://a.test/people, headers: { X-Op: '{{ operation }}' }, \
                    update: { url: 'https://a.test/people/{{ id }}', method: PATCH }, \
                    delete: { url: 'https://a.test/people/{{ id }}' } }";
        let rows = [row("7", "\"a\"")];
        let told = |kind| {
            let prepared = prepare(yaml, kind, &rows).unwrap();
            let operation = prepared.headers["x-op"].to_str().unwrap().to_owned();
            (prepared.method.to_string(), prepared.url.path().to_owned(), operation, prepared.body)
        };
        let body = br#"{"id":7,"name":"a"}"#.to_vec();
        let expected = |method: &str, path: &str, op: &str, body: &[u8]| {
            (method.to_owned(), path.to_owned(), op.to_owned(), body.to_vec())
        };
        assert_eq!(told(kind(Op::Upsert, false)), expected("POST", "/people", "upsert", &body));
        assert_eq!(told(kind(Op::Upsert, true)), expected("PATCH", "/people/7", "upsert", &body));
        assert_eq!(told(kind(Op::Insert, false)), expected("POST", "/people", "insert", &body));
        assert_eq!(told(kind(Op::Delete, true)), expected("DELETE", "/people/7", "delete", b""));
    }

    #[test]
    fn several_rows_are_an_array_or_lines() {
        let rows = [row("1", "\"a\""), row("2", "null")];
        let body = |format: &str| {
            let yaml = format!("{{ url: https://a.test, batch: {{ rows: 10, format: {format} }} }}");
            let prepared = prepare(&yaml, kind(Op::Upsert, false), &rows).unwrap();
            let content_type = prepared.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
            (content_type, String::from_utf8(prepared.body).unwrap())
        };
        let (first, second) = (r#"{"id":1,"name":"a"}"#, r#"{"id":2,"name":null}"#);
        assert_eq!(body("array"), ("application/json".to_owned(), format!("[{first},{second}]")));
        assert_eq!(body("lines"), ("application/x-ndjson".to_owned(), format!("{first}\n{second}\n")));
    }

    #[test]
    fn a_request_is_named_by_its_rows() {
        let name = |rows: &[Row], known: bool| {
            let yaml = "{ url: https://a.test, idempotency_header: Idempotency-Key }";
            prepare(yaml, kind(Op::Upsert, known), rows).unwrap().headers["idempotency-key"].clone()
        };
        let first = name(&[row("1", "\"a\"")], false);
        assert_eq!(first, name(&[row("1", "\"a\"")], true));
        assert_ne!(first, name(&[row("1", "\"b\"")], false));
        assert_ne!(first, name(&[row("2", "\"a\"")], false));
    }

    #[test]
    fn values_reach_neither_the_host_nor_other_headers() {
        let rows = [row("1", r#""a\r\nX-Evil: 1""#)];
        let unfit =
            prepare("{ url: https://a.test, headers: { X-Name: '{{ name }}' } }", kind(Op::Upsert, false), &rows);
        assert!(unfit.unwrap_err().contains("x-name"));
        let rows = [row("1", r#""../../@evil.test/?x#y""#)];
        let prepared = prepare("url: 'https://a.test/{{ name }}'", kind(Op::Upsert, false), &rows).unwrap();
        assert_eq!(prepared.url.host_str(), Some("a.test"));
        assert_eq!((prepared.url.query(), prepared.url.fragment()), (None, None));
    }

    #[test]
    fn values_do_not_change_what_a_path_means() {
        let yaml = "url: 'https://a.test/people/{{ name }}'";
        for (name, sent) in [("\"\"", false), ("null", false), ("\".\"", false), ("\"..\"", false), ("\"..a\"", true)] {
            assert_eq!(prepare(yaml, kind(Op::Upsert, false), &[row("1", name)]).is_ok(), sent, "{name}");
        }
        let query = "url: 'https://a.test/people/?name={{ name }}'";
        assert!(prepare(query, kind(Op::Upsert, false), &[row("1", "null")]).is_ok());
    }

    #[test]
    fn unknown_names_are_found_without_rows() {
        let fields = ["id".to_owned(), "name".to_owned()];
        let unknown = |yaml: &str| requests(yaml).0.unknown_name(&fields, &fields[..1], &[]);
        assert_eq!(unknown("url: 'https://a.test/{{ id }}/{{ row.name }}'"), None);
        // A field may hold an object in some rows and NULL in others.
        assert_eq!(
            unknown("{ url: 'https://a.test/{{ id }}', json: { city: '{{ name.city }}, {{ name.zip }}' } }"),
            None
        );
        let found = |operation, name: &str| Some((operation, name.to_owned()));
        assert_eq!(unknown("url: 'https://a.test/{{ idd }}'"), found("insert", "idd"));
        assert_eq!(unknown("{ url: https://a.test, json: { a: ['{{ nmae }}'] } }"), found("insert", "nmae"));
        let delete = "{ url: https://a.test, delete: { url: 'https://a.test/{{ name }}' } }";
        assert_eq!(unknown(delete), found("delete", "name"));
        // Several rows have no fields of their own.
        assert_eq!(unknown("{ url: 'https://a.test/{{ id }}', batch: { rows: 2 } }"), found("insert", "id"));
    }
}
