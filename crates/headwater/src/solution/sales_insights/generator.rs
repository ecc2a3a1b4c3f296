//! Sales made from a seed: countries and channels with days and weeks of their own, some of which grow, and stretches in
//! which something is wrong, which only the test knows of.
//!
//! What it is NOT: made to fit the forecast. Noise, growth and shapes differ from cohort to cohort, and what is wrong lasts
//! a few hours at any time of the day's busy half.

use headwater_base::Micros;

use super::sale::Sale;
use super::windows::Window;
use crate::solution::clickstream::traffic::chance;

/// Monday, 2026-01-05.
const BEGIN: Micros = Micros(1_767_571_200_000_000);
/// Days that are made.
const DAYS: usize = 77;
/// Nothing is wrong before this day: somebody has to learn what is right.
const LEARNED: usize = 28;
/// Sales of an hour; each stands for some.
const PARTS: u8 = 4;
const HOUR_MICROS: i64 = 3_600_000_000;
/// Country, channel, usual sales of an hour, growth of a week, noise of a part.
const COHORTS: [(&str, &str, f64, f64, f64); 4] = [
    ("IN", "app", 900.0, 0.02, 0.10),
    ("IN", "web", 300.0, 0.0, 0.15),
    ("CO", "app", 150.0, 0.04, 0.2),
    ("PE", "web", 60.0, 0.0, 0.25),
];
/// What is wrong: hours it lasts, and what is left of the sales.
const WRONG: [(usize, f64); 3] = [(6, 0.3), (4, 0.0), (5, 2.4)];

/// What is made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Sales by time.
    pub sales: Vec<Sale>,
    /// Where something is wrong.
    pub truth: Vec<Window>,
}

/// Numbers that follow from the seed.
struct Draw(u64, u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.1 += 1;
        chance(self.0, self.1) % bound.max(1)
    }

    /// About normal, with a deviation of one: twelve even numbers, less their mean.
    fn normal(&mut self) -> f64 {
        #![expect(clippy::cast_precision_loss, reason = "ten bits each")]
        (0..12).map(|_| self.below(1_024) as f64 / 1_024.0).sum::<f64>() - 6.0
    }
}

/// Makes eleven weeks of sales.
pub fn generate(seed: u64) -> Made {
    let mut draw = Draw(seed, 0);
    let (mut sales, mut truth) = (Vec::new(), Vec::new());
    for (country, channel, level, growth, noise) in COHORTS {
        let wrong = stretches(&mut draw);
        truth.extend(wrong.iter().map(|(hours, _)| Window {
            cohort: Some(format!("{country}/{channel}")),
            from: at(hours.start, 0),
            // An hour is judged once it is over.
            to: at(hours.end, 0),
        }));
        let shift = draw.below(4);
        for hour in 0..DAYS * 24 {
            let factor = wrong.iter().find(|(hours, _)| hours.contains(&hour)).map_or(1.0, |(_, factor)| *factor);
            let mean = level * shape(hour, shift) * growing(growth, hour) * factor / f64::from(PARTS);
            for part in 0..PARTS {
                let amount = (mean * noise.mul_add(draw.normal(), 1.0)).max(0.0).round();
                if amount > 0.0 {
                    let (country, channel) = (country.to_owned(), channel.to_owned());
                    sales.push(Sale { time: at(hour, part), country, channel, amount });
                }
            }
        }
    }
    sales.sort_by_key(|sale| sale.time);
    Made { sales, truth }
}

/// The same sales, moved by whole hours so that the last one is behind `now` by less than one.
pub fn until(seed: u64, now: Micros) -> Vec<Sale> {
    let mut sales = generate(seed).sales;
    let last = sales.last().map_or(0, |sale| sale.time.0);
    let hours = now.0.saturating_sub(last).div_euclid(HOUR_MICROS);
    sales.iter_mut().for_each(|sale| sale.time = Micros(sale.time.0 + hours * HOUR_MICROS));
    sales
}

/// Three stretches of a cohort, in the busy half of different days.
fn stretches(draw: &mut Draw) -> Vec<(std::ops::Range<usize>, f64)> {
    let apart = (DAYS - LEARNED) / WRONG.len();
    let stretch = |(number, (hours, factor)): (usize, (usize, f64))| {
        let day = LEARNED + number * apart + whole(draw.below(whole_up(apart - 3)));
        let from = day * 24 + 9 + whole(draw.below(6));
        (from..from + hours, factor)
    };
    WRONG.into_iter().enumerate().map(stretch).collect()
}

/// A day and a week, as shares of the usual hour.
fn shape(hour: usize, shift: u64) -> f64 {
    #![expect(clippy::cast_precision_loss, reason = "hours")]
    let turn = std::f64::consts::TAU * ((hour + whole(shift)) % 24) as f64 / 24.0;
    let day = [1.0, 0.95, 1.0, 1.05, 1.35, 1.2, 0.75].get(hour / 24 % 7).copied().unwrap_or(1.0);
    (0.8 * (turn - 2.2).sin() + 0.2 * (2.0 * turn).sin()).exp() * day
}

fn growing(growth: f64, hour: usize) -> f64 {
    #![expect(clippy::cast_precision_loss, reason = "hours")]
    (1.0 + growth).powf(hour as f64 / 168.0)
}

fn at(hour: usize, part: u8) -> Micros {
    let hours = i64::try_from(hour).unwrap_or(0) * HOUR_MICROS;
    let apart = HOUR_MICROS / i64::from(PARTS);
    Micros(BEGIN.0 + hours + i64::from(part) * apart)
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

const fn whole_up(number: usize) -> u64 {
    number as u64
}
