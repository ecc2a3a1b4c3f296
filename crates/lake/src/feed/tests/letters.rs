//! A dataset of dead letters takes whatever is on their stream, and letters come without waiting for a snapshot.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use headwater_base::{Limits, Name};
use headwater_kernel::letter::{self, Owner, Place};
use headwater_log::{Append, Commit, Log};
use headwater_wire::batch::{Builder, Compression};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::{Bench, Running, events};
use crate::layout::Layout;
use crate::testing::{now, spec};

/// Bytes of a batch that the dataset unpacks at most.
const UNPACKED_BYTES: usize = 4_096;

fn start(bench: &Bench) -> Running {
    start_with(bench, 1 << 20)
}

fn start_with(bench: &Bench, file_bytes: usize) -> Running {
    bench.start(|setup| {
        setup.file_bytes = file_bytes;
        setup.layout = Layout::of(&spec(json!({"letters": "in"}))).unwrap();
        setup.dead = None;
        setup.limits = Arc::new(Limits { batch_decompressed_bytes: UNPACKED_BYTES, ..Limits::default() });
    })
}

/// Sends a batch that is too large once it is unpacked.
fn send_unreadable(bench: &Bench) {
    let mut builder = Builder::new(Compression::Zstd);
    builder.push(1_000, None, Some(&[b'x'; 2 * UNPACKED_BYTES]), &[]);
    let append = Append { stream: Name::new("in").unwrap(), partition: 1, batches: builder.finish() };
    let sent = bench.log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
    bench.wait(bench.log.durable(sent.sequence)).unwrap();
}

/// The letter about an event of a stream `orders`.
fn letter(offset: i64) -> Value {
    let owner = Owner { kind: "dataset", name: "orders", code: "HW-LAKE-010" };
    let place = Place { stream: "orders", partition: 7, offset };
    let at = headwater_base::Micros(0);
    serde_json::from_slice(&letter::encode(owner, place, "`id` is missing", at, b"{}")).unwrap()
}

/// Code, stream, offset and reason of all rows of the table's files, sorted.
fn written(bench: &Bench) -> Vec<(String, String, i64, String)> {
    let mut found = Vec::new();
    let Some(version) = bench.version() else { return found };
    for entry in now(version.live(bench.tables.files())).unwrap() {
        let bytes = now(bench.tables.files().read(entry.file_path())).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let text = |name: &str, row: usize| batch[name].as_string::<i32>().value(row).to_owned();
            let offsets = batch["offset"].as_primitive::<Int64Type>();
            let row = |row: usize| (text("code", row), text("stream", row), offsets.value(row), text("reason", row));
            found.extend((0..batch.num_rows()).map(row));
        }
    }
    found.sort_unstable();
    found
}

fn row(code: &str, stream: &str, offset: i64, reason: &str) -> (String, String, i64, String) {
    (code.to_owned(), stream.to_owned(), offset, reason.to_owned())
}

#[test]
fn every_record_is_a_row_once_and_no_letter_is_written_about_it() {
    let bench = Bench::new();
    assert!(bench.send(0, &[letter(3), json!({"id": 1}), json!("no letter")]));
    let mut wanted = vec![
        row("HW-LAKE-010", "orders", 3, "`id` is missing"),
        row("HW-LAKE-108", "in", 1, "`code` is missing"),
        row("HW-LAKE-108", "in", 2, "the event is no JSON object"),
    ];
    let dataset = start(&bench);
    bench.until("the first snapshot", || written(&bench) == wanted);
    dataset.stop().unwrap();
    assert!(bench.send(1, &[json!(7), letter(4)]));
    send_unreadable(&bench);
    assert!(bench.send(1, &[letter(5)]));
    let dataset = start(&bench);
    bench.in_time("the rest", || written(&bench).len() == 7);
    let unread = written(&bench).into_iter().find(|(_, _, offset, reason)| *offset == 2 && reason.contains("batch"));
    let (code, stream, offset, reason) = unread.unwrap();
    assert!(reason.starts_with("the batch cannot be read: "), "{reason}");
    wanted.extend([
        row("HW-LAKE-010", "orders", 4, "`id` is missing"),
        row("HW-LAKE-010", "orders", 5, "`id` is missing"),
        row("HW-LAKE-108", "in", 0, "the event is no JSON object"),
        (code, stream, offset, reason),
    ]);
    wanted.sort_unstable();
    assert_eq!(written(&bench), wanted);
    dataset.stop().unwrap();
    assert!(bench.letters().is_empty(), "{:?}", bench.letters());
}

/// Rows are written as files as they become many, whatever they are of.
#[test]
fn what_cannot_be_read_is_not_gathered_without_end() {
    let bench = Bench::new();
    (0..3).for_each(|_| send_unreadable(&bench));
    let dataset = start_with(&bench, 1);
    bench.until("the first snapshot", || written(&bench).len() == 3);
    let version = bench.version().unwrap();
    assert_eq!((bench.snapshots(), now(version.live(bench.tables.files())).unwrap().len()), (1, 3));
    dataset.stop().unwrap();
}

#[test]
fn letters_are_there_before_the_snapshot_is() {
    let bench = Bench::new();
    bench.send(0, &events(0..3));
    let dataset = bench.start(|_| ());
    bench.until("the first snapshot", || bench.ids().len() == 3);
    for count in 1..4 {
        bench.send(1, &[json!({"id": "no number"}), json!({"id": count + 2})]);
        bench.until("the letter", || bench.letters().len() == count);
    }
    assert_eq!(bench.snapshots(), 1, "one snapshot in a minute");
    dataset.stop().unwrap();
    let dataset = bench.start(|_| ());
    bench.in_time("the rows", || bench.ids() == (0..6).collect::<Vec<_>>());
    assert_eq!(bench.letters().len(), 3, "the same events are read again, and no letter is written again");
    dataset.stop().unwrap();
}
