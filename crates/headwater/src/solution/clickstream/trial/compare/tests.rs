use serde_json::json;

use super::*;

fn fact(id: u64, flaw: Flaw) -> Fact {
    Fact { id, visitor: 7, time_ms: 0, kind: "view", address: Ipv4Addr::LOCALHOST, flaw, attacker: None }
}

/// (lost, doubled, strange, failed, revised) of events 1 and 2, where 3 cannot be read, and these records.
fn found(records: &[Value]) -> [u64; 5] {
    let facts = [fact(1, Flaw::None), fact(2, Flaw::TooLate), fact(3, Flaw::Malformed)];
    let mut reading = Reading::of(&facts);
    let mut verdict = Verdict::default();
    records.iter().for_each(|record| reading.take(record.to_string().as_bytes(), &mut verdict));
    reading.judge(&mut verdict);
    [verdict.lost, verdict.doubled, verdict.strange, verdict.failed_lookups, verdict.revised]
}

fn event(id: u64) -> Value {
    json!({"id": fact(id, Flaw::None).text_id(), "kind": "view", "visitor": "v7", "enrichment": {"status": "ok"}})
}

fn with(mut event: Value, field: &str, value: Value) -> Value {
    event[field] = value;
    event
}

#[test]
fn what_is_lost_doubled_or_not_as_it_was_sent_is_seen() {
    let end = json!({"id": "end-4", "kind": "view", "visitor": "end-4"});
    assert_eq!(found(&[event(1), event(2), end]), [0, 0, 0, 0, 0]);
    assert_eq!(found(&[event(2)]), [1, 0, 0, 0, 0]);
    assert_eq!(found(&[event(1), event(2), event(1)]), [0, 1, 0, 0, 0]);
    let failed = with(event(1), "enrichment", json!({"status": "failed"}));
    let second = with(event(1), "revision", json!(2));
    assert_eq!(found(&[failed.clone(), event(2), second.clone()]), [0, 0, 0, 1, 1]);
    assert_eq!(found(&[failed.clone(), event(2)]), [0, 0, 0, 1, 0]);
    assert_eq!(found(&[failed, event(2), second.clone(), second.clone()]), [0, 1, 0, 1, 0]);
    assert_eq!(found(&[event(1), event(2), second.clone()]), [0, 1, 0, 0, 0], "a second revision that none needed");
    assert_eq!(found(&[second, event(2)]), [1, 0, 0, 0, 0], "a second revision without a first one");
    for strange in [event(3), event(9), with(event(1), "kind", json!("order")), with(event(1), "visitor", json!("v8"))]
    {
        let [_, _, count, ..] = found(&[event(2), strange.clone()]);
        assert_eq!(count, 1, "{strange}");
    }
    assert_eq!(found(&[event(1), event(2), json!("no event")]), [0, 0, 1, 0, 0]);
}
