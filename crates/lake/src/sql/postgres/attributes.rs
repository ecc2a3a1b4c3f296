//! `pg_attribute`: the columns of all tables, with the types as which they are sent.
//!
//! What plays `pg_catalog` knows a dozen types and calls all others text: times with a zone, lists, intervals. Tools choose by
//! it how to ask for a column, and which of them is a time. Here both sides, this table and what precedes the rows of an
//! answer, say what [`Attribute::of`] says.
//!
//! # Source
//! PostgreSQL 17, "pg_attribute", "pg_type"; `numeric.c` (`make_numeric_typmod`).

use std::sync::{Arc, OnceLock, Weak};

use arrow::array::{ArrayRef, BooleanArray, Int16Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::TableType;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionContext;
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::catalog_info::CatalogInfo;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::{
    PgCatalogSchemaProvider, PgCatalogStaticTables, PgCatalogTable,
};
use datafusion_postgres::pgwire::api::Type;
use futures::{TryStreamExt as _, stream};
use parking_lot::Mutex;
use tokio_postgres::types::Kind;

use super::columns;
use crate::sql::catalog::CATALOG;
use crate::sql::fault;
use crate::sql::listed::{Listed, Unlisted};

/// The schema of PostgreSQL's own tables.
const SCHEMA: &str = "pg_catalog";
const TABLE: &str = "pg_attribute";
/// A type that says everything by itself.
const NO_MODIFIER: i32 = -1;
/// What PostgreSQL adds to each modifier of `numeric`: the size of a header.
const HEADER_BYTES: i32 = 4;

/// What PostgreSQL's clients are told of the type of a column.
pub struct Attribute {
    /// The type.
    pub kind: Type,
    /// How many digits a `numeric` has, and how many of them behind the point.
    pub modifier: i32,
}

impl Attribute {
    /// Those of a column.
    pub fn of(column: &Field) -> Self {
        if columns::is_json(column) {
            return Self { kind: Type::JSON, modifier: NO_MODIFIER };
        }
        let sent = columns::sent(column.data_type());
        let modifier = match &sent {
            DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) if *scale >= 0 => {
                ((i32::from(*digits) << 16) | i32::from(*scale)) + HEADER_BYTES
            }
            _ => NO_MODIFIER,
        };
        let kind = match &sent {
            // `numeric` has any number of digits; what speaks the protocol knows one width of it.
            DataType::Decimal256(..) => Type::NUMERIC,
            other => into_pg_type(other).unwrap_or(Type::TEXT),
        };
        Self { kind, modifier }
    }

    /// How many digits a `numeric` has, and how many of them behind the point, where it says so.
    pub fn digits(&self) -> Option<(i32, i32)> {
        let said = self.modifier.checked_sub(HEADER_BYTES).filter(|said| *said >= 0)?;
        Some((said >> 16, said & 0xffff))
    }

    /// The bytes of each of its values; -1 where they differ, -2 where a zero ends them.
    pub fn length(&self) -> i16 {
        layout(&self.kind).0
    }

    fn is_by_value(&self) -> bool {
        matches!(self.length(), 1 | 2 | 4 | 8)
    }

    fn dimensions(&self) -> i32 {
        i32::from(matches!(self.kind.kind(), Kind::Array(_)))
    }
}

/// How long PostgreSQL's values of a type are, and how it aligns and stores them.
fn layout(kind: &Type) -> (i16, &'static str, &'static str) {
    match *kind {
        Type::BOOL => (1, "c", "p"),
        Type::INT2 => (2, "s", "p"),
        Type::INT4 | Type::FLOAT4 | Type::DATE => (4, "i", "p"),
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => (8, "d", "p"),
        Type::INTERVAL => (16, "d", "p"),
        Type::NUMERIC => (-1, "i", "m"),
        Type::UNKNOWN => (-2, "c", "p"),
        _ => match kind.kind() {
            Kind::Array(item) if layout(item).1 == "d" => (-1, "d", "x"),
            _ => (-1, "i", "x"),
        },
    }
}

/// Gives a session, which has `pg_catalog` already, one whose `pg_attribute` is this one.
///
/// # Errors
/// What the engine says.
pub fn register(context: &SessionContext, unlisted: &Arc<Unlisted>) -> Result<()> {
    /// What is the same for everybody, and large.
    static FIXED: OnceLock<Arc<PgCatalogStaticTables>> = OnceLock::new();
    let fixed = match FIXED.get() {
        Some(fixed) => Arc::clone(fixed),
        None => {
            let read = Arc::new(PgCatalogStaticTables::try_new()?);
            Arc::clone(FIXED.get_or_init(|| read))
        }
    };
    let catalogs = Noting { of: Arc::downgrade(context.state().catalog_list()), unlisted: Arc::clone(unlisted) };
    let tables = PgCatalogSchemaProvider::try_new(catalogs, fixed, EmptyContextProvider)?;
    if let Some(catalog) = context.catalog(CATALOG) {
        catalog.register_schema(SCHEMA, Arc::new(PgCatalog(tables)))?;
    }
    Ok(())
}

/// `pg_catalog`, as what plays it has it, but for one table.
#[derive(Debug)]
struct PgCatalog(PgCatalogSchemaProvider<Noting, EmptyContextProvider>);

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        self.0.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = match self.0.build_table_by_name(name)? {
            Some(PgCatalogTable::Dynamic(table)) if name.eq_ignore_ascii_case(TABLE) => {
                PgCatalogTable::Dynamic(Arc::new(Attributes(table)))
            }
            Some(table) => table,
            None => return Ok(None),
        };
        table.try_into_table_provider().map(Some)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.table_exist(name)
    }
}

tokio::task_local! {
    /// The columns of the tables that `pg_attribute` has asked for, in its order.
    static ASKED: Mutex<Vec<FieldRef>>;
}

/// The catalogs of a session, which note what `pg_attribute` asks them for. They stand in these catalogs themselves, so
/// they do not keep them.
#[derive(Clone, Debug)]
struct Noting {
    of: Weak<dyn CatalogProviderList>,
    unlisted: Arc<Unlisted>,
}

impl Noting {
    fn catalogs(&self) -> Result<Arc<dyn CatalogProviderList>> {
        let catalogs = self.of.upgrade().ok_or_else(|| fault::carried(fault::closed()))?;
        Ok(Arc::new(Listed::new(catalogs, &self.unlisted)))
    }
}

#[async_trait]
impl CatalogInfo for Noting {
    async fn catalog_names(&self) -> Result<Vec<String>> {
        CatalogInfo::catalog_names(&self.catalogs()?).await
    }

    async fn schema_names(&self, catalog_name: &str) -> Result<Option<Vec<String>>> {
        CatalogInfo::schema_names(&self.catalogs()?, catalog_name).await
    }

    async fn table_names(&self, catalog_name: &str, schema_name: &str) -> Result<Option<Vec<String>>> {
        CatalogInfo::table_names(&self.catalogs()?, catalog_name, schema_name).await
    }

    async fn table_schema(&self, catalog_name: &str, schema_name: &str, table_name: &str) -> Result<Option<SchemaRef>> {
        let catalogs = self.catalogs()?;
        let found = CatalogInfo::table_schema(&catalogs, catalog_name, schema_name, table_name).await?;
        let Some(schema) = found else { return Ok(None) };
        // An error says that another table asks.
        let _ = ASKED.try_with(|asked| asked.lock().extend(schema.fields().iter().cloned()));
        Ok(Some(schema))
    }

    async fn table_type(&self, catalog_name: &str, schema_name: &str, table_name: &str) -> Result<Option<TableType>> {
        CatalogInfo::table_type(&self.catalogs()?, catalog_name, schema_name, table_name).await
    }
}

/// The rows of `pg_attribute` with other types.
#[derive(Debug)]
struct Attributes(Arc<dyn PartitionStream>);

impl PartitionStream for Attributes {
    fn schema(&self) -> &SchemaRef {
        self.0.schema()
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (table, schema) = (Arc::clone(&self.0), Arc::clone(self.0.schema()));
        let of_none = Arc::clone(&schema);
        let read = async move {
            match table.execute(context).try_next().await? {
                Some(batch) => typed(&batch, &ASKED.with(|asked| std::mem::take(&mut *asked.lock()))),
                None => Ok(RecordBatch::new_empty(of_none)),
            }
        };
        Box::pin(RecordBatchStreamAdapter::new(schema, stream::once(ASKED.scope(Mutex::default(), read))))
    }
}

/// Rows that are about these columns, with what is said of their types.
fn typed(rows: &RecordBatch, columns: &[FieldRef]) -> Result<RecordBatch> {
    if rows.num_rows() != columns.len() {
        return Err(DataFusionError::Internal(format!("{} rows of {} columns", rows.num_rows(), columns.len())));
    }
    let all: Vec<Attribute> = columns.iter().map(|column| Attribute::of(column)).collect();
    let of = |attribute: &Attribute| i32::try_from(attribute.kind.oid()).unwrap_or_default();
    let schema = rows.schema();
    let values = schema.fields().iter().zip(rows.columns()).map(|(field, values)| -> ArrayRef {
        match field.name().as_str() {
            "atttypid" => Arc::new(Int32Array::from_iter_values(all.iter().map(of))),
            "atttypmod" => Arc::new(Int32Array::from_iter_values(all.iter().map(|it| it.modifier))),
            "attndims" => Arc::new(Int32Array::from_iter_values(all.iter().map(Attribute::dimensions))),
            "attlen" => Arc::new(Int16Array::from_iter_values(all.iter().map(Attribute::length))),
            "attbyval" => Arc::new(BooleanArray::from_iter(all.iter().map(|it| Some(it.is_by_value())))),
            "attalign" => Arc::new(StringArray::from_iter_values(all.iter().map(|it| layout(&it.kind).1))),
            "attstorage" => Arc::new(StringArray::from_iter_values(all.iter().map(|it| layout(&it.kind).2))),
            _ => Arc::clone(values),
        }
    });
    let values: Vec<ArrayRef> = values.collect();
    Ok(RecordBatch::try_new(Arc::clone(&schema), values)?)
}
