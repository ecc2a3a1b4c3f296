//! Commits of several clients at once, and of tables in a bucket that takes its time.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;

use super::*;
use crate::files::tests::{Closing, files_in, resource};

const PLACE: &str = "s3://acme/p/far";

/// A catalog with the table `shop.orders` in a bucket.
async fn far(store: &Arc<Closing>) -> LakeCatalog {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let (log, clock) = log_on(disk.clone(), Limits::default());
    let parts = Parts { log, disk, folder: PathBuf::from("/data"), clock, limits: Arc::new(Limits::default()) };
    let objects: Arc<dyn object_store::ObjectStore> = store.clone();
    let buckets = files_in(&objects, vec![resource("lake", "acme", "p")]).buckets().clone();
    let catalog = LakeCatalog::new(Datasets::with_buckets(parts, buckets), Arc::new(Vec::new));
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let mut made = metadata(&catalog.create("shop", orders()).await.unwrap());
    catalog.drop_table("shop", "orders", true).await.unwrap();
    made["location"] = json!(PLACE);
    catalog.lake().files().write(&file(), Bytes::from(made.to_string())).await.unwrap();
    catalog
}

fn file() -> String {
    format!("{PLACE}/metadata/00000-x.metadata.json")
}

fn registered() -> Value {
    json!({"name": "orders", "metadata-location": file()})
}

fn property(name: &str) -> Value {
    json!({"updates": [{"action": "set-properties", "updates": {name: "yes"}}]})
}

fn change(request: Value) -> Vec<TableChange> {
    vec![TableChange { namespace: "shop".to_owned(), table: "orders".to_owned(), request }]
}

/// What does not wait for the bucket is done while it is waited for.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.unwrap()
}

#[tokio::test]
async fn a_bucket_that_is_slow_holds_up_nobody_else() {
    let store = Arc::new(Closing::default());
    let catalog = far(&store).await;
    let slow = store.slow.write().await;
    let mut registering = catalog.register("shop", registered());
    assert!((&mut registering).now_or_never().is_none());
    in_time(catalog.create_namespace("attic", Value::Null)).await.unwrap();
    drop(slow);
    registering.await.unwrap();

    let slow = store.slow.write().await;
    let mut changing = catalog.commit(change(property("a")));
    assert!((&mut changing).now_or_never().is_none());
    in_time(catalog.drop_namespace("attic")).await.unwrap();
    // Nothing becomes of what was prepared for a table that is not there any more.
    in_time(catalog.drop_table("shop", "orders", false)).await.unwrap();
    drop(slow);
    assert_eq!(changing.await.unwrap_err().code, "HW-LAKE-032");
    assert_eq!(catalog.lake().files().list(PLACE).await.unwrap(), [file()], "what was written is thrown away");
}

#[tokio::test]
async fn a_table_that_is_registered_is_there_when_it_gets_its_name() {
    let store = Arc::new(Closing::default());
    let catalog = far(&store).await;
    let slow = store.slow.write().await;
    let mut registering = catalog.register("shop", registered());
    assert!((&mut registering).now_or_never().is_none());
    // Somebody else takes the name meanwhile.
    in_time(catalog.create("shop", orders())).await.unwrap();
    drop(slow);
    assert_eq!(registering.await.unwrap_err().code, "HW-LAKE-031");
}

#[tokio::test]
async fn of_commits_that_require_nothing_each_follows_upon_the_other() {
    let store = Arc::new(Closing::default());
    let catalog = far(&store).await;
    catalog.register("shop", registered()).await.unwrap();
    let slow = store.slow.write().await;
    let (mut one, mut other) = (catalog.commit(change(property("a"))), catalog.commit(change(property("b"))));
    assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
    drop(slow);
    let (one, other) = tokio::join!(one, other);
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    let now = metadata(&catalog.load("shop", "orders").await.unwrap());
    assert_eq!((&now["properties"]["a"], &now["properties"]["b"]), (&json!("yes"), &json!("yes")));
    // The first one, the two that were current, and none that was prepared in vain.
    assert_eq!(catalog.lake().files().list(PLACE).await.unwrap().len(), 3);
}

/// Its branch is as it was, and the number of its snapshot is taken.
#[tokio::test]
async fn a_snapshot_that_comes_behind_one_of_another_branch_is_to_be_made_anew() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    catalog.create("shop", orders()).await.unwrap();
    commit(&catalog, "shop", snapshot(None, 11, 1)).await.unwrap();
    let mut aside = snapshot(Some(11), 12, 2);
    aside["requirements"] = json!([{"type": "assert-ref-snapshot-id", "ref": "aside", "snapshot-id": null}]);
    aside["updates"][1]["ref-name"] = json!("aside");
    commit(&catalog, "shop", aside).await.unwrap();
    let late = commit(&catalog, "shop", snapshot(Some(11), 13, 2)).await.unwrap_err();
    assert_eq!(late.code, "HW-LAKE-034", "{late}");
    commit(&catalog, "shop", snapshot(Some(11), 13, 3)).await.unwrap();
}
