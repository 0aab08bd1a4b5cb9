//! From what serde complains about to an error with a place: which key or value of a subtree is meant, and in which words.
//! Not here: walking the tree for a target type; that is the deserializer.
//! Called by the deserializer only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::scalar::{Reading, reading};
use super::{ConfigError, Key, Node, Origin, Scalar, Span, Value};

/// Why a value does not become its target.
#[derive(Debug)]
pub(super) enum Fault {
    /// As serde or a `Deserialize` tells it, neither of which knows places.
    Loose(Problem),
    /// Done: what the caller gets to see.
    Placed(Box<ConfigError>),
    /// Worth another attempt, since a [`Treatment`] has changed.
    Retry,
}

#[derive(Debug)]
pub(super) enum Problem {
    Message(String),
    UnknownKey {
        key: String,
        valid: &'static [&'static str],
    },
    UnknownVariant {
        variant: String,
        valid: &'static [&'static str],
    },
    MissingKey(&'static str),
    /// A value of the wrong type, or (`in_type`) of the right type but not one of those expected.
    Mismatch {
        found: Found,
        expected: String,
        in_type: bool,
    },
}

/// What serde says it has seen. Of a text, the address: it identifies the scalar that serde has borrowed it from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Found {
    Text { address: usize },
    Typed(Reading),
    Nothing,
    List,
    Mapping,
    Other,
}

impl Problem {
    /// The error for a key that serde refused when it read just that.
    pub(super) fn at_key(self, key: &Key) -> Fault {
        let error = match self {
            Self::UnknownKey { key: name, valid } | Self::UnknownVariant { variant: name, valid } => {
                unknown_key(&key.span, &name, valid)
            }
            Self::Message(message) => ConfigError::new(&key.span, message),
            Self::MissingKey(name) => ConfigError::new(&key.span, format!("missing key `{name}`")),
            Self::Mismatch { expected, .. } => {
                ConfigError::new(&key.span, format!("key `{}` is not {}", key.text, words(&expected)))
            }
        };
        Fault::Placed(Box::new(error))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Loose(Problem::Message(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(unexpected, expected, false)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(unexpected, expected, true)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {}, found {length} items", words(&expected.to_string())))
    }

    fn unknown_variant(variant: &str, valid: &'static [&'static str]) -> Self {
        Self::Loose(Problem::UnknownVariant { variant: variant.to_owned(), valid })
    }

    fn unknown_field(key: &str, valid: &'static [&'static str]) -> Self {
        Self::Loose(Problem::UnknownKey { key: key.to_owned(), valid })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Loose(Problem::MissingKey(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(format_args!("key `{field}` is given twice"))
    }
}

impl Fault {
    fn mismatch(unexpected: Unexpected<'_>, expected: &dyn Expected, in_type: bool) -> Self {
        let found = match unexpected {
            Unexpected::Str(text) => Found::Text { address: text.as_ptr().addr() },
            Unexpected::Bool(value) => Found::Typed(Reading::Boolean(value)),
            Unexpected::Unsigned(value) => Found::Typed(Reading::Unsigned(value)),
            Unexpected::Signed(value) => Found::Typed(Reading::Signed(value)),
            Unexpected::Float(value) => Found::Typed(Reading::Float(value)),
            Unexpected::Unit | Unexpected::Option => Found::Nothing,
            Unexpected::Seq => Found::List,
            Unexpected::Map => Found::Mapping,
            _ => Found::Other,
        };
        Self::Loose(Problem::Mismatch { found, expected: expected.to_string(), in_type })
    }
}

/// How a scalar is handed to serde where its target's type is unknown to us, if not by its own reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// As text, since a target refused its reading.
    Text,
    /// As the boolean or number that its text reads as, since a target refused the text.
    Typed,
    /// Not at all: an open variable whose target refused its text.
    Absent,
    /// As `false` or 0: an open variable that is required.
    Zero,
}

/// Serde reads an internally tagged enum into a buffer first and converts from there without us, so that a scalar's
/// target type shows only when the conversion fails. A failed conversion is therefore answered by treating the scalar
/// it was about differently, and by another attempt.
#[derive(Debug, Default)]
pub(super) struct Treatments(RefCell<HashMap<usize, Treatment>>);

impl Treatments {
    pub(super) fn of(&self, scalar: &Scalar) -> Option<Treatment> {
        self.0.borrow().get(&address(scalar)).copied()
    }

    fn set(&self, scalar: &Scalar, treatment: Treatment) -> Fault {
        self.0.borrow_mut().insert(address(scalar), treatment);
        Fault::Retry
    }

    /// Whether serde is not to see the node.
    pub(super) fn hides(&self, node: &Node) -> bool {
        node.scalar().is_some_and(|scalar| scalar.is_open() && self.of(scalar) == Some(Treatment::Absent))
    }
}

fn address(scalar: &Scalar) -> usize {
    std::ptr::from_ref(scalar).addr()
}

/// A node and the key it stands under.
#[derive(Clone, Copy)]
pub(super) struct Place<'de> {
    pub(super) key: Option<&'de Key>,
    pub(super) node: &'de Node,
}

impl<'de> Place<'de> {
    /// Gives a loose fault that arose while reading this node a place at or below it, or has it tried again.
    pub(super) fn settle(self, fault: Fault, treatments: &Treatments) -> Fault {
        let Fault::Loose(problem) = fault else {
            return fault;
        };
        let place = match &problem {
            Problem::UnknownVariant { variant, .. } => self.find(|node| node.text() == Some(variant)),
            Problem::Mismatch { found, in_type, .. } => {
                if !in_type && self.treat(*found, treatments) {
                    return Fault::Retry;
                }
                self.find(|node| found.is(node))
            }
            _ => self,
        };
        if let Some(open) = place.node.scalar().filter(|scalar| scalar.is_open() && treatments.of(scalar).is_none()) {
            return treatments.set(open, Treatment::Absent);
        }
        if let Problem::MissingKey(key) = problem
            && let Some(open) = place.node.get(key).and_then(Node::scalar)
            && treatments.of(open) == Some(Treatment::Absent)
        {
            return treatments.set(open, Treatment::Zero);
        }
        let mut error = match problem {
            Problem::Message(message) => place.node.error(place.redact(message)),
            Problem::UnknownKey { key, valid } => place.unknown_key(&key, valid),
            Problem::UnknownVariant { variant, valid } => place.unknown_variant(&variant, valid),
            Problem::MissingKey(key) => place
                .node
                .error(format!("missing key `{key}`"))
                .hint(format!("add `{key}:` here; `tapline schema` describes every key")),
            Problem::Mismatch { expected, in_type, .. } => place.mismatch(&expected, in_type),
        };
        error.left_open = place.node.is_open();
        Fault::Placed(Box::new(error))
    }

    /// The error for a value that is not what was expected.
    pub(super) fn mismatch(self, expected: &str, in_type: bool) -> ConfigError {
        let expected = words(expected);
        let found = match &self.node.value {
            Value::Scalar(_) if in_type => return self.node.error(format!("expected {expected}")),
            Value::Null => "nothing",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.typed_reading() {
                Some(Reading::Boolean(_)) => "true or false",
                Some(_) => "a number",
                None => "a string",
            },
        };
        let error = self.node.error(format!("expected {expected}, found {found}"));
        if let Some(Origin::Expanded { names, .. }) = self.node.scalar().map(Scalar::origin) {
            return error.hint(format!("the value comes from {names}"));
        }
        match (expected, &self.node.value) {
            ("a string", Value::Null) => error.hint("quote it if the word itself is meant"),
            ("a string", _) => error,
            (_, Value::Scalar(scalar)) if !scalar.is_plain() && reading(scalar.text()).is_some() => {
                error.hint("leave out the quotes")
            }
            _ => error,
        }
    }

    /// The key may stand in several mappings below: it belongs to the one with the fewest other keys that do not fit.
    fn unknown_key(self, key: &str, valid: &[&str]) -> ConfigError {
        let holders = self.subtree().into_iter().filter_map(|place| {
            let entries = place.node.entries();
            let (found, _) = entries.iter().find(|(candidate, _)| candidate.text == key)?;
            Some((entries.iter().filter(|(other, _)| !valid.contains(&other.text.as_str())).count(), &found.span))
        });
        let span = holders.min_by_key(|(strangers, _)| *strangers).map_or(&self.node.span, |(_, span)| span);
        unknown_key(span, key, valid)
    }

    fn unknown_variant(self, variant: &str, valid: &[&str]) -> ConfigError {
        let subject = self.key.map(|key| format!(" for `{}`", key.text)).unwrap_or_default();
        let value = match self.node.scalar().map(Scalar::origin) {
            Some(Origin::Expanded { names, .. }) => format!("unknown value of {names}"),
            _ => format!("unknown value `{variant}`"),
        };
        let error = self.node.error(format!("{value}{subject}; expected one of {}", list(valid)));
        match nearest(variant, valid).filter(|_| !self.node.scalar().is_some_and(Scalar::is_expanded)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    /// Changes the treatment of the scalars below that `found` can be; false if there is nothing left to change.
    fn treat(self, found: Found, treatments: &Treatments) -> bool {
        let mut changed = false;
        for scalar in
            self.subtree().into_iter().filter(|place| found.is(place.node)).filter_map(|place| place.node.scalar())
        {
            let treatment = match (found, treatments.of(scalar)) {
                (Found::Text { .. }, None | Some(Treatment::Text)) if scalar.typed_reading().is_some() => {
                    Treatment::Typed
                }
                (Found::Typed(_) | Found::Nothing, None) => Treatment::Text,
                _ => continue,
            };
            treatments.set(scalar, treatment);
            changed = true;
        }
        changed
    }

    fn redact(self, message: String) -> String {
        let scalars = self.subtree().into_iter().filter_map(|place| place.node.scalar());
        scalars.fold(message, |message, scalar| scalar.redact(message))
    }

    /// The first place at or below this one whose node fits, else this one.
    fn find(self, fits: impl Fn(&Node) -> bool) -> Self {
        self.subtree().into_iter().find(|place| fits(place.node)).unwrap_or(self)
    }

    /// This place and all below, in the order of the text.
    fn subtree(self) -> Vec<Self> {
        let mut places = vec![self];
        let mut next = 0;
        while let Some(place) = places.get(next).copied() {
            next += 1;
            match &place.node.value {
                Value::Sequence(items) => places.extend(items.iter().map(|node| Place { key: place.key, node })),
                Value::Mapping(entries) => {
                    places.extend(entries.iter().map(|(key, node)| Place { key: Some(key), node }))
                }
                Value::Null | Value::Scalar(_) => {}
            }
        }
        places
    }
}

impl Found {
    fn is(self, node: &Node) -> bool {
        match (self, &node.value) {
            (Self::Text { address }, Value::Scalar(scalar)) => scalar.text().as_ptr().addr() == address,
            (Self::Typed(found), Value::Scalar(scalar)) => scalar.typed_reading() == Some(found),
            (Self::Nothing, Value::Scalar(scalar)) => scalar.is_expanded_to_nothing(),
            (Self::Nothing, Value::Null) => true,
            (Self::List, Value::Sequence(_)) | (Self::Mapping, Value::Mapping(_)) => true,
            _ => false,
        }
    }
}

fn unknown_key(span: &Span, key: &str, valid: &[&str]) -> ConfigError {
    let error = ConfigError::new(span, format!("unknown key `{key}`"));
    let error = match nearest(key, valid) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    };
    error.hint(if valid.is_empty() { "no keys are valid here".into() } else { format!("valid keys: {}", list(valid)) })
}

/// Serde's and Rust's names for what is expected, in the words of a project file.
fn words(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false",
        "str" | "string" | "a borrowed string" => "a string",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "u128" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "a nonzero u8" | "a nonzero u16" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => {
            "a whole number from 1"
        }
        "f32" | "f64" => "a number",
        "unit" => "nothing",
        "a map" => "a mapping",
        "a sequence" => "a list",
        _ if ["struct ", "internally tagged enum ", "adjacently tagged enum "]
            .iter()
            .any(|kind| expected.starts_with(kind)) =>
        {
            "a mapping"
        }
        _ if ["a tuple ", "tuple ", "an array "].iter().any(|kind| expected.starts_with(kind)) => "a list",
        _ => expected,
    }
}

pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The name that was probably meant: at most a third of its letters differ.
fn nearest<'name>(name: &str, valid: &[&'name str]) -> Option<&'name str> {
    let folded = name.to_lowercase();
    let distance = |candidate: &str| strsim::osa_distance(&folded, &candidate.to_lowercase());
    let (near, distance) =
        valid.iter().map(|candidate| (*candidate, distance(candidate))).min_by_key(|(_, far)| *far)?;
    (distance * 3 <= near.chars().count().max(3)).then_some(near)
}
