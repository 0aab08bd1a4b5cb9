//! Plain DataFusion for comparison: `plain_datafusion SQL stream|rows [newlines]`, with its own reader of CSV and nothing of ours.
//! `stream` writes Arrow IPC to stdout, `rows` lines of values; `newlines` says that quoted values hold line breaks.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use std::io::Write;

use arrow::ipc::writer::StreamWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;
use datafusion::prelude::{CsvReadOptions, SessionContext};
use futures::StreamExt;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sql, kind, rest @ ..] = arguments.as_slice() else {
        println!("usage: plain_datafusion SQL stream|rows [newlines]");
        return Ok(());
    };
    // The file's name in quotes becomes a table of that file.
    let (before, file, after) = match sql.split('\'').collect::<Vec<_>>().as_slice() {
        [before, file, after] => ((*before).to_owned(), (*file).to_owned(), (*after).to_owned()),
        _ => return datafusion::common::exec_err!("the SQL has to name one file in single quotes"),
    };
    let context = SessionContext::new();
    let newlines = rest.iter().any(|argument| argument == "newlines");
    let mut options = CsvReadOptions::new().newlines_in_values(newlines);
    if newlines {
        // Its detection of types cuts later chunks of the file at any line break.
        options = options.schema_infer_max_records(10);
    }
    context.register_csv("file", &file, options).await?;
    let mut batches = context.sql(&format!("{before}file{after}")).await?.execute_stream().await?;
    let output = std::io::BufWriter::new(std::io::stdout().lock());
    if kind == "stream" {
        let mut writer = StreamWriter::try_new(output, &batches.schema())?;
        while let Some(batch) = batches.next().await {
            writer.write(&batch?)?;
        }
        writer.finish()?;
        return Ok(());
    }
    let mut output = output;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let options = FormatOptions::default();
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            writeln!(output, "{}", cells.join(","))?;
        }
    }
    Ok(())
}
