//! A table of which only the rows of a policy are there.
//!
//! The policy's condition stands at the scan, below everything that a statement says. Of the statement only comparisons
//! that can neither fail nor be seen failing go below it; limits, bounds that joins find out, projections of others and
//! statistics do not. What the scan is made of is hidden from plans, and what goes wrong in it is told without its words.
//!
//! # Source
//! PostgreSQL 17, "Row Security Policies" and "Rules and Privileges" (leakproof operators).

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt as _;

use super::fault;

/// A table under a policy.
pub struct Guarded {
    table: Arc<dyn TableProvider>,
    name: String,
    /// SQL over the table's columns.
    condition: String,
}

impl Guarded {
    /// The rows of `table` that meet `condition`.
    pub fn new(table: Arc<dyn TableProvider>, name: &str, condition: String) -> Self {
        Self { table, name: name.to_owned(), condition }
    }

    /// The table as it is without the policy.
    pub fn table(&self) -> &dyn TableProvider {
        &*self.table
    }

    /// The condition that rows have to meet.
    pub fn condition(&self) -> &str {
        &self.condition
    }

    /// The scan below the policy, as small as it can be made.
    async fn rows(
        &self,
        state: &SessionState,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let condition = state.create_logical_expr(&self.condition, &DFSchema::try_from(Arc::clone(&schema))?)?;
        let hints: Vec<Expr> = split_conjunction(&condition).into_iter().chain(filters).cloned().collect();
        let condition = filters.iter().cloned().fold(condition.unalias(), Expr::and);
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let mut read = wanted.clone();
        for column in condition.column_refs() {
            read.push(schema.index_of(column.name())?);
        }
        // Rows without columns cannot be looked at.
        read.extend(read.is_empty().then_some(0).filter(|_| !schema.fields().is_empty()));
        read.sort_unstable();
        read.dedup();
        let wanted = wanted.iter().filter_map(|column| read.binary_search(column).ok()).collect();
        let scan = self.table.scan(state, Some(&read), &hints, None).await?;
        let predicate = state.create_physical_expr(condition, &DFSchema::try_from(scan.schema())?)?;
        let rows = FilterExecBuilder::new(predicate, scan).apply_projection(Some(wanted))?.with_fetch(limit).build()?;
        // What is hidden from the statement's plan is optimised by itself.
        let mut rows: Arc<dyn ExecutionPlan> = Arc::new(rows);
        for rule in state.physical_optimizers() {
            rows = rule.optimize(rows, state.config_options())?;
        }
        Ok(rows)
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guarded({})", self.name)
    }
}

#[async_trait]
impl TableProvider for Guarded {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let schema = self.schema();
        let about = |filter: &&Expr| match is_harmless(filter, &schema) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(about).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let state = session.as_any().downcast_ref::<SessionState>();
        let state = state.ok_or_else(|| DataFusionError::Internal("a session of another kind".to_owned()))?;
        let rows = self.rows(state, projection, filters, limit).await;
        let rows = rows.map_err(|error| fault::guarded(&self.name, error))?;
        Ok(Arc::new(GuardedExec { rows, name: self.name.clone() }))
    }
}

/// Whether a filter compares columns with values of their own type: it cannot fail, takes no time that says much, and
/// says nothing of rows that it does not let through.
fn is_harmless(filter: &Expr, schema: &SchemaRef) -> bool {
    let column = |expr: &Expr| match expr {
        Expr::Column(column) => schema.field_with_name(column.name()).ok(),
        _ => None,
    };
    let compares = |left: &Expr, right: &Expr| match (column(left), right) {
        (Some(field), Expr::Literal(value, _)) => ScalarValue::data_type(value) == *field.data_type(),
        _ => false,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            is_harmless(left, schema) && is_harmless(right, schema)
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq,
            right,
        }) => compares(left, right) || compares(right, left),
        Expr::Not(inner) => is_harmless(inner, schema),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => column(inner).is_some(),
        Expr::InList(InList { expr, list, .. }) => list.iter().all(|value| compares(expr, value)),
        Expr::Between(Between { expr, low, high, .. }) => compares(expr, low) && compares(expr, high),
        _ => false,
    }
}

/// A scan that nobody looks into.
struct GuardedExec {
    rows: Arc<dyn ExecutionPlan>,
    name: String,
}

impl fmt::Debug for GuardedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedExec({})", self.name)
    }
}

impl DisplayAs for GuardedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedExec: {}", self.name)
    }
}

impl ExecutionPlan for GuardedExec {
    fn name(&self) -> &'static str {
        "GuardedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.rows.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { rows: reset_plan_states(Arc::clone(&self.rows))?, name: self.name.clone() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.rows.execute(partition, context).map_err(|error| fault::guarded(&self.name, error))?;
        let (schema, name) = (rows.schema(), self.name.clone());
        let rows = rows.map(move |batch| batch.map_err(|error| fault::guarded(&name, error)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
