//! The statements of a publication: they join the staged rows `s` with the table `t` on the key.
//! Not here: their order, and what happens when the server refuses one (see `apply`).
//! Called when a run publishes.

use super::sql;

/// A staged row whose key is in the model, but which is not to be applied: it was rejected or retracted.
pub(super) const REFUSED: i64 = 4;
/// An upsert whose key is there.
pub(super) const PRESENT: i64 = 5;
/// Added to the operation of a row that gets a second chance.
pub(super) const SECOND: i64 = 10;

/// The name of the staged column for the field with this index.
pub(super) fn staged_column(index: usize) -> String {
    format!("c{index}")
}

/// A mapped field.
#[derive(Debug, Clone)]
pub(super) struct Mapped {
    /// The column's name.
    pub(super) name: String,
    pub(super) key: bool,
    /// Whether keys that differ can be one to the table.
    pub(super) folds: bool,
    /// Whether the staged column holds texts.
    pub(super) is_text: bool,
    /// The character set and collation of the column, where texts are converted for it.
    pub(super) converted: Option<(String, String)>,
}

/// The staged rows that a statement takes: a range of ids, and operations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<'a> {
    pub(super) low: i64,
    pub(super) high: i64,
    pub(super) ops: &'a [i64],
}

impl<'a> Taken<'a> {
    /// All rows with these operations.
    pub(super) fn all(ops: &'a [i64]) -> Self {
        Self { low: 0, high: i64::MAX, ops }
    }

    /// The condition over `s`.
    pub(super) fn condition(&self) -> String {
        format!("s.id BETWEEN {} AND {} AND s.op IN ({})", self.low, self.high, sql::numbers(self.ops))
    }
}

/// What a publication works on.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The quoted table.
    pub(super) table: String,
    /// The quoted staging table.
    pub(super) stage: String,
    /// The quoted name of the temporary table for rows that are replaced.
    pub(super) kept: String,
    pub(super) fields: Vec<Mapped>,
    /// Columns that are written but not mapped: neither generated nor among the fields.
    pub(super) unmapped: Vec<String>,
}

impl Plan {
    fn fields(&self) -> impl Iterator<Item = (String, &Mapped)> {
        self.fields.iter().enumerate().map(|(index, field)| (format!("s.{}", staged_column(index)), field))
    }

    fn keys(&self) -> impl Iterator<Item = (String, &Mapped)> {
        self.fields().filter(|(_, field)| field.key).map(|(staged, field)| match &field.converted {
            Some((charset, collation)) => (format!("CONVERT({staged} USING {charset}) COLLATE {collation}"), field),
            None => (staged, field),
        })
    }

    pub(super) fn has_key(&self) -> bool {
        self.fields.iter().any(|field| field.key)
    }

    /// Whether two staged keys may be one to the table.
    pub(super) fn keys_fold(&self) -> bool {
        self.fields.iter().any(|field| field.key && field.folds)
    }

    /// `t` and `s` are the same row.
    fn same_key(&self) -> String {
        let equal = |(staged, field): (String, &Mapped)| format!("t.{} = {staged}", sql::name(&field.name));
        self.keys().map(equal).collect::<Vec<_>>().join(" AND ")
    }

    /// `t`, joined from outside, holds no row.
    fn is_absent(&self) -> String {
        self.keys().next().map_or_else(|| "TRUE".to_owned(), |(_, key)| format!("t.{} IS NULL", sql::name(&key.name)))
    }

    fn column_list(&self) -> String {
        sql::names(self.fields.iter().map(|field| field.name.as_str()))
    }

    fn staged_list(&self) -> String {
        self.fields().map(|(staged, _)| staged).collect::<Vec<_>>().join(", ")
    }

    /// Finds the rows with a text that the character set of its column does not hold: id, and the field's index.
    /// `None` where every text fits.
    pub(super) fn unfit(&self, taken: Taken<'_>) -> Option<String> {
        let conditions: Vec<(String, usize)> = self
            .fields()
            .enumerate()
            .filter_map(|(index, (staged, field))| {
                let (charset, _) = field.converted.as_ref()?;
                let back = format!("CONVERT(CONVERT({staged} USING {charset}) USING utf8mb4)");
                Some((format!("NOT (CAST({back} AS BINARY) <=> CAST({staged} AS BINARY))"), index))
            })
            .collect();
        if conditions.is_empty() {
            return None;
        }
        let any = conditions.iter().map(|(condition, _)| condition.as_str()).collect::<Vec<_>>().join(" OR ");
        let which: String =
            conditions.iter().map(|(condition, index)| format!(" WHEN {condition} THEN {index}")).collect();
        Some(format!("SELECT s.id, CASE{which} END FROM {} s WHERE {} AND ({any})", self.stage, taken.condition()))
    }

    /// Finds the rows whose keys are one to the table though they differ in the model.
    pub(super) fn folded(&self, taken: Taken<'_>) -> String {
        let keys = self.keys().map(|(staged, _)| staged).collect::<Vec<_>>().join(", ");
        format!(
            "SELECT f.id FROM (SELECT s.id AS id, count(*) OVER (PARTITION BY {keys}) AS alike FROM {} s WHERE {}) f \
             WHERE f.alike > 1",
            self.stage,
            taken.condition()
        )
    }

    /// Finds the rows whose key is there, or is not.
    pub(super) fn there(&self, there: bool, taken: Taken<'_>) -> String {
        let (join, absent) =
            if there { ("JOIN", String::new()) } else { ("LEFT JOIN", format!(" AND {}", self.is_absent())) };
        format!(
            "SELECT s.id FROM {} s {join} {} t ON {} WHERE {}{absent}",
            self.stage,
            self.table,
            self.same_key(),
            taken.condition()
        )
    }

    /// Tells upserts whose key is there from those that add a row.
    pub(super) fn mark_present(&self, taken: Taken<'_>) -> String {
        format!(
            "UPDATE {} s JOIN {} t ON {} SET s.op = s.op + 2 WHERE {}",
            self.stage,
            self.table,
            self.same_key(),
            taken.condition()
        )
    }

    /// Full refresh: removes the rows that are not in the model.
    pub(super) fn remove_leftovers(&self) -> String {
        if self.has_key() {
            format!(
                "DELETE t FROM {} t LEFT JOIN {} s ON {} WHERE s.id IS NULL",
                self.table,
                self.stage,
                self.same_key()
            )
        } else {
            format!("DELETE FROM {}", self.table)
        }
    }

    pub(super) fn delete(&self, taken: Taken<'_>) -> String {
        format!(
            "DELETE t FROM {} t JOIN {} s ON {} WHERE {}",
            self.table,
            self.stage,
            self.same_key(),
            taken.condition()
        )
    }

    /// Changes the rows that are there and differ; `None` where there is nothing but the key.
    pub(super) fn update(&self, taken: Taken<'_>) -> Option<String> {
        // A key that the table calls equal may still be written differently.
        let changed: Vec<_> = self.fields().filter(|(_, field)| !field.key || field.folds).collect();
        if changed.is_empty() {
            return None;
        }
        let assignments: Vec<_> =
            changed.iter().map(|(staged, field)| format!("t.{} = {staged}", sql::name(&field.name))).collect();
        let differences: Vec<_> = changed
            .iter()
            .map(|(staged, field)| {
                let column = sql::name(&field.name);
                if field.is_text {
                    format!("NOT (CAST(CONVERT(t.{column} USING utf8mb4) AS BINARY) <=> CAST({staged} AS BINARY))")
                } else {
                    format!("NOT (t.{column} <=> {staged})")
                }
            })
            .collect();
        Some(format!(
            "UPDATE {} t JOIN {} s ON {} SET {} WHERE {} AND ({})",
            self.table,
            self.stage,
            self.same_key(),
            assignments.join(", "),
            taken.condition(),
            differences.join(" OR ")
        ))
    }

    pub(super) fn insert(&self, taken: Taken<'_>) -> String {
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM {} s WHERE {} ORDER BY s.id",
            self.table,
            self.column_list(),
            self.staged_list(),
            self.stage,
            taken.condition()
        )
    }

    /// Keeps the rows that are to be taken out, with all their columns that are not mapped.
    pub(super) fn keep(&self, taken: Taken<'_>) -> String {
        let kept: String = self
            .unmapped
            .iter()
            .enumerate()
            .map(|(index, column)| format!(", t.{} AS u{index}", sql::name(column)))
            .collect();
        format!(
            "CREATE TEMPORARY TABLE {} ENGINE = InnoDB AS SELECT s.id AS id{kept} FROM {} s JOIN {} t ON {} WHERE {}",
            self.kept,
            self.stage,
            self.table,
            self.same_key(),
            taken.condition()
        )
    }

    /// Puts rows in again that [`keep`](Self::keep) kept, changed.
    pub(super) fn insert_kept(&self, taken: Taken<'_>) -> String {
        let names: String = self.unmapped.iter().map(|column| format!(", {}", sql::name(column))).collect();
        let kept: String = (0..self.unmapped.len()).map(|index| format!(", k.u{index}")).collect();
        format!(
            "INSERT INTO {} ({}{names}) SELECT {}{kept} FROM {} s JOIN {} k ON k.id = s.id WHERE {} ORDER BY s.id",
            self.table,
            self.column_list(),
            self.staged_list(),
            self.stage,
            self.kept,
            taken.condition()
        )
    }

    /// Adds the rows that were not kept, since they are new.
    pub(super) fn insert_new(&self, taken: Taken<'_>) -> String {
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM {} s LEFT JOIN {} k ON k.id = s.id WHERE {} AND k.id IS NULL ORDER BY s.id",
            self.table,
            self.column_list(),
            self.staged_list(),
            self.stage,
            self.kept,
            taken.condition()
        )
    }
}
