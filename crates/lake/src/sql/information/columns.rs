//! `information_schema.columns`: the columns of all tables, in PostgreSQL's words for their types.
//!
//! The engine's own has Arrow's words, which no tool knows, and counts columns from 0. A column has here the type that
//! `pg_attribute` has for it (`postgres/attributes.rs`), which is the one that it is sent as.
//!
//! # Source
//! PostgreSQL 17, "The Information Schema", "columns"; `information_schema.sql`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{CatalogProviderList, TableProvider};
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion_postgres::pgwire::api::Type;
use futures::stream;
use tokio_postgres::types::Kind;

use super::{Columns, INFORMATION};
use crate::sql::catalog::CATALOG;
use crate::sql::postgres::attributes::Attribute;

/// What PostgreSQL says of the bytes of a text that has no bound.
const TEXT_BYTES: i32 = 1 << 30;

/// The table, over all catalogs as lists see them.
///
/// # Errors
/// What the engine says.
pub fn table(catalogs: Arc<dyn CatalogProviderList>) -> Result<Arc<dyn TableProvider>> {
    let schema = told(&[])?.schema();
    let all: Arc<dyn PartitionStream> = Arc::new(All { catalogs, schema: Arc::clone(&schema) });
    Ok(Arc::new(StreamingTable::try_new(schema, vec![all])?))
}

/// The rows. Tables are looked up when somebody reads them, not as soon as a statement names this one.
#[derive(Debug)]
struct All {
    catalogs: Arc<dyn CatalogProviderList>,
    schema: SchemaRef,
}

impl PartitionStream for All {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let catalogs = Arc::clone(&self.catalogs);
        let read = async move { told(&listed(&*catalogs).await?) };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream::once(read)))
    }
}

/// One column.
struct Listed {
    catalog: String,
    schema: String,
    table: String,
    name: String,
    /// From 1.
    position: i32,
    is_nullable: bool,
    attribute: Attribute,
}

/// All columns.
async fn listed(catalogs: &dyn CatalogProviderList) -> Result<Vec<Listed>> {
    let mut all = Vec::new();
    for catalog_name in catalogs.catalog_names() {
        let Some(catalog) = catalogs.catalog(&catalog_name) else { continue };
        for schema_name in catalog.schema_names() {
            let Some(schema) = catalog.schema(&schema_name).filter(|_| schema_name != INFORMATION) else { continue };
            for table_name in schema.table_names() {
                let Some(table) = schema.table(&table_name).await? else { continue };
                let fields = table.schema();
                all.extend(fields.fields().iter().zip(1..).map(|(field, position)| Listed {
                    catalog: catalog_name.clone(),
                    schema: schema_name.clone(),
                    table: table_name.clone(),
                    name: field.name().clone(),
                    position,
                    is_nullable: field.is_nullable(),
                    attribute: Attribute::of(field),
                }));
            }
        }
    }
    Ok(all)
}

/// What is said of columns.
fn told(all: &[Listed]) -> Result<RecordBatch> {
    Columns::default()
        .text("table_catalog", text(all, |one| &one.catalog))
        .text("table_schema", text(all, |one| &one.schema))
        .text("table_name", text(all, |one| &one.table))
        .text("column_name", text(all, |one| &one.name))
        .number("ordinal_position", all.iter().map(|one| Some(one.position)))
        .nothing("column_default", all.len())
        .text("is_nullable", text(all, |one| if one.is_nullable { "YES" } else { "NO" }))
        .text("data_type", text(all, |one| word(&one.attribute.kind)))
        .number("character_maximum_length", number(all, |_| None))
        .number("character_octet_length", number(all, |it| (it.kind == Type::TEXT).then_some(TEXT_BYTES)))
        .number("numeric_precision", number(all, |it| digits(it).0))
        .number("numeric_precision_radix", number(all, |it| digits(it).1))
        .number("numeric_scale", number(all, |it| digits(it).2))
        .number("datetime_precision", number(all, |it| fraction(&it.kind)))
        .nothing("interval_type", all.len())
        .text("udt_catalog", text(all, |_| CATALOG))
        .text("udt_schema", text(all, |_| "pg_catalog"))
        .text("udt_name", text(all, |one| one.attribute.kind.name()))
        .batch()
}

fn text(all: &[Listed], of: fn(&Listed) -> &str) -> impl Iterator<Item = String> {
    all.iter().map(move |one| of(one).to_owned())
}

fn number(all: &[Listed], of: fn(&Attribute) -> Option<i32>) -> impl Iterator<Item = Option<i32>> {
    all.iter().map(move |one| of(&one.attribute))
}

/// A type in the words of the standard, where it has some.
fn word(kind: &Type) -> &str {
    match *kind {
        Type::BOOL => "boolean",
        Type::INT2 => "smallint",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::FLOAT4 => "real",
        Type::FLOAT8 => "double precision",
        Type::TIME => "time without time zone",
        Type::TIMESTAMP => "timestamp without time zone",
        Type::TIMESTAMPTZ => "timestamp with time zone",
        _ => match kind.kind() {
            Kind::Array(_) => "ARRAY",
            _ => kind.name(),
        },
    }
}

/// The digits of a number, to which base, and those behind the point.
fn digits(of: &Attribute) -> (Option<i32>, Option<i32>, Option<i32>) {
    match of.kind {
        Type::INT2 => (Some(16), Some(2), Some(0)),
        Type::INT4 => (Some(32), Some(2), Some(0)),
        Type::INT8 => (Some(64), Some(2), Some(0)),
        Type::FLOAT4 => (Some(24), Some(2), None),
        Type::FLOAT8 => (Some(53), Some(2), None),
        Type::NUMERIC => match of.digits() {
            Some((digits, scale)) => (Some(digits), Some(10), Some(scale)),
            None => (None, Some(10), None),
        },
        _ => (None, None, None),
    }
}

/// The digits of a second's fraction.
fn fraction(of: &Type) -> Option<i32> {
    match *of {
        Type::DATE => Some(0),
        Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::INTERVAL => Some(6),
        _ => None,
    }
}
