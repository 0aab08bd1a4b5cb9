//! The streams of a source: what files there are, and which columns they have.
//! Not here: listing and grouping by folder (crate `tapline-storage`).
//! Called by `discover` and by the API.

use std::pin::pin;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use futures::StreamExt;
use serde::Serialize;
use serde_json::Value;
use tapline_core::values::duckdb_type_name;
use tapline_core::{ErrorReport, Result, codes};
use tapline_storage::{FileFormat, S3Source, StreamFiles, streams};

use crate::json_schema::row_schema;
use crate::sql::{Session, TableKind};

/// Streams that are looked into at the same time.
const CONCURRENCY: usize = 8;
/// Files of a folder whose columns are compared before the folder counts as one stream.
const COMPARED_FILES: usize = 32;

/// The streams of a source.
#[derive(Debug, Clone, Serialize)]
pub struct Discovery {
    /// By name.
    pub streams: Vec<StreamDescription>,
    /// Names that were not looked into, since their suffix does not fit.
    pub skipped: u64,
}

/// One stream.
#[derive(Debug, Clone, Serialize)]
pub struct StreamDescription {
    /// The path below the source's, without suffix.
    pub name: String,
    /// An s3 URL or a pattern, to be put into FROM.
    pub path: String,
    /// csv, parquet or ndjson.
    pub format: FileFormat,
    /// How many files.
    pub files: usize,
    /// Their size in the bucket.
    pub bytes: u64,
    /// The columns, in order.
    pub columns: Vec<ColumnDescription>,
    /// The rows as JSON Schema, as `--format json` prints them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<Value>,
    /// How CSV is read, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<DialectDescription>,
    /// Why the columns are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
}

/// One column of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnDescription {
    /// Its name.
    pub name: String,
    /// DuckDB's name of its type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// How a CSV stream is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DialectDescription {
    /// Between fields.
    pub delimiter: String,
    /// Around fields, where they need it.
    pub quote: Option<char>,
    /// Before a quote inside a quoted field.
    pub escape: Option<char>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// The character encoding.
    pub encoding: String,
    /// Lines before the table.
    pub skip: u64,
    /// Why, in words.
    pub reasons: Vec<String>,
}

/// Finds the streams of a source. A stream that cannot be read is there with its error; the others are not affected.
///
/// # Errors
/// `S3-…` where the source cannot be listed.
pub async fn discover(session: &Session, source: &Arc<S3Source>) -> Result<Discovery> {
    let manifest = source.list(&source.everything()).await?;
    let skipped = manifest.skipped;
    let found: Vec<Vec<StreamDescription>> = futures::stream::iter(streams(source, manifest))
        .map(|group| describe_group(session, source, group))
        .buffered(CONCURRENCY)
        .collect()
        .await;
    let mut streams: Vec<StreamDescription> = found.into_iter().flatten().collect();
    streams.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Discovery { streams, skipped })
}

/// One stream for a folder whose files share their columns, else one per file.
async fn describe_group(session: &Session, source: &S3Source, group: StreamFiles) -> Vec<StreamDescription> {
    let may_differ = group.files.len() > 1 && !group.hive;
    if !may_differ || share_columns(session, source, &group).await {
        let together = describe(session, source, &group).await;
        // Columns of the same names may still have types that no type holds together.
        let differ = together.error.as_ref().is_some_and(|error| error.code == codes::FILE_003.id);
        if !(may_differ && differ) {
            return vec![together];
        }
    }
    futures::stream::iter(group.split(source))
        .map(async |single| describe(session, source, &single).await)
        .buffered(CONCURRENCY)
        .collect()
        .await
}

async fn share_columns(session: &Session, source: &S3Source, group: &StreamFiles) -> bool {
    let step = group.files.len().div_ceil(COMPARED_FILES);
    let names = futures::stream::iter(group.files.iter().step_by(step))
        .map(async |file| {
            let (schema, _) = session.describe_files(source.bucket(), std::slice::from_ref(file)).await.ok()?;
            Some(schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>())
        })
        .buffered(CONCURRENCY);
    let mut names = pin!(names);
    let Some(Some(first)) = names.next().await else { return false };
    while let Some(other) = names.next().await {
        if other.as_ref() != Some(&first) {
            return false;
        }
    }
    true
}

async fn describe(session: &Session, source: &S3Source, group: &StreamFiles) -> StreamDescription {
    let (schema, dialect, error) = match session.describe_files(source.bucket(), &group.files).await {
        Ok((schema, kind)) => (Some(schema), dialect(&kind), None),
        Err(error) => (None, None, Some(ErrorReport::from(&error))),
    };
    StreamDescription {
        bytes: group.files.iter().map(|file| file.size).sum(),
        files: group.files.len(),
        name: group.name.clone(),
        path: group.path.clone(),
        format: group.format,
        columns: schema.as_ref().map(columns).unwrap_or_default(),
        json_schema: schema.as_ref().map(|schema| row_schema(schema)),
        dialect,
        error,
    }
}

/// The columns of a schema as people see them.
pub fn columns(schema: &SchemaRef) -> Vec<ColumnDescription> {
    let column = |field: &FieldRef| ColumnDescription {
        name: field.name().clone(),
        data_type: duckdb_type_name(field),
        nullable: field.is_nullable(),
    };
    schema.fields().iter().map(column).collect()
}

fn dialect(kind: &TableKind) -> Option<DialectDescription> {
    let TableKind::Csv { format, reasons, .. } = kind else { return None };
    let dialect = &format.dialect;
    Some(DialectDescription {
        delimiter: dialect.delimiter.clone(),
        quote: dialect.quote,
        escape: dialect.escape,
        header: dialect.header,
        encoding: dialect.encoding.clone(),
        skip: dialect.skip,
        reasons: reasons.clone(),
    })
}
