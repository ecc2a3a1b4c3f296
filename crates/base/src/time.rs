//! Points in time as microseconds, and the clock everything asks.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Micros(pub i64);

/// From the beginning of year 0 to the end of year 9999, in UTC.
const WRITABLE_SECONDS: Range<i64> = days_from_civil(0, 1, 1) * 86_400..days_from_civil(10_000, 1, 1) * 86_400;

impl Micros {
    /// Before every event.
    pub const MIN: Self = Self(i64::MIN);
    /// After every event.
    pub const MAX: Self = Self(i64::MAX);

    /// From Kafka's and most browsers' milliseconds; saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Whole milliseconds, rounded towards the past.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The point `span` later; saturates.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The point `span` earlier; saturates.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this point; zero when it lies after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Days since 1970-01-01, in UTC.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000_000)
    }

    /// Reads an RFC 3339 time (`2026-11-23T08:00:00.25+01:00`); digits below a microsecond are dropped. None for
    /// anything else, and for what lies outside of the years 0 to 9999 in UTC, so that the caller can say where the text
    /// came from and what is read can be written.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |from: usize, digits: usize| -> Option<i64> {
            let part = bytes.get(from..from + digits)?;
            part.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
        };
        let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|b| set.contains(b));
        if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
        let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let mut at = 19;
        let mut micros = 0;
        if is(at, b".") {
            at += 1;
            let first = at;
            let mut scale = 100_000;
            while let Some(digit) = bytes.get(at).filter(|b| b.is_ascii_digit()) {
                micros += i64::from(digit - b'0') * scale;
                scale /= 10;
                at += 1;
            }
            if at == first {
                return None;
            }
        }
        let offset_minutes = if is(at, b"Zz") {
            at += 1;
            0
        } else if is(at, b"+-") && is(at + 3, b":") {
            let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let sign = if is(at, b"-") { -1 } else { 1 };
            at += 6;
            sign * (hours * 60 + minutes)
        } else {
            return None;
        };
        if at != bytes.len() {
            return None;
        }
        let seconds =
            days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_minutes * 60;
        // An offset can lead out of the years that four digits can write.
        WRITABLE_SECONDS.contains(&seconds).then_some(Self(seconds * 1_000_000 + micros))
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `days_from_civil`).
pub const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The proleptic Gregorian date (year, month, day) of a day since 1970-01-01 (same source, `civil_from_days`).
pub const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Micros {
    /// RFC 3339 in UTC with as many digits as needed: none, 3 or 6.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.day());
        let of_day = self.0.rem_euclid(86_400_000_000);
        let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
        // Rows of windows and sessions hold two or three of these each, and `write!` takes its time over every number.
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |at: usize, digits: usize, number: i64| {
            let mut rest = number.unsigned_abs();
            for place in text.iter_mut().skip(at).take(digits).rev() {
                *place = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        };
        let far = !(0..10_000).contains(&year);
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, seconds / 3_600);
        put(14, 2, seconds / 60 % 60);
        put(17, 2, seconds % 60);
        put(20, 6, micros);
        let end = match micros {
            0 => 19,
            _ if micros % 1_000 == 0 => 23,
            _ => 26,
        };
        if far {
            write!(f, "{year:04}")?;
        }
        let digits = text.get(if far { 4 } else { 0 }..end).unwrap_or_default();
        f.write_str(std::str::from_utf8(digits).unwrap_or_default())?;
        f.write_str("Z")
    }
}

impl fmt::Debug for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("the beginning"),
            Self::MAX => f.write_str("the end"),
            _ => fmt::Display::fmt(self, f),
        }
    }
}

/// Hears that a clock has been moved.
pub type Moved = dyn Fn() + Send + Sync;

/// The clock of a node, passed in wherever time matters.
pub trait Clock: Send + Sync {
    /// The wall clock; may jump.
    fn now(&self) -> Micros;
    /// Time since some fixed point; never goes back. For time-outs and ages.
    fn elapsed(&self) -> Duration;
    /// Has `told` called whenever the clock is moved, for as long as somebody holds that. A clock that goes by itself tells
    /// nobody of its leaps: who sleeps until some time by it looks at it now and then.
    fn on_move(&self, told: Weak<Moved>) {
        drop(told);
    }
}

/// A clock that stands still until it is moved: for tests, and for runs over files, where time is the input's.
#[derive(Default)]
pub struct ManualClock {
    now: AtomicI64,
    elapsed: AtomicI64,
    told: Mutex<Vec<Weak<Moved>>>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Micros) -> Self {
        Self { now: AtomicI64::new(now.0), ..Self::default() }
    }

    /// Moves both of its times forward.
    pub fn advance(&self, span: Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        self.now.fetch_add(micros, Ordering::SeqCst);
        self.elapsed.fetch_add(micros, Ordering::SeqCst);
        self.tell();
    }

    /// Sets the wall clock alone, as an operator or NTP would.
    pub fn set(&self, now: Micros) {
        self.now.store(now.0, Ordering::SeqCst);
        self.tell();
    }

    /// Calls those who asked for it, while nothing is locked: one may ask again.
    fn tell(&self) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<Arc<Moved>> = told.iter().filter_map(Weak::upgrade).collect();
        drop(told);
        for one in all {
            one();
        }
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now()).field("elapsed", &self.elapsed()).finish()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Micros {
        Micros(self.now.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.elapsed.load(Ordering::SeqCst)).unwrap_or(0))
    }

    fn on_move(&self, told: Weak<Moved>) {
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.push(told);
    }
}

#[cfg(test)]
mod tests;
