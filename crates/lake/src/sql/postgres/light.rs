//! What a statement needs no turn for, and what it may be said in.

use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser as SqlParser;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;

use super::told;
use crate::sql::fault;

/// How long a statement is that may be one that needs no turn.
const LIGHT_BYTES: usize = 1_024;
/// How those begin that need no turn.
const LIGHT: [&str; 13] = [
    "set",
    "reset",
    "show",
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "fetch",
    "close",
    "deallocate",
    "discard",
];
/// How those begin that end a transaction.
const ENDS: [&str; 4] = ["commit", "end", "rollback", "abort"];

/// Whether a text begins with one of these words.
pub fn begins(text: &str, words: &[&str]) -> bool {
    let text = text.trim_start();
    let end = text.find(|one: char| !one.is_ascii_alphabetic()).unwrap_or(text.len());
    text.get(..end).is_some_and(|first| words.iter().any(|word| first.eq_ignore_ascii_case(word)))
}

/// Whether a text plans and reads nothing by itself: it needs no turn. Whoever holds all turns by cursors could neither
/// fetch from them nor close them otherwise.
pub fn is_light(text: &str) -> bool {
    if text.len() > LIGHT_BYTES || !begins(text, &LIGHT) {
        return false;
    }
    let statements = SqlParser::parse_sql(&PostgreSqlDialect {}, text);
    statements.is_ok_and(|all| !all.is_empty() && all.iter().all(needs_no_turn))
}

/// The same of a statement.
pub fn needs_no_turn(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Set(_)
            | Statement::Reset(_)
            | Statement::ShowVariable { .. }
            | Statement::StartTransaction { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Fetch { .. }
            | Statement::Close { .. }
            | Statement::Deallocate { .. }
            | Statement::Discard { .. }
    )
}

/// Refuses what is said in a transaction that has failed, but for its end.
///
/// # Errors
/// `HW-LAKE-100`.
pub fn goes_on(client: &impl ClientInfo, text: &str) -> PgWireResult<()> {
    let failed = client.transaction_status() == TransactionStatus::Error;
    if failed && !text.trim().is_empty() && !begins(text, &ENDS) {
        return Err(told(&fault::aborted()));
    }
    Ok(())
}
