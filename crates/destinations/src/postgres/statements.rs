//! The statements of a publication: they join the staged rows `s` with the table `t` on the key.
//! Not here: their order, and what happens when the server refuses one (see `apply`).
//! Called when a run publishes. `$1` and `$2` bound the staged ids, `$3` are the operations to take.

use super::fit::Fit;
use super::sql;

/// A staged row whose key is in the model, but which is not to be applied: it was rejected or retracted.
pub(super) const REFUSED: i16 = 4;
/// Added to the operation of a row that gets a second chance.
pub(super) const SECOND: i16 = 10;

/// The staged rows that a statement takes.
const TAKEN: &str = "s.id BETWEEN $1 AND $2 AND s.op = ANY($3)";

/// A mapped field.
#[derive(Debug, Clone)]
pub(super) struct Mapped {
    /// The column's name.
    pub(super) name: String,
    /// The column's type, in full.
    pub(super) type_name: String,
    /// How the staged value gets into the column.
    pub(super) fit: Fit,
    pub(super) key: bool,
    pub(super) not_null: bool,
    /// Whether values that PostgreSQL calls equal can differ, so that they are compared as texts.
    pub(super) compared_as_text: bool,
}

/// The name of the staged column for the field with this index.
pub(super) fn staged_column(index: usize) -> String {
    format!("c{index}")
}

/// The staged column with this index, as statements write it.
pub(super) fn staged_value(index: usize) -> String {
    format!("s.{}", staged_column(index))
}

/// What a publication works on.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The quoted table.
    pub(super) table: String,
    /// The quoted staging table.
    pub(super) stage: String,
    pub(super) fields: Vec<Mapped>,
    /// Columns that are written but not mapped: neither generated nor among the fields.
    pub(super) unmapped: Vec<String>,
}

impl Plan {
    fn keys(&self) -> impl Iterator<Item = &Mapped> {
        self.fields.iter().filter(|field| field.key)
    }

    fn column_list(&self) -> String {
        sql::names(self.fields.iter().map(|field| field.name.as_str()))
    }

    fn casts(&self) -> String {
        self.fields.iter().map(|field| field.fit.cast.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// `t` and `s` are the same row.
    fn same_key(&self) -> String {
        self.keys()
            .map(|key| format!("t.{} = {}", sql::name(&key.name), key.fit.cast))
            .collect::<Vec<_>>()
            .join(" AND ")
    }

    /// `t` holds the row `s`.
    fn is_there(&self) -> String {
        format!("EXISTS (SELECT FROM {} t WHERE {})", self.table, self.same_key())
    }

    pub(super) fn has_key(&self) -> bool {
        self.keys().next().is_some()
    }

    /// Whether two staged keys may be one to the table.
    pub(super) fn keys_fold(&self) -> bool {
        self.keys().any(|key| key.fit.folds)
    }

    /// Sets aside the rows with a value that does not fit its column; the answer is (id, finding), where a finding is
    /// read by [`finding`](Self::finding). `None` where every value fits.
    pub(super) fn set_misfits_aside(&self, keys: bool) -> Option<String> {
        let mut findings = Vec::new();
        for (index, field) in self.fields.iter().enumerate().filter(|(_, field)| field.key == keys) {
            let x = staged_value(index);
            if field.not_null && !keys {
                findings.push((format!("{x} IS NULL AND s.op <> 0"), 2 * index));
            }
            if let Some(exact) = &field.fit.exact {
                findings.push((format!("{x} IS NOT NULL AND ({exact}) IS NOT TRUE"), 2 * index + 1));
            }
        }
        if findings.is_empty() {
            return None;
        }
        let any = findings.iter().map(|(condition, _)| format!("({condition})")).collect::<Vec<_>>().join(" OR ");
        let which: String =
            findings.iter().map(|(condition, finding)| format!(" WHEN {condition} THEN {finding}")).collect();
        let action = if keys {
            // A key that the column cannot take is at no place of the table.
            format!("DELETE FROM {} s", self.stage)
        } else {
            format!("UPDATE {} s SET op = {REFUSED}", self.stage)
        };
        Some(format!("{action} WHERE {TAKEN} AND ({any}) RETURNING s.id, CASE{which} END"))
    }

    /// The field of a finding, and whether the value is missing rather than unfit.
    pub(super) fn finding(&self, finding: i32) -> Option<(&Mapped, bool)> {
        let index = usize::try_from(finding).ok()?;
        Some((self.fields.get(index / 2)?, index.is_multiple_of(2)))
    }

    /// Sets aside the rows whose keys are one to the table though they differ in the model; the answer is (id).
    pub(super) fn set_folded_keys_aside(&self) -> String {
        let casts = self.keys().map(|key| key.fit.cast.as_str()).collect::<Vec<_>>().join(", ");
        format!(
            "UPDATE {stage} u SET op = {REFUSED} FROM (SELECT s.id, count(*) OVER (PARTITION BY {casts}) AS alike \
             FROM {stage} s WHERE {TAKEN}) f WHERE u.id = f.id AND f.alike > 1 RETURNING u.id",
            stage = self.stage
        )
    }

    /// Sets aside the rows whose key is there, or is not; the answer is (id).
    pub(super) fn set_aside_where_there(&self, there: bool) -> String {
        let not = if there { "" } else { "NOT " };
        format!("UPDATE {} s SET op = {REFUSED} WHERE {TAKEN} AND {not}{} RETURNING s.id", self.stage, self.is_there())
    }

    /// Full refresh: removes the rows that are not in the model.
    pub(super) fn remove_leftovers(&self) -> String {
        if self.has_key() {
            format!(
                "DELETE FROM {} t WHERE NOT EXISTS (SELECT FROM {} s WHERE s.op <> 0 AND {})",
                self.table,
                self.stage,
                self.same_key()
            )
        } else {
            format!("DELETE FROM {}", self.table)
        }
    }

    pub(super) fn delete(&self) -> String {
        format!("DELETE FROM {} t USING {} s WHERE {TAKEN} AND {}", self.table, self.stage, self.same_key())
    }

    /// Changes the rows that are there and differ; `None` where there is nothing but the key.
    pub(super) fn update(&self) -> Option<String> {
        // A key that the table calls equal may still be written differently.
        let changed: Vec<_> = self.fields.iter().filter(|field| !field.key || field.fit.folds).collect();
        if changed.is_empty() {
            return None;
        }
        let assignments: Vec<_> =
            changed.iter().map(|field| format!("{} = {}", sql::name(&field.name), field.fit.cast)).collect();
        let differences: Vec<_> = changed
            .iter()
            .map(|field| {
                let (column, cast) = (sql::name(&field.name), &field.fit.cast);
                if field.compared_as_text {
                    format!("t.{column}::text COLLATE \"C\" IS DISTINCT FROM ({cast})::text COLLATE \"C\"")
                } else {
                    format!("t.{column} IS DISTINCT FROM {cast}")
                }
            })
            .collect();
        Some(format!(
            "UPDATE {} t SET {} FROM {} s WHERE {TAKEN} AND {} AND ({})",
            self.table,
            assignments.join(", "),
            self.stage,
            self.same_key(),
            differences.join(" OR ")
        ))
    }

    /// Adds rows: all of them, or those whose key is absent.
    pub(super) fn insert(&self, absent_only: bool) -> String {
        let absent = if absent_only { format!(" AND NOT {}", self.is_there()) } else { String::new() };
        format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} s WHERE {TAKEN}{absent}",
            self.table,
            self.column_list(),
            self.casts(),
            self.stage
        )
    }

    /// Takes rows out and puts them in again, changed, so that values that must be unique can change places. Columns
    /// that are not mapped keep their values.
    pub(super) fn replace(&self) -> String {
        let kept: String = self.unmapped.iter().map(|column| format!(", {}", sql::name(column))).collect();
        let old: String = self.unmapped.iter().map(|column| format!(", t.{}", sql::name(column))).collect();
        format!(
            "WITH t AS (DELETE FROM {table} t USING {stage} s WHERE {TAKEN} AND {same_key} RETURNING t.*) \
             INSERT INTO {table} ({columns}{kept}) OVERRIDING SYSTEM VALUE SELECT {casts}{old} FROM t, {stage} s \
             WHERE {TAKEN} AND {same_key} AND (SELECT count(*) FROM t) > 0",
            table = self.table,
            stage = self.stage,
            same_key = self.same_key(),
            columns = self.column_list(),
            casts = self.casts()
        )
    }
}
