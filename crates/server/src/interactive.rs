//! Work that somebody waits for: queries, previews, plans, discovery, within limits of number, time and memory.
//! Not here: runs, which wait for nobody.
//! Called by the routes that read sources.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use tapline_core::codes;
use tapline_engine::{Access, Limits, ScanReport, Session};
use tapline_storage::S3Source;

use crate::apart::apart;
use crate::app::App;
use crate::problem::{Problem, Result};
use crate::rows::{Layout, Rows};

/// How long such work may take where nothing else is said.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take at most.
pub const MOST_TIME: Duration = Duration::from_secs(600);
/// The memory of one statement, in bytes.
pub const MEMORY_BYTES: usize = 256 << 20;
/// Rows of one response.
pub const MOST_ROWS: usize = 10_000;
/// How long a request waits for room.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);

/// What a statement that somebody waits for may use.
pub fn limits() -> Limits {
    Limits { memory_bytes: MEMORY_BYTES, ..Limits::default() }
}

/// Does `work` when there is room for it, and gives up after `time`.
///
/// # Errors
/// `API-005` for want of room or time, and what the work meets.
pub async fn within<T>(app: &App, time: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let room = tokio::time::timeout(ROOM_TIMEOUT, app.interactive.acquire()).await;
    let Ok(Ok(_room)) = room else {
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            codes::API_005,
            "as many queries are under way as may be at once",
        );
        return Err(problem.hint("try again in a moment").retry_after(ROOM_TIMEOUT.as_secs()));
    };
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
        let detail = format!("it was not done within {} s", time.as_secs_f64());
        Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, codes::API_005, detail)
            .hint("ask for less, such as fewer files or rows"))
    })
}

/// The time limit that a request asks for.
///
/// # Errors
/// One beyond what is allowed.
pub fn time_limit(milliseconds: Option<u64>) -> Result<Duration> {
    let time = milliseconds.map_or(TIME_LIMIT, Duration::from_millis);
    if time.is_zero() || time > MOST_TIME {
        return Err(Problem::malformed(format!("`timeout_ms` has to be from 1 to {}", MOST_TIME.as_millis())));
    }
    Ok(time)
}

/// Runs a statement over a source; the response holds its first `limit` rows. `pointer` is where the SQL stands in the
/// request.
///
/// # Errors
/// What is wrong with the SQL, and what reading meets.
pub async fn rows(source: Arc<S3Source>, sql: &str, limit: usize, pointer: &str) -> Result<Response> {
    let rows = Rows::new(Layout::Lists, limit);
    let wanted = rows.wanted();
    let (rows, scan) = executed(source, sql, rows, Some(wanted), pointer).await?;
    Ok(rows.into_response(&scan)?)
}

async fn executed(
    source: Arc<S3Source>,
    sql: &str,
    mut rows: Rows,
    limit: Option<usize>,
    pointer: &str,
) -> Result<(Rows, ScanReport)> {
    let statement = sql.to_owned();
    let done = apart(move || async move {
        let session = Session::open(Access::Source(source), limits())?;
        let scan = tapline_engine::execute(&session, &statement, limit, &mut rows).await?;
        Ok((rows, scan))
    });
    done.await.map_err(|error| Problem::of_sql(&error, sql, pointer))
}

/// Runs a statement of our own over a source and returns the values of its one row.
///
/// # Errors
/// What is wrong with the SQL, and what reading meets.
pub async fn one_row(source: Arc<S3Source>, sql: &str, pointer: &str) -> Result<Vec<Value>> {
    let (rows, _) = executed(source, sql, Rows::new(Layout::Lists, 1), None, pointer).await?;
    let rows: Vec<Vec<Value>> = serde_json::from_slice(&rows.into_json())
        .map_err(|error| tapline_core::Error::internal("reading a row").because(error))?;
    Ok(rows.into_iter().next().unwrap_or_default())
}
