//! `tapline discover SOURCE`: what a source holds.
//! Not here: how it is found out (`tapline_engine`).
//! Called by the dispatcher in `commands`.

use tapline_engine::{DialectDescription, StreamDescription};

use super::Context;
use crate::cli::Discover;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::human;
use crate::terminal::{self, Paint};
use crate::wiring::{self, Wiring};

/// Prints the streams of a source with their columns.
pub async fn run(arguments: &Discover, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    let source = wiring.source(&arguments.source, "tapline")?;
    let session = wiring::session(&source)?;
    let discovery = Box::pin(tapline_engine::discover(&session, &source)).await?;
    if arguments.report.is_json() {
        terminal::print_json(&discovery)?;
    } else {
        let paint = Paint::stdout();
        for (index, stream) in discovery.streams.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            terminal::print(&format!("{gap}{}", text(stream, paint)))?;
        }
    }
    if discovery.skipped > 0 && !context.quiet {
        let skipped = human::count(discovery.skipped, "name");
        terminal::note(format_args!("{skipped} skipped: hidden, or of another type than the source says"));
    }
    Ok(Exit::Done)
}

fn text(stream: &StreamDescription, paint: Paint) -> String {
    let about =
        format!("{}, {}, {}", stream.format, human::count(stream.files as u64, "file"), human::bytes(stream.bytes));
    let mut text = format!("{}  {}\n  {}\n", paint.strong(&stream.name), paint.faint(about), stream.path);
    if let Some(dialect) = &stream.dialect {
        text.push_str(&format!("  {}\n", paint.faint(how(dialect))));
        for reason in &dialect.reasons {
            text.push_str(&format!("    {}\n", paint.faint(reason)));
        }
    }
    if let Some(error) = &stream.error {
        text.push_str(&format!("  {} {} {}\n", paint.bad("✕"), error.code, error.message));
        for hint in error.hint.iter().flat_map(|hints| hints.lines()) {
            text.push_str(&format!("    {} {hint}\n", paint.strong("hint:")));
        }
    }
    let columns: Vec<Vec<String>> = stream
        .columns
        .iter()
        .map(|column| {
            let null = if column.nullable { "" } else { "not null" };
            vec![format!("    {}", column.name), column.data_type.clone(), null.to_owned()]
        })
        .collect();
    text.push_str(&human::columns(&columns, &[]));
    text
}

/// How CSV is read: `delimiter ";", quote '"', header, utf-8`.
fn how(dialect: &DialectDescription) -> String {
    let mut parts = vec![format!("delimiter {:?}", dialect.delimiter)];
    if let Some(quote) = dialect.quote {
        parts.push(format!("quote {quote:?}"));
    }
    if let Some(escape) = dialect.escape.filter(|escape| Some(*escape) != dialect.quote) {
        parts.push(format!("escape {escape:?}"));
    }
    parts.push(if dialect.header { "header" } else { "no header" }.to_owned());
    parts.push(dialect.encoding.clone());
    if dialect.skip > 0 {
        parts.push(format!("{} skipped", human::count(dialect.skip, "line")));
    }
    parts.join(", ")
}
