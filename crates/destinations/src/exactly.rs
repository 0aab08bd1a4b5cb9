//! Values in the type that they are wanted in, where they lose nothing by it: from another type, and from texts.
//! Not here: how values become texts (`tapline_core::values`), and what a destination stores.
//! Called where rows are read back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeBinaryBuilder, PrimitiveArray, StringArray, new_empty_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Field, IntervalDayTime, IntervalDayTimeType, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, IntervalYearMonthType, TimeUnit,
};
use arrow::json::ReaderBuilder;
use tapline_core::values::Column;

/// A cast that fails rather than makes a value NULL.
pub(crate) const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

/// The array in another type, where the way back gives the same array.
pub(crate) fn exactly(array: &ArrayRef, wanted: &DataType) -> Option<ArrayRef> {
    if array.data_type() == wanted {
        return Some(array.clone());
    }
    let given = cast_with_options(array, wanted, &STRICT).ok()?;
    let back = cast_with_options(&given, array.data_type(), &STRICT).ok()?;
    (back.to_data() == array.to_data()).then_some(given)
}

/// The values that these texts stand for; `None` where a text is not exactly the one that its value is written as.
pub(crate) fn from_texts(field: &Field, texts: &[Option<&str>]) -> Option<ArrayRef> {
    let array = match field.data_type() {
        DataType::FixedSizeBinary(16) => uuids(texts)?,
        wanted @ (DataType::Interval(_) | DataType::Duration(_)) => {
            let one = |text: &Option<&str>| text.map_or(Some(None), |text| Span::parse(text).map(Some));
            spans(wanted, &texts.iter().map(one).collect::<Option<Vec<_>>>()?)?
        }
        wanted => cast_with_options(&StringArray::from(texts.to_vec()), wanted, &STRICT).ok()?,
    };
    is_written_as(field, &array, texts).then_some(array)
}

/// Whether these are the texts that the values are written as.
fn is_written_as(field: &Field, array: &ArrayRef, texts: &[Option<&str>]) -> bool {
    let Ok(column) = Column::new(field, array) else { return false };
    let mut written = Vec::new();
    texts.iter().enumerate().all(|(row, text)| {
        written.clear();
        column.text(row, &mut written) == text.is_some() && text.is_none_or(|text| text.as_bytes() == written)
    })
}

/// The nested values that these JSON documents stand for; `None` where a value is not written as its document. `same`
/// compares the document that is there with the one that is written.
pub(crate) fn from_documents(
    field: &Field,
    documents: &[Option<&str>],
    same: impl Fn(&str, &str) -> bool,
) -> Option<ArrayRef> {
    if documents.is_empty() {
        return Some(new_empty_array(field.data_type()));
    }
    let mut decoder = ReaderBuilder::new_with_field(field.clone().with_nullable(true))
        .with_batch_size(documents.len() + 1)
        .with_strict_mode(true)
        .build_decoder()
        .ok()?;
    for document in documents {
        for bytes in [document.unwrap_or("null").as_bytes(), b"\n"] {
            (decoder.decode(bytes).ok()? == bytes.len()).then_some(())?;
        }
    }
    let array = decoder.flush().ok()??.columns().first()?.clone();
    let column = Column::new(field, &array).ok()?;
    let mut written = Vec::new();
    let mut is_same = |(row, document): (usize, &Option<&str>)| {
        let Some(document) = document else { return column.is_null(row) };
        written.clear();
        column.json(row, &mut written);
        !column.is_null(row) && str::from_utf8(&written).is_ok_and(|written| same(document, written))
    };
    (array.len() == documents.len() && documents.iter().enumerate().all(&mut is_same)).then_some(array)
}

fn uuids(texts: &[Option<&str>]) -> Option<ArrayRef> {
    let mut bytes = FixedSizeBinaryBuilder::with_capacity(texts.len(), 16);
    for text in texts {
        match text {
            Some(text) => bytes.append_value(uuid::Uuid::parse_str(text).ok()?.as_bytes()).ok()?,
            None => bytes.append_null(),
        }
    }
    Some(Arc::new(bytes.finish()))
}

/// A length of time, in the parts that calendars keep apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) months: i32,
    pub(crate) days: i32,
    pub(crate) nanoseconds: i128,
}

impl Span {
    /// Reads `1 year 2 months 3 days -04:05:06.7`, any part of which may be absent.
    fn parse(text: &str) -> Option<Self> {
        let mut span = Self::default();
        let mut words = text.split(' ');
        while let Some(word) = words.next() {
            if word.contains(':') {
                span.nanoseconds = clock(word)?;
                continue;
            }
            let amount: i32 = word.parse().ok()?;
            match words.next()?.trim_end_matches('s') {
                "year" => span.months = span.months.checked_add(amount.checked_mul(12)?)?,
                "month" => span.months = span.months.checked_add(amount)?,
                "day" => span.days = amount,
                _ => return None,
            }
        }
        Some(span)
    }
}

/// The nanoseconds of `-04:05:06.7`.
fn clock(text: &str) -> Option<i128> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let mut parts = text.splitn(3, ':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let whole = |text: &str| text.parse::<u64>().ok().map(i128::from);
    let seconds = whole(hours)? * 3_600 + whole(minutes)? * 60 + whole(seconds)?;
    Some(sign * (seconds * 1_000_000_000 + whole(&format!("{fraction:0<9}"))?))
}

/// Lengths of time in the wanted type, where it has the parts that they have.
pub(crate) fn spans(wanted: &DataType, spans: &[Option<Span>]) -> Option<ArrayRef> {
    fn each<T: ArrowPrimitiveType>(
        spans: &[Option<Span>],
        convert: impl Fn(Span) -> Option<T::Native>,
    ) -> Option<ArrayRef> {
        let one = |span: &Option<Span>| span.map_or(Some(None), |span| convert(span).map(Some));
        let array: PrimitiveArray<T> = spans.iter().map(one).collect::<Option<Vec<_>>>()?.into_iter().collect();
        Some(Arc::new(array))
    }
    let ticks = |span: Span, unit: i128| match span {
        Span { months: 0, days: 0, nanoseconds } if nanoseconds % unit == 0 => i64::try_from(nanoseconds / unit).ok(),
        _ => None,
    };
    match wanted {
        DataType::Interval(IntervalUnit::YearMonth) => each::<IntervalYearMonthType>(spans, |span| {
            (span.days == 0 && span.nanoseconds == 0).then_some(span.months)
        }),
        DataType::Interval(IntervalUnit::DayTime) => each::<IntervalDayTimeType>(spans, |span| {
            let time = Span { days: 0, ..span };
            Some(IntervalDayTime::new(span.days, i32::try_from(ticks(time, 1_000_000)?).ok()?))
        }),
        DataType::Interval(IntervalUnit::MonthDayNano) => each::<IntervalMonthDayNanoType>(spans, |span| {
            Some(IntervalMonthDayNano::new(span.months, span.days, i64::try_from(span.nanoseconds).ok()?))
        }),
        DataType::Duration(TimeUnit::Second) => each::<DurationSecondType>(spans, |span| ticks(span, 1_000_000_000)),
        DataType::Duration(TimeUnit::Millisecond) => {
            each::<DurationMillisecondType>(spans, |span| ticks(span, 1_000_000))
        }
        DataType::Duration(TimeUnit::Microsecond) => each::<DurationMicrosecondType>(spans, |span| ticks(span, 1_000)),
        DataType::Duration(TimeUnit::Nanosecond) => each::<DurationNanosecondType>(spans, |span| ticks(span, 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(data_type: DataType, text: &str) -> Option<ArrayRef> {
        from_texts(&Field::new("f", data_type, true), &[None, Some(text)])
    }

    #[test]
    fn only_the_text_of_the_value_is_the_value() {
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into()));
        let cases = [
            (DataType::Int32, "-17", "017"),
            (DataType::Int8, "127", "128"),
            (DataType::UInt64, "18446744073709551615", "18446744073709551616"),
            (DataType::Decimal128(10, 2), "-1.50", "-1.5"),
            (DataType::Decimal256(60, 3), "0.125", "0.1251"),
            (DataType::Boolean, "true", "yes"),
            (DataType::Date32, "2024-02-29", "2023-02-29"),
            (DataType::Time64(TimeUnit::Microsecond), "01:01:01.5", "1:01"),
            (DataType::Timestamp(TimeUnit::Second, None), "2024-01-01 00:00:00", "2024-01-01 00:00:00.5"),
            (DataType::Timestamp(TimeUnit::Nanosecond, None), "1970-01-01 00:00:00.000000001", "1970-01-01"),
            (zoned, "1970-01-01 00:00:01.5+00", "1970-01-01 01:00:01.5+01"),
            (DataType::Float64, "0.1", "0.10"),
            (DataType::Interval(IntervalUnit::YearMonth), "-1 year -2 months", "1 day"),
            (DataType::Interval(IntervalUnit::DayTime), "1 day -00:00:00.001", "1 month"),
            (
                DataType::Interval(IntervalUnit::MonthDayNano),
                "1 year 1 month 2 days 30:00:00.000000001",
                "2 fortnights",
            ),
            (DataType::Duration(TimeUnit::Microsecond), "24:00:00.000001", "1 day"),
        ];
        for (data_type, good, bad) in cases {
            let array = parsed(data_type.clone(), good).unwrap_or_else(|| panic!("{data_type} {good}"));
            assert_eq!((array.data_type(), array.is_null(0), array.is_null(1)), (&data_type, true, false));
            assert!(parsed(data_type.clone(), bad).is_none(), "{data_type} {bad}");
        }
    }
}
