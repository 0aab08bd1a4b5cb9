//! Delivering rows by requests: how many at once, how fast, how often again, and which row is to blame for a refusal.
//! Not here: the requests themselves, which a [`Carrier`] makes.
//! Called by destinations that publish in many steps.

mod pace;
mod retry;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tapline_core::{Code, Error, Op, RowId, RowOutcome};

pub(crate) use pace::Pace;
pub(crate) use retry::retry_after;
pub(crate) use sender::{Limits, Sender};

/// What rows have in common that go into one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind {
    /// What is to be done.
    pub(crate) op: Op,
    /// Whether the rows were delivered before.
    pub(crate) known: bool,
}

/// A row on its way: each field as JSON.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: RowId,
    pub(crate) cells: Vec<Vec<u8>>,
}

impl Row {
    /// The row as a JSON object.
    pub(crate) fn json(&self, fields: &[String]) -> Vec<u8> {
        let mut out = vec![b'{'];
        for (index, (name, cell)) in fields.iter().zip(&self.cells).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(serde_json::Value::from(name.as_str()).to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(cell);
        }
        out.push(b'}');
        out
    }
}

/// The rows of one request.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) kind: Kind,
    pub(crate) fields: Arc<[String]>,
    pub(crate) rows: Vec<Row>,
}

/// What came of one request.
#[derive(Debug)]
pub(crate) enum Carried {
    /// The rows were taken, less these.
    Taken(Vec<RowOutcome>),
    /// None was taken, and some row among them is to blame.
    Refused {
        /// The code of a row that stands alone.
        code: Code,
        /// Why, without values.
        reason: String,
    },
    /// None was taken: too much was sent. The time is how long to wait, where the service says.
    Throttled(Option<Duration>),
    /// It is not known whether they were taken, or they were not, and another time they may be.
    Failed {
        /// What went wrong.
        error: Error,
        /// Whether these rows may be what the service cannot bear.
        by_rows: bool,
    },
    /// Nothing will be taken until somebody changes something.
    Stop(Error),
}

/// Makes requests of rows.
#[async_trait]
pub(crate) trait Carrier: Send + Sync + 'static {
    /// Sends some rows by one request.
    async fn carry(&self, parcel: &Parcel) -> Carried;
}
