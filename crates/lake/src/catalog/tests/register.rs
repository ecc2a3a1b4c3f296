//! Tables that are there already.

use bytes::Bytes;
use headwater_kernel::port::catalog::DATASETS;

use super::*;
use crate::files::location_of;

fn register(name: &str, file: &str) -> Value {
    json!({"name": name, "metadata-location": file})
}

/// A table that was dropped without its files, and the last metadata of it.
async fn dropped(catalog: &LakeCatalog) -> TableAt {
    catalog.create("shop", orders()).await.unwrap();
    let last = commit(catalog, "shop", snapshot(None, 11, 1)).await.unwrap();
    catalog.drop_table("shop", "orders", false).await.unwrap();
    last
}

#[tokio::test]
async fn a_table_that_was_dropped_without_its_files_comes_back() {
    let disk = FaultyDisk::default();
    let catalog = catalog_on(Arc::new(disk.clone()));
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let last = dropped(&catalog).await;
    let file = last.metadata_location.clone().unwrap();
    let back = catalog.register("shop", register("orders", &file)).await.unwrap();
    assert_eq!((&back.metadata_location, &back.metadata), (&last.metadata_location, &last.metadata));
    assert_eq!(catalog.register("shop", register("orders", &file)).await.unwrap_err().code, "HW-LAKE-031");
    let catalog = after_a_cut(&disk, catalog, 5);
    let next = commit(&catalog, "shop", snapshot(Some(11), 12, 2)).await.unwrap();
    assert_eq!(metadata(&next)["current-snapshot-id"], 12);
    // Whoever says so puts the version before in the place of this one.
    let mut again = register("orders", &file);
    again["overwrite"] = json!(true);
    assert_eq!(metadata(&catalog.register("shop", again).await.unwrap())["current-snapshot-id"], 11);
    assert_eq!(catalog.load("shop", "orders").await.unwrap().metadata, last.metadata);
    catalog.drop_table("shop", "orders", true).await.unwrap();
    assert!(!disk.image().keys().any(|path| path.to_string_lossy().contains("orders-")), "its files are its own");
}

#[tokio::test]
async fn a_table_that_lies_elsewhere_or_is_somebody_elses_is_refused() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let last = dropped(&catalog).await;
    let file = last.metadata_location.clone().unwrap();
    let folder = location_of(&catalog.0.datasets.folder().join("lake"));
    let copy = format!("{folder}/shop/copy");
    let copied = format!("{copy}/metadata/00000-x.metadata.json");
    let files = catalog.lake().files();
    files.create_folders(&copy, std::path::Path::new("/")).unwrap();
    files.write(&copied, last.metadata.clone()).await.unwrap();
    for (place, code) in [
        ("file:///etc/metadata/00000-x.metadata.json".to_owned(), "HW-LAKE-035"),
        ("s3://orders/t/metadata/00000-x.metadata.json".to_owned(), "HW-LAKE-035"),
        (format!("{folder}/metadata/00000-x.metadata.json"), "HW-LAKE-035"),
        (format!("{folder}/shop/metadata/00000-x.metadata.json"), "HW-LAKE-035"),
        (format!("{folder}/shop/../datasets/orders/metadata/00000-x.metadata.json"), "HW-LAKE-035"),
        (format!("{folder}/shop//metadata/00000-x.metadata.json"), "HW-LAKE-035"),
        (format!("{folder}/datasets/orders/metadata/00000-x.metadata.json"), "HW-LAKE-033"),
        (format!("{folder}/shop/none/metadata/00000-x.metadata.json"), "HW-LAKE-035"),
        (file.replace(".metadata.json", ".gz.metadata"), "HW-LAKE-035"),
        (file.replace("/metadata/", "/"), "HW-LAKE-035"),
        // It says that its table lies where it was copied from.
        (copied, "HW-LAKE-035"),
    ] {
        let refused = catalog.register("shop", register("other", &place)).await.unwrap_err();
        assert_eq!(refused.code, code, "{place}: {refused}");
    }
    assert_eq!(catalog.register("attic", register("orders", &file)).await.unwrap_err().code, "HW-LAKE-030");
    assert_eq!(catalog.register(DATASETS, register("orders", &file)).await.unwrap_err().code, "HW-LAKE-033");
    assert_eq!(catalog.register("shop", register("..", &file)).await.unwrap_err().code, "HW-LAKE-035");
    assert_eq!(catalog.register("shop", json!({"name": "orders"})).await.unwrap_err().code, "HW-LAKE-035");
    catalog.register("shop", register("first", &file)).await.unwrap();
    let twice = catalog.register("shop", register("second", &file)).await.unwrap_err();
    assert_eq!(twice.code, "HW-LAKE-035");
    assert!(twice.title.contains("another table"), "{twice}");
}

/// What a table says of files elsewhere, as what was its metadata once, is no reason to remove them.
#[tokio::test]
async fn a_table_removes_nothing_outside_of_its_folder() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let mut metadata = metadata(&dropped(&catalog).await);
    let location = metadata["location"].as_str().unwrap().to_owned();
    let files = catalog.lake().files();
    let others = format!("{}/shop/others", location_of(&catalog.0.datasets.folder().join("lake")));
    files.create_folders(&others, std::path::Path::new("/")).unwrap();
    let (own, other) = (format!("{location}/metadata/own"), format!("{others}/metadata/other"));
    for file in [&own, &other] {
        files.write(file, Bytes::from_static(b"{}")).await.unwrap();
    }
    metadata["metadata-log"] =
        json!([{"metadata-file": own, "timestamp-ms": 1}, {"metadata-file": other, "timestamp-ms": 2}]);
    metadata["properties"] = json!({"write.metadata.previous-versions-max": "1"});
    let file = format!("{location}/metadata/00009-x.metadata.json");
    files.write(&file, Bytes::from(metadata.to_string())).await.unwrap();
    catalog.register("shop", register("orders", &file)).await.unwrap();
    commit(&catalog, "shop", snapshot(Some(11), 12, 2)).await.unwrap();
    assert!(files.read(&own).await.is_err(), "what there are too many of goes");
    assert!(files.read(&other).await.is_ok());
}

/// What goes there takes what comes with it.
#[tokio::test]
async fn the_place_of_a_purged_table_is_free_when_nobody_reads_it_any_more() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let made = catalog.create("shop", orders()).await.unwrap();
    let (file, made) = (made.metadata_location.clone().unwrap(), metadata(&made));
    let reader = catalog.lake().leases().take();
    catalog.drop_table("shop", "orders", true).await.unwrap();
    let refused = catalog.register("shop", register("orders", &file)).await.unwrap_err();
    assert_eq!(refused.code, "HW-LAKE-035");
    assert!(refused.title.contains("is not gone yet"), "{refused}");
    let anew = json!({
        "requirements": [{"type": "assert-create"}],
        "updates": [
            {"action": "add-schema", "schema": made["schemas"][0], "last-column-id": 1},
            {"action": "set-current-schema", "schema-id": -1},
            {"action": "set-location", "location": made["location"]},
        ],
    });
    assert!(commit(&catalog, "shop", anew.clone()).await.unwrap_err().title.contains("is not gone yet"));
    drop(reader);
    assert_eq!(catalog.register("shop", register("orders", &file)).await.unwrap_err().code, "HW-LAKE-035");
    commit(&catalog, "shop", anew).await.unwrap();
}
