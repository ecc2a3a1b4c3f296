//! Figures of a run that cost nothing to know: durations by state, rate of iterations, how processes were spread.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::time::Time;
use crate::usage::{Run, State};

/// Most names of one distribution that are listed.
const NAMES_MAX: usize = 100;

impl Run {
    /// Milliseconds in each state, in the order of states. The last state has no duration.
    pub fn durations(&self) -> BTreeMap<State, i64> {
        let mut entered = self.states.clone();
        entered.sort_by_key(|entered| (entered.at, entered.state));
        let mut durations = BTreeMap::new();
        for (this, next) in entered.iter().zip(entered.iter().skip(1)) {
            *durations.entry(this.state).or_default() += next.at.0 - this.at.0;
        }
        durations
    }

    /// The figures as JSON: the record's own `metrics` first, then what is counted here.
    pub fn figures(&self) -> Value {
        let mut figures: Map<String, Value> =
            self.metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let mut put = |name: &str, value: Value| drop(figures.insert(name.to_owned(), value));
        let seconds = self.span().ms() as f64 / 1_000.0;
        put("seconds", json!(seconds));
        let by_state: BTreeMap<State, f64> =
            self.durations().into_iter().map(|(state, ms)| (state, ms as f64 / 1_000.0)).collect();
        put("seconds_by_state", json!(by_state));
        if let Some(iterations) = self.iterations.filter(|_| seconds > 0.0) {
            put("iterations_per_second", json!(iterations as f64 / seconds));
        }
        put("attempts", json!(self.attempts().count()));
        put("failed_attempts", json!(self.attempts().filter(|(_, _, attempt)| attempt.failed).count()));
        let cpu: f64 = self.attempts().filter_map(|(_, _, attempt)| attempt.cpu_seconds).sum();
        let busy: f64 = self.attempts().map(|(_, _, a)| (a.ended.0 - a.started.0).max(0) as f64 / 1_000.0).sum();
        put("process_seconds", json!(busy));
        if cpu > 0.0 {
            put("cpu_seconds", json!(cpu));
        }
        put("processes_at_once_max", json!(self.at_once()));
        if seconds > 0.0 {
            put("processes_at_once_mean", json!(busy / seconds));
        }
        put("processes_by_instance", spread(self.attempts().map(|(_, _, attempt)| attempt.instance.as_str())));
        put("processes_by_name", spread(self.attempts().map(|(job, ..)| job.name.as_str())));
        Value::Object(figures)
    }

    /// The most attempts that ran at the same moment.
    fn at_once(&self) -> i64 {
        let mut edges: Vec<(Time, i64)> = Vec::new();
        for (_, _, attempt) in self.attempts().filter(|(_, _, attempt)| attempt.ended > attempt.started) {
            edges.push((attempt.started, 1));
            edges.push((attempt.ended, -1));
        }
        edges.sort_unstable();
        let mut now = 0;
        edges.into_iter().fold(0, |most, (_, step)| {
            now += step;
            most.max(now)
        })
    }
}

fn spread<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counts.truncate(NAMES_MAX);
    Value::Object(counts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect())
}
