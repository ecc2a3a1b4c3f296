use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_base::{Limits, Problem};
use headwater_kernel::port::Catalog;
use headwater_kernel::port::catalog::{Identifier, TableAt, TableChange};
use headwater_store::disk::{Disk, MemoryDisk};
use headwater_testkit::{FaultyDisk, log_on};
use serde_json::{Value, json};

use super::LakeCatalog;
use crate::datasets::{Datasets, Parts};

mod commits;
mod names;
mod properties;
mod purged;
mod register;
mod staged;
mod views;

fn catalog() -> LakeCatalog {
    catalog_on(Arc::new(MemoryDisk::default()))
}

fn catalog_on(disk: Arc<dyn Disk>) -> LakeCatalog {
    let (log, clock) = log_on(disk.clone(), Limits::default());
    let parts = Parts { log, disk, folder: PathBuf::from("/data"), clock, limits: Arc::new(Limits::default()) };
    LakeCatalog::new(Datasets::new(parts), Arc::new(Vec::new))
}

/// The catalog that is found when the power went behind the last answer, once what it begins with is done.
fn after_a_cut(disk: &FaultyDisk, before: LakeCatalog, seed: u64) -> LakeCatalog {
    drop(before);
    disk.cut();
    disk.power_on(seed);
    let catalog = catalog_on(Arc::new(disk.clone()));
    let begun = Instant::now();
    while catalog.lake().leases().is_retired("file:///data") {
        assert!(begun.elapsed() < Duration::from_secs(30), "what was purged goes");
        std::thread::yield_now();
    }
    catalog
}

fn orders() -> Value {
    json!({"name": "orders", "schema": {"type": "struct", "fields": [
        {"id": 7, "name": "id", "type": "long", "required": true}]}})
}

/// A commit of a snapshot by somebody who read the table when `parent` was current.
fn snapshot(parent: Option<i64>, id: i64, sequence: i64) -> Value {
    json!({
        "requirements": [{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": parent}],
        "updates": [
            {"action": "add-snapshot", "snapshot": {"snapshot-id": id, "parent-snapshot-id": parent,
                "sequence-number": sequence, "timestamp-ms": 4_000_000_000_000_i64 + sequence,
                "manifest-list": "file:///data/lake/x.avro", "summary": {"operation": "append"}, "schema-id": 0}},
            {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id},
        ]
    })
}

async fn commit(catalog: &LakeCatalog, namespace: &str, request: Value) -> Result<TableAt, Problem> {
    let change = TableChange { namespace: namespace.to_owned(), table: "orders".to_owned(), request };
    Ok(catalog.commit(vec![change]).await?.remove(0))
}

fn metadata(table: &TableAt) -> Value {
    serde_json::from_slice(&table.metadata).unwrap()
}

#[tokio::test]
async fn clients_make_tables_in_namespaces_of_their_own() {
    let catalog = catalog();
    assert_eq!(catalog.namespaces(), ["datasets"]);
    assert_eq!(catalog.create("shop", orders()).await.unwrap_err().code, "HW-LAKE-030");
    catalog.create_namespace("shop", json!({"owner": "me"})).await.unwrap();
    assert_eq!(catalog.create_namespace("shop", Value::Null).await.unwrap_err().code, "HW-LAKE-031");
    let made = catalog.create("shop", orders()).await.unwrap();
    assert_eq!(metadata(&made)["schemas"][0]["fields"][0]["id"], 1, "the table gives its own field ids");
    assert_eq!(catalog.create("shop", orders()).await.unwrap_err().code, "HW-LAKE-031");
    assert_eq!(catalog.tables("shop").unwrap(), ["orders"]);
    assert_eq!(catalog.load("shop", "orders").await.unwrap().metadata_location, made.metadata_location);
    assert_eq!(catalog.load("shop", "order").await.unwrap_err().code, "HW-LAKE-032");
    assert_eq!(catalog.drop_namespace("shop").await.unwrap_err().code, "HW-LAKE-036");
    catalog.drop_table("shop", "orders", true).await.unwrap();
    catalog.drop_namespace("shop").await.unwrap();
    assert_eq!(catalog.namespaces(), ["datasets"]);
}

/// Spark looks for a table `snapshots` of a namespace `orders` before it looks for a table `orders` that has snapshots.
#[tokio::test]
async fn in_no_namespace_there_is_no_table_and_no_view() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    for namespace in ["nowhere", "shop\u{1f}orders"] {
        for refused in [
            catalog.load(namespace, "snapshots").await.unwrap_err(),
            commit(&catalog, namespace, snapshot(None, 1, 1)).await.unwrap_err(),
            catalog.drop_table(namespace, "snapshots", true).await.unwrap_err(),
        ] {
            assert_eq!(refused.code, "HW-LAKE-032", "{namespace:?}");
        }
        for refused in [
            catalog.load_view(namespace, "snapshots").unwrap_err(),
            catalog.commit_view(namespace, "snapshots", json!({})).await.unwrap_err(),
            catalog.drop_view(namespace, "snapshots").await.unwrap_err(),
        ] {
            assert_eq!(refused.code, "HW-LAKE-091", "{namespace:?}");
        }
    }
}

#[tokio::test]
async fn a_table_that_is_purged_stays_for_who_reads_it() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let location = catalog.create("shop", orders()).await.unwrap().metadata_location.unwrap();
    let files = catalog.lake().files().clone();
    let reader = catalog.lake().leases().take();
    catalog.drop_table("shop", "orders", true).await.unwrap();
    assert_eq!(catalog.load("shop", "orders").await.unwrap_err().code, "HW-LAKE-032");
    assert!(files.read(&location).await.is_ok(), "it is gone for those who come, not for those who are there");
    drop(reader);
    assert!(files.read(&location).await.is_err());
}

#[tokio::test]
async fn of_two_clients_that_read_the_same_version_the_second_is_refused() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    catalog.create("shop", orders()).await.unwrap();
    let first = commit(&catalog, "shop", snapshot(None, 11, 1)).await.unwrap();
    assert_eq!(metadata(&first)["current-snapshot-id"], 11);
    let second = commit(&catalog, "shop", snapshot(None, 12, 1)).await.unwrap_err();
    assert_eq!(second.code, "HW-LAKE-034");
    let again = commit(&catalog, "shop", snapshot(Some(11), 12, 2)).await.unwrap();
    assert_eq!(metadata(&again)["snapshots"].as_array().unwrap().len(), 2);
    assert_eq!(catalog.load("shop", "orders").await.unwrap().metadata, again.metadata);
}

#[tokio::test]
async fn nobody_else_writes_what_a_stream_feeds_or_elsewhere_on_the_disk() {
    let catalog = catalog();
    for refused in [
        commit(&catalog, "datasets", snapshot(None, 1, 1)).await.unwrap_err(),
        catalog.create("datasets", orders()).await.unwrap_err(),
        catalog.drop_table("datasets", "orders", true).await.unwrap_err(),
        catalog.drop_namespace("datasets").await.unwrap_err(),
    ] {
        assert_eq!(refused.code, "HW-LAKE-033");
    }
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    catalog.create("shop", orders()).await.unwrap();
    let moved = json!({"updates": [{"action": "set-location", "location": "file:///etc"}]});
    assert_eq!(commit(&catalog, "shop", moved).await.unwrap_err().code, "HW-LAKE-035");
    let mut elsewhere = orders();
    elsewhere["location"] = json!("file:///etc");
    elsewhere["name"] = json!("other");
    assert_eq!(catalog.create("shop", elsewhere).await.unwrap_err().code, "HW-LAKE-035");
    for name in ["..", "a/b", "", "a b"] {
        assert_eq!(catalog.create_namespace(name, Value::Null).await.unwrap_err().code, "HW-LAKE-035", "{name}");
        let mut table = orders();
        table["name"] = json!(name);
        assert_eq!(catalog.create("shop", table).await.unwrap_err().code, "HW-LAKE-035", "{name}");
    }
    for nonsense in [json!(null), json!({"updates": [{"action": "explode"}]}), json!({"requirements": 7})] {
        assert_eq!(commit(&catalog, "shop", nonsense).await.unwrap_err().code, "HW-LAKE-035");
    }
}

#[tokio::test]
async fn several_tables_change_together_or_not_at_all() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let mut other = orders();
    other["name"] = json!("other");
    catalog.create("shop", orders()).await.unwrap();
    catalog.create("shop", other).await.unwrap();
    let change = |table: &str, request: Value| TableChange { namespace: "shop".into(), table: table.into(), request };
    let both = |parent| vec![change("orders", snapshot(None, 1, 1)), change("other", snapshot(parent, 2, 1))];
    assert_eq!(catalog.commit(both(Some(9))).await.unwrap_err().code, "HW-LAKE-034");
    assert!(metadata(&catalog.load("shop", "orders").await.unwrap())["current-snapshot-id"].is_null());
    let twice = vec![change("orders", snapshot(None, 1, 1)), change("orders", snapshot(None, 2, 1))];
    assert_eq!(catalog.commit(twice).await.unwrap_err().code, "HW-LAKE-035");
    assert_eq!(catalog.commit(both(None)).await.unwrap().len(), 2);
    assert_eq!(metadata(&catalog.load("shop", "other").await.unwrap())["current-snapshot-id"], 2);
}
