//! The answer to a query as PostgreSQL's protocol carries it: what its columns are told to be, and its rows.
//!
//! What it takes is counted for the query alone. Decimals are sent with all their digits (`numeric.rs`); the rest is
//! encoded by what speaks the protocol.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, FieldRef, Schema};
use bytes::Bytes;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::DataFrame;
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters;
use datafusion_postgres::arrow_pg::encoder::encode_value;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::results::{DataRowEncoder, FieldInfo, QueryResponse, Response};
use datafusion_postgres::pgwire::api::stmt::StoredStatement;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{StreamExt as _, stream};
use uuid::Uuid;

use super::attributes::Attribute;
use super::numeric::Numeric;
use super::told;
use crate::sql::queries::Query;
use crate::sql::{fault, forecast, only_reads};

/// How a `jsonb` begins in the binary format.
const JSONB_VERSION: u8 = 1;

/// Begins a plan and gives its rows.
///
/// # Errors
/// What the engine says.
pub async fn of_plan(
    state: SessionState,
    plan: LogicalPlan,
    query: &Arc<Query>,
    format: &Format,
    options: FormatOptions,
) -> PgWireResult<Response> {
    // What has been rewritten for PostgreSQL's sake has passed nobody yet.
    only_reads(&plan).map_err(failed)?;
    let plan = forecast::bound(plan, query).map_err(failed)?;
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
pub fn filled<S: Clone + Default>(plan: &LogicalPlan, portal: &Portal<S>) -> PgWireResult<LogicalPlan> {
    let known = parameters(plan).map_err(failed)?;
    let types: Vec<Option<&DataType>> =
        (1..=portal.parameter_len()).map(|number| known.get(&format!("${number}")).and_then(Option::as_ref)).collect();
    let values = deserialize_parameters(&readable(portal, &types)?, &types)?;
    plan.clone().replace_params_with_values(&values).map_err(failed)
}

/// The portal with parameters that are read. What reads them knows no `uuid`, no `json` and no `jsonb`, which are text
/// here; and it drops a null of no type, so that the values behind it would move up.
fn readable<S: Clone + Default>(portal: &Portal<S>, known: &[Option<&DataType>]) -> PgWireResult<Portal<S>> {
    let mut parameters = portal.parameters.clone();
    let mut types = portal.statement.parameter_types.clone();
    types.resize(parameters.len(), None);
    for (at, (kind, value)) in types.iter_mut().zip(&mut parameters).enumerate() {
        let is_known = known.get(at).copied().flatten().is_some_and(|it| *it != DataType::Null);
        let is_binary = portal.parameter_format.is_binary(at);
        let unread = |kind: &str| told(&fault::no_binary(at + 1, kind));
        *kind = match kind.take() {
            Some(Type::UUID) => {
                if let (Some(bytes), true) = (&mut *value, is_binary) {
                    let id = Uuid::from_slice(bytes).map_err(|_| unread("uuid"))?;
                    *bytes = Bytes::from(id.to_string());
                }
                Some(Type::TEXT)
            }
            Some(Type::JSONB) => {
                if let (Some(bytes), true) = (&mut *value, is_binary) {
                    if bytes.first() != Some(&JSONB_VERSION) {
                        return Err(unread("jsonb"));
                    }
                    *bytes = bytes.slice(1..);
                }
                Some(Type::TEXT)
            }
            Some(Type::JSON | Type::BPCHAR | Type::NAME) => Some(Type::TEXT),
            None | Some(Type::UNKNOWN) if is_known && (value.is_none() || !is_binary) => None,
            None | Some(Type::UNKNOWN) if value.is_none() => Some(Type::TEXT),
            other => other,
        };
    }
    let mut read = Portal::default();
    read.name.clone_from(&portal.name);
    read.statement = Arc::new(StoredStatement::new(portal.statement.id.clone(), S::default(), types));
    read.parameter_format = portal.parameter_format.clone();
    read.parameters = parameters;
    Ok(read)
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
