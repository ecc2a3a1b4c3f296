//! Schedule expressions: `rate(5 minutes)`, `cron(0 18 ? * MON-FRI *)`, `at(2026-12-24T18:00:00)`, and when they are
//! due next in a time zone.
//!
//! What it is NOT: it reads no clock and starts nothing; the scheduler asks it.
//!
//! Days on which the clocks change: a local time that does not exist is left out, one that comes twice counts the first
//! time. A rate counts hours that pass, whatever the clocks say.
//!
//! Source: "Amazon EventBridge Scheduler, schedule types" and the recorded answers of both services, which word a refusal
//! differently.

mod cron;

use std::time::Duration;

use chrono::{LocalResult, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use headwater_base::time::civil_from_days;
use headwater_base::{Micros, Problem, closest};

pub use cron::Cron;

/// The longest expression.
const TEXT_BYTES_MAX: usize = 256;
const MINUTE: u64 = 60;
/// How far behind a midnight the first moment of its day is looked for: a zone has left out a whole day before.
const QUARTERS_MAX: i64 = 26 * 4;

/// Whose expressions: the two services take and refuse slightly different texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A rule's: no `at`, and `1 minute` in the singular.
    Rule,
    /// A schedule's.
    Schedule,
}

/// A checked expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Every so often.
    Rate(Duration),
    /// At these local times.
    Cron(Cron),
    /// Once, at this local time.
    At(NaiveDateTime),
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// `HW-BUS-001` in the words of the service.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, Problem> {
        let inside = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let read = || {
            if text.len() > TEXT_BYTES_MAX {
                return Err(format!("it has more than {TEXT_BYTES_MAX} characters"));
            }
            if let Some(inner) = inside("rate") {
                return rate(inner, dialect).map(Self::Rate);
            }
            if let Some(inner) = inside("cron") {
                return Cron::parse(inner).map(Self::Cron);
            }
            match inside("at") {
                Some(_) if dialect == Dialect::Rule => Err("a rule takes no `at(...)`; a Schedule does".to_owned()),
                Some(inner) => at(inner).map(Self::At),
                None => Err("it is none of `rate(...)`, `cron(...)` and `at(...)`".to_owned()),
            }
        };
        read().map_err(|cause| {
            let fact = match dialect {
                Dialect::Rule => "Parameter ScheduleExpression is not valid.".to_owned(),
                Dialect::Schedule => format!("Invalid Schedule Expression {}.", cut(text)),
            };
            Problem::new("HW-BUS-001", fact)
                .because(cause)
                .help("write `rate(5 minutes)`, `cron(0 18 ? * MON-FRI *)` or `at(2026-12-24T18:00:00)`")
        })
    }

    /// When it is due for the first time after `after`; None when never again. A rate counts from `anchor`.
    pub fn next(&self, zone: Tz, anchor: Micros, after: Micros) -> Option<Micros> {
        match self {
            Self::Rate(every) => {
                let every = i64::try_from(every.as_micros()).ok().filter(|every| *every > 0)?;
                let passed = after.0.saturating_sub(anchor.0).div_euclid(every).saturating_add(1).max(1);
                Some(Micros(anchor.0.checked_add(passed.checked_mul(every)?)?))
            }
            Self::Cron(cron) => cron.next(zone, after),
            Self::At(local) => instant(zone, *local).filter(|time| *time > after),
        }
    }
}

/// A time zone by its IANA name.
///
/// # Errors
/// `HW-BUS-002` with the nearest name.
pub fn zone(name: &str) -> Result<Tz, Problem> {
    name.parse().map_err(|_| {
        let near = closest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        Problem::new("HW-BUS-002", format!("there is no time zone `{}`", cut(name)))
            .help(format!("{near}write an IANA name such as `UTC` or `Europe/Zurich`"))
    })
}

/// When a day, counted from 1970-01-01, begins on the clocks of a zone: at midnight, or with the first quarter of an
/// hour behind it where they leap over that. None far outside of what calendars have.
pub fn day_begins(zone: Tz, day: i64) -> Option<Micros> {
    let (year, month, date) = civil_from_days(day);
    let (month, date) = (u32::try_from(month).ok()?, u32::try_from(date).ok()?);
    let midnight = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, date)?.and_hms_opt(0, 0, 0)?;
    let behind = |quarter: i64| midnight.checked_add_signed(chrono::Duration::minutes(15 * quarter));
    (0..QUARTERS_MAX).find_map(|quarter| instant(zone, behind(quarter)?))
}

/// The instant of a local time: none where the clocks leap over it, the first where it comes twice.
fn instant(zone: Tz, local: NaiveDateTime) -> Option<Micros> {
    match zone.from_local_datetime(&local) {
        LocalResult::None => None,
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Some(Micros(time.timestamp_micros())),
    }
}

fn rate(inner: &str, dialect: Dialect) -> Result<Duration, String> {
    let form = || "a rate is `VALUE UNIT` with one blank, such as `5 minutes`".to_owned();
    let (value, unit) = inner.split_once(' ').ok_or_else(form)?;
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(form());
    }
    let count: u64 = value.parse().map_err(|_| format!("the value `{value}` is too large"))?;
    let (singular, seconds) = match unit.strip_suffix('s').unwrap_or(unit) {
        "minute" => (!unit.ends_with('s'), MINUTE),
        "hour" => (!unit.ends_with('s'), 60 * MINUTE),
        "day" => (!unit.ends_with('s'), 24 * 60 * MINUTE),
        _ => return Err("the unit is `minutes`, `hours` or `days`".to_owned()),
    };
    if dialect == Dialect::Rule && singular != (count == 1) {
        return Err("the unit is in the singular for 1, else in the plural".to_owned());
    }
    // A hundred years are beyond every use and far from every overflow.
    match count.checked_mul(seconds) {
        Some(seconds) if count > 0 && seconds <= 100 * 366 * 24 * 60 * MINUTE => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("the value `{value}` is not between 1 and 100 years")),
    }
}

fn at(inner: &str) -> Result<NaiveDateTime, String> {
    let form = || "a time is `yyyy-mm-ddThh:mm:ss` without a zone".to_owned();
    if inner.len() != 19 {
        return Err(form());
    }
    NaiveDateTime::parse_from_str(inner, "%Y-%m-%dT%H:%M:%S").map_err(|_| form())
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests;
