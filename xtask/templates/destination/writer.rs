//! One run's pen: takes batches into an invisible staging area, and makes them visible in one step.
//! Not here: what the marker holds.
//! Called by the engine, through `Destination::open`.

use async_trait::async_trait;
use tapline_core::{ChangeBatch, Receipt, Result, RowId, Target, Writer};

use super::not_written;

/// One run's pen for one stream.
pub(super) struct ExampleWriter {
    target: Target,
}

impl ExampleWriter {
    /// Checks that the stream can take the fields, and makes the staging area.
    pub(super) fn open(target: Target) -> Self {
        Self { target }
    }
}

#[async_trait]
impl Writer for ExampleWriter {
    async fn write(&mut self, batch: ChangeBatch) -> Result<Receipt> {
        Err(not_written("write").context(format!("staging batch {} of {}", batch.seq, self.target.stream)))
    }

    async fn retract(&mut self, _: &[RowId]) -> Result<()> {
        Err(not_written("retract"))
    }

    async fn publish(&mut self, _: &[u64]) -> Result<Receipt> {
        Err(not_written("publish"))
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}
