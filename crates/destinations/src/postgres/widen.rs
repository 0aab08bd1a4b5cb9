//! Changes that let a table take the fields: columns that are added, and types that become wider without changing a
//! value that is there.
//! Not here: when a change is due (see `layout`), and the statement's place in the publication (see `publish`).
//! Called when a run opens its writer with `on_drift: widen`, and again when it publishes.

use tapline_core::{Error, codes};

use super::fit::numeric_limits;
use super::layout::new_column;
use super::table::{Column, Place};
use super::types::SqlType;
use super::{fault, sql};

/// One change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Add {
        column: String,
        sql_type: SqlType,
    },
    Widen {
        column: String,
        /// In full, with its collation.
        type_name: String,
    },
}

impl Change {
    fn clause(&self) -> String {
        match self {
            Self::Add { column, sql_type } => format!("ADD COLUMN {} {sql_type}", sql::name(column)),
            Self::Widen { column, type_name } => format!("ALTER COLUMN {} TYPE {type_name}", sql::name(column)),
        }
    }
}

/// The statement that makes all changes at once.
pub(super) fn statement(place: &Place, changes: &[Change]) -> String {
    let clauses: Vec<_> = changes.iter().map(Change::clause).collect();
    format!("ALTER TABLE {} {}", place.quoted(), clauses.join(", "))
}

/// The column with the least type that takes all of its values unchanged, and the staged values that its own type does
/// not take; `None` where there is none.
///
/// Texts are the widest type of those whose text in PostgreSQL is the one that a model has for them: not of floats,
/// intervals, bytes and documents, and not of `char(n)`, whose blanks would become part of the value.
pub(super) fn wider(column: &Column, staged: &SqlType) -> Option<Column> {
    if !column.built_in || column.domain || column.generated {
        return None;
    }
    let typed = |sql_type: &SqlType| {
        let Column { type_name, base, modifier, .. } = new_column(&column.name, sql_type, false);
        Column { type_name, base, modifier, ..column.clone() }
    };
    let limited = column.modifier >= 0;
    let numeric = |whole: i32, fraction: i32| Column {
        type_name: format!("numeric({},{fraction})", whole + fraction),
        base: "numeric".to_owned(),
        modifier: (((whole + fraction) << 16) | fraction) + 4,
        ..column.clone()
    };
    let unlimited =
        || Column { type_name: "numeric".to_owned(), base: "numeric".to_owned(), modifier: -1, ..column.clone() };
    let wide = match (column.base.as_str(), staged) {
        ("varchar", _) if limited => typed(&SqlType::Text),
        (
            "bool" | "int2" | "int4" | "int8" | "numeric" | "date" | "time" | "timestamp" | "timestamptz" | "uuid",
            SqlType::Text,
        ) => typed(&SqlType::Text),
        ("int2", SqlType::Integer | SqlType::BigInt) | ("int4", SqlType::BigInt) => typed(staged),
        ("int2", SqlType::Real) => typed(&SqlType::Real),
        ("int2" | "int4", SqlType::Real | SqlType::Double) => typed(&SqlType::Double),
        ("int8", SqlType::Real | SqlType::Double) => unlimited(),
        ("int2" | "int4" | "int8", SqlType::Numeric { precision, scale }) => {
            let (precision, scale) = (i32::from(*precision), i32::from(*scale));
            numeric(whole_digits(&column.base).max(precision - scale), scale)
        }
        ("numeric", SqlType::Real | SqlType::Double) if limited => unlimited(),
        ("numeric", SqlType::SmallInt | SqlType::Integer | SqlType::BigInt) if limited => {
            let (precision, scale) = numeric_limits(column.modifier);
            (scale >= 0).then(|| numeric(whole_digits(staged.catalog_name()).max(precision - scale), scale))?
        }
        ("numeric", SqlType::Numeric { precision: staged_precision, scale: staged_scale }) if limited => {
            let (precision, scale) = numeric_limits(column.modifier);
            let (staged_precision, staged_scale) = (i32::from(*staged_precision), i32::from(*staged_scale));
            (scale >= 0)
                .then(|| numeric((precision - scale).max(staged_precision - staged_scale), scale.max(staged_scale)))?
        }
        ("float4", SqlType::Double | SqlType::Integer) => typed(&SqlType::Double),
        ("date", SqlType::Timestamp) => typed(staged),
        ("time", SqlType::Time) | ("timestamp", SqlType::Timestamp) | ("timestamptz", SqlType::TimestampTz)
            if limited =>
        {
            typed(staged)
        }
        _ => return None,
    };
    ((&wide.base, wide.modifier) != (&column.base, column.modifier)).then_some(wide)
}

/// Digits that an integer type can have.
fn whole_digits(name: &str) -> i32 {
    match name {
        "int2" => 5,
        "int4" => 10,
        _ => 19,
    }
}

/// The change that makes a column the wider one.
pub(super) fn change(column: &Column, wider: &Column) -> Change {
    // Without it, the new type would take its own collation.
    let collation = column.collation.as_ref().map(|collation| format!(" COLLATE {collation}")).unwrap_or_default();
    Change::Widen { column: column.name.clone(), type_name: format!("{}{collation}", wider.type_name) }
}

/// The error for a role that may not change the table.
pub(super) fn not_owned(place: &Place, user: &str, changes: &[Change]) -> Error {
    Error::new(codes::DEST_003, format!("role {user:?} may not widen table {}: only its owner may", place.quoted()))
        .hint(format!("let the owner run: {};", statement(place, changes)))
}

/// The error for changes that the server refused.
pub(super) fn refused(place: &Place, changes: &[Change], error: tokio_postgres::Error) -> Error {
    let doing = format!("widening table {}", place.quoted());
    let state = error.code().map_or("", |state| state.code());
    // What depends on a column, has a default or a rule of its own, or belongs to a partition key.
    let refusals = ["0A", "2B", "42"];
    match error.as_db_error() {
        Some(server) if refusals.iter().any(|class| state.starts_with(class)) && state != "42501" => Error::new(
            codes::DEST_004,
            format!("{doing}: PostgreSQL refuses: {}", server.message()),
        )
        .hint(format!(
            "nothing was changed; drop what depends on the column (a view, a rule, a generated column), run this, and \
                 make it again: {};",
            statement(place, changes)
        )),
        _ => fault::statement(&doing, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(base: &str, modifier: i32) -> Column {
        Column { base: base.to_owned(), modifier, type_name: base.to_owned(), ..new_column("c", &SqlType::Text, false) }
    }

    fn numeric(precision: i32, scale: i32) -> Column {
        column("numeric", ((precision << 16) | scale) + 4)
    }

    #[test]
    fn types_widen_to_the_least_that_holds_both() {
        let number = |precision, scale| SqlType::Numeric { precision, scale };
        let cases = [
            (column("int2", -1), SqlType::Integer, "integer"),
            (column("int2", -1), SqlType::BigInt, "bigint"),
            (column("int4", -1), SqlType::BigInt, "bigint"),
            (column("int2", -1), SqlType::Real, "real"),
            (column("int4", -1), SqlType::Real, "double precision"),
            (column("int4", -1), SqlType::Double, "double precision"),
            (column("int8", -1), SqlType::Double, "numeric"),
            (column("int8", -1), number(20, 0), "numeric(20,0)"),
            (column("int8", -1), number(10, 2), "numeric(21,2)"),
            (numeric(10, 2), SqlType::BigInt, "numeric(21,2)"),
            (numeric(10, 2), number(8, 4), "numeric(12,4)"),
            (numeric(10, 2), SqlType::Double, "numeric"),
            (numeric(10, 2), SqlType::Text, "text"),
            (column("float4", -1), SqlType::Double, "double precision"),
            (column("varchar", 24), SqlType::Text, "text"),
            (column("varchar", 24), SqlType::Date, "text"),
            (column("bool", -1), SqlType::Text, "text"),
            (column("timestamptz", -1), SqlType::Text, "text"),
            (column("date", -1), SqlType::Timestamp, "timestamp without time zone"),
            (column("timestamp", 0), SqlType::Timestamp, "timestamp without time zone"),
        ];
        for (column, staged, expected) in cases {
            let wide = wider(&column, &staged).unwrap_or_else(|| panic!("{} for {staged}", column.base));
            assert_eq!(wide.type_name, expected, "{} for {staged}", column.base);
            assert_eq!(wider(&wide, &staged), None, "{expected} holds {staged}");
        }
    }

    #[test]
    fn what_would_change_values_is_no_widening() {
        let cases = [
            (column("int8", -1), SqlType::Date),
            (column("float8", -1), SqlType::Text),
            (column("float8", -1), SqlType::BigInt),
            (column("interval", -1), SqlType::Text),
            (column("bytea", -1), SqlType::Text),
            (column("jsonb", -1), SqlType::Text),
            (column("bpchar", 24), SqlType::Text),
            (column("bool", -1), SqlType::BigInt),
            (column("date", -1), SqlType::TimestampTz),
            (Column { domain: true, ..column("int4", -1) }, SqlType::BigInt),
            (Column { built_in: false, ..column("int4", -1) }, SqlType::BigInt),
        ];
        for (column, staged) in cases {
            assert_eq!(wider(&column, &staged), None, "{} for {staged}", column.base);
        }
    }
}
