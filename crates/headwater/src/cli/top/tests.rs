use expect_test::expect;

use super::*;

const BEFORE: &str = "# TYPE hw_flow_events_total counter
hw_flow_events_total{pipeline=\"enrich\"} 10
hw_flow_lookup_hits_total{pipeline=\"enrich\",step=\"geo\"} 4
hw_process_threads 9
";

#[test]
fn rates_are_differences_over_time() {
    let now = parse(&BEFORE.replace(" 10", " 30"));
    assert_eq!(now.len(), 2, "{now:?}");
    let rows = rows(&parse(BEFORE), &now, 2.0);
    let mut out = Vec::new();
    output::write(&mut out, &rows, COLUMNS, Format::Wide, false).unwrap();
    expect![[r#"
        PIPELINE   EVENTS/S   OUT/S   BEHIND   WAITING   DEAD   LATE   EVENTS   FAILED
        enrich     10         0       0        0         0      0      30       0
    "#]]
    .assert_eq(&String::from_utf8(out).unwrap());
}

#[test]
fn a_pipeline_that_was_started_anew_has_no_negative_rate() {
    let rows = rows(&parse(&BEFORE.replace(" 10", " 99")), &parse(BEFORE), 1.0);
    assert_eq!(rows[0]["eventsPerSecond"], 0.0);
}
