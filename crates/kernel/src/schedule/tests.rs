#![allow(clippy::unwrap_used)]

use chrono::{DateTime, Datelike, NaiveDateTime, TimeZone, Timelike, Weekday};
use chrono_tz::Tz;
use headwater_base::Micros;
use proptest::prelude::*;

use super::{Dialect, Expression, day_begins, instant, zone};

fn time(text: &str) -> Micros {
    Micros::parse_rfc3339(text).unwrap()
}

/// The next times of an expression, from one to the next.
fn times(expression: &str, name: &str, after: &str, count: usize) -> Vec<String> {
    let expression = Expression::parse(expression, Dialect::Schedule).unwrap();
    let (zone, mut after) = (zone(name).unwrap(), time(after));
    let anchor = after;
    let mut times = Vec::new();
    while times.len() < count {
        let Some(next) = expression.next(zone, anchor, after) else { break };
        assert!(next > after);
        times.push(next.to_string());
        after = next;
    }
    times
}

#[test]
fn a_day_begins_at_midnight_or_with_what_is_left_of_it() {
    let begins = |name: &str, day: &str| {
        let day = time(&format!("{day}T00:00:00Z")).day();
        day_begins(zone(name).unwrap(), day).unwrap().to_string()
    };
    assert_eq!(begins("UTC", "2026-12-25"), "2026-12-25T00:00:00Z");
    assert_eq!(begins("America/New_York", "2026-12-25"), "2026-12-25T05:00:00Z");
    assert_eq!(begins("America/New_York", "2026-07-03"), "2026-07-03T04:00:00Z");
    // The clocks leapt from midnight to one o'clock.
    assert_eq!(begins("America/Sao_Paulo", "2018-11-04"), "2018-11-04T03:00:00Z");
    // Samoa left the day out, and was on the other side of the date line behind it.
    assert_eq!(begins("Pacific/Apia", "2011-12-30"), begins("Pacific/Apia", "2011-12-31"));
    assert_eq!(day_begins(chrono_tz::UTC, i64::MAX / 2_000), None);
}

#[test]
fn a_rate_counts_from_its_anchor() {
    assert_eq!(
        times("rate(12 hours)", "Europe/Zurich", "2026-03-28T20:00:00Z", 3),
        ["2026-03-29T08:00:00Z", "2026-03-29T20:00:00Z", "2026-03-30T08:00:00Z"]
    );
}

#[test]
fn an_hour_that_does_not_exist_is_left_out() {
    assert_eq!(
        times("cron(30 2 * * ? *)", "Europe/Zurich", "2026-03-27T12:00:00Z", 3),
        ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
    );
}

#[test]
fn an_hour_that_comes_twice_counts_once() {
    assert_eq!(
        times("cron(0,30 2 * * ? *)", "Europe/Zurich", "2026-10-24T12:00:00Z", 3),
        ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z"]
    );
    // Asked in the middle of the second pass.
    assert_eq!(times("cron(0 2 * * ? *)", "Europe/Zurich", "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:00:00Z"]);
}

#[test]
fn days_by_their_place_in_the_month() {
    let at_noon = |days: &str, count| {
        let times = times(&format!("cron(0 12 {days} *)"), "UTC", "2026-01-01T00:00:00Z", count);
        times.iter().map(|time| time.get(5..10).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(at_noon("L * ?", 3), ["01-31", "02-28", "03-31"]);
    assert_eq!(at_noon("LW * ?", 3), ["01-30", "02-27", "03-31"]);
    assert_eq!(at_noon("1W * ?", 3), ["01-01", "02-02", "03-02"]);
    assert_eq!(at_noon("31W * ?", 3), ["01-30", "03-31", "05-29"]);
    assert_eq!(at_noon("? * 6L", 3), ["01-30", "02-27", "03-27"]);
    assert_eq!(at_noon("? * SAT#3", 3), ["01-17", "02-21", "03-21"]);
    assert_eq!(at_noon("? * FRI-MON", 5), ["01-02", "01-03", "01-04", "01-05", "01-09"]);
    assert_eq!(at_noon("29 FEB ?", 2), ["02-29", "02-29"]);
    assert_eq!(at_noon("30 FEB ?", 1), [""; 0]);
}

#[test]
fn a_time_comes_once() {
    assert_eq!(times("at(2026-12-24T18:00:00)", "Europe/Zurich", "2026-01-01T00:00:00Z", 2), ["2026-12-24T17:00:00Z"]);
    assert_eq!(times("at(2026-03-29T02:30:00)", "Europe/Zurich", "2026-01-01T00:00:00Z", 2), [""; 0]);
    let problem = Expression::parse("at(2026-12-24T18:00:00)", Dialect::Rule).unwrap_err();
    assert_eq!(problem.title, "Parameter ScheduleExpression is not valid.");
}

#[test]
fn an_unknown_zone_is_told_with_the_nearest() {
    assert!(zone("Europe/Zürich").unwrap_err().help.unwrap().contains("`Europe/Zurich`"));
}

/// One field of a cron expression, judged from its text alone, by other means than the parser's.
fn field_has(text: &str, value: u32, low: u32, high: u32) -> bool {
    text.split(',').any(|part| {
        let (range, step) = part.split_once('/').map_or((part, 1), |(range, step)| (range, step.parse().unwrap()));
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
            None if range == "*" => (low, high),
            None if part.contains('/') => (range.parse().unwrap(), high),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        value >= from && value <= to && (value - from).is_multiple_of(step)
    })
}

/// Whether a local minute is meant.
fn slow_has(fields: &[String], local: NaiveDateTime) -> bool {
    let date = local.date();
    let last = (28..=31).rev().find(|day| date.with_day(*day).is_some()).unwrap();
    let month_day = match fields[2].as_str() {
        "?" => true,
        "L" => date.day() == last,
        text => match text.strip_suffix('W') {
            // The nearest day that is neither Saturday nor Sunday, looked for in growing circles.
            Some(wanted) => {
                let wanted: u32 = wanted.parse().unwrap();
                let is_workday = |day: i64| {
                    let day = u32::try_from(day).ok().and_then(|day| date.with_day(day))?;
                    (!matches!(day.weekday(), Weekday::Sat | Weekday::Sun)).then_some(day.day())
                };
                date.with_day(wanted).is_some()
                    && (0..3_i64)
                        .find_map(|far| {
                            is_workday(i64::from(wanted) - far).or_else(|| is_workday(i64::from(wanted) + far))
                        })
                        .is_some_and(|day| day == date.day())
            }
            None => field_has(text, date.day(), 1, 31),
        },
    };
    let number = date.weekday().num_days_from_sunday() + 1;
    let week_day = match fields[4].as_str() {
        "?" => true,
        text => match (text.strip_suffix('L'), text.split_once('#')) {
            (Some(wanted), _) => {
                number == wanted.parse::<u32>().unwrap()
                    && date.checked_add_days(chrono::Days::new(7)).unwrap().month() != date.month()
            }
            (_, Some((wanted, nth))) => {
                number == wanted.parse::<u32>().unwrap() && (date.day() - 1) / 7 + 1 == nth.parse::<u32>().unwrap()
            }
            _ => field_has(text, number, 1, 7),
        },
    };
    field_has(&fields[0], local.minute(), 0, 59)
        && field_has(&fields[1], local.hour(), 0, 23)
        && month_day
        && field_has(&fields[3], local.month(), 1, 12)
        && week_day
        && field_has(&fields[5], u32::try_from(local.year()).unwrap(), 1970, 2199)
}

fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
    let number = move || low..=high;
    prop_oneof![
        2 => Just("*".to_owned()),
        2 => number().prop_map(|one| one.to_string()),
        1 => (number(), number()).prop_map(|(one, other)| format!("{one},{other}")),
        1 => (number(), number()).prop_map(|(one, other)| format!("{}-{}", one.min(other), one.max(other))),
        1 => (number(), 1..=high).prop_map(|(from, step)| format!("{from}/{step}")),
        1 => (1..=high).prop_map(|step| format!("*/{step}")),
    ]
}

fn days() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        2 => field(1, 31).prop_map(|day| (day, "?".to_owned())),
        1 => Just(("L".to_owned(), "?".to_owned())),
        1 => (1..=31_u32).prop_map(|day| (format!("{day}W"), "?".to_owned())),
        2 => field(1, 7).prop_map(|day| ("?".to_owned(), day)),
        1 => (1..=7_u32).prop_map(|day| ("?".to_owned(), format!("{day}L"))),
        1 => (1..=7_u32, 1..=5_u32).prop_map(|(day, nth)| ("?".to_owned(), format!("{day}#{nth}"))),
    ]
}

/// Around the days on which clocks change, in zones that change them by an hour, by half an hour, at midnight, or never.
fn moment() -> impl Strategy<Value = (&'static str, i64)> {
    let at = prop::sample::select(vec![
        ("Europe/Zurich", "2026-03-29T01:00:00Z"),
        ("Europe/Zurich", "2026-10-25T01:00:00Z"),
        ("America/New_York", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01T06:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
        ("America/Santiago", "2026-09-06T04:00:00Z"),
        ("Asia/Kathmandu", "2026-02-28T20:00:00Z"),
        ("UTC", "2028-02-28T20:00:00Z"),
    ]);
    (at, -2_880..2_880_i64).prop_map(|((zone, at), minutes)| (zone, time(at).0 + minutes * 60_000_000))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The next time is the first minute that a walk over all minutes finds.
    #[test]
    fn next_equals_a_walk_over_all_minutes(
        minute in field(0, 59), hour in field(0, 23), (month_day, week_day) in days(),
        month in prop_oneof![3 => Just("*".to_owned()), 1 => field(1, 12)],
        (name, after) in moment(),
    ) {
        const DAYS: i64 = 12;
        let fields = [minute, hour, month_day, month, week_day, "*".to_owned()];
        let text = format!("cron({})", fields.join(" "));
        let expression = Expression::parse(&text, Dialect::Schedule).unwrap();
        let zone: Tz = zone(name).unwrap();
        let after = Micros(after);
        let first = after.0.div_euclid(60_000_000) + 1;
        let walked = (first..first + DAYS * 1_440).map(|minute| Micros(minute * 60_000_000)).find(|time| {
            let local = DateTime::from_timestamp_micros(time.0).unwrap().with_timezone(&zone).naive_local();
            slow_has(&fields, local) && instant(zone, local) == Some(*time)
        });
        let next = expression.next(zone, after, after);
        match walked {
            Some(walked) => prop_assert_eq!(next, Some(walked), "{} {} {:?}", text, name, after),
            None => prop_assert!(next.is_none_or(|next| next.0 >= (first + DAYS * 1_440) * 60_000_000), "{} {}", text, name),
        }
        if let (Some(next), Expression::Cron(cron)) = (next, &expression) {
            let local = zone.from_utc_datetime(&DateTime::from_timestamp_micros(next.0).unwrap().naive_utc()).naive_local();
            prop_assert!(cron.has(local));
        }
    }

    /// Any text is an expression or refused with the code, and whatever is read has a next time or none.
    #[test]
    fn hostile_text_never_panics(text in "(rate|cron|at)?\\(?[ 0-9*?/,LW#A-Za-z:T-]{0,40}\\)?", after in any::<i64>()) {
        for dialect in [Dialect::Rule, Dialect::Schedule] {
            match Expression::parse(&text, dialect) {
                Ok(expression) => {
                    let _ = expression.next(Tz::America__Santiago, Micros(after), Micros(after));
                    let _ = expression.next(Tz::UTC, Micros(0), Micros(after));
                }
                Err(problem) => prop_assert_eq!(problem.code, "HW-BUS-001"),
            }
        }
    }
}
