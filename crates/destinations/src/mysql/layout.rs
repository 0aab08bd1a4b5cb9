//! How the fields of a run meet a table: which columns they go to, and everything that is wrong with that at once.
//! Not here: reading the table (see `table`) and the rules for one value (see `fit`).
//! Called when a run opens its writer, and again when it publishes.

use std::collections::BTreeMap;

use tapline_core::values::duckdb_type_name;
use tapline_core::{Error, Result, Target, codes};

use super::connect::Session;
use super::encode::Encoder;
use super::fit::{Misfit, takes};
use super::sql;
use super::statements::{Mapped, Plan};
use super::table::{self, Column, NewColumn, Place, Table};
use super::types::{Form, declared};
use super::widen::{Change, wider};

/// The next step where a change of the table would help.
const WIDEN_HINT: &str = "or let the sync make such changes itself: on_drift: widen";

/// Columns of a table at most: InnoDB's own limit, less those of the staging table.
const MOST_FIELDS: usize = 1_000;

/// The fields of a run, towards a table that exists or is going to.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) encoders: Vec<Encoder>,
    /// The collations of the columns, where staged texts are compared by them.
    pub(super) collations: Vec<Option<String>>,
    /// Columns that must have a value, have no default, and are not mapped: rows cannot be added without them.
    pub(super) missing: Vec<String>,
    /// What must change at the table before it can take the fields.
    pub(super) changes: Vec<Change>,
    /// What must change where a value asks for it, by field.
    conditional: Vec<Option<Change>>,
}

impl Layout {
    /// The layout for a table; `existing` is `None` where the run will make it. Fails with everything that is wrong.
    pub(super) fn new(session: &Session, target: &Target, place: &Place, existing: Option<&Table>) -> Result<Self> {
        check_fields(place, target)?;
        let forms = forms(target, place)?;
        if let Some(existing) = existing {
            check_columns(place, existing, target, session, &forms)?;
        }
        let keys = target.key.len();
        let mut layout = Self {
            encoders: Vec::new(),
            collations: Vec::new(),
            missing: existing.map(|table| missing(table, target)).unwrap_or_default(),
            changes: Vec::new(),
            conditional: Vec::new(),
        };
        let mut problems = Vec::new();
        let mut could_widen = false;
        let mut zone_missing = false;
        for (field, form) in target.schema.fields().iter().zip(forms) {
            let key = target.key.contains(field.name());
            let created = form.created(session.version, key.then_some(keys));
            let column = existing.and_then(|table| table.column(field.name()));
            let mut encoder = Encoder {
                field: field.clone(),
                form,
                kind: column.map_or_else(|| created.clone(), |column| column.kind.clone()),
                wide: None,
                widens: false,
                key,
                not_null: column.is_some_and(|column| column.not_null),
                longest: session.longest_value,
            };
            let mut conditional = None;
            match column {
                None if existing.is_some() => layout
                    .changes
                    .push(Change::Add { column: field.name().clone(), declared: declared(form, &created) }),
                None => {}
                Some(column) => {
                    let wide = if key { None } else { wider(column, form, session.version) };
                    match (takes(form, &column.kind), wide) {
                        (Ok(()), Some(wide)) if target.widen => {
                            conditional = Some(Change::widen(session, column, &wide));
                            encoder.wide = Some(wide);
                        }
                        (Ok(()), _) => {}
                        (Err(_), Some(wide)) if target.widen => {
                            layout.changes.push(Change::widen(session, column, &wide));
                            encoder.kind = wide;
                        }
                        (Err(misfit), wide) => {
                            could_widen |= wide.is_some();
                            zone_missing |= misfit == Misfit::Zone;
                            problems.push(problem(column, &duckdb_type_name(field), misfit));
                        }
                    }
                }
            }
            let collation = column.filter(|column| column.charset.as_deref() == Some("utf8mb4"));
            layout.collations.push(collation.and_then(|column| column.collation.clone()));
            layout.encoders.push(encoder);
            layout.conditional.push(conditional);
        }
        if problems.is_empty() {
            return Ok(layout);
        }
        let error = Error::new(codes::DEST_004, format!("table {}: {}", place.quoted(), problems.join("; ")));
        let error = if zone_missing {
            error.hint("say in the model's SQL which zone they are in: column AT TIME ZONE 'Europe/Berlin'")
        } else {
            error.hint("cast in the model's SQL, or change the column's type")
        };
        Err(if could_widen { error.hint(WIDEN_HINT) } else { error })
    }

    /// All changes that are due after the rows were encoded.
    pub(super) fn due(&self) -> Vec<Change> {
        let asked = self.encoders.iter().zip(&self.conditional).filter(|(encoder, _)| encoder.widens);
        let asked = asked.filter_map(|(_, change)| change.clone());
        self.changes.iter().cloned().chain(asked).collect()
    }

    /// The columns of the table that the run makes.
    pub(super) fn new_columns(&self) -> Vec<NewColumn> {
        let column = |encoder: &Encoder| NewColumn {
            name: encoder.field.name().clone(),
            declared: declared(encoder.form, &encoder.kind),
            key: encoder.key,
        };
        self.encoders.iter().map(column).collect()
    }

    /// What a publication works on, in the table as it stands.
    pub(super) fn plan(&self, place: &Place, table: &Table, work: &str, stage: &str) -> Result<Plan> {
        let mut fields = Vec::new();
        for encoder in &self.encoders {
            let column = table
                .column(encoder.field.name())
                .ok_or_else(|| Error::internal(format!("a column of {} is gone", place.quoted())))?;
            let is_text = encoder.staged().1;
            let converted = match (&column.charset, &column.collation) {
                (Some(charset), Some(collation)) if is_text && charset != "utf8mb4" => {
                    Some((charset.clone(), collation.clone()))
                }
                _ => None,
            };
            fields.push(Mapped {
                name: column.name.clone(),
                key: encoder.key,
                folds: column.folds(),
                is_text,
                converted,
            });
        }
        let mapped = |column: &Column| fields.iter().any(|field| field.name == column.name);
        let unmapped = table.columns.iter().filter(|column| !column.generated && !mapped(column));
        Ok(Plan {
            table: place.quoted(),
            stage: stage.to_owned(),
            kept: format!("{}.{}", sql::name(work), sql::name("_tapline_kept")),
            unmapped: unmapped.map(|column| column.name.clone()).collect(),
            fields,
        })
    }
}

fn problem(column: &Column, wanted: &str, misfit: Misfit) -> String {
    let (name, type_name) = (&column.name, &column.type_name);
    match misfit {
        Misfit::Type => format!("column {name:?} is {type_name}, which cannot take {wanted}"),
        Misfit::Zone => {
            format!("column {name:?} is {type_name}, and nothing says which zone the model's {wanted} is in")
        }
    }
}

/// Case does not count in the names of columns.
fn check_fields(place: &Place, target: &Target) -> Result<()> {
    let refused = |problem: String| Err(Error::new(codes::DEST_004, format!("table {}: {problem}", place.quoted())));
    let names = || target.schema.fields().iter().map(|field| field.name().as_str());
    if let Err(problem) = table::check_names(names()) {
        return refused(problem);
    }
    if target.schema.fields().len() > MOST_FIELDS {
        return refused(format!("{} fields are more than the {MOST_FIELDS} that are possible", names().count()));
    }
    let mut seen = BTreeMap::new();
    for field in names() {
        if let Some(other) = seen.insert(field.to_lowercase(), field) {
            return refused(format!("the fields {other:?} and {field:?} are one column, since case does not count"));
        }
    }
    Ok(())
}

/// The forms of all fields; fails with the names of those that MySQL cannot hold.
fn forms(target: &Target, place: &Place) -> Result<Vec<Form>> {
    let mut forms = Vec::new();
    let mut problems = Vec::new();
    for field in target.schema.fields() {
        match Form::of(field) {
            Some(form) => forms.push(form),
            None => problems.push(format!("{:?} ({})", field.name(), duckdb_type_name(field))),
        }
    }
    if problems.is_empty() {
        return Ok(forms);
    }
    Err(Error::new(codes::DEST_004, format!("table {}: MySQL has no type for {}", place.quoted(), problems.join(", ")))
        .hint("cast in the model's SQL"))
}

/// Columns that a row cannot be added without, and which no field maps.
fn missing(table: &Table, target: &Target) -> Vec<String> {
    let mapped =
        |column: &Column| target.schema.fields().iter().any(|field| table::same_name(field.name(), &column.name));
    let required = table.columns.iter().filter(|column| column.required && !mapped(column));
    required.map(|column| column.name.clone()).collect()
}

/// Fails where columns are absent that may not be added, or are not there to be written to.
fn check_columns(place: &Place, existing: &Table, target: &Target, session: &Session, forms: &[Form]) -> Result<()> {
    let quoted = place.quoted();
    let fields = || target.schema.fields().iter().zip(forms);
    let absent: Vec<_> = fields().filter(|(field, _)| existing.column(field.name()).is_none()).collect();
    // Rows that are there have no value for a key that is new.
    if !absent.is_empty() && (!target.widen || absent.iter().any(|(field, _)| target.key.contains(field.name()))) {
        let names = absent.iter().map(|(field, _)| format!("{:?}", field.name())).collect::<Vec<_>>().join(", ");
        let added: Vec<_> = absent
            .iter()
            .map(|(field, form)| {
                format!(
                    "ADD COLUMN {} {}",
                    sql::name(field.name()),
                    declared(*form, &form.created(session.version, None))
                )
            })
            .collect();
        let there = existing.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::new(codes::DEST_004, format!("table {quoted} has no column {names}"))
            .hint(format!("its columns are {there}; map the fields to them"))
            .hint(format!("or: ALTER TABLE {quoted} {};", added.join(", ")))
            .hint(WIDEN_HINT));
    }
    let generated: Vec<_> = fields()
        .filter_map(|(field, _)| existing.column(field.name()))
        .filter(|column| column.generated)
        .map(|column| format!("{:?}", column.name))
        .collect();
    if !generated.is_empty() {
        let problem = format!("table {quoted} generates {} itself", generated.join(", "));
        return Err(Error::new(codes::DEST_004, problem).hint("leave it out of the sync's fields"));
    }
    Ok(())
}
