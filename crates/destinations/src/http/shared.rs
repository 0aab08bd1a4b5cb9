//! What all runs to one HTTP destination share: the connection, the requests, the limits.
//! Not here: what belongs to one run (`writer`).
//! Called by the destination and by the pens of runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use tapline_core::{Error, Result, codes};

use super::answer::Rules;
use super::client::Service;
use super::config::{Config, RateLimit, Scope};
use super::description::Field;
use super::request::{Requests, Unfit};
use crate::delivery::{Limits, Pace, Parcel, Row};

/// A destination's parts.
pub(super) struct Shared {
    pub(super) service: Service,
    pub(super) requests: Requests,
    pub(super) rules: Rules,
    /// The fields that the service has; none where any field will do.
    pub(super) fields: Vec<Field>,
    /// Their names, as far as templates may mention them whether they are mapped or not.
    pub(super) optional: Vec<String>,
    pub(super) limits: Limits,
    rate: Option<RateLimit>,
    paces: Mutex<HashMap<String, Arc<Pace>>>,
}

impl Shared {
    /// Reads settings.
    ///
    /// # Errors
    /// `CONF-005` with everything that is wrong with them.
    pub(super) fn new(config: &Config, fields: Vec<Field>, folder: &Path, hosted: bool) -> Result<Self> {
        let unfit = |problems: Vec<String>| Error::new(codes::CONF_005, problems.join("; "));
        Ok(Self {
            service: Service::new(config, folder, hosted)?,
            requests: Requests::parse(config).map_err(unfit)?,
            rules: Rules::parse(config).map_err(unfit)?,
            optional: fields.iter().map(|field| field.name.clone()).collect(),
            fields,
            limits: Limits { concurrency: config.concurrency.max(1), retries: config.retries },
            rate: config.rate_limit,
            paces: Mutex::default(),
        })
    }

    /// The pace of requests for a stream.
    pub(super) fn pace(&self, stream: &str) -> Arc<Pace> {
        let name = match self.rate.map(|rate| rate.scope) {
            Some(Scope::Stream) => stream,
            _ => "",
        };
        let limit = self.rate.map(|rate| (rate.requests, rate.per.0));
        let mut paces = self.paces.lock();
        Arc::clone(paces.entry(name.to_owned()).or_insert_with(|| Arc::new(Pace::new(limit))))
    }

    /// Fails where the templates or the service know other fields.
    pub(super) fn accepts(&self, schema: &SchemaRef, key: &[String]) -> Result<()> {
        let fields: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        check_fields(&self.fields, &fields, key)?;
        check_names(&self.requests, &fields, key, &self.optional)
    }

    /// The rows with those fields as JSON that the service wants so and the model has as text; `None` where there are
    /// no such fields.
    pub(super) fn structured(&self, parcel: &Parcel) -> Result<Option<Vec<Row>>, Unfit> {
        let wanted: Vec<usize> = (0..parcel.fields.len())
            .filter(|index| self.fields.iter().any(|field| field.json && field.name == parcel.fields[*index]))
            .collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let mut rows = parcel.rows.clone();
        for row in &mut rows {
            for &index in &wanted {
                let Some(cell) = row.cells.get_mut(index) else { continue };
                let Ok(serde_json::Value::String(text)) = serde_json::from_slice(cell) else { continue };
                if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
                    return Err("a field that the service wants as JSON holds a text that is none".to_owned());
                }
                *cell = text.into_bytes();
            }
        }
        Ok(Some(rows))
    }
}

/// Fails where fields are mapped that a service does not have, or lack that it needs. Key fields may be anything: a
/// row is known by them here, whether the service sees them or not.
pub(super) fn check_fields(known: &[Field], fields: &[String], key: &[String]) -> Result<()> {
    if known.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = known.iter().map(|field| field.name.as_str()).collect();
    let unknown = fields.iter().find(|field| !key.contains(field) && !names.contains(&field.as_str()));
    if let Some(unknown) = unknown {
        return Err(Error::new(codes::DEST_004, format!("the service has no field \"{unknown}\""))
            .hint(format!("fields: {}", names.join(", ")))
            .hint("map the model's columns to them under `fields` of the sync"));
    }
    match known.iter().find(|field| field.required && !fields.contains(&field.name)) {
        Some(missing) => Err(Error::new(codes::DEST_004, format!("no column goes to the field \"{}\"", missing.name))
            .hint(format!("add `{}: COLUMN` to the sync's fields, or a template", missing.name))),
        None => Ok(()),
    }
}

/// Fails where a template mentions a name that is no field.
pub(super) fn check_names(requests: &Requests, fields: &[String], key: &[String], optional: &[String]) -> Result<()> {
    let Some((operation, name)) = requests.unknown_name(fields, key, optional) else { return Ok(()) };
    let known = if operation == "delete" { key } else { fields };
    Err(Error::new(codes::MAP_002, format!("a template of the destination uses {name}, which is no field of the sync"))
        .hint(format!("in the request that does {operation}; fields there: {}", known.join(", ")))
        .hint("a request for several rows has no fields of its own, only `rows`"))
}
