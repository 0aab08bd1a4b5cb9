//! How the fields of a run meet a table: which columns they go to, and everything that is wrong with that at once.
//! Not here: reading the table (see `table`) and the rules for one value (see `fit`).
//! Called when a run opens its writer, and again when it publishes.

use tapline_core::values::duckdb_type_name;
use tapline_core::{Error, Result, Target, codes};

use super::fit::{Fit, Misfit, fit};
use super::statements::{Mapped, Plan, staged_value};
use super::table::{Column, Place, Table};
use super::types::{FieldType, SqlType};
use super::widen::{self, Change, wider};
use super::{sql, table};

/// The next step where a change of the table would help.
const WIDEN_HINT: &str = "with on_drift: widen the sync makes such changes itself";

/// The fields of a run, each with its types, towards a table that exists or is going to.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) fields: Vec<FieldType>,
    mapped: Vec<Mapped>,
    unmapped: Vec<String>,
    /// Columns that must have a value, have no default, and are not mapped: rows cannot be added without them.
    pub(super) missing: Vec<String>,
    /// What must change at the table before it can take the fields.
    pub(super) changes: Vec<Change>,
    /// What must change where a staged value does not fit: a condition over staged rows, and the change.
    pub(super) conditional: Vec<(String, Change)>,
}

impl Layout {
    /// The layout for a table; `existing` is `None` where the run will make it. Fails with everything that is wrong.
    pub(super) fn new(target: &Target, place: &Place, existing: Option<&Table>, zone: Option<&str>) -> Result<Self> {
        let names = || target.schema.fields().iter().map(|field| field.name().as_str());
        table::check_names(names())?;
        let fields = field_types(target, place, existing)?;
        let mut changes = Vec::new();
        let columns: Vec<Column> = match existing {
            Some(existing) => existing_columns(target, place, existing, &fields, &mut changes)?,
            None => target
                .schema
                .fields()
                .iter()
                .zip(&fields)
                .map(|(field, types)| new_column(field.name(), &types.created, target.key.contains(field.name())))
                .collect(),
        };
        let mut mapped = Vec::new();
        let mut problems = Vec::new();
        let mut conditional = Vec::new();
        let mut could_widen = false;
        for (index, ((field, types), column)) in target.schema.fields().iter().zip(&fields).zip(&columns).enumerate() {
            let x = staged_value(index);
            let wide = wider(column, &types.staged);
            let mut found = fit(&x, &types.staged, column, zone);
            if let Some(wide) = wide.filter(|wide| fit(&x, &types.staged, wide, zone).is_ok()) {
                let change = widen::change(column, &wide);
                match &found {
                    Ok(Fit { exact: Some(exact), .. }) if target.widen => {
                        conditional.push((format!("{x} IS NOT NULL AND ({exact}) IS NOT TRUE"), change));
                    }
                    Err(Misfit::Type) if target.widen => {
                        found = fit(&x, &types.staged, &wide, zone);
                        changes.push(change);
                    }
                    Err(Misfit::Type) => could_widen = true,
                    _ => {}
                }
            }
            match found {
                Ok(fit) => mapped.push(Mapped {
                    name: column.name.clone(),
                    type_name: column.type_name.clone(),
                    fit,
                    key: target.key.contains(field.name()),
                    not_null: column.not_null,
                    compared_as_text: is_compared_as_text(column),
                }),
                Err(Misfit::Type) => problems.push(format!(
                    "column {:?} is {}, which cannot take {}",
                    column.name,
                    column.type_name,
                    duckdb_type_name(field)
                )),
                Err(Misfit::Zone) => problems.push(format!(
                    "column {:?} is {}, and nothing says which zone the model's {} is in",
                    column.name,
                    column.type_name,
                    duckdb_type_name(field)
                )),
            }
        }
        if !problems.is_empty() {
            let zone_missing = problems.iter().any(|problem| problem.contains("which zone"));
            let error = Error::new(codes::DEST_004, format!("table {}: {}", place.quoted(), problems.join("; ")));
            return Err(if zone_missing {
                error.hint("set source_timezone at the destination, such as Europe/Berlin or UTC")
            } else {
                let error = error.hint("cast in the model's SQL, or change the column's type");
                if could_widen { error.hint(WIDEN_HINT) } else { error }
            });
        }
        let others = || {
            existing
                .into_iter()
                .flat_map(|table| &table.columns)
                .filter(|column| !names().any(|name| name == column.name))
        };
        Ok(Self {
            fields,
            mapped,
            unmapped: others().filter(|column| !column.generated).map(|column| column.name.clone()).collect(),
            missing: others()
                .filter(|column| column.not_null && !column.has_default && !column.generated)
                .map(|column| column.name.clone())
                .collect(),
            changes,
            conditional,
        })
    }

    /// What a publication works on.
    pub(super) fn plan(&self, place: &Place, stage: String) -> Plan {
        Plan { table: place.quoted(), stage, fields: self.mapped.clone(), unmapped: self.unmapped.clone() }
    }

    /// Whether rows can be loaded into the new table as they are staged, with nothing left to check.
    pub(super) fn is_in_place(&self) -> bool {
        self.fields.iter().all(|field| field.staged == field.created)
            && self.mapped.iter().all(|field| field.fit.exact.is_none() && !(field.key && field.fit.folds))
    }
}

/// The types of all fields; fails with the names of those that PostgreSQL cannot hold.
fn field_types(target: &Target, place: &Place, existing: Option<&Table>) -> Result<Vec<FieldType>> {
    let mut types = Vec::new();
    let mut problems = Vec::new();
    for field in target.schema.fields() {
        match FieldType::of(field) {
            Some(field_type) => types.push(match existing.and_then(|table| table.column(field.name())) {
                Some(column) => field_type.towards(&column.base),
                None => field_type,
            }),
            None => problems.push(format!("{:?} ({})", field.name(), duckdb_type_name(field))),
        }
    }
    if problems.is_empty() {
        return Ok(types);
    }
    Err(Error::new(
        codes::DEST_004,
        format!("table {}: PostgreSQL has no type for {}", place.quoted(), problems.join(", ")),
    )
    .hint("cast in the model's SQL"))
}

/// The columns that the fields go to, in the order of the fields.
fn existing_columns(
    target: &Target,
    place: &Place,
    existing: &Table,
    types: &[FieldType],
    changes: &mut Vec<Change>,
) -> Result<Vec<Column>> {
    let fields = || target.schema.fields().iter().map(|field| field.name());
    let absent: Vec<_> = fields().zip(types).filter(|(name, _)| existing.column(name).is_none()).collect();
    // Rows that are there have no value for a key that is new.
    if !absent.is_empty() && (!target.widen || absent.iter().any(|(name, _)| target.key.contains(name))) {
        let names = absent.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let added: Vec<_> =
            absent.iter().map(|(name, types)| format!("ADD COLUMN {} {}", sql::name(name), types.created)).collect();
        let there = existing.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::new(codes::DEST_004, format!("table {} has no column {names}", place.quoted()))
            .hint(format!("its columns are {there}; map the fields to them"))
            .hint(format!("or: ALTER TABLE {} {};", place.quoted(), added.join(", ")))
            .hint(WIDEN_HINT));
    }
    changes.extend(
        absent.iter().map(|(name, types)| Change::Add { column: (*name).clone(), sql_type: types.created.clone() }),
    );
    let columns: Vec<Column> = fields()
        .zip(types)
        .map(|(name, types)| match existing.column(name) {
            Some(column) => column.clone(),
            None => new_column(name, &types.created, false),
        })
        .collect();
    let names = |wanted: &dyn Fn(&Column) -> bool| {
        let names: Vec<_> =
            columns.iter().filter(|column| wanted(column)).map(|column| format!("{:?}", column.name)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    if let Some(generated) = names(&|column| column.generated) {
        let problem = format!("table {} generates {generated} itself", place.quoted());
        return Err(Error::new(codes::DEST_004, problem).hint("leave it out of the sync's fields"));
    }
    if let Some(identity) = names(&|column| column.always_identity && !target.key.contains(&column.name)) {
        let problem = format!("table {} numbers {identity} itself (GENERATED ALWAYS AS IDENTITY)", place.quoted());
        return Err(Error::new(codes::DEST_004, problem)
            .hint("leave it out of the sync's fields, or make it GENERATED BY DEFAULT"));
    }
    Ok(columns)
}

/// The column of a new table, as it will be.
pub(super) fn new_column(name: &str, created: &SqlType, key: bool) -> Column {
    Column {
        name: name.to_owned(),
        type_name: match created {
            // As PostgreSQL writes them itself.
            SqlType::Time => "time without time zone".to_owned(),
            SqlType::Timestamp => "timestamp without time zone".to_owned(),
            other => other.to_string(),
        },
        base: created.catalog_name().to_owned(),
        built_in: true,
        modifier: match created {
            SqlType::Numeric { precision, scale } => ((i32::from(*precision) << 16) | i32::from(*scale)) + 4,
            _ => -1,
        },
        domain: false,
        not_null: key,
        has_default: false,
        always_identity: false,
        generated: false,
        deterministic: true,
        collation: None,
    }
}

/// Types whose equality is finer than, or as fine as, the difference between two values; the others are compared as
/// texts, or an update from `Straße` to `STRASSE`, -0.0 to 0.0, or 24 hours to 1 day would be none.
fn is_compared_as_text(column: &Column) -> bool {
    const FINE: [&str; 14] = [
        "bool",
        "int2",
        "int4",
        "int8",
        "numeric",
        "text",
        "varchar",
        "bytea",
        "uuid",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "jsonb",
    ];
    !(column.built_in && column.deterministic && FINE.contains(&column.base.as_str()))
}
