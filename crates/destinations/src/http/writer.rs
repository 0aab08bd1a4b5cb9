//! One run's pen: rows are kept on the local disk until the run may send them, and then sent as requests.
//! Not here: how requests follow each other (`delivery`), and what they say (`request`, `answer`).
//! Called by the engine, through [`Writer`].

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use tapline_core::{
    Answer, ChangeBatch, Error, Op, Outcome, Receipt, Result, RowId, RowOutcome, Target, Writer, codes, failpoint,
};

use super::answer::Sent;
use super::request::Around;
use super::shared::Shared;
use crate::delivery::{Carried, Carrier, Kind, Parcel, Row, Sender};
use crate::spool::{Spool, Spooled, Stretch};
use crate::tolerance::{SetAside, Tolerance};

/// The pen of one run.
pub(super) struct HttpWriter {
    shared: Arc<Shared>,
    target: Target,
    spool: Spool,
    retracted: HashSet<RowId>,
    written: u64,
    aside: Option<SetAside>,
    sending: Option<Sending>,
}

/// What a run is in that has begun to send.
struct Sending {
    sender: Sender<RowCarrier>,
    source: Source,
    tolerance: Tolerance,
    /// The refusals so far.
    refusals: Vec<RowOutcome>,
}

impl HttpWriter {
    /// Checks that the templates know the target's fields.
    pub(super) fn open(shared: Arc<Shared>, target: Target) -> Result<Self> {
        shared.accepts(&target.schema, &target.key)?;
        Ok(Self {
            shared,
            target,
            spool: Spool::default(),
            retracted: HashSet::new(),
            written: 0,
            aside: None,
            sending: None,
        })
    }

    fn begin(&mut self, staged: &[u64]) -> Result<Sending> {
        let mut spooled = self.spool.rows().to_vec();
        for row in &self.retracted {
            if let Some(rows) = spooled.get_mut(usize::try_from(row.seq).unwrap_or(usize::MAX)) {
                *rows = rows.saturating_sub(1);
            }
        }
        if spooled != staged {
            return Err(Error::new(
                codes::DEST_008,
                "the rows that are kept for sending are not those that were counted",
            )
            .hint("nothing was sent; run the sync again"));
        }
        let tolerance = Tolerance::new(&self.target, self.written).beside(self.aside).on_the_way();
        let stream = self.target.stream.to_string();
        let carrier = RowCarrier {
            key: key_places(&self.target.schema, &self.target.key),
            key_alone: (0..self.target.key.len()).collect(),
            shared: Arc::clone(&self.shared),
            stream: self.target.stream.parts().join("."),
        };
        let source = Source {
            shared: Arc::clone(&self.shared),
            spooled: std::mem::take(&mut self.spool).read()?,
            retracted: std::mem::take(&mut self.retracted),
            stretch: None,
        };
        let sender = Sender::new(carrier, self.shared.pace(&stream), self.shared.limits);
        Ok(Sending { sender, source, tolerance, refusals: Vec::new() })
    }
}

/// The key fields' places in the schema.
fn key_places(schema: &SchemaRef, key: &[String]) -> Vec<usize> {
    key.iter().filter_map(|name| schema.index_of(name).ok()).collect()
}

/// Cuts what was kept into parcels.
struct Source {
    shared: Arc<Shared>,
    spooled: Spooled,
    retracted: HashSet<RowId>,
    stretch: Option<(Kind, Arc<[String]>, std::vec::IntoIter<Row>)>,
}

impl Source {
    /// The next rows that go into one request: of one kind, whatever batches they came in.
    fn next(&mut self) -> Result<Option<Parcel>> {
        let mut parcel: Option<Parcel> = None;
        loop {
            if let Some((kind, fields, rows)) = &mut self.stretch {
                if parcel.as_ref().is_some_and(|parcel| parcel.kind != *kind) {
                    break;
                }
                let most = self.shared.requests.of(*kind).map_or(1, |request| request.rows);
                let room = most - parcel.as_ref().map_or(0, |parcel| parcel.rows.len());
                let taken: Vec<Row> = rows.filter(|row| !self.retracted.contains(&row.id)).take(room).collect();
                if taken.len() == room {
                    return Ok(Some(joined(parcel, *kind, fields, taken)));
                }
                if !taken.is_empty() {
                    parcel = Some(joined(parcel, *kind, fields, taken));
                }
            }
            let Some(Stretch { kind, fields, rows }) = self.spooled.next()? else {
                self.stretch = None;
                break;
            };
            self.stretch = Some((kind, fields, rows.into_iter()));
        }
        Ok(parcel)
    }
}

fn joined(parcel: Option<Parcel>, kind: Kind, fields: &Arc<[String]>, rows: Vec<Row>) -> Parcel {
    match parcel {
        Some(mut parcel) => {
            parcel.rows.extend(rows);
            parcel
        }
        None => Parcel { kind, fields: Arc::clone(fields), rows },
    }
}

/// Sends rows as the settings say.
struct RowCarrier {
    shared: Arc<Shared>,
    stream: String,
    /// Places of the key fields among all, and in rows that are only a key.
    key: Vec<usize>,
    key_alone: Vec<usize>,
}

#[async_trait]
impl Carrier for RowCarrier {
    async fn carry(&self, parcel: &Parcel) -> Carried {
        let Shared { service, requests, rules, optional, .. } = self.shared.as_ref();
        let around = Around { stream: &self.stream, origin: &service.origin, optional };
        let prepared = match self.shared.structured(parcel) {
            Ok(rows) => {
                let rows = rows.as_deref().unwrap_or(&parcel.rows);
                requests.prepare(parcel.kind, &parcel.fields, rows, around)
            }
            Err(reason) => Err(reason),
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(reason) => return Carried::Refused { code: codes::ROW_001, reason },
        };
        let host = service.host();
        let key = if parcel.kind.op == Op::Delete { &self.key_alone } else { &self.key };
        match service.send(&prepared).await {
            Ok(answered) => {
                let url_per_row =
                    requests.of(parcel.kind).is_some_and(|request| request.has_url_per_row(&parcel.fields));
                rules.read(&answered, Sent { parcel, key, url_per_row, host: &host })
            }
            Err(unanswered) if unanswered.error.retry() == tapline_core::Retry::Never => {
                Carried::Stop(unanswered.error)
            }
            Err(unanswered) => Carried::Failed { error: unanswered.error, by_rows: unanswered.connected },
        }
    }
}

#[async_trait]
impl Writer for HttpWriter {
    async fn write(&mut self, batch: ChangeBatch) -> Result<Receipt> {
        let known = vec![batch.op == Op::Delete; batch.rows.num_rows()];
        self.write_known(batch, &known).await
    }

    async fn write_known(&mut self, batch: ChangeBatch, delivered_before: &[bool]) -> Result<Receipt> {
        if batch.seq != self.spool.rows().len() as u64 {
            return Err(Error::internal(format!("batch {} came out of order", batch.seq)));
        }
        self.spool.add(&batch, delivered_before)?;
        self.written += batch.rows.num_rows() as u64;
        failpoint("staging");
        Ok(Receipt { accepted_through: Some(batch.seq), ..Receipt::default() })
    }

    fn set_aside(&mut self, rows: u64, read: u64) {
        self.aside = Some(SetAside { rows, read });
    }

    async fn retract(&mut self, rows: &[RowId]) -> Result<()> {
        if !self.target.retractable {
            return Err(Error::internal("rows were taken back of a run that had said it would not"));
        }
        self.retracted.extend(rows);
        Ok(())
    }

    async fn publish(&mut self, staged: &[u64]) -> Result<Receipt> {
        let mut outcomes = Vec::new();
        while let Some(answer) = self.deliver(staged).await? {
            outcomes.extend(answer.outcomes);
        }
        outcomes.sort_by_key(|outcome| outcome.row);
        let through = (staged.len() as u64).checked_sub(1);
        Ok(Receipt { accepted_through: through, durable_through: through, outcomes, removed: 0 })
    }

    async fn deliver(&mut self, staged: &[u64]) -> Result<Option<Answer>> {
        let begun = match self.sending.take() {
            Some(begun) => begun,
            None => self.begin(staged)?,
        };
        // From here on nothing is lost where the future is dropped.
        let Sending { sender, source, tolerance, refusals } = self.sending.insert(begun);
        if tolerance.is_exceeded(refusals.len() as u64) {
            tolerance.check(&*refusals)?;
        }
        let answer = sender.advance(&mut || source.next()).await?;
        if let Some(answer) = &answer {
            let refused = |outcome: &&RowOutcome| matches!(outcome.outcome, Outcome::Rejected { .. });
            refusals.extend(answer.outcomes.iter().filter(refused).cloned());
        }
        Ok(answer)
    }

    async fn halt(&mut self) -> Answer {
        match &mut self.sending {
            Some(sending) => sending.sender.halt().await,
            None => Answer::default(),
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.sending = None;
        self.spool = Spool::default();
        Ok(())
    }
}
