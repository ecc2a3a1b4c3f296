//! The answer to a query as PostgreSQL's protocol carries it: what its columns are told to be, and its rows.
//!
//! What it takes is counted for the query alone. Decimals are sent with all their digits (`numeric.rs`); the rest is
//! encoded by what speaks the protocol.

use std::collections::BTreeSet;
use std::iter;
use std::sync::Arc;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, DurationMillisecondType, DurationSecondType, FieldRef, Schema, TimeUnit,
};
use datafusion::common::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::arrow_pg::encoder::encode_value;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{DataRowEncoder, FieldInfo, QueryResponse, Response};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{StreamExt as _, stream};

use super::attributes::Attribute;
use super::names;
use super::numeric::Numeric;
use crate::sql::queries::Query;
use crate::sql::{admitted, fault, forecast, grace};

/// Begins the plan of a statement and gives its rows.
///
/// # Errors
/// What the engine says.
pub async fn of_plan(
    state: SessionState,
    (statement, plan): (&Statement, LogicalPlan),
    query: &Arc<Query>,
    format: &Format,
    options: FormatOptions,
) -> PgWireResult<Response> {
    // What has been rewritten for PostgreSQL's sake has passed nobody yet.
    admitted(&plan).map_err(failed)?;
    let plan = forecast::bound(plan, query).map_err(failed)?;
    let environment = query.metered(state.runtime_env());
    let told = Arc::new(fields(plan.schema().as_arrow(), statement, format, Some(Arc::new(options))));
    let task = TaskContext::from(&state).with_runtime(environment);
    let batches = grace::start(&state, plan, Arc::new(task), query).await.map_err(failed)?;
    let of_rows = Arc::clone(&told);
    let rows = batches.flat_map(move |batch| {
        let rows: Box<dyn Iterator<Item = PgWireResult<DataRow>> + Send> = match batch {
            Ok(batch) => Box::new(Encoded::new(batch, Arc::clone(&of_rows))),
            Err(error) => Box::new(iter::once(Err(failed(error)))),
        };
        stream::iter(rows)
    });
    Ok(Response::Query(QueryResponse::new(told, rows)))
}

/// What a client is told of the columns of a statement's answer.
pub fn fields(
    schema: &Schema,
    statement: &Statement,
    format: &Format,
    options: Option<Arc<FormatOptions>>,
) -> Vec<FieldInfo> {
    let known = names::names(statement, schema.fields().len());
    let (mut names, mut before) = (Vec::with_capacity(known.len()), BTreeSet::new());
    for (field, name) in schema.fields().iter().zip(known) {
        let name = name.unwrap_or_else(|| names::said(field.name(), &before).to_owned());
        before.insert(name.clone());
        names.push(name);
    }
    let told = |((at, field), name): ((usize, &FieldRef), String)| {
        let attribute = Attribute::of(field);
        let length = attribute.length();
        let told = FieldInfo::new(name, None, None, attribute.kind, format.format_for(at));
        let told = told.with_type_size(length).with_type_modifier(attribute.modifier);
        match &options {
            Some(options) => told.with_format_options(Arc::clone(options)),
            None => told,
        }
    };
    schema.fields().iter().enumerate().zip(names).map(told).collect()
}

/// Whether a plan's columns are of the types that a client was told before its parameters had values; of one that had no
/// type then the client was told none.
pub fn is_as_told(before: &LogicalPlan, now: &LogicalPlan) -> bool {
    let mut columns = before.schema().fields().iter().zip(now.schema().fields());
    columns.all(|(before, now)| {
        *before.data_type() == DataType::Null || Attribute::of(before).kind == Attribute::of(now).kind
    })
}

fn failed(error: DataFusionError) -> PgWireError {
    PgWireError::ApiError(Box::new(error))
}

/// Whether a value's durations, its own or those of a list, are ones in PostgreSQL's microseconds.
fn are_intervals(values: &dyn Array, row: usize) -> bool {
    match values.data_type() {
        DataType::Duration(TimeUnit::Second) => {
            let seconds = values.as_primitive_opt::<DurationSecondType>();
            seconds.is_none_or(|seconds| seconds.value(row).checked_mul(1_000_000).is_some())
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            let millis = values.as_primitive_opt::<DurationMillisecondType>();
            millis.is_none_or(|millis| millis.value(row).checked_mul(1_000).is_some())
        }
        DataType::List(item) if matches!(item.data_type(), DataType::Duration(_)) => {
            values.as_list_opt::<i32>().is_none_or(|lists| {
                let items = lists.value(row);
                (0..items.len()).all(|item| items.is_null(item) || are_intervals(&items, item))
            })
        }
        _ => true,
    }
}

/// The rows of a batch, one after the other.
struct Encoded {
    batch: RecordBatch,
    next: usize,
    told: Arc<Vec<FieldInfo>>,
    encoder: DataRowEncoder,
}

impl Encoded {
    fn new(batch: RecordBatch, told: Arc<Vec<FieldInfo>>) -> Self {
        let encoder = DataRowEncoder::new(Arc::clone(&told));
        Self { batch, next: 0, told, encoder }
    }

    fn row(&mut self, row: usize) -> PgWireResult<DataRow> {
        let schema = self.batch.schema_ref();
        for ((values, field), told) in self.batch.columns().iter().zip(schema.fields()).zip(self.told.iter()) {
            // What encodes values takes an interval that is null for one of no length.
            if values.is_null(row) {
                self.encoder.encode_field(&None::<i8>)?;
                continue;
            }
            match field.data_type() {
                DataType::Decimal128(_, scale) => {
                    self.encoder.encode_field(&Numeric::at::<Decimal128Type>(values, row, *scale))?;
                }
                DataType::Decimal256(_, scale) => {
                    self.encoder.encode_field(&Numeric::at::<Decimal256Type>(values, row, *scale))?;
                }
                DataType::Duration(_) | DataType::List(_) if !are_intervals(values, row) => {
                    return Err(super::told(&fault::far_interval()));
                }
                _ => encode_value(&mut self.encoder, values, row, field, told)?,
            }
        }
        Ok(self.encoder.take_row())
    }
}

impl Iterator for Encoded {
    type Item = PgWireResult<DataRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next;
        if row >= self.batch.num_rows() {
            return None;
        }
        self.next += 1;
        Some(self.row(row))
    }
}
