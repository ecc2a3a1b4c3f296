use serde_json::{Value, json};

use super::{Count, Window, count};
use crate::solution::sales_insights::sale::time;

fn anomalies(of: &[(&str, &str)]) -> Vec<Value> {
    of.iter().map(|(cohort, time)| json!({"cohort": cohort, "time": time, "anomaly": true})).collect()
}

#[test]
fn hours_a_day_apart_are_one_alarm_and_a_window_counts_once() {
    let day = |from: &str, to: &str| Window { cohort: None, from: time(from).unwrap(), to: time(to).unwrap() };
    let windows = [day("2026-01-02", "2026-01-03"), day("2026-02-02", "2026-02-03")];
    let verdicts = anomalies(&[
        ("a", "2026-01-01T10:00:00Z"),
        ("a", "2026-01-02T09:00:00Z"),
        ("a", "2026-01-02T20:00:00Z"),
        ("b", "2026-01-10T00:00:00Z"),
        ("b", "2026-01-11T00:00:00Z"),
        ("b", "2026-01-12T00:00:01Z"),
    ]);
    let wanted = Count {
        found: 1,
        missed: vec!["all 2026-02-02T00:00:00Z".to_owned()],
        false_alarms: vec!["b 2026-01-10T00:00:00Z".to_owned(), "b 2026-01-12T00:00:01Z".to_owned()],
    };
    assert_eq!(count(&windows, &verdicts), wanted);
    let of_b = [Window { cohort: Some("b".to_owned()), ..windows[0].clone() }];
    assert_eq!(count(&of_b, &verdicts).found, 0, "the alarm of another cohort finds nothing");
}
