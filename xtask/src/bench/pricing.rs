//! How soon a launch that is complete has its price: launches that `solution test workflow-cost` makes up, written to
//! the solution's tables on a node one after the other. What counts are the times of two changes of a launch: the one
//! by which it is complete, and the one by which it has its price.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Options, at_most, fresh, rounded};
use crate::node::Node;
use crate::process::{read, root};

/// Launches that are made up; those count that have a price, which is nearly all of them.
const LAUNCHES: &str = "200";
/// When the sample's price lists were read.
const AS_OF: &str = "2026-12-01T00:00:00Z";
/// The longest that a launch may have, in milliseconds; all but one of a hundred have to keep to it.
const GOAL_MS: f64 = 2_000.0;
/// The longest that all of them together may take.
const PATIENCE: Duration = Duration::from_secs(120);
const DAY_MS: f64 = 86_400_000.0;

pub(super) fn measure(options: &Options) -> Result<Value> {
    let binary = options.binary()?;
    let data = fresh("pricing")?;
    let (truth, spot) = (data.with_file_name("truth.jsonl"), data.with_file_name("spot.json"));
    let sample = root().join("solutions/workflow-cost/sample");
    let (node, _) = Node::start(&binary, &data, None)?;
    let headwater = |words: &[&str]| {
        let mut command = Command::new(&binary);
        command.args(words).env("HEADWATER_SERVER", node.http());
        command
    };

    read(headwater(&["solution", "test", "workflow-cost", "--json", "--records", LAUNCHES, "--truth"]).arg(&truth))?;
    let text = std::fs::read_to_string(&truth)?;
    let mut lines = text.lines().map(serde_json::from_str::<Value>);
    let head = lines.next().context("the test wrote nothing down")??;
    let runs: Vec<Value> = lines.collect::<Result<_, _>>()?;
    // Records of real runs are files, and not here; what has no price may be waiting for one.
    let launches: Vec<&Value> =
        runs.iter().filter(|run| !run["usage"].is_null() && run["bill"]["status"] == "priced").collect();
    std::fs::write(&spot, head["spot"].to_string())?;

    read(&mut headwater(&["solution", "apply", "workflow-cost"]))?;
    let lists = [("csv", sample.join("prices/list.csv")), ("spot", sample.join("prices/spot.json")), ("spot", spot)];
    for (form, list) in lists {
        let words = ["solution", "import", "workflow-cost", "--prices", form, "--as-of", AS_OF];
        read(headwater(&words).arg(list))?;
    }
    read(headwater(&["solution", "import", "workflow-cost", "--discounts"]).arg(sample.join("discounts.json")))?;

    for run in &launches {
        let write = |table: &str, document: &Value| json!({"table": table, "key": run["id"], "put": document});
        let writes = json!({"writes": [write("usage", &run["usage"]), write("launches", &run["launch"])]});
        let (status, said) = node.post("/v1/transactions", "application/json", &writes.to_string())?;
        ensure!(status == 200, "{}: {said}", run["id"]);
    }
    let start = Instant::now();
    let mut waits = Vec::new();
    while waits.len() < launches.len() {
        ensure!(start.elapsed() < PATIENCE, "{} of {} launches have a price", waits.len(), launches.len());
        std::thread::sleep(Duration::from_millis(250));
        let words = ["tail", "table.launches.changes", "--from", "earliest", "--record"];
        waits = waits_of(&read(&mut headwater(&words))?)?;
    }
    node.stop()?;
    waits.sort_by(f64::total_cmp);
    let at = |share: usize| rounded(waits.get(waits.len() * share / 100).copied().unwrap_or(f64::NAN));
    Ok(json!({
        "bench": "pricing", "launches": waits.len(), "priced_p50_ms": at(50), "priced_p99_ms": at(99),
        "goals": {"priced_p99_ms": at_most(at(99), GOAL_MS)},
    }))
}

/// Milliseconds from a launch's first change to that by which it has its price, of those that have one. The changes of
/// one launch lie in their order.
fn waits_of(lines: &str) -> Result<Vec<f64>> {
    let (mut complete, mut waits) = (BTreeMap::new(), BTreeMap::new());
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).context("a change of a launch")?;
        let change = &record["value"];
        let id = change["key"].as_str().unwrap_or_default().to_owned();
        let at = change["time"].as_str().and_then(of_day_ms).context("the time of a change")?;
        let since = *complete.entry(id.clone()).or_insert(at);
        if change["newImage"]["cost_status"] == "priced" {
            waits.entry(id).or_insert((at - since).rem_euclid(DAY_MS));
        }
    }
    Ok(waits.into_values().collect())
}

/// Milliseconds of the day, of a time such as `2026-12-01T09:00:00.125Z`.
fn of_day_ms(time: &str) -> Option<f64> {
    let (_, of_day) = time.strip_suffix('Z')?.split_once('T')?;
    let seconds = of_day.split(':').try_fold(0.0_f64, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
    Some(seconds * 1_000.0)
}
