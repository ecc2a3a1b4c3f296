//! Rules and pipes whose targets and enrichments other parts of a node carry out: workflows and pipelines.

use std::collections::BTreeMap;

use e2e::{Node, json, until};
use serde_json::{Value, json};

use super::HEADWATER;

/// Parcels arrive as events, are weighed by a pipeline, sized by an Express workflow and packed by a Standard one.
const PARCELS: &str = r#"
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: parcels}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: shelves}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: weigh}
spec:
  source: {type: stream, stream: parcels, start: earliest}
  steps:
    - {id: weight, type: transform, program: .grams = to_int!(.kilos) * 1000}
  outputs:
    - {type: stream, stream: parcels.weighed}
---
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: shelve}
spec:
  source: {type: stream, stream: shelves, start: earliest}
  steps:
    - {id: shelf, type: transform, program: '.shelf = "shelf for " + string!(.size)'}
  outputs:
    - {type: stream, stream: shelved}
---
apiVersion: headwater.dev/v1
kind: Workflow
metadata: {name: pack}
spec:
  definition:
    QueryLanguage: JSONata
    StartAt: Pack
    States:
      Pack: {Type: Pass, Output: {packed: '{% $states.input.id %}'}, End: true}
---
apiVersion: headwater.dev/v1
kind: Workflow
metadata: {name: size}
spec:
  type: express
  definition:
    QueryLanguage: JSONata
    StartAt: IsTooHeavy
    States:
      IsTooHeavy:
        Type: Choice
        Choices: [{Condition: '{% $states.input.kilos > 100 %}', Next: Refuse}]
        Default: Size
      Refuse: {Type: Fail, Error: TooHeavy, Cause: nobody can lift it}
      Size:
        Type: Pass
        Output: {id: '{% $states.input.id %}', size: '{% $states.input.kilos > 10 ? "large" : "small" %}'}
        End: true
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: arrivals}
spec:
  pattern: {source: [post], detail-type: [Arrived]}
  targets:
    - {type: workflow, workflow: pack, input: {path: $.detail}}
    - {type: pipeline, pipeline: weigh, input: {path: $.detail}}
---
apiVersion: headwater.dev/v1
kind: Pipe
metadata: {name: sized}
spec:
  source: {type: stream, stream: parcels, start: earliest}
  enrichment: {type: workflow, workflow: size}
  target: {type: pipeline, pipeline: shelve}
---
apiVersion: headwater.dev/v1
kind: Pipe
metadata: {name: weighed}
spec:
  source: {type: stream, stream: parcels, start: earliest}
  enrichment:
    type: pipeline
    pipeline: weigh
    input: {template: '{"kilos": <kilos>, "of": <id>}', variables: {kilos: $.kilos, id: $.id}}
  target: {type: stream, stream: answers, input: {template: '{"of": <of>, "grams": <grams>}', variables: {of: $.of, grams: $.grams}}}
"#;

/// The values of a stream once there are so many; one more than that fails.
fn values(node: &Node, stream: &str, count: usize) -> Vec<Value> {
    let read = || -> Vec<Value> {
        let text = node.headwater(&["tail", stream, "--from", "earliest"], "").unwrap();
        text.lines().map(|line| json(line).unwrap()).collect()
    };
    until(&format!("{count} records in `{stream}`"), || read().len() >= count).unwrap();
    let mut values = read();
    assert_eq!(values.len(), count, "{stream}: {values:#?}");
    values.sort_by_key(Value::to_string);
    values
}

/// Executions of a workflow once so many have ended: state and output by the id in their input.
fn executions(node: &Node, workflow: &str, count: usize) -> BTreeMap<String, (String, Value)> {
    let mut items = Vec::new();
    until(&format!("{count} executions of `{workflow}`"), || {
        let (_, page) = node.get(&format!("/v1/executions?workflow={workflow}&max=1000")).unwrap();
        items = json(&page).unwrap()["items"].as_array().unwrap().clone();
        items.len() >= count && items.iter().all(|item| item["state"] != "RUNNING")
    })
    .unwrap();
    assert_eq!(items.len(), count, "{workflow}: {items:#?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    // A list has neither inputs nor outputs.
    let whole = |item: &Value| {
        let (_, shown) = node.get(&format!("/v1/executions/{}", text(&item["id"]))).unwrap();
        let shown = json(&shown).unwrap();
        (text(&shown["input"]["id"]), (text(&shown["state"]), shown["output"].clone()))
    };
    items.iter().map(whole).collect()
}

fn figure(node: &Node, name: &str, subscription: &str) -> Option<u64> {
    let (_, text) = node.get("/metrics").unwrap();
    let line = format!("{name}{{subscription=\"{subscription}\"}} ");
    text.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok())
}

fn put(node: &Node, events: &Value) {
    let (status, said) = node.post("/v1/buses/default/events", events).unwrap();
    assert_eq!(status, 200, "{said}");
}

#[test]
fn events_reach_workflows_and_pipelines_once_and_their_answers_go_on() {
    let mut node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], PARCELS).unwrap();
    let arrived = |id: &str, kilos: Value| json!({"id": id, "source": "post", "detail-type": "Arrived", "detail": {"id": id, "kilos": kilos}});
    let sent = json!({"id": "x", "source": "post", "detail-type": "Sent", "detail": {"id": "x", "kilos": 1}});
    put(&node, &json!([arrived("a", json!(2)), arrived("b", json!(40)), sent]));
    put(&node, &json!([arrived("c", json!(500)), arrived("d", json!("a lot"))]));

    let expect = |node: &Node| {
        let packed = |id: &str| (id.to_owned(), ("SUCCEEDED".to_owned(), json!({ "packed": id })));
        assert_eq!(executions(node, "pack", 4), ["a", "b", "c", "d"].map(packed).into());
        assert_eq!(values(node, "parcels", 4).len(), 4);
        assert_eq!(
            values(node, "parcels.weighed", 3),
            [
                json!({"id": "a", "kilos": 2, "grams": 2_000}),
                json!({"id": "b", "kilos": 40, "grams": 40_000}),
                json!({"id": "c", "kilos": 500, "grams": 500_000}),
            ]
        );
        assert_eq!(
            values(node, "answers", 3),
            [
                json!({"of": "a", "grams": 2_000}),
                json!({"of": "b", "grams": 40_000}),
                json!({"of": "c", "grams": 500_000}),
            ]
        );
        assert_eq!(
            values(node, "shelved", 2),
            [
                json!({"id": "a", "size": "small", "shelf": "shelf for small"}),
                json!({"id": "b", "size": "large", "shelf": "shelf for large"}),
            ]
        );
        // What was asked for nothing: the workflow that fails, and the program and the condition that take no text.
        let letters = values(node, "sized.dead", 2);
        let reasons: Vec<&str> = letters.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
        let ended = "the workflow `size` ended without an answer: ";
        assert!(reasons.contains(&&*format!("{ended}TooHeavy")), "{reasons:?}");
        assert!(reasons.contains(&&*format!("{ended}States.QueryEvaluationError")), "{reasons:?}");
        assert!(letters.iter().all(|letter| letter["code"] == "HW-BUS-011" && letter["attempts"] == 1), "{letters:#?}");
        let letter = values(node, "weighed.dead", 1).remove(0);
        assert_eq!(letter["code"], "HW-FLOW-121", "{letter}");
        assert!(letter["data"].as_str().unwrap().contains("a lot"), "{letter}");
    };
    expect(&node);
    node.kill_and_restart().unwrap();
    // An event behind all of them has passed everybody: had anything been delivered anew, it would be there by then.
    put(&node, &arrived("e", json!(1)));
    until("the last one has come through", || {
        ["shelved", "answers", "parcels.weighed"].iter().all(|stream| {
            let text = node.headwater(&["tail", stream, "--from", "earliest"], "").unwrap();
            text.contains("\"e\"")
        })
    })
    .unwrap();
    assert_eq!(executions(&node, "pack", 5).len(), 5);
    for (stream, count) in
        [("parcels", 5), ("parcels.weighed", 4), ("answers", 4), ("shelved", 3), ("sized.dead", 2), ("weighed.dead", 1)]
    {
        values(&node, stream, count);
    }
}

#[test]
fn a_loop_by_way_of_a_pipeline_is_cut_and_a_start_that_cannot_be_is_not_tried_again() {
    const LOOP: &str = r#"
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: ping}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: forth}
spec:
  source: {type: stream, stream: ping, start: earliest}
  steps:
    - {id: round, type: transform, program: .round = to_int!(.round) + 1}
  outputs:
    - {type: stream, stream: pong}
---
apiVersion: headwater.dev/v1
kind: Pipe
metadata: {name: back}
spec:
  source: {type: stream, stream: pong, start: earliest}
  target: {type: stream, stream: ping}
---
apiVersion: headwater.dev/v1
kind: Workflow
metadata: {name: slow}
spec:
  definition: {StartAt: Done, States: {Done: {Type: Succeed}}}
---
apiVersion: headwater.dev/v1
kind: Pipe
metadata: {name: impatient}
spec:
  source: {type: stream, stream: ping, start: earliest}
  filter: [{round: [0]}]
  enrichment: {type: workflow, workflow: slow}
  target: {type: stream, stream: never}
"#;
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], LOOP).unwrap();
    node.headwater(&["produce", "ping"], "{\"round\": 0}\n").unwrap();
    // The first round begins the chain; pipe and pipeline are a step each of its sixteen.
    let letter = values(&node, "back.dead", 1).remove(0);
    assert_eq!(letter["code"], "HW-BUS-010", "{letter}");
    assert_eq!(letter["hops"], 16, "{letter}");
    let rounds = values(&node, "pong", 9);
    assert_eq!(rounds.last().unwrap()["round"], 9);
    values(&node, "ping", 9);
    let letter = values(&node, "impatient.dead", 1).remove(0);
    assert_eq!((&letter["code"], &letter["attempts"]), (&json!("HW-WORK-035"), &json!(1)), "{letter}");
}

/// An event that came too late for its session is found by a rule that has the span recomputed: one rule only tells, the
/// other has it written.
#[test]
fn a_rule_reconciles_what_a_pipeline_said_about_the_hour_before_its_event() {
    const SESSIONS: &str = r#"
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: clicks}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: sessions}
spec:
  source: {type: stream, stream: clicks}
  time: {field: .time, disorder: 1s, lateness: 1m, ahead: 3650d}
  steps:
    - {id: sessions, type: session, key: .user, gap: 30s, output: {stream: clicks.sessions}}
  outputs:
    - {type: stream, stream: clicks.out}
  late: {stream: clicks.late}
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: tell}
spec:
  pattern: {source: [clock], detail-type: [Tell]}
  targets: [{type: reconcile, pipeline: sessions, span: 1h, repair: false}]
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: repair}
spec:
  pattern: {source: [clock], detail-type: [Repair]}
  targets: [{type: reconcile, pipeline: sessions, span: 1h, delay: 10m}]
"#;
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], SESSIONS).unwrap();
    let click = |user: &str, time: &str| format!("{}\n", json!({"user": user, "time": format!("2026-01-01T{time}Z")}));
    let send = |clicks: &[String]| drop(node.headwater(&["produce", "clicks"], &clicks.concat()).unwrap());
    send(&[click("u", "00:01:40"), click("v", "00:00:10"), click("w", "02:00:00")]);
    values(&node, "clicks.sessions", 2);
    send(&[click("u", "00:01:50"), click("w", "02:01:40")]);
    values(&node, "clicks.late", 1);
    values(&node, "clicks.out", 5);

    let tick = |kind: &str, id: &str, time: &str| {
        let time = format!("2026-01-01T{time}Z");
        put(&node, &json!({"id": id, "source": "clock", "detail-type": kind, "time": time, "detail": {}}));
        let rule = format!("rule/{}", kind.to_lowercase());
        let nth = id.parse::<u64>().unwrap();
        let delivered = || figure(&node, "hw_bus_delivered_total", &rule) == Some(nth);
        until(&format!("{kind} {id} is delivered"), delivered).unwrap();
    };
    let sessions = || node.headwater(&["tail", "clicks.sessions", "--from", "earliest"], "").unwrap();
    let before = sessions();
    tick("Tell", "1", "01:00:00");
    assert_eq!(sessions(), before, "who only tells writes nothing");
    // The hour ends ten minutes before the event; this one's is over before the session begins.
    tick("Repair", "1", "00:10:00");
    assert_eq!(sessions(), before, "another hour");
    tick("Repair", "2", "01:10:00");
    let sessions = values(&node, "clicks.sessions", before.lines().count() + 1);
    let corrected: Vec<&Value> = sessions.iter().filter(|session| session["revision"] == 2).collect();
    assert!(matches!(corrected[..], [one] if one["key"] == "u" && one["events"] == 2), "{sessions:#?}");
    tick("Repair", "3", "01:10:00");
    values(&node, "clicks.sessions", before.lines().count() + 1);
    assert_eq!(figure(&node, "hw_bus_dead_letters_total", "rule/repair"), Some(0));
}

#[test]
fn a_pipeline_that_feeds_itself_over_the_changes_of_a_table_is_cut() {
    const TABLE: &str = "
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: totals}
spec: {changes: {images: newImage}}
";
    const PIPELINE: &str = "
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: again}
spec:
  source: {type: stream, stream: table.totals.changes, start: earliest}
  outputs: [{type: table, table: totals, key: .key, fields: {after: .version}}]
";
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], TABLE).unwrap();
    node.headwater(&["apply", "-f", "-"], PIPELINE).unwrap();
    node.headwater(&["table", "put", "totals", "a", "{\"after\": 0}"], "").unwrap();
    let letter = values(&node, "again.dead", 1).remove(0);
    assert_eq!(letter["code"], "HW-FLOW-050", "{letter}");
    // The first change begins the chain, and each of its sixteen steps makes another.
    values(&node, "table.totals.changes", 17);
}
