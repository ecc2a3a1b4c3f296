//! `Holidays`: days that are of their own kind, as intervals.
//!
//! What it is NOT: a calendar of any country, or a reader of one. Dates come from a spec (`kinds/forecast/calendar.rs`);
//! here they are ranges of intervals, each with the way back to the weekday that such a day is like.
//!
//! Invariant: ranges are in their order and have nothing in common, so that a search by halves finds the one.

use std::sync::Arc;

use headwater_base::Micros;

use crate::shape::Index;

/// A day as the events' clock has it.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// A day of its own kind, in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// When it begins.
    pub begins: Micros,
    /// When the next day begins.
    pub ends: Micros,
    /// So many days before it was the weekday that it is like; 0 where it is such a day itself.
    pub days_back: i64,
    /// What it is called.
    pub name: Arc<str>,
}

/// A day of its own kind, in intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// The first interval that begins in it.
    pub from: Index,
    /// The first interval behind it.
    pub to: Index,
    /// So many intervals before each of its own was the same moment of the weekday that it is like.
    pub back: i64,
    /// What it is called.
    pub name: Arc<str>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holidays(Vec<Holiday>);

impl Holidays {
    /// These days, cut into intervals; an interval belongs to the day in which it begins.
    pub fn new(days: impl IntoIterator<Item = Day>, interval_micros: i64) -> Self {
        let interval = interval_micros.max(1);
        let first = |time: Micros| time.0.div_euclid(interval) + i64::from(time.0.rem_euclid(interval) != 0);
        let mut all: Vec<Holiday> = days
            .into_iter()
            .map(|day| Holiday {
                from: first(day.begins),
                to: first(day.ends),
                back: day.days_back * (DAY_MICROS / interval),
                name: day.name,
            })
            .filter(|holiday| holiday.from < holiday.to)
            .collect();
        all.sort_by_key(|holiday| holiday.from);
        all.dedup_by_key(|holiday| holiday.from);
        Self(all)
    }

    /// The one that an interval belongs to.
    pub fn at(&self, index: Index) -> Option<&Holiday> {
        let place = self.0.partition_point(|holiday| holiday.to <= index);
        self.0.get(place).filter(|holiday| holiday.from <= index)
    }

    /// Whether an interval belongs to none.
    pub fn is_ordinary(&self, index: Index) -> bool {
        self.0.is_empty() || self.at(index).is_none()
    }

    /// Those with an interval in `from..=to`, in their order.
    pub fn within(&self, from: Index, to: Index) -> impl Iterator<Item = &Holiday> {
        let place = self.0.partition_point(|holiday| holiday.to <= from);
        self.0.iter().skip(place).take_while(move |holiday| holiday.from <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn day(begins: i64, hours: i64, name: &str) -> Day {
        Day { begins: Micros(begins), ends: Micros(begins + hours * HOUR), days_back: 2, name: Arc::from(name) }
    }

    #[test]
    fn an_interval_belongs_to_the_day_in_which_it_begins() {
        // The second day begins half an hour past the hour, and has 23 hours.
        let days = [day(100 * HOUR + HOUR / 2, 23, "late"), day(0, 24, "early"), day(0, 24, "twice")];
        let holidays = Holidays::new(days, HOUR);
        let names: Vec<(Index, &str)> = (-2..130)
            .filter_map(|index| holidays.at(index).map(|holiday| (index, &*holiday.name)))
            .filter(|(index, _)| !(1..23).contains(index) && !(102..123).contains(index))
            .collect();
        assert_eq!(names, [(0, "early"), (23, "early"), (101, "late"), (123, "late")]);
        assert!(holidays.is_ordinary(24) && !holidays.is_ordinary(0));
        assert_eq!(holidays.at(5).map(|holiday| holiday.back), Some(48));
        let within = |from, to| holidays.within(from, to).map(|holiday| &*holiday.name).collect::<Vec<_>>();
        assert_eq!(within(23, 101), ["early", "late"]);
        assert_eq!(within(24, 100), [""; 0]);
        assert_eq!(Holidays::default().at(3), None);
    }
}
