//! Why a command did not do what was asked, and how that is told on stderr.
//! Not here: the errors' texts, which are made where they happen, and exit codes (`exit`).
//! Called by `main`, and by commands that report several errors before they go on.

use std::ffi::OsString;
use std::io;

use tapline_core::yaml::{ConfigError, ConfigErrors};
use tapline_core::{Error, ErrorReport, codes};

use crate::exit::{self, Exit, Interruption};
use crate::terminal::{self, Paint};

/// Why a command ended without its result.
#[derive(Debug)]
pub enum Failure {
    /// One or more errors, told in this order; the first decides how the process ends.
    Errors(Vec<Error>),
    /// What is wrong in the project, whatever class the errors have by themselves: bad SQL is bad configuration there.
    Problems(Vec<Error>),
    /// A signal stopped a command that had nothing to put in order.
    Interrupted,
    /// Whoever read stdout has gone away, such as `head`: nobody is left to be told.
    ReaderGone,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Errors(vec![error])
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Errors(vec![error.into()])
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Errors(errors.0.into_iter().map(Error::from).collect())
    }
}

impl Failure {
    /// The failure behind an error of stdout.
    pub fn from_stdout(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Error::new(codes::FILE_006, "cannot write to stdout").because(error).into()
    }

    /// An error that came up while doing what the project says.
    pub fn in_project(error: Error) -> Self {
        if exit::is_bad_sql(error.code().id) { Self::Problems(vec![error]) } else { error.into() }
    }

    /// How the process ends.
    pub fn exit(&self, interruption: &Interruption) -> Exit {
        match self {
            Self::Errors(errors) => errors.first().map_or(Exit::Failed, |error| Exit::of(error, interruption)),
            Self::Problems(_) => Exit::Usage,
            Self::Interrupted => interruption.exit(),
            Self::ReaderGone => Exit::Done,
        }
    }

    /// Tells the errors on stderr, as text or (`json`) as one object per line.
    pub fn tell(&self, json: bool) {
        let (Self::Errors(errors) | Self::Problems(errors)) = self else { return };
        for error in errors {
            tell(&ErrorReport::from(error), json);
        }
    }
}

/// Whether the arguments ask for JSON. Read before they are parsed, since that may fail.
pub fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let mut previous = OsString::new();
    for argument in arguments.take_while(|argument| argument != "--") {
        if argument == "--format=json" || (previous == "--format" && argument == "json") {
            return true;
        }
        previous = argument;
    }
    false
}

/// Tells what the parser of arguments has to say: help and version on stdout, errors on stderr.
pub fn tell_usage(error: &clap::Error, json: bool) -> Exit {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    match error.kind() {
        DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand => {
            // Nobody is left to be told where the stream is closed.
            let _ = error.print();
        }
        _ => tell(&ErrorReport::from(&parser_error(&error.render().to_string())), json),
    }
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// The parser's message in the form of ours: what is wrong in one line, then hints.
fn parser_error(text: &str) -> Error {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let hints = rest
        .lines()
        .map(|line| line.trim().trim_start_matches("tip: "))
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    hints.fold(usage(one_line(message)), |error, hint| error.hint(hint))
}

/// Tells one error on stderr: `error[S3-004]: message`, the lines that show its position, and `hint:` lines; or
/// (`json`) `{"code","message","hint"}` on one line.
pub fn tell(report: &ErrorReport, json: bool) {
    if json {
        let object = serde_json::json!({ "code": report.code, "message": report.message, "hint": report.hint });
        return terminal::note(object);
    }
    terminal::note(text(report, Paint::stderr()));
}

fn text(report: &ErrorReport, paint: Paint) -> String {
    let mut text = format!("{}: {}", paint.bad(format_args!("error[{}]", report.code)), one_line(&report.message));
    for line in report.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
        text.push_str(&format!("\n  {line}"));
    }
    for hint in report.hint.iter().flat_map(|hints| hints.lines()) {
        text.push_str(&format!("\n{} {hint}", paint.strong("hint:")));
    }
    text
}

/// A driver's message may have lines of its own; an error is one.
fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A warning on stderr, with its next step.
pub fn warn(message: impl std::fmt::Display, hint: Option<&str>) {
    let paint = Paint::stderr();
    terminal::note(format_args!("{}: {message}", paint.warning("warning")));
    if let Some(hint) = hint {
        terminal::note(format_args!("{} {hint}", paint.strong("hint:")));
    }
}

/// An error for wrong usage of a command.
pub fn usage(message: impl Into<String>) -> Error {
    Error::new(codes::CONF_007, message)
}

/// An error for a name on the command line that the project does not define, with the ones that it does.
pub fn unknown_name<'a>(noun: &str, name: &str, valid: impl Iterator<Item = &'a str> + Clone) -> Error {
    let error = Error::new(codes::CONF_004, format!("unknown {noun} `{name}`"));
    let error = match nearest(name, valid.clone()).next() {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    };
    let list: Vec<&str> = valid.collect();
    if list.is_empty() {
        return error.hint(format!("the project defines no {noun}"));
    }
    error.hint(format!("valid: {}", list.join(", ")))
}

/// The candidates that could be meant by a misspelt name, nearest first.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let mut near: Vec<(usize, &str)> = candidates
        .map(|candidate| (strsim::osa_distance(&candidate.to_lowercase(), &name.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 3)
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn an_error_is_one_line_then_its_position_then_hints() {
        let error = Error::new(codes::SQL_001, "cannot parse\n  the SQL")
            .excerpt("SELEC 1\n^")
            .hint("write SELECT")
            .hint("or WITH");
        let plain = text(&ErrorReport::from(&error), Paint::NONE);
        assert_eq!(plain, "error[SQL-001]: cannot parse the SQL\n  SELEC 1\n  ^\nhint: write SELECT\nhint: or WITH");
    }

    #[test]
    fn json_is_asked_for_by_a_flag_of_its_own() {
        let asked = |arguments: &[&str]| wants_json(arguments.iter().map(OsString::from));
        assert!(asked(&["tapline", "sync", "--format", "json"]));
        assert!(asked(&["tapline", "sync", "--format=json", "x"]));
        assert!(!asked(&["tapline", "query", "--format", "ndjson", "json"]));
        assert!(!asked(&["tapline", "query", "--", "--format=json"]));
    }

    #[test]
    fn the_parser_speaks_as_we_do() {
        let parse = |arguments: &[&str]| {
            let error = Cli::try_parse_from(arguments).expect_err("the arguments are wrong");
            parser_error(&error.render().to_string())
        };
        let error = parse(&["tapline", "synk"]);
        assert_eq!(error.message(), "unrecognized subcommand 'synk'");
        assert_eq!(error.hints()[0], "a similar subcommand exists: 'sync'");
        let error = parse(&["tapline", "explain"]);
        assert_eq!(error.message(), "the following required arguments were not provided: <CODE>");
        assert_eq!(error.hints(), ["Usage: tapline explain <CODE>"]);
    }

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        let error = unknown_name("sync", "custmers", ["customers", "orders"].into_iter());
        assert_eq!(error.hints(), ["did you mean `customers`?", "valid: customers, orders"]);
        let error = unknown_name("sync", "x", [].into_iter());
        assert_eq!(error.hints(), ["the project defines no sync"]);
    }
}
