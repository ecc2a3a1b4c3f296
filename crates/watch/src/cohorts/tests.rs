use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cohorts::Taken;
use crate::shape::{Missing, Side};
use crate::state::Restored;
use crate::testing::{DAY, Nature, UNTIL, cohorts, hourly, record, records, series, time, told};

mod holidays;

const NEVER: usize = usize::MAX;

fn verdicts(told: &[Value]) -> Vec<&Value> {
    told.iter().filter(|told| told.get("actual").is_some()).collect()
}

/// The hours in which an anomaly began.
fn began(told: &[Value]) -> Vec<&str> {
    let began = verdicts(told).into_iter().filter(|verdict| verdict["change"] == "began");
    began.map(|verdict| verdict["time"].as_str().unwrap()).collect()
}

#[test]
fn each_interval_is_judged_by_the_one_forecast_that_was_told_before_it_began() {
    let (values, _) = series(Nature::Counts, 1);
    let told = told(&hourly(), &records("a", &values[..42 * DAY]), NEVER);
    let mut forecasts: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut judged = 0;
    for one in &told {
        let at = one["time"].as_str().unwrap();
        if one.get("actual").is_none() {
            assert!(forecasts.insert(at, one).is_none(), "{at} is forecast twice");
            assert!(one["made"].as_str().unwrap() <= at);
            continue;
        }
        match forecasts.get(at) {
            Some(forecast) => {
                for field in ["predicted", "lower", "upper", "cohort", "parts", "end"] {
                    assert_eq!(one[field], forecast[field], "{field} of {at}");
                }
                judged += usize::from(!one["score"].is_null());
            }
            None => assert_eq!((&one["predicted"], &one["score"]), (&Value::Null, &Value::Null)),
        }
    }
    assert_eq!(verdicts(&told).len(), 42 * DAY);
    // Three days until the first forecast, a day ahead; then a week until there are thirty errors of each hour.
    assert!(judged > 30 * DAY, "{judged}");
}

#[test]
fn what_is_told_does_not_know_what_comes_later() {
    let (values, _) = series(Nature::Counts, 2);
    let whole = told(&hourly(), &records("a", &values[..50 * DAY]), NEVER);
    let mut other = values[..50 * DAY].to_vec();
    other[40 * DAY..].iter_mut().for_each(|value| *value *= 7.0);
    let other = told(&hourly(), &records("a", &other), NEVER);
    let before = |told: &[Value]| -> Vec<Value> {
        let made = |one: &Value| one["made"].as_str().or(one["time"].as_str()).unwrap().to_owned();
        told.iter().filter(|one| made(one) < time(40 * 24)).cloned().collect()
    };
    assert_eq!(before(&whole), before(&other));
    assert_ne!(whole, other);
}

#[test]
fn however_often_it_begins_anew_it_tells_the_same() {
    let mut all = Vec::new();
    let (one, two) = (series(Nature::Counts, 3).0, series(Nature::Few, 4).0);
    for hour in 0..24 * DAY {
        all.push(record("a", i64::try_from(hour).unwrap(), one[hour]));
        if hour % 7 != 3 {
            all.push(record("b", i64::try_from(hour).unwrap(), two[hour]));
        }
    }
    let shape = crate::shape::Shape { missing: Missing::Zero, ..hourly() };
    let straight = told(&shape, &all, NEVER);
    for every in [1, 7, 100] {
        assert_eq!(told(&shape, &all, every), straight, "a new life after {every} records");
    }
}

#[test]
fn a_cohort_is_told_the_same_whoever_else_there_is() {
    let (one, two) = (series(Nature::Counts, 5).0, series(Nature::Wild, 6).0);
    let alone = told(&hourly(), &records("a", &one[..30 * DAY]), NEVER);
    let mut both = Vec::new();
    for (hour, (one, two)) in (0..).zip(one.iter().zip(&two).take(30 * DAY)) {
        both.extend([record("b", hour, *two), record("a", hour, *one)]);
    }
    let both = told(&hourly(), &both, NEVER);
    let of_a: Vec<&Value> = both.iter().filter(|one| one["cohort"] == "a").collect();
    assert_eq!(of_a, alone.iter().collect::<Vec<_>>());
}

/// Over three seeds: stretches found of those there are, and false alarms in 300 days; those a day apart are one.
fn detection(nature: Nature) -> (usize, usize) {
    let (mut found, mut alarms) = (0, 0);
    for seed in 0..3 {
        let (values, wrong) = series(nature, seed);
        let told = told(&hourly(), &records("a", &values), NEVER);
        let hour = |text: &str| (0..values.len()).find(|hour| time(*hour as i64) == text).unwrap();
        let began: Vec<usize> = began(&told).into_iter().map(hour).collect();
        // Two intervals have to be outside; what comes within a day behind is what is left of it.
        found +=
            wrong.iter().filter(|range| began.iter().any(|hour| (range.start..range.end + 1).contains(hour))).count();
        let explained = |hour: &usize| wrong.iter().any(|range| (range.start..range.end + DAY).contains(hour));
        let rest: Vec<usize> = began.into_iter().filter(|hour| !explained(hour)).collect();
        alarms += rest.chunk_by(|one, next| next - one <= DAY).count();
    }
    (found, alarms)
}

#[test]
fn the_defaults_find_what_is_wrong_in_series_of_several_natures() {
    // Of 15 each.
    for (nature, found_min, alarms_max) in
        [(Nature::Counts, 15, 0), (Nature::Growth, 15, 0), (Nature::Wild, 11, 1), (Nature::Step, 14, 6)]
    {
        let (found, alarms) = detection(nature);
        assert!(found >= found_min && alarms <= alarms_max, "{nature:?}: found {found}, false {alarms}");
    }
    // Three customers an hour say little; what matters is that they do not cry wolf.
    let (_, alarms) = detection(Nature::Few);
    assert!(alarms <= 1, "few: false {alarms}");
}

#[test]
fn a_step_that_stays_becomes_what_is_expected() {
    let (values, _) = series(Nature::Step, 1);
    let told = told(&hourly(), &records("a", &values), NEVER);
    let step = 140 * DAY as i64 * 3 / 5;
    let off = |from: i64, to: i64| {
        let hours = |one: &&&Value| {
            let at = one["time"].as_str().unwrap();
            at >= time(from).as_str() && at < time(to).as_str()
        };
        let verdicts = verdicts(&told);
        let off = verdicts
            .iter()
            .filter(hours)
            .map(|one| one["actual"].as_f64().unwrap() / one["predicted"].as_f64().unwrap() - 1.0);
        let off: Vec<f64> = off.filter(|off| off.is_finite()).collect();
        off.iter().sum::<f64>() / off.len() as f64
    };
    assert!(off(step + 1, step + 24) > 0.25, "the first day is not expected: {}", off(step + 1, step + 24));
    assert!(
        off(step + 9 * 24, step + 16 * 24).abs() < 0.1,
        "the second week is: {}",
        off(step + 9 * 24, step + 16 * 24)
    );
}

#[test]
fn a_series_that_never_moves_has_a_band_without_width() {
    let steady = records("a", &[1_234_567.89; 20 * DAY]);
    assert!(began(&told(&hourly(), &steady, NEVER)).is_empty(), "six digits of it are told");
    for level in [0.0, 500.0] {
        let mut values = vec![level; 20 * DAY];
        assert!(began(&told(&hourly(), &records("a", &values), NEVER)).is_empty());
        values[18 * DAY..18 * DAY + 3].iter_mut().for_each(|value| *value += 3.0);
        let told_strict = told(&hourly(), &records("a", &values), NEVER);
        assert_eq!(began(&told_strict), [time(18 * 24 + 1)]);
        let change = verdicts(&told_strict)[18 * DAY + 1];
        assert_eq!(change["since"], time(18 * 24));
        assert!(change["score"].as_f64().unwrap() > 1.0);
        let ended = verdicts(&told_strict)[18 * DAY + 3];
        assert_eq!(
            (&ended["change"], &ended["since"], &ended["anomaly"]),
            (&json!("ended"), &json!(time(18 * 24)), &json!(false))
        );
        let shape = crate::shape::Shape { tolerance: 5.0, ..hourly() };
        assert!(began(&told(&shape, &records("a", &values), NEVER)).is_empty(), "a tolerance allows for it");
        let shape = crate::shape::Shape { side: Side::Below, ..hourly() };
        assert!(began(&told(&shape, &records("a", &values), NEVER)).is_empty(), "too much does not count");
    }
}

#[test]
fn an_anomaly_that_goes_over_to_the_other_side_ends_as_the_one_that_began() {
    let mut values = vec![500.0; 20 * DAY];
    values[18 * DAY] += 3.0;
    values[18 * DAY + 1] -= 3.0;
    let shape = crate::shape::Shape { sustain: 1, ..hourly() };
    let all = told(&shape, &records("a", &values), NEVER);
    let said = |hour: usize| {
        let all = verdicts(&all);
        (all[hour]["change"].clone(), all[hour]["since"].clone(), all[hour]["anomaly"].clone())
    };
    let since = json!(time(18 * 24));
    assert_eq!(said(18 * DAY), (json!("began"), since.clone(), json!(true)));
    assert_eq!(said(18 * DAY + 1), (Value::Null, since.clone(), json!(true)));
    assert_eq!(said(18 * DAY + 2), (json!("ended"), since, json!(false)));
}

#[test]
fn an_outage_is_an_anomaly_where_a_missing_value_is_zero() {
    let (values, _) = series(Nature::Counts, 7);
    let mut all = Vec::new();
    for (hour, value) in (0..).zip(values.iter().take(30 * DAY)) {
        all.push(record("other", hour, *value));
        if !(28 * 24 + 10..28 * 24 + 15).contains(&hour) {
            all.push(record("a", hour, *value));
        }
    }
    let of_a = |told: &[Value]| -> Vec<Value> { told.iter().filter(|one| one["cohort"] == "a").cloned().collect() };
    let zero = crate::shape::Shape { missing: Missing::Zero, ..hourly() };
    let zero = of_a(&told(&zero, &all, NEVER));
    assert_eq!(began(&zero), [time(28 * 24 + 11)]);
    assert_eq!(verdicts(&zero).len(), 30 * DAY);
    let unknown = of_a(&told(&hourly(), &all, NEVER));
    assert!(began(&unknown).is_empty());
    assert_eq!(verdicts(&unknown).len(), 30 * DAY - 5, "nothing is said of what is not known");
    let forecasts = |told: &[Value]| told.len() - verdicts(told).len();
    assert_eq!(forecasts(&unknown), forecasts(&zero), "it is forecast all the same");
}

#[test]
fn a_late_value_puts_history_right_and_judges_nothing() {
    let mut cohorts = cohorts(&hourly());
    let mut take = |who: &str, hour, value| {
        let taken = cohorts.take(0, record(who, hour, value).as_bytes(), UNTIL);
        (taken, cohorts.told().len())
    };
    for hour in 0..96 {
        assert_eq!(take("a", hour, 10.0).0, Ok(Taken::Done));
    }
    assert_eq!(take("a", 90, 12.0), (Ok(Taken::Late), 0));
    let (refused, _) = take("a", -56 * 168, 1.0);
    assert_eq!(refused.unwrap_err().0, "its interval is older than the history");
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let mut cohorts = cohorts(&hourly());
    let until = headwater_base::Micros(crate::testing::START + 10 * crate::testing::HOUR);
    let mut reason = |text: &str| cohorts.take(0, text.as_bytes(), until).unwrap_err().0;
    assert!(reason("{").starts_with("it is no JSON"));
    let at = time(1);
    for (event, why) in [
        (json!({"who": "a", "value": 1}), "its time is missing or is no RFC 3339 time"),
        (json!({"who": "a", "time": "yesterday", "value": 1}), "its time is missing or is no RFC 3339 time"),
        (json!({"who": "a", "time": at, "value": "NaN"}), "its value is missing or is no number"),
        (json!({"who": "a", "time": at, "value": 1e300}), "its value is 1e300; it can be 9.007199254740992e15 at most"),
        (json!({"time": at, "value": 1}), "`who` of its cohort is missing"),
        (json!({"who": null, "time": at, "value": 1}), "`who` of its cohort is missing"),
        (json!({"who": [], "time": at, "value": 1}), "`who` of its cohort is a list or an object"),
        (json!({"who": "", "time": at, "value": 1}), "`who` of its cohort has 0 bytes; it can have 1 to 256"),
        (
            json!({"who": "a", "time": time(10), "value": 1}),
            "its interval ends after 2024-01-01T10:00:00Z, which is implausible",
        ),
    ] {
        assert_eq!(reason(&event.to_string()), why);
    }
    for who in 0..10 {
        cohorts.take(0, record(&who.to_string(), 1, 1.0).as_bytes(), until).unwrap();
    }
    let refused = cohorts.take(0, record("one more", 1, 1.0).as_bytes(), until).unwrap_err();
    assert_eq!(refused.0, "it would be a cohort more than the 10 there can be");
}

#[test]
fn a_cohort_that_falls_silent_for_a_whole_history_is_forgotten() {
    let mut cohorts = cohorts(&hourly());
    let mut take = |who: &str, hour| {
        while cohorts.take(0, record(who, hour, 1.0).as_bytes(), UNTIL) == Ok(Taken::More) {
            cohorts.told();
            cohorts.drain();
        }
    };
    take("a", 0);
    for hour in 0..56 * 24 + 3 {
        take("b", hour);
    }
    assert_eq!(cohorts.len(), 1);
    let mut take = |who: &str, hour| cohorts.take(0, record(who, hour, 1.0).as_bytes(), UNTIL);
    // After a pause that is longer nothing that is known says anything of today.
    assert_eq!(take("c", 200 * 24), Ok(Taken::Done));
    assert_eq!(cohorts.len(), 1);
}

#[test]
fn a_long_pause_of_many_cohorts_takes_several_commits() {
    let mut cohorts = cohorts(&crate::shape::Shape { missing: Missing::Zero, ..hourly() });
    for who in 0..10 {
        cohorts.take(0, record(&format!("c{who}"), 0, 1.0).as_bytes(), UNTIL).unwrap();
    }
    let (mut commits, mut told) = (0, 0);
    while cohorts.take(0, record("c0", 300, 1.0).as_bytes(), UNTIL) == Ok(Taken::More) {
        let bytes: usize = cohorts.told().iter().inspect(|_| told += 1).map(super::Told::bytes).sum();
        assert!(bytes < 300_000);
        assert!(!cohorts.drain().is_empty(), "it has come further");
        commits += 1;
    }
    assert!(commits > 2, "{commits}");
    assert!(told > 10 * 200);
}

#[test]
fn state_that_could_not_be_counted_on_from_is_refused() {
    let head = |last: i64, silent: i64| {
        let run = json!({"side": 0, "count": 0, "from": 0});
        json!({"name": "a", "parts": {}, "partition": 0, "last": last, "silent": silent, "run": run}).to_string()
    };
    let takes = |key: &[u8], value: &[u8]| Restored::default().take(key, value).is_ok();
    assert!(takes(b"c\0\0\0\x01", head(473_352, 0).as_bytes()));
    assert!(!takes(b"c\0\0\0\x01", head(i64::MAX, 0).as_bytes()));
    assert!(!takes(b"c\0\0\0\x01", head(0, i64::MAX).as_bytes()));
    assert!(!takes(b"c\xff\xff\xff\xff", head(0, 0).as_bytes()), "the next number would be none");
    let partition = |newest: i64| [7_i64.to_le_bytes(), newest.to_le_bytes()].concat();
    assert!(takes(b"p\0\0\0\0", &partition(473_352)));
    assert!(takes(b"p\0\0\0\0", &partition(i64::MIN)), "none has been there");
    assert!(!takes(b"p\0\0\0\0", &partition(i64::MIN + 1)));
}

proptest! {
    #[test]
    fn state_that_is_not_ones_own_is_refused_or_passed_over(
        kind in prop::sample::select(vec![b'p', b'c', b'b', b'x']),
        rest in proptest::collection::vec(any::<u8>(), 0..12),
        value in proptest::collection::vec(any::<u8>(), 0..1_100),
    ) {
        let mut restored = Restored::default();
        if restored.take(&[&[kind], rest.as_slice()].concat(), &value).is_ok() {
            let _ = restored.give(&std::sync::Arc::new(hourly()), &mut cohorts(&hourly()));
        }
    }
}
