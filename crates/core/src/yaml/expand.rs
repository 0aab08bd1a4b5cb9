//! Variables in values: `${NAME}`, `${NAME:-default}` and `${file:/path}`; `$${` stands for a literal `${`.
//! Not here: keys, which are never expanded, and any other use of `$`, which is left as it is.
//! Called through [`Node::expand`] after parsing, so that no value can change the file's structure.

use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ConfigError, ConfigErrors, Node, Origin, Scalar, Span, Value};

/// `${A:-${B:-…}}` within each other.
const MAX_DEPTH: usize = 16;
const SYNTAX: &str =
    "variables are written ${NAME}, ${NAME:-default} or ${file:/path}; a literal `${` is written `$${`";
/// All but the unreserved characters of RFC 3986, section 2.3.
const USERINFO: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the values of variables come from.
pub trait Lookup {
    /// The value of an environment variable, `None` where it is not set.
    ///
    /// # Errors
    /// Why it cannot be used, without its value, for instance because it is not UTF-8.
    fn variable(&self, name: &str) -> Result<Option<String>, String>;

    /// The content of a file.
    ///
    /// # Errors
    /// Why it cannot be read, without its path and content.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// The environment and the files of this process.
#[derive(Debug, Clone)]
pub struct ProcessLookup {
    /// What relative paths are relative to: the folder of the project file.
    pub folder: PathBuf,
}

impl Lookup for ProcessLookup {
    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err("its value is not UTF-8".to_owned()),
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let bytes = std::fs::read(self.folder.join(path)).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|_| "its content is not UTF-8".to_owned())
    }
}

/// What to do with variables.
#[derive(Clone, Copy)]
pub enum Variables<'lookup> {
    /// Fill them in: the command line.
    Expand(&'lookup dyn Lookup),
    /// Check their syntax and leave them as they are, those with a default too: `validate --no-env`. What such a value
    /// means for its target is told at [`from_node`](super::from_node).
    Leave,
    /// Refuse them: API bodies, whose authors must not read the server's environment and files.
    Refuse,
}

impl Node {
    /// Treats the variables in every value of this tree.
    ///
    /// A default stands in for a variable that is unset or empty. A file loses one line end at its end. In a URL
    /// (`scheme://user:password@host`) what is filled in before the `@` is percent-encoded.
    ///
    /// # Errors
    /// Every unset variable without default, unreadable file and malformed expression, each at its own place.
    pub fn expand(&mut self, variables: Variables<'_>) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::default();
        expand(self, variables, &mut errors);
        errors.into_result(())
    }
}

fn expand(node: &mut Node, variables: Variables<'_>, errors: &mut ConfigErrors) {
    match &mut node.value {
        Value::Null => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| expand(item, variables, errors)),
        Value::Mapping(entries) => entries.iter_mut().for_each(|(_, value)| expand(value, variables, errors)),
        Value::Scalar(scalar) if matches!(scalar.origin, Origin::File) && scalar.text.contains("${") => {
            expand_scalar(scalar, &node.span, variables, errors);
        }
        Value::Scalar(_) => {}
    }
}

/// A stretch of a scalar's text.
enum Piece {
    Literal(String),
    Variable { name: String, default: Option<Vec<Piece>>, place: usize },
    File { path: String, place: usize },
}

fn expand_scalar(scalar: &mut Scalar, span: &Span, variables: Variables<'_>, errors: &mut ConfigErrors) {
    // The same offence in the same scalar is told at the same place: the expression's own, or else the scalar's.
    let place = |index: usize| match scalar.variables.get(index) {
        Some(&(line, column)) => Span { line, column, ..span.clone() },
        None => span.clone(),
    };
    let pieces = match (Reader { text: &scalar.text, at: 0, expressions: 0 }).pieces(0) {
        Ok(pieces) => pieces,
        Err((index, message)) => {
            return errors.push(ConfigError::new(&place(index), message).hint(SYNTAX));
        }
    };
    if pieces.iter().all(|piece| matches!(piece, Piece::Literal(_))) {
        scalar.text = literal(&pieces);
        return;
    }
    let lookup = match variables {
        Variables::Expand(lookup) => lookup,
        Variables::Leave => {
            scalar.origin = Origin::Open;
            return;
        }
        Variables::Refuse => {
            let index = pieces.iter().find_map(Piece::place).unwrap_or_default();
            return errors.push(
                ConfigError::new(&place(index), "variables are not expanded here")
                    .hint("give the value itself; a literal `${` is written `$${`"),
            );
        }
    };
    let userinfo = userinfo_end(&pieces);
    let mut text = String::new();
    let mut values = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let Some(value) = fill(piece, lookup, &place, errors) else {
            continue;
        };
        if piece.place().is_none() {
            text.push_str(&value);
            continue;
        }
        if userinfo.is_some_and(|end| index < end) {
            let encoded = utf8_percent_encode(&value, USERINFO).to_string();
            text.push_str(&encoded);
            values.push(encoded);
        } else {
            text.push_str(&value);
        }
        values.push(value);
    }
    let names: Vec<_> = pieces.iter().filter_map(Piece::name).collect();
    scalar.text = text;
    scalar.origin = Origin::Expanded { names: names.join(" and "), values };
}

impl Piece {
    /// The number of the piece's `${` in the scalar; `None` for literal text.
    fn place(&self) -> Option<usize> {
        match self {
            Self::Literal(_) => None,
            Self::Variable { place, .. } | Self::File { place, .. } => Some(*place),
        }
    }

    /// How the piece is written, without a default, which may be a secret.
    fn name(&self) -> Option<String> {
        match self {
            Self::Literal(_) => None,
            Self::Variable { name, .. } => Some(format!("${{{name}}}")),
            Self::File { path, .. } => Some(format!("${{file:{path}}}")),
        }
    }
}

/// The text of a piece, or `None` with the reason added to `errors`.
fn fill(piece: &Piece, lookup: &dyn Lookup, span: &dyn Fn(usize) -> Span, errors: &mut ConfigErrors) -> Option<String> {
    match piece {
        Piece::Literal(text) => Some(text.clone()),
        Piece::Variable { name, default, place } => match (lookup.variable(name), default) {
            (Ok(Some(value)), None) => Some(value),
            (Ok(Some(value)), Some(_)) if !value.is_empty() => Some(value),
            (Ok(_), Some(default)) => {
                let filled = default.iter().map(|piece| fill(piece, lookup, span, errors));
                filled.collect::<Vec<_>>().into_iter().collect()
            }
            (Ok(None), None) => {
                errors.push(
                    ConfigError::new(&span(*place), format!("variable `{name}` is not set"))
                        .code(crate::codes::CONF_003)
                        .hint(format!("set `{name}` in the environment, or give a default: ${{{name}:-…}}")),
                );
                None
            }
            (Err(reason), _) => {
                errors.push(ConfigError::new(&span(*place), format!("cannot use variable `{name}`: {reason}")));
                None
            }
        },
        Piece::File { path, place } => match lookup.file(path) {
            Ok(mut content) => {
                if content.ends_with('\n') {
                    content.pop();
                    if content.ends_with('\r') {
                        content.pop();
                    }
                }
                Some(content)
            }
            Err(reason) => {
                errors.push(
                    ConfigError::new(&span(*place), format!("cannot read file `{path}`: {reason}"))
                        .code(crate::codes::CONF_003),
                );
                None
            }
        },
    }
}

fn literal(pieces: &[Piece]) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Variable { .. } | Piece::File { .. } => String::new(),
    };
    pieces.iter().map(text).collect()
}

/// The index of the piece that holds the `@` which ends a URL's user and password, `None` where there is none.
///
/// Only literal text decides: what a variable gives may hold an `@` or a `/` itself, which is why it is encoded.
fn userinfo_end(pieces: &[Piece]) -> Option<usize> {
    let mut end = None;
    let mut in_authority = false;
    for (index, piece) in pieces.iter().enumerate() {
        let Piece::Literal(literal) = piece else {
            continue;
        };
        let mut text = literal.as_str();
        if !in_authority {
            let scheme = text.find("://");
            let scheme_text = &text[..scheme.unwrap_or(text.len())];
            if !scheme_text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) {
                return None;
            }
            let Some(at) = scheme else { continue };
            in_authority = true;
            text = &text[at + 3..];
        }
        let authority = text.find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace());
        if text[..authority.unwrap_or(text.len())].contains('@') {
            end = Some(index);
        }
        if authority.is_some() {
            break;
        }
    }
    end
}

/// Reads the expressions of one scalar. Errors are the number of the `${` they belong to, and a message.
struct Reader<'text> {
    text: &'text str,
    at: usize,
    expressions: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Pieces up to the end of the text or, within a default (`depth` > 0), up to the `}` that closes it.
    fn pieces(&mut self, depth: usize) -> Result<Vec<Piece>, (usize, String)> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        while let Some(character) = self.rest().chars().next() {
            if depth > 0 && character == '}' {
                break;
            }
            if self.rest().starts_with("$${") {
                literal.push_str("${");
                self.at += 3;
                self.expressions += 1;
            } else if self.rest().starts_with("${") {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(self.expression(depth)?);
            } else {
                literal.push(character);
                self.at += character.len_utf8();
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(pieces)
    }

    fn expression(&mut self, depth: usize) -> Result<Piece, (usize, String)> {
        let place = self.expressions;
        let fail = |message: &str| Err((place, message.to_owned()));
        if depth >= MAX_DEPTH {
            return fail("too many variables within each other's defaults");
        }
        self.expressions += 1;
        self.at += 2;
        if let Some(path) = self.rest().strip_prefix("file:") {
            let Some(length) = path.find('}') else {
                return fail("`${` without `}`");
            };
            let path = path[..length].to_owned();
            self.at += "file:".len() + length + 1;
            return if path.trim().is_empty() {
                fail("`${file:}` without a path")
            } else {
                Ok(Piece::File { path, place })
            };
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = self.rest().find(|c| !is_name(c)).unwrap_or(self.rest().len());
        let name = self.rest()[..length].to_owned();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return fail("`${` without the name of a variable");
        }
        self.at += length;
        let default = if self.rest().starts_with(":-") {
            self.at += 2;
            Some(self.pieces(depth + 1)?)
        } else {
            None
        };
        match self.rest().chars().next() {
            Some('}') => {
                self.at += 1;
                Ok(Piece::Variable { name, default, place })
            }
            None => fail("`${` without `}`"),
            Some(_) => fail("unknown expression in `${…}`"),
        }
    }
}
