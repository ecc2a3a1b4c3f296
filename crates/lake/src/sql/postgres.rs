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
use bytes::Bytes;
use datafusion::common::DataFusionError;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::DfSessionService;
use datafusion_postgres::hooks::QueryHook;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::pgwire::api::auth::noop::NoopStartupHandler;
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::portal::{Format, Portal, PortalExecutionState};
use datafusion_postgres::pgwire::api::query::{
    ExtendedQueryHandler, SimpleQueryHandler, send_execution_response, send_partial_query_response, send_query_response,
};
use datafusion_postgres::pgwire::api::results::{FieldInfo, Response, Tag};
use datafusion_postgres::pgwire::api::stmt::{QueryParser, StoredStatement};
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, ConnectionHandle, ConnectionManager, DEFAULT_NAME, METADATA_USER,
    PgWireConnectionState, Type,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Execute, Parse, ParseComplete, Sync as PgSync, TARGET_TYPE_BYTE_PORTAL,
    TARGET_TYPE_BYTE_STATEMENT,
};
use datafusion_postgres::pgwire::messages::response::{EmptyQueryResponse, ReadyForQuery, TransactionStatus};
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::channel::oneshot;
use futures::{Sink, SinkExt as _};
use headwater_base::{Principal, Problem};
use headwater_kernel::port::sql::Via;
use headwater_kernel::unit::{awaited, bug};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::queries::{Asked, Backend, Queries, Query};
use super::running::apart;
use super::{Engine, Turn, chains, fault};
use budget::Budget;
use connection::Pace;
use kept::Kept;
use light::{goes_on, is_light, needs_no_turn};
use open::{Open, Opened};
use plain::{has_plan, is_foreign, plain, planned};
use rows::Rows;
use settings::Settings;
use verdict::OnlyReads;
use words::told;

pub(super) mod attributes;
mod budget;
mod clients;
mod columns;
mod connection;
mod decimal;
mod kept;
mod light;
mod names;
mod numeric;
mod open;
mod parameters;
mod plain;
mod response;
mod rows;
mod settings;
mod verdict;
mod words;

/// Principals whose services are kept.
const SERVICES_MAX: usize = 256;
/// Connections over the limit that are told so at once; more are closed without a word.
const REFUSALS_MAX: usize = 32;
/// How long to wait after the system refused to accept a connection, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves PostgreSQL clients until `stop` is true; then connections end.
pub async fn serve(listener: TcpListener, engine: Engine, mut stop: watch::Receiver<bool>) {
    let mut handlers: Option<Arc<Handlers>> = None;
    let places = Arc::new(Semaphore::new(engine.0.limits.sql_connections));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
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
        let most = engine.0.limits.sql_connections;
        let (place, refused) = match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => (place, None),
            Err(_) => {
                tracing::warn!(connections = most, "too many PostgreSQL connections");
                let Ok(place) = Arc::clone(&refusals).try_acquire_owned() else { continue };
                (place, Some(fault::full(most)))
            }
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
                // Its place is one of so many.
                let _place = place;
                // Ends with an error whenever the other side is gone.
                let _ = connection::serve(socket, &handlers, refused).await;
            },
            &running.handle,
        );
    }
    connections.shutdown().await;
}

/// What carries out the messages of connections.
struct Handlers {
    queries: Arc<Gate>,
    cancel: Arc<Cancel>,
    startup: Arc<Startup>,
    budget: Arc<Budget>,
    message_bytes_max: usize,
    pace: Pace,
}

impl Handlers {
    fn new(engine: &Engine) -> Self {
        let manager = Arc::new(ConnectionManager::new());
        let services = Arc::new(Services { engine: engine.clone(), all: Mutex::default() });
        let budget = Budget::new(engine.0.limits.sql_client_bytes);
        Self {
            queries: Arc::new(Gate { services, budget: Arc::clone(&budget) }),
            cancel: Arc::new(Cancel { queries: Arc::clone(&engine.0.queries), manager: Arc::clone(&manager) }),
            startup: Arc::new(Startup(manager)),
            budget,
            message_bytes_max: engine.0.limits.sql_message_bytes,
            pace: Pace::of(&engine.0.limits),
        }
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
            Arc::new(Settings),
            Arc::new(OnlyReads),
            Arc::new(Opened),
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
        let hold = Hold { turn: Arc::new(turn), deadline: Instant::now() + bound, late: fault::late(bound) };
        let running = Arc::clone(&hold.turn.listed.query);
        let query = HOLD.scope(hold.clone(), query(Arc::clone(&running)));
        let answer = apart(async {
            tokio::select! {
                answer = tokio::time::timeout_at(hold.deadline, awaited(query)) => match answer {
                    Ok(Ok(answer)) => answer,
                    Ok(Err(said)) => Err(told(&bug("the query", &said))),
                    Err(_) => Err(told(&hold.late)),
                },
                problem = running.ended() => Err(told(&problem)),
            }
        });
        Ok(held(answer?, hold))
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
        match planned(&self.context(client).await?.state(), &statement).await {
            Ok(plan) => Ok((sql.to_owned(), Some((statement, plan)))),
            Err(error) if is_foreign(&error) => {
                let rewritten = parser.parse_sql(client, sql, types).await;
                rewritten.map_err(|_| PgWireError::ApiError(Box::new(error)))
            }
            Err(error) => Err(PgWireError::ApiError(Box::new(error))),
        }
    }

    /// What a connection keeps of a statement.
    async fn kept<C>(&self, client: &C, sql: &str, types: &[Option<Type>]) -> PgWireResult<Prepared>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let prepared = self.prepared(client, sql, types).await?;
        if prepared.1.as_ref().is_none_or(|(statement, _)| needs_no_turn(statement)) {
            return Ok(prepared);
        }
        let (parameters, columns) = (self.get_parameter_types(&prepared)?, self.get_result_schema(&prepared, None)?);
        Ok(Kept::instead_of(prepared, parameters, columns))
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
        goes_on(client, sql)?;
        chains::check(sql).map_err(|problem| told(&problem))?;
        if is_light(sql) {
            return self.kept(client, sql, types).await;
        }
        let cancelled = cancelled(client).await?;
        tokio::select! {
            kept = self.run(&caller, sql, |_| self.kept(client, sql, types), |kept, _| kept) => kept,
            _ = cancelled => Err(PgWireError::QueryCanceled),
        }
    }

    fn get_parameter_types(&self, statement: &Prepared) -> PgWireResult<Vec<Type>> {
        match (Kept::of(statement), &statement.1) {
            (Some(kept), _) => Ok(kept.parameters.clone()),
            (None, Some((_, plan))) => parameters::types(plan),
            (None, None) => Ok(Vec::new()),
        }
    }

    fn get_result_schema(&self, statement: &Prepared, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        let as_text = Format::UnifiedText;
        let format = format.unwrap_or(&as_text);
        if let Some(kept) = Kept::of(statement) {
            return Ok(kept.told(format));
        }
        match statement {
            (_, Some((statement, plan))) if has_plan(statement) || matches!(statement, Statement::Fetch { .. }) => {
                Ok(response::fields(plan.schema().as_arrow(), statement, format, None))
            }
            _ => self.any()?.query_parser().get_result_schema(statement, Some(format)),
        }
    }
}

/// Carries out statements, each in its turn.
struct Gate {
    services: Arc<Services>,
    /// That of what connections keep.
    budget: Arc<Budget>,
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
        Ok(Self { principal, backend: (number, secret.to_bytes()), bound: settings::bound_of(client) })
    }
}

/// Resolves when the client asks for the end of what it begins now, where that is not listed.
async fn cancelled(client: &impl ClientInfo) -> PgWireResult<oneshot::Receiver<()>> {
    match client.session_extensions().get::<Arc<ConnectionHandle>>() {
        Some(handle) => Ok(handle.start_query().await),
        None => Err(told(&fault::closed())),
    }
}

/// A statement as it was prepared: its text, its tree and its plan, or what is kept in their place.
type Prepared = <DfSessionService as ExtendedQueryHandler>::Statement;

impl Gate {
    /// A portal whose statement is planned now. A plan has tables at the position of its making, and clients keep what
    /// they prepared for as long as they are connected.
    async fn pinned_anew<C>(&self, client: &C, portal: &Portal<Prepared>) -> PgWireResult<Portal<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let prepared = &portal.statement;
        let planned = self.services.prepared(client, &prepared.statement.0, &prepared.parameter_types).await?;
        let now = self.services.get_result_schema(&planned, None)?;
        if Kept::of(&prepared.statement).is_some_and(|kept| !kept.is_as_told(&now)) {
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

    /// Begins a portal, or goes on with it.
    async fn executed<C>(&self, client: &mut C, portal: &Portal<Prepared>, rows_max: usize) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let shared = portal.state();
        let mut state = shared.lock().await;
        if matches!(*state, PortalExecutionState::Initial) {
            let cancelled = cancelled(&*client).await?;
            let answer = tokio::select! {
                answer = ExtendedQueryHandler::do_query(self, client, portal, rows_max) => answer?,
                _ = cancelled => return Err(PgWireError::QueryCanceled),
            };
            settled(&*client, &answer);
            match answer {
                Response::Query(rows) => *state = PortalExecutionState::Suspended(rows),
                Response::EmptyQuery => {
                    client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
                    return Ok(());
                }
                Response::Execution(tag) => return send_execution_response(client, tag).await,
                Response::TransactionStart(tag) => {
                    let status = client.transaction_status().to_in_transaction_state();
                    client.set_transaction_status(status);
                    return send_execution_response(client, tag).await;
                }
                Response::TransactionEnd(tag) => {
                    client.set_transaction_status(TransactionStatus::Idle);
                    return send_execution_response(client, tag).await;
                }
                _ => return Err(told(&fault::refused("a statement answers with rows or that it is done"))),
            }
        }
        match std::mem::replace(&mut *state, PortalExecutionState::Finished) {
            PortalExecutionState::Suspended(rows) if rows_max == 0 => send_query_response(client, rows, false).await,
            PortalExecutionState::Suspended(mut rows) => {
                if send_partial_query_response(client, &mut rows, rows_max).await? {
                    *state = PortalExecutionState::Suspended(rows);
                }
                Ok(())
            }
            PortalExecutionState::Initial | PortalExecutionState::Finished => {
                send_execution_response(client, Tag::new("SELECT").with_rows(0)).await
            }
        }
    }
}

/// Whether values are sent as text.
fn is_text(format: &Format) -> bool {
    match format {
        Format::UnifiedText => true,
        Format::UnifiedBinary => false,
        Format::Individual(codes) => codes.iter().all(|code| *code == 0),
    }
}

/// What the rows of an answer keep until they have been sent.
#[derive(Clone)]
struct Hold {
    turn: Arc<Turn>,
    deadline: Instant,
    late: Problem,
}

tokio::task_local! {
    /// What the statement holds that is carried out now.
    static HOLD: Hold;
}

impl Hold {
    /// An answer whose rows hold it; those of a cursor hold what the cursor does.
    fn rows(self, response: Response) -> Response {
        let Response::Query(mut answer) = response else { return response };
        if answer.command_tag() == open::FETCHED {
            return Response::Query(answer);
        }
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
        // As PostgreSQL does, and with it goes what it holds.
        client.portal_store().rm_portal(DEFAULT_NAME);
        Open::of(&*client).unbind(DEFAULT_NAME);
        chains::check(query).map_err(|problem| told(&problem))?;
        goes_on(client, query)?;
        if is_light(query) {
            let service = self.services.of(client).await?;
            let answers = SimpleQueryHandler::do_query(&*service, client, query).await?;
            answers.iter().for_each(|answer| settled(client, answer));
            return Ok(answers);
        }
        let put = clients::put(query);
        let query = &*put;
        let asker = &mut *client;
        let answer = move |running: Arc<Query>| async move {
            let service = self.services.of(asker).await?;
            let Some(statement) = plain(query) else {
                return SimpleQueryHandler::do_query(&*service, asker, query).await;
            };
            let state = self.services.context(asker).await?.state();
            let told = |error: DataFusionError| PgWireError::ApiError(Box::new(error));
            let plan = planned(&state, &statement).await;
            match plan {
                Ok(plan) => {
                    let options = FormatOptions::from_client_metadata(asker.metadata());
                    Ok(vec![
                        response::of_plan(state, (&statement, plan), &running, &Format::UnifiedText, options).await?,
                    ])
                }
                Err(error) if is_foreign(&error) => {
                    let rewritten = SimpleQueryHandler::do_query(&*service, asker, query).await;
                    rewritten.map_err(|_| told(error))
                }
                Err(error) => Err(told(error)),
            }
        };
        let held = |answers: Vec<Response>, hold: Hold| {
            answers.into_iter().map(|one| hold.clone().rows(one)).collect::<Vec<_>>()
        };
        let answers = self.services.run(&caller, query, answer, held).await?;
        answers.iter().for_each(|answer| settled(client, answer));
        Ok(answers)
    }
}

/// Closes what ends with a transaction, where an answer ends one.
fn settled<C>(client: &C, answer: &Response)
where
    C: ClientInfo + ClientPortalStore,
    C::PortalStore: PortalStore,
{
    if matches!(answer, Response::TransactionEnd(_)) {
        client.portal_store().clear_portals();
        Open::of(client).end_transaction();
    }
}

/// Refuses a portal that says of another number of values how they are sent than there are.
fn formats_fit(message: &Bind, prepared: &Prepared) -> PgWireResult<()> {
    let fit = |formats: usize, values: usize| formats < 2 || formats == values;
    let columns = Kept::width(prepared);
    if fit(message.parameter_format_codes.len(), message.parameters.len())
        && fit(message.result_column_format_codes.len(), columns)
    {
        return Ok(());
    }
    Err(told(&fault::no_formats(message.parameters.len(), columns)))
}

#[async_trait]
impl ExtendedQueryHandler for Gate {
    type Statement = Prepared;
    type QueryParser = Services;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        Arc::clone(&self.services)
    }

    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = StoredStatement::parse(&*client, &message, self.query_parser()).await?;
        let types = size_of_val(prepared.parameter_types.as_slice());
        let bytes = Kept::bytes(&prepared.statement) + prepared.id.len() + types;
        Open::of(&*client).prepare(&prepared.id, bytes, &self.budget)?;
        client.portal_store().put_statement(Arc::new(prepared));
        client.send(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    async fn on_bind<C>(&self, client: &mut C, mut message: Bind) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.statement_name.as_deref().unwrap_or(DEFAULT_NAME);
        let Some(prepared) = client.portal_store().get_statement(name) else {
            return Err(PgWireError::StatementNotFound(name.to_owned()));
        };
        formats_fit(&message, &prepared.statement)?;
        let portal = message.portal_name.as_deref().unwrap_or(DEFAULT_NAME);
        let values: usize = message.parameters.iter().flatten().map(Bytes::len).sum();
        let bytes = values + size_of_val(message.parameters.as_slice()) + name.len() + portal.len();
        let bound = Open::of(&*client).bind(portal, name, bytes, &self.budget);
        if bound.is_err() {
            // It was to be another one's place.
            client.portal_store().rm_portal(portal);
        }
        if !bound? {
            // They are parts of what else has been read.
            message.parameters.iter_mut().flatten().for_each(|value| *value = Bytes::copy_from_slice(value));
        }
        let portal = Portal::try_new(&message, prepared)?;
        client.portal_store().put_portal(Arc::new(portal));
        client.send(PgWireBackendMessage::BindComplete(BindComplete::new())).await?;
        Ok(())
    }

    /// Sends rows as they come, so many as are asked for. The default would gather them first, in room that it makes for as
    /// many as the client names, and what it gathers is not held to the memory of queries.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let Some(portal) = client.portal_store().get_portal(name) else {
            return Err(PgWireError::PortalNotFound(name.to_owned()));
        };
        client.set_state(PgWireConnectionState::QueryInProgress);
        // None, and less than that, are all.
        let rows_max = usize::try_from(message.max_rows).unwrap_or(0);
        let executed = self.executed(client, &portal, rows_max).await;
        if executed.is_err() {
            // Behind an error there is no end to be told.
            client.portal_store().rm_portal(name);
            Open::of(&*client).unbind(name);
        }
        executed?;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    /// Closes portals with the transaction that each statement is which stands in no other. The one without a name goes
    /// with a transaction that has failed as well; in one that goes on it stays until the next of them is bound.
    async fn on_sync<C>(&self, client: &mut C, _: PgSync) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let status = client.transaction_status();
        if status != TransactionStatus::Transaction {
            client.portal_store().rm_portal(DEFAULT_NAME);
            Open::of(&*client).unbind(DEFAULT_NAME);
        }
        if status == TransactionStatus::Idle {
            client.portal_store().clear_portals();
            Open::of(&*client).unbind_all();
        }
        client.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(status))).await?;
        Ok(())
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (name, open) = (message.name.as_deref().unwrap_or(DEFAULT_NAME), Open::of(&*client));
        match message.target_type {
            TARGET_TYPE_BYTE_STATEMENT => {
                client.portal_store().rm_statement(name);
                open.unprepare(name).iter().for_each(|portal| client.portal_store().rm_portal(portal));
            }
            TARGET_TYPE_BYTE_PORTAL => {
                client.portal_store().rm_portal(name);
                open.unbind(name);
            }
            _ => {}
        }
        client.send(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?;
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
        goes_on(client, &text)?;
        let statement = portal.statement.statement.1.as_ref().map(|(statement, _)| statement);
        if matches!(statement, Some(Statement::Fetch { .. })) && !is_text(&portal.result_column_format) {
            return Err(told(&fault::refused("the rows of a cursor are sent as text")));
        }
        if statement.is_none_or(needs_no_turn) {
            let service = self.services.of(client).await?;
            return ExtendedQueryHandler::do_query(&*service, client, portal, rows_max).await;
        }
        let answer = move |running: Arc<Query>| async move {
            let portal = self.pinned_anew(client, portal).await?;
            if let (_, Some((statement, plan))) = &portal.statement.statement
                && has_plan(statement)
            {
                let filled = parameters::filled(plan, &portal)?;
                if !response::is_as_told(plan, &filled) {
                    return Err(told(&fault::changed_by_values()));
                }
                let state = self.services.context(client).await?.state();
                let options = FormatOptions::from_client_metadata(client.metadata());
                return response::of_plan(state, (statement, filled), &running, &portal.result_column_format, options)
                    .await;
            }
            let service = self.services.of(client).await?;
            ExtendedQueryHandler::do_query(&*service, client, &portal, rows_max).await
        };
        self.services.run(&caller, &text, answer, |answer, hold| hold.rows(answer)).await
    }
}
