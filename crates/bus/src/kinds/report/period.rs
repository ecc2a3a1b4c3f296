//! `PeriodSpec`: times of a calendar, such as the week before the one in which a report is due. Pure.
//!
//! Invariant: days begin on the clocks of the report's zone, weeks with Monday (ISO 8601).

use chrono::{Datelike as _, Days, NaiveDate, TimeZone as _};
use chrono_tz::Tz;
use headwater_base::Micros;
use headwater_kernel::schedule::day_begins;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time of the calendar, as seen from when a report is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PeriodSpec {
    /// From midnight to when it is due.
    Today,
    /// The day before.
    Yesterday,
    /// From Monday to when it is due.
    ThisWeek,
    /// The week before, from Monday to Sunday.
    LastWeek,
    /// From the first of the month to when it is due.
    ThisMonth,
    /// The month before.
    LastMonth,
    /// From the first of January, April, July or October to when it is due.
    ThisQuarter,
    /// The quarter before.
    LastQuarter,
    /// From the first of January to when it is due.
    ThisYear,
    /// The year before.
    LastYear,
}

impl PeriodSpec {
    /// Its first moment, and the first one behind it. None far outside of what calendars have.
    pub fn window(self, zone: Tz, due: Micros) -> Option<(Micros, Micros)> {
        let today = zone.timestamp_micros(due.0).single()?.date_naive();
        let begins = |day: NaiveDate| day_begins(zone, i64::from(day.to_epoch_days()));
        let first = self.first_day(today)?;
        if self.is_over() {
            return Some((begins(self.first_day(first.pred_opt()?)?)?, begins(first)?));
        }
        Some((begins(first)?, due))
    }

    /// Whether it ends before the day, the week and so on in which the report is due.
    const fn is_over(self) -> bool {
        matches!(self, Self::Yesterday | Self::LastWeek | Self::LastMonth | Self::LastQuarter | Self::LastYear)
    }

    /// The first day of the day, the week and so on that `day` belongs to.
    fn first_day(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Today | Self::Yesterday => Some(day),
            Self::ThisWeek | Self::LastWeek => {
                day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday())))
            }
            Self::ThisMonth | Self::LastMonth => day.with_day(1),
            Self::ThisQuarter | Self::LastQuarter => NaiveDate::from_ymd_opt(day.year(), day.month0() / 3 * 3 + 1, 1),
            Self::ThisYear | Self::LastYear => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, due: &str, period: &str, expected: [&str; 2]) {
        let period: PeriodSpec = serde_json::from_value(period.into()).unwrap();
        let (from, to) = period.window(zone.parse().unwrap(), Micros::parse_rfc3339(due).unwrap()).unwrap();
        assert_eq!([from.to_string(), to.to_string()], expected, "{period:?} of {due} in {zone}");
    }

    #[test]
    fn each_period_is_that_of_the_zone() {
        // A Monday in Zürich, where it is still Sunday in New York.
        let due = "2026-03-02T04:30:00Z";
        for (period, from, to) in [
            ("today", "2026-03-01T23:00:00Z", due),
            ("yesterday", "2026-02-28T23:00:00Z", "2026-03-01T23:00:00Z"),
            ("thisWeek", "2026-03-01T23:00:00Z", due),
            ("lastWeek", "2026-02-22T23:00:00Z", "2026-03-01T23:00:00Z"),
            ("thisMonth", "2026-02-28T23:00:00Z", due),
            ("lastMonth", "2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z"),
            ("thisQuarter", "2025-12-31T23:00:00Z", due),
            ("lastQuarter", "2025-09-30T22:00:00Z", "2025-12-31T23:00:00Z"),
            ("thisYear", "2025-12-31T23:00:00Z", due),
            ("lastYear", "2024-12-31T23:00:00Z", "2025-12-31T23:00:00Z"),
        ] {
            check("Europe/Zurich", due, period, [from, to]);
        }
        check("America/New_York", due, "lastWeek", ["2026-02-16T05:00:00Z", "2026-02-23T05:00:00Z"]);
    }

    #[test]
    fn days_on_which_the_clocks_change_are_as_long_as_they_are() {
        // 23 and 25 hours, and a day that begins at one because the clocks leap over midnight.
        let zurich = |due, expected| check("Europe/Zurich", due, "yesterday", expected);
        zurich("2026-03-30T06:00:00Z", ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]);
        zurich("2026-10-26T06:00:00Z", ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
        let cairo = ["2026-04-23T22:00:00Z", "2026-04-24T12:00:00Z"];
        check("Africa/Cairo", cairo[1], "today", cairo);
    }
}
