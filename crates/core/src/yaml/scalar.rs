//! Single values: their text, where it came from, and how an unquoted one reads.
//! Not here: finding the variables in a text, and deciding which reading a target wants.
//! Called by the parser, the expansion and the deserializer.

use std::fmt;

/// A single value as text, with what is needed to read it as something else.
///
/// Its `Debug` form shows the names of variables, never what they gave.
#[derive(Clone)]
pub struct Scalar {
    pub(super) text: String,
    pub(super) plain: bool,
    pub(super) origin: Origin,
    /// Line and column of each `${` in the file, in order; empty where they cannot be told apart.
    pub(super) variables: Vec<(usize, usize)>,
}

/// Where the text of a [`Scalar`] comes from.
#[derive(Clone)]
pub enum Origin {
    /// From the file, word for word.
    File,
    /// From the file with at least one variable filled in.
    Expanded {
        /// Their names as in the file, without defaults: `${PASSWORD}` or `${USER} and ${PASSWORD}`.
        names: String,
        /// What the variables gave, which nobody may print.
        values: Vec<String>,
    },
    /// From the file with a variable that was left open.
    Open,
}

/// How an unquoted scalar reads by the core schema of YAML 1.2 (<https://yaml.org/spec/1.2.2/#103-core-schema>).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reading {
    Boolean(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Scalar {
    /// A text that stands in the file, `plain` if it stands there without quotes.
    pub fn new(text: impl Into<String>, plain: bool) -> Self {
        Self { text: text.into(), plain, origin: Origin::File, variables: Vec::new() }
    }

    /// The text, with its variables as far as they are expanded.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it stands in the file without quotes.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Where the text comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether a variable was left open.
    pub fn is_open(&self) -> bool {
        matches!(self.origin, Origin::Open)
    }

    /// Whether a variable gave some of the text.
    pub fn is_expanded(&self) -> bool {
        matches!(self.origin, Origin::Expanded { .. })
    }

    /// What the text reads as where a boolean or number is wanted: an unquoted text by itself, and whatever a variable
    /// gave, quoted or not. `None` for text that is only text.
    pub(super) fn typed_reading(&self) -> Option<Reading> {
        match (&self.origin, self.plain) {
            (Origin::File, true) => reading(&self.text),
            (Origin::Expanded { .. }, _) => reading(self.text.trim()),
            _ => None,
        }
    }

    /// Whether it is an unquoted variable that gave nothing, which is like an empty value.
    pub(super) fn is_expanded_to_nothing(&self) -> bool {
        self.plain && self.text.is_empty() && self.is_expanded()
    }

    /// `message` without anything that a variable gave to this scalar: the variable is named instead, or, where parts
    /// of its value would still show, all of the message is replaced.
    pub(crate) fn redact(&self, message: String) -> String {
        let Origin::Expanded { names, values } = &self.origin else {
            return message;
        };
        if !values.iter().any(|value| tells(&message, value)) {
            return message;
        }
        let named = message.replace(&self.text, names);
        if self.text.chars().count() < TELLING_LENGTH || values.iter().any(|value| tells(&named, value)) {
            return format!("the value of {names} does not fit here");
        }
        named
    }
}

/// How many characters in a row of a secret give it away; a shorter secret does as a whole.
const TELLING_LENGTH: usize = 5;

fn tells(message: &str, value: &str) -> bool {
    let characters: Vec<char> = value.chars().collect();
    let length = characters.len().clamp(1, TELLING_LENGTH);
    characters.windows(length).any(|run| message.contains(&run.iter().collect::<String>()))
}

impl fmt::Debug for Scalar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match &self.origin {
            Origin::File | Origin::Open => &self.text,
            Origin::Expanded { names, .. } => names,
        };
        formatter.debug_struct("Scalar").field("text", shown).field("plain", &self.plain).finish_non_exhaustive()
    }
}

/// Whether an unquoted text means nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The boolean or number that an unquoted text is; `None` for any other text.
///
/// Whole numbers beyond 64 bits are none of ours either, so that no digit gets lost.
pub(super) fn reading(text: &str) -> Option<Reading> {
    match text {
        "true" | "True" | "TRUE" => return Some(Reading::Boolean(true)),
        "false" | "False" | "FALSE" => return Some(Reading::Boolean(false)),
        ".nan" | ".NaN" | ".NAN" => return Some(Reading::Float(f64::NAN)),
        _ => {}
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return unsigned(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return unsigned(digits, 8);
    }
    let magnitude = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(magnitude, ".inf" | ".Inf" | ".INF") {
        let infinity = if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY };
        return Some(Reading::Float(infinity));
    }
    if !magnitude.is_empty() && magnitude.bytes().all(|byte| byte.is_ascii_digit()) {
        let unsigned = text.parse().ok().map(Reading::Unsigned);
        return unsigned.or_else(|| text.parse().ok().map(Reading::Signed));
    }
    let numeric = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    let begins = magnitude.starts_with(|character: char| character.is_ascii_digit() || character == '.');
    if begins && magnitude.bytes().all(numeric) {
        return text.parse().ok().map(Reading::Float);
    }
    None
}

fn unsigned(digits: &str, radix: u32) -> Option<Reading> {
    let number = u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
    number.map(Reading::Unsigned)
}
