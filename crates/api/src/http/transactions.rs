//! `POST /v1/transactions`: writes of any tables, all or nothing; and what a write over HTTP says beyond its document.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_base::{Name, Problem};
use headwater_kernel::port::tables::{Change, Expression, Write};
use headwater_wire::exact::Exact;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::http::body::media_type;
use crate::http::fault::Fault;
use crate::http::features::expect_json;
use crate::http::query::Query;
use crate::http::{Api, answer, principal};

/// Names and values of a request's expressions.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct One<'a> {
    table: String,
    key: String,
    #[serde(borrow)]
    put: Option<&'a RawValue>,
    update: Option<String>,
    #[serde(default)]
    delete: bool,
    expect: Option<u64>,
    condition: Option<String>,
    #[serde(default)]
    names: BTreeMap<String, String>,
    #[serde(borrow)]
    values: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted<'a> {
    #[serde(borrow)]
    writes: Vec<One<'a>>,
}

/// What a change of one document says in its body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch<'a> {
    update: String,
    condition: Option<String>,
    #[serde(default)]
    names: BTreeMap<String, String>,
    #[serde(borrow)]
    values: Option<&'a RawValue>,
}

/// Writes all or nothing.
pub async fn transact(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    Query::parse(head.uri.query(), &[])?;
    let who = principal::of(&head.headers)?;
    expect_json(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let wanted: Wanted<'_> = serde_json::from_slice(&body.bytes).map_err(|error| malformed(&error))?;
    let named = |write: Write| Write { who: Some(who.clone()), ..write };
    let writes: Vec<Write> = wanted.writes.into_iter().map(|one| one.read().map(named)).collect::<Result<_, _>>()?;
    let written = api.tables.write(&writes).await.map_err(|error| error.problem(&writes))?;
    let written = writes.iter().zip(&written).map(|(write, written)| {
        let version = written.new.as_ref().map(|document| document.version);
        json!({ "table": write.table, "key": write.key, "version": version })
    });
    Ok(answer::json(StatusCode::OK, &json!({ "written": written.collect::<Vec<_>>() })))
}

impl One<'_> {
    fn read(self) -> Result<Write, Problem> {
        let values = values(self.values.map(RawValue::get))?;
        let expression = |text: String| Expression { text, names: self.names.clone(), values: values.clone() };
        let change = match (self.put, self.update, self.delete) {
            (Some(document), None, false) => Change::Put(Bytes::copy_from_slice(document.get().as_bytes())),
            (None, Some(update), false) => Change::Update(expression(update)),
            (None, None, true) => Change::Delete,
            _ => {
                let fact = format!("the write of `{}` says not one thing", self.key.escape_debug());
                return Err(Problem::new("HW-API-008", fact).help(
                    "a write has either `put` with a document, `update` with an expression, or `\"delete\": true`",
                ));
            }
        };
        let condition = self.condition.map(expression);
        let (table, expect) = (Name::new(&self.table)?, self.expect);
        Ok(Write { table, key: self.key, change, expect, present: false, condition, cause: None, who: None })
    }
}

/// The update of one document that a body describes: `{"update": …, "condition": …, "names": …, "values": …}`.
///
/// # Errors
/// `HW-API-008` for anything else.
pub fn patch(table: &Name, key: &str, expect: Option<u64>, body: &[u8]) -> Result<Write, Problem> {
    let Patch { update, condition, names, values: raw } =
        serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    let values = values(raw.map(RawValue::get))?;
    let expression = |text: String| Expression { text, names: names.clone(), values: values.clone() };
    let change = Change::Update(expression(update));
    Ok(Write {
        table: table.clone(),
        key: key.to_owned(),
        change,
        expect,
        present: false,
        condition: condition.map(expression),
        cause: None,
        who: None,
    })
}

/// An expression in the query parameter `name`, with `names` and `values`.
///
/// # Errors
/// `HW-API-009` for names and values that are none.
pub fn expression(query: &Query, name: &str) -> Result<Option<Expression>, Problem> {
    let Some(text) = query.text(name) else { return Ok(None) };
    let names = query.text("names").unwrap_or("{}");
    let names: BTreeMap<String, String> = serde_json::from_str(names)
        .map_err(|_| crate::http::query::refused("names", names, "a JSON object of strings"))?;
    Ok(Some(Expression { text: text.to_owned(), names, values: values(query.text("values"))? }))
}

/// Values of expressions, their numbers digit by digit.
fn values(text: Option<&str>) -> Result<BTreeMap<String, Exact>, Problem> {
    let Some(text) = text else { return Ok(BTreeMap::new()) };
    let refused =
        |fact: &str| Problem::new("HW-API-008", fact).help("`values` is an object: `{\":done\": \"COMPLETE\"}`");
    match Exact::read(text.as_bytes()) {
        Ok(Exact::Map(values)) => Ok(values.into_iter().collect()),
        Ok(_) => Err(refused("`values` is not a JSON object")),
        Err(fault) => Err(refused("`values` is not JSON").because(fault)),
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new("HW-API-008", format!("this is not what is expected here: {error}"))
        .help("`GET /openapi.json` describes the body")
}
