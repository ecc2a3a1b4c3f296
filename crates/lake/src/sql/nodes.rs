//! What nodes of plans have in common that find something out before they give rows: what is said of the rows, and how
//! they begin.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::PlanProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{Stream, TryStreamExt as _};

/// Rows in so many parts that end some time: nothing is said of their order, or of which part has which.
pub fn properties(schema: SchemaRef, parts: usize) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(parts),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

/// The rows that `begin` leads to; it is begun when the first of them is asked for.
pub fn rows<R>(schema: SchemaRef, begin: impl Future<Output = Result<R>> + Send + 'static) -> SendableRecordBatchStream
where
    R: Stream<Item = Result<RecordBatch>> + Send + 'static,
{
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(begin).try_flatten()))
}
