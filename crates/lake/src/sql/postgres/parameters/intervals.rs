//! Intervals as text: months, days and nanoseconds, each of them counted exactly.
//!
//! PostgreSQL's months and days are not of one length, so nothing is made of another here but fractions: half a year is six
//! months, half a month fifteen days, half a day twelve hours. What it is NOT: a way around 64 bits; hours, minutes and
//! seconds are nanoseconds in the engine, of which it holds 292 years.
//!
//! # Source
//! PostgreSQL 17, "Interval Input"; `DecodeInterval` and `deltatktbl` in `src/backend/utils/adt/datetime.c`.

const NANOS: i128 = 1_000_000_000;
const DAY_NANOS: i128 = 86_400 * NANOS;
/// Days of a month, where one is cut.
const MONTH_DAYS: i128 = 30;
/// Digits in front of a point that are read; no more are in range.
const DIGITS_MAX: usize = 18;

/// What an interval says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Nanoseconds.
    pub nanos: i64,
}

/// Why a text makes no interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is none.
    Unreadable,
    /// It is more than an interval holds here.
    Far,
}

/// What a unit counts.
#[derive(Clone, Copy)]
enum Unit {
    Years(i128),
    Months,
    Days(i128),
    Nanos(i128),
}

impl Unit {
    fn of(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" | "microsecon" => {
                Self::Nanos(1_000)
            }
            "ms" | "msec" | "msecs" | "mseconds" | "millisecond" | "milliseconds" | "millisecon" => {
                Self::Nanos(1_000_000)
            }
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Nanos(NANOS),
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Nanos(60 * NANOS),
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Nanos(3_600 * NANOS),
            "d" | "day" | "days" => Self::Days(1),
            "w" | "week" | "weeks" => Self::Days(7),
            "mon" | "mons" | "month" | "months" => Self::Months,
            "y" | "yr" | "yrs" | "year" | "years" => Self::Years(1),
            "dec" | "decs" | "decade" | "decades" => Self::Years(10),
            "c" | "cent" | "century" | "centuries" => Self::Years(100),
            "mil" | "mils" | "millennium" | "millennia" => Self::Years(1_000),
            _ => return None,
        })
    }
}

/// Months, days and nanoseconds as far as they have been read.
#[derive(Clone, Copy, Default)]
struct Sum {
    months: i128,
    days: i128,
    nanos: i128,
}

impl Sum {
    /// Adds a number, in billionths, of a unit. They have 28 digits and the largest unit 13, so that 128 bits hold them but
    /// for texts that are out of range anyway.
    fn add(&mut self, billionths: i128, unit: Unit) -> Result<(), Refused> {
        let times = |factor: i128| billionths.checked_mul(factor).ok_or(Refused::Far);
        match unit {
            // To the nearest month.
            Unit::Years(years) => {
                let months = times(years * 12)?;
                self.months += months / NANOS + (months % NANOS) / (NANOS / 2);
            }
            Unit::Months => {
                let days = billionths % NANOS * MONTH_DAYS;
                self.months += billionths / NANOS;
                self.days += days / NANOS;
                self.nanos += days % NANOS * (DAY_NANOS / NANOS);
            }
            Unit::Days(days) => {
                let days = times(days)?;
                self.days += days / NANOS;
                self.nanos += days % NANOS * (DAY_NANOS / NANOS);
            }
            Unit::Nanos(nanos) => self.nanos += times(nanos)? / NANOS,
        }
        Ok(())
    }

    fn negated(self) -> Self {
        Self { months: -self.months, days: -self.days, nanos: -self.nanos }
    }

    fn held(self) -> Result<Interval, Refused> {
        let far = |_| Refused::Far;
        Ok(Interval {
            months: self.months.try_into().map_err(far)?,
            days: self.days.try_into().map_err(far)?,
            nanos: self.nanos.try_into().map_err(far)?,
        })
    }
}

/// What a text says: `1 year 2 mons -3 days 04:05:06.7`, `@ 1 hour ago`, `1-2 3 4:05`, `P1Y2M3DT4H5M6.7S`.
///
/// # Errors
/// Why it says none.
pub fn written(text: &str) -> Result<Interval, Refused> {
    let text = text.trim();
    if text.trim_start_matches('-').eq_ignore_ascii_case("infinity") {
        return Err(Refused::Far);
    }
    match text.strip_prefix(['P', 'p']) {
        Some(designated) => designated_by(designated),
        None => in_words(text.strip_prefix('@').unwrap_or(text)),
    }
}

/// With a letter behind each number.
fn designated_by(mut text: &str) -> Result<Interval, Refused> {
    let (mut sum, mut is_time, mut is_any) = (Sum::default(), false, false);
    while !text.is_empty() {
        if let Some(rest) = text.strip_prefix(['T', 't']).filter(|_| !is_time) {
            (text, is_time) = (rest, true);
            continue;
        }
        let (number, rest) = number(text);
        let mut letters = rest.chars();
        let unit = match (letters.next().map(|letter| letter.to_ascii_uppercase()), is_time) {
            (Some('Y'), false) => Unit::Years(1),
            (Some('M'), false) => Unit::Months,
            (Some('W'), false) => Unit::Days(7),
            (Some('D'), false) => Unit::Days(1),
            (Some('H'), true) => Unit::Nanos(3_600 * NANOS),
            (Some('M'), true) => Unit::Nanos(60 * NANOS),
            (Some('S'), true) => Unit::Nanos(NANOS),
            _ => return Err(Refused::Unreadable),
        };
        sum.add(billionths(number)?, unit)?;
        (text, is_any) = (letters.as_str(), true);
    }
    if is_any { sum.held() } else { Err(Refused::Unreadable) }
}

/// With a word behind each number, or none behind those of a day's time.
fn in_words(text: &str) -> Result<Interval, Refused> {
    let (mut sum, mut is_any, mut text) = (Sum::default(), false, text.trim_start());
    while !text.is_empty() {
        if is_any && text.eq_ignore_ascii_case("ago") {
            return sum.negated().held();
        }
        let (said, rest) = number(text);
        let (word, behind) = word(rest.trim_start());
        if said.contains(':') {
            sum.nanos += clock(said)?;
            text = rest.trim_start();
        } else if let Some((years, months)) = years_and_months(said) {
            let months =
                billionths(years)?.checked_mul(12).and_then(|all| all.checked_add(months)).ok_or(Refused::Far)?;
            sum.add(months, Unit::Months)?;
            text = rest.trim_start();
        } else if word.is_empty() || (behind.trim().is_empty() && word.eq_ignore_ascii_case("ago")) {
            // Days before a time, and seconds at the end.
            let is_before_time = rest.starts_with(char::is_whitespace) && number(rest.trim_start()).0.contains(':');
            let is_last = rest.trim().is_empty() || !word.is_empty();
            let unit = match (is_before_time, is_last) {
                (true, _) => Unit::Days(1),
                (false, true) => Unit::Nanos(NANOS),
                (false, false) => return Err(Refused::Unreadable),
            };
            sum.add(billionths(said)?, unit)?;
            text = rest.trim_start();
        } else {
            sum.add(billionths(said)?, Unit::of(word).ok_or(Refused::Unreadable)?)?;
            text = behind.trim_start();
        }
        is_any = true;
    }
    if is_any { sum.held() } else { Err(Refused::Unreadable) }
}

/// The signs, digits, points and colons that a text begins with, and what is behind them.
fn number(text: &str) -> (&str, &str) {
    let end = text.find(|one: char| !(one.is_ascii_digit() || "+-.:".contains(one))).unwrap_or(text.len());
    text.split_at(end)
}

/// The letters that a text begins with, and what is behind them.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(|one: char| !one.is_ascii_alphabetic()).unwrap_or(text.len());
    text.split_at(end)
}

/// Whether a number is below zero, and its digits.
fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A number with a fraction, in billionths; what is smaller is left out.
fn billionths(text: &str) -> Result<i128, Refused> {
    let (is_negative, digits) = signed(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if whole.len() + part.len() == 0 || !are_digits(whole) || !are_digits(part) {
        return Err(Refused::Unreadable);
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > DIGITS_MAX {
        return Err(Refused::Far);
    }
    let part: String = part.chars().chain(std::iter::repeat('0')).take(9).collect();
    let number: i128 = format!("0{whole}{part}").parse().map_err(|_| Refused::Unreadable)?;
    Ok(if is_negative { -number } else { number })
}

/// Years, and billionths of months with the sign of those, of `1-2`.
fn years_and_months(text: &str) -> Option<(&str, i128)> {
    let (is_negative, digits) = signed(text);
    let (years, months) = digits.split_once('-')?;
    let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let months: i128 = months.parse().ok().filter(|count| is_whole(months) && is_whole(years) && *count < 12)?;
    let years = text.get(..text.len() - digits.len() + years.len())?;
    Some((years, if is_negative { -months * NANOS } else { months * NANOS }))
}

/// The nanoseconds of hours, minutes and seconds; of minutes and seconds where there are two numbers and a fraction.
fn clock(text: &str) -> Result<i128, Refused> {
    let (is_negative, digits) = signed(text);
    let parts: Vec<&str> = digits.split(':').collect();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [minutes, seconds] if seconds.contains('.') => ("0", *minutes, *seconds),
        [hours, minutes] => (*hours, *minutes, "0"),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return Err(Refused::Unreadable),
    };
    let whole = |text: &str| if text.contains(['.', '-', '+']) { Err(Refused::Unreadable) } else { billionths(text) };
    let (hours, minutes) = (whole(hours)?, whole(minutes)?);
    let seconds = if seconds.contains(['-', '+']) { Err(Refused::Unreadable) } else { billionths(seconds) }?;
    // As for a time of day, a minute may have a second more.
    if minutes >= 60 * NANOS || seconds >= 61 * NANOS {
        return Err(Refused::Far);
    }
    let nanos = hours * 3_600 + minutes * 60 + seconds;
    Ok(if is_negative { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn of(months: i32, days: i32, nanos: i64) -> Result<Interval, Refused> {
        Ok(Interval { months, days, nanos })
    }

    #[test]
    fn intervals_say_what_they_say_in_postgresql() {
        for (text, expected) in [
            ("1 year 2 mons 3 days 04:05:06.7", of(14, 3, 4 * HOUR + 5 * 60_000_000_000 + 6_700_000_000)),
            ("-1 year -2 mons +3 days -04:05:06", of(-14, 3, -(4 * HOUR + 306_000_000_000))),
            ("00:00:00", of(0, 0, 0)),
            ("@ 1 hour 30 mins ago", of(0, 0, -HOUR / 2 * 3)),
            ("1day 2h", of(0, 1, 2 * HOUR)),
            ("1.5 days", of(0, 1, 12 * HOUR)),
            ("-1.5 months", of(-1, -15, 0)),
            ("1.5 years", of(18, 0, 0)),
            ("2 weeks", of(0, 14, 0)),
            ("1 century", of(1_200, 0, 0)),
            ("1-2", of(14, 0, 0)),
            ("-1-2 3 4:05", of(-14, 3, 4 * HOUR + 300_000_000_000)),
            ("3 4:05:06", of(0, 3, 4 * HOUR + 306_000_000_000)),
            ("10", of(0, 0, 10_000_000_000)),
            ("1:2.5", of(0, 0, 62_500_000_000)),
            ("00:00:60.5", of(0, 0, 60_500_000_000)),
            ("0.000001 s", of(0, 0, 1_000)),
            ("5 us", of(0, 0, 5_000)),
            ("P1Y2M3DT4H5M6.7S", of(14, 3, 4 * HOUR + 306_700_000_000)),
            ("P-1W", of(0, -7, 0)),
            ("PT36H", of(0, 0, 36 * HOUR)),
            ("178956970 years 7 mons", of(i32::MAX, 0, 0)),
            ("2147483647 days", of(0, i32::MAX, 0)),
            ("2562047 hours", of(0, 0, 2_562_047 * HOUR)),
            ("2562048 hours", Err(Refused::Far)),
            ("-2562048 hours", Err(Refused::Far)),
            ("9000000000 seconds 9000000000 seconds", Err(Refused::Far)),
            ("3000000:00:00", Err(Refused::Far)),
            ("178956971 years", Err(Refused::Far)),
            ("2147483648 days", Err(Refused::Far)),
            ("99999999999999999999999 s", Err(Refused::Far)),
            ("999999999999999999 millennia", Err(Refused::Far)),
            ("00:60", Err(Refused::Far)),
            ("00:00:61", Err(Refused::Far)),
            ("infinity", Err(Refused::Far)),
            ("-infinity", Err(Refused::Far)),
            ("", Err(Refused::Unreadable)),
            ("ago", Err(Refused::Unreadable)),
            ("1 fortnight", Err(Refused::Unreadable)),
            ("1 2", Err(Refused::Unreadable)),
            ("day", Err(Refused::Unreadable)),
            ("1--2", Err(Refused::Unreadable)),
            ("1:2:3:4", Err(Refused::Unreadable)),
            ("P", Err(Refused::Unreadable)),
            ("PT", Err(Refused::Unreadable)),
            ("P1H", Err(Refused::Unreadable)),
            ("1 day ago 2 h", Err(Refused::Unreadable)),
        ] {
            assert_eq!(written(text), expected, "{text}");
        }
    }

    proptest! {
        /// As PostgreSQL writes them.
        #[test]
        fn no_part_is_lost(months in any::<i32>(), days in any::<i32>(), nanos in any::<i64>()) {
            let micros = nanos / 1_000;
            let (sign, seconds) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs() / 1_000_000);
            let text = format!(
                "{} years {} mons {days} days {sign}{:02}:{:02}:{:02}.{:06}",
                months / 12,
                months % 12,
                seconds / 3_600,
                seconds / 60 % 60,
                seconds % 60,
                micros.unsigned_abs() % 1_000_000,
            );
            prop_assert_eq!(written(&text), of(months, days, micros * 1_000), "{}", text);
        }

        #[test]
        fn no_text_is_too_odd(text in "[-+@.:0-9 PTYMDHSagodyus]{0,24}|\\PC{0,16}") {
            let _ = written(&text);
        }
    }
}
