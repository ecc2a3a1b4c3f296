//! Filters over files of several row groups: whatever Parquet cuts of a text, each row is found.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::prelude::SessionContext;
use headwater_store::disk::RealDisk;
use iceberg::arrow::schema_to_arrow_schema;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::*;
use crate::files::{Files, location_of};
use crate::layout::Layout;
use crate::testing::{batch, spec};

/// Files as a table, as the lake's own tables have them.
#[derive(Debug)]
struct Scanned {
    schema: SchemaRef,
    files: Vec<PartitionedFile>,
}

#[async_trait]
impl TableProvider for Scanned {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let store = Store { url: ObjectStoreUrl::local_filesystem(), objects: None };
        scan(session, &store, &Columns::new(&self.schema, None), self.files.clone(), projection, limit).await
    }
}

#[test]
fn a_filter_finds_each_row_of_a_file_whose_texts_parquet_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(Arc::new(RealDisk));
    let location = location_of(&folder.path().join("t"));
    files.create_folders(&location, folder.path()).unwrap();
    let layout = Layout::of(&spec(json!({"stream": "s", "columns": [
        {"name": "id", "type": "long"}, {"name": "text", "type": "string"}]})));
    let layout = layout.unwrap();
    // Most begin alike, and only what is behind the 64 bytes that Parquet keeps tells them apart.
    let long = |end: &str| format!("{}{end}", "k".repeat(70));
    let texts = [long("a"), "m".to_owned(), long("z"), long("é"), String::new(), "ü".repeat(40), "k".repeat(64)];
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (schema, partition, sort) = (layout.schema.clone(), layout.partition.clone(), layout.sort.clone());
        let version = commit::create(&files, &location, schema, partition, sort, HashMap::new()).await.unwrap();
        let schema = version.metadata.current_schema();
        let arrow: SchemaRef = Arc::new(schema_to_arrow_schema(schema).unwrap());
        for group_rows in 1..=texts.len() {
            let rows = texts.iter().zip(0..).map(|(text, id)| json!({"id": id, "text": text}));
            let rows = batch(&version, &layout, &rows.collect::<Vec<Value>>());
            let spec = version.metadata.default_partition_spec();
            let written = commit::write_in_groups(&files, &version, spec, rows, group_rows).await.unwrap();
            let files = written.iter().map(|file| scanned(file, schema, &arrow)).collect();
            let context = SessionContext::new();
            context.register_table("t", Arc::new(Scanned { schema: Arc::clone(&arrow), files })).unwrap();
            for (text, id) in texts.iter().zip(0_i64..) {
                for operator in ["=", ">=", "<="] {
                    let query = format!("SELECT id FROM t WHERE text {operator} '{text}'");
                    let found = context.sql(&query).await.unwrap().collect().await.unwrap();
                    let mut ids =
                        found.iter().flat_map(|rows| rows.column(0).as_primitive::<Int64Type>().values().iter());
                    assert!(ids.any(|found| *found == id), "groups of {group_rows}: {query}");
                }
            }
        }
    });
}
