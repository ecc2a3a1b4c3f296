use super::*;
use crate::testing::problems;

fn told(yaml: &str) -> Vec<String> {
    problems(KIND, yaml).into_iter().map(|it| format!("{} {}", it.place.unwrap().line, it.code)).collect()
}

#[test]
fn each_fault_of_an_ingest_is_told_with_its_place() {
    assert_eq!(told(EXAMPLE), Vec::<String>::new());
    let head = "apiVersion: headwater.dev/v1\nkind: Ingest\nmetadata: {name: a}\nspec:\n";
    let full =
        format!("{head}  from: SELECT 1 AS n\n  stream: s\n  schedule: cron(0 3 * * ? *)\n  timezone: Europe/Zurich\n");
    assert_eq!(told(&full), Vec::<String>::new());
    let wrong = format!(
        "{head}  from: SELECT 1) --\n  stream: a b\n  schedule: every day\n  key: [n, n]\n  principal: \"\"\n  watermark: {{column: n, start: []}}\n"
    );
    assert_eq!(
        told(&wrong),
        ["5 HW-LAKE-040", "6 HW-BASE-001", "7 HW-BUS-001", "9 HW-BASE-002", "10 HW-LAKE-080", "8 HW-LAKE-080"]
    );
    assert_eq!(told(&full.replace("Europe/Zurich", "Europe/Zuri")), ["8 HW-BUS-002"]);
    assert_eq!(told(&full.replace("SELECT 1 AS n", "streams.s")), ["6 HW-LAKE-080"]);
}

#[test]
fn a_rate_begins_at_once_and_other_times_when_they_come() {
    let of = |schedule: &str, zone: &str| {
        let spec = serde_json::json!({"from": "external.t", "stream": "s", "schedule": schedule, "timezone": zone});
        serde_json::from_value::<IngestSpec>(spec).unwrap().calendar(time("2026-03-01T12:00:00Z")).unwrap()
    };
    let rate = of("rate(5 minutes)", "UTC");
    assert_eq!(rate.first(), Some(time("2026-03-01T12:00:00Z")));
    assert_eq!(rate.next(time("2026-03-01T13:01:00Z")), Some(time("2026-03-01T13:05:00Z")));
    let nightly = of("cron(0 3 * * ? *)", "Europe/Zurich");
    assert_eq!(nightly.first(), Some(time("2026-03-02T02:00:00Z")));
    assert_eq!(of("at(2026-02-01T00:00:00)", "UTC").first(), None);
}

fn time(text: &str) -> Micros {
    Micros::parse_rfc3339(text).unwrap()
}
