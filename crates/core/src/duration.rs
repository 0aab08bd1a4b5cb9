//! Durations as people write them: `500ms`, `30s`, `15m`, `36h`, `1d`, `1h30m`.
//! Not here: calendars and cron.
//! Called by the project file and the command line.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Reads a duration. Fails, naming the units, when the text is none.
pub fn parse(text: &str) -> Result<Duration, String> {
    let problem = || format!("`{text}` is not a duration; write a number with a unit: 500ms, 30s, 15m, 36h, 1d");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(problem());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit()).ok_or_else(problem)?;
        let number: u64 = rest[..digits].parse().map_err(|_| problem())?;
        let unit_end =
            rest[digits..].find(|character: char| character.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let milliseconds: u64 = match &rest[digits..unit_end] {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(problem()),
        };
        let part = number.checked_mul(milliseconds).ok_or_else(problem)?;
        total = total.checked_add(Duration::from_millis(part)).ok_or_else(problem)?;
        rest = &rest[unit_end..];
    }
    Ok(total)
}

/// A duration in a config struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|min|h|d))+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse("45m"), Ok(Duration::from_secs(2_700)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("1d"), Ok(Duration::from_secs(86_400)));
    }

    #[test]
    fn what_is_no_duration_says_so() {
        for text in ["", "15", "m", "1x", "-1s", "99999999999999999999d"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
