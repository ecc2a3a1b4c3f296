//! `CalendarSpec`: the holidays of a forecast, written in its spec, in a file, or in tables.
//!
//! What it is NOT: it knows no country's holidays, and reads nothing; [`crate::calendar`] does.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::{Micros, Name, Problem};
use headwater_kernel::schedule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Listed;
use crate::holidays::{DAY_MICROS, Day, Holidays};

/// The most days of a calendar: those of a hundred years.
pub const DAYS_MAX: usize = 10_000;
/// The longest name of a day.
const NAME_BYTES_MAX: usize = 256;

/// Days that are of their own kind: forecast like another weekday, and by what earlier ones brought; ordinary days learn
/// nothing of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CalendarSpec {
    /// The IANA name of the time zone in which they begin and end. Default `UTC`.
    #[serde(default = "utc")]
    pub zone: String,
    /// The days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<DaySpec>,
    /// A CSV file of more days, relative to the node's data folder: `date`, or `date,name`, under a line that says so. It
    /// is read when the forecast starts, and again each minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A Table of more days: a document has the day's date as `day`, and perhaps its `name` and its `group`. It is read
    /// when the forecast starts, and again each minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Name>,
    /// A Dataset of more days, with columns of these names. It is read when the forecast starts, and again each minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Name>,
    /// Only days of this group, such as a country, of the Table and the Dataset. All of them if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The weekday that such a day is like until earlier ones say more. Default `sunday`.
    #[serde(default)]
    pub like: WeekdaySpec,
}

/// A day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DaySpec {
    /// Its date: `2026-12-25`.
    pub date: String,
    /// What it is called. Its date if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A weekday.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WeekdaySpec {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    #[default]
    Sunday,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl CalendarSpec {
    /// Whether days stand outside of the spec, where they may change.
    pub const fn leads_elsewhere(&self) -> bool {
        self.file.is_some() || self.table.is_some() || self.dataset.is_some()
    }

    /// The days of the spec, and `listed`, those that stand elsewhere, as intervals. Where both have a date, the spec's
    /// name for it counts.
    ///
    /// # Errors
    /// `HW-WATCH-040` and `HW-BUS-002`, each with the place below the calendar.
    pub fn holidays(&self, interval_micros: i64, listed: &[Listed]) -> Result<Holidays, Vec<(String, Problem)>> {
        let mut faults = Vec::new();
        let mut fault = |at: String, fact: String| faults.push((at, Problem::new("HW-WATCH-040", fact)));
        if interval_micros <= 0 || DAY_MICROS % interval_micros != 0 {
            fault(String::new(), "holidays are days: a day has to be whole intervals".to_owned());
        }
        let mut dates: BTreeMap<i64, String> = BTreeMap::new();
        for Listed { at, place, date, name } in listed {
            match date_of(date) {
                Some(day) => drop(dates.insert(day, if name.is_empty() { date.clone() } else { name.clone() })),
                // What stands there is not told: a file can be any that the node can read.
                None => {
                    fault((*at).to_owned(), format!("{place} has no date such as `2026-12-25`"));
                    break;
                }
            }
        }
        for (at, day) in self.days.iter().enumerate() {
            let name = day.name.as_ref().unwrap_or(&day.date);
            match date_of(&day.date) {
                Some(date) => drop(dates.insert(date, name.clone())),
                None => fault(format!("/days/{at}/date"), format!("`{}` is no date such as `2026-12-25`", day.date)),
            }
        }
        if self.group.is_some() && self.table.is_none() && self.dataset.is_none() {
            fault("/group".to_owned(), "`group` is of days in a `table` or a `dataset`, and there is none".to_owned());
        }
        if dates.len() > DAYS_MAX {
            fault(String::new(), format!("the calendar has {} days; the limit is {DAYS_MAX}", dates.len()));
        }
        if let Some(name) = dates.values().find(|name| name.len() > NAME_BYTES_MAX) {
            fault(String::new(), format!("a day's name has {} bytes; the limit is {NAME_BYTES_MAX}", name.len()));
        }
        let zone = match schedule::zone(&self.zone) {
            Ok(zone) => zone,
            Err(problem) => {
                faults.push(("/zone".to_owned(), problem));
                return Err(faults);
            }
        };
        let days = dates.into_iter().filter_map(|(date, name)| {
            let (begins, ends) = (schedule::day_begins(zone, date)?, schedule::day_begins(zone, date + 1)?);
            Some(Day { begins, ends, days_back: self.like.days_before(date), name: Arc::from(name) })
        });
        if faults.is_empty() { Ok(Holidays::new(days, interval_micros)) } else { Err(faults) }
    }
}

impl WeekdaySpec {
    /// How many days before `date`, counted from 1970-01-01, the last such weekday was; 0 on one.
    const fn days_before(self, date: i64) -> i64 {
        // 1970-01-01 was a Thursday; weeks begin with Monday here.
        (date + 3 - self as i64).rem_euclid(7)
    }
}

/// A date in days since 1970-01-01.
fn date_of(text: &str) -> Option<i64> {
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if !is_date {
        return None;
    }
    Micros::parse_rfc3339(&format!("{text}T00:00:00Z")).map(Micros::day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn calendar(spec: serde_json::Value) -> CalendarSpec {
        serde_json::from_value(spec).unwrap()
    }

    fn listed(date: &str, name: &str) -> Listed {
        let place = format!("the document `{date}`");
        Listed { at: "/table", place, date: date.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn days_are_those_of_the_zone_and_go_back_to_the_weekday_they_are_like() {
        let spec = calendar(serde_json::json!({
            "zone": "America/New_York", "days": [{"date": "2026-03-08", "name": "clocks"}, {"date": "2026-12-25"}]
        }));
        let elsewhere =
            [listed("2026-12-25", "overruled"), listed("2026-07-04", "Independence"), listed("2026-01-01", "")];
        let holidays = spec.holidays(HOUR, &elsewhere).unwrap();
        let all: Vec<(String, i64, i64, &str)> = holidays
            .within(i64::MIN, i64::MAX)
            .map(|day| (Micros(day.from * HOUR).to_string(), day.to - day.from, day.back / 24, &*day.name))
            .collect();
        assert_eq!(
            all,
            [
                ("2026-01-01T05:00:00Z".to_owned(), 24, 4, "2026-01-01"),
                ("2026-03-08T05:00:00Z".to_owned(), 23, 0, "clocks"),
                ("2026-07-04T04:00:00Z".to_owned(), 24, 6, "Independence"),
                ("2026-12-25T05:00:00Z".to_owned(), 24, 5, "2026-12-25"),
            ]
        );
        let like = |like: &str| calendar(serde_json::json!({"days": [{"date": "2026-12-25"}], "like": like}));
        let back = |word: &str| like(word).holidays(HOUR, &[]).unwrap().at(499_490).map(|day| day.back / 24);
        // A Friday.
        assert_eq!(["monday", "friday", "saturday"].map(back), [Some(4), Some(0), Some(6)]);
    }

    #[test]
    fn each_fault_of_a_calendar_is_told_with_its_place() {
        let spec =
            calendar(serde_json::json!({"zone": "Europe/Zuerich", "days": [{"date": "2026-02-30"}], "group": "CH"}));
        let elsewhere = [listed("2026-01-01", ""), listed("soon", ""), listed("later", "")];
        let faults = spec.holidays(7 * HOUR, &elsewhere).unwrap_err();
        let told: Vec<String> = faults.iter().map(|(at, problem)| format!("{at} {}", problem.title)).collect();
        assert_eq!(
            told,
            [
                " holidays are days: a day has to be whole intervals",
                "/table the document `soon` has no date such as `2026-12-25`",
                "/days/0/date `2026-02-30` is no date such as `2026-12-25`",
                "/group `group` is of days in a `table` or a `dataset`, and there is none",
                "/zone there is no time zone `Europe/Zuerich`",
            ]
        );
    }
}
