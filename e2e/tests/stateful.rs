//! Random histories of a sync: the source changes and goes back, rows are refused, the mapping changes, somebody edits the
//! destination, runs die. After every run that ends well the destination is what a naive reference says.
//! Not here: each of these alone (`deliveries`, `writes`, `mapping`, `crashes`).

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::harness::{Delivery, Run, Target, World, on_all};

on_all!(any_history_ends_right);

const STEPS: usize = 30;
const SEEDS: [u64; 2] = [7, 2024];
/// So many points the table does not take.
const LIMIT: i64 = 100;
const FAILPOINTS: &[&str] = &[
    "after-stamp",
    "after-open",
    "after-staging",
    "before-intent",
    "after-intent",
    "after-publish",
    "after-snapshot",
    "after-commit",
];

/// A row of the source; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    points: Option<i64>,
}

impl Row {
    fn is_refused(&self) -> bool {
        self.points.is_some_and(|points| points >= LIMIT)
    }
}

type Source = BTreeMap<u64, Row>;
/// What the table holds of a row: name, points, and the field that the mapping makes up.
type Held = (String, Option<i64>, String);

/// What a sync has to come to, by the rules and nothing else.
#[derive(Default)]
struct Reference {
    held: BTreeMap<u64, Held>,
    delivered: BTreeMap<u64, Held>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    inserted: u64,
    updated: u64,
    unchanged: u64,
    rejected: u64,
    deleted: u64,
}

impl Reference {
    fn incremental(&mut self, source: &Source, label: &str) -> Counts {
        let mut counts = Counts::default();
        for (id, row) in source {
            let wanted = mapped(row, label);
            match self.delivered.get(id) {
                Some(before) if *before == wanted => counts.unchanged += 1,
                _ if row.is_refused() => counts.rejected += 1,
                before => {
                    if before.is_some() {
                        counts.updated += 1
                    } else {
                        counts.inserted += 1
                    }
                    self.held.insert(*id, wanted.clone());
                    self.delivered.insert(*id, wanted);
                }
            }
        }
        let gone: Vec<u64> = self.delivered.keys().filter(|id| !source.contains_key(id)).copied().collect();
        for id in gone {
            counts.deleted += 1;
            self.held.remove(&id);
            self.delivered.remove(&id);
        }
        counts
    }

    fn full_refresh(&mut self, source: &Source, label: &str) {
        self.held.retain(|id, _| source.contains_key(id));
        self.delivered.clear();
        for (id, row) in source.iter().filter(|(_, row)| !row.is_refused()) {
            self.held.insert(*id, mapped(row, label));
            self.delivered.insert(*id, mapped(row, label));
        }
    }
}

fn mapped(row: &Row, label: &str) -> Held {
    (row.name.clone(), row.points, format!("{label} {}", row.name))
}

/// A sync with its reference, on a walk of chance.
struct Walk<'a> {
    world: World,
    target: &'a Target,
    random: Rng,
    source: Source,
    earlier: Vec<Source>,
    label: &'static str,
    reference: Reference,
    /// What happened, for whoever has to find out.
    story: Vec<String>,
}

fn any_history_ends_right(target: &Target) {
    for seed in SEEDS {
        let table = format!("history_{seed}");
        target.execute(&format!(
            "CREATE TABLE {} (id BIGINT PRIMARY KEY, name TEXT, points BIGINT CHECK (points < {LIMIT}), label TEXT)",
            target.stream(&table)
        ));
        let mut walk = Walk {
            world: World::new(),
            target,
            random: Rng::with_seed(seed),
            source: Source::new(),
            earlier: Vec::new(),
            label: "Hi",
            reference: Reference::default(),
            story: Vec::new(),
        };
        walk.configure(&table);
        for _ in 0..STEPS {
            walk.step(&table);
        }
    }
}

impl Walk<'_> {
    fn configure(&self, table: &str) {
        let options = format!(
            "deletes: propagate, max_delete_ratio: 1, fields: {{ id: id, name: name, points: points, \
             label: {{ template: \"{} {{{{ name }}}}\" }} }}",
            self.label
        );
        let sql = "SELECT * FROM read_csv('s3://lake/rows.csv', types = {'id': 'BIGINT', 'name': 'VARCHAR', 'points': 'BIGINT'})";
        self.world.deliver(self.target, Delivery { sql, table, options: &options, ..Delivery::default() });
    }

    fn tell(&mut self, what: impl Into<String>) {
        self.story.push(what.into());
    }

    fn step(&mut self, table: &str) {
        match self.random.u32(0..12) {
            0 => {
                let earlier = self.random.choice(&self.earlier).cloned();
                self.source = earlier.unwrap_or_default();
                self.tell("the source goes back");
            }
            1 => {
                self.label = if self.label == "Hi" { "Hello" } else { "Hi" };
                self.configure(table);
                self.tell("the mapping changes");
            }
            2 => self.edit_by_hand(table),
            _ => self.change_source(),
        }
        let text = self.source.iter().fold("id,name,points\n".to_owned(), |text, (id, row)| {
            let points = row.points.map_or_else(String::new, |points| points.to_string());
            format!("{text}{id},{},{points}\n", row.name)
        });
        self.world.put("rows.csv", text);
        for _ in 0..self.random.u32(0..3).saturating_sub(1) {
            self.crash();
        }
        if self.random.u32(0..8) == 0 {
            self.tell("full refresh");
            let run = self.world.sync_with(&["--full-refresh", "--replace-existing", "--allow-empty"]);
            self.reference.full_refresh(&self.source, self.label);
            self.check(table, &run, None);
        } else {
            let died = self.story.last().is_some_and(|last| last.starts_with("dies"));
            let run = self.world.sync_with(&["--allow-empty"]);
            let counts = self.reference.incremental(&self.source, self.label);
            self.tell(format!("runs: {counts:?}"));
            // After a death some of it may have been delivered before.
            self.check(table, &run, (!died).then_some(counts));
        }
    }

    fn change_source(&mut self) {
        self.earlier.push(self.source.clone());
        for _ in 0..self.random.usize(1..8) {
            let id = self.random.u64(0..25);
            if self.random.u32(0..4) == 0 {
                self.source.remove(&id);
                continue;
            }
            let points = match self.random.u32(0..6) {
                0 => None,
                1 => Some(LIMIT + 1),
                _ => Some(self.random.i64(0..5)),
            };
            let name = format!("name {}", self.random.u32(0..4));
            self.source.insert(id, Row { name, points });
        }
        self.tell("the source changes");
    }

    fn edit_by_hand(&mut self, table: &str) {
        let Some(id) = self.random.choice(self.reference.held.keys().copied().collect::<Vec<_>>()) else { return };
        self.target.execute(&format!("UPDATE {table} SET name = 'by hand' WHERE id = {id}"));
        if let Some(held) = self.reference.held.get_mut(&id) {
            held.0 = "by hand".to_owned();
        }
        self.tell(format!("row {id} is edited by hand"));
    }

    /// A run that dies, if it comes as far as the failpoint.
    fn crash(&mut self) {
        let failpoint = self.random.choice(FAILPOINTS).copied().unwrap_or_default();
        let outcome = self.world.tapline_with(&["sync", "rows", "--allow-empty"], &[("TAPLINE_FAILPOINT", failpoint)]);
        match outcome.signal {
            Some(_) => self.tell(format!("dies at {failpoint}")),
            // The run ended before it came there: nothing had changed.
            None => {
                let counts = self.reference.incremental(&self.source, self.label);
                self.tell(format!("does not come to {failpoint}: {counts:?}"));
            }
        }
    }

    #[track_caller]
    fn check(&self, table: &str, run: &Run, counts: Option<Counts>) {
        let story = self.story.join("\n  ");
        let told = format!("{}\n  {story}", run.outcome);
        let rows = &run.report["rows"];
        let refused = self
            .source
            .iter()
            .filter(|(id, row)| row.is_refused() && self.reference.delivered.get(id) != Some(&mapped(row, self.label)));
        assert_eq!(rows["rejected"], refused.count(), "{told}");
        if let Some(counts) = counts.filter(|_| run.report["status"] != "unchanged") {
            let found = Counts {
                inserted: rows["inserted"].as_u64().unwrap(),
                updated: rows["updated"].as_u64().unwrap(),
                unchanged: rows["unchanged"].as_u64().unwrap(),
                rejected: rows["rejected"].as_u64().unwrap(),
                deleted: rows["deleted"].as_u64().unwrap(),
            };
            assert_eq!(found, counts, "{told}");
        }
        let found = self.target.rows(&format!("SELECT id, name, points, label FROM {table} ORDER BY id"));
        let wanted: Vec<Vec<Option<String>>> = self
            .reference
            .held
            .iter()
            .map(|(id, (name, points, label))| {
                vec![
                    Some(id.to_string()),
                    Some(name.clone()),
                    points.map(|points| points.to_string()),
                    Some(label.clone()),
                ]
            })
            .collect();
        assert_eq!(found, wanted, "{told}");
    }
}
