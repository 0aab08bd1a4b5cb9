//! Patterns as RE2 reads them, compiled once.
//! Not here: the functions over them (`patterns`).
//! Called by `patterns` and by the functions over lists of columns.

use std::cell::RefCell;
use std::rc::Rc;

use datafusion::common::{Result, exec_datafusion_err, exec_err};
use regex::{Regex, RegexBuilder};

/// What the options of a call ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Options {
    insensitive: bool,
    literal: bool,
    newline_sensitive: bool,
    dot_matches_newline: bool,
    /// Whether every match is replaced, not the first alone.
    pub global: bool,
}

impl Options {
    /// Reads options such as `gi`.
    pub(crate) fn parse(text: &str, may_be_global: bool) -> Result<Self> {
        let mut options = Self::default();
        for letter in text.chars() {
            match letter {
                'c' => options.insensitive = false,
                'i' => options.insensitive = true,
                'l' => options.literal = true,
                'm' | 'n' | 'p' => options.newline_sensitive = true,
                's' => options.dot_matches_newline = true,
                'g' if may_be_global => options.global = true,
                ' ' | '\t' | '\n' => {}
                _ => return exec_err!("an option of the pattern is not known; there are c, i, l, m, n, p, s and g"),
            }
        }
        Ok(options)
    }
}

/// The largest program a pattern may become, so that none eats the memory.
const PROGRAM_LIMIT: usize = 8 << 20;

thread_local! {
    /// The patterns used last; nearly all calls have one pattern for all rows.
    static COMPILED: RefCell<Vec<(String, Options, Rc<Regex>)>> = const { RefCell::new(Vec::new()) };
}

/// The pattern, compiled.
pub(crate) fn compile(pattern: &str, options: Options) -> Result<Rc<Regex>> {
    const KEPT: usize = 8;
    COMPILED.with_borrow_mut(|compiled| {
        if let Some((_, _, regex)) = compiled.iter().find(|(text, known, _)| text == pattern && *known == options) {
            return Ok(Rc::clone(regex));
        }
        let translated = if options.literal { regex::escape(pattern) } else { translate(pattern) };
        let regex = RegexBuilder::new(&translated)
            .case_insensitive(options.insensitive)
            .dot_matches_new_line(options.dot_matches_newline && !options.newline_sensitive)
            .multi_line(options.newline_sensitive)
            .size_limit(PROGRAM_LIMIT)
            .build()
            .map_err(|error| exec_datafusion_err!("the pattern is not a regular expression: {}", last_line(&error)))?;
        let regex = Rc::new(regex);
        compiled.truncate(KEPT - 1);
        compiled.insert(0, (pattern.to_owned(), options, Rc::clone(&regex)));
        Ok(regex)
    })
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// RE2's syntax in the words of the regex crate: classes such as `\d` are of ASCII, and `[` inside a class is a plain
/// character.
fn translate(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    let mut in_class = false;
    let mut first_in_class = false;
    while let Some(character) = characters.next() {
        let first = std::mem::take(&mut first_in_class);
        match character {
            '\\' => match characters.next() {
                Some('Q') => {
                    let mut literal = String::new();
                    while let Some(next) = characters.next() {
                        if next == '\\' && characters.peek() == Some(&'E') {
                            characters.next();
                            break;
                        }
                        literal.push(next);
                    }
                    text.push_str(&regex::escape(&literal));
                }
                Some(letter) => text.push_str(&match letter {
                    'd' => "[0-9]".to_owned(),
                    'D' => "[^0-9]".to_owned(),
                    'w' => "[0-9A-Za-z_]".to_owned(),
                    'W' => "[^0-9A-Za-z_]".to_owned(),
                    's' => "[\\t\\n\\f\\r ]".to_owned(),
                    'S' => "[^\\t\\n\\f\\r ]".to_owned(),
                    'b' if !in_class => "(?-u:\\b)".to_owned(),
                    'B' if !in_class => "(?-u:\\B)".to_owned(),
                    'Z' => "\\z".to_owned(),
                    letter if letter.is_ascii_alphanumeric() || letter.is_ascii_punctuation() => format!("\\{letter}"),
                    other => other.to_string(),
                }),
                None => text.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                first_in_class = true;
                text.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    text.push('^');
                }
            }
            '[' if characters.peek() == Some(&':') => {
                text.push('[');
                for next in characters.by_ref() {
                    text.push(next);
                    if next == ']' {
                        break;
                    }
                }
            }
            '[' => text.push_str("\\["),
            ']' if in_class && first => text.push_str("\\]"),
            ']' => {
                in_class = false;
                text.push(']');
            }
            '&' | '~' if in_class => {
                text.push('\\');
                text.push(character);
            }
            other => text.push(other),
        }
    }
    text
}
