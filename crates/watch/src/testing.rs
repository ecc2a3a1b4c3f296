//! What the tests of this crate share: shapes, and series of several natures with what is wrong in them.

use std::sync::Arc;

use headwater_base::Micros;
use headwater_kernel::path::Path;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Poisson, StudentT};
use serde_json::{Value, json};

use crate::cohorts::{Cohorts, Taken};
use crate::holidays::Holidays;
use crate::reader::Reader;
use crate::shape::{Missing, Shape, Side};
use crate::state::{self, Restored};

/// Monday, 2024-01-01.
pub const START: i64 = 1_704_067_200_000_000;
pub const HOUR: i64 = 3_600_000_000;
pub const DAY: usize = 24;
/// Later than anything in the tests.
pub const UNTIL: Micros = Micros(i64::MAX / 2);

/// The defaults, over hours.
pub fn hourly() -> Shape {
    Shape {
        interval_micros: HOUR,
        seasons: vec![24, 168],
        cycles: 8,
        horizon: 24,
        width: 2.0,
        tolerance: 0.0,
        sustain: 2,
        side: Side::Both,
        missing: Missing::Unknown,
        holidays: Holidays::default(),
    }
}

pub fn reader() -> Reader {
    let path = |text: &str| Path::parse(text).unwrap();
    Reader { time: path(".time"), cohort: vec![("who".to_owned(), path(".who"))], value: path(".value") }
}

pub fn cohorts(shape: &Shape) -> Cohorts {
    Cohorts::new(Arc::new(shape.clone()), reader(), 10)
}

pub fn time(hour: i64) -> String {
    Micros(START + hour * HOUR).to_string()
}

pub fn record(who: &str, hour: i64, value: f64) -> String {
    json!({"who": who, "time": time(hour), "value": value}).to_string()
}

/// Carries records through, committing after each of `every`; gives all that was told, in its order.
pub fn told(shape: &Shape, records: &[String], every: usize) -> Vec<Value> {
    let mut cohorts = cohorts(shape);
    let (mut kept, mut all) = (std::collections::BTreeMap::new(), Vec::new());
    for (at, record) in records.iter().enumerate() {
        while cohorts.take(0, record.as_bytes(), UNTIL).unwrap() == Taken::More {
            cohorts.told().iter().for_each(|told| all.push(serde_json::from_str(&told.text).unwrap()));
            cohorts.drain();
        }
        cohorts.pass(0, i64::try_from(at).unwrap() + 1);
        cohorts.told().iter().for_each(|told| all.push(serde_json::from_str(&told.text).unwrap()));
        let changed = cohorts.drain();
        for delta in state::encode(&cohorts, &changed) {
            match delta.value {
                Some(value) => kept.insert(delta.key, value),
                None => kept.remove(&delta.key),
            };
        }
        if at % every == every - 1 {
            // Begin a new life with what was kept.
            let mut restored = Restored::default();
            kept.iter().for_each(|(key, value)| restored.take(key, value).unwrap());
            cohorts = self::cohorts(shape);
            restored.give(&Arc::new(shape.clone()), &mut cohorts).unwrap();
        }
    }
    all
}

/// What a series is like, beside its day and its week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Many independent customers.
    Counts,
    /// Three customers an hour.
    Few,
    /// Tails as of Student's t with three degrees of freedom.
    Wild,
    /// Three per cent more each week.
    Growth,
    /// Forty per cent more from one day on, which stays.
    Step,
}

/// A hundred and forty days of hours, and the five stretches in which something is wrong.
pub fn series(nature: Nature, seed: u64) -> (Vec<f64>, Vec<std::ops::Range<usize>>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let hours = 140 * DAY;
    let wrong: Vec<(std::ops::Range<usize>, f64)> = [(6, 0.4), (4, 2.2), (4, 0.0), (8, 0.5), (5, 1.9)]
        .into_iter()
        .zip(0..)
        .map(|((length, factor), at): ((usize, f64), usize)| {
            let day = 60 + at * 16 + usize::try_from(seed % 5).unwrap();
            let from = day * DAY + 9 + (at * 7 + usize::try_from(seed).unwrap()) % 6;
            (from..from + length, factor)
        })
        .collect();
    let mut values = Vec::new();
    for hour in 0..hours {
        let turn = std::f64::consts::TAU * (hour % DAY) as f64 / DAY as f64;
        let day = [1.0, 1.0, 1.0, 1.05, 1.3, 1.2, 0.7][hour / DAY % 7];
        let shape = (0.9 * (turn - 1.5).sin() + 0.25 * (2.0 * turn).sin()).exp() * day;
        let level = match nature {
            Nature::Few => 3.0,
            Nature::Growth => 200.0 * 1.03_f64.powf(hour as f64 / (7 * DAY) as f64),
            Nature::Step if hour > hours * 3 / 5 => 280.0,
            _ => 200.0,
        };
        let factor = wrong.iter().find(|(range, _)| range.contains(&hour)).map_or(1.0, |(_, factor)| *factor);
        let mean = shape * level * factor;
        values.push(match nature {
            Nature::Wild => {
                let tail: f64 = StudentT::new(3.0).unwrap().sample(&mut rng);
                mean * (0.1 * tail).exp()
            }
            Nature::Growth => mean * LogNormal::new(0.0, 0.05).unwrap().sample(&mut rng),
            _ if mean > 0.0 => Poisson::new(mean).unwrap().sample(&mut rng),
            _ => 0.0,
        });
    }
    (values, wrong.into_iter().map(|(range, _)| range).collect())
}

/// The records of a series of one cohort.
pub fn records(who: &str, values: &[f64]) -> Vec<String> {
    values.iter().zip(0..).map(|(value, hour)| record(who, hour, *value)).collect()
}
