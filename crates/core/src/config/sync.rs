//! The settings of models and syncs.
//! Not here: sources and destinations, whose settings belong to their connectors.
//! Called by the project file (`config`) and, as values, by the engine.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::duration::HumanDuration;
use crate::stream::StreamName;

/// One SELECT over a source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Name of the source whose files the SQL reads.
    pub source: String,
    /// One SELECT in DuckDB's dialect; files are named as `'s3://bucket/path/file.parquet'`.
    pub sql: String,
    /// The columns that identify a row; required for incremental syncs.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub primary_key: Vec<String>,
}

/// How a sync brings the destination up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Deliver what differs from the last delivered state, by primary key.
    Incremental,
    /// Make the stream equal to the model.
    FullRefresh,
}

/// What to do with a row at the destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Write {
    /// Insert new keys, update known ones.
    #[default]
    Upsert,
    /// Insert new keys only; a key that is already at the destination is rejected.
    Insert,
    /// Update keys that the destination holds; others are skipped.
    Update,
}

/// What to do with rows that left the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deletes {
    /// Leave them.
    #[default]
    Ignore,
    /// Delete those that Tapline delivered.
    Propagate,
}

/// What to do with rows whose key is null or duplicated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadKey {
    /// Stop before anything is visible.
    #[default]
    Fail,
    /// Reject rows with a null key, and all rows of a duplicated key.
    Reject,
}

/// What to do when a column's type or presence changed since the last run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDrift {
    /// Stop before anything is visible.
    #[default]
    Fail,
    /// Widen the destination's columns where nothing is lost.
    Widen,
    /// Reject the rows that do not fit.
    Reject,
}

/// When a server runs a sync.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[serde(untagged)]
pub enum Schedule {
    /// Only when asked: `manual`.
    #[default]
    #[schemars(with = "Manual")]
    Manual,
    /// At a fixed distance.
    Every {
        /// The distance, such as `15m`.
        every: HumanDuration,
    },
    /// At times of the calendar.
    Cron {
        /// Five fields: minute, hour, day of month, month, day of week.
        cron: String,
        /// IANA name; UTC without it.
        timezone: Option<String>,
    },
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its JSON Schema is used")]
enum Manual {
    Manual,
}

/// Where the value of a field comes from.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FieldMapping {
    /// A column of the model.
    Column(String),
    /// The same value in every row.
    Static {
        /// A string, number, boolean or null.
        value: serde_json::Value,
    },
    /// Text made from the row's columns by a Liquid template.
    Template {
        /// Such as `Hello {{ first_name | capitalize }}`.
        template: String,
    },
}

/// A model, delivered to a stream of a destination.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncConfig {
    /// Name of the model.
    pub model: String,
    /// Name of the destination.
    pub destination: String,
    /// The table or object that rows go to; a dot separates parts, `"…"` quotes one.
    pub stream: StreamName,
    /// incremental or full_refresh.
    pub mode: Mode,
    /// Read only rows at or past the last delivered value of this column (incremental only).
    #[serde(default)]
    pub cursor_field: Option<String>,
    /// How far below the last cursor reading begins.
    #[serde(default)]
    pub cursor_lookback: Option<HumanDuration>,
    /// upsert, insert or update.
    #[serde(default)]
    pub write: Write,
    /// ignore or propagate.
    #[serde(default)]
    pub deletes: Deletes,
    /// The share of delivered rows whose removal stops the run, 0 to 1; 0.2 without it.
    #[serde(default)]
    pub max_delete_ratio: Option<f64>,
    /// The share of read rows whose rejection stops the run before anything is visible, 0 to 1; no share stops it without it.
    #[serde(default)]
    pub max_reject_ratio: Option<f64>,
    /// fail or reject.
    #[serde(default)]
    pub on_bad_key: OnBadKey,
    /// fail, widen or reject.
    #[serde(default)]
    pub on_drift: OnDrift,
    /// Destination fields and where their values come from; without it every column goes to the field of its own name.
    #[serde(default)]
    pub fields: Option<IndexMap<String, FieldMapping>>,
    /// How long a run may take before it is stopped; as long as it needs without it.
    #[serde(default)]
    pub timeout: Option<HumanDuration>,
    /// When a server runs the sync; manual without it.
    #[serde(default)]
    pub schedule: Schedule,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(name) => vec![name],
        OneOrMany::Many(names) => names,
    })
}

const MAPPING_KEYS: &[&str] = &["column", "value", "template"];

impl<'de> Deserialize<'de> for FieldMapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MappingVisitor;

        impl<'de> Visitor<'de> for MappingVisitor {
            type Value = FieldMapping;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a column name, { value: … } or { template: … }")
            }

            fn visit_str<E: de::Error>(self, column: &str) -> Result<FieldMapping, E> {
                Ok(FieldMapping::Column(column.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldMapping, A::Error> {
                let mut mapping = None;
                while let Some(key) = map.next_key::<String>()? {
                    if mapping.is_some() {
                        return Err(de::Error::custom("a field takes exactly one of column, value and template"));
                    }
                    mapping = Some(match key.as_str() {
                        "column" => FieldMapping::Column(map.next_value()?),
                        "value" => {
                            let value: serde_json::Value = map.next_value()?;
                            if value.is_array() || value.is_object() {
                                return Err(de::Error::custom("a static value is a string, number, boolean or null"));
                            }
                            FieldMapping::Static { value }
                        }
                        "template" => FieldMapping::Template { template: map.next_value()? },
                        other => return Err(de::Error::unknown_field(other, MAPPING_KEYS)),
                    });
                }
                mapping.ok_or_else(|| de::Error::custom("a field takes one of column, value and template"))
            }
        }

        deserializer.deserialize_any(MappingVisitor)
    }
}

const SCHEDULE_KEYS: &[&str] = &["every", "cron", "timezone"];

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScheduleVisitor;

        impl<'de> Visitor<'de> for ScheduleVisitor {
            type Value = Schedule;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("manual, { every: 15m } or { cron: \"0 6 * * *\", timezone: Europe/Berlin }")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Schedule, E> {
                if word == "manual" {
                    return Ok(Schedule::Manual);
                }
                Err(de::Error::unknown_variant(word, &["manual"]))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Schedule, A::Error> {
                let (mut every, mut cron, mut timezone) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "every" => every = Some(map.next_value()?),
                        "cron" => cron = Some(map.next_value()?),
                        "timezone" => timezone = Some(map.next_value()?),
                        other => return Err(de::Error::unknown_field(other, SCHEDULE_KEYS)),
                    }
                }
                match (every, cron, timezone) {
                    (Some(every), None, None) => Ok(Schedule::Every { every }),
                    (None, Some(cron), timezone) => Ok(Schedule::Cron { cron, timezone }),
                    // Told as a missing key, so that an interval from an open variable counts as open.
                    (None, None, None) => Err(de::Error::missing_field("every")),
                    _ => {
                        Err(de::Error::custom("a schedule takes either `every`, or `cron` with an optional `timezone`"))
                    }
                }
            }
        }

        deserializer.deserialize_any(ScheduleVisitor)
    }
}
