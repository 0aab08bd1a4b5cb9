//! How a staged value gets into an existing column, and when that is exact.
//! Not here: the staged types themselves (see `types`), and the statements that use this (see `statements`).
//! Called when a run opens its writer on a table that exists.
//!
//! A value fits when the column gives it back: 3.7 does not fit an `integer`, 1.239 no `numeric(10,2)`, and no text a
//! shorter `varchar`. What does not fit is a rejected row, never a rounded one. Texts fit where the type's own text is
//! the same; for UUIDs, numbers, dates and times, and JSON, other spellings of the same value fit as well.

use super::sql;
use super::table::Column;
use super::types::SqlType;

/// How a staged value `x` gets into a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fit {
    /// The value in the column's type. Evaluated only for rows that `exact` holds for.
    pub(super) cast: String,
    /// True where the cast keeps the value; `None` where it always does.
    pub(super) exact: Option<String>,
    /// Whether two staged values may become one.
    pub(super) folds: bool,
}

/// Why no value of a field fits a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// The types have nothing in common.
    Type,
    /// A timestamp without zone goes to a column with one, and nobody says which zone is meant.
    Zone,
}

const ISO_DATE: &str = "[0-9]{4,6}-[0-9]{2}-[0-9]{2}";
const ISO_TIME: &str = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?";
const DECIMAL: &str = "^-?[0-9]+([.][0-9]+)?$";
const UUID: &str = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";

/// Finds the way of the staged value `x` of type `staged` into `column`; `zone` is the one that timestamps without
/// zone are in.
pub(super) fn fit(x: &str, staged: &SqlType, column: &Column, zone: Option<&str>) -> Result<Fit, Misfit> {
    let rule = Rule { x, staged, to: base_type(column), modifier: column.modifier, zone };
    let (cast, exact) = match column.base.as_str() {
        base if !column.built_in && base != "citext" => rule.other()?,
        "text" | "citext" | "varchar" | "bpchar" => rule.text(&column.base)?,
        "int2" => rule.integer(i64::from(i16::MIN), i64::from(i16::MAX))?,
        "int4" => rule.integer(i64::from(i32::MIN), i64::from(i32::MAX))?,
        "int8" => rule.integer(i64::MIN, i64::MAX)?,
        "numeric" => rule.numeric()?,
        "float4" | "float8" => rule.float(column.base == "float4")?,
        "bool" => rule.boolean()?,
        "date" | "time" | "timestamp" | "timestamptz" => rule.moment(&column.base)?,
        "json" | "jsonb" => rule.json(&column.base)?,
        "uuid" => rule.uuid()?,
        "bytea" if *staged == SqlType::Uuid => (format!("uuid_send({x})"), None),
        _ => rule.other()?,
    };
    let folds = !column.deterministic
        || matches!(column.base.as_str(), "citext" | "interval" | "float4" | "float8" | "json" | "jsonb")
        || (*staged == SqlType::Text && !matches!(column.base.as_str(), "text" | "varchar" | "bpchar"));
    if !column.domain {
        return Ok(Fit { cast, exact, folds });
    }
    // The domain's own conditions are met, or not, by the cast into it.
    let cast = format!("CAST({cast} AS {})", column.type_name);
    let held = format!("({cast}) IS NOT NULL");
    let exact = Some(exact.map_or(held.clone(), |exact| format!("CASE WHEN {exact} THEN {held} ELSE false END")));
    Ok(Fit { cast, exact, folds })
}

/// The type to cast into, below any domain.
fn base_type(column: &Column) -> String {
    if !column.domain {
        return column.type_name.clone();
    }
    match (column.base.as_str(), column.modifier) {
        ("numeric", modifier) if modifier >= 0 => {
            let (precision, scale) = numeric_limits(modifier);
            format!("numeric({precision},{scale})")
        }
        ("varchar" | "bpchar", modifier) if modifier >= 4 => format!("{}({})", column.base, modifier - 4),
        ("time" | "timestamp" | "timestamptz", modifier) if modifier >= 0 => format!("{}({modifier})", column.base),
        (base, _) if column.built_in => format!("pg_catalog.{}", sql::name(base)),
        (base, _) => sql::name(base),
    }
}

/// Precision and scale, from the coding in `numerictypmodin`: the scale has eleven bits and a sign.
pub(super) fn numeric_limits(modifier: i32) -> (i32, i32) {
    let coded = modifier - 4;
    ((coded >> 16) & 0xffff, ((coded & 0x7ff) ^ 0x400) - 0x400)
}

type Way = Result<(String, Option<String>), Misfit>;

struct Rule<'a> {
    x: &'a str,
    staged: &'a SqlType,
    to: String,
    modifier: i32,
    zone: Option<&'a str>,
}

impl Rule<'_> {
    fn cast(&self) -> String {
        format!("CAST({} AS {})", self.x, self.to)
    }

    /// A check that holds only where `guard` does, and is not even tried elsewhere.
    fn guarded(guard: &str, exact: &str) -> Option<String> {
        Some(format!("CASE WHEN {guard} THEN {exact} ELSE false END"))
    }

    fn text(&self, base: &str) -> Way {
        let x = self.x;
        let text = match self.staged {
            SqlType::Text => x.to_owned(),
            SqlType::Bytea | SqlType::Array(_) => return Err(Misfit::Type),
            _ => format!("{x}::text"),
        };
        let length = self.modifier - 4;
        let exact = match base {
            "varchar" if length >= 0 => Some(format!("char_length({text}) <= {length}")),
            // Trailing blanks have no meaning in a blank-padded column.
            "bpchar" if length >= 0 => Some(format!("char_length({text}) <= {length} AND {text} = rtrim({text}, ' ')")),
            "bpchar" => Some(format!("{text} = rtrim({text}, ' ')")),
            _ => None,
        };
        Ok((format!("CAST({text} AS {})", self.to), exact))
    }

    fn integer(&self, least: i64, most: i64) -> Way {
        let x = self.x;
        let range = format!("BETWEEN {least} AND {most}");
        let exact = match self.staged {
            SqlType::SmallInt => None,
            SqlType::Integer if most >= i64::from(i32::MAX) => None,
            SqlType::BigInt if most == i64::MAX => None,
            SqlType::Integer | SqlType::BigInt => Some(format!("{x} {range}")),
            SqlType::Numeric { .. } => Some(format!("{x} {range} AND {x} = trunc({x})")),
            // As floats, the highest bigint and the one beyond are the same number.
            SqlType::Real | SqlType::Double => {
                Some(format!("{x} >= {least} AND {x}::float8 < {}::float8 AND {x} = trunc({x})", i128::from(most) + 1))
            }
            SqlType::Boolean => return Ok((format!("CAST({x}::integer AS {})", self.to), None)),
            SqlType::Text => Rule::guarded(
                &format!("{x} ~ '^-?[0-9]{{1,19}}$'"),
                &format!("{x}::numeric {range} AND {x}::numeric::text = {x}"),
            ),
            _ => return Err(Misfit::Type),
        };
        Ok((self.cast(), exact))
    }

    fn numeric(&self) -> Way {
        let x = self.x;
        let (number, guard) = match self.staged {
            SqlType::SmallInt | SqlType::Integer | SqlType::BigInt => (format!("{x}::numeric"), None),
            SqlType::Numeric { .. } => (x.to_owned(), None),
            SqlType::Boolean => (format!("{x}::integer::numeric"), None),
            // The text of a float has all its digits; its cast to numeric has fifteen.
            SqlType::Real | SqlType::Double => {
                (format!("{x}::text::numeric"), Some(format!("{x} NOT IN ('NaN', 'Infinity', '-Infinity')")))
            }
            SqlType::Text => (format!("{x}::numeric"), Some(format!("{x} ~ '{DECIMAL}'"))),
            _ => return Err(Misfit::Type),
        };
        let cast = format!("CAST({number} AS {})", self.to);
        if self.modifier < 0 {
            return Ok((cast, guard));
        }
        let (precision, scale) = numeric_limits(self.modifier);
        if let SqlType::Numeric { precision: staged_precision, scale: staged_scale } = self.staged {
            let (staged_precision, staged_scale) = (i32::from(*staged_precision), i32::from(*staged_scale));
            if scale >= staged_scale && precision - scale >= staged_precision - staged_scale {
                return Ok((cast, None));
            }
        }
        let held = format!("round({number}, {scale}) = {number} AND abs({number}) < 1e{}::numeric", precision - scale);
        Ok((cast, guard.map_or(Some(held.clone()), |guard| Rule::guarded(&guard, &held))))
    }

    fn float(&self, single: bool) -> Way {
        let x = self.x;
        let to = if single { "float4" } else { "float8" };
        let cast = self.cast();
        let digits = |number: &str| {
            // Outside of these bounds the cast is an error.
            let (least, most) = if single { ("1.5e-45", "3.4e38") } else { ("5e-324", "1.79e308") };
            let magnitude = format!("abs({number})");
            Rule::guarded(
                &format!("({magnitude} = 0 OR {magnitude} BETWEEN {least}::numeric AND {most}::numeric)"),
                &format!("({number})::{to}::text::numeric = {number}"),
            )
        };
        let exact = match self.staged {
            SqlType::Real | SqlType::SmallInt => None,
            SqlType::Double if !single => None,
            SqlType::Integer if !single => None,
            SqlType::Double => Rule::guarded(
                &format!(
                    "{x} = 0 OR abs({x}) BETWEEN 1.5e-45 AND 3.4028234663852886e38 OR {x} IN ('NaN', 'Infinity', '-Infinity')"
                ),
                &format!("{x}::float4::float8 = {x}"),
            ),
            SqlType::Integer => Some(format!("{x}::float4::float8 = {x}::float8")),
            SqlType::BigInt => {
                // The greatest bigint that is such a float, so that the way back cannot overflow.
                let most = if single { 9_223_371_487_098_961_920_i64 } else { 9_223_372_036_854_774_784 };
                Rule::guarded(&format!("{x} BETWEEN -{most} AND {most}"), &format!("{x}::{to}::int8 = {x}"))
            }
            SqlType::Numeric { .. } => digits(x),
            SqlType::Text => {
                let digits = digits(&format!("{x}::numeric")).unwrap_or_default();
                Rule::guarded(&format!("{x} ~ '{DECIMAL}'"), &digits)
            }
            _ => return Err(Misfit::Type),
        };
        Ok((cast, exact))
    }

    fn boolean(&self) -> Way {
        let x = self.x;
        match self.staged {
            SqlType::Boolean => Ok((x.to_owned(), None)),
            SqlType::SmallInt | SqlType::Integer | SqlType::BigInt => {
                Ok((format!("({x} = 1)"), Some(format!("{x} IN (0, 1)"))))
            }
            SqlType::Text => Ok((self.cast(), Some(format!("{x} IN ('true', 'false', 't', 'f')")))),
            _ => Err(Misfit::Type),
        }
    }

    fn uuid(&self) -> Way {
        match self.staged {
            SqlType::Uuid => Ok((self.x.to_owned(), None)),
            SqlType::Text => Ok((self.cast(), Some(format!("{} ~ '{UUID}'", self.x)))),
            _ => Err(Misfit::Type),
        }
    }

    fn json(&self, base: &str) -> Way {
        let x = self.x;
        let number = |guard| Ok((format!("to_{base}({x})"), guard));
        match self.staged {
            SqlType::Jsonb => Ok((self.cast(), None)),
            SqlType::Text => Ok((self.cast(), Some(format!("({}) IS NOT NULL", self.cast())))),
            SqlType::Boolean | SqlType::SmallInt | SqlType::Integer | SqlType::BigInt | SqlType::Numeric { .. } => {
                number(None)
            }
            SqlType::Real | SqlType::Double => number(Some(format!("{x} NOT IN ('NaN', 'Infinity', '-Infinity')"))),
            _ => Err(Misfit::Type),
        }
    }

    /// Dates, times and timestamps.
    fn moment(&self, base: &str) -> Way {
        let x = self.x;
        let zone = || self.zone.map(sql::text).ok_or(Misfit::Zone);
        // Digits of the second that the column cuts off.
        let cut =
            |value: &str| (0..6).contains(&self.modifier).then(|| format!("CAST({value} AS {}) = {value}", self.to));
        match (self.staged, base) {
            (SqlType::Date, "date") => Ok((x.to_owned(), None)),
            (SqlType::Date, "timestamp") => Ok((self.cast(), Some(in_timestamps(x)))),
            (SqlType::Date, "timestamptz") => {
                let cast = format!("({x}::timestamp AT TIME ZONE {})", zone()?);
                let back = format!("({cast} AT TIME ZONE {}) = {x}::timestamp", zone()?);
                Ok((cast, Rule::guarded(&in_timestamps(x), &back)))
            }
            (SqlType::Time, "time") => Ok((self.cast(), cut(x))),
            (SqlType::Timestamp, "timestamp") | (SqlType::TimestampTz, "timestamptz") => Ok((self.cast(), cut(x))),
            (SqlType::Timestamp, "date") => Ok((self.cast(), Some(format!("{x} = {x}::date")))),
            (SqlType::TimestampTz, "timestamp") => {
                let utc = format!("({x} AT TIME ZONE 'UTC')");
                Ok((format!("CAST({utc} AS {})", self.to), cut(&utc)))
            }
            (SqlType::Timestamp, "timestamptz") => {
                // In the hour that a clock skips there is no such moment, and the way back shows it.
                let moment = format!("({x} AT TIME ZONE {})", zone()?);
                let back = format!("({moment} AT TIME ZONE {}) = {x}", zone()?);
                let exact = cut(&moment).map_or(back.clone(), |cut| format!("{back} AND {cut}"));
                Ok((format!("CAST({moment} AS {})", self.to), Some(exact)))
            }
            (SqlType::Text, "date") => self.spelled(&format!("^{ISO_DATE}$"), None),
            (SqlType::Text, "time") => self.spelled(&format!("^{ISO_TIME}$"), cut(&format!("{x}::time"))),
            (SqlType::Text, "timestamp") => {
                self.spelled(&format!("^{ISO_DATE}[T ]{ISO_TIME}$"), cut(&format!("{x}::timestamp")))
            }
            (SqlType::Text, "timestamptz") => self.spelled(
                &format!("^{ISO_DATE}[T ]{ISO_TIME}(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$"),
                cut(&format!("{x}::timestamptz")),
            ),
            _ => Err(Misfit::Type),
        }
    }

    /// A text of this pattern, whose cast is exact if it succeeds.
    fn spelled(&self, pattern: &str, exact: Option<String>) -> Way {
        let exact = exact.unwrap_or_else(|| format!("({}) IS NOT NULL", self.cast()));
        Ok((self.cast(), Rule::guarded(&format!("{} ~ '{pattern}'", self.x), &exact)))
    }

    /// Every type without rules of its own: the same type, an array of the same items or of others that are given back,
    /// or a text that is the type's own text.
    fn other(&self) -> Way {
        let x = self.x;
        match self.staged {
            staged if self.to == staged.to_string() => Ok((x.to_owned(), None)),
            SqlType::Interval if self.to.starts_with("interval") => {
                Ok((self.cast(), Some(format!("{}::text = {x}::text", self.cast()))))
            }
            SqlType::Array(item) if self.to.ends_with("[]") && self.items_agree(item) => {
                Ok((self.cast(), Some(format!("CAST({} AS {}) = {x}", self.cast(), self.staged))))
            }
            SqlType::Text => Ok((self.cast(), Some(format!("format('%s', {}) = {x}", self.cast())))),
            _ => Err(Misfit::Type),
        }
    }

    /// Whether items of one type can be told from their cast into the items of the column.
    fn items_agree(&self, item: &SqlType) -> bool {
        let to = self.to.trim_end_matches("[]");
        let is_number = |name: &str| {
            ["smallint", "integer", "bigint", "numeric", "real", "double precision"]
                .iter()
                .any(|number| name.starts_with(number))
        };
        let name = item.to_string();
        *item == SqlType::Text || (is_number(&name) && is_number(to)) || name == to
    }
}

/// Dates reach further than timestamps.
fn in_timestamps(x: &str) -> String {
    format!("{x} < DATE '294277-01-01'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(base: &str, type_name: &str, modifier: i32) -> Column {
        Column {
            name: "c".into(),
            type_name: type_name.into(),
            base: base.into(),
            built_in: true,
            modifier,
            domain: false,
            not_null: false,
            has_default: false,
            always_identity: false,
            generated: false,
            deterministic: true,
            collation: None,
        }
    }

    #[test]
    fn the_same_type_needs_no_check() {
        let same = [
            (SqlType::Boolean, column("bool", "boolean", -1)),
            (SqlType::BigInt, column("int8", "bigint", -1)),
            (SqlType::Numeric { precision: 20, scale: 0 }, column("numeric", "numeric", -1)),
            (SqlType::Numeric { precision: 10, scale: 2 }, column("numeric", "numeric(12,3)", ((12 << 16) | 3) + 4)),
            (SqlType::Double, column("float8", "double precision", -1)),
            (SqlType::Text, column("text", "text", -1)),
            (SqlType::Text, column("varchar", "character varying", -1)),
            (SqlType::Bytea, column("bytea", "bytea", -1)),
            (SqlType::Timestamp, column("timestamp", "timestamp without time zone", -1)),
            (SqlType::TimestampTz, column("timestamptz", "timestamp with time zone", -1)),
            (SqlType::Interval, column("interval", "interval", -1)),
            (SqlType::Jsonb, column("jsonb", "jsonb", -1)),
            (SqlType::Array(Box::new(SqlType::Integer)), column("_int4", "integer[]", -1)),
            (SqlType::Integer, column("int8", "bigint", -1)),
        ];
        for (staged, column) in same {
            assert_eq!(fit("x", &staged, &column, None).unwrap().exact, None, "{staged} into {}", column.type_name);
        }
    }

    #[test]
    fn what_may_be_lost_is_checked() {
        let lossy = [
            (SqlType::Double, column("int4", "integer", -1)),
            (SqlType::BigInt, column("int4", "integer", -1)),
            (SqlType::Numeric { precision: 10, scale: 3 }, column("numeric", "numeric(10,2)", ((10 << 16) | 2) + 4)),
            (SqlType::Text, column("varchar", "character varying(3)", 7)),
            (SqlType::Double, column("float4", "real", -1)),
            (SqlType::Timestamp, column("timestamp", "timestamp(0) without time zone", 0)),
            (SqlType::Text, column("inet", "inet", -1)),
        ];
        for (staged, column) in lossy {
            assert!(fit("x", &staged, &column, None).unwrap().exact.is_some(), "{staged} into {}", column.type_name);
        }
    }

    #[test]
    fn types_without_anything_in_common_are_refused() {
        assert_eq!(fit("x", &SqlType::Date, &column("int4", "integer", -1), None), Err(Misfit::Type));
        assert_eq!(fit("x", &SqlType::Bytea, &column("text", "text", -1), None), Err(Misfit::Type));
        let zoned = column("timestamptz", "timestamp with time zone", -1);
        assert_eq!(fit("x", &SqlType::Timestamp, &zoned, None), Err(Misfit::Zone));
        assert!(fit("x", &SqlType::Timestamp, &zoned, Some("Europe/Berlin")).unwrap().cast.contains("'Europe/Berlin'"));
    }

    #[test]
    fn scales_below_zero_are_read() {
        assert_eq!(numeric_limits(((10 << 16) | 2) + 4), (10, 2));
        assert_eq!(numeric_limits(((3 << 16) | (0x7ff & -2)) + 4), (3, -2));
    }
}
