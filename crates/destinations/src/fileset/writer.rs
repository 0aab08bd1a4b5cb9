//! One run's pen: it stages batches on this machine, and publishes them as files that take the place of the set.
//! Not here: the record whose replacement is the publication (`record`), and the files themselves (`build`).
//! Called by the engine, through [`Writer`].

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{NaiveDate, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use tapline_core::{
    ChangeBatch, Error, Op, Outcome, Receipt, Refresh, Result, RowId, RowOutcome, Target, Writer, codes, failpoint,
};
use tempfile::TempDir;

use super::build::{Built, Job, batch as record_batch, entries_of, names_in};
use super::encode::Part;
use super::keys::{Bits, Decision, Entries, Entry, Rule, Staged, decide, hashes_of, place_of};
use super::layout::{Content, Layout, Naming, own_folder};
use super::local::{self, blocking};
use super::place::Place;
use super::record::{FileRecord, Found, Publication, Records, SetRecord};
use super::spool::Spool;
use super::{open_rows, types};
use crate::tolerance::{SetAside, Tolerance};

/// Files on their way at the same time.
const AT_ONCE: usize = 4;

/// The pen of one run.
pub(super) struct SetWriter {
    place: Arc<dyn Place>,
    records: Records,
    layout: Layout,
    target: Arc<Target>,
    /// The schema of the next set.
    schema: SchemaRef,
    /// What told the set that stood when the run began from others.
    before: Option<String>,
    date: NaiveDate,
    /// `None` once the run is published or aborted.
    desk: Option<Desk>,
    batches: u64,
    /// Rows that were handed to `write`.
    written: u64,
    /// What the receipts of `write` have named.
    rejected: Vec<RowOutcome>,
    /// What was refused before it came here.
    aside: Option<SetAside>,
    /// Where files stand that no record names yet.
    staging: Option<String>,
}

/// What is staged.
struct Desk {
    spool: Spool,
    staged: Staged,
    plan: Plan,
}

/// What is done with every batch.
#[derive(Debug, Clone)]
struct Plan {
    target: Arc<Target>,
    schema: SchemaRef,
    rule: Rule,
    /// The fields by whose hashes rows are told apart; `None` where they need not be.
    hashed: Option<Vec<String>>,
    /// Whether changes are told from rows that only come again.
    values: bool,
}

impl SetWriter {
    /// Checks that the set can take the target's fields, and makes the staging area.
    pub(super) async fn open(place: &Arc<dyn Place>, layout: &Layout, target: Target) -> Result<Self> {
        let records = Records::new(Arc::clone(place));
        let found = records.find(&target.stream).await?;
        let date = Utc::now().date_naive();
        let naming = naming(&target, date);
        let stem = layout.stem(&naming)?;
        if layout.content == Content::Diff && target.key.is_empty() {
            return Err(Error::new(codes::DEST_005, format!("{}: `content: diff` needs a primary key", target.stream))
                .hint("give the model a primary_key, or write `content: all`"));
        }
        let mut set = found.as_ref().and_then(|found| found.record.set.as_ref());
        if let Some(other) = set.filter(|set| set.content != layout.content) {
            if target.refresh == Refresh::Incremental {
                let (was, is) = (word(other.content), word(layout.content));
                return Err(Error::new(
                    codes::DEST_004,
                    format!("{}: the files were written with `content: {was}`, which is now `{is}`", target.stream),
                )
                .hint("write all files anew: tapline sync --full-refresh"));
            }
            set = None;
        }
        let before = match set {
            Some(set) => Some(set.schema()?).filter(|_| layout.content == Content::All),
            None => None,
        };
        let schema = types::next(&target, before.as_ref())?;
        for change in changes(layout.content) {
            let path = layout.path(&stem, *change, 0);
            guard(&records, found.as_ref(), &target, place.as_ref(), &path).await?;
        }
        let rule = match (target.refresh, target.key.is_empty()) {
            (Refresh::Incremental, _) => Rule::Change,
            (Refresh::Full { .. }, false) => Rule::Replace,
            (Refresh::Full { .. }, true) => Rule::ReplaceAll,
        };
        let hashed = match rule {
            Rule::Change | Rule::Replace => Some(target.key.clone()),
            Rule::ReplaceAll => set.map(|_| schema.fields().iter().map(|field| field.name().clone()).collect()),
        };
        let target = Arc::new(target);
        let values = layout.content == Content::Diff;
        let plan = Plan { target: Arc::clone(&target), schema: schema.clone(), rule, hashed, values };
        let spool = schema.clone();
        let desk = blocking(move || Ok(Desk { spool: Spool::new(&spool)?, staged: Staged::default(), plan })).await?;
        Ok(Self {
            place: Arc::clone(place),
            records,
            layout: layout.clone(),
            target,
            schema,
            before: set.map(|set| set.id.clone()),
            date,
            desk: Some(desk),
            batches: 0,
            written: 0,
            rejected: Vec::new(),
            aside: None,
            staging: None,
        })
    }

    fn desk(&mut self) -> Result<Desk> {
        self.desk.take().ok_or_else(|| Error::internal("a writer was used after its end"))
    }

    async fn publish_staged(&mut self, staged: &[u64]) -> Result<Receipt> {
        let tolerance = Tolerance::new(&self.target, self.written).beside(self.aside);
        tolerance.check(&self.rejected)?;
        let desk = self.desk()?;
        desk.verify(staged)?;
        let target = Arc::clone(&self.target);
        let Target { stream, owner, generation, .. } = target.as_ref();
        let claimed = self.records.claim(stream, owner, *generation).await?;
        failpoint("publish-locked");
        let set = claimed.record.set.as_ref().filter(|set| set.content == self.layout.content);
        if set.map(|set| set.id.as_str()) != self.before.as_deref() {
            return Err(Error::new(codes::DEST_006, format!("publishing {stream}: somebody made it anew meanwhile"))
                .hint("run the sync again")
                .retry_after(Duration::ZERO));
        }
        let before = match set {
            Some(set) => match open_rows(&self.place, set).await? {
                None if self.target.refresh == Refresh::Incremental => return Err(incomplete(&self.target)),
                rows => rows.unwrap_or_default(),
            },
            None => Vec::new(),
        };
        let (desk, decision, before) = blocking(move || desk.decide(before)).await?;
        let outcomes = outcomes(&decision);
        let mut all = self.rejected.clone();
        all.extend(outcomes.iter().cloned());
        all.sort_by_key(|outcome| outcome.row);
        tolerance.check(&all)?;
        failpoint("publish-prepared");
        let removed = decision.removed;
        let own = own_folder(stream);
        let folder = format!("{own}/{generation}-{}", uuid::Uuid::new_v4().simple());
        self.staging = Some(folder.clone());
        let (workshop, built) = self.build(desk, decision, before, &own).await?;
        let set = self.upload(built, &folder, &claimed).await?;
        drop(workshop);
        let kept = self.records.keep_outcomes(&folder, &all).await?;
        failpoint("publish-recorded");
        let publication = Publication { generation: *generation, batches: self.batches, removed };
        self.records.publish(&claimed, publication, set, kept).await?;
        self.staging = None;
        failpoint("publish-committed");
        self.records.settle(stream).await.map_err(|error| {
            Error::new(codes::DEST_006, format!("{stream} is published, but not all files have their places yet"))
                .because(error)
                .hint("the next run goes on from there: run the sync again")
        })?;
        let through = self.batches.checked_sub(1);
        Ok(Receipt { accepted_through: through, durable_through: through, outcomes, removed })
    }

    async fn build(&self, desk: Desk, decision: Decision, before: Vec<File>, own: &str) -> Result<(TempDir, Built)> {
        let workshop = self.place.workshop(own).await?;
        let job = Job {
            layout: self.layout.clone(),
            schema: self.schema.clone(),
            key: self.target.key.clone(),
            before,
            decision,
            live: desk.staged.live,
            spool: desk.spool,
        };
        blocking(move || {
            let folder = match workshop {
                Some(workshop) => TempDir::with_prefix_in("making-", workshop),
                None => TempDir::with_prefix("tapline-"),
            };
            let folder = folder.map_err(|error| local::fault("making a temporary folder for files", error))?;
            let built = job.build(folder.path())?;
            Ok((folder, built))
        })
        .await
    }

    /// Takes the files to their place, where nobody looks for them yet.
    async fn upload(&self, built: Built, folder: &str, claimed: &Found) -> Result<SetRecord> {
        let Target { stream, generation, .. } = self.target.as_ref();
        let stem = self.layout.stem(&naming(&self.target, self.date))?;
        let mut set = SetRecord::new(*generation, self.layout.format, self.layout.content, &self.schema)?;
        if let Some(before) = &self.before {
            set.id.clone_from(before);
        }
        let mut uploads = Vec::new();
        for (change, parts) in &built.files {
            for (number, part) in parts.iter().enumerate() {
                let path = self.layout.path(&stem, *change, number);
                guard(&self.records, Some(claimed), &self.target, self.place.as_ref(), &path).await?;
                let staged = format!("{folder}/{}", name_of(&part.file));
                uploads.push((part.file.clone(), staged.clone()));
                set.files.push(file_record(part, path, *change, Some(staged)));
            }
        }
        for part in &built.kept {
            let path = format!("{folder}/{}", name_of(&part.file));
            uploads.push((part.file.clone(), path.clone()));
            set.kept.push(file_record(part, path, None, None));
        }
        set.rows = set.rows_in().iter().map(|file| file.rows).sum();
        let upload = |(file, path): (std::path::PathBuf, String)| {
            let place = Arc::clone(&self.place);
            async move { place.upload(&file, &path).await }
        };
        let uploads: Vec<_> = uploads.into_iter().map(upload).collect();
        let uploaded = stream::iter(uploads).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await;
        uploaded.map_err(|error| error.context(format!("publishing {stream}")))?;
        Ok(set)
    }

    /// Removes what no record names. What fails here is swept by the next run.
    async fn clean(&mut self) {
        let Some(folder) = self.staging.take() else { return };
        for path in self.place.list(&folder).await.unwrap_or_default() {
            if let Err(error) = self.place.remove(&path).await {
                tracing::debug!(error = %error.full_message(), "cannot remove a staged file");
            }
        }
    }
}

#[async_trait]
impl Writer for SetWriter {
    async fn write(&mut self, batch: ChangeBatch) -> Result<Receipt> {
        if batch.seq != self.batches {
            return Err(Error::internal(format!("batch {} came where {} was due", batch.seq, self.batches)));
        }
        let (seq, rows) = (batch.seq, batch.rows.num_rows() as u64);
        let mut desk = self.desk()?;
        let (desk, outcomes) = blocking(move || {
            let outcomes = desk.stage(&batch)?;
            Ok((desk, outcomes))
        })
        .await?;
        self.desk = Some(desk);
        self.batches += 1;
        self.written += rows;
        failpoint("staging");
        self.rejected.extend(outcomes.iter().cloned());
        Ok(Receipt { accepted_through: Some(seq), outcomes, ..Receipt::default() })
    }

    async fn retract(&mut self, rows: &[RowId]) -> Result<()> {
        if !self.target.retractable {
            return Err(Error::internal("rows were taken back from a writer that keeps them"));
        }
        let desk = self.desk.as_mut().ok_or_else(|| Error::internal("a writer was used after its end"))?;
        for row in rows {
            let live = desk.staged.live.get_mut(row.seq as usize);
            live.ok_or_else(|| Error::internal("a row was taken back that never came"))?.clear(row.ordinal as usize);
        }
        Ok(())
    }

    fn set_aside(&mut self, rows: u64, read: u64) {
        self.aside = Some(SetAside { rows, read });
    }

    async fn publish(&mut self, staged: &[u64]) -> Result<Receipt> {
        let published = self.publish_staged(staged).await;
        if published.is_err() {
            self.clean().await;
        }
        published
    }

    async fn abort(&mut self) -> Result<()> {
        self.desk = None;
        self.clean().await;
        Ok(())
    }
}

impl Desk {
    /// Takes a batch in; what has no place in the set is refused.
    fn stage(&mut self, batch: &ChangeBatch) -> Result<Vec<RowOutcome>> {
        let Plan { target, schema, rule, hashed, values } = &self.plan;
        let op = if *rule == Rule::Change || batch.op == Op::Delete { batch.op } else { Op::Upsert };
        let count = batch.rows.num_rows();
        let mut refused = BTreeMap::new();
        let mut columns = Vec::with_capacity(batch.rows.num_columns());
        let names: Vec<&String> = match op {
            Op::Delete => target.key.iter().collect(),
            _ => schema.fields().iter().map(|field| field.name()).collect(),
        };
        if names.len() != batch.rows.num_columns() {
            return Err(Error::internal(format!("batch {} has another number of columns", batch.seq)));
        }
        for (index, name) in names.iter().enumerate() {
            let (_, kept) = schema.fields().find(name).ok_or_else(|| Error::internal("a key is no field"))?;
            let converted =
                types::convert(batch.rows.schema().field(index), batch.rows.column(index), kept.data_type())?;
            for row in converted.misfits {
                refused
                    .entry(row)
                    .or_insert_with(|| format!("field {name:?}: the type of the files cannot hold the value"));
            }
            if target.key.contains(name)
                && let Some(nulls) = converted.values.logical_nulls().filter(|nulls| nulls.null_count() > 0)
            {
                for row in (0..count).filter(|row| nulls.is_null(*row)) {
                    refused.entry(row).or_insert_with(|| format!("field {name:?}: it belongs to the key and is NULL"));
                }
            }
            columns.push(converted.values);
        }
        let fields: Result<Vec<_>, _> = names.iter().map(|name| schema.index_of(name)).collect();
        let fields = fields.map_err(|error| Error::internal("a key is no field").because(error))?;
        let own = schema.project(&fields).map_err(|error| Error::internal("a key is no field").because(error))?;
        let rows = record_batch(&Arc::new(own), columns, count)?;
        let mut live = Bits::default();
        (0..count).filter(|row| !refused.contains_key(row)).for_each(|row| live.set(row));
        if let Some(hashed) = hashed {
            let keys = hashes_of(&rows, hashed)?;
            let all: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
            let values = if *values && op != Op::Delete { Some(hashes_of(&rows, &all)?) } else { None };
            for (row, key) in keys.into_iter().enumerate() {
                let place = place_of(RowId { seq: batch.seq, ordinal: ordinal(row)? });
                let values = values.as_ref().map_or([0; 16], |values| values[row]);
                self.staged.entries.push(Entry { key, place, values })?;
            }
        }
        if op != Op::Delete {
            self.spool.push(batch.seq, &rows)?;
        }
        self.staged.ops.push(op);
        self.staged.live.push(live);
        let outcome = |(row, reason)| {
            let row = RowId { seq: batch.seq, ordinal: ordinal(row)? };
            Ok(RowOutcome { row, outcome: Outcome::Rejected { code: codes::ROW_001, reason } })
        };
        refused.into_iter().map(outcome).collect()
    }

    /// Fails where other rows are staged than the run has counted.
    fn verify(&self, staged: &[u64]) -> Result<()> {
        let found: Vec<u64> = self.staged.live.iter().map(Bits::count).collect();
        if found == staged {
            return Ok(());
        }
        let (found, staged) = (found.iter().sum::<u64>(), staged.iter().sum::<u64>());
        Err(Error::new(
            codes::DEST_008,
            format!("publishing {}: {found} rows are staged, and {staged} were written", self.plan.target.stream),
        )
        .hint("run the sync again; nothing of this run is visible")
        .retry_after(Duration::ZERO))
    }

    /// Decides over all rows, those of the set among them.
    fn decide(mut self, before: Vec<File>) -> Result<(Self, Decision, Vec<File>)> {
        let mut rule = self.plan.rule;
        let mut set = Entries::default();
        if let (Some(hashed), Some(first)) = (&self.plan.hashed, before.first()) {
            let there = names_in(first)?;
            // Where the set has no such key, none of its rows is one of ours.
            if rule == Rule::Replace && !hashed.iter().all(|name| there.contains(name)) {
                rule = Rule::ReplaceAll;
            }
            set = entries_of(&before, if rule == Rule::ReplaceAll { &there } else { hashed })?;
        }
        let decision = decide(rule, &mut self.staged, set)?;
        Ok((self, decision, before))
    }
}

fn ordinal(row: usize) -> Result<u32> {
    u32::try_from(row).map_err(|_| Error::internal("a batch has too many rows"))
}

/// The outcomes that only the rows of the set tell.
fn outcomes(decision: &Decision) -> Vec<RowOutcome> {
    let skipped = decision.skipped.iter().map(|row| RowOutcome { row: *row, outcome: Outcome::Skipped });
    let refused = decision.refused.iter().map(|row| {
        failpoint("publish-rejected");
        let reason = "the key is already among the rows".to_owned();
        RowOutcome { row: *row, outcome: Outcome::Rejected { code: codes::ROW_003, reason } }
    });
    let mut outcomes: Vec<RowOutcome> = skipped.chain(refused).collect();
    outcomes.sort_by_key(|outcome| outcome.row);
    outcomes
}

fn naming(target: &Target, date: NaiveDate) -> Naming<'_> {
    Naming { stream: &target.stream, owner: &target.owner, generation: target.generation, date }
}

fn changes(content: Content) -> &'static [Option<&'static str>] {
    match content {
        Content::All => &[None],
        Content::Diff => &[Some("added"), Some("changed"), Some("removed")],
    }
}

fn word(content: Content) -> &'static str {
    match content {
        Content::All => "all",
        Content::Diff => "diff",
    }
}

fn name_of(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn file_record(part: &Part, path: String, change: Option<&str>, staged: Option<String>) -> FileRecord {
    FileRecord { path, rows: part.rows, bytes: part.bytes, change: change.map(str::to_owned), staged }
}

/// Fails where a file stands under a path that the run would write, and Tapline did not write it.
async fn guard(records: &Records, found: Option<&Found>, target: &Target, place: &dyn Place, path: &str) -> Result<()> {
    let may_replace = target.refresh == (Refresh::Full { replace_existing: true });
    let taken = match found {
        Some(found) => records.is_taken(path, &found.record).await?,
        None => place.size(path).await?.is_some(),
    };
    if may_replace || !taken {
        return Ok(());
    }
    Err(Error::new(codes::SYNC_002, format!("{} is there, and Tapline did not write it", place.shown(path)))
        .hint("choose another stream, or another `name` in the destination; or move the file away")
        .hint("if it may go: tapline sync --full-refresh --replace-existing"))
}

fn incomplete(target: &Target) -> Error {
    Error::new(codes::DEST_006, format!("publishing {}: files of the last run are gone", target.stream))
        .hint("write all files anew: tapline sync --full-refresh")
}
