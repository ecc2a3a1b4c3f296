use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::execution::record::codec::nowhere;
use crate::execution::{Attempt, Item};

fn run(count: u64) -> MapRun {
    let mut items = Items::default();
    for index in 0..count {
        items.push(&Item { index, value: json!(index) }, &json!({ "item": index }));
    }
    MapRun {
        attempt: Attempt { thread: 1, visit: 2, number: 3 },
        arn: "arn:run".to_owned(),
        label: "L".to_owned(),
        machine: 1,
        flavor: Flavor::Standard,
        items,
        reader: None,
        batcher: None,
        writer: Some(json!({"Resource": "arn:aws:states:::s3:putObject"})),
        concurrency: 4,
        tolerance: Tolerance { count: Some(1), percentage: Some(0.5) },
        redrive: true,
    }
}

#[test]
fn a_run_comes_back_with_its_mark() {
    for (items, inline_max, blobs) in [(3, usize::MAX, 0), (1_000, 1_000, 1)] {
        for stopped in [false, true] {
            let (row, large) = encode(&run(items), stopped, inline_max);
            assert_eq!(large.len(), blobs);
            let fetch = |hash: &[u8; 32]| large.iter().find(|(one, _)| one == hash).map(|(_, bytes)| bytes.clone());
            assert_eq!(decode(&row, &fetch), Some((run(items), stopped)));
            assert_eq!(row.last(), Some(&u8::from(stopped)));
        }
    }
    let (row, _) = encode(&run(1_000), false, 1_000);
    assert_eq!(decode(&row, &nowhere), None, "its items are gone");
}

#[test]
fn a_row_of_the_first_version_is_read() {
    let run = run(2);
    let mut writer = Writer::default();
    writer.byte(1);
    writer.raw(&rows::attempt_bytes(&run.attempt));
    writer.text(&run.arn);
    writer.text(&run.label);
    writer.number(u64::from(run.machine));
    writer.byte(0);
    run.items.encode(&mut writer);
    for value in [&run.reader, &run.batcher, &run.writer] {
        writer.option(value.as_ref(), Writer::value);
    }
    writer.number(run.concurrency);
    tolerance(&mut writer, &run.tolerance);
    writer.byte(1);
    assert_eq!(decode(&writer.bytes, &nowhere), Some((run, false)));
}

#[test]
fn progress_of_the_second_version_took_a_batch_for_one_item() {
    let children = Counts { next: 3, total: 4, succeeded: 1, failed: 1, timed_out: 1, aborted: 0 };
    let progress = Progress {
        arn: "arn:run".to_owned(),
        execution_arn: "arn:execution".to_owned(),
        status: "RUNNING".to_owned(),
        started: Micros(1),
        stopped: None,
        children,
        items: Counts { total: 40, ..children },
        concurrency: 4,
        tolerance: Tolerance::default(),
        first: 5,
        redrives: 1,
        redriven: Some(Micros(6)),
    };
    let bytes = progress.encode();
    assert_eq!(Progress::decode(&bytes), Some(progress.clone()));
    let mut items = Writer::default();
    progress.items.encode(&mut items);
    let mut before = bytes[..bytes.len() - items.bytes.len()].to_vec();
    before[0] = 2;
    assert_eq!(Progress::decode(&before), Some(Progress { items: children, ..progress }));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes, &nowhere);
        let _ = decode(&bytes, &|_| Some(Vec::new()));
        let _ = Progress::decode(&bytes);
    }
}
