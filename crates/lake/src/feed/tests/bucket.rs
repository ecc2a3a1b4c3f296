//! A dataset whose files are in a bucket: what the bucket does not take is not lost, and not there twice.

use std::sync::atomic::Ordering;

use object_store::ObjectStore;

use super::*;
use crate::files::tests::{Closing, files_in, resource};

const AT: &str = "s3://acme/p/t/1";

fn bench(store: &Arc<Closing>) -> Bench {
    let store: Arc<dyn ObjectStore> = store.clone();
    let bench = Bench::new();
    let files = files_in(&store, vec![resource("lake", "acme", "p")]);
    Bench { tables: Arc::new(Tables::new(bench.log.clone(), files)), ..bench }
}

fn data(bench: &Bench, at: &str) -> usize {
    now(bench.tables.files().list(at)).unwrap().iter().filter(|it| it.ends_with(".parquet")).count()
}

#[test]
fn events_wait_for_a_bucket_that_does_not_answer() {
    let store = Arc::new(Closing::default());
    let bench = bench(&store);
    bench.send(0, &events(0..10));
    let dataset = bench.start(|setup| setup.location = AT.to_owned());
    bench.until("the first snapshot", || bench.ids().len() == 10);
    store.closed.store(true, Ordering::SeqCst);
    bench.send(1, &events(10..20));
    bench.in_time("it gives up", || dataset.thread.is_finished());
    assert_eq!(dataset.thread.join().unwrap().unwrap_err().code, "HW-LAKE-063");
    bench.send(0, &events(20..30));
    let still = bench.start(|setup| setup.location = AT.to_owned());
    bench.in_time("it cannot begin or go on", || still.thread.is_finished());
    assert_eq!(still.thread.join().unwrap().unwrap_err().code, "HW-LAKE-063");
    store.closed.store(false, Ordering::SeqCst);
    let dataset = bench.start(|setup| setup.location = AT.to_owned());
    bench.in_time("the rest", || bench.ids() == (0..30).collect::<Vec<_>>());
    assert_eq!(bench.positions(), [(0, [10, 20]), (1, [0, 10])].into());
    dataset.stop().unwrap();
    let live = now(bench.version().unwrap().live(bench.tables.files())).unwrap().len();
    assert_eq!(data(&bench, AT), live, "what was written in vain is gone");
}

#[test]
fn small_objects_are_merged_and_old_ones_go() {
    let bench = bench(&Arc::new(Closing::default()));
    let dataset = bench.start(|setup| {
        setup.location = AT.to_owned();
        setup.snapshots = 2;
    });
    for at in 0..20 {
        bench.send(0, &events(at..at + 1));
        bench.minute();
        bench.until("the row is there", || {
            bench.clock.advance(Duration::from_secs(5));
            i64::try_from(bench.ids().len()).unwrap() == at + 1
        });
    }
    dataset.stop().unwrap();
    assert!(data(&bench, AT) < 10, "{} objects", data(&bench, AT));
}

#[test]
fn a_table_that_is_built_anew_elsewhere_leaves_nothing_behind() {
    let bench = bench(&Arc::new(Closing::default()));
    bench.send(0, &events(0..10));
    let dataset = bench.start(|_| ());
    bench.until("the first snapshot", || bench.ids().len() == 10);
    dataset.stop().unwrap();
    let dataset = bench.start(|setup| {
        setup.location = AT.to_owned();
        setup.epoch = 1;
    });
    bench.in_time("the table is in the bucket", || data(&bench, AT) == 1 && bench.ids().len() == 10);
    bench.until("the folder is empty", || now(bench.tables.files().list(LOCATION)).unwrap().is_empty());
    dataset.stop().unwrap();
}

#[test]
fn a_bucket_that_never_answers_again_can_be_left() {
    let store = Arc::new(Closing::default());
    let bench = bench(&store);
    bench.send(0, &events(0..10));
    let dataset = bench.start(|setup| setup.location = AT.to_owned());
    bench.until("the first snapshot", || bench.ids().len() == 10);
    dataset.stop().unwrap();
    store.closed.store(true, Ordering::SeqCst);
    // After a start nothing of the table is in memory.
    let files = bench.tables.files().clone();
    let bench = Bench { tables: Arc::new(Tables::new(bench.log.clone(), files)), ..bench };
    let stuck = bench.start(|setup| setup.location = AT.to_owned());
    assert_eq!(stuck.thread.join().unwrap().unwrap_err().code, "HW-LAKE-063");
    let dataset = bench.start(|setup| setup.epoch = 1);
    // Its file is there before the pointer leads to it; until then the table is the one that nobody can read.
    let epoch = || bench.tables.epoch(&dataset::space("t"), POINTER, View::Durable).unwrap();
    bench.in_time("the table is another one", || epoch() == Some(1));
    bench.in_time("the rows are on the disk", || bench.ids() == (0..10).collect::<Vec<_>>());
    dataset.stop().unwrap();
}
