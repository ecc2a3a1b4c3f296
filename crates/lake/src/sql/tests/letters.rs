//! A dataset of dead letters is asked while they come.

use headwater_log::Append;
use headwater_wire::batch::{Builder, Compression};

use super::*;

const REFUSED: &str = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: refused}
spec:
  letters: slow.dead
  snapshotInterval: 100ms
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: refused_hourly}
spec:
  letters: slow.dead
  snapshotInterval: 1h
  rollup:
    time: {column: time, grain: hour}
    dimensions: [code, dataset]
    metrics:
      - {name: letters, type: count}
      - {name: newest, type: max, column: offset}
";

fn house() -> House {
    let house = House::new(Limits::default());
    house.runtime.block_on(async {
        apply(&house.kernel, REFUSED).await;
        let ids = ["Dataset/refused", "Dataset/refused_hourly"].map(str::to_owned);
        assert_eq!(house.kernel.settled(&ids, Duration::from_secs(20)).await, []);
    });
    house
}

/// Appends a record, durable.
fn put(house: &House, stream: &str, value: &[u8]) {
    let mut outbox = Outbox::open(&*house.log, &[Name::new(stream).unwrap()]).unwrap();
    outbox.put(0, 10, Some(b"k"), Some(value), &[]).unwrap();
    let ticket = house.log.append(&mut Commit { appends: outbox.take(), ..Commit::default() }).unwrap();
    house.runtime.block_on(house.log.durable(ticket.sequence)).unwrap();
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::yield_now();
    }
}

/// The dataset's own snapshot is an hour away: its letters do not wait for it.
#[test]
fn what_does_not_fit_is_found_with_its_reason_place_and_data() {
    let house = house();
    house.append(0, 10);
    put(&house, "orders.raw", br#"{"n": "secret", "kind": "odd"}"#);
    put(&house, "orders.raw", b"[1]");
    until("both letters", || house.rows("SELECT count(*) FROM refused") == json!([[2]]));
    let letters = r#"SELECT code, dataset, stream, reason, data, encoding FROM refused ORDER BY "offset""#;
    assert_eq!(
        house.rows(letters),
        json!([
            [
                "HW-LAKE-010",
                "slow",
                "orders.raw",
                "`n` is a string, not a whole number of 32 bits",
                r#"{"n": "secret", "kind": "odd"}"#,
                null
            ],
            ["HW-LAKE-010", "slow", "orders.raw", "the event is no JSON object", "[1]", null],
        ])
    );
    assert_eq!(house.rows("SELECT data->>'n' FROM refused WHERE reason LIKE '`n`%'"), json!([["secret"]]));
    // The place leads to the event.
    let events = format!(
        "SELECT count(*) FROM refused r JOIN {ORDERS} o ON o.partition = r.partition AND o.offset = r.offset AND o.value = r.data"
    );
    assert_eq!(house.rows(&events), json!([[2]]));
    let counted = "SELECT code, dataset, sum(letters) FROM refused_hourly GROUP BY code, dataset";
    assert_eq!(house.rows(counted), json!([["HW-LAKE-010", "slow", 2]]));
}

/// Bytes of a batch that are unpacked at most.
const UNPACKED_BYTES: usize = 64 * 1_024;

/// Appends a batch of one record to a stream's first partition that is too large once it is unpacked, durable.
fn put_unreadable(house: &House, stream: &str) {
    let mut builder = Builder::new(Compression::Zstd);
    builder.push(0, None, Some(&[b'x'; 2 * UNPACKED_BYTES]), &[]);
    let append = Append { stream: Name::new(stream).unwrap(), partition: 0, batches: builder.finish() };
    let ticket = house.log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
    house.runtime.block_on(house.log.durable(ticket.sequence)).unwrap();
}

/// Whether the dataset's thread has come to it or not. Its next snapshot is an hour away.
#[test]
fn a_batch_that_cannot_be_read_keeps_nobody_from_the_other_rows_of_a_dataset() {
    let house = House::new(Limits { batch_decompressed_bytes: UNPACKED_BYTES, ..Limits::default() });
    for round in 1..=30 {
        put_unreadable(&house, "orders.raw");
        house.append(round, round + 1);
        assert_eq!(house.rows("SELECT count(*) FROM slow"), json!([[round]]));
    }
    // Of the stream itself nothing else would tell of it.
    let refused = house.problem(&format!("SELECT count(*) FROM {ORDERS}"));
    assert_eq!(refused.code, "HW-LAKE-045");
    assert!(refused.title.contains("in the batch of the offsets 0 to 0 of partition 0"), "{refused}");
    let behind = format!("SELECT count(*) FROM {ORDERS} WHERE time >= to_timestamp('1970-01-01T00:00:00.300Z')");
    assert_eq!(house.rows(&behind), json!([[1]]));
}

/// A snapshot may come at any moment of a query.
#[test]
fn a_letter_is_a_row_once_as_soon_as_it_is_acknowledged_and_so_is_what_is_none() {
    let house = house();
    let letter = json!({"reason": "r", "code": "HW-FLOW-120", "pipeline": "p", "at": "2026-01-01T00:00:00Z", "data": "{}",
        "position": {"stream": "in", "partition": 0, "offset": 7}});
    for round in 1..=30 {
        put(&house, "slow.dead", letter.to_string().as_bytes());
        put(&house, "slow.dead", br#"{"n": 1}"#);
        assert_eq!(
            house.rows("SELECT code, count(*) FROM refused GROUP BY 1 ORDER BY 1"),
            json!([["HW-FLOW-120", round], ["HW-LAKE-108", round]])
        );
    }
    let strays = "SELECT DISTINCT stream, reason, data, pipeline FROM refused WHERE code = 'HW-LAKE-108'";
    assert_eq!(house.rows(strays), json!([["slow.dead", "`code` is missing", r#"{"n": 1}"#, null]]));
    let places =
        r#"SELECT count(DISTINCT "offset"), min("offset"), max("offset") FROM refused WHERE code = 'HW-LAKE-108'"#;
    assert_eq!(house.rows(places), json!([[30, 1, 59]]));
    let newest = "SELECT sum(letters), max(newest) FROM refused_hourly WHERE code = 'HW-FLOW-120'";
    assert_eq!(house.rows(newest), json!([[30, 7]]));
}
