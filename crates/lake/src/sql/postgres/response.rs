//! The answer to a query as PostgreSQL's protocol carries it: what its columns are told to be, and its rows.
//!
//! What it takes is counted for the query alone. Decimals are sent with all their digits (`numeric.rs`); the rest is
//! encoded by what speaks the protocol.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, FieldRef, Schema};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::DataFrame;
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters;
use datafusion_postgres::arrow_pg::encoder::encode_value;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::results::{DataRowEncoder, FieldInfo, QueryResponse, Response};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{StreamExt as _, stream};

use super::attributes::Attribute;
use super::numeric::Numeric;
use crate::sql::only_reads;
use crate::sql::queries::Query;

/// Begins a plan and gives its rows.
///
/// # Errors
/// What the engine says.
pub async fn of_plan(
    state: SessionState,
    plan: LogicalPlan,
    query: &Query,
    format: &Format,
    options: FormatOptions,
) -> PgWireResult<Response> {
    // What has been rewritten for PostgreSQL's sake has passed nobody yet.
    only_reads(&plan).map_err(failed)?;
    let environment = query.metered(state.runtime_env());
    let frame = DataFrame::new(state, plan);
    let told = Arc::new(fields(frame.schema().as_arrow(), format, Some(Arc::new(options))));
    let task = frame.task_ctx().with_runtime(environment);
    let plan = frame.create_physical_plan().await.map_err(failed)?;
    let batches = execute_stream(plan, Arc::new(task)).map_err(failed)?;
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

/// A plan with the values that a portal has for its parameters.
///
/// # Errors
/// A value that is none of its parameter's type.
pub fn filled<S: Clone>(plan: &LogicalPlan, portal: &Portal<S>) -> PgWireResult<LogicalPlan> {
    let types = parameters(plan).map_err(failed)?;
    let mut types: Vec<_> = types.iter().collect();
    types.sort_by_key(|(name, _)| name.trim_start_matches('$').parse::<u32>().unwrap_or(u32::MAX));
    let types: Vec<Option<&DataType>> = types.into_iter().map(|(_, kind)| kind.as_ref()).collect();
    let values = deserialize_parameters(portal, &types)?;
    plan.clone().replace_params_with_values(&values).map_err(failed)
}

/// What a client is told of the columns of an answer.
pub fn fields(schema: &Schema, format: &Format, options: Option<Arc<FormatOptions>>) -> Vec<FieldInfo> {
    let told = |(at, field): (usize, &FieldRef)| {
        let attribute = Attribute::of(field.data_type());
        let length = attribute.length();
        let told = FieldInfo::new(field.name().clone(), None, None, attribute.kind, format.format_for(at));
        let told = told.with_type_size(length).with_type_modifier(attribute.modifier);
        match &options {
            Some(options) => told.with_format_options(Arc::clone(options)),
            None => told,
        }
    };
    schema.fields().iter().enumerate().map(told).collect()
}

/// The parameters of a plan, and their types where what they stand beside, or a cast, says them.
fn parameters(plan: &LogicalPlan) -> Result<HashMap<String, Option<DataType>>> {
    let mut types = plan.get_parameter_types()?;
    if types.values().all(Option::is_some) {
        return Ok(types);
    }
    plan.apply(|node| {
        for expression in node.expressions() {
            expression.apply(|one| {
                if let Expr::Cast(cast) = one
                    && let Expr::Placeholder(parameter) = &*cast.expr
                {
                    let kind = types.entry(parameter.id.clone()).or_default();
                    if kind.is_none() {
                        *kind = Some(cast.field.data_type().clone());
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(types)
}

fn failed(error: DataFusionError) -> PgWireError {
    PgWireError::ApiError(Box::new(error))
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
            match field.data_type() {
                DataType::Decimal128(_, scale) => {
                    self.encoder.encode_field(&Numeric::at::<Decimal128Type>(values, row, *scale))?;
                }
                DataType::Decimal256(_, scale) => {
                    self.encoder.encode_field(&Numeric::at::<Decimal256Type>(values, row, *scale))?;
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
