//! The kernel over the embedded log: what was applied and written is there after a restart, and after the view of the
//! tables was lost.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as expected")]

use std::sync::Arc;
use std::time::Duration;

use headwater_base::{Limits, Name};
use headwater_kernel::port::Tables;
use headwater_kernel::{ApplyOptions, DeleteOptions, Kernel, Registry, Setup, SystemClock};
use headwater_log::{EmbeddedLog, Log};

const RESOURCES: &str = "\
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: orders}
spec: {partitions: 2, retention: {time: 1h}}
---
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: users}
spec: {}
";

async fn open(folder: &std::path::Path) -> (Arc<EmbeddedLog>, Arc<Kernel>) {
    let limits = Arc::new(Limits::default());
    let clock = Arc::new(SystemClock::new());
    let log = EmbeddedLog::open(folder, limits.clone(), clock.clone()).unwrap();
    let registry = Registry::new(&[]);
    let setup = Setup { log: log.clone(), folder: folder.to_owned(), clock, limits, registry, seed: 1 };
    let kernel = Kernel::open(setup).await.unwrap();
    kernel.start(Vec::new());
    (log, kernel)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_and_written_survives() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ["Stream/orders".to_owned(), "Table/users".to_owned()];
    let users = Name::new("users").unwrap();
    let (log, kernel) = open(folder.path()).await;
    let drafts = kernel.registry().read("r.yaml", RESOURCES.as_bytes(), kernel.limits()).unwrap();
    kernel.apply(drafts.clone(), &ApplyOptions::default()).await.unwrap();
    assert_eq!(kernel.settled(&ids, Duration::from_secs(20)).await, []);
    let first = kernel.tables().put(&users, "a", Some(r#"{"n":1}"#.into()), Some(0)).await.unwrap();
    let conflict = kernel.tables().put(&users, "a", Some("{}".into()), Some(0)).await.unwrap_err();
    assert_eq!(conflict.code, "HW-KERNEL-020");
    let second = kernel.tables().put(&users, "a", Some(r#"{"n":2}"#.into()), Some(first)).await.unwrap();
    let config = log.stream("orders").unwrap().config.clone();
    assert_eq!((config.partitions, config.retention_ms), (2, Some(3_600_000)));
    kernel.stop().await;
    log.close().unwrap();
    drop((kernel, log));
    std::fs::remove_file(folder.path().join("tables.db")).unwrap();

    let (log, kernel) = open(folder.path()).await;
    assert_eq!(kernel.settled(&ids, Duration::from_secs(20)).await, []);
    let found = kernel.tables().get("users", "a").unwrap().unwrap();
    assert_eq!((found.version, found.value.as_ref()), (second, br#"{"n":2}"#.as_slice()));
    let report = kernel.apply(drafts, &ApplyOptions::default()).await.unwrap();
    assert_eq!(report.actions, []);
    for id in ["Table/users", "Stream/orders"] {
        let (kind, name) = id.split_once('/').unwrap();
        assert_eq!(kernel.delete(kind, name, &DeleteOptions::default()).await.unwrap(), [id]);
    }
    let left: Vec<String> = log.streams().iter().map(|stream| stream.name.to_string()).collect();
    assert_eq!(left, ["headwater.audit"]);
    kernel.stop().await;
    log.close().unwrap();
}
