//! Pieces of SQL that people write: read by the engine's own parser, and put into a statement only if they are whole.
//!
//! Invariants: a text that is let through is ONE expression, ONE query or ONE name to its last character, so that
//! nothing of it can end what stands around it; a value never becomes anything but a literal.

use datafusion::sql::sqlparser::ast::{ObjectName, ObjectNamePart};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use headwater_base::{Micros, Problem};
use headwater_kernel::port::catalog::DATASETS as TABLES_OF_DATASETS;
use serde_json::Value;

use crate::sql::{DATASETS, check_chains, syntax};

const DIALECT: PostgreSqlDialect = PostgreSqlDialect {};

/// Checks that a text is one expression, also where it stands in parentheses: there `select`, which alone is a name, begins
/// a query.
///
/// # Errors
/// `HW-LAKE-040` with the place in the text.
pub fn expression(text: &str) -> Result<(), Problem> {
    whole(text, |parser| parser.parse_expr().map(drop))?;
    whole(&format!("({})", closed(text)), |parser| parser.parse_expr().map(drop))
}

/// Checks that a text is one expression that looks at nothing but the row at hand.
///
/// # Errors
/// `HW-LAKE-040` with the place in the text, `HW-LAKE-052` for one that asks a query.
pub fn condition(text: &str) -> Result<(), Problem> {
    expression(text)?;
    let tokens = Tokenizer::new(&DIALECT, text).tokenize().unwrap_or_default();
    if tokens.iter().any(|token| matches!(token, Token::Word(word) if word.keyword == Keyword::SELECT)) {
        return Err(Problem::new("HW-LAKE-052", "a policy's condition asks a query")
            .help("compare the row's own columns with values and with `current_user`"));
    }
    Ok(())
}

/// Checks that a text is a relation or one query.
///
/// # Errors
/// `HW-LAKE-040` with the place in the text.
pub fn source(text: &str) -> Result<(), Problem> {
    if is_query(text) { whole(text, |parser| parser.parse_query().map(drop)) } else { name(text).map(drop) }
}

/// The schema and the name of a relation; none of a query. That of datasets is [`DATASETS`] under either of its names.
pub fn relation(text: &str) -> Option<(String, String)> {
    let name = (!is_query(text)).then(|| name(text).ok())??;
    let parts = name.0.into_iter().map(|part| match part {
        ObjectNamePart::Identifier(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
        ObjectNamePart::Identifier(word) => Some(word.value),
        ObjectNamePart::Function(_) => None,
    });
    let mut parts: Vec<String> = parts.collect::<Option<_>>()?;
    let name = parts.pop()?;
    let schema = parts.pop().filter(|schema| schema != TABLES_OF_DATASETS);
    Some((schema.unwrap_or_else(|| DATASETS.to_owned()), name))
}

/// A source behind `FROM`.
pub fn from(text: &str) -> String {
    if is_query(text) { format!("({}) AS source", closed(text)) } else { closed(text) }
}

/// A text with what keeps a comment at its end from going on.
pub fn closed(text: &str) -> String {
    let text = text.trim();
    if text.contains("--") { format!("{text}\n") } else { text.to_owned() }
}

/// An expression beside others: in parentheses, unless it is a name.
pub fn operand(text: &str) -> String {
    let text = closed(text);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"');
    if text.chars().all(plain) { text } else { format!("({text})") }
}

/// A name in quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal. The dialect knows no escapes but the doubled quote.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A moment as a literal.
pub fn moment(at: Micros) -> String {
    format!("TIMESTAMP '{at}'")
}

/// A value that a reader chose; none for a list or an object, which no column is compared with.
pub fn value(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(literal(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null => Some("NULL".to_owned()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// What begins like a query is read as one, so that a mistake in it is told as a query's.
fn is_query(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    ["select", "with", "values"].iter().any(|begin| word.eq_ignore_ascii_case(begin)) || word.starts_with('(')
}

fn name(text: &str) -> Result<ObjectName, Problem> {
    whole(text, |parser| parser.parse_object_name(false))
}

/// Reads a text to its end.
fn whole<T>(text: &str, read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>) -> Result<T, Problem> {
    check_chains(text)?;
    let read = |parser: &mut Parser<'_>| {
        let read = read(parser)?;
        match parser.peek_token().token {
            Token::EOF => Ok(read),
            _ => parser.expected("the end", parser.peek_token()),
        }
    };
    Parser::new(&DIALECT).try_with_sql(text).and_then(|mut parser| read(&mut parser)).map_err(|error| syntax(&error))
}
