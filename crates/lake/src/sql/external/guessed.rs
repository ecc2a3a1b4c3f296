//! `Guessed`: a format whose files say too little about themselves. How many rows a file of text has is told by how large
//! it is, and how many different texts a column has by how many rows. These are guesses, good enough for a join to keep
//! the small side in memory and not the large one.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::{FileFormat, FileMeta};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_plan::ExecutionPlan;
use object_store::{ObjectMeta, ObjectStore};

use crate::sql::distinct;

/// Bytes that a value takes in text, its separator counted, about.
const VALUE_BYTES: u64 = 8;
/// What compression makes of text, about.
const SHRINKS: u64 = 5;

#[derive(Debug)]
pub(super) struct Guessed(pub Arc<dyn FileFormat>);

impl Guessed {
    fn guess(&self, known: &mut Statistics, schema: &SchemaRef, object: &ObjectMeta) {
        if known.num_rows.get_value().is_none() {
            let columns = schema.fields().len().max(1) as u64;
            let plain = self.0.compression_type().is_none_or(|compression| !compression.is_compressed());
            let bytes = object.size.saturating_mul(if plain { 1 } else { SHRINKS });
            let inexact = |number: u64| Precision::Inexact(usize::try_from(number).unwrap_or(usize::MAX));
            known.num_rows = inexact(bytes / (columns * VALUE_BYTES) + 1);
            known.total_byte_size = inexact(bytes);
        }
        distinct::guess(known, schema);
    }
}

#[async_trait]
impl FileFormat for Guessed {
    fn get_ext(&self) -> String {
        self.0.get_ext()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        self.0.get_ext_with_compression(compression)
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        self.0.compression_type()
    }

    async fn infer_schema(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        objects: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        self.0.infer_schema(state, store, objects).await
    }

    async fn infer_stats(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<Statistics> {
        let mut known = self.0.infer_stats(state, store, Arc::clone(&schema), object).await?;
        self.guess(&mut known, &schema, object);
        Ok(known)
    }

    async fn infer_stats_and_ordering(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<FileMeta> {
        let mut found = self.0.infer_stats_and_ordering(state, store, Arc::clone(&schema), object).await?;
        self.guess(&mut found.statistics, &schema, object);
        Ok(found)
    }

    async fn create_physical_plan(&self, state: &dyn Session, scan: FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        self.0.create_physical_plan(state, scan).await
    }

    fn file_source(&self, schema: TableSchema) -> Arc<dyn FileSource> {
        self.0.file_source(schema)
    }
}
