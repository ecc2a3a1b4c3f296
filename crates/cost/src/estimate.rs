//! What the next run will cost and how long it will take, from the launches before it, with a band that it should lie in.
//!
//! For each workflow, data set and type of machine: the mean of the launches, and the interval in which one more lies in
//! nine of ten cases if launches vary like samples of one normal distribution (Student's t with n - 1 degrees,
//! t × s × sqrt(1 + 1/n)). How well that did is measured on the same history: each launch is estimated from those that
//! ended before it, and the mean of what the estimates were off by, in percent, is shown.
//!
//! Estimates are floating point; they are never added to money.

use serde_json::{Value, json};

use rust_decimal::prelude::ToPrimitive;

use crate::report::{Launch, comparable, rounded};

/// Fewest launches that say how much launches vary.
const LAUNCHES_MIN: usize = 3;

/// Two-sided 90 % quantiles of Student's t for 1, 2, 3, ... degrees of freedom.
const T: [f64; 30] = [
    6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753, 1.746,
    1.740, 1.734, 1.729, 1.725, 1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697,
];

/// Beyond 30 degrees.
const T_MANY: f64 = 1.645;

/// A figure of the next launch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// What is expected.
    pub mean: f64,
    /// Nine of ten launches are not below, where enough launches are known.
    pub low: Option<f64>,
    /// Nine of ten launches are not above, where enough launches are known.
    pub high: Option<f64>,
}

/// A row for each group of comparable launches.
pub(crate) fn estimates(launches: &[Launch]) -> Vec<Value> {
    let mut rows = Vec::new();
    for ((workflow, dataset, resource, currency), mut of) in comparable(launches) {
        of.sort_by_key(|launch| launch.ended);
        let costs: Vec<f64> = of.iter().filter_map(|launch| launch.total()?.to_f64()).collect();
        let seconds: Vec<f64> = of.iter().filter_map(|launch| launch.seconds()).collect();
        let (Some(cost), Some(time)) = (band(&costs), band(&seconds)) else { continue };
        rows.push(json!({
            "workflow": workflow,
            "dataset": dataset,
            "resource": resource,
            "launches": of.len(),
            "cost": money(cost.mean),
            "cost_low": cost.low.map(money),
            "cost_high": cost.high.map(money),
            "currency": currency,
            "cost_error_percent": error(&costs).map(rounded),
            "seconds": rounded(time.mean),
            "seconds_low": time.low.map(rounded),
            "seconds_high": time.high.map(rounded),
            "seconds_error_percent": error(&seconds).map(rounded),
        }));
    }
    rows
}

/// The next of `values`; None without any.
pub fn band(values: &[f64]) -> Option<Band> {
    let count = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < LAUNCHES_MIN {
        return Some(Band { mean, low: None, high: None });
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let t = T.get(values.len() - 2).copied().unwrap_or(T_MANY);
    let reach = t * variance.sqrt() * (1.0 + 1.0 / count).sqrt();
    // No run costs or takes less than nothing.
    Some(Band { mean, low: Some((mean - reach).max(0.0)), high: Some(mean + reach) })
}

/// The mean absolute error in percent of estimating each value from those before it.
fn error(values: &[f64]) -> Option<f64> {
    let mut sum = 0.0;
    let mut count = 0.0;
    for (at, value) in values.iter().enumerate().skip(1).filter(|(_, value)| **value > 0.0) {
        let before = values.get(..at).and_then(band)?;
        sum += (before.mean - value).abs() / value * 100.0;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

fn money(value: f64) -> String {
    format!("{value:.6}")
}

#[cfg(test)]
mod tests;
