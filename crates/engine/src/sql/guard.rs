//! Decoders of damaged files that give up by panicking: the panic becomes an error, and says nothing on stderr.
//! Not here: decoding.
//! Called by `parquet` around footers, and by the query engine around every scan of Parquet files.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Once};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{Stream, StreamExt};
use tapline_core::{Error, codes};

use super::errors::carry;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder; a panic is caught, and no hook tells it.
fn quietly<T>(decode: impl FnOnce() -> T) -> std::result::Result<T, Box<dyn Any + Send>> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                before(panic);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    QUIET.set(outer);
    outcome
}

/// The output of a future that decodes; `None` where it panics.
pub(crate) async fn guarded<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match quietly(|| future.as_mut().poll(context)) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// A file whose bytes are not what its type asks for.
pub(crate) fn damaged(file: &str, why: &str) -> Error {
    Error::new(codes::FILE_001, format!("reading {file}: a Parquet file is damaged: {why}"))
        .hint("read it with another tool to make sure; export it again if that fails too")
}

/// A scan of Parquet files whose panics and decoding errors are errors that name the file.
#[derive(Debug)]
pub(crate) struct GuardedExec {
    input: Arc<dyn ExecutionPlan>,
    /// The file, or words for the files, that are scanned.
    files: Arc<str>,
}

impl GuardedExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, files: Arc<str>) -> Self {
        Self { input, files }
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self::new(input, Arc::clone(&self.files)))
    }
}

impl DisplayAs for GuardedExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GuardedExec")
    }
}

/// Changes neither rows nor columns, so that whatever can be pushed down goes through to the scan.
impl ExecutionPlan for GuardedExec {
    fn name(&self) -> &'static str {
        "GuardedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children)
            .map_err(|children| DataFusionError::Internal(format!("{} inputs instead of one", children.len())))?;
        Ok(self.over(input))
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn repartitioned(&self, partitions: usize, config: &ConfigOptions) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        Ok(self.input.repartitioned(partitions, config)?.map(|input| self.over(input)))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        self.input.with_fetch(limit).map(|input| self.over(input))
    }

    fn fetch(&self) -> Option<usize> {
        self.input.fetch()
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let below = ProjectionExec::try_new(projection.expr().to_vec(), Arc::clone(&self.input))?;
        Ok(self.input.try_swapping_with_projection(&below)?.map(|input| self.over(input)))
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = quietly(|| self.input.execute(partition, context))
            .map_err(|_| carry(damaged(&self.files, "it cannot be decoded")))??;
        Ok(Box::pin(GuardedStream { input, files: Arc::clone(&self.files), ended: false }))
    }
}

struct GuardedStream {
    input: SendableRecordBatchStream,
    files: Arc<str>,
    ended: bool,
}

impl Stream for GuardedStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match quietly(|| self.input.poll_next_unpin(context)) {
            Ok(Poll::Ready(Some(Err(error)))) => Poll::Ready(Some(Err(named(error, &self.files)))),
            Ok(poll) => poll,
            Err(_) => {
                self.ended = true;
                Poll::Ready(Some(Err(carry(damaged(&self.files, "it cannot be decoded")))))
            }
        }
    }
}

impl RecordBatchStream for GuardedStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// A decoder's error with the file's name; any other as it is.
fn named(error: DataFusionError, files: &str) -> DataFusionError {
    if tapline_storage::carried_error(&error).is_some() {
        return error;
    }
    let why = match error.find_root() {
        DataFusionError::ParquetError(cause) => cause.to_string(),
        DataFusionError::ArrowError(cause, _) => match cause.as_ref() {
            ArrowError::ParquetError(text) => text.clone(),
            _ => return error,
        },
        _ => return error,
    };
    carry(damaged(files, why.lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_no_output() {
        assert_eq!(guarded(async { 7 }).await, Some(7));
        let panics = async {
            tokio::task::yield_now().await;
            let empty: Vec<u8> = Vec::new();
            empty[std::hint::black_box(3)]
        };
        assert_eq!(guarded(panics).await, None);
        assert!(!QUIET.get());
    }
}
