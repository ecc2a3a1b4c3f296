//! `headwater solution test workflow-cost`: the sample's real runs and others made from a seed, priced by the functions
//! that the solution's workflow calls, and compared with sums that a Python program made from the same inputs.
//!
//! The sums (`sample/expected.csv`) are of seed 1 and [`GENERATED`] runs; with other ones `--truth` writes what that
//! program needs to make them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use headwater_base::Problem;
use headwater_cost::{Discount, Series, Time, functions, lists};
use serde_json::{Value, json};

use super::generator::{self, Generated};
use super::{sample, tables};
use crate::solution::outcome::{Outcome, Rule};
use crate::solution::package::Package;

/// Runs that the expected sums have beside the real ones.
pub const GENERATED: u64 = 40;

/// The sums that are compared, by their names in a bill.
const SUMS: [&str; 6] = ["status", "total_cost", "instance_cost", "volume_cost", "filesystem_cost", "failed_cost"];

/// How a trial is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of the runs that are generated.
    pub seed: u64,
    /// How many.
    pub generated: u64,
    /// File that gets the inputs and bills, one JSON object on each line.
    pub truth: Option<PathBuf>,
}

/// Tries the solution.
///
/// # Errors
/// `HW-COST-*` for what cannot be read or priced; a sum that is another is not an error but a failure of the outcome.
pub fn run(package: &Package, options: &Options) -> Result<Outcome, Problem> {
    let made = generator::generate(options.seed, options.generated);
    let prices = Prices::new(package, &made)?;
    let real = sample::runs(package)?;
    let mut all: Vec<(Value, Value)> = real.iter().map(|run| (tables::launch_document(run), json!(run))).collect();
    all.extend(made.runs.iter().cloned());
    let mut bills = BTreeMap::new();
    for (launch, usage) in &all {
        let bill = prices.bill(launch, usage)?;
        bills.insert(launch["id"].as_str().unwrap_or_default().to_owned(), bill);
    }
    if let Some(path) = &options.truth {
        write(path, &made, &all, &bills)?;
    }
    Ok(judge(package, options, real.len(), &bills))
}

struct Prices {
    series: BTreeMap<String, Series>,
    discounts: Vec<Discount>,
}

impl Prices {
    fn new(package: &Package, made: &Generated) -> Result<Self, Problem> {
        let as_of = Time::parse(sample::AS_OF).unwrap_or_default();
        let mut all: BTreeMap<String, Series> = BTreeMap::new();
        let spot = lists::spot(made.spot.to_string().as_bytes(), as_of)?;
        for one in sample::prices(package)?.into_iter().chain(spot.series) {
            match all.get_mut(&one.key()) {
                Some(there) => there.merge(one),
                None => drop(all.insert(one.key(), one)),
            }
        }
        Ok(Self { series: all, discounts: sample::discounts(package)? })
    }

    /// The steps of the workflow: collect resources, look up their prices, price the run.
    fn bill(&self, launch: &Value, usage: &Value) -> Result<Value, Problem> {
        let mut usage = usage.clone();
        // A launch's own fields are no part of a run's record.
        if let Some(fields) = usage.as_object_mut() {
            fields.remove("status");
        }
        let collected = functions::collect_resources(&json!({ "launch": launch, "usage": usage }))?;
        let keys = collected["prices"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let prices: Vec<Option<&Series>> = keys.map(|key| self.series.get(key)).collect();
        functions::price_run(&json!({
            "run": collected["run"], "prices": prices, "discounts": self.discounts, "as_of": sample::AS_OF
        }))
    }
}

fn judge(package: &Package, options: &Options, real: usize, bills: &BTreeMap<String, Value>) -> Outcome {
    let text = |bill: &Value, name: &str| bill[name].as_str().unwrap_or_default().to_owned();
    let priced = bills.values().filter(|bill| bill["status"] == "priced").count() as u64;
    let zero = bills.values().filter(|bill| bill["status"] != "priced" && text(bill, "total_cost").starts_with('0'));
    let uneven = bills.values().filter(|bill| !adds_up(bill)).count();
    let mut rules = vec![
        Rule::exactly("real runs read", real as u64, package.text("sample/runs.json").map_or(0, count)),
        Rule::at_least("runs priced", priced, 50_u64.min(bills.len() as u64)),
        Rule::exactly("runs without a price that cost nothing", zero.count() as u64, 0),
        Rule::exactly("totals that are not the sum of their parts", uneven as u64, 0),
    ];
    let mut failures = Vec::new();
    let mut summary = vec![format!(
        "{} runs, {real} of them real; {priced} priced, {} without a price",
        bills.len(),
        bills.len() as u64 - priced
    )];
    if options.seed == 1 && options.generated == GENERATED {
        let expected = expected(package.text("sample/expected.csv").unwrap_or_default());
        let mut alike = 0;
        for (id, bill) in bills {
            let found = SUMS.map(|name| text(bill, name));
            match expected.get(id.as_str()) {
                Some(sums) if *sums == found => alike += 1,
                Some(sums) => failures.push(format!("{id}: {} here, {} by Python", found.join(" "), sums.join(" "))),
                None => failures.push(format!("{id}: Python has no sums of it")),
            }
        }
        rules.push(Rule::exactly("runs with the sums that Python has", alike, expected.len() as u64));
    } else {
        summary.push("other runs than Python summed; `--truth` writes what it needs".to_owned());
    }
    failures.extend(rules.iter().filter_map(Rule::failure));
    let figures = json!({
        "seed": options.seed, "runs": bills.len(), "real": real, "priced": priced, "rules": rules, "failures": failures
    });
    Outcome { figures, rules, summary, failures }
}

fn count(list: &str) -> u64 {
    serde_json::from_str::<Vec<Value>>(list).map_or(0, |list| list.len() as u64)
}

/// Whether a total is the sum of the three parts that make it up.
fn adds_up(bill: &Value) -> bool {
    use headwater_cost::report::decimal;
    let of = |name: &str| decimal(bill[name].as_str());
    match of("total_cost") {
        Some(total) => {
            Some(total) == ["instance_cost", "volume_cost", "filesystem_cost"].map(of).into_iter().sum::<Option<_>>()
        }
        None => bill["status"] != "priced",
    }
}

/// Sums by run, in the order of [`SUMS`].
fn expected(text: &str) -> BTreeMap<&str, [String; SUMS.len()]> {
    let rows = text.lines().skip(1).filter_map(|line| {
        let (id, sums) = line.split_once(',')?;
        let sums: Vec<String> = sums.split(',').map(str::to_owned).collect();
        Some((id, <[String; SUMS.len()]>::try_from(sums).ok()?))
    });
    rows.collect()
}

fn write(
    path: &Path,
    made: &Generated,
    all: &[(Value, Value)],
    bills: &BTreeMap<String, Value>,
) -> Result<(), Problem> {
    let mut text = format!("{}\n", json!({ "as_of": sample::AS_OF, "spot": made.spot }));
    for (launch, usage) in all {
        let id = launch["id"].as_str().unwrap_or_default();
        let generated = made.runs.iter().any(|(other, _)| other == launch);
        // Whoever checks this reads the records of real runs himself.
        let usage = if generated { usage } else { &Value::Null };
        let line = json!({ "id": id, "launch": launch, "usage": usage, "bill": bills.get(id) });
        let _ = writeln!(text, "{line}");
    }
    std::fs::write(path, text).map_err(|error| {
        Problem::new("HW-CLI-206", format!("`{}` cannot be read or written", path.display())).because(error)
    })
}

#[cfg(test)]
mod tests;
