//! Errors as RFC 9457 problems, with the codes and hints of the command line.
//! Not here: the errors' texts, which are made where they happen.
//! Called by every route and extractor, through `?`.

use std::fmt::Write;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tapline_core::yaml::ConfigErrors;
use tapline_core::{Class, Code, Error, codes};
use utoipa::ToSchema;

/// `Result` with a [`Problem`].
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// Why a request was not served.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    body: Box<ProblemBody>,
    retry_after: Option<u64>,
}

/// The body of a problem, `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A page about the code.
    #[serde(rename = "type")]
    page: String,
    /// What the code means.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What was being done, and what went wrong.
    detail: String,
    /// The stable code, as `tapline explain` knows it.
    code: String,
    /// The next steps.
    hints: Vec<String>,
    /// What is wrong in the body, value by value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// One thing that is wrong in a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Which value, as a JSON pointer into the body; empty for the body itself.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
    /// The stable code.
    pub code: String,
    /// The next steps.
    pub hints: Vec<String>,
    /// Line within the value, from 1, where the value is SQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column within the line, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Where the offending word ends: the column behind its last character.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<usize>,
}

impl Problem {
    /// A problem with a status of its own.
    pub fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        let body = ProblemBody {
            page: format!("https://tapline.dev/errors/{}", code.id),
            title: codes::title(code).to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.id.to_owned(),
            hints: Vec::new(),
            errors: Vec::new(),
        };
        Self { status, body: Box::new(body), retry_after: None }
    }

    /// The request cannot be understood.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, codes::API_006, detail)
    }

    /// There is nothing of that name.
    pub fn not_found(noun: &str, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, codes::API_001, format!("there is no {noun} `{name}`"))
    }

    /// What is asked for does not go together with what is there.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, codes::API_002, detail)
    }

    /// Somebody else has changed it since it was read.
    pub fn stale(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, codes::API_003, detail)
            .hint("read it again, and make the change in what it says now")
    }

    /// Settings that cannot be kept, fault by fault.
    pub fn invalid(faults: Vec<Fault>) -> Self {
        let first = faults.first();
        let code = first.and_then(|fault| codes::find(&fault.code)).unwrap_or(codes::CONF_002);
        let detail = match (first, faults.len()) {
            (Some(fault), 1) => fault.detail.clone(),
            (Some(fault), more) => format!("{} (and {} more)", fault.detail, more - 1),
            (None, _) => "the settings are not valid".to_owned(),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
        problem.body.hints = first.map(|fault| fault.hints.clone()).unwrap_or_default();
        problem.body.errors = faults;
        problem
    }

    /// An error that comes from a statement: its place within the SQL goes into `errors`.
    pub fn of_sql(error: &Error, sql: &str, pointer: &str) -> Self {
        let mut problem = Self::from_error(error);
        if error.code().id.starts_with("SQL-") || error.code() == codes::S3_009 {
            problem.body.errors = vec![Fault::of_sql(error, sql, pointer)];
        }
        problem
    }

    /// Adds a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hints.push(hint.into());
        self
    }

    /// Says when to try again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// What went wrong, for somebody at the command line: an error per fault.
    pub fn into_errors(self) -> Vec<Error> {
        let body = *self.body;
        if body.errors.is_empty() {
            let code = codes::find(&body.code).unwrap_or(codes::RUN_003);
            return vec![body.hints.into_iter().fold(Error::new(code, body.detail), Error::hint)];
        }
        let error = |fault: Fault| {
            let code = codes::find(&fault.code).unwrap_or(codes::CONF_002);
            let place = fault.pointer.trim_start_matches('/').to_owned();
            fault.hints.into_iter().fold(Error::new(code, format!("{place}: {}", fault.detail)), Error::hint)
        };
        body.errors.into_iter().map(error).collect()
    }

    /// The faults, with their pointers below `pointer` instead of below the settings of a request.
    pub(crate) fn into_faults(self, pointer: &str) -> Vec<Fault> {
        let body = *self.body;
        if body.errors.is_empty() {
            let code = codes::find(&body.code).unwrap_or(codes::CONF_002);
            return vec![body.hints.into_iter().fold(Fault::new(pointer, code, body.detail), Fault::hint)];
        }
        let moved = |fault: Fault| {
            let below = fault.pointer.strip_prefix("/settings").unwrap_or_default();
            let pointer = if fault.pointer.starts_with(pointer) { fault.pointer } else { format!("{pointer}{below}") };
            Fault { pointer, ..fault }
        };
        body.errors.into_iter().map(moved).collect()
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What went wrong, without the hints.
    pub fn detail(&self) -> &str {
        &self.body.detail
    }

    fn from_error(error: &Error) -> Self {
        let status = status_of(error);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %error.full_message(), code = error.code().id, "a request failed");
        }
        let problem = Self::new(status, error.code(), one_line(&error.full_message()));
        error.hints().iter().fold(problem, Self::hint)
    }
}

impl Fault {
    /// A fault of a value that has no lines.
    pub fn new(pointer: impl Into<String>, code: Code, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
            code: code.id.to_owned(),
            hints: Vec::new(),
            line: None,
            column: None,
            end_column: None,
        }
    }

    /// Adds a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// A fault of the SQL at `pointer`.
    pub fn of_sql(error: &Error, sql: &str, pointer: &str) -> Self {
        let mut fault = Self::new(pointer, error.code(), one_line(&error.full_message()));
        fault.hints = error.hints().to_vec();
        fault.place(sql, error.excerpt_text());
        fault
    }

    /// Takes the place from the lines that show it: `LINE 2: SELECT nmae`, and a caret below.
    pub fn place(&mut self, sql: &str, excerpt: Option<&str>) {
        let Some((line, column)) = excerpt.and_then(|excerpt| position(sql, excerpt)) else { return };
        let text: Vec<char> = sql.lines().nth(line - 1).unwrap_or_default().chars().collect();
        let word = |character: &char| character.is_alphanumeric() || *character == '_';
        let length = text.iter().skip(column - 1).take_while(|character| word(character)).count().max(1);
        (self.line, self.column, self.end_column) = (Some(line), Some(column), Some(column + length));
    }
}

/// Line and column, from 1, that an excerpt points at.
fn position(sql: &str, excerpt: &str) -> Option<(usize, usize)> {
    let (shown, caret) = excerpt.split_once('\n')?;
    let (head, text) = shown.strip_prefix("LINE ")?.split_once(": ")?;
    let line: usize = head.parse().ok()?;
    let indent = caret.chars().take_while(|character| *character == ' ').count();
    let within = indent.checked_sub("LINE : ".len() + head.len())?;
    let Some(cut) = text.strip_prefix('…') else { return Some((line, within + 1)) };
    // The beginning of a long line is not shown: what is shown is looked for.
    let cut = cut.trim_end_matches('…');
    let whole = sql.lines().nth(line.checked_sub(1)?)?;
    let start = whole[..whole.find(cut)?].chars().count();
    Some((line, start + within))
}

/// The status that says best whose turn it is.
fn status_of(error: &Error) -> StatusCode {
    let code = error.code();
    match code.class {
        _ if code == codes::API_001 => StatusCode::NOT_FOUND,
        _ if [codes::API_002, codes::API_004, codes::SYNC_003, codes::STATE_003].contains(&code) => {
            StatusCode::CONFLICT
        }
        _ if code == codes::API_003 => StatusCode::PRECONDITION_FAILED,
        // What the SQL asks for, or the definition, lies outside of the source.
        _ if code == codes::S3_009 => StatusCode::UNPROCESSABLE_ENTITY,
        _ if code == codes::API_006 => StatusCode::BAD_REQUEST,
        _ if code == codes::S3_001 || code == codes::DEST_001 => StatusCode::GATEWAY_TIMEOUT,
        Class::Usage | Class::Guard => StatusCode::UNPROCESSABLE_ENTITY,
        Class::Cancelled => StatusCode::CONFLICT,
        Class::Failure => match code.id.split('-').next().unwrap_or_default() {
            "SQL" | "ROW" | "SYNC" => StatusCode::UNPROCESSABLE_ENTITY,
            "S3" | "FILE" | "DEST" => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// A driver's message may have lines of its own.
fn one_line(message: &str) -> String {
    let mut line = String::new();
    for part in message.lines().map(str::trim).filter(|part| !part.is_empty()) {
        let gap = if line.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(line, "{gap}{part}");
    }
    line
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from_error(&error)
    }
}

impl From<ConfigErrors> for Problem {
    fn from(errors: ConfigErrors) -> Self {
        let fault = |error: tapline_core::yaml::ConfigError| Fault {
            hints: error.hints,
            ..Fault::new(&*error.file, error.code, error.message)
        };
        Self::invalid(errors.0.into_iter().map(fault).collect())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&self.body).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], text).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_becomes_a_place() {
        let sql = "SELECT id,\n  nmae FROM t";
        let error = Error::new(codes::SQL_002, "there is no column nmae").excerpt("LINE 2:   nmae FROM t\n          ^");
        let fault = Fault::of_sql(&error, sql, "/sql");
        assert_eq!((fault.line, fault.column, fault.end_column), (Some(2), Some(3), Some(7)));
    }

    #[test]
    fn a_caret_in_a_long_line_becomes_a_place_too() {
        let sql = format!("SELECT {}x, nmae FROM t", "column_name, ".repeat(9));
        let column = sql.find("nmae").unwrap();
        let start = column - 60;
        let excerpt = format!("LINE 1: …{}\n{}^", &sql[start..], " ".repeat("LINE 1: …".chars().count() + 60));
        assert_eq!(position(&sql, &excerpt), Some((1, column + 1)));
    }

    #[test]
    fn outside_systems_are_not_our_fault() {
        let status = |code| Problem::from(Error::new(code, "x")).status().as_u16();
        assert_eq!(status(codes::S3_004), 502);
        assert_eq!(status(codes::S3_009), 422);
        assert_eq!(status(codes::DEST_001), 504);
        assert_eq!(status(codes::SQL_002), 422);
        assert_eq!(status(codes::MARK_001), 422);
        assert_eq!(status(codes::SYNC_003), 409);
        assert_eq!(status(codes::RUN_003), 500);
    }
}
