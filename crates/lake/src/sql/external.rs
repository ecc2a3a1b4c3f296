//! Files that somebody else writes, as they are when a statement is planned.

mod guessed;
pub mod postgres;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::SessionStateBuilder;
use headwater_base::Problem;

use guessed::Guessed;

use super::fault;
use crate::kinds::external_table::{ExternalTableSpec, Format, type_of};

/// The files of a spec as a table.
///
/// # Errors
/// `HW-LAKE-055` for files that are not there or cannot be read as what they should be.
pub async fn table(name: &str, spec: &ExternalTableSpec) -> Result<Arc<dyn TableProvider>> {
    let unreadable = |error: DataFusionError| {
        let fact = format!("the files of `{name}` at `{}` cannot be read", spec.path);
        let problem = Problem::new("HW-LAKE-055", fact).because(fault::first_line(&error.strip_backtrace()));
        fault::carried(
            problem.help("whoever runs the node must be able to read them; `headwater describe` shows the table"),
        )
    };
    found(spec).await.map_err(unreadable)
}

async fn found(spec: &ExternalTableSpec) -> Result<Arc<dyn TableProvider>> {
    let options = ListingOptions::new(format(spec)?).with_file_extension("").with_collect_stat(true);
    let place = ListingTableUrl::parse(&spec.path)?;
    // A session of its own looks at the files: it keeps nothing in mind.
    let session = SessionStateBuilder::new().build();
    let schema = options.infer_schema(&session, &place).await?;
    let config = ListingTableConfig::new(place).with_listing_options(options).with_schema(typed(&schema, spec)?);
    Ok(Arc::new(ListingTable::try_new(config)?))
}

fn format(spec: &ExternalTableSpec) -> Result<Arc<dyn FileFormat>> {
    let compression = match spec.compression() {
        Some(ending) => ending.parse()?,
        None => FileCompressionType::UNCOMPRESSED,
    };
    let inner: Arc<dyn FileFormat> = match spec.form() {
        Some(Format::Csv) => Arc::new(
            CsvFormat::default()
                .with_has_header(true)
                .with_delimiter(spec.between())
                .with_newlines_in_values(true)
                .with_file_compression_type(compression),
        ),
        Some(Format::Ndjson) => Arc::new(JsonFormat::default().with_file_compression_type(compression)),
        Some(Format::Parquet) => Arc::new(ParquetFormat::default()),
        None => return Err(DataFusionError::Configuration("nothing says what the files are".to_owned())),
    };
    Ok(Arc::new(Guessed(inner)))
}

/// What was made out, with the types that the spec says.
fn typed(schema: &SchemaRef, spec: &ExternalTableSpec) -> Result<SchemaRef> {
    if let Some(absent) = spec.types.keys().find(|column| schema.field_with_name(column).is_err()) {
        return Err(DataFusionError::Configuration(format!("they have no column `{absent}`")));
    }
    let field = |field: &Arc<Field>| match spec.types.get(field.name()).and_then(|word| type_of(word)) {
        Some(kind) => Arc::new(field.as_ref().clone().with_data_type(kind)),
        None => Arc::clone(field),
    };
    let fields: Vec<Arc<Field>> = schema.fields().iter().map(field).collect();
    Ok(Arc::new(Schema::new(fields)))
}
