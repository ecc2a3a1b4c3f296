//! `headwater solution test sales-insights`: sales through the solution on a node of its own, and its alarms against
//! windows that somebody labelled, which neither the node nor its resources ever see.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::windows::{self, Window};
use super::{generator, replay, sale};
use crate::problems::Problems;
use crate::solution::outcome::{Outcome, Rule};
use crate::solution::package::Package;

/// False alarm windows allowed for each labelled one.
const FALSE_EACH: u64 = 2;

/// How a trial is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of the sales, where they are made.
    pub seed: u64,
    /// A file of sales and its labelled windows; without it sales are made.
    pub given: Option<(PathBuf, PathBuf)>,
}

/// Tries the solution.
///
/// # Errors
/// `HW-CLI-206` for files that cannot be read, and what the node has to say; what is not found is a failure of the outcome.
pub async fn run(
    package: &Package,
    options: &Options,
    tell: impl FnMut(&'static str, u64),
) -> Result<Outcome, Problems> {
    let (sales, truth) = match &options.given {
        Some((data, labels)) => (sale::read(data)?, windows::read(labels, data)?),
        None => {
            let made = generator::generate(options.seed);
            (made.sales, made.truth)
        }
    };
    let replayed = replay::replay(package, &sales, tell).await?;
    let figures = replayed.figures(&sales);
    let count = windows::count(&truth, &replayed.verdicts);
    let anomalies = replayed.verdicts.iter().filter(|verdict| verdict["anomaly"] == true).count() as u64;
    let windows = truth.len() as u64;
    let rules = vec![
        Rule::at_least("labelled windows found", count.found, windows - windows / 5),
        Rule::at_most("false alarm windows", count.false_alarms.len() as u64, windows * FALSE_EACH),
        Rule::exactly("verdicts without the forecast made before their hour", unfounded(&replayed), 0),
        Rule::exactly("hours of anomalies by SQL", replayed.anomalies_by_sql, anomalies),
        Rule::exactly("alerts", replayed.alerts, figures.anomalies),
        Rule::exactly("checks of single events that fail", replayed.checks.1.len() as u64, 0),
    ];
    let mut failures: Vec<String> = rules.iter().filter_map(Rule::failure).collect();
    failures.extend(replayed.checks.1.iter().cloned());
    let told = |title: &str, list: &[String]| format!("{title}: {}", list.join(", "));
    let mut summary = vec![format!(
        "{} sales of {} cohorts, {} hours judged, {} outside their band, {} anomalies; forecasts off by {} %",
        figures.sales, figures.cohorts, figures.judged, figures.outside, figures.anomalies, figures.error_percent
    )];
    summary.extend((!count.missed.is_empty()).then(|| told("missed", &count.missed)));
    summary.extend((!count.false_alarms.is_empty()).then(|| told("false alarms", &count.false_alarms)));
    let figures = json!({
        "seed": options.given.is_none().then_some(options.seed), "windows": labelled(&truth), "found": count.found,
        "missed": count.missed, "falseAlarms": count.false_alarms, "figures": figures, "rules": rules,
        "failures": failures,
    });
    Ok(Outcome { figures, rules, summary, failures })
}

/// Verdicts that were held against something else than the one forecast of their hour, made before it began.
fn unfounded(replayed: &replay::Replayed) -> u64 {
    let of = |document: &Value| (document["cohort"].to_string(), document["time"].to_string());
    let mut forecasts: BTreeMap<(String, String), Vec<&Value>> = BTreeMap::new();
    for forecast in &replayed.forecasts {
        forecasts.entry(of(forecast)).or_default().push(forecast);
    }
    let is_founded = |verdict: &&Value| match forecasts.get(&of(verdict)).map(Vec::as_slice) {
        Some([forecast]) => {
            let alike = ["predicted", "lower", "upper"].iter().all(|field| forecast[*field] == verdict[*field]);
            alike && forecast["made"].as_str() <= forecast["time"].as_str()
        }
        Some(_) => false,
        None => verdict["predicted"].is_null() && verdict["score"].is_null(),
    };
    replayed.verdicts.iter().filter(|verdict| !is_founded(verdict)).count() as u64
}

fn labelled(truth: &[Window]) -> Vec<Value> {
    let window = |it: &Window| json!({"cohort": it.cohort, "from": it.from.to_string(), "to": it.to.to_string()});
    truth.iter().map(window).collect()
}
