//! What is done to a batch of the model before anything is compared: it is mapped, brought into the shape of the last
//! run, and its rows are encoded and hashed.
//! Not here: comparing, counting and batching (`stage`).
//! Called by scans, for several batches at once, since nothing here depends on the order of rows.

use std::num::NonZero;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::{Stream, StreamExt};
use tapline_core::{Error, Result};

use super::drift::{Conform, Misfit};
use super::mapping::Mapping;
use crate::diff::rows::{KeyCodec, RowHasher, RowKeys};
use crate::sql::StreamError;

/// Shapes batches of one model for one sync.
pub(crate) struct Shaper {
    mapping: Mapping,
    conform: Option<Conform>,
    keys: Option<(Arc<KeyCodec>, RowHasher)>,
}

/// A batch, ready to be compared.
#[derive(Debug)]
pub(crate) struct Shaped {
    /// As the model gave it.
    pub(crate) model: RecordBatch,
    /// Mapped, to be shown where a row does not fit.
    pub(crate) mapped: RecordBatch,
    /// Mapped and in the shape in which rows are delivered.
    pub(crate) rows: RecordBatch,
    /// Rows that do not fit that shape, in order.
    pub(crate) misfits: Vec<Misfit>,
    /// Keys and hashes of the rows; absent without a primary key.
    pub(crate) keys: Option<RowKeys>,
}

impl Shaped {
    /// Why a row does not fit the shape, if it does not.
    pub(crate) fn misfit(&self, row: usize) -> Option<&Misfit> {
        self.misfits.binary_search_by_key(&row, |misfit| misfit.row).ok().map(|index| &self.misfits[index])
    }
}

impl Shaper {
    /// A shaper; without `keys`, rows are neither encoded nor hashed.
    pub(crate) fn new(mapping: Mapping, conform: Option<Conform>, keys: Option<(Arc<KeyCodec>, RowHasher)>) -> Self {
        Self { mapping, conform, keys }
    }

    /// The mapping of the sync.
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// How rows are brought into the shape of the last run, where that differs.
    pub(crate) fn conform(&self) -> Option<&Conform> {
        self.conform.as_ref()
    }

    /// The codec of the primary key; `None` without one.
    pub(crate) fn codec(&self) -> Option<&Arc<KeyCodec>> {
        self.keys.as_ref().map(|(codec, _)| codec)
    }

    /// The fields that are delivered.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.conform.as_ref().map_or_else(|| self.mapping.schema(), Conform::schema)
    }

    fn shape(&self, model: RecordBatch) -> Result<Shaped> {
        let mapped = self.mapping.apply(&model)?;
        let (rows, misfits) = match &self.conform {
            None => (mapped.clone(), Vec::new()),
            Some(conform) => conform.apply(&mapped)?,
        };
        let keys = match &self.keys {
            None => None,
            Some((codec, hasher)) => Some(RowKeys::of(codec, hasher, &rows)?),
        };
        Ok(Shaped { model, mapped, rows, misfits, keys })
    }

    /// Shapes the batches of a stream, as many at once as there are processors, and keeps their order.
    pub(crate) fn shape_all(
        self: &Arc<Self>,
        batches: impl Stream<Item = Result<RecordBatch, StreamError>> + Send,
    ) -> impl Stream<Item = Result<Shaped, StreamError>> + Send {
        let shaper = Arc::clone(self);
        let shaped = batches.map(move |batch| {
            let shaper = Arc::clone(&shaper);
            async move {
                let batch = batch?;
                match tokio::task::spawn_blocking(move || shaper.shape(batch)).await {
                    Ok(shaped) => shaped.map_err(StreamError::Failed),
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(error) => Err(StreamError::Failed(Error::internal("shaping rows").because(error))),
                }
            }
        });
        shaped.buffered(std::thread::available_parallelism().map_or(1, NonZero::get))
    }
}
