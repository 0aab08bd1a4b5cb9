//! DuckDB's types by their names.
//! Not here: the names of Arrow's types, which `core` knows.
//! Called by casts.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use datafusion::common::{Result, plan_err};
use tapline_core::values::TYPE_KEY;

/// HUGEINT, a whole number of 128 bits.
pub(super) const HUGEINT: DataType = DataType::Decimal256(39, 0);

/// A field that carries DuckDB's name of its type.
pub(super) fn tagged(data_type: DataType, name: &str) -> Field {
    Field::new("", data_type, true).with_metadata(HashMap::from([(TYPE_KEY.to_owned(), name.to_owned())]))
}

/// A field of a type that Arrow tells.
pub(super) fn plain(data_type: DataType) -> Field {
    match data_type {
        HUGEINT => tagged(HUGEINT, "HUGEINT"),
        other => Field::new("", other, true),
    }
}

/// A type of microseconds since 1970, with or without zone.
pub(super) fn moment(zone: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.then(|| "UTC".into()))
}

/// INTERVAL.
pub(super) const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The type of a name such as `DECIMAL(10, 2)`, `STRUCT(a INT, b VARCHAR[])` or `MAP(VARCHAR, BIGINT)`.
///
/// # Errors
/// A name that DuckDB does not know.
pub(super) fn parse(name: &str) -> Result<Field> {
    let name = name.trim();
    if let Some(rest) = name.strip_suffix(']')
        && let Some((item, size)) = rest.rsplit_once('[')
    {
        let item = parse(item)?.with_name("item");
        return Ok(match size.trim() {
            "" => plain(DataType::List(Arc::new(item))),
            size => match size.parse() {
                Ok(size) => plain(DataType::FixedSizeList(Arc::new(item), size)),
                Err(_) => return plan_err!("the type {name} has no size that can be read"),
            },
        });
    }
    let (base, arguments) = match name.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
        Some((base, arguments)) => (base.trim(), Some(arguments)),
        None => (name, None),
    };
    let upper = base.trim_matches('"').to_uppercase();
    let upper = upper.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(match (upper.as_str(), arguments) {
        ("BOOLEAN" | "BOOL" | "LOGICAL", None) => plain(DataType::Boolean),
        ("TINYINT" | "INT1", None) => plain(DataType::Int8),
        ("SMALLINT" | "INT2" | "INT16" | "SHORT", None) => plain(DataType::Int16),
        ("INTEGER" | "INT" | "INT4" | "INT32" | "SIGNED", None) => plain(DataType::Int32),
        ("BIGINT" | "INT8" | "INT64" | "LONG" | "OID", None) => plain(DataType::Int64),
        ("HUGEINT" | "INT128", None) => plain(HUGEINT),
        ("UHUGEINT" | "UINT128", None) => tagged(HUGEINT, "UHUGEINT"),
        ("UTINYINT" | "UINT8", None) => plain(DataType::UInt8),
        ("USMALLINT" | "UINT16", None) => plain(DataType::UInt16),
        ("UINTEGER" | "UINT32", None) => plain(DataType::UInt32),
        ("UBIGINT" | "UINT64", None) => plain(DataType::UInt64),
        ("REAL" | "FLOAT4" | "FLOAT32", None) | ("FLOAT", _) => plain(DataType::Float32),
        ("DOUBLE" | "FLOAT8" | "FLOAT64" | "DOUBLE PRECISION", None) => plain(DataType::Float64),
        ("DECIMAL" | "NUMERIC" | "DEC", arguments) => decimal(arguments)?,
        ("VARCHAR" | "TEXT" | "STRING" | "CHAR" | "BPCHAR" | "NVARCHAR" | "CHARACTER VARYING" | "CHARACTER", _) => {
            plain(DataType::Utf8)
        }
        ("BLOB" | "BYTEA" | "BINARY" | "VARBINARY", _) => plain(DataType::Binary),
        ("DATE", None) => plain(DataType::Date32),
        ("TIME" | "TIME WITHOUT TIME ZONE", _) => plain(DataType::Time64(TimeUnit::Microsecond)),
        ("TIMESTAMP" | "DATETIME" | "TIMESTAMP_US" | "TIMESTAMP WITHOUT TIME ZONE", _) => plain(moment(false)),
        ("TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE", _) => plain(moment(true)),
        ("TIMESTAMP_S", None) => plain(DataType::Timestamp(TimeUnit::Second, None)),
        ("TIMESTAMP_MS", None) => plain(DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("TIMESTAMP_NS", None) => plain(DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("INTERVAL", _) => plain(INTERVAL),
        ("UUID" | "GUID", None) => tagged(DataType::FixedSizeBinary(16), "UUID"),
        ("JSON", None) => tagged(DataType::Utf8, "JSON"),
        ("NULL", None) => plain(DataType::Null),
        ("STRUCT" | "ROW", Some(members)) => plain(DataType::Struct(fields(members)?)),
        ("MAP", Some(arguments)) => match split(arguments).as_slice() {
            [key, value] => {
                let key = parse(key)?.with_name("key").with_nullable(false);
                let value = parse(value)?.with_name("value");
                let entries = Field::new("entries", DataType::Struct(Fields::from(vec![key, value])), false);
                plain(DataType::Map(Arc::new(entries), false))
            }
            _ => return plan_err!("the type {name} needs a type of keys and one of values"),
        },
        _ => return plan_err!("there is no type {name}"),
    })
}

fn decimal(arguments: Option<&str>) -> Result<Field> {
    let numbers: Vec<Option<i64>> =
        arguments.map_or_else(Vec::new, |text| text.split(',').map(|number| number.trim().parse().ok()).collect());
    let (width, scale) = match numbers.as_slice() {
        [] => (18, 3),
        [Some(width)] => (*width, 0),
        [Some(width), Some(scale)] => (*width, *scale),
        _ => return plan_err!("a DECIMAL's width and scale are whole numbers"),
    };
    match (u8::try_from(width), i8::try_from(scale)) {
        (Ok(width @ 1..=38), Ok(scale)) if scale >= 0 && i64::from(scale) <= i64::from(width) => {
            Ok(plain(DataType::Decimal128(width, scale)))
        }
        _ => plan_err!("a DECIMAL's width is between 1 and 38, and its scale not above it"),
    }
}

/// The members of a struct: names, in quotes or not, each with a type.
fn fields(members: &str) -> Result<Fields> {
    split(members)
        .into_iter()
        .map(|member| {
            let member = member.trim();
            let (name, rest) = match member.strip_prefix('"') {
                Some(quoted) => match quoted.split_once('"') {
                    Some((name, rest)) => (name, rest),
                    None => return plan_err!("the name of a member ends nowhere: {member}"),
                },
                None => match member.split_once(char::is_whitespace) {
                    Some((name, rest)) => (name, rest),
                    None => return plan_err!("the member {member} of a struct has no type"),
                },
            };
            Ok(parse(rest.trim().trim_start_matches(':'))?.with_name(name))
        })
        .collect::<Result<Vec<_>>>()
        .map(Fields::from)
}

/// The parts between commas that stand in no parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut quoted) = (0, 0, false);
    let mut parts = Vec::new();
    for (index, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use tapline_core::values::duckdb_type_name;

    use super::*;

    #[test]
    fn names_are_read_back() {
        for (name, expected) in [
            ("int", "INTEGER"),
            ("DECIMAL(10, 2)", "DECIMAL(10,2)"),
            ("numeric", "DECIMAL(18,3)"),
            ("VARCHAR(20)", "VARCHAR"),
            ("Hugeint", "HUGEINT"),
            ("INT[][]", "INTEGER[][]"),
            ("INT[3]", "INTEGER[3]"),
            ("STRUCT(a INT, \"b c\" DECIMAL(4,1)[])", "STRUCT(a INTEGER, \"b c\" DECIMAL(4,1)[])"),
            ("MAP(VARCHAR, STRUCT(x DOUBLE))", "MAP(VARCHAR, STRUCT(x DOUBLE))"),
            ("timestamp with time zone", "TIMESTAMP WITH TIME ZONE"),
            ("uuid", "UUID"),
        ] {
            assert_eq!(duckdb_type_name(&parse(name).unwrap()), expected, "{name}");
        }
        for name in ["", "INTT", "DECIMAL(39,0)", "DECIMAL(2,3)", "MAP(INT)", "STRUCT(a)"] {
            assert!(parse(name).is_err(), "{name}");
        }
    }
}
