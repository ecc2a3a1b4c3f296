//! The clickstream solution on a node that others feed: what holds over midnight, what is refused at both doors, what can
//! be read at once, and what `reconcile` mends.

use std::process::Command;

use e2e::{Node, client, json, output, until};
use serde_json::{Value, json};

use super::{HEADWATER, has_kcat};

/// A node with the solution, whose pipelines run.
fn marketplace() -> Node {
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["solution", "apply", "clickstream"], "").unwrap();
    until("every pipeline runs", || {
        let list = node.headwater(&["get", "pipelines", "-o", "json"], "").and_then(|text| json(&text)).unwrap();
        let list = list.as_array().unwrap();
        list.len() == 4 && list.iter().all(|pipeline| pipeline["status"]["ready"] == "true")
    })
    .unwrap();
    node
}

/// A sign-in from a data centre's address.
fn sign_in(id: &str, time: &str, address: &str, device: &str, ok: bool) -> Value {
    json!({"id": id, "source": "server", "kind": "sign_in", "time": time, "visitor": format!("v-{device}"), "device": device, "ip": address,
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0", "page": "/account",
        "email": format!("{id}@mail.example"), "ok": ok})
}

fn view(id: &str, time: &str, visitor: &str) -> Value {
    json!({"id": id, "source": "web", "kind": "view", "time": time, "visitor": visitor, "device": visitor, "page": format!("/{id}")})
}

fn send(node: &Node, events: &[Value]) {
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    node.headwater(&["produce", "clicks.raw", "--key", ".visitor"], &lines).unwrap();
}

/// All values of a stream.
fn values(node: &Node, stream: &str) -> Vec<Value> {
    let text = node.headwater(&["tail", stream, "--from", "earliest"], "").unwrap();
    text.lines().map(|line| json(line).unwrap()).collect()
}

/// The decision about an event, as soon as there is one.
fn decision(node: &Node, id: &str) -> Value {
    let mut found = Value::Null;
    until("there is a decision", || {
        found = values(node, "clicks.decisions").into_iter().find(|value| value["id"] == id).unwrap_or_default();
        !found.is_null()
    })
    .unwrap();
    found
}

fn bans(node: &Node) -> Vec<Value> {
    let (_, body) = node.get("/v1/tables/bans/documents").unwrap();
    json(&body).unwrap()["documents"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_ban_and_a_rate_of_an_address_hold_over_midnight() {
    let node = marketplace();
    // Ever new devices fail, one second after the other: first all of them before midnight, then half before and half after.
    let tries = |address: &str, times: &[&str]| -> Vec<Value> {
        let attempt = |number: usize| {
            let time = times[number * times.len() / 20].replace("SS", &format!("{:02}", number * 2));
            sign_in(&format!("{address}-{number}"), &time, address, &format!("d{number}-{address}"), false)
        };
        (0..20).map(attempt).collect()
    };
    send(&node, &tries("3.80.7.7", &["2024-03-04T23:58:SSZ"]));
    until("the address is banned", || bans(&node).len() == 1).unwrap();
    assert_eq!(bans(&node)[0]["value"]["reasons"], json!(["stuffing_with_many_devices"]));

    send(&node, &tries("3.80.9.9", &["2024-03-04T23:59:SSZ", "2024-03-05T00:00:SSZ"]));
    until("the other address is banned, too", || bans(&node).len() == 2).unwrap();

    send(
        &node,
        &[
            sign_in("back", "2024-03-05T00:01:00Z", "3.80.7.7", "fresh-1", true),
            sign_in("at-noon", "2024-03-05T12:00:00Z", "3.80.7.7", "fresh-2", true),
            sign_in("neighbour", "2024-03-05T12:00:00Z", "3.80.7.8", "fresh-3", true),
            sign_in("too-long-ago", "2024-03-06T12:00:00Z", "3.80.7.7", "fresh-4", true),
        ],
    );
    for (id, expected) in [("back", "ban"), ("at-noon", "ban"), ("neighbour", "allow"), ("too-long-ago", "allow")] {
        assert_eq!(decision(&node, id)["decision"], expected, "{id}");
    }
    // Nothing links the two days of an address but the first hour of the second.
    for event in values(&node, "clicks.enriched") {
        let hour = &event["time"].as_str().unwrap()[11..13];
        assert_eq!(event.get("ip_night").is_some(), ["23", "00"].contains(&hour), "{event}");
        assert!(event.get("ip_before").is_none() && event.get("ip").is_none(), "{event}");
    }
}

#[test]
fn what_breaks_the_first_level_is_a_dead_letter_whichever_door_it_took() {
    if !has_kcat("what_breaks_the_first_level") {
        return;
    }
    let node = marketplace();
    let good = view("good", "2024-03-04T09:00:00Z", "ann");
    let broken = |field: &str, value: Value| {
        let mut event = good.clone();
        event[field] = value;
        event
    };
    let events = [
        good.clone(),
        broken("id", json!(7)),
        broken("kind", Value::Null),
        broken("visitor", json!(["ann"])),
        broken("time", json!({"year": 2024})),
    ];
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let wanted = events.len() - 1;
    // HTTP looks at the schema before the raw stream has the event; what comes by Kafka is looked at by the first pipeline.
    node.headwater(&["produce", "clicks.raw"], &lines).unwrap();
    until("HTTP's dead letters are there", || values(&node, "clicks.dead").len() == wanted).unwrap();
    output(Command::new("kcat").args(["-b", &node.kafka(), "-q", "-P", "-t", "clicks.raw"]), &lines).unwrap();
    until("Kafka's dead letters are there", || values(&node, "clicks.dead").len() == 2 * wanted).unwrap();
    for letter in values(&node, "clicks.dead") {
        assert!(letter["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{letter}");
        assert_eq!(letter["position"]["stream"], "clicks.raw", "{letter}");
    }
    // The same event through both doors is one event.
    assert_eq!(values(&node, "clicks.enriched").len(), 1);
}

#[test]
fn what_fits_no_dataset_is_counted_with_its_reason_and_place() {
    let node = marketplace();
    let event = json!({"id": "odd", "kind": 7, "time": "2024-03-04T09:00:00Z"});
    node.headwater(&["produce", "clicks.enriched"], &format!("{event}\n")).unwrap();
    let refused = "SELECT dataset, reason, sum(events), min(first_offset), max(last_offset) \
        FROM clicks_refused WHERE stream = 'clicks.enriched' GROUP BY dataset, reason ORDER BY dataset";
    let told = || -> Vec<String> {
        let answer = node.headwater(&["sql", "-o", "csv", refused], "").unwrap();
        answer.lines().skip(1).map(str::to_owned).collect()
    };
    until("both datasets have refused it", || told().len() == 2).unwrap();
    let row = |dataset: &str| format!("{dataset},\"`kind` is a whole number, not a string\",1,0,0");
    assert_eq!(told(), [row("clicks"), row("clicks_minutes")]);
}

#[test]
fn features_of_users_listings_and_addresses_can_be_read_at_once() {
    let node = marketplace();
    let now = output(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]), "").unwrap();
    let event = |id: &str, kind: &str, price: f64| {
        let mut event = view(id, now.trim(), "ann");
        let more = json!({"kind": kind, "user_id": "u1", "listing_id": "l1", "ip": "73.10.0.9", "price": price});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    send(&node, &[event("a", "view", 0.0), event("b", "order", 12.5), event("c", "order", 2.5)]);
    let mut features = Value::Null;
    until("the user's features are there", || {
        let (status, body) = node.get("/v1/features/user/u1").unwrap();
        features = json(&body).unwrap_or_default();
        status == 200 && features["events_1m"] == 3
    })
    .unwrap();
    for window in ["1m", "10m", "1h", "1d"] {
        assert_eq!(features[format!("events_{window}")], 3, "{features}");
        assert_eq!(features[format!("spend_{window}")], 15.0, "{features}");
        assert_eq!(features[format!("country_{window}")], "US", "{features}");
    }
    let written = values(&node, "clicks.features");
    let last = |entity: &str| written.iter().rfind(|value| value["entity"] == entity).cloned().unwrap();
    assert_eq!(last("user")["values"]["events_1h"], 3);
    assert_eq!(last("listing")["values"]["orders_1h"], 2);
    let address = last("ip");
    assert_eq!((&address["values"]["visitors_1h"], &address["values"]["asn_1h"]), (&json!(1), &json!("7922")));
    let (status, body) = node.get(&format!("/v1/features/ip/{}", address["key"].as_str().unwrap())).unwrap();
    assert_eq!((status, json(&body).unwrap()["events_1m"].clone()), (200, json!(3)));

    // What the dashboard of operations draws of them, out of the rollup; all that it has can be drawn.
    let drawn = |chart: &Value, filters: Value| {
        let asked = json!({"dashboard": "operations", "chart": chart, "filters": filters});
        let (status, drawn) = node.post("/v1/charts", &asked).unwrap();
        assert_eq!(status, 200, "{chart}: {drawn}");
        json(&drawn).unwrap()["rows"].clone()
    };
    let (_, shown) = node.get("/v1/dashboards/operations").unwrap();
    for chart in json(&shown).unwrap()["spec"]["charts"].as_array().unwrap() {
        drawn(&chart["id"], json!({}));
    }
    assert_eq!(drawn(&json!("events"), json!({})), json!([[3]]));
    assert_eq!(drawn(&json!("events"), json!({"kind": ["order"]})), json!([[2]]));
    assert_eq!(drawn(&json!("countries"), json!({"country": ["US"]})), json!([["US", 3]]));
}

#[test]
fn reconcile_finds_and_mends_what_is_missing_wrong_or_too_much() {
    if !has_kcat("reconcile_finds_and_mends") {
        return;
    }
    let node = marketplace();
    let mut events = Vec::new();
    for (visitor, count) in [("ann", 3), ("bob", 2), ("eve", 4)] {
        events.extend((0..count).map(|n| view(&format!("{visitor}{n}"), &format!("2024-03-04T09:0{n}:00Z"), visitor)));
    }
    send(&node, &events);
    // Later events in every partition close the visits.
    let closing: Vec<Value> =
        (0..16).map(|n| view(&format!("end{n}"), "2024-03-04T15:00:00Z", &format!("end{n}"))).collect();
    send(&node, &closing);
    // By id of the visit, the newest value.
    let visits = || {
        let mut found = std::collections::BTreeMap::new();
        for line in node.headwater(&["tail", "clicks.sessions", "--from", "earliest", "--record"], "").unwrap().lines()
        {
            let record = json(line).unwrap();
            let (key, value) = (record["key"].as_str().unwrap().to_owned(), record["value"].clone());
            if value.is_null() {
                found.remove(&key)
            } else {
                found.insert(key, value)
            };
        }
        found
    };
    until("the visits are closed", || visits().len() == 3).unwrap();
    let before = visits();
    let id = |visitor: &str| before.iter().find(|(_, visit)| visit["key"] == visitor).unwrap().0.clone();
    assert_eq!(before[&id("eve")]["events"], 4);
    assert_eq!(before[&id("eve")]["duration_ms"], 180_000);
    let reconcile = |words: &[&str]| {
        let words =
            [&["reconcile", "clickstream-behaviour", "-o", "json", "--to", "2024-03-04T12:00:00Z"], words].concat();
        let run = node.run(&words).unwrap();
        let rows = json(&String::from_utf8_lossy(&run.stdout)).unwrap();
        let row = rows.as_array().unwrap().iter().find(|row| row["stream"] == "clicks.sessions").unwrap();
        let counts = ["missing", "wrong", "extra"].map(|name| row[name].as_u64().unwrap());
        (run.status.success(), counts)
    };
    assert_eq!(reconcile(&[]), (true, [0, 0, 0]), "nothing to mend yet");

    // One visit is lost, one is falsified, one never was; and an event comes hours too late.
    let mut wrong = before[&id("bob")].clone();
    wrong["events"] = json!(99);
    let extra = json!({"key": "nobody", "session_id": "x", "revision": 1, "closed": true,
        "start": "2024-03-04T09:00:00Z", "end": "2024-03-04T09:00:00Z", "duration_ms": 0, "events": 1});
    let lines = format!("{}|\n{}|{wrong}\nx|{extra}\n", id("ann"), id("bob"));
    let kcat =
        ["-b", &node.kafka(), "-q", "-P", "-t", "clicks.sessions", "-K", "|", "-Z", "-X", "topic.partitioner=murmur2"];
    output(Command::new("kcat").args(kcat), &lines).unwrap();
    send(&node, &[view("too-late", "2024-03-04T09:05:00Z", "eve")]);
    until("the late event is put aside", || values(&node, "clicks.late").len() == 1).unwrap();

    assert_eq!(reconcile(&[]), (false, [1, 2, 1]), "what was done to it is found");
    assert_eq!(reconcile(&["--repair"]), (true, [1, 2, 1]), "and mended");
    assert_eq!(reconcile(&[]), (true, [0, 0, 0]), "so that nothing is left to mend");
    let after = visits();
    assert_eq!(after.len(), 3);
    assert_eq!(after[&id("ann")]["events"], 3);
    assert_eq!(after[&id("bob")]["events"], 2);
    assert_eq!(after[&id("eve")]["events"], 5, "with the event that came too late");
}

/// What the machine's clock showed so many minutes ago.
fn minutes_ago(minutes: u32) -> String {
    let when = format!("{minutes} minutes ago");
    let said = output(Command::new("date").args(["-u", "-d", &when, "+%Y-%m-%dT%H:%M:%SZ"]), "").unwrap();
    said.trim().to_owned()
}

/// The solution's own schedules, made due now instead of at twenty past and at night: the hourly one looks back over two
/// hours, and the daily one over the day before.
#[test]
fn the_schedules_mend_the_hours_and_the_day_before_them() {
    let node = marketplace();
    let at = |id: &str, minutes: u32, visitor: &str| view(id, &minutes_ago(minutes), visitor);
    send(&node, &[at("ann0", 1_200, "ann"), at("ann1", 1_199, "ann")]);
    send(&node, &[at("bob0", 100, "bob"), at("bob1", 99, "bob")]);
    // Later events in every partition close the visits.
    send(&node, &(0..16).map(|n| at(&format!("end{n}"), 0, &format!("end{n}"))).collect::<Vec<_>>());
    // How many events the newest word about the visit of a visitor counts.
    let events = |visitor: &str| {
        let newest = values(&node, "clicks.sessions").into_iter().rfind(|visit| visit["key"] == visitor);
        newest.map_or(0, |visit| visit["events"].as_u64().unwrap())
    };
    until("the visits are closed", || events("ann") == 2 && events("bob") == 2).unwrap();
    send(&node, &[at("too-late-ann", 1_198, "ann"), at("too-late-bob", 98, "bob")]);
    until("the late events are put aside", || values(&node, "clicks.late").len() == 2).unwrap();

    for (schedule, visitor) in [("clickstream-hourly", "bob"), ("clickstream-daily", "ann")] {
        let (status, said) = node.post(&format!("/v1/schedules/{schedule}/runs"), &json!({})).unwrap();
        assert_eq!(status, 202, "{schedule}: {said}");
        until(&format!("`{schedule}` has mended the visit of {visitor}"), || events(visitor) == 3).unwrap();
    }
}

/// What an order needs to be written again is in the raw stream alone.
#[test]
fn reconcile_finds_in_the_raw_stream_what_the_enriched_ones_lack() {
    const NAME: &str = "reconcile_finds_in_the_raw_stream";
    const FORGET: &str = "\
import sys
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
admin = AdminClient({'bootstrap.servers': sys.argv[1]})
asked = admin.delete_records([TopicPartition('clicks.orders', partition, -1) for partition in range(4)])
for one in asked.values():
    one.result()
";
    let Some(python) = client(NAME, "venv/bin/python") else { return };
    if !has_kcat(NAME) {
        return;
    }
    let node = marketplace();
    let event = |number: usize, kind: &str| {
        let mut event = view(&format!("e{number}"), &format!("2024-03-04T09:00:0{number}Z"), &format!("ann{number}"));
        event["kind"] = json!(kind);
        event
    };
    let events: Vec<Value> = (0..8).map(|number| event(number, if number < 6 { "view" } else { "order" })).collect();
    send(&node, &events);
    let by_kafka = |stream: &str, event: &Value| {
        let kcat = ["-b", &node.kafka(), "-q", "-P", "-t", stream, "-K", "|", "-X", "topic.partitioner=murmur2"];
        let line = format!("{}|{event}\n", event["visitor"].as_str().unwrap());
        output(Command::new("kcat").args(kcat), &line).unwrap();
    };
    // By Kafka, since HTTP keeps what it has had already from the raw stream: sent once more, and what is no event.
    by_kafka("clicks.raw", &events[0]);
    let mut broken = event(8, "view");
    broken["device"] = json!(7);
    by_kafka("clicks.raw", &broken);
    // Later ones in every partition: what lies before the watermark is compared.
    let later = |n| view(&format!("end{n}"), "2024-03-04T13:00:00Z", &format!("end{n}"));
    send(&node, &(0..16).map(later).collect::<Vec<_>>());
    until("all are read", || {
        let counts = ["clicks.enriched", "clicks.orders", "clicks.dead"].map(|stream| values(&node, stream).len());
        counts == [24, 2, 1]
    })
    .unwrap();

    let reconcile = |words: &[&str]| {
        let words =
            [&["reconcile", "clickstream-enrich", "-o", "json", "--to", "2024-03-04T12:00:00Z"], words].concat();
        let run = node.run(&words).unwrap();
        let rows = json(&String::from_utf8_lossy(&run.stdout)).unwrap();
        let counts = |stream: &str| {
            let row = rows.as_array().unwrap().iter().find(|row| row["stream"] == stream).unwrap();
            ["compared", "missing", "wrong", "extra"].map(|name| row[name].as_u64().unwrap())
        };
        (run.status.success(), ["clicks.enriched", "clicks.orders", "clicks.accounts"].map(counts))
    };
    let whole = [[8, 0, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]];
    assert_eq!(reconcile(&[]), (true, whole), "each event once, and neither its copy nor what is none");

    // The newest that is known of one event is that a lookup had failed, and all orders are gone.
    let mut failed = events[2].clone();
    failed["enrichment"] = json!({"status": "failed"});
    by_kafka("clicks.enriched", &failed);
    output(Command::new(python).args(["-c", FORGET, &node.kafka()]), "").unwrap();
    until("they are so", || values(&node, "clicks.enriched").len() == 25 && values(&node, "clicks.orders").is_empty())
        .unwrap();
    let lacking = [[8, 0, 1, 0], [2, 2, 0, 0], [0, 0, 0, 0]];
    assert_eq!(reconcile(&[]), (false, lacking));
    assert_eq!(reconcile(&["--repair"]), (true, lacking));
    assert_eq!(reconcile(&[]), (true, whole), "nothing is left to mend");
    let again: Vec<Value> = values(&node, "clicks.enriched").into_iter().filter(|it| it["revision"] == 2).collect();
    let ids: Vec<&str> = again.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["e2"], "as after a retry, for an upsert by id");
    let mut orders: Vec<String> =
        values(&node, "clicks.orders").iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    orders.sort_unstable();
    assert_eq!(orders, ["e6", "e7"]);
}

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let readme = output(Command::new(HEADWATER).args(["solution", "show", "clickstream"]), "").unwrap();
    let commands: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let line = r#"83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "Googlebot/2.1""#;
    std::fs::write(&log, format!("{line}\n")).unwrap();
    let log = log.to_str().unwrap().to_owned();
    let node = Node::start(HEADWATER).unwrap();
    for command in commands {
        let said = if let Some(path) = command.strip_prefix("curl http://127.0.0.1:8080") {
            let (status, body) = node.get(path).unwrap();
            assert_eq!(status, 200, "`{command}`: {body}");
            body
        } else {
            let words = command.strip_prefix("headwater ").unwrap().replace("access.log", &log);
            node.headwater(&words.split(' ').collect::<Vec<_>>(), "").unwrap()
        };
        assert!(!said.trim().is_empty(), "`{command}` says nothing");
    }
}
