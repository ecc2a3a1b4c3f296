//! What drivers ask of PostgreSQL's own tables in words that nothing here knows, put otherwise.
//!
//! What plays `pg_catalog` answers most of it. What it does not know is about keys and indexes. A question for the primary
//! keys of tables is put to `information_schema`, which has those of datasets; there are no others here and no indexes: such
//! a question gets its columns and no row.
//!
//! # Source
//! pgjdbc 42.7, `PgDatabaseMetaData.java`; Grafana's PostgreSQL data source.

use std::borrow::Cow;

use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::sql::doubles::folded;

/// What a text that asks for keys or indexes has in it: an array of columns is made rows of.
const OF_KEYS: [&str; 2] = ["information_schema._pg_expandarray(", "con.confkey[pos.n]"];

/// Words, and those that are asked instead.
const INSTEAD: [(&str, &str); 3] = [
    // Whether a type is a table's: there are no types of tables.
    ("(SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)", "false"),
    ("SELECT setting FROM pg_catalog.pg_settings WHERE name='max_index_keys'", "SELECT '32' AS setting"),
    // What connections are told when they begin, as a number.
    ("current_setting('server_version_num')", "'160006'"),
];

/// Where a driver's question for primary keys begins, within a query that names what it finds.
const PRIMARY: &str = "SELECT current_database() AS TABLE_CAT,";
/// What it says of schema and table, and the columns of `information_schema` that say it.
const FILTERS: [(&str, &str); 2] =
    [(" AND n.nspname = ", " AND table_schema = "), (" AND ct.relname = ", " AND table_name = ")];

/// How a driver begins to ask what a type is.
const IS_ARRAY: &str = "SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid ";

/// The statement to be carried out instead of this one.
pub fn put(text: &str) -> Cow<'_, str> {
    if let Some(known) = type_of(text) {
        return Cow::Owned(known);
    }
    if OF_KEYS.iter().any(|words| says(text, words))
        && let Some(other) = primary_of(text).or_else(|| nothing_of(text))
    {
        return Cow::Owned(other);
    }
    let mut put = Cow::Borrowed(text);
    for (words, others) in INSTEAD {
        if put.contains(words) {
            put = Cow::Owned(put.replace(words, others));
        }
    }
    put
}

/// Whether a statement itself says something: not a literal, a quoted name or a comment in it.
fn says(text: &str, words: &str) -> bool {
    if !text.contains(words) {
        return false;
    }
    let tokens = |text: &str| {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize().ok()?;
        Some(tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect::<Vec<_>>())
    };
    let (Some(text), Some(words)) = (tokens(text), tokens(words)) else { return false };
    text.windows(words.len().max(1)).any(|some| some == words.as_slice())
}

/// A driver's question for primary keys, put to `information_schema`.
fn primary_of(text: &str) -> Option<String> {
    let (head, rest) = text.split_once(PRIMARY)?;
    let (of_rows, rest) = rest.split_once("WHERE true")?;
    let (filters, rest) = rest.rsplit_once("AND i.indisprimary")?;
    let (_, order) = rest.rsplit_once("ORDER BY")?;
    if !of_rows.contains("(information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ") {
        return None;
    }
    let filters = FILTERS.iter().fold(filters.to_owned(), |filters, (asked, known)| filters.replacen(asked, known, 1));
    Some(format!(
        "{head}SELECT table_catalog AS TABLE_CAT, table_schema AS TABLE_SCHEM, table_name AS TABLE_NAME, \
         column_name AS COLUMN_NAME, ordinal_position AS KEY_SEQ, constraint_name AS PK_NAME \
         FROM information_schema.key_column_usage WHERE true{filters}) result ORDER BY{order}"
    ))
}

/// What a driver asks of one type or of all, without the search path: they are in one schema.
fn type_of(text: &str) -> Option<String> {
    let rest = text.trim_start().strip_prefix(IS_ARRAY)?;
    let begin = rest.find(" WHERE ").or_else(|| rest.find("ORDER BY sp.r, "))?;
    let place = rest.get(begin..)?.replace("ORDER BY sp.r, ", "ORDER BY ");
    Some(format!(
        "SELECT typinput = 'array_in' AS is_array, typtype, typname, pg_type.oid FROM pg_catalog.pg_type {}",
        place.trim_start()
    ))
}

/// A statement that gives the columns of a query, and no row.
fn nothing_of(text: &str) -> Option<String> {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, text).ok()?;
    let Some(Statement::Query(query)) = statements.pop() else { return None };
    if !statements.is_empty() {
        return None;
    }
    let SetExpr::Select(select) = *query.body else { return None };
    let columns: Vec<String> = select.projection.iter().map(name).collect::<Option<_>>()?;
    let columns: Vec<String> =
        columns.iter().map(|name| format!("CAST(NULL AS text) AS \"{}\"", name.replace('"', "\"\""))).collect();
    Some(format!("SELECT {} WHERE false", columns.join(", ")))
}

/// What PostgreSQL calls a column.
fn name(of: &SelectItem) -> Option<String> {
    match of {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(folded(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().map(folded),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
