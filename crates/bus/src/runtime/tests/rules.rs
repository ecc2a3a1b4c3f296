//! Rules and pipes: who gets what, exactly once, and what becomes of events that cannot be taken.

use futures::FutureExt;
use headwater_base::{Limits, Name};
use headwater_kernel::kinds::stream::default_config;
use headwater_log::StreamConfig;
use serde_json::{Value, json};

use super::bench::Bench;

fn large(targets: Value) -> Value {
    json!({"pattern": {"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}]}}, "targets": targets})
}

#[test]
fn a_matching_event_goes_on_as_it_came() {
    let bench = Bench::new();
    let unit = bench.start("Rule", "large", large(json!([{"type": "stream", "stream": "out"}])));
    bench.put("shop", "Order", json!({"total": 5}));
    let id = bench.put("shop", "Order", json!({"total": 500}));
    bench.wait_for("out", 1);
    let seen = bench.read("out").remove(0);
    assert_eq!(seen.value, json!({"total": 500}));
    assert_eq!(seen.headers["ce_id"], id);
    assert_eq!(seen.headers["ce_causationid"], id);
    assert_eq!(seen.headers["ce_hops"], "1");
    bench.stop(&unit);
}

#[test]
fn targets_get_their_own_input() {
    let bench = Bench::new();
    bench.stream("table.orders");
    let unit = bench.start(
        "Rule",
        "large",
        large(json!([
            {"type": "stream", "stream": "out", "key": "$.detail.user",
             "input": {"template": "{\"sum\": <sum>}", "variables": {"sum": "$.detail.total"}},
             "event": {"source": "shop.large", "type": "LargeOrder"}},
            {"type": "table", "table": "orders", "key": "$.detail.id", "input": {"path": "$.detail"}},
        ])),
    );
    let id = bench.put("shop", "Order", json!({"id": "a", "user": "u1", "total": 500}));
    bench.wait_for("out", 1);
    let seen = bench.read("out").remove(0);
    assert_eq!((seen.key.as_deref(), seen.value), (Some("u1"), json!({"sum": 500})));
    assert_eq!(seen.headers["ce_type"], "LargeOrder");
    assert_eq!(seen.headers["ce_id"], format!("{id}.large.0"));
    assert_eq!(bench.wait_for("table.orders", 1), [json!({"id": "a", "user": "u1", "total": 500})]);
    let document = bench.read("table.orders").remove(0);
    assert_eq!((&document.headers["ce_causationid"], &*document.headers["ce_hops"]), (&id, "1"));
    // Without a key there is no document, and the other target has its record all the same.
    bench.put("shop", "Order", json!({"user": "u2", "total": 900}));
    let letters = bench.wait_for("large.dead", 1);
    assert_eq!((&letters[0]["code"], &letters[0]["target"]), (&json!("HW-BUS-013"), &json!(1)));
    bench.wait_for("out", 2);
    bench.stop(&unit);
}

#[test]
fn an_event_that_meets_a_bug_is_a_dead_letter_and_its_rule_goes_on() {
    let bench = Bench::new();
    for stream in ["table.orders", "in", "out", "other"] {
        bench.stream(stream);
    }
    let rule = |targets: Value| json!({"source": "in", "pattern": {"id": [{"exists": true}]}, "targets": targets});
    let table = json!([{"type": "table", "table": "orders", "key": "$.id"}, {"type": "stream", "stream": "other"}]);
    let good = bench.start("Rule", "good", rule(json!([{"type": "stream", "stream": "out"}])));
    let bad = bench.start("Rule", "bad", rule(table));
    let events: Vec<Value> =
        (0..50).map(|id| json!({"id": format!("d{id}"), "note": if id == 17 { "bug" } else { "" }})).collect();
    assert!(bench.send("in", &events));
    assert_eq!(bench.wait_for("out", 50), events);
    // Its other target has the event all the same.
    assert_eq!(bench.wait_for("other", 50), events);
    bench.wait_for("table.orders", 49);
    let letters = bench.wait_for("bad.dead", 1);
    assert_eq!((&letters[0]["code"], &letters[0]["target"]), (&json!("HW-KERNEL-043"), &json!(0)));
    assert_eq!(letters[0]["position"]["offset"], 17);
    let reason = letters[0]["reason"].as_str().unwrap();
    assert!(reason.contains("`rule/bad`") && reason.contains("a bug, made by a test"), "{reason}");
    for unit in [good, bad] {
        assert!(unit.finished().now_or_never().is_none());
        bench.stop(&unit);
    }
}

#[test]
fn what_is_written_before_a_bug_is_not_written_again() {
    let bench = Bench::new();
    for stream in ["table.orders", "in", "other"] {
        bench.stream(stream);
    }
    let targets = json!([{"type": "table", "table": "orders", "key": "$.id"}, {"type": "stream", "stream": "other"}]);
    let rule = json!({"source": "in", "pattern": {"id": [{"exists": true}]}, "targets": targets});
    let events: Vec<Value> =
        (0..20).map(|id| json!({"id": format!("d{id}"), "note": if id == 7 { "break off" } else { "" }})).collect();
    let unit = bench.start("Rule", "one", rule.clone());
    assert!(bench.send("in", &events));
    bench.until("its end", || unit.finished().now_or_never().is_some());
    let ended = unit.finished().now_or_never().unwrap().unwrap_err();
    assert!(ended.code == "HW-BUS-023" && ended.title.contains("a bug behind the append"), "{ended:?}");
    bench.stop(&unit);
    // The next life goes on behind that event.
    let unit = bench.start("Rule", "one", rule);
    assert_eq!(bench.wait_for("other", 20), events);
    bench.wait_for("table.orders", 20);
    assert!(bench.read("one.dead").is_empty());
    bench.stop(&unit);
}

#[test]
fn an_event_that_its_archive_cannot_keep_is_a_dead_letter_and_the_next_ones_are_kept() {
    let bench = Bench::new();
    // Somebody made the archive's stream smaller than its bus.
    let config = StreamConfig { partitions: 1, batch_bytes_max: 4_096, ..default_config(&Limits::default()) };
    let small = Name::new("archive.all").unwrap();
    bench.runtime.block_on(bench.log.create(small, config, Vec::new())).unwrap();
    let good = bench.start("Rule", "good", large(json!([{"type": "stream", "stream": "out"}])));
    let archive = bench.start("Archive", "all", json!({"pattern": {"source": ["shop"]}}));
    for total in 500..520 {
        let note = if total == 507 { "n".repeat(10_000) } else { String::new() };
        bench.put("shop", "Order", json!({"total": total, "note": note}));
    }
    bench.wait_for("out", 20);
    let kept: Vec<Value> = bench.wait_for("archive.all", 19).iter().map(|event| event["total"].clone()).collect();
    assert_eq!(kept, (500..520).filter(|total| *total != 507).map(Value::from).collect::<Vec<_>>());
    let letters = bench.wait_for("all.dead", 1);
    assert_eq!((&letters[0]["code"], &letters[0]["subscription"]), (&json!("HW-BUS-014"), &json!("archive/all")));
    assert_eq!(letters[0]["position"]["offset"], 7);
    assert!(letters[0]["data"].as_str().unwrap().contains("nnn"), "{letters:?}");
    bench.until("it is counted", || bench.figure("archive/all", "dead_letters_total") == 1);
    for unit in [good, archive] {
        assert!(unit.finished().now_or_never().is_none());
        bench.stop(&unit);
    }
}

#[test]
fn a_document_that_its_table_refuses_is_a_dead_letter_and_nothing_else_is() {
    let bench = Bench::new();
    for stream in ["table.orders", "in", "out", "other"] {
        bench.stream(stream);
    }
    let table = json!([
        {"type": "table", "table": "orders", "key": "$.id"},
        {"type": "stream", "stream": "out"},
    ]);
    let rule = |targets: Value| json!({"source": "in", "pattern": {"id": [{"exists": true}]}, "targets": targets});
    let one = bench.start("Rule", "one", rule(table));
    let two = bench.start("Rule", "two", rule(json!([{"type": "stream", "stream": "other"}])));
    let events: Vec<Value> =
        (0..50).map(|id| json!({"id": format!("d{id}"), "note": if id == 17 { "refuse" } else { "" }})).collect();
    assert!(bench.send("in", &events));
    assert_eq!(bench.wait_for("out", 50), events);
    assert_eq!(bench.wait_for("other", 50), events);
    bench.wait_for("table.orders", 49);
    let letters = bench.wait_for("one.dead", 1);
    assert_eq!(letters[0]["code"], "HW-KERNEL-020");
    assert!(letters[0]["data"].as_str().unwrap().contains("d17"));
    assert!(bench.read("two.dead").is_empty());
    bench.stop(&one);
    bench.stop(&two);
}

#[test]
fn a_rule_that_triggers_itself_is_cut() {
    let bench = Bench::new();
    let unit = bench.start(
        "Rule",
        "echo",
        json!({"pattern": {"source": ["loop"]}, "targets": [{"type": "stream", "stream": "bus.default"}]}),
    );
    let id = bench.put("loop", "Ping", json!({}));
    let letters = bench.wait_for("echo.dead", 1);
    assert_eq!(letters[0]["code"], "HW-BUS-010");
    assert_eq!(letters[0]["causation_id"], json!(id));
    assert_eq!(letters[0]["hops"], 16);
    assert_eq!(bench.read("bus.default").len(), 17);
    // Counted behind the commit that the letter is in.
    bench.until("the cut is counted", || bench.figure("rule/echo", "loops_cut_total") == 1);
    let entries = bench.wait_for("headwater.audit", 1);
    assert_eq!((&entries[0]["verb"], &entries[0]["outcome"]), (&json!("cut"), &json!("loop")));
    bench.stop(&unit);
}

#[test]
fn documents_written_together_go_on_with_their_own_chains() {
    let bench = Bench::new();
    for stream in ["table.orders", "in", "again"] {
        bench.stream(stream);
    }
    // What comes by way of the second rule is one step further than what came straight.
    let exists = json!({"id": [{"exists": true}]});
    let ahead = json!({"id": [{"prefix": "far"}]});
    let first = bench.start(
        "Rule",
        "first",
        json!({"source": "in", "pattern": ahead, "targets": [{"type": "stream", "stream": "again"}]}),
    );
    let table = json!([{"type": "table", "table": "orders", "key": "$.id"}]);
    let second = bench.start("Rule", "second", json!({"source": "again", "pattern": exists, "targets": table}));
    assert!(bench.send("again", &[json!({"id": "near"})]));
    assert!(bench.send("in", &(0..20).map(|n| json!({"id": format!("far{n}")})).collect::<Vec<_>>()));
    assert!(bench.send("again", &[json!({"id": "near too"})]));
    bench.wait_for("table.orders", 22);
    for document in bench.read("table.orders") {
        let hops = if document.key.as_deref().unwrap().starts_with("far") { "2" } else { "1" };
        assert_eq!(document.headers["ce_hops"], hops, "{document:?}");
    }
    bench.stop(&first);
    bench.stop(&second);
}

#[test]
fn a_rule_that_stops_goes_on_where_it_stopped_while_others_run() {
    let bench = Bench::new();
    for stream in ["in", "one", "two", "late"] {
        bench.stream(stream);
    }
    let rule = |stream: &str| json!({"source": "in", "pattern": {"n": [{"exists": true}]}, "targets": [{"type": "stream", "stream": stream}]});
    let one = bench.start("Rule", "one", rule("one"));
    let two = bench.start("Rule", "two", rule("two"));
    assert!(bench.send("in", &[json!({"n": 0})]));
    bench.wait_for("one", 1);
    bench.wait_for("two", 1);
    bench.stop(&two);
    assert!(bench.send("in", &[json!({"n": 1})]));
    bench.wait_for("one", 2);
    // All have stopped: the reader ends, and another takes up what it wrote down.
    bench.stop(&one);
    assert!(bench.send("in", &[json!({"n": 2})]));
    let two = bench.start("Rule", "two", rule("two"));
    let one = bench.start("Rule", "one", rule("one"));
    let late = bench.start("Rule", "late", rule("late"));
    assert!(bench.send("in", &[json!({"n": 3})]));
    let all: Vec<Value> = (0..4).map(|n| json!({"n": n})).collect();
    assert_eq!(bench.wait_for("two", 4), all);
    assert_eq!(bench.wait_for("one", 4), all);
    assert_eq!(bench.wait_for("late", 1), [json!({"n": 3})]);
    for unit in [one, two, late] {
        bench.stop(&unit);
    }
}

#[test]
fn a_pipe_filters_changes_in_the_shape_of_a_dynamodb_stream() {
    let bench = Bench::new();
    bench.stream("table.runs.changes");
    // The filter of the workflow-cost article, verbatim.
    let filter =
        json!({"dynamodb": {"NewImage": {"status": {"S": ["COMPLETE"]}, "totalCost": {"S": [{"exists": false}]}}}});
    let unit = bench.start(
        "Pipe",
        "price",
        json!({
            "source": {"type": "table", "table": "runs", "shape": "dynamodb"},
            "filter": [filter],
            "target": {"type": "stream", "stream": "priced", "input": {"path": "$.dynamodb.NewImage.id.S"}},
        }),
    );
    let change = |image: Value| {
        json!({"eventName": "MODIFY", "table": "runs", "key": "r1", "version": 2, "time": "2026-01-01T00:00:00Z",
               "images": "newAndOldImages", "newImage": image})
    };
    let changes = [
        change(json!({"id": "a", "status": "RUNNING"})),
        change(json!({"id": "b", "status": "COMPLETE"})),
        change(json!({"id": "c", "status": "COMPLETE", "totalCost": "1.50"})),
        json!({"no": "change"}),
        change(json!({"id": "d", "status": "COMPLETE"})),
    ];
    assert!(bench.send("table.runs.changes", &changes));
    assert_eq!(bench.wait_for("priced", 2), [json!("b"), json!("d")]);
    bench.stop(&unit);
}

#[test]
fn what_is_wrong_with_a_put_is_told_for_each_event() {
    use headwater_kernel::port::Bus;
    use headwater_kernel::port::bus::BusEvent;
    let bench = Bench::new();
    let event = |source: &str, detail: &'static str| BusEvent {
        id: "1".to_owned(),
        source: source.to_owned(),
        kind: "Order".to_owned(),
        time: None,
        resources: vec!["a".to_owned()],
        detail: bytes::Bytes::from_static(detail.as_bytes()),
        cause: None,
    };
    let events = vec![event("shop", "{}"), event("", "{}"), event("shop", "[1]"), event("shop", "{")];
    let answers = bench.runtime.block_on(bench.buses.put(&Name::new("default").unwrap(), events)).unwrap();
    let codes: Vec<String> = answers.into_iter().map(|answer| answer.unwrap_or_else(|problem| problem.title)).collect();
    assert_eq!(codes, ["1", "the event has no `source`", "`detail` is JSON, but no object", "`detail` is no JSON"]);
    assert_eq!(bench.read("bus.default").len(), 1);
    let problem = bench.runtime.block_on(bench.buses.put(&Name::new("defualt").unwrap(), Vec::new())).unwrap_err();
    assert_eq!(problem.code, "HW-BUS-030");
    assert!(problem.help.unwrap().contains("`default`"));
}
