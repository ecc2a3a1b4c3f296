//! A table of a PostgreSQL server, as it is when a statement reads it; its columns are known for a while (`known.rs`).
//!
//! The server does what it does as well: it gives the columns that are asked for, leaves out rows by filters that mean the
//! same there (`filters`), and stops at a limit. What it is NOT: it joins and aggregates nothing there.
//!
//! Invariant: rows come in batches of bounded size, and the server waits while nobody takes them.

mod columns;
mod connect;
mod filters;
mod known;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session as Planning, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt as _;
use headwater_base::Problem;
use tokio_postgres::{RowStream, Statement};

use crate::kinds::external_table::postgres::PostgresSpec;
use crate::sql::{fault, listed};
use columns::{Column, Form, Raw};
use connect::Session;

pub use connect::Servers;

/// Rows of a batch.
const BATCH_ROWS: usize = 8_192;
/// Bytes of a batch, about.
const BATCH_BYTES: usize = 1024 * 1024;

/// The table of a spec, with the columns that it has, as far as is known.
///
/// # Errors
/// `HW-LAKE-056` to `HW-LAKE-058`, and what the secret's own are.
pub async fn table(servers: &Servers, name: &str, spec: &PostgresSpec) -> Result<Arc<dyn TableProvider>> {
    let remote = Arc::new(Remote { servers: servers.clone(), name: name.to_owned(), spec: spec.clone() });
    let asked = Arc::clone(&remote);
    let ask = async move { asked.columns().await.map_err(|error| fault::problem(&error)) };
    let columns = match listed::is_list() {
        true => servers.known.listed(name, spec, ask).await,
        false => servers.known.columns(name, spec, ask).await,
    };
    let columns = columns.map_err(fault::carried)?.to_vec();
    Ok(Arc::new(PostgresTable { remote, schema: schema(&columns), columns }))
}

fn schema(columns: &[Column]) -> SchemaRef {
    // Whether there are nulls may change at any time.
    let fields = columns.iter().map(|column| Field::new(&column.name, column.form.data_type(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Which table of which server.
struct Remote {
    servers: Servers,
    name: String,
    spec: PostgresSpec,
}

impl Remote {
    async fn open(&self) -> Result<Session> {
        self.servers.open(&self.name, &self.spec).await.map_err(fault::carried)
    }

    /// The columns that the table has now.
    async fn columns(&self) -> Result<Vec<Column>> {
        let mut session = self.open().await?;
        let statement = self.prepare(&session, &format!("SELECT * FROM {} LIMIT 0", self.spec.relation())).await?;
        session.end();
        let column = |column: &tokio_postgres::Column| Column {
            name: column.name().to_owned(),
            form: Form::of(column.type_(), column.type_modifier()),
        };
        Ok(statement.columns().iter().map(column).collect())
    }

    async fn prepare(&self, session: &Session, text: &str) -> Result<Statement> {
        session.prepare(text).await.map_err(|error| self.refused(&error))
    }

    /// What the server says to a statement of ours, which may be about a column that it has no more.
    fn refused(&self, error: &tokio_postgres::Error) -> DataFusionError {
        self.servers.known.forget(&self.name);
        let (name, spec) = (&self.name, &self.spec);
        let fact = format!(
            "the PostgreSQL server of `external.{name}` at `{}` does not give {}",
            spec.place(),
            spec.relation()
        );
        let problem = Problem::new("HW-LAKE-058", fact).because(connect::words(error));
        fault::carried(
            problem.help(format!("look at `schema` and `table`, and at what the role `{}` may read", spec.user)),
        )
    }

    fn odd(&self, column: &str, what: &str) -> DataFusionError {
        let fact = format!("a value of the column `{column}` of `external.{}` has no place: {what}", self.name);
        fault::carried(Problem::new("HW-LAKE-059", fact).help(
            "leave the column out, filter the rows away, or read a view of the server that has another value in its place",
        ))
    }
}

/// A table of a server.
struct PostgresTable {
    remote: Arc<Remote>,
    schema: SchemaRef,
    columns: Vec<Column>,
}

impl fmt::Debug for PostgresTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresTable({})", self.remote.name)
    }
}

#[async_trait]
impl TableProvider for PostgresTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let about = |filter: &&Expr| match filters::pushed(filter, &self.columns) {
            Some(pushed) if pushed.exact => TableProviderFilterPushDown::Exact,
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(about).collect())
    }

    async fn scan(
        &self,
        _: &dyn Planning,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns: Vec<Column> = match projection {
            Some(wanted) => wanted.iter().filter_map(|at| self.columns.get(*at)).cloned().collect(),
            None => self.columns.clone(),
        };
        let conditions: Vec<_> = filters.iter().map(|filter| filters::pushed(filter, &self.columns)).collect();
        // The first rows before a filter are not the first ones behind it.
        let is_whole = conditions.iter().all(|it| it.as_ref().is_some_and(|pushed| pushed.exact));
        let selected: Vec<String> = columns.iter().map(Column::selected).collect();
        let mut sql = format!("SELECT {} FROM {}", selected.join(", "), self.remote.spec.relation());
        let conditions: Vec<String> = conditions.into_iter().flatten().map(|pushed| pushed.sql).collect();
        if !conditions.is_empty() {
            sql = format!("{sql} WHERE {}", conditions.join(" AND "));
        }
        if let Some(limit) = limit.filter(|_| is_whole) {
            sql = format!("{sql} LIMIT {limit}");
        }
        let scan = Arc::new(Scan { remote: Arc::clone(&self.remote), sql, schema: schema(&columns), columns });
        Ok(Arc::new(PostgresExec::new(scan)))
    }
}

/// One statement for a server.
struct Scan {
    remote: Arc<Remote>,
    sql: String,
    schema: SchemaRef,
    columns: Vec<Column>,
}

/// Reads what one statement of the server gives.
struct PostgresExec {
    scan: Arc<Scan>,
    properties: Arc<PlanProperties>,
}

impl PostgresExec {
    fn new(scan: Arc<Scan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&scan.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { scan, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for PostgresExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresExec({})", self.scan.sql)
    }
}

impl DisplayAs for PostgresExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresExec: server={}, statement={}", self.scan.remote.spec.place(), self.scan.sql)
    }
}

impl ExecutionPlan for PostgresExec {
    fn name(&self) -> &'static str {
        "PostgresExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let begin = State::Begin(Arc::clone(&self.scan));
        let batches = futures::stream::try_unfold(begin, |state| async move {
            let mut reading = match state {
                State::Begin(scan) => Box::new(Reading::begin(scan).await?),
                State::Reading(reading) => reading,
            };
            Ok(reading.batch().await?.map(|batch| (batch, State::Reading(reading))))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.scan.schema), batches)))
    }
}

/// Where a scan stands: nothing is asked before somebody wants rows.
enum State {
    Begin(Arc<Scan>),
    Reading(Box<Reading>),
}

struct Reading {
    scan: Arc<Scan>,
    rows: Pin<Box<RowStream>>,
    session: Session,
    over: bool,
}

impl Reading {
    async fn begin(scan: Arc<Scan>) -> Result<Self> {
        let session = scan.remote.open().await?;
        let statement = scan.remote.prepare(&session, &scan.sql).await?;
        let as_planned = |(column, there): (&Column, &tokio_postgres::Column)| {
            column.form == Form::Cast || column.form == Form::of(there.type_(), there.type_modifier())
        };
        if !scan.columns.iter().zip(statement.columns()).all(as_planned) {
            scan.remote.servers.known.forget(&scan.remote.name);
            let fact =
                format!("the columns of `external.{}` have changed since the statement was planned", scan.remote.name);
            return Err(fault::carried(Problem::new("HW-LAKE-058", fact).help("ask again")));
        }
        let rows = session.rows(&statement).await.map_err(|error| scan.remote.refused(&error))?;
        Ok(Self { scan, rows: Box::pin(rows), session, over: false })
    }

    /// The next rows; None behind the last one.
    async fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let scan = Arc::clone(&self.scan);
        let mut builders: Vec<_> = scan.columns.iter().map(Column::builder).collect();
        let (mut count, mut bytes) = (0, 0);
        while !self.over && count < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(row) = self.rows.next().await else {
                self.over = true;
                self.session.end();
                break;
            };
            let row = row.map_err(|error| scan.remote.refused(&error))?;
            count += 1;
            bytes += row.raw_size_bytes();
            for (at, (builder, column)) in builders.iter_mut().zip(&scan.columns).enumerate() {
                let value: Option<Raw<'_>> = row.try_get(at).map_err(|error| scan.remote.refused(&error))?;
                builder.push(value.map(|value| value.0)).map_err(|what| scan.remote.odd(&column.name, &what))?;
            }
        }
        if count == 0 {
            return Ok(None);
        }
        let columns = builders.iter_mut().map(columns::Builder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&scan.schema), columns, &options)?))
    }
}
