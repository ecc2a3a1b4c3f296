//! PostgreSQL's wire protocol: what psql, drivers and dashboards speak, over the same engine.
//!
//! `datafusion-postgres` speaks the protocol and plays `pg_catalog`. What stands here is the gate before it: statements
//! that read, so many at a time, so long each, and errors in the words that everybody else gets.
//!
//! # Source
//! PostgreSQL 17, "Frontend/Backend Protocol" and "Error Codes".

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::common::{DataFusionError, ParamValues};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion_postgres::hooks::cursor::CursorStatementHook;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::hooks::{HookClient, QueryHook};
use datafusion_postgres::pgwire::api::auth::StartupHandler;
use datafusion_postgres::pgwire::api::auth::noop::NoopStartupHandler;
use datafusion_postgres::pgwire::api::cancel::{CancelHandler, DefaultCancelHandler};
use datafusion_postgres::pgwire::api::portal::Portal;
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::stmt::{QueryParser as _, StoredStatement};
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, ConnectionManager, ErrorHandler, PgWireServerHandlers,
};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::tokio::process_socket;
use datafusion_postgres::{DfSessionService, Parser};
use futures::{Sink, StreamExt as _};
use headwater_base::Problem;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::running::Running;
use super::{Engine, Turn, fault};

/// How long to wait after the system refused to accept a connection, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves PostgreSQL clients until `stop` is true; then connections end.
pub async fn serve(listener: TcpListener, engine: Engine, mut stop: watch::Receiver<bool>) {
    let mut handlers: Option<Arc<Handlers>> = None;
    let permits = Arc::new(Semaphore::new(engine.0.limits.sql_connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                // Too many open files, most often: others end meanwhile.
                tracing::warn!(%error, "a PostgreSQL connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            tracing::warn!(connections = engine.0.limits.sql_connections, "too many PostgreSQL connections");
            continue;
        };
        let running = match engine.running().await {
            Ok(running) => running,
            Err(problem) => {
                tracing::warn!(code = problem.code, title = problem.title, "a PostgreSQL connection was not accepted");
                continue;
            }
        };
        let handlers = Arc::clone(handlers.get_or_insert_with(|| Arc::new(Handlers::new(&engine, running))));
        connections.spawn_on(
            async move {
                let _permit = permit;
                // Ends with an error whenever the other side is gone.
                let _ = process_socket(socket, None, handlers).await;
            },
            &running.handle,
        );
    }
    connections.shutdown().await;
}

struct Handlers {
    queries: Arc<Gate>,
    cancel: Arc<DefaultCancelHandler>,
    startup: Arc<Startup>,
}

impl Handlers {
    fn new(engine: &Engine, running: &Running) -> Self {
        let manager = Arc::new(ConnectionManager::new());
        let hooks: Vec<Arc<dyn QueryHook>> = vec![
            Arc::new(OnlyReads),
            Arc::new(CursorStatementHook),
            Arc::new(SetShowHook),
            Arc::new(TransactionStatementHook),
        ];
        let service = DfSessionService::new_with_hooks(Arc::new(running.context.clone()), hooks);
        Self {
            queries: Arc::new(Gate { service, engine: engine.clone() }),
            cancel: Arc::new(DefaultCancelHandler::new(Arc::clone(&manager))),
            startup: Arc::new(Startup(manager)),
        }
    }
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.queries)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::clone(&self.queries)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.startup)
    }

    fn error_handler(&self) -> Arc<impl ErrorHandler> {
        Arc::new(Words)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.cancel)
    }
}

/// Lets everybody in: whoever reaches the port is on this machine.
struct Startup(Arc<ConnectionManager>);

impl NoopStartupHandler for Startup {
    fn connection_manager(&self) -> Option<Arc<ConnectionManager>> {
        Some(Arc::clone(&self.0))
    }
}

/// Gives each query a turn and an end.
struct Gate {
    service: DfSessionService,
    engine: Engine,
}

impl Gate {
    async fn run<T>(
        &self,
        query: impl Future<Output = PgWireResult<T>>,
        held: impl FnOnce(T, Hold) -> T,
    ) -> PgWireResult<T> {
        let turn = self.engine.turn().await.map_err(|problem| told(&problem))?;
        let deadline = Instant::now() + Duration::from_secs(self.engine.0.limits.sql_seconds);
        match tokio::time::timeout_at(deadline, query).await {
            Ok(answer) => Ok(held(answer?, Hold { _turn: Arc::new(turn), deadline, late: self.engine.0.late() })),
            Err(_) => Err(told(&self.engine.0.late())),
        }
    }
}

/// A statement as it was prepared: its text and its plan.
type Prepared = <DfSessionService as ExtendedQueryHandler>::Statement;

impl Gate {
    /// A portal whose statement is planned now. A plan has tables at the position of its making, and clients keep what
    /// they prepared for as long as they are connected.
    async fn pinned_anew<C>(&self, client: &C, portal: &Portal<Prepared>) -> PgWireResult<Portal<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let prepared = &portal.statement;
        let (text, before) = &prepared.statement;
        let planned = self.service.query_parser().parse_sql(client, text, &prepared.parameter_types).await?;
        let columns =
            |plan: &LogicalPlan| plan.schema().fields().iter().map(|it| it.data_type().clone()).collect::<Vec<_>>();
        if let (Some((_, before)), Some((_, now))) = (before, &planned.1)
            && columns(before) != columns(now)
        {
            return Err(told(&fault::changed()));
        }
        let mut fresh = Portal::default();
        fresh.name.clone_from(&portal.name);
        fresh.statement =
            Arc::new(StoredStatement::new(prepared.id.clone(), planned, prepared.parameter_types.clone()));
        fresh.parameter_format = portal.parameter_format.clone();
        fresh.parameters.clone_from(&portal.parameters);
        fresh.result_column_format = portal.result_column_format.clone();
        Ok(fresh)
    }
}

/// What the rows of an answer keep until they have been sent.
#[derive(Clone)]
struct Hold {
    _turn: Arc<Turn>,
    deadline: Instant,
    late: Problem,
}

impl Hold {
    fn rows(self, response: Response) -> Response {
        let Response::Query(mut answer) = response else { return response };
        let rows = answer.data_rows;
        answer.data_rows = Box::pin(futures::stream::unfold(Some((rows, self)), |state| async move {
            let (mut rows, hold) = state?;
            match tokio::time::timeout_at(hold.deadline, rows.next()).await {
                Ok(row) => Some((row?, Some((rows, hold)))),
                Err(_) => Some((Err(told(&hold.late)), None)),
            }
        }));
        Response::Query(answer)
    }
}

#[async_trait]
impl SimpleQueryHandler for Gate {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let query = SimpleQueryHandler::do_query(&self.service, client, query);
        self.run(query, |answers, hold| answers.into_iter().map(|answer| hold.clone().rows(answer)).collect()).await
    }
}

#[async_trait]
impl ExtendedQueryHandler for Gate {
    type Statement = Prepared;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        self.service.query_parser()
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Self::Statement>,
        rows_max: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let query = async {
            let portal = self.pinned_anew(client, portal).await?;
            ExtendedQueryHandler::do_query(&self.service, client, &portal, rows_max).await
        };
        self.run(query, |answer, hold| hold.rows(answer)).await
    }
}

/// Refuses what does more than read. It comes before all other hooks: some statements make the engine open files.
struct OnlyReads;

impl OnlyReads {
    fn verdict(statement: &Statement) -> PgWireResult<()> {
        match statement {
            Statement::Query(_)
            | Statement::Explain { .. }
            | Statement::ExplainTable { .. }
            | Statement::Set(_)
            | Statement::Reset(_)
            | Statement::Discard { .. }
            | Statement::ShowVariable { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowColumns { .. }
            | Statement::StartTransaction { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Savepoint { .. }
            | Statement::ReleaseSavepoint { .. }
            | Statement::Declare { .. }
            | Statement::Fetch { .. }
            | Statement::Close { .. } => Ok(()),
            other => {
                let words: String = other.to_string().chars().take(60).collect();
                Err(told(&fault::refused(&format!("`{words}` is not carried out here"))))
            }
        }
    }
}

#[async_trait]
impl QueryHook for OnlyReads {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        Self::verdict(statement).err().map(Err)
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        Self::verdict(statement).err().map(Err)
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        Self::verdict(statement).err().map(Err)
    }
}

/// Gives errors the words and codes that other listeners give them.
struct Words;

impl ErrorHandler for Words {
    fn on_error<C: ClientInfo>(&self, _: &C, error: &mut PgWireError) {
        let PgWireError::ApiError(inner) = error else { return };
        let problem = match (inner.downcast_ref::<DataFusionError>(), inner.downcast_ref::<ParserError>()) {
            (Some(inner), _) => fault::problem(inner),
            (_, Some(inner)) => fault::syntax(inner),
            _ => return,
        };
        *error = told(&problem);
    }
}

/// A problem as a client of PostgreSQL is told it.
fn told(problem: &Problem) -> PgWireError {
    let state = match problem.code.as_str() {
        "HW-LAKE-040" => "42601",
        "HW-LAKE-041" => "42000",
        "HW-LAKE-042" | "HW-LAKE-050" => "0A000",
        "HW-LAKE-043" => "53200",
        "HW-LAKE-046" => "53300",
        "HW-LAKE-048" => "57014",
        "HW-LAKE-049" => "57P01",
        _ => "XX000",
    };
    let mut info = ErrorInfo::new("ERROR".to_owned(), state.to_owned(), problem.title.clone());
    info.detail =
        Some(problem.causes.iter().map(String::as_str).chain([problem.code.as_str()]).collect::<Vec<_>>().join("; "));
    info.hint.clone_from(&problem.help);
    PgWireError::UserError(Box::new(info))
}
