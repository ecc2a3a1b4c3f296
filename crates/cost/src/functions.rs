//! The functions that workflows call, on JSON values: what a run used and which prices it needs, and its bill.
//!
//! ```text
//! collect-resources  {launch, usage}                          ->  {run, prices: [key..], account}
//! price-run          {run, prices: [series..], discounts: [..], currency?, as_of?}
//!                                                             ->  {status, total_cost, .., lines, attempts, metrics}
//! ```
//! `usage` is a run's record, or answers of AWS as [`crate::engines::batch`] reads them. Prices that are not there may
//! be null, as a table answers.

use headwater_base::Problem;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::bill::{self, AttemptCost, Bill, by_resource, wanted_of};
use crate::book::{Book, Discount, Resource, Series};
use crate::conventions::text;
use crate::engines::{self, About};
use crate::time::Time;
use crate::usage::Run;

/// Most attempts that a bill's answer lists.
const ATTEMPTS_SHOWN: usize = 1_000;

/// The currency where none is named.
pub const CURRENCY: &str = "USD";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Priced {
    run: Run,
    #[serde(default)]
    prices: Vec<Option<Series>>,
    #[serde(default)]
    discounts: Vec<Discount>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    as_of: Option<Time>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Collected {
    #[serde(default)]
    launch: Value,
    usage: Value,
    #[serde(default)]
    currency: Option<String>,
}

/// What a run used, as a record, and the keys of the prices it needs.
///
/// # Errors
/// `HW-COST-001` and `HW-COST-002` when the usage cannot be read.
pub fn collect_resources(input: &Value) -> Result<Value, Problem> {
    let input: Collected = typed(input, "HW-COST-001", "the input of collect-resources")?;
    let run = if input.usage.get("jobs").is_some() && input.usage.get("id").is_some() {
        let run: Run = typed(&input.usage, "HW-COST-001", "Run")?;
        run.check()?;
        run
    } else {
        let about: About = typed(&input.launch, "HW-COST-001", "the launch")?;
        engines::batch::read(&input.usage, &about)?
    };
    let currency = input.currency.as_deref().unwrap_or(CURRENCY);
    let keys: Vec<String> = wanted_of(&run).iter().map(|wanted| wanted.key(currency)).collect();
    Ok(json!({ "account": run.account, "prices": keys, "run": run }))
}

/// The bill of a run.
///
/// # Errors
/// `HW-COST-001` when the run cannot be, `HW-COST-003` when a price cannot be.
pub fn price_run(input: &Value) -> Result<Value, Problem> {
    let input: Priced = typed(input, "HW-COST-001", "the input of price-run")?;
    input.run.check()?;
    let currency = input.currency.as_deref().unwrap_or(CURRENCY);
    let book = Book::new(currency, input.prices.into_iter().flatten().collect(), input.discounts)?;
    let as_of = input.as_of.or(book.as_of()).unwrap_or(input.run.ended);
    let bill = bill::price(&input.run, &book, as_of);
    Ok(answer(&input.run, &bill))
}

/// A bill as the launch table carries it.
pub fn answer(run: &Run, bill: &Bill) -> Value {
    let compute = [Resource::Instance, Resource::Cluster];
    let total = bill.word(bill.total());
    let reasons: Vec<&str> = bill.lines.iter().filter_map(|line| line.reason.as_deref()).collect();
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    put("id", json!(bill.id));
    put("status", json!(bill.status));
    put("currency", json!(bill.currency));
    put("as_of", json!(bill.as_of));
    put("totalCost", json!(total));
    put("total_cost", json!(total));
    put("instance_cost", json!(bill.word(bill.sum(&compute))));
    put("volume_cost", json!(bill.word(bill.sum(&[Resource::Volume]))));
    put("filesystem_cost", json!(bill.word(bill.sum(&[Resource::FileSystem]))));
    put("failed_cost", json!(bill.word(bill.failed())));
    put("list_cost", json!(bill.lines.iter().map(|line| line.list_amount).sum::<Option<_>>().map(text)));
    put("by_resource", json!(by_resource(bill)));
    put("reasons", json!(reasons));
    put("lines", json!(bill.lines));
    let (attempts, left_off) = dearest(bill);
    put("attempts", json!(attempts));
    put("attempts_left_off", json!(left_off));
    put("metrics", run.figures());
    Value::Object(out)
}

/// The attempts that are worth a look, failed ones first and then by what they took, and how many others there are.
fn dearest(bill: &Bill) -> (Vec<&AttemptCost>, usize) {
    let mut attempts: Vec<&AttemptCost> = bill.attempts.iter().collect();
    // In the order of the run where all fit.
    if attempts.len() > ATTEMPTS_SHOWN {
        attempts.sort_by(|a, b| b.failed.cmp(&a.failed).then(b.amount.cmp(&a.amount)));
    }
    let left_off = attempts.len().saturating_sub(ATTEMPTS_SHOWN);
    attempts.truncate(ATTEMPTS_SHOWN);
    (attempts, left_off)
}

/// Reads a value into a type; what does not fit is named by its path.
pub(crate) fn typed<T: DeserializeOwned>(value: &Value, code: &str, place: &str) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { place.to_owned() } else { format!("{place} {path}") };
        Problem::new(code, format!("a record cannot be read: {}", error.inner())).at(place, 0, 0)
    })
}

#[cfg(test)]
mod tests;
