//! What comes past the tables, to their streams, on the log that a node has.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::sync::Arc;
use std::time::Duration;

use headwater_base::{Clock, Limits, ManualClock, Micros, Name};
use headwater_kernel::{ApplyOptions, Kernel, Registry, Setup};
use headwater_log::{Append, Commit, EmbeddedLog, Log};
use headwater_wire::batch::{Builder, Compression};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_a_producer_sends_twice_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Arc::new(Limits::default());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Micros(1_700_000_000_000_000)));
    let log = EmbeddedLog::open(folder.path(), limits.clone(), clock.clone()).unwrap();
    let setup = Setup {
        log: log.clone(),
        folder: folder.path().to_owned(),
        clock,
        limits: limits.clone(),
        registry: Registry::new(&[]),
        seed: 7,
    };
    let kernel = Kernel::open(setup).await.unwrap();
    kernel.start(Vec::new());
    let text = "apiVersion: headwater.dev/v1\nkind: Table\nmetadata: {name: runs}\nspec: {changes: {}}\n";
    let drafts = kernel.registry().read("t.yaml", text.as_bytes(), &limits).unwrap();
    kernel.apply(drafts, &ApplyOptions::default()).await.unwrap();
    assert_eq!(kernel.settled(&["Table/runs".into()], Duration::from_secs(20)).await, []);
    let producer = kernel.log().producer_id().await.unwrap();
    let send = |sequence: i32, documents: &[(&str, &str)]| {
        let mut builder = Builder::new(Compression::Lz4);
        builder.producer(producer, 0, sequence);
        for (key, value) in documents {
            builder.push(1_700_000_000_000, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        }
        let stream = Name::new("table.runs").unwrap();
        let appends = vec![Append { stream, partition: 0, batches: builder.finish() }];
        kernel.log().append(&Commit { appends, ..Commit::default() }).unwrap()
    };
    let documents = [("a", r#"{"n":1}"#), ("b", r#"{"n":2}"#)];
    assert!(!send(0, &documents).placed[0].duplicate);
    let again = send(0, &documents);
    assert_eq!((again.placed[0].first, again.placed[0].last, again.placed[0].duplicate), (0, 1, true));
    let last = send(2, &documents[..1]);
    kernel.log().durable(last.sequence).await.unwrap();
    let told = log.ends(&Name::new("table.runs.changes").unwrap(), 0).unwrap();
    assert_eq!(told.durable, 3);
    kernel.stop().await;
}
