//! Stars, spelled out: `SELECT *, *` as the columns that its relations have, each of them named as often as it is there.
//!
//! What it is NOT: it calls no column otherwise, which is done to what it makes ([`super`]); and it leaves subqueries as they
//! are.
//!
//! Invariant: a star stands for what the engine takes it for, in the same FROM.

use datafusion::common::TableReference;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::{ExplainStatement, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, Statement as Inner, WildcardAdditionalOptions,
};

use super::as_it_is;

/// Columns of an answer, as many as PostgreSQL has at most.
const COLUMNS_MAX: usize = 1664;
/// Stars of one statement that differ: for each of them it is planned once.
const STARS_MAX: usize = 16;

/// A statement with columns where it has stars, if it has several.
pub async fn spelled(state: &SessionState, statement: &Statement) -> Option<Statement> {
    let query = outermost(statement)?;
    let SetExpr::Select(select) = &*query.body else { return None };
    if select.projection.iter().filter(|item| is_star(item)).count() < 2 {
        return None;
    }
    let mut known: Vec<(&SelectItem, Vec<SelectItem>)> = Vec::new();
    let mut items = Vec::new();
    for item in &select.projection {
        if !is_star(item) {
            items.push(item.clone());
        } else if let Some((_, columns)) = known.iter().find(|(star, _)| *star == item) {
            items.extend(columns.iter().cloned());
        } else if known.len() < STARS_MAX {
            let columns = columns(state, query, select, item).await?;
            items.extend(columns.iter().cloned());
            known.push((item, columns));
        } else {
            return None;
        }
        if items.len() > COLUMNS_MAX {
            return None;
        }
    }
    let select = Select { projection: items, ..Select::clone(select) };
    let query = Query { body: Box::new(SetExpr::Select(Box::new(select))), ..query.clone() };
    Some(with(statement, query))
}

/// Whether something selected is a star that leaves nothing out and puts nothing in place of a column.
fn is_star(item: &SelectItem) -> bool {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
            *options == WildcardAdditionalOptions::default()
        }
        _ => false,
    }
}

/// The columns that a star of a SELECT stands for.
async fn columns(state: &SessionState, query: &Query, select: &Select, star: &SelectItem) -> Option<Vec<SelectItem>> {
    let alone = Select {
        distinct: None,
        projection: vec![star.clone()],
        selection: None,
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        ..select.clone()
    };
    let query = Query {
        body: Box::new(SetExpr::Select(Box::new(alone))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        ..query.clone()
    };
    let plan = as_it_is(state, &whole(query)).await.ok()?;
    Some(plan.schema().iter().map(|(relation, field)| column(relation, field.name())).collect())
}

fn column(relation: Option<&TableReference>, name: &str) -> SelectItem {
    let mut parts = relation.map(TableReference::to_vec).unwrap_or_default();
    parts.push(name.to_owned());
    let parts: Vec<Ident> = parts.into_iter().map(|part| Ident::with_quote('"', part)).collect();
    SelectItem::UnnamedExpr(match <[Ident; 1]>::try_from(parts) {
        Ok([name]) => Expr::Identifier(name),
        Err(parts) => Expr::CompoundIdentifier(parts),
    })
}

/// The query that a statement is, or that it explains.
fn outermost(statement: &Statement) -> Option<&Query> {
    match statement {
        Statement::Statement(inner) => match &**inner {
            Inner::Query(query) => Some(query),
            _ => None,
        },
        Statement::Explain(explained) => outermost(&explained.statement),
        _ => None,
    }
}

/// A statement with another query in place of its own.
fn with(statement: &Statement, query: Query) -> Statement {
    match statement {
        Statement::Explain(explained) => Statement::Explain(ExplainStatement {
            analyze: explained.analyze,
            verbose: explained.verbose,
            format: explained.format.clone(),
            statement: Box::new(with(&explained.statement, query)),
        }),
        _ => whole(query),
    }
}

fn whole(query: Query) -> Statement {
    Statement::Statement(Box::new(Inner::Query(Box::new(query))))
}
