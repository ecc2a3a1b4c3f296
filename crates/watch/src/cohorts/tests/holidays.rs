//! Days of their own kind: what they are held against, and what ordinary days learn of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::{NEVER, began, verdicts};
use crate::cohorts::{Cohorts, Taken};
use crate::holidays::{DAY_MICROS, Day, Holidays};
use crate::shape::Shape;
use crate::state::{self, Restored};
use crate::testing::{DAY, HOUR, START, UNTIL, cohorts, hourly, records, time, told};

/// A Wednesday, a Tuesday and a Wednesday, counted from the first day, which is a Monday.
const DAYS: [usize; 3] = [44, 57, 72];

fn with_holidays(days: &[usize]) -> Shape {
    let day = |day: &usize| {
        let begins = START + *day as i64 * DAY_MICROS;
        let (begins, ends) = (headwater_base::Micros(begins), headwater_base::Micros(begins + DAY_MICROS));
        // As on a Sunday.
        Day { begins, ends, days_back: (*day as i64 + 1) % 7, name: format!("day {day}").into() }
    };
    Shape { holidays: Holidays::new(days.iter().map(day), HOUR), ..hourly() }
}

/// A shop that sells little on Sundays. On holidays it sells `factor` times what it does then.
fn shop(days: usize, factor: f64) -> Vec<f64> {
    let hour = |hour: usize| {
        let day = hour / DAY;
        let is_holiday = DAYS.contains(&day);
        let of_week = if day % 7 == 6 || is_holiday { 0.3 } else { 1.0 };
        let noise = ((hour * 7_919) % 23) as f64;
        let sold = (100.0 + 20.0 * (hour % DAY) as f64) * of_week + noise;
        if is_holiday { sold * factor } else { sold }
    };
    (0..days * DAY).map(hour).collect()
}

fn is_of(one: &Value, day: usize) -> bool {
    let from = (day * DAY) as i64;
    (from..from + 24).any(|hour| one["time"] == time(hour))
}

#[test]
fn a_holiday_like_a_sunday_is_no_anomaly_where_the_calendar_has_it() {
    let records = records("a", &shop(80, 1.0));
    let without = told(&hourly(), &records, NEVER);
    assert!(began(&without).iter().any(|at| *at == time(44 * 24 + 1)), "{:?}", began(&without));
    let with = told(&with_holidays(&DAYS), &records, NEVER);
    // Before there are three weeks of it no weekday is known.
    let later: Vec<&str> = began(&with).into_iter().filter(|at| **at > *time(28 * 24)).collect();
    assert!(later.is_empty(), "{later:?}");
    let named: Vec<&Value> = with.iter().filter(|one| one.get("holiday").is_some()).collect();
    assert_eq!(named.len(), 3 * 24 * 2, "a forecast and a verdict of each hour");
    assert!(named.iter().filter(|one| is_of(one, 57)).all(|one| one["holiday"] == "day 57"));
}

#[test]
fn what_a_holiday_brought_changes_nothing_of_ordinary_days() {
    let bands = |factor: f64| -> Vec<[Value; 4]> {
        let told = told(&with_holidays(&DAYS), &records("a", &shop(100, factor)), NEVER);
        let ordinary = told.iter().filter(|one| one.get("holiday").is_none());
        ordinary.map(|one| ["time", "predicted", "lower", "upper"].map(|field| one[field].clone())).collect()
    };
    assert_eq!(bands(1.0), bands(0.0));
    assert_eq!(bands(1.0), bands(9.0));
}

#[test]
fn until_two_are_known_a_holiday_may_be_an_ordinary_day_and_then_it_is_what_they_were() {
    let told = told(&with_holidays(&DAYS), &records("a", &shop(80, 0.5)), NEVER);
    let of = |day: usize| -> Vec<&Value> { verdicts(&told).into_iter().filter(|one| is_of(one, day)).collect() };
    let sunday = |day: usize| -> Vec<&Value> { of(day / 7 * 7 + 6) };
    for (first, sunday) in of(44).into_iter().zip(sunday(44)) {
        let usual = sunday["predicted"].as_f64().unwrap();
        assert!((first["predicted"].as_f64().unwrap() / usual - 1.0).abs() < 0.2, "{first} {sunday}");
        assert!(first["upper"].as_f64().unwrap() > usual * 2.5, "an ordinary day of its weekday is within: {first}");
    }
    for third in of(72) {
        let (actual, predicted) = (third["actual"].as_f64().unwrap(), third["predicted"].as_f64().unwrap());
        assert!((predicted / actual - 1.0).abs() < 0.3, "it is what the first two were: {third}");
        assert_eq!(third["outside"], false);
    }
}

#[test]
fn a_life_that_begins_anew_tells_the_same_of_holidays() {
    let records = records("a", &shop(60, 0.7));
    let shape = with_holidays(&DAYS);
    assert_eq!(told(&shape, &records, 13), told(&shape, &records, NEVER));
}

/// Carries records through, and keeps what each commit writes.
fn feed(cohorts: &mut Cohorts, records: &[String], kept: &mut BTreeMap<Bytes, Bytes>) -> Vec<Value> {
    let mut all = Vec::new();
    for record in records {
        assert_eq!(cohorts.take(0, record.as_bytes(), UNTIL), Ok(Taken::Done));
        all.extend(cohorts.told().iter().map(|told| serde_json::from_str::<Value>(&told.text).unwrap()));
        let changed = cohorts.drain();
        kept.extend(state::encode(cohorts, &changed).into_iter().map(|delta| (delta.key, delta.value.unwrap())));
    }
    all
}

#[test]
fn holidays_that_come_later_count_from_then_on_as_if_a_life_began_with_them() {
    let all = records("a", &shop(80, 0.5));
    let (before, after) = all.split_at(50 * DAY);
    let shape = with_holidays(&DAYS);
    let (mut running, mut kept) = (cohorts(&hourly()), BTreeMap::new());
    assert!(feed(&mut running, before, &mut kept).iter().all(|one| one.get("holiday").is_none()));
    let mut restored = Restored::default();
    kept.iter().for_each(|(key, value)| restored.take(key, value).unwrap());
    let mut anew = cohorts(&shape);
    restored.give(&Arc::new(shape.clone()), &mut anew).unwrap();
    running.know(shape.holidays);
    let told = feed(&mut running, after, &mut kept);
    assert_eq!(told, feed(&mut anew, after, &mut kept));
    assert!(told.iter().any(|one| one.get("actual").is_none() && one["holiday"] == "day 57"));
}
