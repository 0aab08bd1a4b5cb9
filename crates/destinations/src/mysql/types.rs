//! The type table: how MySQL holds an Arrow type exactly.
//! Not here: values (see `encode`), and whether an existing column can take a field (see `fit`).
//! Called by the creation of tables, and by the encoder.
//!
//! | model (DuckDB's name) | Arrow | new column | stored |
//! |---|---|---|---|
//! | BOOLEAN | Boolean | `tinyint(1)` | 0 or 1 |
//! | TINYINT to BIGINT | Int8 to Int64 | `tinyint` to `bigint` | integer |
//! | UTINYINT to UBIGINT | UInt8 to UInt64 | `tinyint unsigned` to `bigint unsigned` | integer |
//! | DECIMAL(p,s), HUGEINT | Decimal32, 64, 128, 256 | `decimal(p,s)`, up to 65 digits and 38 places (MySQL: 30); beyond that `longtext` | its digits |
//! | FLOAT | Float16, Float32 | `float` | float; NaN and infinities are rejected |
//! | DOUBLE | Float64 | `double` | float; NaN and infinities are rejected |
//! | VARCHAR, ENUM, JSON | Utf8, LargeUtf8, Utf8View, Dictionary | `longtext`; in a key `varchar` | text, compared byte by byte |
//! | BLOB | Binary, LargeBinary, BinaryView, FixedSizeBinary | `longblob`; in a key `varbinary` | bytes |
//! | DATE | Date | `date` | years 1 to 9999 |
//! | TIME | Time | `time(6)` | microseconds; finer ones are rejected |
//! | TIMESTAMP | Timestamp | `datetime(6)` | microseconds, years 1 to 9999; what is finer or beyond is rejected |
//! | TIMESTAMPTZ | Timestamp with zone | `datetime(6)` | the moment in UTC |
//! | UUID | FixedSizeBinary(16) tagged so | `char(36)` | its text |
//! | INTERVAL | Interval, Duration | `longtext`; in a key `varchar` | as DuckDB's cast to VARCHAR |
//! | LIST, STRUCT, MAP | List, LargeList, FixedSizeList, Struct, Map | `json` | JSON, as DuckDB's `to_json` |
//! | NULL | Null | `longtext` | NULL |

use arrow::datatypes::{DataType, Field};
use tapline_core::values::TYPE_KEY;

use super::connect::Version;

/// Digits of a DECIMAL at most.
pub(super) const MOST_DIGITS: u8 = 65;

/// Bytes that all parts of a key can have together, with room for lengths and NULL flags.
const KEY_BYTES: usize = 3_000;

/// The form in which values of an Arrow type travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Null,
    Boolean,
    /// Bits, without the sign.
    Integer {
        bits: u8,
        unsigned: bool,
    },
    Decimal {
        precision: u8,
        scale: i8,
    },
    Float,
    Double,
    Text,
    Bytes,
    Uuid,
    Date,
    Time,
    Timestamp,
    /// A timestamp with a zone.
    Moment,
    /// A length of time.
    Interval,
    Json,
}

impl Form {
    /// The form of a field's values; `None` where there is none.
    pub(super) fn of(field: &Field) -> Option<Self> {
        let integer = |bits, unsigned| Self::Integer { bits, unsigned };
        Some(match field.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => integer(8, false),
            DataType::Int16 => integer(16, false),
            DataType::Int32 => integer(32, false),
            DataType::Int64 => integer(64, false),
            DataType::UInt8 => integer(8, true),
            DataType::UInt16 => integer(16, true),
            DataType::UInt32 => integer(32, true),
            DataType::UInt64 => integer(64, true),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => Self::Decimal { precision: *precision, scale: *scale },
            DataType::Float16 | DataType::Float32 => Self::Float,
            DataType::Float64 => Self::Double,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::FixedSizeBinary(16) if is_uuid(field) => Self::Uuid,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytes
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::Moment,
            DataType::Interval(_) | DataType::Duration(_) => Self::Interval,
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::Struct(_)
            | DataType::Map(..) => Self::Json,
            DataType::Dictionary(_, values) => {
                return Self::of(&field.clone().with_data_type(values.as_ref().clone()));
            }
            _ => return None,
        })
    }

    /// The column of a new table that keeps every value of this form; `keys` is the number of key fields, where this
    /// is one of them.
    pub(super) fn created(self, version: Version, keys: Option<usize>) -> Kind {
        let characters = |keys: usize| (KEY_BYTES / keys.max(1) / 4) as u64;
        let text = || match keys {
            Some(keys) => {
                Kind::Text { most: Some(characters(keys)), in_bytes: false, fixed: false, charset: Charset::Utf8mb4 }
            }
            None => Kind::LONG_TEXT,
        };
        match self {
            Self::Null | Self::Text | Self::Interval => text(),
            Self::Boolean => Kind::Integer { bits: 8, unsigned: false },
            Self::Integer { bits, unsigned } => Kind::Integer { bits, unsigned },
            Self::Decimal { precision, scale } => {
                let (precision, scale) = digits(precision, scale);
                if precision <= MOST_DIGITS && scale <= version.most_places() {
                    Kind::Decimal { precision, scale, unsigned: false }
                } else {
                    text()
                }
            }
            Self::Float => Kind::Float { double: false, unsigned: false },
            Self::Double => Kind::Float { double: true, unsigned: false },
            Self::Bytes => Kind::Bytes { most: keys.map(|keys| characters(keys) * 4), fixed: false },
            Self::Uuid => Kind::Text { most: Some(36), in_bytes: false, fixed: true, charset: Charset::Utf8mb4 },
            Self::Date => Kind::Date,
            Self::Time => Kind::Time { places: 6 },
            Self::Timestamp | Self::Moment => Kind::DateTime { places: 6 },
            Self::Json if keys.is_some() => text(),
            Self::Json => Kind::Json,
        }
    }
}

/// The type of a new column of this kind for values of this form, in SQL.
pub(super) fn declared(form: Form, kind: &Kind) -> String {
    // By this width programs know a column of truths.
    if form == Form::Boolean { "tinyint(1)".to_owned() } else { kind.declared() }
}

/// Precision and scale as SQL has them, where Arrow's scale may be negative.
pub(super) fn digits(precision: u8, scale: i8) -> (u8, u8) {
    match u8::try_from(scale) {
        Ok(scale) => (precision.max(scale).max(1), scale),
        Err(_) => (precision.saturating_add(scale.unsigned_abs()), 0),
    }
}

/// The character set of a column of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// Every character.
    Utf8mb4,
    /// None of four bytes.
    Utf8mb3,
    /// Few characters; the server says which.
    Narrow,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Integer {
        bits: u8,
        unsigned: bool,
    },
    Bit {
        width: u8,
    },
    Decimal {
        precision: u8,
        scale: u8,
        unsigned: bool,
    },
    Float {
        double: bool,
        unsigned: bool,
    },
    Year,
    Date,
    Time {
        places: u8,
    },
    DateTime {
        places: u8,
    },
    /// A moment between 1970 and 2038.
    Stamp {
        places: u8,
    },
    Text {
        /// The longest text; `None` where it is longer than any value.
        most: Option<u64>,
        in_bytes: bool,
        /// Whether trailing spaces are lost.
        fixed: bool,
        charset: Charset,
    },
    Bytes {
        most: Option<u64>,
        /// Whether shorter values are filled up.
        fixed: bool,
    },
    Json,
    /// One of these texts.
    Enum(Vec<String>),
    /// Some of these texts, in their order, joined by commas.
    Set(Vec<String>),
    Uuid,
    Inet,
    /// Something that takes no field.
    Other,
}

impl Kind {
    /// A text of any length.
    pub(super) const LONG_TEXT: Self =
        Self::Text { most: None, in_bytes: false, fixed: false, charset: Charset::Utf8mb4 };

    /// The type of a new column, in SQL. Texts have the table's character set.
    pub(super) fn declared(&self) -> String {
        let signed = |name: &str, unsigned: bool| if unsigned { format!("{name} unsigned") } else { name.to_owned() };
        match self {
            Self::Integer { bits, unsigned } => signed(
                match bits {
                    8 => "tinyint",
                    16 => "smallint",
                    24 => "mediumint",
                    32 => "int",
                    _ => "bigint",
                },
                *unsigned,
            ),
            Self::Bit { width } => format!("bit({width})"),
            Self::Decimal { precision, scale, unsigned } => signed(&format!("decimal({precision},{scale})"), *unsigned),
            Self::Float { double, unsigned } => signed(if *double { "double" } else { "float" }, *unsigned),
            Self::Year => "year".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Time { places } => format!("time({places})"),
            Self::DateTime { places } => format!("datetime({places})"),
            Self::Stamp { places } => format!("timestamp({places})"),
            Self::Text { most: Some(most), fixed: true, .. } => format!("char({most})"),
            Self::Text { most: Some(most), in_bytes: false, .. } => format!("varchar({most})"),
            Self::Text { .. } => "longtext".to_owned(),
            Self::Bytes { most: Some(most), .. } => format!("varbinary({most})"),
            Self::Bytes { .. } => "longblob".to_owned(),
            Self::Json => "json".to_owned(),
            Self::Enum(_) | Self::Set(_) | Self::Uuid | Self::Inet | Self::Other => "longtext".to_owned(),
        }
    }

    /// The type of the staging table's column, which takes every value that is sent to this one without a change; the
    /// flag says that it holds texts. The server itself puts the value into the column.
    pub(super) fn staged(&self) -> (String, bool) {
        let of = |name: &str| (name.to_owned(), false);
        match self {
            Self::Integer { unsigned: false, .. } | Self::Year => of("bigint"),
            Self::Integer { unsigned: true, .. } | Self::Bit { .. } => of("bigint unsigned"),
            Self::Decimal { precision, scale, .. } => (format!("decimal({precision},{scale})"), false),
            Self::Float { .. } => of("double"),
            Self::Date => of("date"),
            Self::Time { places } => (format!("time({places})"), false),
            Self::DateTime { places } | Self::Stamp { places } => (format!("datetime({places})"), false),
            Self::Bytes { .. } => of("longblob"),
            Self::Text { .. } | Self::Json | Self::Enum(_) | Self::Set(_) | Self::Uuid | Self::Inet | Self::Other => {
                ("longtext".to_owned(), true)
            }
        }
    }

    /// The kind of an existing column, from `information_schema.columns`: its type's name and its whole type, the
    /// longest value in characters, and its character set.
    pub(super) fn read(data_type: &str, column_type: &str, longest: Option<u64>, charset: Option<&str>) -> Self {
        let unsigned = column_type.contains("unsigned");
        let longest = longest.filter(|longest| *longest < u64::from(u32::MAX));
        let integer = |bits| Self::Integer { bits, unsigned };
        let parameter = |index: usize| parameter(column_type, index);
        let places = || parameter(0).unwrap_or(0);
        let text = |in_bytes, fixed| Self::Text {
            most: longest,
            in_bytes,
            fixed,
            charset: match charset {
                Some("utf8mb4") => Charset::Utf8mb4,
                Some("utf8mb3" | "utf8") => Charset::Utf8mb3,
                _ => Charset::Narrow,
            },
        };
        match data_type {
            "tinyint" => integer(8),
            "smallint" => integer(16),
            "mediumint" => integer(24),
            "int" => integer(32),
            "bigint" => integer(64),
            "bit" => Self::Bit { width: parameter(0).unwrap_or(1) },
            "decimal" => {
                Self::Decimal { precision: parameter(0).unwrap_or(10), scale: parameter(1).unwrap_or(0), unsigned }
            }
            // A float that is rounded to a number of places keeps no float.
            "float" | "double" if column_type.contains('(') => Self::Other,
            "float" => Self::Float { double: false, unsigned },
            "double" => Self::Float { double: true, unsigned },
            "year" => Self::Year,
            "date" => Self::Date,
            "time" => Self::Time { places: places() },
            "datetime" => Self::DateTime { places: places() },
            "timestamp" => Self::Stamp { places: places() },
            "char" => text(false, true),
            "varchar" => text(false, false),
            "tinytext" | "text" | "mediumtext" | "longtext" => text(true, false),
            "binary" => Self::Bytes { most: longest, fixed: true },
            "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                Self::Bytes { most: longest, fixed: false }
            }
            "json" => Self::Json,
            "enum" => Self::Enum(members(column_type)),
            "set" => Self::Set(members(column_type)),
            "uuid" => Self::Uuid,
            "inet4" | "inet6" => Self::Inet,
            _ => Self::Other,
        }
    }
}

/// A number in the brackets of a type: `decimal(10,2)`.
fn parameter(column_type: &str, index: usize) -> Option<u8> {
    let (_, rest) = column_type.split_once('(')?;
    rest.split_once(')')?.0.split(',').nth(index)?.trim().parse().ok()
}

/// The texts of `enum('a','it''s')`.
fn members(column_type: &str) -> Vec<String> {
    let list = column_type.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
    let mut members = Vec::new();
    let mut current: Option<String> = None;
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match (&mut current, character) {
            (None, '\'') => current = Some(String::new()),
            (None, _) => {}
            (Some(text), '\'') if characters.peek() == Some(&'\'') => {
                text.push('\'');
                characters.next();
            }
            (Some(_), '\'') => members.extend(current.take()),
            (Some(text), other) => text.push(other),
        }
    }
    members
}

fn is_uuid(field: &Field) -> bool {
    let metadata = field.metadata();
    let name = metadata.get(TYPE_KEY).or_else(|| metadata.get("ARROW:extension:name"));
    name.is_some_and(|name| name == "UUID" || name == "arrow.uuid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_declared_type() {
        let read = |column_type: &str| {
            let name = column_type.split(['(', ' ']).next().unwrap();
            Kind::read(name, column_type, Some(20), Some("utf8mb4"))
        };
        assert_eq!(read("bigint(20) unsigned"), Kind::Integer { bits: 64, unsigned: true });
        assert_eq!(read("int"), Kind::Integer { bits: 32, unsigned: false });
        assert_eq!(read("bit(5)"), Kind::Bit { width: 5 });
        assert_eq!(read("decimal(65,38)"), Kind::Decimal { precision: 65, scale: 38, unsigned: false });
        assert_eq!(read("float(7,2)"), Kind::Other);
        assert_eq!(read("datetime"), Kind::DateTime { places: 0 });
        assert_eq!(read("timestamp(6)"), Kind::Stamp { places: 6 });
        assert_eq!(read("enum('a','it''s','c,d')"), Kind::Enum(vec!["a".into(), "it's".into(), "c,d".into()]));
        assert_eq!(read("geometry"), Kind::Other);
    }

    #[test]
    fn keys_share_the_bytes_that_an_index_has() {
        let mariadb = Version { mariadb: true, number: (10, 11, 0) };
        assert_eq!(Form::Text.created(mariadb, Some(1)).declared(), "varchar(750)");
        assert_eq!(Form::Text.created(mariadb, Some(2)).declared(), "varchar(375)");
        assert_eq!(Form::Bytes.created(mariadb, Some(1)).declared(), "varbinary(3000)");
        assert_eq!(Form::Text.created(mariadb, None).declared(), "longtext");
        let mysql = Version { mariadb: false, number: (8, 0, 36) };
        let fine = Form::Decimal { precision: 38, scale: 38 };
        assert_eq!(fine.created(mariadb, None).declared(), "decimal(38,38)");
        assert_eq!(fine.created(mysql, None).declared(), "longtext");
        assert_eq!(Form::Decimal { precision: 5, scale: -3 }.created(mysql, None).declared(), "decimal(8,0)");
    }
}
