//! The solution's tables over HTTP: `launches`, `usage`, `prices`.

use headwater_base::Problem;
use headwater_cost::usage::State;
use headwater_cost::{Discount, Run, Series, discounts};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::problems::Problems;

/// Documents of one page.
const PAGE: &str = "1000";

/// The code of a document that is not there.
const ABSENT: &str = "HW-API-019";

/// Every document of a table.
///
/// # Errors
/// What the node says.
pub async fn all(node: &Client, table: &str) -> Result<Vec<Value>, Problems> {
    let entries = entries(node, table).await?;
    Ok(entries.into_iter().map(|mut entry| entry["value"].take()).collect())
}

/// Every document of a table with its key, its version and when it was written: `{key, version, updated, value}`.
///
/// # Errors
/// What the node says.
pub async fn entries(node: &Client, table: &str) -> Result<Vec<Value>, Problems> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let mut query = vec![("max", PAGE)];
        if !after.is_empty() {
            query.push(("after", after.as_str()));
        }
        let mut page = node.get(&["v1", "tables", table, "documents"], &query).await?;
        if let Some(documents) = page["documents"].as_array_mut() {
            found.append(documents);
        }
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return Ok(found),
        }
    }
}

/// Writes a document, whatever is there.
///
/// # Errors
/// What the node says.
pub async fn put(node: &Client, table: &str, key: &str, document: &Value) -> Result<(), Problems> {
    let body = Some(("application/json", document.to_string().into_bytes()));
    node.json(Method::PUT, &["v1", "tables", table, "documents", key], &[], body).await.map(|_| ())
}

/// Writes documents by their keys, whatever is there: all of them or none.
///
/// # Errors
/// What the node says.
pub async fn put_all(node: &Client, table: &str, documents: &[(String, Value)]) -> Result<(), Problems> {
    let write = |(key, document): &(String, Value)| json!({"table": table, "key": key, "put": document});
    let writes: Vec<Value> = documents.iter().map(write).collect();
    let body = Some(("application/json", json!({ "writes": writes }).to_string().into_bytes()));
    node.json(Method::POST, &["v1", "transactions"], &[], body).await.map(|_| ())
}

/// Writes a run's usage, and then its launch: when the launch is complete, everything else is there.
///
/// # Errors
/// What the node says.
pub async fn launch(node: &Client, run: &Run) -> Result<(), Problems> {
    put(node, "usage", &run.id, &json!(run)).await?;
    put(node, "launches", &run.id, &launch_document(run)).await
}

/// A launch as its table has it before it is priced.
pub fn launch_document(run: &Run) -> Value {
    let status = run.states.iter().max_by_key(|entered| (entered.at, entered.state)).map(|entered| entered.state);
    json!({
        "id": run.id,
        "workflow": run.workflow,
        "dataset": run.dataset,
        "consumer": run.consumer,
        "account": run.account,
        "service": run.service,
        "engine": run.engine,
        "iterations": run.iterations,
        "started": run.started,
        "ended": run.ended,
        "states": run.states,
        "status": status.unwrap_or(State::Complete),
    })
}

/// Writes discounts in place of those of the accounts that they name; answers how many accounts that are.
///
/// # Errors
/// What the node says.
pub async fn replace_discounts(node: &Client, rules: Vec<Discount>) -> Result<usize, Problems> {
    let documents: Vec<(String, Value)> = discounts::by_account(rules)
        .into_iter()
        .map(|(account, rules)| {
            let document = json!({ "account": account, "rules": rules });
            (account, document)
        })
        .collect();
    if !documents.is_empty() {
        put_all(node, "discounts", &documents).await?;
    }
    Ok(documents.len())
}

/// Adds prices to the series that are there. Two imports at the same time may lose one's prices: import again.
///
/// # Errors
/// What the node says, and `HW-CLI-005` when a series there cannot be read.
pub async fn merge_prices(node: &Client, series: Vec<Series>) -> Result<(), Problems> {
    for one in series {
        let key = one.key();
        let there = match node.get(&["v1", "tables", "prices", "documents", &key], &[]).await {
            Ok(document) => Some(document),
            Err(Problems(problems)) if problems.iter().any(|problem| problem.code == ABSENT) => None,
            Err(problems) => return Err(problems),
        };
        let merged = match there {
            None => one,
            Some(document) => {
                let mut there: Series = serde_json::from_value(document).map_err(|error| {
                    Problem::new("HW-CLI-005", format!("the series `{key}` cannot be read")).because(error)
                })?;
                there.merge(one);
                there
            }
        };
        put(node, "prices", &key, &json!(merged)).await?;
    }
    Ok(())
}
