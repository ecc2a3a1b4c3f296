//! A node on a disk that gets full: what it refuses, what it still answers, and what is there afterwards.

use e2e::small_disk::SmallDisk;
use e2e::{Node, json, note_skip, until};
use serde_json::{Value, json};

use super::{HEADWATER, noise};

const NAME: &str = "a_full_disk_refuses_and_says_so_and_goes_on_where_it_was";
const MIB: u64 = 1 << 20;

const RESOURCES: &str = "\
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: old}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: kept}
spec:
  stream: orders
  snapshotInterval: 200ms
  columns:
    - {name: id, type: long, required: true}
    - {name: note, type: string}
---
apiVersion: headwater.dev/v1
kind: Workflow
metadata: {name: pass}
spec: {definition: {StartAt: P, States: {P: {Type: Pass, End: true}}}}
";

/// Publishes events; status and body of the answer, which says that they are durable.
fn publish(node: &Node, stream: &str, ids: std::ops::Range<i64>, length: usize) -> (u16, String) {
    let events: Vec<Value> = ids.map(|id| json!({"id": id, "note": noise(id, length)})).collect();
    node.post(&format!("/v1/streams/{stream}/events"), &Value::from(events)).unwrap()
}

/// Publishes orders from `next` on, so many at a time, until the node refuses; its words.
fn fill(node: &Node, next: &mut i64, count: i64, length: usize) -> String {
    loop {
        let (status, body) = publish(node, "orders", *next..*next + count, length);
        match status {
            200 => *next += count,
            // Too much waits at the moment; the disk has not refused yet.
            503 if body.contains("HW-API-016") => {}
            503 => return body,
            other => panic!("{other}: {body}"),
        }
        assert!(*next < 100_000, "the disk is full");
    }
}

/// The only row of a statement's answer.
fn row(node: &Node, statement: &str) -> Option<String> {
    let told = node.headwater(&["sql", "-o", "csv", statement], "").ok()?;
    told.lines().nth(1).map(str::to_owned)
}

#[test]
fn a_full_disk_refuses_and_says_so_and_goes_on_where_it_was() {
    let disk = match SmallDisk::mount(320) {
        Ok(disk) => disk,
        Err(why) => return note_skip(NAME, &why.to_string()),
    };
    // The node's own log is on it, too: that it cannot be written must end nobody.
    let mut node = Node::start_in(HEADWATER, disk.path()).unwrap();
    node.headwater(&["apply", "-f", "-"], RESOURCES).unwrap();
    for at in 0..13 {
        assert_eq!(publish(&node, "old", at * 20..at * 20 + 20, 30_000).0, 200);
    }
    disk.write_ballast("ballast", 20 * MIB).unwrap();

    let mut next = 0;
    let refused = fill(&node, &mut next, 20, 30_000);
    assert!(refused.contains("HW-API-017") && refused.contains("No space left on device"), "{refused}");
    // To the brim: what is little does not fit either.
    fill(&node, &mut next, 1, 3_000);
    until("a start is refused", || {
        let told = node.post("/v1/workflows/pass/executions", &json!({}));
        told.is_ok_and(|(status, told)| status == 503 && told.contains("HW-WORK-034") && told.contains("No space left"))
    })
    .unwrap();
    let refused = node.headwater(&["apply", "-f", "-"], &RESOURCES.replace("name: old", "name: new")).unwrap_err();
    assert!(refused.to_string().contains("error[HW-KERNEL-016]"), "{refused}");
    let (status, told) = node.get("/readyz").unwrap();
    assert!(status == 503 && told.contains("log: ") && told.contains("No space left on device"), "{status} {told}");
    let doctor = node.run(&["doctor"]).unwrap();
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(!doctor.status.success() && told.contains("BAD    disk space: "), "{told}");
    assert!(told.contains("BAD    node: ") && told.contains("No space left on device"), "{told}");
    until("the dataset says so", || {
        node.headwater(&["describe", "dataset/kept"], "").is_ok_and(|told| told.contains("disk"))
    })
    .unwrap();

    // What is there is answered, and what frees space is done.
    assert_eq!(node.get("/healthz").unwrap().0, 200);
    assert!(node.headwater(&["tail", "orders", "--from", "earliest", "-n", "1"], "").unwrap().contains("\"note\""));
    let all = next.to_string();
    until("SQL reads the stream", || row(&node, "SELECT count(*) AS n FROM streams.orders").as_ref() == Some(&all))
        .unwrap();
    until("SQL reads the dataset", || row(&node, "SELECT count(*) AS n FROM kept").as_ref() == Some(&all)).unwrap();
    assert_eq!(node.headwater(&["delete", "stream/old"], "").unwrap(), "stream/old deleted\n");

    // Space is freed elsewhere: the node goes on by itself, and what waited for the disk catches up.
    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    until("events are taken again", || publish(&node, "orders", next..next + 1, 10).0 == 200).unwrap();
    next += 1;
    let (status, told) = node.post("/v1/workflows/pass/executions?wait=20", &json!({})).unwrap();
    assert!(status == 200 && told.contains("SUCCEEDED"), "{status} {told}");
    until("the node is ready", || node.get("/readyz").is_ok_and(|(status, _)| status == 200)).unwrap();
    let caught_up = || {
        node.get("/v1/datasets/kept/table").is_ok_and(|(_, told)| json(&told).is_ok_and(|table| table["rows"] == next))
    };
    // Its pauses have grown meanwhile, up to a minute.
    let soon = until("the dataset has caught up", &caught_up);
    soon.or_else(|_| until("the dataset has caught up", &caught_up)).unwrap();
    node.kill_and_restart().unwrap();
    let each_once = format!("{next},{next}");
    let of_stream = "SELECT count(*) AS n, count(DISTINCT value->>'id') AS ids FROM streams.orders";
    assert_eq!(row(&node, of_stream).unwrap(), each_once);
    until("the dataset", || {
        row(&node, "SELECT count(*) AS n, sum(id) AS total FROM kept")
            == Some(format!("{next},{}", next * (next - 1) / 2))
    })
    .unwrap();
    assert_eq!(publish(&node, "orders", next..next + 1, 10).0, 200);
}
