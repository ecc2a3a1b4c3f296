//! What comes past the tables, to their streams, on the log that a node has.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use headwater_base::{Limits, Name};
use headwater_kernel::{ApplyOptions, Kernel, Registry, Setup};
use headwater_log::park::{self, StopSignal};
use headwater_log::{Append, Commit, EmbeddedLog, Log, LogError, append_when_room};
use headwater_testkit::{FaultyDisk, log_on};
use headwater_wire::batch::{Builder, Compression};

struct House {
    disk: FaultyDisk,
    log: Arc<EmbeddedLog>,
    kernel: Arc<Kernel>,
    _folder: tempfile::TempDir,
}

/// A node with tables that tell their changes.
async fn house(tables: &[&str]) -> House {
    let (disk, folder) = (FaultyDisk::default(), tempfile::tempdir().unwrap());
    let (log, clock) = log_on(Arc::new(disk.clone()), Limits::default());
    let setup = Setup {
        log: log.clone(),
        folder: folder.path().to_owned(),
        clock,
        limits: Arc::default(),
        registry: Registry::new(&[]),
        seed: 7,
    };
    let kernel = Kernel::open(setup).await.unwrap();
    kernel.start(Vec::new());
    for name in tables {
        let text =
            format!("apiVersion: headwater.dev/v1\nkind: Table\nmetadata: {{name: {name}}}\nspec: {{changes: {{}}}}\n");
        let drafts = kernel.registry().read("t.yaml", text.as_bytes(), &Limits::default()).unwrap();
        kernel.apply(drafts, &ApplyOptions::default()).await.unwrap();
        assert_eq!(kernel.settled(&[format!("Table/{name}")], Duration::from_secs(20)).await, []);
    }
    House { disk, log, kernel, _folder: folder }
}

/// A batch for the stream of a table.
fn batch(table: &str, mut builder: Builder, documents: &[(&str, &str)]) -> Commit {
    for (key, value) in documents {
        builder.push(1_700_000_000_000, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    let stream = Name::new(&format!("table.{table}")).unwrap();
    Commit { appends: vec![Append { stream, partition: 0, batches: builder.finish() }], ..Commit::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_a_producer_sends_twice_is_told_once() {
    let House { log, kernel, .. } = &house(&["runs"]).await;
    let producer = kernel.log().producer_id().await.unwrap();
    let send = |sequence: i32, documents: &[(&str, &str)]| {
        let mut builder = Builder::new(Compression::Lz4);
        builder.producer(producer, 0, sequence);
        kernel.log().append(&mut batch("runs", builder, documents)).unwrap()
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_a_table_that_is_behind_waits_for_it_and_nobody_else_does() {
    let House { disk, log, kernel, .. } = &house(&["runs", "others"]).await;
    // No view goes on meanwhile, and more is appended to one of them than may wait for its view.
    let held = disk.hold_syncs();
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(1 << 20));
    for _ in 0..5 {
        let documents: Vec<(&str, &str)> =
            ["a", "b", "c", "d"].repeat(4).into_iter().map(|key| (key, &*large)).collect();
        log.append(&mut batch("runs", Builder::new(Compression::Lz4), &documents)).unwrap();
    }
    let small = |table: &str| batch(table, Builder::new(Compression::None), &[("a", "{}")]);
    let gate = kernel.log();
    assert!(matches!(gate.append(&mut small("runs")), Err(LogError::Full(_))));
    for _ in 0..2 {
        assert!(gate.room(&["table.others", "bus.default"]).now_or_never().is_some(), "nothing is in their way");
        gate.append(&mut small("others")).unwrap();
        assert!(gate.room(&["table.runs"]).now_or_never().is_none(), "its own table is behind, whoever asks");
    }
    // A pipeline waits on a thread that is no runtime's.
    let (own, stop) = (Arc::clone(gate), StopSignal::default());
    stop.set();
    let waited = std::thread::spawn(move || park::wait(own.room(&["table.runs"]), &stop));
    assert_eq!(waited.join().unwrap(), None);
    drop(held);
    let mut commit = small("runs");
    let written = append_when_room(&**gate, &mut commit);
    let ticket = tokio::time::timeout(Duration::from_secs(60), written).await.unwrap().unwrap();
    gate.durable(ticket.sequence).await.unwrap();
    assert!(gate.room(&["table.runs"]).now_or_never().is_some());
    kernel.stop().await;
}
