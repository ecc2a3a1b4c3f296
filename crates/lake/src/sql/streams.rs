//! Streams as tables: every durable record at one position, straight from the log.
//!
//! Where each partition ends is settled when the query is planned, so that all of its scans see the same records.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use headwater_base::Micros;
use headwater_log::{Log, LogError, Offset, Stream};

use super::fault;
use super::span::Span;

/// The time zone of every time.
pub const ZONE: &str = "UTC";

/// A stream.
pub struct StreamTable {
    log: Arc<dyn Log>,
    stream: Arc<Stream>,
    decompressed_max: usize,
    schema: SchemaRef,
    /// Where each partition begins and ends for this query.
    spans: Vec<(Offset, Offset)>,
}

impl fmt::Debug for StreamTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamTable({})", self.stream.name)
    }
}

/// The type of every time.
pub fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into()))
}

/// What a record is as a row.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("time", time(), false),
        Field::new("key", DataType::Utf8, true),
        Field::new("value", DataType::Utf8, true),
    ]))
}

impl StreamTable {
    /// A stream as it is now.
    ///
    /// # Errors
    /// What the log says.
    pub fn pin(log: &Arc<dyn Log>, stream: Arc<Stream>, decompressed_max: usize) -> Result<Self, LogError> {
        let spans = (0..stream.config.partitions)
            .map(|partition| log.ends(&stream.name, partition).map(|ends| (ends.start, ends.durable)))
            .collect::<Result<_, _>>()?;
        Ok(Self { log: Arc::clone(log), stream, decompressed_max, schema: schema(), spans })
    }

    /// Which records these are.
    pub fn position(&self) -> String {
        format!("{} {:?}", self.stream.id, self.spans)
    }
}

#[async_trait]
impl TableProvider for StreamTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // They only move the beginning: the engine looks at every row again.
        let about = |filter: &&Expr| match since(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(about).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let since = filters.iter().filter_map(since).max();
        let mut parts: Vec<Arc<dyn PartitionStream>> = Vec::with_capacity(self.spans.len());
        for (partition, &(start, end)) in (0_u32..).zip(&self.spans) {
            let from = match since {
                None => start,
                Some(since) => {
                    let found = self.log.find_time(&self.stream.name, partition, since);
                    found
                        .map_err(|error| fault::unreadable(self.stream.name.as_str(), error))?
                        .map_or(end, |(offset, _)| offset.max(start))
                }
            };
            let (log, stream) = (Arc::clone(&self.log), Arc::clone(&self.stream));
            let decompressed_max = self.decompressed_max;
            // Nobody would tell of what is missing.
            let span = Span { log, stream, partition, next: from, end, decompressed_max, lenient: false };
            parts.push(Arc::new(Part { schema: Arc::clone(&self.schema), span }));
        }
        Ok(Arc::new(StreamingTableExec::try_new(self.schema(), parts, projection, [], false, limit)?))
    }
}

/// The time before which a filter lets no row through.
fn since(filter: &Expr) -> Option<Micros> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    let is_time = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == "time");
    let bound = match op {
        Operator::Gt | Operator::GtEq | Operator::Eq if is_time(left) => right,
        Operator::Lt | Operator::LtEq | Operator::Eq if is_time(right) => left,
        _ => return None,
    };
    let Expr::Literal(literal, _) = &**bound else { return None };
    match literal {
        ScalarValue::TimestampSecond(Some(time), _) => Some(Micros(time.saturating_mul(1_000_000))),
        ScalarValue::TimestampMillisecond(Some(time), _) => Some(Micros(time.saturating_mul(1_000))),
        ScalarValue::TimestampMicrosecond(Some(time), _) => Some(Micros(*time)),
        ScalarValue::TimestampNanosecond(Some(time), _) => Some(Micros(time.div_euclid(1_000))),
        _ => None,
    }
}

/// One partition of one scan.
#[derive(Debug)]
struct Part {
    schema: SchemaRef,
    span: Span,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let begin = (self.span.clone(), Arc::clone(&self.schema));
        let batches = futures::stream::try_unfold(begin, |(mut span, schema)| async move {
            // The engine's threads are there for work like this.
            Ok(batch(&mut span, &schema)?.map(|batch| (batch, (span, schema))))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

/// The next rows of a span; None behind the last one.
fn batch(span: &mut Span, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
    let (mut offsets, mut times) = (Int64Builder::new(), TimestampMicrosecondBuilder::new().with_timezone(ZONE));
    let (mut keys, mut values) = (StringBuilder::new(), StringBuilder::new());
    let rows = span.read(|record| {
        offsets.append_value(record.offset);
        times.append_value(record.timestamp.saturating_mul(1_000));
        keys.append_option(record.key.as_deref().map(String::from_utf8_lossy));
        values.append_option(record.value.as_deref().map(String::from_utf8_lossy));
    })?;
    if rows == 0 {
        return Ok(None);
    }
    let partition = i32::try_from(span.partition).unwrap_or(i32::MAX);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_value(partition, rows)),
        Arc::new(offsets.finish()),
        Arc::new(times.finish()),
        Arc::new(keys.finish()),
        Arc::new(values.finish()),
    ];
    Ok(Some(RecordBatch::try_new(Arc::clone(schema), columns)?))
}
