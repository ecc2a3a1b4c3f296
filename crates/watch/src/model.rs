//! How the value of a coming interval is told from the past, and how far off such forecasts have been.
//!
//! Three statistics, each of which a few wild values do not move, so that an anomaly does not become what is expected:
//! - **usual**: the median of the values at the same moment of the longest season (the same hour of the same weekday),
//!   over the history; of a shorter season while the history has fewer than [`CYCLES_MIN`] of the longer one.
//! - **level**: what the last season was, compared with what was usual for it: the factor that makes the sum of absolute
//!   differences smallest, which is a weighted median of ratios. A business that grows is ahead of its own median.
//! - **error**: how far forecasts were off around this moment of the shortest season (this hour of the day), as nine in
//!   ten stayed below. Not a model of noise: what the forecasts really missed by, at the same distance ahead.
//!
//! A holiday is a day of its own kind: it is no part of the three statistics of ordinary days. What is usual on it is
//! what is usual on the weekday that it is like; where earlier holidays are known, they say how it compares with that.
//!
//! What it is NOT: fitted. There is no search and nothing to converge; a forecast costs a few sorted lists. Why not
//! MSTL and ETS: docs/adr/0012.

use crate::holidays::DAY_MICROS;
use crate::series::Series;
use crate::shape::{Index, Shape};

/// A season counts from so many of it on: the median of fewer is the word of any one of them.
pub const CYCLES_MIN: usize = 3;
/// Errors are taken from so many intervals before and behind the same moment of the day, which makes the sample larger.
const NEAR: i64 = 2;
/// A band needs so many errors: below that, nine in ten is three values.
pub const ERRORS_MIN: usize = 30;
/// Holidays tell what a holiday is like from so many on: one by itself may have been any kind of day.
pub const HOLIDAYS_MIN: usize = 2;
/// The share of errors that stay below the error.
const SHARE: f64 = 0.9;
/// What is left of a band where every forecast was exact, in shares of what is expected: what [`round`] may take.
const ROUNDING: f64 = 1e-5;

/// What is told of one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// What usually comes at such a moment.
    pub usual: f64,
    /// What the last season was, compared with what was usual for it.
    pub level: f64,
    /// What nine in ten forecasts around this moment of the day were off by at most; None while too few are known.
    pub error: Option<f64>,
    /// Of a holiday of which earlier ones tell nothing: how far what is expected is from what an ordinary day of its
    /// weekday would bring, for it may turn out to be one. Else 0.
    pub apart: f64,
}

impl Told {
    /// What is expected.
    pub fn predicted(&self) -> f64 {
        round(self.usual * self.level)
    }

    /// Half the width of the band; NaN while it is unknown.
    pub fn half(&self, shape: &Shape) -> f64 {
        let least = shape.tolerance.max(self.predicted().abs() * ROUNDING);
        self.error.map_or(f64::NAN, |error| round((error * shape.width + self.apart).max(least)))
    }
}

/// Six digits of a number: more would look as if they were known. What is stored is what is told.
pub fn round(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}

/// Tells what interval `index` will bring, by what is known up to the last closed one. None while too little is.
pub fn tell(series: &Series, shape: &Shape, index: Index) -> Option<Told> {
    let holiday = shape.holidays.at(index);
    let ordinary = ordinary(series, shape, index);
    let usual = holiday.and_then(|day| alike(series, shape, index - day.back)).or(ordinary)?;
    let (level, error) = (level(series, shape), error(series, shape, index));
    if holiday.is_none() {
        return Some(Told { usual, level, error, apart: 0.0 });
    }
    // What earlier holidays came to, compared with what was usual, has the level in it.
    if let Some(learnt) = learnt(series, shape) {
        let error = error.map(|error| holiday_error(series, shape, index).map_or(error, |missed| missed.max(error)));
        return Some(Told { usual, level: learnt, error, apart: 0.0 });
    }
    let apart = ordinary.map_or(0.0, |ordinary| (ordinary - usual).abs() * level);
    Some(Told { usual, level, error, apart })
}

/// The median of the values at the same moment of earlier seasons.
fn ordinary(series: &Series, shape: &Shape, index: Index) -> Option<f64> {
    let of = |season: &i64| middle(series, shape, (1..=shape.cycles).map(|back| index - back * season));
    shape.seasons.iter().rev().find_map(of)
}

/// The median of the values at this moment of a week and of the weeks before.
fn alike(series: &Series, shape: &Shape, index: Index) -> Option<f64> {
    let week = (7 * DAY_MICROS / shape.interval_micros).max(1);
    middle(series, shape, (0..=shape.history() / week).map(|back| index - back * week))
}

/// The median of what came at these moments of ordinary days; None while that is too few.
fn middle(series: &Series, shape: &Shape, moments: impl Iterator<Item = Index>) -> Option<f64> {
    let earlier = moments.filter(|at| *at <= series.last() && shape.holidays.is_ordinary(*at));
    let mut values = known(earlier.map(|at| series.point(at).value));
    (values.len() >= CYCLES_MIN).then(|| median(&mut values))
}

/// The factor between the last season and what was usual for it. Holidays are passed over for days before them.
fn level(series: &Series, shape: &Shape) -> f64 {
    let season = shape.long();
    let oldest = series.last() - shape.history();
    let (mut from, mut left) = (series.last() + 1, season);
    while left > 0 && from > oldest {
        from -= 1;
        left -= i64::from(shape.holidays.is_ordinary(from));
    }
    let moments = (from..=series.last()).filter(|at| shape.holidays.is_ordinary(*at));
    let ratios = ratios(series, moments);
    // Less than half a season would compare a weekend with a week.
    if i64::try_from(ratios.len()).unwrap_or(i64::MAX) * 2 < season {
        return 1.0;
    }
    factor(ratios)
}

/// The factor between earlier holidays and what was usual for them; None while they are too few.
fn learnt(series: &Series, shape: &Shape) -> Option<f64> {
    let oldest = series.last() - shape.history() + 1;
    let days: Vec<Vec<(f64, f64)>> = shape
        .holidays
        .within(oldest, series.last())
        .map(|day| ratios(series, day.from.max(oldest)..day.to.min(series.last() + 1)))
        .filter(|ratios| !ratios.is_empty())
        .collect();
    (days.len() >= HOLIDAYS_MIN).then(|| factor(days.concat()))
}

/// What came compared with what was usual, with the latter as its weight.
fn ratios(series: &Series, moments: impl Iterator<Item = Index>) -> Vec<(f64, f64)> {
    moments
        .map(|at| series.point(at))
        .filter(|point| !point.value.is_nan() && point.usual.abs() > f64::MIN_POSITIVE)
        .map(|point| (point.value / point.usual, point.usual.abs()))
        .collect()
}

/// The weighted median of ratios: the factor that makes the sum of absolute differences smallest.
fn factor(mut ratios: Vec<(f64, f64)>) -> f64 {
    ratios.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let half = ratios.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut before = 0.0;
    let middle = ratios.iter().find(|(_, weight)| {
        before += weight;
        before >= half
    });
    middle.map_or(1.0, |(ratio, _)| ratio.max(0.0))
}

/// Moments of the shortest season, beside an interval's own, whose errors count for it.
fn near(shape: &Shape) -> i64 {
    NEAR.min((shape.short() - 1) / 2)
}

/// Whether the history is long enough for a band: it needs [`ERRORS_MIN`] errors around each moment.
pub fn has_band(shape: &Shape) -> bool {
    let errors = shape.history() / shape.short() * (2 * near(shape) + 1);
    usize::try_from(errors).is_ok_and(|errors| errors >= ERRORS_MIN)
}

/// What nine in ten forecasts around this moment of the shortest season were off by at most, on ordinary days.
fn error(series: &Series, shape: &Shape, index: Index) -> Option<f64> {
    let mut errors = errors(series, shape, index, true);
    (errors.len() >= ERRORS_MIN).then(|| quantile(&mut errors, SHARE))
}

/// The same on holidays, however few they are.
fn holiday_error(series: &Series, shape: &Shape, index: Index) -> Option<f64> {
    let mut errors = errors(series, shape, index, false);
    (!errors.is_empty()).then(|| quantile(&mut errors, SHARE))
}

fn errors(series: &Series, shape: &Shape, index: Index, ordinary: bool) -> Vec<f64> {
    let season = shape.short();
    let near = near(shape);
    let around = |back: i64| (-near..=near).map(move |aside| index - back * season + aside);
    let moments = (1..=shape.history() / season)
        .flat_map(around)
        .filter(|at| *at <= series.last() && shape.holidays.is_ordinary(*at) == ordinary);
    known(moments.map(|at| series.point(at)).map(|point| (point.value - point.predicted).abs()))
}

fn known(values: impl Iterator<Item = f64>) -> Vec<f64> {
    values.filter(|value| !value.is_nan()).collect()
}

/// The middle of some values, or what lies between the two of them.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.saturating_sub(1)), at(half)) }
}

/// The smallest value that `share` of the values do not exceed.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    #![expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place"
    )]
    let place = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    if place >= values.len() {
        return f64::NAN;
    }
    *values.select_nth_unstable_by(place, f64::total_cmp).1
}
