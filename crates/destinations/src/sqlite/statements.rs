//! The statements of a publication: they join the staged rows `s` with the table `t` on the key.
//! Not here: their order, and what happens when SQLite refuses one (see `apply`).
//! Called when a run publishes. `?1` and `?2` bound the staged ids.
//!
//! `OR ABORT` overrides what the table's definition says of conflicts, such as `ON CONFLICT REPLACE`.

use super::sql;
use super::stage::REFUSED;
use super::table::TableName;

/// A mapped field.
#[derive(Debug, Clone)]
pub(super) struct Mapped {
    /// The column's name.
    pub(super) name: String,
    /// The collation under which it is unique, where it is part of the key.
    pub(super) collation: Option<String>,
}

impl Mapped {
    /// Whether keys that differ can be one to the table.
    fn folds(&self) -> bool {
        self.collation.as_ref().is_some_and(|collation| !collation.eq_ignore_ascii_case("BINARY"))
    }
}

/// What a publication works on.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The quoted table.
    pub(super) table: String,
    pub(super) fields: Vec<Mapped>,
    /// Columns that are written but not mapped: neither generated nor among the fields.
    pub(super) unmapped: Vec<String>,
    /// Whether only differences are written, so that nothing happens to a row that is the same.
    pub(super) differences_only: bool,
}

/// The staged rows that a statement takes.
fn taken(ops: &[i64]) -> String {
    format!("s.id BETWEEN ?1 AND ?2 AND s.op IN ({})", numbers(ops))
}

/// Numbers, joined with commas.
pub(super) fn numbers(list: &[i64]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Plan {
    /// For rows of `fields`, in the order in which they are staged.
    pub(super) fn new(name: &TableName, fields: Vec<Mapped>, unmapped: Vec<String>, differences_only: bool) -> Self {
        Self { table: name.quoted(), fields, unmapped, differences_only }
    }

    pub(super) fn has_key(&self) -> bool {
        self.keys().next().is_some()
    }

    /// Whether two staged keys may be one to the table.
    pub(super) fn keys_fold(&self) -> bool {
        self.fields.iter().any(Mapped::folds)
    }

    /// The key's staged columns, their names, and their collations.
    fn keys(&self) -> impl Iterator<Item = (String, String, String)> {
        self.fields.iter().enumerate().filter_map(|(index, field)| {
            let collation = field.collation.as_ref()?;
            Some((format!("c{index}"), sql::name(&field.name), sql::name(collation)))
        })
    }

    fn key_names(&self) -> String {
        self.keys().map(|(_, name, _)| name).collect::<Vec<_>>().join(", ")
    }

    /// `t` and `s` are the same row; written so that the table's index on the key is used.
    fn same_key(&self) -> String {
        let equal = |(staged, name, collation)| format!("t.{name} = s.{staged} COLLATE {collation}");
        self.keys().map(equal).collect::<Vec<_>>().join(" AND ")
    }

    fn column_names(&self) -> String {
        sql::names(self.fields.iter().map(|field| field.name.as_str()))
    }

    fn staged_columns(&self) -> String {
        (0..self.fields.len()).map(|index| format!("s.c{index}")).collect::<Vec<_>>().join(", ")
    }

    /// The columns that change in a row that is there: staged column and name. A key that the table calls equal may
    /// still be written differently.
    fn changing(&self) -> Vec<(String, String)> {
        let fields = self.fields.iter().enumerate();
        fields
            .filter(|(_, field)| field.collation.is_none() || field.folds())
            .map(|(index, field)| (format!("c{index}"), sql::name(&field.name)))
            .collect()
    }

    /// Removes rows. The columns' own collations are those of the key, and naming them would keep SQLite from using its
    /// index on a composite key.
    pub(super) fn delete(&self, ops: &[i64]) -> String {
        let staged: Vec<String> = self.keys().map(|(staged, _, _)| format!("s.{staged}")).collect();
        format!(
            "DELETE FROM {} WHERE ({}) IN (SELECT {} FROM stage.rows AS s WHERE {})",
            self.table,
            self.key_names(),
            staged.join(", "),
            taken(ops)
        )
    }

    /// Changes the rows that are there; `None` where there is nothing but the key.
    pub(super) fn update(&self, ops: &[i64]) -> Option<String> {
        let changing = self.changing();
        if changing.is_empty() {
            return None;
        }
        let assignments: Vec<_> = changing.iter().map(|(staged, name)| format!("{name} = s.{staged}")).collect();
        Some(format!(
            "UPDATE OR ABORT {} AS t SET {} FROM stage.rows AS s WHERE {} AND {}",
            self.table,
            assignments.join(", "),
            taken(ops),
            self.same_key()
        ))
    }

    /// Adds rows.
    pub(super) fn insert(&self, ops: &[i64]) -> String {
        format!(
            "INSERT OR ABORT INTO {} AS t ({}) SELECT {} FROM stage.rows AS s WHERE {} ORDER BY s.id",
            self.table,
            self.column_names(),
            self.staged_columns(),
            taken(ops)
        )
    }

    /// Adds rows, or changes those whose key is there.
    pub(super) fn upsert(&self, ops: &[i64]) -> String {
        let changing = self.changing();
        let action = if changing.is_empty() {
            "NOTHING".to_owned()
        } else {
            let assignments: Vec<_> = changing.iter().map(|(_, name)| format!("{name} = excluded.{name}")).collect();
            let differs = |(_, name): &(String, String)| format!("t.{name} IS NOT excluded.{name} COLLATE BINARY");
            let differences = if self.differences_only {
                format!(" WHERE {}", changing.iter().map(differs).collect::<Vec<_>>().join(" OR "))
            } else {
                String::new()
            };
            format!("UPDATE SET {}{differences}", assignments.join(", "))
        };
        format!("{} ON CONFLICT ({}) DO {action}", self.insert(ops), self.key_names())
    }

    /// Sets aside the rows whose key is there, or is not; the answer is their ids.
    pub(super) fn set_aside_where_there(&self, there: bool, ops: &[i64]) -> String {
        let not = if there { "" } else { "NOT " };
        format!(
            "UPDATE stage.rows AS s SET op = {REFUSED} WHERE {} AND {not}EXISTS (SELECT 1 FROM {} AS t WHERE {}) \
             RETURNING id",
            taken(ops),
            self.table,
            self.same_key()
        )
    }

    /// Sets aside the rows whose keys are one to the table though they differ in the model; the answer is their ids.
    pub(super) fn set_folded_keys_aside(&self, ops: &[i64]) -> String {
        let keys: Vec<_> =
            self.keys().map(|(staged, _, collation)| format!("s.{staged} COLLATE {collation}")).collect();
        format!(
            "UPDATE stage.rows SET op = {REFUSED} WHERE id IN (SELECT id FROM (SELECT s.id, \
             count(*) OVER (PARTITION BY {}) AS alike FROM stage.rows AS s WHERE {}) WHERE alike > 1) RETURNING id",
            keys.join(", "),
            taken(ops)
        )
    }

    /// Full refresh: the index by which leftovers are told; `None` without a key.
    pub(super) fn index_staged_keys(&self) -> Option<String> {
        let keys: Vec<_> = self.keys().map(|(staged, _, collation)| format!("{staged} COLLATE {collation}")).collect();
        (!keys.is_empty()).then(|| format!("CREATE INDEX stage.keys ON rows ({})", keys.join(", ")))
    }

    /// Full refresh: removes the rows that are not in the model. Without a key no row is the same as another, and all
    /// go. The unary plus takes the affinity off a column, since the index over staged keys has none.
    pub(super) fn remove_leftovers(&self) -> String {
        let equal = |(staged, name, collation)| format!("s.{staged} = +t.{name} COLLATE {collation}");
        let same_key: Vec<_> = self.keys().map(equal).collect();
        if same_key.is_empty() {
            return format!("DELETE FROM {}", self.table);
        }
        format!(
            "DELETE FROM {} AS t WHERE NOT EXISTS (SELECT 1 FROM stage.rows AS s WHERE {})",
            self.table,
            same_key.join(" AND ")
        )
    }

    /// Keeps the rows that are to be taken out, with all their columns that are not mapped.
    pub(super) fn keep_unmapped(&self, ops: &[i64]) -> [String; 2] {
        let kept: String = self.unmapped.iter().map(|column| format!(", t.{}", sql::name(column))).collect();
        let columns: String = (0..self.unmapped.len()).map(|index| format!(", u{index}")).collect();
        [
            format!("CREATE TABLE stage.kept (id INTEGER PRIMARY KEY{columns})"),
            format!(
                "INSERT INTO stage.kept SELECT s.id{kept} FROM stage.rows AS s JOIN {} AS t ON {} WHERE {}",
                self.table,
                self.same_key(),
                taken(ops)
            ),
        ]
    }

    /// Puts rows in again that [`keep_unmapped`](Self::keep_unmapped) kept, changed.
    pub(super) fn insert_kept(&self, ops: &[i64]) -> String {
        let names: String = self.unmapped.iter().map(|column| format!(", {}", sql::name(column))).collect();
        let kept: String = (0..self.unmapped.len()).map(|index| format!(", k.u{index}")).collect();
        format!(
            "INSERT OR ABORT INTO {} ({}{names}) SELECT {}{kept} FROM stage.rows AS s JOIN stage.kept AS k ON k.id = s.id \
             WHERE {} ORDER BY s.id",
            self.table,
            self.column_names(),
            self.staged_columns(),
            taken(ops)
        )
    }

    /// Adds the rows that were not kept, since they are new.
    pub(super) fn insert_new(&self, ops: &[i64]) -> String {
        format!(
            "INSERT OR ABORT INTO {} ({}) SELECT {} FROM stage.rows AS s \
             WHERE {} AND NOT EXISTS (SELECT 1 FROM stage.kept AS k WHERE k.id = s.id) ORDER BY s.id",
            self.table,
            self.column_names(),
            self.staged_columns(),
            taken(ops)
        )
    }
}
