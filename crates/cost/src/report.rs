//! Reports over the launches of a table: durations by state, chargeback, comparison of resource types, estimates.
//!
//! What it is NOT: it queries nothing; it is given the documents of the table `launches`. Amounts of different
//! currencies are never added up, and launches without a price are counted and never taken as 0.

use std::collections::BTreeMap;

use headwater_base::time::{civil_from_days, days_from_civil};
use headwater_base::{Micros, Problem, closest};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::conventions::text;
use crate::estimate;
use crate::functions::typed;
use crate::time::Time;
use crate::usage::{Entered, State};

/// A launch as the table has it; what else it has is not looked at.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "as in Run and in a bill")]
pub struct Launch {
    pub id: String,
    pub status: State,
    #[serde(default)]
    pub workflow: String,
    #[serde(default)]
    pub dataset: String,
    #[serde(default)]
    pub consumer: String,
    #[serde(default)]
    pub account: String,
    #[serde(default)]
    pub service: String,
    #[serde(default)]
    pub states: Vec<Entered>,
    #[serde(default)]
    pub started: Option<Time>,
    #[serde(default)]
    pub ended: Option<Time>,
    #[serde(default)]
    pub total_cost: Option<String>,
    #[serde(default)]
    pub instance_cost: Option<String>,
    #[serde(default)]
    pub volume_cost: Option<String>,
    #[serde(default)]
    pub filesystem_cost: Option<String>,
    #[serde(default)]
    pub failed_cost: Option<String>,
    #[serde(default)]
    pub currency: String,
    #[serde(default)]
    pub as_of: Option<Time>,
    #[serde(default)]
    pub lines: Vec<BilledLine>,
}

/// A line of a launch's bill, as far as reports look at it.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "as in a bill's line")]
pub struct BilledLine {
    pub resource: String,
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub purchase: Option<String>,
    pub place: String,
    pub from: Time,
    pub to: Time,
    pub quantity: Decimal,
    pub unit: String,
    #[serde(default)]
    pub amount: Option<Decimal>,
    #[serde(default)]
    pub list_amount: Option<Decimal>,
}

/// What a report groups launches by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum By {
    State,
    Consumer,
    Type,
    Service,
    Period,
    Resource,
    Estimate,
}

/// Groupings by name.
pub const BY: [(&str, By); 7] = [
    ("state", By::State),
    ("consumer", By::Consumer),
    ("type", By::Type),
    ("service", By::Service),
    ("period", By::Period),
    ("resource", By::Resource),
    ("estimate", By::Estimate),
];

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Period {
    Day,
    Week,
    Month,
    Year,
}

/// Periods by name.
pub const PERIODS: [(&str, Period); 4] =
    [("day", Period::Day), ("week", Period::Week), ("month", Period::Month), ("year", Period::Year)];

/// Finds a word in a table of words.
///
/// # Errors
/// `HW-COST-004` with the words that there are.
pub fn word<T: Copy>(what: &str, text: &str, words: &[(&str, T)]) -> Result<T, Problem> {
    if let Some((_, found)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*found);
    }
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let mut help = format!("there are `{}`", names.join("`, `"));
    if let Some(near) = closest(text, names.iter().copied()) {
        help.push_str(&format!("; did you mean `{near}`?"));
    }
    Err(Problem::new("HW-COST-004", format!("there is no {what} `{}`", text.escape_debug())).help(help))
}

/// Reads documents of the launch table.
///
/// # Errors
/// `HW-COST-001` with the launch and the field.
pub fn launches(documents: &[Value]) -> Result<Vec<Launch>, Problem> {
    let read = |document: &Value| {
        let id = document["id"].as_str().unwrap_or("?");
        typed(document, "HW-COST-001", &format!("Launch/{}", id.chars().take(64).collect::<String>()))
    };
    documents.iter().map(read).collect()
}

/// Makes a report. With `period`, chargeback is split by it as well.
pub fn report(launches: &[Launch], by: By, period: Option<Period>) -> Vec<Value> {
    match by {
        By::State => states(launches),
        By::Consumer => charges(launches, "consumer", |launch| launch.consumer.as_str(), period),
        By::Type => charges(launches, "workflow", |launch| launch.workflow.as_str(), period),
        By::Service => charges(launches, "service", |launch| launch.service.as_str(), period),
        By::Period => charges(launches, "", |_| "", Some(period.unwrap_or(Period::Month))),
        By::Resource => resources(launches),
        By::Estimate => estimate::estimates(launches),
    }
}

impl Launch {
    /// Seconds from its beginning to its end.
    pub fn seconds(&self) -> Option<f64> {
        let ms = self.ended?.0 - self.started?.0;
        (ms >= 0).then_some(ms as f64 / 1_000.0)
    }

    /// What it cost, if that is known.
    pub fn total(&self) -> Option<Decimal> {
        decimal(self.total_cost.as_deref())
    }

    /// The types of machines it ran on, with how they were paid.
    pub fn resource(&self) -> String {
        let machines = self.lines.iter().filter(|line| line.resource == "instance");
        let mut kinds: Vec<String> = machines
            .map(|line| match line.purchase.as_deref() {
                None | Some("on_demand" | "on_premises") => line.kind.clone(),
                Some(purchase) => format!("{} {purchase}", line.kind),
            })
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds.join("+")
    }
}

/// A sum as a launch has it; None where it is a word, or more than any launch can cost: the table has what its writers
/// put there.
pub fn decimal(text: Option<&str>) -> Option<Decimal> {
    let most = Decimal::from(1_000_000_000_000_000_i64);
    Decimal::from_str_exact(text?).ok().filter(|amount| amount.abs() <= most)
}

/// Seconds in each state, over all launches.
fn states(launches: &[Launch]) -> Vec<Value> {
    let mut seconds: BTreeMap<State, Vec<f64>> = BTreeMap::new();
    for launch in launches {
        let mut entered = launch.states.clone();
        entered.sort_by_key(|entered| (entered.at, entered.state));
        for (this, next) in entered.iter().zip(entered.iter().skip(1)) {
            seconds.entry(this.state).or_default().push((next.at.0 - this.at.0) as f64 / 1_000.0);
        }
        if let Some(last) = entered.last().filter(|last| matches!(last.state, State::Failed | State::Complete)) {
            seconds.entry(last.state).or_default();
        }
    }
    let ended = |state: State| launches.iter().filter(|launch| launch.status == state).count();
    let row = |(state, mut seconds): (State, Vec<f64>)| {
        seconds.sort_by(f64::total_cmp);
        let sum: f64 = seconds.iter().sum();
        let launches = if seconds.is_empty() { ended(state) } else { seconds.len() };
        let known = !seconds.is_empty();
        json!({
            "state": state,
            "launches": launches,
            "seconds_total": known.then(|| rounded(sum)),
            "seconds_mean": known.then(|| rounded(sum / seconds.len() as f64)),
            "seconds_p50": quantile(&seconds, 0.5),
            "seconds_p95": quantile(&seconds, 0.95),
            "seconds_max": seconds.last().copied().map(rounded),
        })
    };
    seconds.into_iter().map(row).collect()
}

/// The value that a share of all is not above (nearest rank); `sorted` ascends.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().map(rounded)
}

/// To the millisecond, or the thousandth of anything else that is no money.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[derive(Default)]
struct Charge {
    launches: u64,
    unpriced: u64,
    seconds: f64,
    total: Decimal,
    instance: Decimal,
    volume: Decimal,
    filesystem: Decimal,
    failed: Decimal,
}

/// Sums of money by a word of the launch, and by the period in which it ended.
fn charges(launches: &[Launch], name: &str, of: fn(&Launch) -> &str, period: Option<Period>) -> Vec<Value> {
    let mut groups: BTreeMap<(String, String, String), Charge> = BTreeMap::new();
    for launch in launches.iter().filter(|launch| matches!(launch.status, State::Failed | State::Complete)) {
        let period = period.map(|period| launch.ended.map_or("unknown".to_owned(), |ended| begin(period, ended)));
        let key = (period.unwrap_or_default(), of(launch).to_owned(), launch.currency.clone());
        let charge = groups.entry(key).or_default();
        charge.launches += 1;
        charge.seconds += launch.seconds().unwrap_or_default();
        let Some(total) = launch.total() else {
            charge.unpriced += 1;
            continue;
        };
        charge.total += total;
        charge.instance += decimal(launch.instance_cost.as_deref()).unwrap_or_default();
        charge.volume += decimal(launch.volume_cost.as_deref()).unwrap_or_default();
        charge.filesystem += decimal(launch.filesystem_cost.as_deref()).unwrap_or_default();
        charge.failed += decimal(launch.failed_cost.as_deref()).unwrap_or_default();
    }
    let row = |((begun, group, currency), charge): ((String, String, String), Charge)| {
        let mut row = serde_json::Map::new();
        if period.is_some() {
            row.insert("period".to_owned(), json!(begun));
        }
        if !name.is_empty() {
            row.insert(name.to_owned(), json!(group));
        }
        for (name, value) in [
            ("launches", json!(charge.launches)),
            ("unpriced", json!(charge.unpriced)),
            ("seconds", json!(rounded(charge.seconds))),
            ("total_cost", json!(text(charge.total))),
            ("instance_cost", json!(text(charge.instance))),
            ("volume_cost", json!(text(charge.volume))),
            ("filesystem_cost", json!(text(charge.filesystem))),
            ("failed_cost", json!(text(charge.failed))),
            ("currency", json!(currency)),
        ] {
            row.insert(name.to_owned(), value);
        }
        Value::Object(row)
    };
    groups.into_iter().map(row).collect()
}

/// The first day of the period that a moment lies in, in UTC; weeks begin on Monday.
fn begin(period: Period, at: Time) -> String {
    let day = Micros::from_millis(at.0).day();
    let (year, month, _) = civil_from_days(day);
    let first = match period {
        Period::Day => day,
        // 1970-01-01 was a Thursday.
        Period::Week => day - (day + 3).rem_euclid(7),
        Period::Month => days_from_civil(year, month, 1),
        Period::Year => days_from_civil(year, 1, 1),
    };
    let (year, month, day) = civil_from_days(first);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Groups of comparable launches: the same workflow over the same data set, by what it ran on and the currency.
pub(crate) type Groups<'a> = BTreeMap<(String, String, String, String), Vec<&'a Launch>>;

/// Complete and priced launches, in groups.
pub(crate) fn comparable(launches: &[Launch]) -> Groups<'_> {
    let mut groups: Groups<'_> = BTreeMap::new();
    for launch in launches.iter().filter(|launch| launch.status == State::Complete && launch.total().is_some()) {
        let key = (launch.workflow.clone(), launch.dataset.clone(), launch.resource(), launch.currency.clone());
        groups.entry(key).or_default().push(launch);
    }
    groups
}

/// What the same workflow over the same data set took and cost on each type of machine.
fn resources(launches: &[Launch]) -> Vec<Value> {
    let groups = comparable(launches);
    let mean = |of: &[&Launch]| -> (Decimal, f64) {
        let count = of.len() as u64;
        let cost: Decimal = of.iter().filter_map(|launch| launch.total()).sum();
        let seconds: f64 = of.iter().filter_map(|launch| launch.seconds()).sum();
        (cost / Decimal::from(count), seconds / count as f64)
    };
    let mut best: BTreeMap<(&str, &str, &str), (Decimal, f64)> = BTreeMap::new();
    for ((workflow, dataset, _, currency), of) in &groups {
        let (cost, seconds) = mean(of);
        let best = best.entry((workflow, dataset, currency)).or_insert((cost, seconds));
        *best = (best.0.min(cost), best.1.min(seconds));
    }
    let mut rows = Vec::new();
    for ((workflow, dataset, resource, currency), of) in &groups {
        let (cost, seconds) = mean(of);
        let mut sorted: Vec<f64> = of.iter().filter_map(|launch| launch.seconds()).collect();
        sorted.sort_by(f64::total_cmp);
        let (cheapest, fastest) =
            best.get(&(workflow.as_str(), dataset.as_str(), currency.as_str())).copied().unwrap_or((cost, seconds));
        rows.push(json!({
            "workflow": workflow,
            "dataset": dataset,
            "resource": resource,
            "launches": of.len(),
            "seconds_mean": rounded(seconds),
            "seconds_p95": quantile(&sorted, 0.95),
            "cost_mean": text(cost.round_dp(10)),
            "currency": currency,
            "is_cheapest": cost == cheapest,
            "is_fastest": seconds <= fastest,
        }));
    }
    rows
}

#[cfg(test)]
mod tests;
