use serde_json::json;

use super::*;

fn machine(shared: bool) -> Instance {
    serde_json::from_value(json!({
        "id": "m", "type": "c5.large", "region": "r", "cpus": 4, "memory_gib": 8, "shared": shared
    }))
    .unwrap()
}

fn attempt(from: i64, to: i64, cpus: u32, memory: u32) -> Attempt {
    let (started, ended) = (Time(from), Time(to));
    serde_json::from_value(json!({
        "instance": "m", "started": started, "ended": ended, "cpus": cpus, "memory_gib": memory
    }))
    .unwrap()
}

/// (from, to, paid) of the parts, and (first, end, weight) of the stays.
fn cut(shared: bool, attempts: &[Attempt]) -> (Vec<(i64, i64, String)>, Vec<(usize, usize, String)>) {
    let span = Span { from: Time(0), to: Time(100) };
    let (parts, stays) = split(&machine(shared), span, &attempts.iter().collect::<Vec<_>>());
    let text = |decimal: Decimal| decimal.normalize().to_string();
    (
        parts.iter().map(|part| (part.span.from.0, part.span.to.0, text(part.paid))).collect(),
        stays.iter().map(|stay| (stay.first, stay.end, text(stay.weight))).collect(),
    )
}

#[test]
fn a_shared_machine_is_paid_by_the_larger_share_while_somebody_is_on_it() {
    let (parts, stays) = cut(true, &[attempt(10, 50, 1, 4), attempt(30, 60, 1, 1)]);
    let expected = [(0, 10, "0"), (10, 30, "0.5"), (30, 50, "0.75"), (50, 60, "0.25"), (60, 100, "0")];
    assert_eq!(parts, expected.map(|(from, to, paid)| (from, to, paid.to_owned())));
    assert_eq!(stays, [(1, 3, "0.5".to_owned()), (2, 4, "0.25".to_owned())]);
}

#[test]
fn a_shared_machine_is_never_paid_more_than_once() {
    let (parts, _) = cut(true, &[attempt(0, 100, 4, 1), attempt(0, 100, 4, 1)]);
    assert_eq!(parts, [(0, 100, "1".to_owned())]);
}

#[test]
fn a_machine_of_its_own_is_paid_whole() {
    let (parts, _) = cut(false, &[attempt(10, 20, 1, 1)]);
    assert_eq!(parts.iter().map(|(_, _, paid)| paid.as_str()).collect::<Vec<_>>(), ["1", "1", "1"]);
}

#[test]
fn attempts_count_only_within_the_machines_time() {
    let (parts, stays) = cut(true, &[attempt(-50, 10, 2, 1), attempt(200, 300, 4, 1)]);
    assert_eq!(parts, [(0, 10, "0.5".to_owned()), (10, 100, "0".to_owned())]);
    assert_eq!(stays[1].0, stays[1].1);
}
