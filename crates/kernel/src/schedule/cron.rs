//! The six fields of a cron expression: minutes, hours, day of month, month, day of week, year.
//!
//! Either of the two days is `?`. `L` is the last day of a month or, behind a weekday, its last one (`6L`: the last
//! Friday); `15W` is the weekday nearest to the 15th within the month; `6#3` is the third Friday. 1 is Sunday.

use chrono::{DateTime, Datelike, NaiveDate};
use chrono_tz::Tz;
use headwater_base::Micros;

use super::instant;

const YEARS: (u32, u32) = (1970, 2199);
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A set of small numbers, a bit for each; years count from 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Numbers([u64; 4]);

/// A checked cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: Numbers,
    hours: Numbers,
    months: Numbers,
    years: Numbers,
    days: Days,
}

/// Which days of a matching month.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    /// Days of the month.
    OfMonth(Vec<MonthDay>),
    /// Weekdays, 1 = Sunday.
    OfWeek(Vec<WeekDay>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MonthDay {
    Each(Numbers),
    Last,
    LastWorkday,
    NearestWorkday(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WeekDay {
    Each(Numbers),
    Last(u32),
    Nth(u32, u32),
}

impl Numbers {
    fn insert(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word |= 1 << (number % 64);
        }
    }

    fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    fn from(&self, first: u32, last: u32) -> impl Iterator<Item = u32> {
        let numbers = *self;
        (first..=last).filter(move |number| numbers.has(*number))
    }
}

/// What a field may hold.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    words: &'static [&'static str],
}

impl Field {
    /// One number or word.
    fn number(self, text: &str) -> Result<u32, String> {
        let word = self.words.iter().zip(self.low..).find(|(word, _)| word.eq_ignore_ascii_case(text));
        let number = match word {
            Some((_, number)) => Some(number),
            None if text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            None => None,
        };
        number.filter(|number| (self.low..=self.high).contains(number)).ok_or_else(|| {
            format!("the {} take {} to {}, not `{}`", self.name, self.low, self.high, super::cut(text).escape_debug())
        })
    }

    /// `*`, `5`, `1-5`, `*/10`, `5/10`, `1-30/2`; a range may go round the end of the hour, day, week or year.
    fn part(self, text: &str, into: &mut Numbers) -> Result<(), String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => {
                let step = step.parse::<u32>().ok().filter(|step| (1..=self.high).contains(step));
                (range, Some(step.ok_or_else(|| format!("a step of the {} is 1 to {}", self.name, self.high))?))
            }
            None => (text, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.low, self.high),
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            None if step.is_some() => (self.number(range)?, self.high),
            None => (self.number(range)?, self.number(range)?),
        };
        let width = self.high - self.low + 1;
        if from > to && self.low == YEARS.0 {
            return Err(format!("the years {from} to {to} go backwards"));
        }
        let to = if from > to { to + width } else { to };
        for number in (from..=to).step_by(step.unwrap_or(1) as usize) {
            let number = if number > self.high { number - width } else { number };
            into.insert(if self.low == YEARS.0 { number - YEARS.0 } else { number });
        }
        Ok(())
    }

    fn all(self, text: &str) -> Result<Numbers, String> {
        let mut numbers = Numbers::default();
        text.split(',').try_for_each(|part| self.part(part, &mut numbers))?;
        Ok(numbers)
    }
}

const MINUTE: Field = Field { name: "minutes", low: 0, high: 59, words: &[] };
const HOUR: Field = Field { name: "hours", low: 0, high: 23, words: &[] };
const MONTH_DAY: Field = Field { name: "days of the month", low: 1, high: 31, words: &[] };
const MONTH: Field = Field { name: "months", low: 1, high: 12, words: &MONTHS };
const WEEK_DAY: Field = Field { name: "days of the week", low: 1, high: 7, words: &DAYS };
const YEAR: Field = Field { name: "years", low: YEARS.0, high: YEARS.1, words: &[] };

impl Cron {
    /// Reads what stands between the brackets.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [minutes, hours, month_day, months, week_day, years] = fields.as_slice() else {
            return Err(format!("a cron expression has 6 fields with one blank between, not {}", fields.len()));
        };
        let days = match (*month_day, *week_day) {
            ("?", "?") => return Err("one of the two days has to say something".to_owned()),
            (month_day, "?") => Days::OfMonth(month_days(month_day)?),
            ("?", week_day) => Days::OfWeek(week_days(week_day)?),
            _ => return Err("one of the two days has to be `?`".to_owned()),
        };
        Ok(Self {
            minutes: MINUTE.all(minutes)?,
            hours: HOUR.all(hours)?,
            months: MONTH.all(months)?,
            years: YEAR.all(years)?,
            days,
        })
    }

    /// The first time after `after`.
    pub(super) fn next(&self, zone: Tz, after: Micros) -> Option<Micros> {
        let local = DateTime::from_timestamp_micros(after.0)?.with_timezone(&zone).naive_local();
        // An hour before: of an hour that comes twice the second pass may lie behind what is wanted.
        let local = local.checked_sub_signed(chrono::Duration::hours(26)).unwrap_or(local);
        let year = u32::try_from(local.year()).unwrap_or(0).max(YEARS.0);
        for year in year..=YEARS.1 {
            if !self.years.has(year - YEARS.0) {
                continue;
            }
            let first = if i64::from(year) == i64::from(local.year()) { local.month() } else { 1 };
            for month in self.months.from(first, 12) {
                let here = year as i32 == local.year() && month == local.month();
                let from = if here { local.day() } else { 1 };
                for day in from..=days_in(year, month) {
                    let date = NaiveDate::from_ymd_opt(year as i32, month, day)?;
                    if self.days.has(date)
                        && let Some(time) = self.on(zone, date, after)
                    {
                        return Some(time);
                    }
                }
            }
        }
        None
    }

    /// The first time after `after` on one day.
    fn on(&self, zone: Tz, date: NaiveDate, after: Micros) -> Option<Micros> {
        // Local times of one day come in order once each counts only the first time.
        let last = date.and_hms_opt(23, 59, 0)?;
        if last.and_utc().timestamp_micros() < after.0.saturating_sub(36 * 3_600 * 1_000_000) {
            return None;
        }
        for hour in self.hours.from(0, 23) {
            for minute in self.minutes.from(0, 59) {
                let time = date.and_hms_opt(hour, minute, 0).and_then(|local| instant(zone, local));
                if let Some(time) = time.filter(|time| *time > after) {
                    return Some(time);
                }
            }
        }
        None
    }

    /// Whether a local minute is one of those meant.
    #[cfg(test)]
    pub(super) fn has(&self, local: chrono::NaiveDateTime) -> bool {
        use chrono::Timelike as _;
        self.minutes.has(local.minute())
            && self.hours.has(local.hour())
            && self.months.has(local.month())
            && u32::try_from(local.year()).is_ok_and(|year| year >= YEARS.0 && self.years.has(year - YEARS.0))
            && self.days.has(local.date())
    }
}

impl Days {
    fn has(&self, date: NaiveDate) -> bool {
        let last = days_in(u32::try_from(date.year()).unwrap_or(YEARS.0), date.month());
        let day = date.day();
        match self {
            Self::OfMonth(days) => days.iter().any(|one| match *one {
                MonthDay::Each(days) => days.has(day),
                MonthDay::Last => day == last,
                MonthDay::LastWorkday => workday(date, last) == Some(day),
                MonthDay::NearestWorkday(wanted) => wanted <= last && workday(date, wanted) == Some(day),
            }),
            Self::OfWeek(days) => {
                let week_day = date.weekday().number_from_sunday();
                days.iter().any(|one| match *one {
                    WeekDay::Each(days) => days.has(week_day),
                    WeekDay::Last(wanted) => week_day == wanted && day + 7 > last,
                    WeekDay::Nth(wanted, nth) => week_day == wanted && day.div_ceil(7) == nth,
                })
            }
        }
    }
}

/// The Monday to Friday nearest to a day of the date's month, within that month.
fn workday(date: NaiveDate, wanted: u32) -> Option<u32> {
    let last = days_in(u32::try_from(date.year()).ok()?, date.month());
    let week_day = date.with_day(wanted)?.weekday().number_from_sunday();
    Some(match week_day {
        7 if wanted > 1 => wanted - 1,
        7 => wanted + 2,
        1 if wanted < last => wanted + 1,
        1 => wanted - 2,
        _ => wanted,
    })
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn month_days(text: &str) -> Result<Vec<MonthDay>, String> {
    let one = |part: &str| match part {
        "L" => Ok(MonthDay::Last),
        "LW" => Ok(MonthDay::LastWorkday),
        _ => match part.strip_suffix('W') {
            Some(day) => MONTH_DAY.number(day).map(MonthDay::NearestWorkday),
            None => MONTH_DAY.all(part).map(MonthDay::Each),
        },
    };
    text.split(',').map(one).collect()
}

fn week_days(text: &str) -> Result<Vec<WeekDay>, String> {
    let one = |part: &str| {
        if part == "L" {
            return WEEK_DAY.all("7").map(WeekDay::Each);
        }
        if let Some((day, nth)) = part.split_once('#') {
            let nth = nth.parse::<u32>().ok().filter(|nth| (1..=5).contains(nth));
            return Ok(WeekDay::Nth(WEEK_DAY.number(day)?, nth.ok_or("a month has at most 5 of a weekday")?));
        }
        match part.strip_suffix('L') {
            Some(day) => WEEK_DAY.number(day).map(WeekDay::Last),
            None => WEEK_DAY.all(part).map(WeekDay::Each),
        }
    };
    text.split(',').map(one).collect()
}
