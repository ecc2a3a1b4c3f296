//! Scans of files: whatever Parquet cuts of a text, each row is found, and however many threads read, each is there once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlanProperties as _;
use datafusion::prelude::{SessionConfig, SessionContext};
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

/// A new table in a folder.
async fn table(folder: &Path, layout: &Layout) -> (Files, Version) {
    let files = Files::new(Arc::new(RealDisk));
    let location = location_of(&folder.join("t"));
    files.create_folders(&location, folder).unwrap();
    let (schema, partition, sort) = (layout.schema.clone(), layout.partition.clone(), layout.sort.clone());
    let version = commit::create(&files, &location, schema, partition, sort, HashMap::new()).await.unwrap();
    (files, version)
}

fn leaf(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let below = plan.children().first().copied().cloned();
    below.map_or(plan, leaf)
}

#[test]
fn a_row_group_is_read_by_all_threads_once_its_footer_is_known() {
    const ROWS: i64 = 50_000;
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::of(&spec(json!({"stream": "s", "columns": [{"name": "id", "type": "long"}]}))).unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (files, version) = table(folder.path(), &layout).await;
        let schema = version.metadata.current_schema();
        let arrow: SchemaRef = Arc::new(schema_to_arrow_schema(schema).unwrap());
        let rows = batch(&version, &layout, &(0..ROWS).map(|id| json!({ "id": id })).collect::<Vec<Value>>());
        let spec = version.metadata.default_partition_spec();
        let written = commit::write_in_groups(&files, &version, spec, rows, 1 << 20).await.unwrap();
        let files = written.iter().map(|file| scanned(file, schema, &arrow)).collect();
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(3));
        context.register_table("t", Arc::new(Scanned { schema: Arc::clone(&arrow), files })).unwrap();
        // The first query reads the footer.
        for parts in [1, 3, 3] {
            let scan = leaf(context.table("t").await.unwrap().create_physical_plan().await.unwrap());
            assert_eq!(scan.output_partitioning().partition_count(), parts);
            for (query, wanted) in [
                ("SELECT count(*), count(DISTINCT id), sum(id) FROM t", [ROWS, ROWS, 1_249_975_000]),
                ("SELECT count(*), min(id), max(id) FROM t WHERE id % 2 = 1", [ROWS / 2, 1, ROWS - 1]),
                ("SELECT count(*), min(id), max(id) FROM t WHERE id >= 16000 AND id < 17000", [1_000, 16_000, 16_999]),
                ("SELECT count(*), count(DISTINCT id), 0 FROM (SELECT id FROM t LIMIT 40000)", [40_000, 40_000, 0]),
                (
                    "SELECT count(*), count(DISTINCT id), 0 FROM (SELECT id FROM t WHERE id >= 0 LIMIT 40000)",
                    [40_000, 40_000, 0],
                ),
            ] {
                let found = context.sql(query).await.unwrap().collect().await.unwrap();
                let [row] = found.as_slice() else { panic!("{query}: {found:?}") };
                let values = row.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0));
                assert_eq!(values.collect::<Vec<_>>(), wanted, "{query}");
            }
        }
    });
}

#[test]
fn a_filter_finds_each_row_of_a_file_whose_texts_parquet_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::of(&spec(json!({"stream": "s", "columns": [
        {"name": "id", "type": "long"}, {"name": "text", "type": "string"}]})));
    let layout = layout.unwrap();
    // Most begin alike, and only what is behind the 64 bytes that Parquet keeps tells them apart.
    let long = |end: &str| format!("{}{end}", "k".repeat(70));
    let texts = [long("a"), "m".to_owned(), long("z"), long("é"), String::new(), "ü".repeat(40), "k".repeat(64)];
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (files, version) = table(folder.path(), &layout).await;
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
