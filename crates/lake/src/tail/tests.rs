use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use headwater_store::disk::MemoryDisk;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::commit::write_data;
use crate::files::Files;
use crate::layout::Layout;
use crate::testing::{batch, now, spec, table};

fn layout() -> Layout {
    Layout::of(&spec(json!({"stream": "in", "columns": [{"name": "id", "type": "long"}]}))).unwrap()
}

/// A version of a table, and rows of it with these ids.
fn rows(ids: std::ops::Range<i64>) -> (Files, Version, RecordBatch) {
    let (files, layout) = (Files::new(Arc::new(MemoryDisk::default())), layout());
    let version = table(&files, &layout);
    let events: Vec<_> = ids.map(|id| json!({ "id": id })).collect();
    let batch = batch(&version, &layout, &events);
    (files, version, batch)
}

/// How such batches are put together.
fn merge(rows: &RecordBatch) -> Merge {
    Merge::new(rows.schema(), None)
}

fn ids(taken: &Taken) -> Vec<i64> {
    let values = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
    taken.batches.iter().flat_map(values).collect()
}

proptest! {
    /// Batches of any size, of which any part is durable: what is taken is what was read first, up to where it says that
    /// it ends and no further than what is durable, and there are never many batches.
    #[test]
    fn what_is_taken_is_a_durable_beginning(steps in prop::collection::vec((1_i64..40, 0_i64..60), 1..60)) {
        let (_, version, all) = rows(0..2_400);
        let tail = Tail::default();
        tail.settle(&version);
        let mut read = 0;
        for (count, behind) in steps {
            let batch = all.slice(usize::try_from(read).unwrap(), usize::try_from(count).unwrap());
            read += count;
            let durable = (read - behind).max(0);
            tail.push(batch, [read].into(), &[durable], &merge(&all)).unwrap();
            let taken = tail.take(&version, &[durable]).unwrap();
            let end = taken.ends.as_ref().map_or(0, |ends| ends[0]);
            prop_assert!(end <= durable);
            prop_assert_eq!(ids(&taken), (0..end).collect::<Vec<_>>());
            let everything = tail.take(&version, &[read]).unwrap();
            prop_assert_eq!(ids(&everything), (0..read).collect::<Vec<_>>());
        }
    }
}

#[test]
fn small_batches_become_few() {
    let (_, version, all) = rows(0..4_096);
    let tail = Tail::default();
    tail.settle(&version);
    for at in 0..4_096_i64 {
        tail.push(all.slice(usize::try_from(at).unwrap(), 1), [at + 1].into(), &[at], &merge(&all)).unwrap();
    }
    let taken = tail.take(&version, &[4_096]).unwrap();
    assert_eq!(ids(&taken), (0..4_096).collect::<Vec<_>>());
    assert!(taken.batches.len() <= 14, "{}", taken.batches.len());
}

#[test]
fn it_is_nobodys_but_its_versions() {
    let (files, version, batch) = rows(0..10);
    let (_, other, _) = rows(0..1);
    let tail = Tail::default();
    assert!(tail.take(&version, &[10]).is_none(), "nothing is known yet");
    tail.settle(&version);
    tail.push(batch.clone(), [10].into(), &[0], &merge(&batch)).unwrap();
    assert!(tail.take(&other, &[10]).is_none());
    assert!(tail.bytes() > 0);

    tail.seal(now(write_data(&files, &version, batch.clone())).unwrap());
    tail.push(batch.clone(), [20].into(), &[10], &merge(&batch)).unwrap();
    let taken = tail.take(&version, &[10]).unwrap();
    assert_eq!((taken.files.len(), taken.batches.len(), taken.ends.as_deref()), (1, 0, Some([10].as_slice())));
    let taken = tail.take(&version, &[20]).unwrap();
    assert_eq!((taken.files.len(), taken.batches.len(), taken.ends.as_deref()), (1, 1, Some([20].as_slice())));

    tail.follow(&other);
    assert!(tail.take(&version, &[20]).is_none());
    assert_eq!(tail.take(&other, &[20]).unwrap().files.len(), 1, "a compaction leaves it as it is");
    tail.settle(&version);
    assert_eq!(tail.files().len() + tail.bytes(), 0);
}
