//! What an answer means for the rows of its request.
//! Not here: sending and repeating (`client`, `delivery`).
//! Called by the carrier of a run, by `check` and by lints.

use std::time::Duration;

use chrono::Utc;
use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER};
use jmespath::{Expression, Rcvar, Variable};
use tapline_core::{Error, Op, Outcome, RowOutcome, codes};

use super::config::{Config, Errors};
use crate::delivery::{Carried, Parcel, Row, retry_after};

/// The longest reason of a refusal, in characters.
const LONGEST_REASON: usize = 300;

/// An answer, as far as it was read.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// How answers are read.
#[derive(Debug)]
pub(super) struct Rules {
    success_status: Option<Vec<u16>>,
    success: Option<Expression<'static>>,
    message: Option<Expression<'static>>,
    items: Option<Items>,
    stop_when: Option<Expression<'static>>,
    retry_when: Option<Expression<'static>>,
}

#[derive(Debug)]
struct Items {
    items: Expression<'static>,
    failed: Option<Expression<'static>>,
    index: Option<Expression<'static>>,
    key: Option<Expression<'static>>,
    message: Option<Expression<'static>>,
}

/// What the rows were sent as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) parcel: &'a Parcel,
    /// The key fields' places among the fields of the parcel.
    pub(super) key: &'a [usize],
    /// Whether each row has a URL of its own.
    pub(super) url_per_row: bool,
    /// Host and port, for messages.
    pub(super) host: &'a str,
}

impl Rules {
    /// Compiles the expressions.
    ///
    /// # Errors
    /// Every expression that is none, with its key.
    pub(super) fn parse(config: &Config) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut compile = |key: &str, source: Option<&String>| {
            let source = source?;
            let compiled = jmespath::compile(source);
            compiled.map_err(|_| problems.push(format!("{key}: is no JMESPath expression"))).ok()
        };
        let success = compile("success", config.success.as_ref());
        let message = compile("message", config.message.as_ref());
        let stop_when = compile("stop_when", config.stop_when.as_ref());
        let retry_when = compile("retry_when", config.retry_when.as_ref());
        let items = config.errors.as_ref().and_then(|Errors { items, failed, index, key, message }| {
            let (failed, index) = (compile("errors.failed", failed.as_ref()), compile("errors.index", index.as_ref()));
            let (key, message) = (compile("errors.key", key.as_ref()), compile("errors.message", message.as_ref()));
            compile("errors.items", Some(items)).map(|items| Items { items, failed, index, key, message })
        });
        let unknown = |status: &&u16| StatusCode::from_u16(**status).is_err();
        if config.success_status.iter().flatten().any(|status| unknown(&status)) {
            problems.push("success_status: expected numbers from 100 to 599".to_owned());
        }
        let success_status = config.success_status.clone();
        let rules = Self { success_status, success, message, items, stop_when, retry_when };
        if problems.is_empty() { Ok(rules) } else { Err(problems) }
    }

    fn needs_json(&self) -> bool {
        self.success.is_some()
            || self.message.is_some()
            || self.items.is_some()
            || self.stop_when.is_some()
            || self.retry_when.is_some()
    }

    fn json(&self, answered: &Answered) -> Variable {
        let parsed = if self.needs_json() { serde_json::from_slice(&answered.body).ok() } else { None };
        parsed.unwrap_or(Variable::Null)
    }

    fn is_success(&self, status: StatusCode, json: &Variable) -> bool {
        let status_fits = match &self.success_status {
            Some(statuses) => statuses.contains(&status.as_u16()),
            None => status.is_success(),
        };
        status_fits && self.success.as_ref().is_none_or(|success| holds(success, json))
    }

    /// Reads the answer to a request without rows: why it is no success.
    pub(super) fn read_probe(&self, answered: &Answered, host: &str) -> Result<(), Error> {
        let json = self.json(answered);
        if self.is_success(answered.status, &json) {
            return Ok(());
        }
        let status = answered.status;
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Error::new(codes::DEST_006, format!("{host} answered {status}"))
                .hint("the service is in trouble, or asks for patience: try again later"));
        }
        Err(self.settings_at_fault(status, &json, host))
    }

    /// Reads the answer to a request with rows.
    pub(super) fn read(&self, answered: &Answered, sent: Sent<'_>) -> Carried {
        let status = answered.status;
        let json = self.json(answered);
        let wait = || {
            let header = answered.headers.get(RETRY_AFTER)?.to_str().ok()?;
            retry_after(header, Utc::now())
        };
        let asks_for_patience = status == StatusCode::TOO_MANY_REQUESTS
            || (status == StatusCode::SERVICE_UNAVAILABLE && answered.headers.contains_key(RETRY_AFTER))
            || self.retry_when.as_ref().is_some_and(|expression| holds(expression, &json));
        if asks_for_patience {
            return Carried::Throttled(wait());
        }
        if self.stop_when.as_ref().is_some_and(|expression| holds(expression, &json)) {
            return Carried::Stop(self.settings_at_fault(status, &json, sent.host));
        }
        if self.is_success(status, &json) {
            return match &self.items {
                None => Carried::Taken(Vec::new()),
                Some(items) => items.read(&json, sent),
            };
        }
        let absent = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        if absent && sent.url_per_row {
            match sent.parcel.kind.op {
                // An absent key is deleted already.
                Op::Delete => return Carried::Taken(Vec::new()),
                Op::Update => {
                    let skipped = |row: &Row| RowOutcome { row: row.id, outcome: Outcome::Skipped };
                    return Carried::Taken(sent.parcel.rows.iter().map(skipped).collect());
                }
                Op::Insert | Op::Upsert => {}
            }
        }
        let passing = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY);
        if status.is_server_error() || passing {
            let error = Error::new(codes::DEST_006, format!("{} answered {status}", sent.host))
                .hint("the service is in trouble: look at its status, then run the sync again")
                .retry_after(wait().unwrap_or(Duration::ZERO));
            return Carried::Failed { error, by_rows: true };
        }
        let settings = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            || status.is_redirection()
            || (!sent.url_per_row && (absent || status == StatusCode::METHOD_NOT_ALLOWED));
        if settings {
            return Carried::Stop(self.settings_at_fault(status, &json, sent.host));
        }
        let conflict = status == StatusCode::CONFLICT && sent.parcel.kind.op == Op::Insert;
        let code = if conflict { codes::ROW_003 } else { codes::ROW_002 };
        let reason = match self.told(self.message.as_ref(), &json, &sent.parcel.rows) {
            Some(message) if status.is_success() => format!("the service refused it: {message}"),
            Some(message) => format!("the service answered {status}: {message}"),
            None => format!("the service answered {status}"),
        };
        Carried::Refused { code, reason }
    }

    fn told(&self, expression: Option<&Expression<'static>>, json: &Variable, rows: &[Row]) -> Option<String> {
        expression.and_then(|expression| search(expression, json)).and_then(|found| words(&found, rows))
    }

    /// The error of an answer that no other row would change.
    fn settings_at_fault(&self, status: StatusCode, json: &Variable, host: &str) -> Error {
        let told = self.told(self.message.as_ref(), json, &[]);
        let told = told.map(|message| format!(": {message}")).unwrap_or_default();
        let message = format!("{host} answered {status}{told}");
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Error::new(codes::DEST_002, message).hint("look at the destination's `auth`; `tapline check` tries it")
            }
            StatusCode::FORBIDDEN => {
                Error::new(codes::DEST_003, message).hint("the credentials need the right to write this")
            }
            _ if status.is_redirection() => Error::new(codes::DEST_004, message)
                .hint("the service has moved: set `url` to the place that its documentation names now")
                .hint("credentials and rows are not sent after a redirection to another host"),
            _ if status.is_success() => {
                Error::new(codes::DEST_002, message).hint("look at the destination's settings and credentials")
            }
            _ => Error::new(codes::DEST_004, message).hint("look at the destination's `url` and `method`"),
        }
    }
}

impl Items {
    /// Finds the rows that a list of refusals names.
    fn read(&self, json: &Variable, sent: Sent<'_>) -> Carried {
        let found = search(&self.items, json);
        let items = found.as_ref().and_then(|found| found.as_array()).map(Vec::as_slice).unwrap_or_default();
        let mut outcomes: Vec<RowOutcome> = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let failed = match &self.failed {
                Some(failed) => holds(failed, item),
                None => !item.is_null(),
            };
            if !failed {
                continue;
            }
            let Some(row) = self.row(place, item, sent) else {
                // The others may have been taken, and may not: they are sent again.
                return Carried::Stop(
                    Error::new(codes::DEST_006, format!("{} refused a row that was not among those sent", sent.host))
                        .hint("look at `errors.index` and `errors.key` of the destination"),
                );
            };
            if outcomes.iter().any(|outcome| outcome.row == row.id) {
                continue;
            }
            let message = self.message.as_ref().and_then(|message| search(message, item));
            let told = message.and_then(|found| words(&found, std::slice::from_ref(row)));
            let reason = told.map_or_else(
                || "the service refused it".to_owned(),
                |message| format!("the service refused it: {message}"),
            );
            outcomes.push(RowOutcome { row: row.id, outcome: Outcome::Rejected { code: codes::ROW_002, reason } });
        }
        Carried::Taken(outcomes)
    }

    fn row<'a>(&self, place: usize, item: &Variable, sent: Sent<'a>) -> Option<&'a Row> {
        let rows = &sent.parcel.rows;
        if let Some(key) = &self.key {
            let wanted = search(key, item).filter(|found| !found.is_null())?;
            let wanted = plain(&wanted);
            let [column] = sent.key else { return None };
            return rows.iter().find(|row| row.cells.get(*column).is_some_and(|cell| text_of(cell) == wanted));
        }
        let index = match &self.index {
            None => place,
            Some(index) => {
                let found = search(index, item)?;
                let text = plain(&found);
                text.parse().ok()?
            }
        };
        rows.get(index)
    }
}

/// What an expression finds; `None` where it cannot be evaluated.
fn search(expression: &Expression<'static>, json: &Variable) -> Option<Rcvar> {
    expression.search(json).ok()
}

fn holds(expression: &Expression<'static>, json: &Variable) -> bool {
    search(expression, json).is_some_and(|found| found.is_truthy())
}

/// A value as text: texts without quotes.
fn plain(value: &Variable) -> String {
    value.as_string().cloned().unwrap_or_else(|| value.to_string())
}

/// A cell's JSON as text: texts without quotes.
fn text_of(cell: &[u8]) -> String {
    match serde_json::from_slice(cell) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::from_utf8_lossy(cell).into_owned(),
    }
}

/// The words of a service, without the values of the rows that it may quote, and of a length for one line.
fn words(found: &Variable, rows: &[Row]) -> Option<String> {
    if found.is_null() {
        return None;
    }
    let mut text = plain(found);
    for cell in rows.iter().flat_map(|row| &row.cells) {
        hide(&mut text, &text_of(cell));
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(LONGEST_REASON).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    Some(short).filter(|text| !text.is_empty())
}

/// Replaces a value wherever it stands by itself.
fn hide(text: &mut String, value: &str) {
    if value.is_empty() || value == "null" {
        return;
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(value) {
        let (before, after) = (&rest[..at], &rest[at + value.len()..]);
        shown.push_str(before);
        let inside = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
        let part = inside(shown.chars().next_back()) && inside(value.chars().next())
            || inside(after.chars().next()) && inside(value.chars().next_back());
        shown.push_str(if part { value } else { "…" });
        rest = after;
    }
    shown.push_str(rest);
    *text = shown;
}

#[cfg(test)]
mod tests {
    use tapline_core::RowId;

    use super::*;
    use crate::delivery::Kind;

    fn rules(yaml: &str) -> Rules {
        let node = tapline_core::yaml::parse(&format!("url: https://a.test\n{yaml}"), "test").unwrap();
        Rules::parse(&tapline_core::yaml::from_node(&node).unwrap()).unwrap()
    }

    fn parcel(op: Op, rows: &[&str]) -> Parcel {
        let row = |(ordinal, cell): (usize, &&str)| Row {
            id: RowId { seq: 0, ordinal: ordinal as u32 },
            cells: vec![cell.as_bytes().to_vec()],
        };
        let rows = rows.iter().enumerate().map(row).collect();
        Parcel { kind: Kind { op, known: false }, fields: vec!["id".to_owned()].into(), rows }
    }

    fn read(rules: &Rules, parcel: &Parcel, status: u16, body: &str, url_per_row: bool) -> Carried {
        let answered = Answered {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        rules.read(&answered, Sent { parcel, key: &[0], url_per_row, host: "a.test" })
    }

    fn told(carried: &Carried) -> String {
        match carried {
            Carried::Taken(outcomes) => {
                let row = |outcome: &RowOutcome| match &outcome.outcome {
                    Outcome::Skipped => format!(" {} skipped", outcome.row.ordinal),
                    Outcome::Rejected { reason, .. } => format!(" {} {reason}", outcome.row.ordinal),
                };
                format!("taken{}", outcomes.iter().map(row).collect::<String>())
            }
            Carried::Refused { code, reason } => format!("{} {reason}", code.id),
            Carried::Throttled(_) => "throttled".to_owned(),
            Carried::Failed { error, .. } => format!("failed {}", error.code().id),
            Carried::Stop(error) => format!("stop {} {}", error.code().id, error.message()),
        }
    }

    #[test]
    fn statuses_by_operation() {
        let plain = rules("");
        for (op, status, url_per_row, expected) in [
            (Op::Upsert, 200, false, "taken"),
            (Op::Upsert, 422, false, "ROW-002 the service answered 422 Unprocessable Entity"),
            (Op::Insert, 409, false, "ROW-003 the service answered 409 Conflict"),
            (Op::Delete, 404, true, "taken"),
            (Op::Update, 404, true, "taken 0 skipped"),
            (Op::Upsert, 404, true, "ROW-002 the service answered 404 Not Found"),
            (Op::Upsert, 404, false, "stop DEST-004 a.test answered 404 Not Found"),
            (Op::Upsert, 401, true, "stop DEST-002 a.test answered 401 Unauthorized"),
            (Op::Upsert, 403, true, "stop DEST-003 a.test answered 403 Forbidden"),
            (Op::Upsert, 302, true, "stop DEST-004 a.test answered 302 Found"),
            (Op::Upsert, 429, false, "throttled"),
            (Op::Upsert, 503, false, "failed DEST-006"),
            (Op::Upsert, 408, false, "failed DEST-006"),
        ] {
            let carried = read(&plain, &parcel(op, &["1"]), status, "", url_per_row);
            assert_eq!(told(&carried), expected, "{op:?} {status}");
        }
    }

    #[test]
    fn answers_that_refuse_with_200() {
        let rules = rules(
            "success: ok\nmessage: error\nstop_when: contains(['invalid_auth'], error || '')\nretry_when: error == 'ratelimited'",
        );
        let rows = parcel(Op::Insert, &["1"]);
        for (body, expected) in [
            (r#"{"ok":true}"#, "taken"),
            (r#"{"ok":false,"error":"msg_too_long"}"#, "ROW-002 the service refused it: msg_too_long"),
            (r#"{"ok":false,"error":"invalid_auth"}"#, "stop DEST-002 a.test answered 200 OK: invalid_auth"),
            (r#"{"ok":false,"error":"ratelimited"}"#, "throttled"),
            ("<html>", "ROW-002 the service answered 200 OK"),
        ] {
            assert_eq!(told(&read(&rules, &rows, 200, body, false)), expected, "{body}");
        }
    }

    #[test]
    fn refusals_name_their_rows() {
        let rows = parcel(Op::Upsert, &["\"a\"", "\"b\"", "\"c\""]);
        for (yaml, body, expected) in [
            (
                "{ items: errors, index: at, message: why }",
                r#"{"errors":[{"at":1,"why":"bad"}]}"#,
                "taken 1 the service refused it: bad",
            ),
            ("{ items: errors, key: id }", r#"{"errors":[{"id":"c"}]}"#, "taken 2 the service refused it"),
            (
                "{ items: results, failed: error, message: error }",
                r#"{"results":[{},{},{"error":"x"}]}"#,
                "taken 2 the service refused it: x",
            ),
            ("{ items: errors, index: at }", r#"{"errors":[]}"#, "taken"),
            ("{ items: errors, index: at }", "{}", "taken"),
            (
                "{ items: errors, index: at }",
                r#"{"errors":[{"at":3}]}"#,
                "stop DEST-006 a.test refused a row that was not among those sent",
            ),
        ] {
            let carried = read(&rules(&format!("errors: {yaml}")), &rows, 200, body, false);
            assert_eq!(told(&carried), expected, "{yaml} {body}");
        }
    }

    #[test]
    fn reasons_hold_no_values() {
        let rows = parcel(Op::Upsert, &["\"ada@example.com\""]);
        let body = r#"{"message":"email 'ada@example.com' is taken\n  by another"}"#;
        let carried = read(&rules("message: message"), &rows, 400, body, false);
        assert_eq!(told(&carried), "ROW-002 the service answered 400 Bad Request: email '…' is taken by another");
        let mut text = "row 1 of 12: 1".to_owned();
        hide(&mut text, "1");
        assert_eq!(text, "row … of 12: …");
    }
}
