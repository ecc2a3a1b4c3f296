//! What a connection has open: cursors, portals and prepared statements, so many of each.
//!
//! A cursor holds the turn of the statement that declares it: its rows are in the list of those that run, their memory is
//! counted for it, and they end at its time, whether somebody fetches them or not. A cursor and a portal end with their
//! transaction, but for a cursor `WITH HOLD`. What it is NOT: a way to go back; rows come once, as text.
//!
//! # Source
//! PostgreSQL 17, "DECLARE", "FETCH", and "Extended Query" of "Message Flow".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use datafusion::common::{DFSchema, DFSchemaRef, ParamValues};
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{
    CloseCursor, Declare, DeclareType, DiscardObject, FetchDirection, Statement, Value,
};
use datafusion_postgres::hooks::{HookClient, QueryHook};
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse, Response, SendableRowStream, Tag};
use datafusion_postgres::pgwire::api::store::PortalStore as _;
use datafusion_postgres::pgwire::api::{ClientInfo, DEFAULT_NAME};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{Stream, stream};
use parking_lot::Mutex;

use super::budget::{Budget, Share};
use super::{HOLD, Hold, planned, response, told};
use crate::sql::fault;

/// Cursors, and portals, of a connection.
pub const PORTALS_MAX: usize = 64;
/// Statements that a connection has prepared.
pub const STATEMENTS_MAX: usize = 1_024;
/// What the client is told that rows of a cursor are.
pub const FETCHED: &str = "FETCH";

/// What a connection has open.
#[derive(Default)]
pub struct Open(Mutex<All>);

#[derive(Default)]
struct All {
    cursors: BTreeMap<String, Cursor>,
    portals: BTreeMap<String, Bound>,
    /// With the shares of the budget of what they keep.
    statements: BTreeMap<String, Arc<Share>>,
    /// That of the message which is carried out now, where it is a large one.
    handed: Option<Share>,
}

/// A portal.
struct Bound {
    /// What it is made from.
    statement: String,
    /// That of what it keeps.
    _share: Share,
    /// That of its statement, which may be none by now: another one has taken its name.
    _of: Option<Arc<Share>>,
}

struct Cursor {
    told: Arc<Vec<FieldInfo>>,
    schema: DFSchemaRef,
    rows: Arc<Mutex<SendableRowStream>>,
    /// Whether it outlives its transaction.
    outlives: bool,
}

impl All {
    /// The share of so many bytes that are kept, which is that of the large message that has brought them, if one has.
    fn share(&mut self, bytes: usize, budget: &Arc<Budget>) -> PgWireResult<Share> {
        let share = match self.handed.take() {
            Some(mut share) => share.grow_to(bytes).map(|()| share),
            None => budget.share(bytes),
        };
        share.map_err(|problem| told(&problem))
    }
}

/// Refuses one more name where there is no room. What has none takes the place of what had none before.
fn fits<'a>(mut names: impl Iterator<Item = &'a String>, name: &str, max: usize, what: &str) -> PgWireResult<()> {
    if name == DEFAULT_NAME {
        return Ok(());
    }
    let mut count = 0;
    let is_there = names.any(|one| {
        count += usize::from(one != DEFAULT_NAME);
        one == name
    });
    if is_there || count < max { Ok(()) } else { Err(told(&fault::crowded(what, max))) }
}

impl Open {
    /// What this connection has open.
    pub fn of<C: ClientInfo + ?Sized>(client: &C) -> Arc<Self> {
        client.session_extensions().get_or_insert_with(Self::default)
    }

    /// Has the share of a large message, until somebody keeps what is in it.
    pub fn hand(&self, share: Share) {
        self.0.lock().handed = Some(share);
    }

    /// The share of a large message, if nobody keeps what is in it.
    pub fn handed(&self) -> Option<Share> {
        self.0.lock().handed.take()
    }

    /// Takes note of a portal that is made from a statement, and keeps so many bytes; whether its values are what a large
    /// message of their own has brought.
    ///
    /// # Errors
    /// `HW-LAKE-096` and `-111`.
    pub fn bind(&self, name: &str, statement: &str, bytes: usize, budget: &Arc<Budget>) -> PgWireResult<bool> {
        let mut all = self.0.lock();
        fits(all.portals.keys(), name, PORTALS_MAX, "portals")?;
        // What it had before is given back first.
        all.portals.remove(name);
        let is_large = all.handed.is_some();
        let share = all.share(bytes, budget)?;
        let of = all.statements.get(statement).map(Arc::clone);
        all.portals.insert(name.to_owned(), Bound { statement: statement.to_owned(), _share: share, _of: of });
        Ok(is_large)
    }

    /// Takes note of a prepared statement, which keeps so many bytes.
    ///
    /// # Errors
    /// `HW-LAKE-096` and `-111`.
    pub fn prepare(&self, name: &str, bytes: usize, budget: &Arc<Budget>) -> PgWireResult<()> {
        let mut all = self.0.lock();
        fits(all.statements.keys(), name, STATEMENTS_MAX, "prepared statements")?;
        let share = all.share(bytes, budget)?;
        all.statements.insert(name.to_owned(), Arc::new(share));
        Ok(())
    }

    /// A portal is closed.
    pub fn unbind(&self, name: &str) {
        self.0.lock().portals.remove(name);
    }

    /// A prepared statement is closed, and with it the portals that are made from it: these.
    #[must_use]
    pub fn unprepare(&self, name: &str) -> Vec<String> {
        let mut all = self.0.lock();
        all.statements.remove(name);
        all.portals.extract_if(.., |_, bound| bound.statement == name).map(|(portal, _)| portal).collect()
    }

    /// All portals are closed.
    pub fn unbind_all(&self) {
        self.0.lock().portals.clear();
    }

    /// A transaction has ended.
    pub fn end_transaction(&self) {
        let mut all = self.0.lock();
        all.portals.clear();
        all.cursors.retain(|_, cursor| cursor.outlives);
    }

    /// Whether there is room for a cursor of that name.
    fn has_room(&self, name: &str) -> PgWireResult<()> {
        let all = self.0.lock();
        if all.cursors.contains_key(name) {
            return Err(told(&fault::cursor_there(name)));
        }
        if all.cursors.len() >= PORTALS_MAX {
            return Err(told(&fault::crowded("cursors", PORTALS_MAX)));
        }
        Ok(())
    }

    /// Begins the queries of cursors.
    async fn declare(
        &self,
        declared: &[Declare],
        context: &SessionContext,
        options: FormatOptions,
    ) -> PgWireResult<Response> {
        let Ok(hold) = HOLD.try_with(Hold::clone) else { return Err(told(&fault::closed())) };
        for one in declared {
            let (Some(name), Some(query)) = (one.names.first(), &one.for_query) else {
                return Err(told(&fault::refused("a cursor has a name and a query")));
            };
            if one.declare_type != Some(DeclareType::Cursor) || one.binary == Some(true) {
                return Err(told(&fault::refused("a cursor sends its rows as text, and nothing else is declared")));
            }
            self.has_room(&name.value)?;
            let state = context.state();
            let statement = Statement::Query(query.clone());
            let plan = planned(&state, &statement).await;
            let plan = plan.map_err(|error| PgWireError::ApiError(Box::new(error)))?;
            let schema = Arc::clone(plan.schema());
            let query = &hold.turn.listed.query;
            let begun =
                response::of_plan(state, (&statement, plan), query, &Format::UnifiedText, options.clone()).await?;
            let Response::Query(answer) = hold.clone().rows(begun) else {
                return Err(told(&fault::refused("a cursor is over a query")));
            };
            let cursor = Cursor {
                told: answer.row_schema,
                schema,
                rows: Arc::new(Mutex::new(answer.data_rows)),
                outlives: one.hold == Some(true),
            };
            self.0.lock().cursors.insert(name.value.clone(), cursor);
        }
        Ok(Response::Execution(Tag::new("DECLARE CURSOR")))
    }

    /// The next rows of a cursor, as they are read.
    fn fetch(self: &Arc<Self>, name: &str, direction: &FetchDirection) -> PgWireResult<Response> {
        let most = rows_max(direction)?;
        let all = self.0.lock();
        let cursor = all.cursors.get(name).ok_or_else(|| told(&fault::no_cursor(name)))?;
        let rows = fetched(Arc::clone(self), name.to_owned(), Arc::clone(&cursor.rows), most);
        let mut answer = QueryResponse::new(Arc::clone(&cursor.told), rows);
        answer.set_command_tag(FETCHED);
        Ok(Response::Query(answer))
    }

    fn close(&self, cursor: &CloseCursor) -> PgWireResult<Response> {
        let mut all = self.0.lock();
        match cursor {
            CloseCursor::All => all.cursors.clear(),
            CloseCursor::Specific { name } => {
                all.cursors.remove(&name.value).ok_or_else(|| told(&fault::no_cursor(&name.value)))?;
            }
        }
        Ok(Response::Execution(Tag::new("CLOSE CURSOR")))
    }
}

/// How many rows are wanted; all of them where it says none.
fn rows_max(direction: &FetchDirection) -> PgWireResult<Option<usize>> {
    match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Ok(Some(1)),
        FetchDirection::ForwardAll | FetchDirection::All => Ok(None),
        FetchDirection::Forward { limit: Some(limit) } | FetchDirection::Count { limit } => match &limit.value {
            Value::Number(number, _) => {
                number.parse().map(Some).map_err(|_| told(&fault::refused("a cursor gives a whole number of rows")))
            }
            _ => Err(told(&fault::refused("a cursor gives a whole number of rows"))),
        },
        _ => Err(told(&fault::refused("a cursor goes forward only"))),
    }
}

/// The next rows of a cursor. One that fails is gone: behind an error there is no end to be told.
fn fetched(
    open: Arc<Open>,
    name: String,
    rows: Arc<Mutex<SendableRowStream>>,
    most: Option<usize>,
) -> impl Stream<Item = PgWireResult<DataRow>> + Send + 'static {
    let mut left = most;
    stream::poll_fn(move |context| {
        if left == Some(0) {
            return Poll::Ready(None);
        }
        let next = rows.lock().as_mut().poll_next(context);
        match &next {
            Poll::Ready(Some(Ok(_))) => left = left.map(|left| left - 1),
            Poll::Ready(Some(Err(_))) => drop(open.0.lock().cursors.remove(&name)),
            Poll::Ready(None) | Poll::Pending => {}
        }
        next
    })
}

/// Carries out what is about cursors and prepared statements.
pub struct Opened;

/// What a statement without rows is planned as.
fn nothing(schema: DFSchemaRef) -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema })
}

#[async_trait]
impl QueryHook for Opened {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        let open = Open::of(&*client);
        match statement {
            Statement::Declare { stmts } => {
                let options = FormatOptions::from_client_metadata(client.metadata());
                Some(open.declare(stmts, context, options).await)
            }
            Statement::Fetch { name, direction, .. } => Some(open.fetch(&name.value, direction)),
            Statement::Close { cursor } => Some(open.close(cursor)),
            Statement::Deallocate { name, .. } => {
                let is_all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
                let names: Vec<String> = match is_all {
                    true => open.0.lock().statements.keys().filter(|name| *name != DEFAULT_NAME).cloned().collect(),
                    false => vec![name.value.clone()],
                };
                for name in names {
                    client.portal_store().rm_statement(&name);
                    open.unprepare(&name).iter().for_each(|portal| client.portal_store().rm_portal(portal));
                }
                Some(Ok(Response::Execution(Tag::new("DEALLOCATE"))))
            }
            Statement::Discard { object_type } => {
                if matches!(object_type, DiscardObject::ALL) {
                    let all = std::mem::take(&mut *open.0.lock());
                    client.portal_store().clear_portals();
                    for name in all.statements.keys() {
                        client.portal_store().rm_statement(name);
                    }
                }
                Some(Ok(Response::Execution(Tag::new(&format!("DISCARD {object_type}")))))
            }
            _ => None,
        }
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        match statement {
            Statement::Fetch { name, .. } => {
                let open = Open::of(client);
                let schema = open.0.lock().cursors.get(&name.value).map(|cursor| Arc::clone(&cursor.schema));
                Some(schema.map(nothing).ok_or_else(|| told(&fault::no_cursor(&name.value))))
            }
            Statement::Declare { .. }
            | Statement::Close { .. }
            | Statement::Deallocate { .. }
            | Statement::Discard { .. } => Some(Ok(nothing(Arc::new(DFSchema::empty())))),
            _ => None,
        }
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        context: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.handle_simple_query(statement, context, client).await
    }
}
