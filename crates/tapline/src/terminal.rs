//! The two streams of the process: data to stdout, everything else to stderr, colour only where somebody looks.
//! Not here: what is printed.
//! Called by every command, and by `errors` and `progress`.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};

use crate::errors::Failure;

/// Writes a text to stdout as it is.
///
/// # Errors
/// What stdout says; a reader that has gone away is [`Failure::ReaderGone`].
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::from_stdout)
}

/// Writes a line to stdout.
pub fn print_line(line: impl Display) -> Result<(), Failure> {
    print(&format!("{line}\n"))
}

/// Writes one JSON document to stdout: indented for reading on a terminal, else on one line.
pub fn print_json(document: &impl serde::Serialize) -> Result<(), Failure> {
    let text = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(document)
    } else {
        serde_json::to_string(document)
    };
    match text {
        Ok(text) => print_line(text),
        Err(error) => Err(tapline_core::Error::internal("a report could not be written as JSON").because(error).into()),
    }
}

/// Writes a line to stderr. Nobody can be told when that fails.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Asks a yes-or-no question on the terminal; anything but yes is no.
pub fn confirm(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Colours for one stream, or none: <https://no-color.org>.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    enabled: bool,
}

impl Paint {
    /// No colours, whoever looks.
    #[cfg(test)]
    pub const NONE: Self = Self { enabled: false };

    /// For what goes to stdout.
    pub fn stdout() -> Self {
        Self::when(io::stdout().is_terminal())
    }

    /// For what goes to stderr.
    pub fn stderr() -> Self {
        Self::when(io::stderr().is_terminal())
    }

    fn when(terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { enabled: terminal && !refused && !dumb }
    }

    /// Whether there are colours.
    pub fn is_enabled(self) -> bool {
        self.enabled
    }

    fn with(self, style: Style, text: impl Display) -> String {
        if self.enabled { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    /// What the eye should find first.
    pub fn strong(self, text: impl Display) -> String {
        self.with(Style::new().bold(), text)
    }

    /// What can be passed over.
    pub fn faint(self, text: impl Display) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// What went well.
    pub fn good(self, text: impl Display) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    /// What wants attention.
    pub fn warning(self, text: impl Display) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    /// What went wrong.
    pub fn bad(self, text: impl Display) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }
}
