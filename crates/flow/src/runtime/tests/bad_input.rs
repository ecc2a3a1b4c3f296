//! What nobody should send: each record becomes a dead letter that says why and where it stood, and the good events
//! between them come out as if nothing had been.

use headwater_base::Micros;
use serde_json::{Value, json};

use super::bench::{Bench, START, values};

const YEAR: i64 = 365 * 86_400;

fn at(seconds: i64) -> String {
    Micros(START.0 + seconds * 1_000_000).to_string()
}

fn good(user: &str, seconds: i64) -> Vec<u8> {
    json!({"user": user, "time": at(seconds)}).to_string().into_bytes()
}

fn spec() -> Value {
    json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "1s", "lateness": "1m"},
        "steps": [
            {"id": "more", "type": "lookup", "lookup": {"type": "file"}, "key": ".user", "into": ".more"},
            {"id": "visits", "type": "session", "key": ".user", "gap": "30s", "output": {"stream": "visits"}},
        ],
        "outputs": [{"type": "stream", "stream": "out"}, {"type": "table", "table": "seen", "key": ".user"}],
        "errors": {"stream": "dead"},
        "late": {"stream": "late"},
    })
}

#[test]
fn every_bad_record_is_a_dead_letter_with_code_and_position() {
    let bench = Bench::new();
    bench.stream("in", 1);
    bench.table("seen");
    let unit = bench.start("p", spec());
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"user":"n","time":"{}","deep":{open}{close}}}"#, at(1)).into_bytes()
    };
    let with = |field: &str| format!(r#"{{"user":"u","time":"{}",{field}}}"#, at(1)).into_bytes();
    let timed = |time: &str| format!(r#"{{"user":"u","time":{time}}}"#).into_bytes();
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("HW-FLOW-120", b"".to_vec()),
        ("HW-FLOW-120", b"\xff\xfe\x00{}".to_vec()),
        ("HW-FLOW-120", with("\"a\":\"\u{1}\"")),
        ("HW-FLOW-120", [&with("\"a\":1")[..30], b"\xc3\x28\"}"].concat()),
        ("HW-FLOW-120", good("cut", 1)[..20].to_vec()),
        ("HW-FLOW-120", b"[1,2]".to_vec()),
        ("HW-FLOW-120", b"{} {}".to_vec()),
        ("HW-FLOW-120", with(r#""a":1e999"#)),
        ("HW-FLOW-120", with(r#""a":01"#)),
        ("HW-FLOW-120", with(r#""a":"\ud800""#)),
        ("HW-FLOW-120", nested(200)),
        ("HW-FLOW-120", nested(1_000_000)),
        ("HW-FLOW-031", b"{\"user\":\"u\"}".to_vec()),
        ("HW-FLOW-031", timed("\"yesterday\"")),
        ("HW-FLOW-031", timed("{}")),
        ("HW-FLOW-032", timed(&format!("\"{}\"", at(30 * YEAR)))),
        ("HW-FLOW-032", timed("9223372036854775807")),
        ("HW-FLOW-038", format!(r#"{{"time":"{}"}}"#, at(1)).into_bytes()),
        ("HW-FLOW-038", format!(r#"{{"user":["u"],"time":"{}"}}"#, at(1)).into_bytes()),
    ];
    for (index, (_, record)) in bad.iter().enumerate() {
        let fine = good("u", index as i64);
        bench.send_bytes("in", 0, &[(None, Some(&fine)), (None, Some(record))]);
    }
    let found: Vec<(String, i64)> = values(&bench.wait_for("dead", bad.len()))
        .iter()
        .map(|letter| (letter["code"].as_str().unwrap().to_owned(), letter["position"]["offset"].as_i64().unwrap()))
        .collect();
    let wanted: Vec<(String, i64)> =
        bad.iter().enumerate().map(|(index, (code, _))| ((*code).to_owned(), 2 * index as i64 + 1)).collect();
    assert_eq!(found, wanted);
    for (letter, (_, record)) in
        values(&bench.read("dead")).iter().zip(&bad).filter(|(_, (_, record))| record.len() < 99)
    {
        let data = letter["data"].as_str().unwrap();
        assert!(letter["encoding"] == "base64" || data.as_bytes() == record, "{letter}");
    }
    // The good ones are all there, in one visit that nothing has cut.
    assert_eq!(bench.wait_for("out", bad.len()).len(), bad.len());
    let end = good("end", 600);
    bench.send_bytes("in", 0, &[(None, Some(&end))]);
    assert_eq!(values(&bench.wait_for("visits", 1))[0]["events"], json!(bad.len()));
    assert_eq!(bench.read("late"), []);
    bench.stop(&unit);
}

#[test]
fn clocks_that_are_years_off_move_nothing_and_make_nobody_else_late() {
    let bench = Bench::new();
    bench.stream("in", 2);
    bench.table("seen");
    let unit = bench.start("p", spec());
    for second in 0..5 {
        for partition in 0..2 {
            let user = format!("u{partition}");
            let (now, past, future) = (good(&user, second), good(&user, -20 * YEAR), good(&user, 20 * YEAR));
            let records = [(None, Some(now.as_slice())), (None, Some(&past)), (None, Some(&future))];
            bench.send_bytes("in", partition, &records);
        }
        bench.until("it is read", || bench.read("dead").len() == 2 * (second as usize + 1));
    }
    assert_eq!(bench.wait_for("out", 20).len(), 20, "the late ones come out, too");
    assert_eq!(bench.figure("p", "watermark_seconds"), START.0 as f64 / 1e6 + 3.0);
    // Before there is a watermark nothing is late, so the first of each partition is not.
    assert_eq!(bench.read("late").len(), 8);
    for partition in 0..2 {
        let end = good("end", 600);
        bench.send_bytes("in", partition, &[(None, Some(&end))]);
    }
    bench.until("both visits", || {
        values(&bench.read("visits")).iter().filter(|visit| visit["events"] == json!(5)).count() == 2
    });
    bench.stop(&unit);
}

#[test]
fn a_deletion_in_the_input_is_no_event() {
    let bench = Bench::new();
    bench.stream("in", 1);
    bench.table("seen");
    let unit = bench.start("p", spec());
    let fine = good("u", 0);
    bench.send_bytes("in", 0, &[(Some("k"), None), (None, Some(&fine))]);
    bench.wait_for("out", 1);
    assert_eq!((bench.figure("p", "dropped_total"), bench.read("dead").len()), (1.0, 0));
    bench.stop(&unit);
}
