//! Changes that let a table take the fields: columns that are added, and types that become wider without changing a
//! value that is there.
//! Not here: when a change is due (see `layout`), and the statement's place in the publication (see `publish`).
//! Called when a run opens its writer with `on_drift: widen`, and when it publishes.
//!
//! MySQL commits before it alters a table, so a publication that fails after that undoes the change itself; where its
//! process dies, the table stays wider, and holds the rows that it held.

use tapline_core::{Error, codes};

use super::connect::{Session, Version};
use super::table::{Column, Place};
use super::types::{Charset, Form, Kind, MOST_DIGITS, digits};
use super::{fault, sql};

/// One change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Add {
        column: String,
        declared: String,
    },
    Widen {
        column: String,
        /// The whole definitions, after and before.
        to: String,
        from: String,
    },
}

impl Change {
    /// Gives a column another type.
    pub(super) fn widen(session: &Session, column: &Column, wide: &Kind) -> Self {
        let not_null = if column.not_null { "NOT NULL" } else { "NULL" };
        let exact = session.version.exact_collation();
        let to = match (wide, &column.collation, column.charset.as_deref()) {
            (Kind::Text { .. }, Some(collation), Some("utf8mb4")) => {
                format!("{} CHARACTER SET utf8mb4 COLLATE {collation}", wide.declared())
            }
            (Kind::Text { .. }, ..) => format!("{} CHARACTER SET utf8mb4 COLLATE {exact}", wide.declared()),
            _ => wide.declared(),
        };
        let from = match (&column.charset, &column.collation) {
            (Some(charset), Some(collation)) => {
                format!("{} CHARACTER SET {charset} COLLATE {collation}", column.type_name)
            }
            _ => column.type_name.clone(),
        };
        Self::Widen { column: column.name.clone(), to: format!("{to} {not_null}"), from: format!("{from} {not_null}") }
    }

    fn clause(&self) -> String {
        match self {
            Self::Add { column, declared } => format!("ADD COLUMN {} {declared} NULL", sql::name(column)),
            Self::Widen { column, to, .. } => format!("MODIFY COLUMN {} {to}", sql::name(column)),
        }
    }

    fn undo(&self) -> String {
        match self {
            Self::Add { column, .. } => format!("DROP COLUMN {}", sql::name(column)),
            Self::Widen { column, from, .. } => format!("MODIFY COLUMN {} {from}", sql::name(column)),
        }
    }
}

/// The statement that makes all changes at once.
pub(super) fn statement(place: &Place, changes: &[Change]) -> String {
    altering(place, changes.iter().map(Change::clause))
}

/// The statement that takes them back.
pub(super) fn undo(place: &Place, changes: &[Change]) -> String {
    altering(place, changes.iter().map(Change::undo))
}

fn altering(place: &Place, clauses: impl Iterator<Item = String>) -> String {
    format!("ALTER TABLE {} {}", place.quoted(), clauses.collect::<Vec<_>>().join(", "))
}

/// The error for a change that the server refuses.
pub(super) fn refused(place: &Place, changes: &[Change], error: mysql_async::Error) -> Error {
    let doing = format!("widening table {}", place.quoted());
    let failed = fault::statement(&doing, error);
    if failed.code() == codes::DEST_003 {
        return failed.hint(format!("GRANT ALTER ON {} TO the user that logs in;", place.quoted()));
    }
    failed.hint(format!(
        "nothing was changed; make the change by hand, with the indexes and keys on the column in mind: {};",
        statement(place, changes)
    ))
}

/// What a column can be made to hold, so that it takes every value of a form and keeps what it has; `None` where it does
/// that already, or where there is no such thing. A column with a default, a comment or a number of its own stays as it
/// is.
pub(super) fn wider(column: &Column, form: Form, version: Version) -> Option<Kind> {
    if column.adorned || column.generated {
        return None;
    }
    let wide = wider_kind(&column.kind, form, version)?;
    (wide != column.kind).then_some(wide)
}

fn wider_kind(kind: &Kind, form: Form, version: Version) -> Option<Kind> {
    let is_text = matches!(form, Form::Text | Form::Interval | Form::Json | Form::Uuid);
    match (kind, form) {
        (Kind::Integer { bits, unsigned }, Form::Integer { bits: wanted, unsigned: without_sign }) => {
            integers((*bits, *unsigned), (wanted, without_sign))
        }
        (Kind::Integer { bits, .. }, Form::Decimal { precision, scale }) => {
            decimals((whole_digits(*bits), 0), digits(precision, scale), version)
        }
        (
            Kind::Decimal { precision, scale, unsigned: false },
            Form::Decimal { precision: digits_wanted, scale: places },
        ) => decimals((*precision, *scale), digits(digits_wanted, places), version),
        (Kind::Decimal { precision, scale, unsigned: false }, Form::Integer { bits, .. }) => {
            decimals((*precision, *scale), (whole_digits(bits), 0), version)
        }
        // A double holds all integers of 32 bits, and all floats.
        (Kind::Integer { bits: ..=32, .. }, Form::Float | Form::Double)
        | (Kind::Float { double: false, unsigned: false }, Form::Double) => {
            Some(Kind::Float { double: true, unsigned: false })
        }
        (Kind::Date, Form::Timestamp | Form::Moment) => Some(Kind::DateTime { places: 6 }),
        (Kind::DateTime { .. }, Form::Timestamp | Form::Moment) => Some(Kind::DateTime { places: 6 }),
        (Kind::Time { .. }, Form::Time) => Some(Kind::Time { places: 6 }),
        (Kind::Bytes { fixed: false, .. }, Form::Bytes) => Some(Kind::Bytes { most: None, fixed: false }),
        (Kind::Text { most: None, charset: Charset::Utf8mb4, .. }, _) => None,
        (Kind::Text { fixed: false, .. }, _) if form != Form::Bytes => Some(Kind::LONG_TEXT),
        (Kind::Integer { .. } | Kind::Decimal { .. } | Kind::Date | Kind::Enum(_) | Kind::Set(_), _) if is_text => {
            Some(Kind::LONG_TEXT)
        }
        _ => None,
    }
}

/// The integers that hold both; 24 bits become 32, which cost nothing to speak of.
fn integers((bits, unsigned): (u8, bool), (wanted, without_sign): (u8, bool)) -> Option<Kind> {
    if unsigned == without_sign {
        return Some(Kind::Integer { bits: bits.max(wanted), unsigned });
    }
    let (of_unsigned, of_signed) = if unsigned { (bits, wanted) } else { (wanted, bits) };
    Some(match of_unsigned {
        _ if of_unsigned < of_signed => Kind::Integer { bits: of_signed, unsigned: false },
        0..=16 => Kind::Integer { bits: of_signed.max(32), unsigned: false },
        17..=32 => Kind::Integer { bits: 64, unsigned: false },
        _ => Kind::Decimal { precision: 20, scale: 0, unsigned: false },
    })
}

/// Digits of the largest integer of so many bits.
fn whole_digits(bits: u8) -> u8 {
    match bits {
        0..=8 => 3,
        9..=16 => 5,
        17..=24 => 8,
        25..=32 => 10,
        _ => 20,
    }
}

fn decimals(one: (u8, u8), other: (u8, u8), version: Version) -> Option<Kind> {
    let scale = one.1.max(other.1);
    let precision = (one.0 - one.1).max(other.0 - other.1) + scale;
    (precision <= MOST_DIGITS && scale <= version.most_places()).then_some(Kind::Decimal {
        precision,
        scale,
        unsigned: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARIADB: Version = Version { mariadb: true, number: (10, 11, 14) };

    fn wide(type_name: &str, form: Form) -> Option<String> {
        let name = type_name.split(['(', ' ']).next().unwrap();
        let longest = type_name.split(['(', ')']).nth(1).and_then(|number| number.parse().ok());
        let column = Column {
            name: "c".to_owned(),
            kind: Kind::read(name, type_name, longest, Some("utf8mb4")),
            type_name: type_name.to_owned(),
            charset: None,
            collation: None,
            not_null: false,
            required: false,
            generated: false,
            adorned: false,
        };
        wider(&column, form, MARIADB).map(|kind| kind.declared())
    }

    #[test]
    fn types_widen_to_the_least_that_holds_both() {
        let integer = |bits, unsigned| Form::Integer { bits, unsigned };
        let cases = [
            ("int", integer(64, false), "bigint"),
            ("tinyint", integer(8, true), "int"),
            ("int", integer(32, true), "bigint"),
            ("int unsigned", integer(64, false), "bigint"),
            ("bigint", integer(64, true), "decimal(20,0)"),
            ("bigint", Form::Decimal { precision: 10, scale: 2 }, "decimal(22,2)"),
            ("decimal(10,2)", Form::Decimal { precision: 8, scale: 4 }, "decimal(12,4)"),
            ("int", Form::Double, "double"),
            ("float", Form::Double, "double"),
            ("bigint", Form::Text, "longtext"),
            ("varchar(20)", Form::Text, "longtext"),
            ("date", Form::Timestamp, "datetime(6)"),
            ("datetime", Form::Moment, "datetime(6)"),
            ("varbinary(16)", Form::Bytes, "longblob"),
        ];
        for (column, form, expected) in cases {
            assert_eq!(wide(column, form).as_deref(), Some(expected), "{column} for {form:?}");
            assert_eq!(wide(expected, form), None, "{expected} holds {form:?}");
        }
    }

    #[test]
    fn what_would_change_values_is_no_widening() {
        for (column, form) in [
            ("bigint", Form::Double),
            ("double", Form::Text),
            ("bigint", Form::Date),
            ("datetime(6)", Form::Text),
            ("char(24)", Form::Text),
            ("timestamp", Form::Timestamp),
        ] {
            assert_eq!(wide(column, form), None, "{column} for {form:?}");
        }
    }
}
