//! Statements that are planned as they were written: one query, or what is to be explained of one, in which nothing is asked
//! of PostgreSQL's own tables.
//!
//! What plays PostgreSQL rewrites statements for the sake of clients that ask for those, and so changes what others mean: a
//! subquery among the columns that looks at its row loses its answer, and columns of one name are refused.

use datafusion::common::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{ExplainStatement, Statement as EngineStatement};
use datafusion::sql::sqlparser::ast::{AnalyzeFormatKind, DescribeAlias, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser as SqlParser;

use super::columns;
use crate::sql::{admitted, doubles, pins};

/// The statement that a text is, if it is a plain one.
pub fn plain(text: &str) -> Option<Statement> {
    let words = text.to_ascii_lowercase();
    if words.contains("pg_") || words.contains("::reg") {
        return None;
    }
    let mut statements = SqlParser::parse_sql(&PostgreSqlDialect {}, text).ok()?;
    let statement = statements.pop().filter(|_| statements.is_empty())?;
    let is_plain = match &statement {
        // Other ways to ask for it are not the engine's.
        Statement::Explain { query_plan: false, estimate: false, options: None, statement: of, .. } => {
            has_plan(&statement) && matches!(**of, Statement::Query(_))
        }
        other => matches!(other, Statement::Query(_)),
    };
    is_plain.then_some(statement)
}

/// Whether what a statement answers with are the rows of its plan.
pub fn has_plan(statement: &Statement) -> bool {
    matches!(statement, Statement::Query(_) | Statement::Explain { describe_alias: DescribeAlias::Explain, .. })
}

/// The plan of a plain statement.
///
/// # Errors
/// What the engine says.
pub async fn planned(state: &SessionState, statement: &Statement) -> Result<LogicalPlan, DataFusionError> {
    let statement = of_engine(statement);
    let plan = pins::planning(doubles::planned(state, &statement)).await?;
    admitted(&plan)?;
    columns::carried(plan)
}

/// A statement as the engine's own parser would have it.
fn of_engine(statement: &Statement) -> EngineStatement {
    let Statement::Explain { analyze, verbose, format, statement, .. } = statement else {
        return EngineStatement::Statement(Box::new(statement.clone()));
    };
    let format = format.as_ref().map(|said| match said {
        AnalyzeFormatKind::Keyword(format) | AnalyzeFormatKind::Assignment(format) => format.to_string(),
    });
    let statement = Box::new(of_engine(statement));
    EngineStatement::Explain(ExplainStatement { analyze: *analyze, verbose: *verbose, format, statement })
}

/// Whether a statement may be about PostgreSQL's own functions, columns or syntax, which what plays it knows.
pub fn is_foreign(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::NotImplemented(_) | DataFusionError::SchemaError(..) => true,
        DataFusionError::Plan(fact) => fact.starts_with("Invalid function"),
        DataFusionError::Diagnostic(_, inner) => is_foreign(inner),
        _ => false,
    }
}
