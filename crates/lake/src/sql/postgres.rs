//! PostgreSQL's wire protocol: what psql, drivers and dashboards speak, over the same engine.
//!
//! `datafusion-postgres` speaks the protocol and plays `pg_catalog`. What stands here is the gate before it: statements
//! that read, so many at a time, so long each, for the user that the connection named, and errors in the words that
//! everybody else gets.
//!
//! # Source
//! PostgreSQL 17, "Frontend/Backend Protocol" and "Error Codes".

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::common::{DataFusionError, ParamValues};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{Expr, Set, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser as SqlParser, ParserError};
use datafusion_postgres::DfSessionService;
use datafusion_postgres::hooks::cursor::CursorStatementHook;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::hooks::{HookClient, QueryHook};
use datafusion_postgres::pgwire::api::auth::StartupHandler;
use datafusion_postgres::pgwire::api::auth::noop::NoopStartupHandler;
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::portal::{Format, Portal, PortalExecutionState};
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler, send_query_response};
use datafusion_postgres::pgwire::api::results::{FieldInfo, Response, Tag};
use datafusion_postgres::pgwire::api::stmt::{QueryParser, StoredStatement};
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, ConnectionHandle, ConnectionManager, DEFAULT_NAME, ErrorHandler, METADATA_USER,
    PgWireConnectionState, PgWireServerHandlers, Type,
};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::extendedquery::Execute;
use datafusion_postgres::pgwire::tokio::process_socket;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::Sink;
use futures::channel::oneshot;
use headwater_base::{Principal, Problem};
use headwater_kernel::port::sql::Via;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::queries::{Asked, Backend, Queries, Query};
use super::running::apart;
use super::{Engine, Turn, chains, dependencies, fault, only_reads, pins};
use rows::Rows;

pub(super) mod attributes;
mod clients;
mod columns;
mod numeric;
mod response;
mod rows;

/// Where `datafusion-postgres` keeps what a client has set as its `statement_timeout`, in milliseconds.
const TIMEOUT: &str = "statement_timeout_ms";
/// Principals whose services are kept.
const SERVICES_MAX: usize = 256;
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
        let handlers = Arc::clone(handlers.get_or_insert_with(|| Arc::new(Handlers::new(&engine))));
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
    cancel: Arc<Cancel>,
    startup: Arc<Startup>,
}

impl Handlers {
    fn new(engine: &Engine) -> Self {
        let manager = Arc::new(ConnectionManager::new());
        let services = Arc::new(Services { engine: engine.clone(), all: Mutex::default() });
        Self {
            queries: Arc::new(Gate { services }),
            cancel: Arc::new(Cancel { queries: Arc::clone(&engine.0.queries), manager: Arc::clone(&manager) }),
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

/// Ends what a connection runs, for whoever knows its secret.
struct Cancel {
    queries: Arc<Queries>,
    /// Knows connections whose statement is planned, or waits for its turn.
    manager: Arc<ConnectionManager>,
}

#[async_trait]
impl CancelHandler for Cancel {
    async fn on_cancel_request(&self, request: CancelRequest) {
        if !self.queries.cancel_of(&(request.pid, request.secret_key.to_bytes())) {
            self.manager.cancel(request.pid, &request.secret_key).await;
        }
    }
}

/// Lets everybody in: whoever reaches the port is on this machine.
struct Startup(Arc<ConnectionManager>);

impl NoopStartupHandler for Startup {
    fn connection_manager(&self) -> Option<Arc<ConnectionManager>> {
        Some(Arc::clone(&self.0))
    }
}

/// What answers the statements of a principal.
struct Services {
    engine: Engine,
    all: Mutex<HashMap<Principal, Arc<DfSessionService>>>,
}

/// A statement that is one query, and nothing that a client of PostgreSQL asks of PostgreSQL's own tables.
///
/// What plays PostgreSQL rewrites statements for the sake of such clients, and so changes what others mean: a subquery
/// among the columns that looks at its row loses its answer. Those others are planned as they were written.
fn plain(text: &str) -> Option<Statement> {
    let words = text.to_ascii_lowercase();
    if words.contains("pg_") || words.contains("::reg") {
        return None;
    }
    let mut statements = SqlParser::parse_sql(&PostgreSqlDialect {}, text).ok()?;
    let statement = statements.pop().filter(|_| statements.is_empty())?;
    matches!(statement, Statement::Query(_)).then_some(statement)
}

/// The plan of a plain query.
async fn planned(context: &SessionContext, statement: &Statement) -> Result<LogicalPlan, DataFusionError> {
    let (state, statement) = (context.state(), EngineStatement::Statement(Box::new(statement.clone())));
    let (state, statement) = (&state, &statement);
    let plan = pins::planning(dependencies::planned(move || state.statement_to_plan(statement.clone()))).await?;
    only_reads(&plan)?;
    columns::carried(plan)
}

/// Whether a statement may be about PostgreSQL's own functions, columns or syntax, which what plays it knows.
fn is_foreign(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::NotImplemented(_) | DataFusionError::SchemaError(..) => true,
        DataFusionError::Plan(fact) => fact.starts_with("Invalid function"),
        DataFusionError::Diagnostic(_, inner) => is_foreign(inner),
        _ => false,
    }
}

impl Services {
    fn principal(client: &impl ClientInfo) -> PgWireResult<Principal> {
        let user = client.metadata().get(METADATA_USER).map_or("", String::as_str);
        Principal::new(user).map_err(|problem| told(&problem))
    }

    /// The context of the user that a connection named.
    async fn context(&self, client: &impl ClientInfo) -> PgWireResult<SessionContext> {
        let running = self.engine.running().await.map_err(|problem| told(&problem))?;
        running.context(&Self::principal(client)?).map_err(|problem| told(&problem))
    }

    /// The service of the user that a connection named.
    async fn of(&self, client: &impl ClientInfo) -> PgWireResult<Arc<DfSessionService>> {
        let principal = Self::principal(client)?;
        if let Some(service) = self.all.lock().get(&principal) {
            return Ok(Arc::clone(service));
        }
        let context = self.context(client).await?;
        let hooks: Vec<Arc<dyn QueryHook>> = vec![
            Arc::new(OnlyReads),
            Arc::new(CursorStatementHook),
            Arc::new(SetShowHook),
            Arc::new(TransactionStatementHook),
        ];
        let service = Arc::new(DfSessionService::new_with_hooks(Arc::new(context), hooks));
        let mut all = self.all.lock();
        if all.len() >= SERVICES_MAX {
            all.clear();
        }
        all.insert(principal, Arc::clone(&service));
        Ok(service)
    }

    /// A service for what is the same whoever asks.
    fn any(&self) -> PgWireResult<Arc<DfSessionService>> {
        self.all.lock().values().next().cloned().ok_or_else(|| told(&fault::closed()))
    }

    /// Gives a statement a turn and an end.
    async fn run<T, F>(
        &self,
        client: &Caller,
        text: &str,
        query: impl FnOnce(Arc<Query>) -> F,
        held: impl FnOnce(T, Hold) -> T,
    ) -> PgWireResult<T>
    where
        F: Future<Output = PgWireResult<T>>,
    {
        let asked =
            Asked { principal: &client.principal, via: Via::Postgres, text, backend: Some(client.backend.clone()) };
        let waiting = self.engine.0.queries.wait(client.backend.clone());
        let turn = self.engine.turn(asked).await.map_err(|problem| told(&problem))?;
        drop(waiting);
        let bound = Duration::from_secs(self.engine.0.limits.sql_seconds);
        let bound = client.bound.map_or(bound, |own| own.min(bound));
        let (deadline, late) = (Instant::now() + bound, fault::late(bound));
        let running = Arc::clone(&turn.listed.query);
        let query = query(Arc::clone(&running));
        let answer = apart(async {
            tokio::select! {
                answer = tokio::time::timeout_at(deadline, query) => answer.unwrap_or_else(|_| Err(told(&late))),
                problem = running.ended() => Err(told(&problem)),
            }
        });
        Ok(held(answer?, Hold { turn: Arc::new(turn), deadline, late }))
    }

    /// A statement's plan, as it is now.
    async fn prepared<C>(&self, client: &C, sql: &str, types: &[Option<Type>]) -> PgWireResult<Prepared>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let parser = self.of(client).await?.query_parser();
        let put = clients::put(sql);
        let sql = &*put;
        let Some(statement) = plain(sql) else { return parser.parse_sql(client, sql, types).await };
        match planned(&self.context(client).await?, &statement).await {
            Ok(plan) => Ok((sql.to_owned(), Some((statement, plan)))),
            Err(error) if is_foreign(&error) => {
                let rewritten = parser.parse_sql(client, sql, types).await;
                rewritten.map_err(|_| PgWireError::ApiError(Box::new(error)))
            }
            Err(error) => Err(PgWireError::ApiError(Box::new(error))),
        }
    }
}

#[async_trait]
impl QueryParser for Services {
    type Statement = Prepared;

    /// Plans a statement in its turn, which ends with that.
    async fn parse_sql<C>(&self, client: &C, sql: &str, types: &[Option<Type>]) -> PgWireResult<Prepared>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let caller = Caller::of(client)?;
        chains::check(sql).map_err(|problem| told(&problem))?;
        let cancelled = cancelled(client).await?;
        tokio::select! {
            prepared = self.run(&caller, sql, |_| self.prepared(client, sql, types), |prepared, _| prepared) => prepared,
            _ = cancelled => Err(PgWireError::QueryCanceled),
        }
    }

    fn get_parameter_types(&self, statement: &Prepared) -> PgWireResult<Vec<Type>> {
        self.any()?.query_parser().get_parameter_types(statement)
    }

    fn get_result_schema(&self, statement: &Prepared, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        match statement {
            (_, Some((Statement::Query(_), plan))) => {
                Ok(response::fields(plan.schema().as_arrow(), format.unwrap_or(&Format::UnifiedText), None))
            }
            _ => self.any()?.query_parser().get_result_schema(statement, format),
        }
    }
}

/// Carries out statements, each in its turn.
struct Gate {
    services: Arc<Services>,
}

/// Whose statement it is, and how it can be ended.
struct Caller {
    principal: Principal,
    backend: Backend,
    /// How long the client lets its statements take.
    bound: Option<Duration>,
}

impl Caller {
    fn of(client: &impl ClientInfo) -> PgWireResult<Self> {
        let (number, secret) = client.pid_and_secret_key();
        let principal = Services::principal(client)?;
        Ok(Self { principal, backend: (number, secret.to_bytes()), bound: bound_of(client) })
    }
}

/// How long a client lets its statements take.
fn bound_of(client: &impl ClientInfo) -> Option<Duration> {
    client.metadata().get(TIMEOUT).and_then(|text| text.parse().ok()).map(Duration::from_millis)
}

/// Resolves when the client asks for the end of what it begins now, where that is not listed.
async fn cancelled(client: &impl ClientInfo) -> PgWireResult<oneshot::Receiver<()>> {
    match client.session_extensions().get::<Arc<ConnectionHandle>>() {
        Some(handle) => Ok(handle.start_query().await),
        None => Err(told(&fault::closed())),
    }
}

/// A statement as it was prepared: its text and its plan.
type Prepared = <DfSessionService as ExtendedQueryHandler>::Statement;

/// Whether a statement answers with rows and nothing else.
fn is_query(prepared: &Prepared) -> bool {
    matches!(prepared, (_, Some((Statement::Query(_), _))))
}

impl Gate {
    /// A portal whose statement is planned now. A plan has tables at the position of its making, and clients keep what
    /// they prepared for as long as they are connected.
    async fn pinned_anew<C>(&self, client: &C, portal: &Portal<Prepared>) -> PgWireResult<Portal<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let prepared = &portal.statement;
        let (text, before) = &prepared.statement;
        let planned = self.services.prepared(client, text, &prepared.parameter_types).await?;
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
    turn: Arc<Turn>,
    deadline: Instant,
    late: Problem,
}

impl Hold {
    fn rows(self, response: Response) -> Response {
        let Response::Query(mut answer) = response else { return response };
        answer.data_rows = Box::pin(Rows::new(answer.data_rows, self));
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
        let caller = Caller::of(client)?;
        chains::check(query).map_err(|problem| told(&problem))?;
        let put = clients::put(query);
        let query = &*put;
        let answer = move |running: Arc<Query>| async move {
            let service = self.services.of(client).await?;
            let Some(statement) = plain(query) else {
                return SimpleQueryHandler::do_query(&*service, client, query).await;
            };
            let context = self.services.context(client).await?;
            let told = |error: DataFusionError| PgWireError::ApiError(Box::new(error));
            match planned(&context, &statement).await {
                Ok(plan) => {
                    let options = FormatOptions::from_client_metadata(client.metadata());
                    Ok(vec![response::of_plan(&context, plan, &running, &Format::UnifiedText, options).await?])
                }
                Err(error) if is_foreign(&error) => {
                    let rewritten = SimpleQueryHandler::do_query(&*service, client, query).await;
                    rewritten.map_err(|_| told(error))
                }
                Err(error) => Err(told(error)),
            }
        };
        let held = |answers: Vec<Response>, hold: Hold| {
            answers.into_iter().map(|one| hold.clone().rows(one)).collect::<Vec<_>>()
        };
        self.services.run(&caller, query, answer, held).await
    }
}

#[async_trait]
impl ExtendedQueryHandler for Gate {
    type Statement = Prepared;
    type QueryParser = Services;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        Arc::clone(&self.services)
    }

    /// Sends the rows of a query that all are asked for as they come. The default would gather them first, and what it
    /// gathers is not held to the memory of queries; it does the rest.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let portal = client.portal_store().get_portal(message.name.as_deref().unwrap_or(DEFAULT_NAME));
        let whole = message.max_rows == 0 && matches!(client.state(), PgWireConnectionState::ReadyForQuery);
        let Some(portal) = portal.filter(|portal| whole && is_query(&portal.statement.statement)) else {
            return self._on_execute(client, message).await;
        };
        let state = portal.state();
        if !matches!(*state.lock().await, PortalExecutionState::Initial) {
            return self._on_execute(client, message).await;
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let cancelled = cancelled(&*client).await?;
        let answer = tokio::select! {
            answer = ExtendedQueryHandler::do_query(self, client, &portal, 0) => answer?,
            _ = cancelled => return Err(PgWireError::QueryCanceled),
        };
        let Response::Query(rows) = answer else { return Err(told(&fault::refused("a query answers with rows"))) };
        *state.lock().await = PortalExecutionState::Finished;
        send_query_response(client, rows, false).await?;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
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
        let caller = Caller::of(client)?;
        let text = portal.statement.statement.0.clone();
        let answer = move |running: Arc<Query>| async move {
            let portal = self.pinned_anew(client, portal).await?;
            if let (_, Some((Statement::Query(_), plan))) = &portal.statement.statement {
                let (context, plan) = (self.services.context(client).await?, response::filled(plan, &portal)?);
                let options = FormatOptions::from_client_metadata(client.metadata());
                return response::of_plan(&context, plan, &running, &portal.result_column_format, options).await;
            }
            let service = self.services.of(client).await?;
            ExtendedQueryHandler::do_query(&*service, client, &portal, rows_max).await
        };
        self.services.run(&caller, &text, answer, |answer, hold| hold.rows(answer)).await
    }
}

/// Refuses what does more than read. It comes before all other hooks: some statements make the engine open files, and
/// the engine's options are those of everybody.
struct OnlyReads;

/// What a connection can set for itself; [`SetShowHook`] carries it out.
const SETTINGS: [&str; 7] = [
    "statement_timeout",
    "datestyle",
    "bytea_output",
    "intervalstyle",
    "application_name",
    "extra_float_digits",
    "search_path",
];

impl OnlyReads {
    /// What becomes of a statement here; nothing if it goes on.
    fn answer(statement: &Statement) -> Option<PgWireResult<Response>> {
        match (statement, Self::verdict(statement)) {
            (_, Err(refused)) => Some(Err(refused)),
            (Statement::Reset(_), Ok(())) => Some(Ok(Response::Execution(Tag::new("RESET")))),
            // Drivers set much that means nothing here.
            (Statement::Set(set), Ok(())) if !Self::is_of_connection(set) => {
                Some(Ok(Response::Execution(Tag::new("SET"))))
            }
            _ => None,
        }
    }

    /// Refuses a cursor over something else than a query: what keeps cursors carries out whatever it is given, and a
    /// `SELECT … INTO` among it gathers its rows in memory that nobody counts.
    async fn of_cursors(statement: &Statement, context: &SessionContext) -> PgWireResult<()> {
        let Statement::Declare { stmts } = statement else { return Ok(()) };
        for query in stmts.iter().filter_map(|declared| declared.for_query.as_ref()) {
            let planned = planned(context, &Statement::Query(query.clone())).await;
            planned.map_err(|error| PgWireError::ApiError(Box::new(error)))?;
        }
        Ok(())
    }

    fn is_of_connection(set: &Set) -> bool {
        match set {
            Set::SingleAssignment { scope: None, hivevar: false, variable, values } => {
                SETTINGS.contains(&variable.to_string().to_lowercase().as_str())
                    && matches!(values.first(), Some(Expr::Value(_)))
            }
            Set::SetTimeZone { local, .. } => !local,
            _ => false,
        }
    }

    fn verdict(statement: &Statement) -> PgWireResult<()> {
        match statement {
            Statement::Set(Set::SingleAssignment { variable, .. })
                if variable.to_string().to_lowercase().trim_start_matches('"').starts_with("datafusion.") =>
            {
                Err(told(&fault::refused("the options of the query engine are those of the node")))
            }
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
        context: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        match Self::of_cursors(statement, context).await {
            Ok(()) => Self::answer(statement),
            Err(refused) => Some(Err(refused)),
        }
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
        context: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        match Self::of_cursors(statement, context).await {
            Ok(()) => Self::answer(statement),
            Err(refused) => Some(Err(refused)),
        }
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
        "HW-LAKE-043" | "HW-LAKE-085" => "53200",
        "HW-LAKE-069" => "53100",
        "HW-LAKE-046" => "53300",
        "HW-LAKE-048" | "HW-LAKE-072" => "57014",
        "HW-LAKE-049" => "57P01",
        _ => "XX000",
    };
    let mut info = ErrorInfo::new("ERROR".to_owned(), state.to_owned(), problem.title.clone());
    info.detail =
        Some(problem.causes.iter().map(String::as_str).chain([problem.code.as_str()]).collect::<Vec<_>>().join("; "));
    info.hint.clone_from(&problem.help);
    PgWireError::UserError(Box::new(info))
}
