//! A forecast that somebody asks for: a whole series at once, by the same model, kept nowhere.
//!
//! Intervals and seasons are made out from the series: the usual distance between values, days and weeks. Each forecast
//! of the past is made by what was known so many intervals before, so that the band says what such forecasts miss by.

use std::sync::Arc;

use headwater_base::{Micros, Problem};
use headwater_kernel::port::forecast::Ahead;

use crate::holidays::Holidays;
use crate::model::{self, CYCLES_MIN};
use crate::series::Series;
use crate::shape::{Missing, Shape, Side};

/// The most intervals of a series, and so what is kept of it.
const INTERVALS_MAX: i64 = 1_000_000;
/// The most intervals ahead.
const AHEAD_MAX: usize = 10_000;
/// The most values that forecasts may be compared with: each looks at a whole season, on a thread that nothing ends.
const COMPARED_MAX: i64 = 500_000_000;
/// How many of the longest season count.
const CYCLES_MAX: i64 = 53;
const DAY: i64 = 86_400_000_000;

/// Tells what `ahead` intervals behind the last value will bring. Values come in any order; of several at one time the
/// last counts.
///
/// # Errors
/// `HW-WATCH-030` for a series that is too short, too long or too sparse, or a way ahead that is too far; 061 for one of
/// so many intervals a season that telling it takes too long.
pub fn explore(mut values: Vec<(Micros, f64)>, ahead: usize) -> Result<Vec<Ahead>, Problem> {
    values.retain(|(_, value)| value.is_finite());
    values.sort_by_key(|(time, _)| *time);
    values.reverse();
    values.dedup_by_key(|(time, _)| *time);
    values.reverse();
    let (Some((first, _)), Some((last, _))) = (values.first().copied(), values.last().copied()) else {
        return Err(untold("there is no value"));
    };
    let interval = interval(&values).ok_or_else(|| untold("there is one moment only"))?;
    // Times are whatever a statement gives: two of them may be further apart than a number holds.
    let index = |time: Micros| time.0.saturating_sub(first.0).saturating_add(interval / 2).div_euclid(interval);
    let intervals = index(last).saturating_add(1);
    if intervals > INTERVALS_MAX {
        return Err(untold(&format!("{intervals} intervals are more than {INTERVALS_MAX}")));
    }
    let seasons = seasons(interval);
    let long = seasons.last().copied().unwrap_or(1);
    if ahead == 0 || ahead > AHEAD_MAX || i64::try_from(ahead).is_ok_and(|ahead| ahead > long.max(CYCLES_MAX)) {
        let fact = format!("{ahead} intervals ahead: it can be 1 to {}", long.max(CYCLES_MAX).min(AHEAD_MAX as i64));
        return Err(untold(&fact));
    }
    let least = i64::try_from(CYCLES_MIN).unwrap_or(i64::MAX);
    let horizon = i64::try_from(ahead).unwrap_or(i64::MAX);
    // The first seasons tell nothing yet, and cost nothing.
    let short = seasons.first().copied().unwrap_or(1);
    let forecasts = (intervals - short.saturating_mul(least)).max(0) + horizon;
    if forecasts.saturating_mul(long) > COMPARED_MAX {
        return Err(laborious(forecasts, long));
    }
    let shape = Shape {
        interval_micros: interval,
        cycles: (intervals / long).clamp(least, CYCLES_MAX) + horizon / long,
        seasons,
        horizon,
        width: 2.0,
        tolerance: 0.0,
        sustain: 1,
        side: Side::Both,
        missing: Missing::Unknown,
        holidays: Holidays::default(),
    };
    let mut series = Series::new(Arc::new(shape.clone()), -1);
    let mut left = values.iter().peekable();
    for at in 0..intervals {
        let mut value = None;
        while let Some((_, found)) = left.next_if(|(time, _)| index(*time) <= at) {
            value = Some(*found);
        }
        series.close(value);
    }
    let told: Vec<Ahead> = (intervals..intervals + horizon)
        .filter_map(|at| {
            let told = model::tell(&series, &shape, at)?;
            let half = told.half(&shape);
            let time = Micros(first.0.saturating_add(at.saturating_mul(interval)));
            Some(Ahead { time, predicted: told.predicted(), half: (!half.is_nan()).then_some(half) })
        })
        .collect();
    if told.is_empty() {
        let fact = format!(
            "{intervals} intervals are too few: the shortest season of {} is wanted {CYCLES_MIN} times",
            shape.short()
        );
        return Err(untold(&fact));
    }
    Ok(told)
}

/// The usual distance between moments.
fn interval(values: &[(Micros, f64)]) -> Option<i64> {
    let mut distances: Vec<i64> =
        values.iter().zip(values.iter().skip(1)).map(|(one, next)| next.0.0.saturating_sub(one.0.0)).collect();
    let half = distances.len().checked_sub(1)? / 2;
    Some(*distances.select_nth_unstable(half).1)
}

/// Days and weeks, as far as intervals divide them, and a series can have enough of them; years of months; else no season
/// but the interval itself.
fn seasons(interval: i64) -> Vec<i64> {
    let least = i64::try_from(CYCLES_MIN).unwrap_or(i64::MAX);
    let whole = [DAY, 7 * DAY].into_iter().filter(|span| span % interval == 0 && *span > interval);
    // What is kept is some of the longest season: of a week in microseconds that would be more than any memory.
    let seasons: Vec<i64> = whole.map(|span| span / interval).filter(|it| it * least <= INTERVALS_MAX).collect();
    match seasons.is_empty() {
        true if (28 * DAY..=31 * DAY).contains(&interval) => vec![12],
        true => vec![1],
        false => seasons,
    }
}

fn untold(fact: &str) -> Problem {
    Problem::new("HW-WATCH-030", format!("nothing can be told from the series: {fact}"))
        .help("give one value for each interval over some weeks: `GROUP BY date_trunc('hour', time)` makes such")
}

/// Too much to compare.
fn laborious(forecasts: i64, season: i64) -> Problem {
    let compared = forecasts.saturating_mul(season);
    let fact = format!("{forecasts} forecasts with {season} intervals a season compare {compared} values");
    Problem::new("HW-WATCH-061", format!("{fact}, which is more than {COMPARED_MAX}"))
        .help("give sums by longer intervals, or less of the past: `GROUP BY date_trunc('hour', time)` makes such")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// Hours of `weeks` weeks, whose value is of the hour of the day, with a little that repeats nowhere.
    fn hours(weeks: i64) -> Vec<(Micros, f64)> {
        let value = |hour: i64| (hour % 24) as f64 * 10.0 + 100.0 + (hour * 7_919 % 13) as f64 * 0.1;
        (0..weeks * 168).map(|hour| (Micros(hour * HOUR), value(hour))).collect()
    }

    #[test]
    fn the_next_day_is_like_the_days_before() {
        let told = explore(hours(5), 24).unwrap();
        assert_eq!(told.len(), 24);
        for (hour, ahead) in (5 * 168..).zip(&told) {
            assert_eq!(ahead.time, Micros(hour * HOUR));
            let expected = (hour % 24) as f64 * 10.0 + 100.6;
            assert!((ahead.predicted - expected).abs() < 2.0, "{ahead:?} of {expected}");
            assert!(ahead.half.is_some_and(|half| half > 0.0 && half < 10.0), "{ahead:?}");
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter_and_gaps_are_bridged() {
        let mut values = hours(5);
        let told = explore(values.clone(), 5).unwrap();
        values.reverse();
        let doubled: Vec<_> = values.iter().flat_map(|one| [*one, *one]).collect();
        assert_eq!(explore(doubled, 5).unwrap(), told);
        values.retain(|(time, _)| time.0 % (11 * HOUR) != 0);
        let gaps = explore(values, 5).unwrap();
        assert!(gaps.iter().zip(&told).all(|(one, other)| (one.predicted - other.predicted).abs() < 3.0), "{gaps:?}");
    }

    #[test]
    fn a_series_whose_seasons_have_too_many_intervals_is_refused_before_it_is_told() {
        let seconds: Vec<_> = (0..4 * 86_400).map(|second| (Micros(second * 1_000_000), 1.0)).collect();
        let problem = explore(seconds, 60).unwrap_err();
        assert_eq!(problem.code, "HW-WATCH-061");
        let fact =
            "86460 forecasts with 86400 intervals a season compare 7470144000 values, which is more than 500000000";
        assert_eq!(problem.title, fact);
        // A day of them is no season yet.
        let day: Vec<_> = (0..86_400).map(|second| (Micros(second * 1_000_000), 1.0)).collect();
        assert_eq!(explore(day, 60).unwrap_err().code, "HW-WATCH-030");
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        for (values, ahead) in [
            (Vec::new(), 1),
            (vec![(Micros(0), 1.0)], 1),
            (hours(1).into_iter().take(30).collect(), 1),
            (hours(5), 0),
            (hours(5), 169),
            (vec![(Micros(0), 1.0), (Micros(1), 1.0), (Micros(2), 1.0), (Micros(DAY), 1.0)], 1),
            (vec![(Micros(i64::MIN), 1.0), (Micros(i64::MAX), 1.0)], 1),
            (vec![(Micros(i64::MIN), 1.0), (Micros(i64::MAX - 1), 1.0), (Micros(i64::MAX), 1.0)], 1),
        ] {
            assert_eq!(explore(values, ahead).unwrap_err().code, "HW-WATCH-030");
        }
        // A series of moments so close that nobody has three days of it has no season.
        let dense: Vec<_> = (0..3).map(|at| (Micros(at), 5.0)).collect();
        assert_eq!(explore(dense, 2).unwrap().iter().map(|it| it.predicted).collect::<Vec<_>>(), [5.0, 5.0]);
        // Days have weeks for a season, and what fits nothing is told from what came last.
        let days: Vec<_> = (0..70).map(|day| (Micros(day * DAY), (day % 7) as f64)).collect();
        assert_eq!(explore(days, 3).unwrap().iter().map(|it| it.predicted).collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
        let odd: Vec<_> = (0..40).map(|at| (Micros(at * 7_000_001), 5.0)).collect();
        assert_eq!(explore(odd, 2).unwrap().iter().map(|it| it.predicted).collect::<Vec<_>>(), [5.0, 5.0]);
    }
}
