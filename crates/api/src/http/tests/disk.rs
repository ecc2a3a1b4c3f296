//! A disk that is full, or slow: what a client of the listener sees, and what is left of what it was told.

use std::sync::Arc;

use headwater_base::{Limits, Name};
use headwater_log::Log;
use headwater_testkit::{FaultyDisk, log_on};
use serde_json::Value;

use super::{House, body, code, house_over};

const EVENTS: &str = "/v1/streams/orders/events";

/// A listener on this disk, with the stream `orders`.
async fn on(disk: &FaultyDisk, limits: &Limits) -> House {
    let (log, clock) = log_on(Arc::new(disk.clone()), limits.clone());
    let house = house_over(log, clock, tempfile::tempdir().unwrap(), Arc::new(limits.clone())).await;
    let orders = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: orders}\nspec: {partitions: 1}\n";
    assert_eq!(house.send("POST", "/v1/apply", "application/yaml", orders).await.0, 200);
    house.kernel.settled(&["Stream/orders".into()], std::time::Duration::from_secs(20)).await;
    house
}

/// Events of some size, one a line.
fn lines(count: usize, bytes: usize) -> String {
    format!("{{\"x\":\"{}\"}}\n", "x".repeat(bytes)).repeat(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_nothing_accepted_is_lost() {
    let disk = FaultyDisk::default();
    let house = on(&disk, &Limits::default()).await;
    disk.set_full(true);
    let mut accepted = 0;
    let refused = loop {
        let answer = house.send("POST", EVENTS, "application/x-ndjson", &lines(20, 40_000)).await;
        if answer.0 != 200 {
            break answer;
        }
        accepted += body(&answer)["accepted"].as_u64().unwrap();
        assert!(accepted < 10_000, "the disk is full");
    };
    assert_eq!(code(&refused), "503 HW-API-017");
    assert!(body(&refused)["title"].as_str().unwrap().contains("disk"), "{refused:?}");
    // What is there can still be read.
    assert_eq!(house.get(&format!("{EVENTS}?from=-1")).await.0, 200);
    disk.set_full(false);
    let again = loop {
        let answer = house.send("POST", EVENTS, "application/x-ndjson", &lines(1, 10)).await;
        if answer.0 == 200 {
            break answer;
        }
        assert_eq!(code(&answer), "503 HW-API-017");
    };
    let last = accepted;
    assert_eq!(body(&again)["placed"][0]["first"], Value::from(last), "what was refused was not written");
    drop(house.stop().await);
    disk.cut();
    disk.power_on(1);
    let (log, _) = log_on(Arc::new(disk), Limits::default());
    assert_eq!(log.ends(&Name::new("orders").unwrap(), 0).unwrap().durable, i64::try_from(last).unwrap() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_while_too_much_is_unsynced_and_none_is_lost() {
    const REQUESTS: usize = 40;
    const EVENT_BYTES: usize = 10_000;
    let disk = FaultyDisk::default();
    let limits = Limits { unsynced_bytes: 10 * EVENT_BYTES, ..Limits::default() };
    let house = Arc::new(on(&disk, &limits).await);
    let orders = Name::new("orders").unwrap();
    let log = house.kernel.log().clone();
    let ends = || log.ends(&orders, 0).unwrap();
    let held = disk.hold_syncs();
    let sent: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let house = Arc::clone(&house);
            tokio::spawn(
                async move { house.send("POST", EVENTS, "application/x-ndjson", &lines(1, EVENT_BYTES)).await.0 },
            )
        })
        .collect();
    // As many as fit are in, and no more come in while the disk does not answer; others are served.
    let full = limits.unsynced_bytes / (EVENT_BYTES + 1_000);
    while ends().appended < i64::try_from(full).unwrap() {
        assert_eq!(house.get("/healthz").await.0, 200);
    }
    for _ in 0..50 {
        assert_eq!(house.get("/healthz").await.0, 200);
        assert!(usize::try_from(ends().appended).unwrap() * EVENT_BYTES <= limits.unsynced_bytes);
    }
    assert_eq!(ends().durable, 0);
    assert!(sent.iter().all(|request| !request.is_finished()), "nobody is answered before the sync");
    drop(held);
    for request in sent {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(ends().durable, i64::try_from(REQUESTS).unwrap());
}
