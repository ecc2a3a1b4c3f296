//! Tables of the kernel as tables of SQL: a document is a row of key, version, time and JSON.
//!
//! A scan sees what was written before it began. It goes through the table page by page, so of what is written
//! meanwhile it may see some.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use headwater_kernel::TableViews;
use headwater_kernel::port::{Document, Tables as _};

use super::fault;
use super::streams::{ZONE, time};

/// Documents that become one batch of rows.
const PAGE: usize = 4_096;

/// A table of documents.
#[derive(Clone)]
pub struct DocumentTable {
    tables: Arc<TableViews>,
    name: Arc<str>,
    schema: SchemaRef,
}

impl fmt::Debug for DocumentTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentTable({})", self.name)
    }
}

/// What a document is as a row.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("version", DataType::Int64, false),
        Field::new("updated", time(), false),
        Field::new("value", DataType::Utf8, false),
    ]))
}

impl DocumentTable {
    /// The table of this name.
    pub fn new(tables: &Arc<TableViews>, name: &str) -> Self {
        Self { tables: Arc::clone(tables), name: name.into(), schema: schema() }
    }

    fn rows(&self, documents: &[Document]) -> Result<RecordBatch> {
        let (mut keys, mut values) = (StringBuilder::new(), StringBuilder::new());
        let (mut versions, mut times) = (Int64Builder::new(), TimestampMicrosecondBuilder::new().with_timezone(ZONE));
        for document in documents {
            keys.append_value(&document.key);
            versions.append_value(i64::try_from(document.version).unwrap_or(i64::MAX));
            times.append_value(document.updated.0);
            values.append_value(String::from_utf8_lossy(&document.value));
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(keys.finish()),
            Arc::new(versions.finish()),
            Arc::new(times.finish()),
            Arc::new(values.finish()),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

#[async_trait]
impl TableProvider for DocumentTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let about = |filter: &&Expr| match key(filter) {
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
        // Whoever has been told that it is written finds it.
        self.tables.settled(&self.name).await.map_err(fault::carried)?;
        let pages = Pages { table: self.clone(), key: filters.iter().find_map(key).map(str::to_owned) };
        let parts: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(pages)];
        Ok(Arc::new(StreamingTableExec::try_new(self.schema(), parts, projection, [], false, limit)?))
    }
}

/// The only key that a filter lets through.
fn key(filter: &Expr) -> Option<&str> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    let is_key = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == "key");
    let other = if is_key(left) { right } else { Some(left).filter(|_| is_key(right))? };
    match &**other {
        Expr::Literal(ScalarValue::Utf8(Some(key)) | ScalarValue::Utf8View(Some(key)), _) => Some(key),
        _ => None,
    }
}

/// One scan: a document, or page after page in the order of keys.
struct Pages {
    table: DocumentTable,
    key: Option<String>,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{} at {}", self.table.name, key.escape_debug()),
            None => write!(f, "{}", self.table.name),
        }
    }
}

impl PartitionStream for Pages {
    fn schema(&self) -> &SchemaRef {
        &self.table.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.table.schema);
        let table = self.table.clone();
        if let Some(key) = self.key.clone() {
            let one = async move {
                let found = table.tables.get(&table.name, &key).map_err(fault::carried)?;
                table.rows(found.as_slice())
            };
            return Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(one)));
        }
        let pages = futures::stream::try_unfold((table, Some(None::<String>)), |(table, after)| async move {
            let Some(after) = after else { return Ok(None) };
            let page = table.tables.list(&table.name, after.as_deref(), PAGE).map_err(fault::carried)?;
            let next = page.last().filter(|_| page.len() == PAGE).map(|last| Some(last.key.clone()));
            Ok(Some((table.rows(&page)?, (table, next))))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, pages))
    }
}
