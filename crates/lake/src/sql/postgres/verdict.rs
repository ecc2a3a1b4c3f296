//! What is carried out here of what clients of PostgreSQL say.

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{Expr, Set, SetExpr, Statement};
use datafusion_postgres::hooks::{HookClient, QueryHook};
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;

use super::light::begins;
use super::told;
use super::words::{READS, told_as};
use crate::sql::fault;

/// Refuses what does more than read. It comes before hooks that carry statements out: some make the engine open files, and
/// the engine's options are those of everybody.
pub struct OnlyReads;

/// What a connection can set for itself; what plays PostgreSQL carries it out.
const SETTINGS: [&str; 6] =
    ["datestyle", "bytea_output", "intervalstyle", "application_name", "extra_float_digits", "search_path"];

/// What drivers set to what it is here anyway, or what is about writing.
const AS_IT_IS: [&str; 12] = [
    "client_encoding",
    "client_min_messages",
    "standard_conforming_strings",
    "default_transaction_read_only",
    "default_transaction_isolation",
    "synchronous_commit",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "row_security",
    "escape_string_warning",
    "timezone",
    "jit",
];

/// How those begin that PostgreSQL refuses where nothing is to be written.
const WRITES: [&str; 11] =
    ["insert", "update", "delete", "merge", "truncate", "create", "alter", "drop", "comment", "grant", "revoke"];

/// Whether a query keeps its rows, or changes any.
fn writes(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_some(),
        SetExpr::Query(query) => writes(&query.body),
        SetExpr::SetOperation { left, right, .. } => writes(left) || writes(right),
        SetExpr::Values(_) | SetExpr::Table(_) => false,
        _ => true,
    }
}

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

    /// What a statement sets that nobody heeds, where whoever sets it may mean something by it.
    fn ignored(statement: &Statement) -> Option<String> {
        let Statement::Set(set) = statement else { return None };
        let Set::SingleAssignment { variable, .. } = set else { return None };
        let name = variable.to_string().to_lowercase();
        let is_heeded = Self::is_of_connection(set) || name.trim_matches('"').starts_with("datafusion.");
        (!is_heeded && !AS_IT_IS.contains(&name.as_str())).then_some(name)
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

    /// Whether a statement may be carried out.
    fn verdict(statement: &Statement) -> PgWireResult<()> {
        match statement {
            Statement::Set(Set::SingleAssignment { variable, .. })
                if variable.to_string().to_lowercase().trim_start_matches('"').starts_with("datafusion.") =>
            {
                Err(told(&fault::refused("the options of the query engine are those of the node")))
            }
            // Rows would be gathered, in memory that counts for nobody, before anybody refuses a place for them.
            Statement::Query(query) if writes(&query.body) => {
                Err(told_as(&fault::refused("`SELECT … INTO` writes"), READS))
            }
            Statement::Explain { statement, .. } => Self::verdict(statement),
            Statement::Declare { stmts } => {
                let mut queries = stmts.iter().filter_map(|declared| declared.for_query.as_ref());
                match queries.any(|query| writes(&query.body)) {
                    true => Err(told_as(&fault::refused("a cursor over `SELECT … INTO` writes"), READS)),
                    false => Ok(()),
                }
            }
            Statement::Query(_)
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
            | Statement::Deallocate { .. }
            | Statement::Fetch { .. }
            | Statement::Close { .. } => Ok(()),
            other => {
                let words: String = other.to_string().chars().take(60).collect();
                let refused = fault::refused(&format!("`{words}` is not carried out here"));
                Err(if begins(&words, &WRITES) { told_as(&refused, READS) } else { told(&refused) })
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
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if let Some(ignored) = Self::ignored(statement) {
            let words = format!("nothing here heeds `{ignored}`: it is as if it were not set");
            let notice = ErrorInfo::new("NOTICE".to_owned(), "00000".to_owned(), words);
            if let Err(error) = client.send_message(PgWireBackendMessage::NoticeResponse(notice.into())).await {
                return Some(Err(error));
            }
        }
        Self::answer(statement)
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
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.handle_simple_query(statement, context, client).await
    }
}
