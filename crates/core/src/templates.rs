//! Liquid as Tapline speaks it: the standard filters, NULL carried through those that would fail on it, `json`, and
//! `date` over every way a moment is written.
//! Not here: which values a template sees.
//! Called by the mapping of a sync's fields and by the HTTP destination.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use liquid::{Parser, ParserBuilder};
use liquid_core::model::{ScalarCow, Value};
use liquid_core::parser::{Filter, FilterArguments, FilterReflection, ParameterReflection, ParseFilter};
use liquid_core::{Error, Expression, Result, Runtime, ValueView};
use liquid_lib::stdlib;

/// Why a template gives nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateFault {
    /// It uses this name, which is there for no row.
    Unknown(String),
    /// It looks into a value for a part, a member or an item, that this one does not have.
    Absent {
        /// The value, by its name or the path to it.
        value: String,
        /// The name or the position of the part.
        part: String,
    },
    /// A filter cannot work with the row's values; why, as far as that says nothing of the values.
    Unfit(Option<String>),
}

/// A parser of templates.
///
/// # Errors
/// Never with the filters that are here.
pub fn parser() -> Result<Parser> {
    ParserBuilder::with_stdlib()
        .filter(Careful(stdlib::Abs))
        .filter(Careful(stdlib::AtLeast))
        .filter(Careful(stdlib::AtMost))
        .filter(Careful(stdlib::Ceil))
        .filter(Careful(stdlib::DividedBy))
        .filter(Careful(stdlib::Floor))
        .filter(Careful(stdlib::Minus))
        .filter(Careful(stdlib::Modulo))
        .filter(Careful(stdlib::Plus))
        .filter(Careful(stdlib::Round))
        .filter(Careful(stdlib::Times))
        .filter(Careful(stdlib::Compact))
        .filter(Careful(stdlib::Concat))
        .filter(Careful(stdlib::First))
        .filter(Careful(stdlib::Join))
        .filter(Careful(stdlib::Last))
        .filter(Careful(stdlib::Map))
        .filter(Careful(stdlib::Reverse))
        .filter(Careful(stdlib::Slice))
        .filter(Careful(stdlib::Sort))
        .filter(Careful(stdlib::SortNatural))
        .filter(Careful(stdlib::Uniq))
        .filter(Careful(stdlib::Where))
        .filter(Moment)
        .filter(Json)
        .build()
}

/// What is wrong with a text that is no template: the place in it and what was expected there.
pub fn syntax_fault(error: &Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().trim_start_matches("liquid:").trim().to_owned();
    let Some(place) = first.strip_prefix("-->").map(str::trim) else { return lower(&first) };
    let reason = lines.find_map(|line| line.strip_prefix("= ")).unwrap_or("it is no Liquid template");
    match place.split_once(':') {
        Some((line, column)) => format!("line {line}, column {column}: {}", lower(reason)),
        None => lower(reason),
    }
}

/// Why a template could not be rendered, without the values that Liquid's own message may quote.
pub fn render_fault(error: &Error) -> TemplateFault {
    let text = error.to_string();
    let context = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    if text.contains("Unknown variable")
        && let Some(name) = context("requested variable")
    {
        return TemplateFault::Unknown(name.to_owned());
    }
    if text.contains("Unknown index")
        && let (Some(value), Some(part)) = (context("variable"), context("requested index"))
    {
        return TemplateFault::Absent { value: value.to_owned(), part: part.to_owned() };
    }
    TemplateFault::Unfit(context("cause").map(lower))
}

fn lower(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// A standard filter that gives NULL where it would fail on one, and fails where it would wrap around.
#[derive(Debug, Clone, Copy)]
struct Careful<F>(F);

impl<F: ParseFilter + Clone + 'static> ParseFilter for Careful<F> {
    fn parse(&self, arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        let operands: Vec<Expression> = arguments.positional.collect();
        let positional = Box::new(operands.clone().into_iter());
        let filter = self.0.parse(FilterArguments { positional, keyword: arguments.keyword })?;
        Ok(Box::new(CarefulFilter { name: self.0.reflection().name().to_owned(), filter, operands }))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self.0.reflection()
    }
}

#[derive(Debug)]
struct CarefulFilter {
    name: String,
    filter: Box<dyn Filter>,
    operands: Vec<Expression>,
}

impl fmt::Display for CarefulFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt(formatter)
    }
}

impl Filter for CarefulFilter {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> Result<Value> {
        let mut first = None;
        for operand in &self.operands {
            let operand = operand.evaluate(runtime)?;
            if operand.is_nil() {
                return Ok(Value::Nil);
            }
            first = first.or_else(|| whole(operand.as_view()));
        }
        if input.is_nil() {
            return Ok(Value::Nil);
        }
        if let Some(left) = whole(input)
            && !fits(&self.name, left, first)
        {
            return Err(Error::with_msg("Invalid input").context("cause", "the result is beyond 64 bits"));
        }
        self.filter.evaluate(input, runtime)
    }
}

fn whole(value: &dyn ValueView) -> Option<i64> {
    value.as_scalar()?.to_integer()
}

/// Whether the result of a filter over whole numbers is one that 64 bits hold.
fn fits(filter: &str, left: i64, right: Option<i64>) -> bool {
    match (filter, right) {
        ("abs", _) => left.checked_abs().is_some(),
        ("plus", Some(right)) => left.checked_add(right).is_some(),
        ("minus", Some(right)) => left.checked_sub(right).is_some(),
        ("times", Some(right)) => left.checked_mul(right).is_some(),
        // A division by zero has its own error.
        ("divided_by" | "modulo", Some(right)) => right == 0 || left.checked_div(right).is_some(),
        _ => true,
    }
}

/// `{{ day | date: "%d.%m.%Y" }}`: the standard filter, over ISO 8601 and what DuckDB writes too.
#[derive(Debug, Clone, Copy)]
struct Moment;

impl ParseFilter for Moment {
    fn parse(&self, arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        Ok(Box::new(MomentFilter(stdlib::Date.parse(arguments)?)))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        &stdlib::Date
    }
}

#[derive(Debug)]
struct MomentFilter(Box<dyn Filter>);

impl fmt::Display for MomentFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Filter for MomentFilter {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> Result<Value> {
        match input.as_scalar().and_then(|scalar| moment(&scalar)) {
            Some(moment) => self.0.evaluate(&Value::scalar(moment), runtime),
            None => self.0.evaluate(input, runtime),
        }
    }
}

/// The moment that a scalar names, where it is a date, a moment with or without an offset, or seconds since 1970.
fn moment(scalar: &ScalarCow<'_>) -> Option<liquid::model::DateTime> {
    let text = scalar.to_kstr();
    let text = text.trim();
    let (date, time) = text.split_once([' ', 'T', 't']).unwrap_or((text, ""));
    let written = match NaiveDate::parse_from_str(date, "%Y-%m-%d") {
        Ok(date) if time.is_empty() => date.and_time(NaiveTime::MIN).and_utc().fixed_offset(),
        Ok(_) => {
            let text = format!("{date} {time}");
            let plain = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];
            let zoned = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z"];
            let plain = || plain.iter().find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok());
            let zoned = || zoned.iter().find_map(|format| DateTime::parse_from_str(&text, format).ok());
            plain().map(|moment| moment.and_utc().fixed_offset()).or_else(zoned)?
        }
        Err(_) => DateTime::<Utc>::from_timestamp(text.parse().ok()?, 0)?.fixed_offset(),
    };
    liquid::model::DateTime::from_str(&written.format("%Y-%m-%d %H:%M:%S%.9f %z").to_string())
}

/// `{{ name | json }}`: a value as JSON.
#[derive(Debug, Clone, Copy)]
struct Json;

impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("json")
    }
}

impl Filter for Json {
    fn evaluate(&self, input: &dyn ValueView, _: &dyn Runtime) -> Result<Value> {
        let mut value =
            serde_json::to_value(input.to_value()).map_err(|_| Error::with_msg("a value cannot be written as JSON"))?;
        // Liquid's objects have no order: without one, equal values would not be equal texts.
        value.sort_all_objects();
        Ok(Value::scalar(value.to_string()))
    }
}

impl FilterReflection for Json {
    fn name(&self) -> &str {
        "json"
    }

    fn description(&self) -> &str {
        "Writes a value as JSON."
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl ParseFilter for Json {
    fn parse(&self, mut arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        if arguments.positional.next().is_some() || arguments.keyword.next().is_some() {
            return Err(Error::with_msg("the filter json takes no arguments"));
        }
        Ok(Box::new(Self))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

#[cfg(test)]
mod tests {
    use liquid::Object;

    use super::*;

    fn render(template: &str, values: &[(&'static str, Value)]) -> std::result::Result<String, TemplateFault> {
        let globals: Object = values.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        parser().unwrap().parse(template).unwrap().render(&globals).map_err(|error| render_fault(&error))
    }

    #[test]
    fn null_stays_null_in_filters() {
        let values = [("n", Value::Nil), ("one", Value::scalar(1))];
        for filter in [
            "plus: 1",
            "minus: 1",
            "times: 2",
            "divided_by: 2",
            "modulo: 2",
            "abs",
            "round",
            "ceil",
            "floor",
            "at_least: 1",
            "at_most: 1",
            "join: ','",
            "first",
            "last",
            "sort",
            "sort_natural",
            "uniq",
            "reverse",
            "compact",
            "map: 'a'",
            "where: 'a', 'b'",
            "concat: n",
            "slice: 1",
            "date: '%Y'",
            "upcase",
            "split: ','",
            "append: ''",
        ] {
            assert_eq!(render(&format!("<{{{{ n | {filter} }}}}>"), &values).as_deref(), Ok("<>"), "{filter}");
        }
        assert_eq!(render("{{ one | plus: n }}", &values).as_deref(), Ok(""));
        assert_eq!(render("{{ n | plus: 1 | default: 'none' }}", &values).as_deref(), Ok("none"));
        assert_eq!(render("{{ one | plus: one }}", &values).as_deref(), Ok("2"));
    }

    #[test]
    fn no_number_wraps_around() {
        let values = [("most", Value::scalar(i64::MAX)), ("least", Value::scalar(i64::MIN))];
        for template in [
            "{{ most | plus: 1 }}",
            "{{ least | minus: 1 }}",
            "{{ most | times: 2 }}",
            "{{ least | abs }}",
            "{{ least | divided_by: -1 }}",
        ] {
            let beyond = TemplateFault::Unfit(Some("the result is beyond 64 bits".to_owned()));
            assert_eq!(render(template, &values), Err(beyond), "{template}");
        }
        assert!(render("{{ most | divided_by: 0 }}", &values).is_err());
        assert_eq!(render("{{ most | minus: 1 }}", &values).as_deref(), Ok("9223372036854775806"));
    }

    #[test]
    fn dates_in_every_way_they_are_written() {
        for (text, expected) in [
            ("2024-01-31", "31.01.2024 00:00:00 +0000"),
            ("2024-01-31 10:11:12", "31.01.2024 10:11:12 +0000"),
            ("2024-01-31 10:11:12.5", "31.01.2024 10:11:12 +0000"),
            ("2024-01-31 10:11:12+00", "31.01.2024 10:11:12 +0000"),
            ("2024-01-31 10:11:12.123456+05:30", "31.01.2024 10:11:12 +0530"),
            ("2024-01-31T10:11:12Z", "31.01.2024 10:11:12 +0000"),
            ("2024-01-31T10:11-08", "31.01.2024 10:11:00 -0800"),
            ("2024-01-31 10:11", "31.01.2024 10:11:00 +0000"),
            ("16 Feb 2016 10:00:00 +0100", "16.02.2016 10:00:00 +0100"),
            ("1455616800", "16.02.2016 10:00:00 +0000"),
            ("no date", "no date"),
        ] {
            let values = [("d", Value::scalar(text))];
            assert_eq!(render("{{ d | date: '%d.%m.%Y %H:%M:%S %z' }}", &values).as_deref(), Ok(expected), "{text}");
        }
        let epoch = [("d", Value::scalar(1_455_616_800))];
        assert_eq!(render("{{ d | date: '%Y' }}", &epoch).as_deref(), Ok("2016"));
    }

    #[test]
    fn faults_are_told_without_values() {
        let values = [("secret", Value::scalar("hunter2"))];
        assert_eq!(render("{{ sercet }}", &values), Err(TemplateFault::Unknown("sercet".to_owned())));
        let absent = TemplateFault::Absent { value: "secret".to_owned(), part: "part".to_owned() };
        assert_eq!(render("{{ secret.part }}", &values), Err(absent));
        let unfit = TemplateFault::Unfit(Some("number expected".to_owned()));
        assert_eq!(render("{{ secret | plus: 1 }}", &values), Err(unfit));
        let parser = parser().unwrap();
        let fault = |text: &str| syntax_fault(&parser.parse(text).err().unwrap());
        assert!(fault("ab {{ id ").starts_with("line 1, column "), "{}", fault("ab {{ id "));
        assert!(fault("ab {{ id ").contains("expected"), "{}", fault("ab {{ id "));
        assert!(fault("{{ id | nofilter }}").contains("filter"), "{}", fault("{{ id | nofilter }}"));
    }
}
