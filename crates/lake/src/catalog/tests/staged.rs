//! Tables that a commit makes.

use bytes::Bytes;
use headwater_kernel::port::catalog::DATASETS;
use headwater_log::Delta;

use super::*;
use crate::catalog::ENTRIES_MAX;

/// What a client is shown of orders before it commits: partitioned, sorted, and with a property.
async fn staged(catalog: &LakeCatalog) -> Value {
    staged_with(catalog, json!({"owner": "me"})).await
}

async fn staged_with(catalog: &LakeCatalog, properties: Value) -> Value {
    let request = json!({
        "name": "orders", "stage-create": true, "properties": properties,
        "schema": {"type": "struct", "fields": [
            {"id": 7, "name": "id", "type": "long", "required": true},
            {"id": 9, "name": "kind", "type": "string", "required": false}]},
        "partition-spec": {"fields": [{"source-id": 9, "name": "kind", "transform": "identity"}]},
        "write-order": {"order-id": 1, "fields": [
            {"source-id": 7, "transform": "identity", "direction": "asc", "null-order": "nulls-last"}]},
    });
    let shown = catalog.create("shop", request).await.unwrap();
    assert_eq!(shown.metadata_location, None);
    metadata(&shown)
}

/// The commit that pyiceberg and Spark make of what they were shown, with a first snapshot.
fn making(shown: &Value, location: &str) -> Value {
    let mut updates = vec![
        json!({"action": "assign-uuid", "uuid": shown["table-uuid"]}),
        json!({"action": "upgrade-format-version", "format-version": shown["format-version"]}),
        json!({"action": "add-schema", "schema": shown["schemas"][0], "last-column-id": 2}),
        json!({"action": "set-current-schema", "schema-id": -1}),
        json!({"action": "add-spec", "spec": shown["partition-specs"][0]}),
        json!({"action": "set-default-spec", "spec-id": -1}),
        json!({"action": "add-sort-order", "sort-order": shown["sort-orders"][0]}),
        json!({"action": "set-default-sort-order", "sort-order-id": -1}),
        json!({"action": "set-location", "location": location}),
        json!({"action": "set-properties", "updates": shown["properties"]}),
    ];
    let first = snapshot(None, 11, 1);
    updates.extend(first["updates"].as_array().unwrap().iter().cloned());
    json!({"requirements": [{"type": "assert-create"}], "updates": updates})
}

#[tokio::test]
async fn a_table_is_there_with_its_first_snapshot_or_not_at_all() {
    let disk = FaultyDisk::default();
    let catalog = catalog_on(Arc::new(disk.clone()));
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let shown = staged(&catalog).await;
    assert_eq!(catalog.tables("shop").unwrap(), Vec::<String>::new());
    assert_eq!(catalog.load("shop", "orders").await.unwrap_err().code, "HW-LAKE-032");
    assert!(!disk.image().keys().any(|path| path.starts_with("/data/lake")), "nothing is on the disk");

    let location = shown["location"].as_str().unwrap();
    let made = metadata(&commit(&catalog, "shop", making(&shown, location)).await.unwrap());
    assert_eq!(made["current-snapshot-id"], 11);
    for same in ["table-uuid", "location", "schemas", "partition-specs", "sort-orders", "properties", "last-column-id"]
    {
        assert_eq!(made[same], shown[same], "{same}");
    }
    // Somebody else who was shown the same comes late.
    let late = commit(&catalog, "shop", making(&shown, location)).await.unwrap_err();
    assert_eq!(late.code, "HW-LAKE-034");
    let catalog = after_a_cut(&disk, catalog, 3);
    assert_eq!(metadata(&catalog.load("shop", "orders").await.unwrap()), made);
}

#[tokio::test]
async fn a_table_has_the_format_version_that_its_properties_ask_for() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let asked = |version: &str| json!({"format-version": version, "owner": "me"});
    let named = |name: &str, version: &str| {
        let mut request = orders();
        request["name"] = json!(name);
        request["properties"] = asked(version);
        request
    };
    for (name, version) in [("two", "2"), ("three", "3")] {
        let made = metadata(&catalog.create("shop", named(name, version)).await.unwrap());
        assert_eq!(made["format-version"].to_string(), version);
        assert_eq!(made["properties"], json!({"owner": "me"}), "it is no property");
    }
    for version in ["1", "4", "x"] {
        let refused = catalog.create("shop", named("other", version)).await.unwrap_err();
        assert_eq!(refused.code, "HW-LAKE-035", "{version}");
    }
    let shown = staged_with(&catalog, asked("3")).await;
    let mut request = making(&shown, shown["location"].as_str().unwrap());
    let is_of_snapshots = |update: &Value| update["action"].as_str().unwrap().contains("snapshot");
    request["updates"].as_array_mut().unwrap().retain(|update| !is_of_snapshots(update));
    assert_eq!(metadata(&commit(&catalog, "shop", request).await.unwrap())["format-version"], 3);
}

#[tokio::test]
async fn the_place_of_a_table_stays_the_choice_of_the_node() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let shown = staged(&catalog).await;
    let place = shown["location"].as_str().unwrap().to_owned();
    let (other, below) = (place.replace("shop", DATASETS), format!("{place}/x"));
    for elsewhere in ["file:///etc", "file:///data/lake/shop/orders", other.as_str(), below.as_str()] {
        let refused = commit(&catalog, "shop", making(&shown, elsewhere)).await.unwrap_err();
        assert_eq!(refused.code, "HW-LAKE-035", "{elsewhere}");
    }
    // One that lies there under another name keeps its place.
    commit(&catalog, "shop", making(&shown, &place)).await.unwrap();
    let at = |name: &str| Identifier { namespace: "shop".to_owned(), name: name.to_owned() };
    catalog.rename_table(at("orders"), at("sales")).await.unwrap();
    let refused = commit(&catalog, "shop", making(&shown, &place)).await.unwrap_err();
    assert_eq!(refused.code, "HW-LAKE-035");
    // Whoever drops a view removes its folder, and would remove the table that lies there.
    let view = json!({"name": "orders", "schema": {"type": "struct", "schema-id": 0, "fields": []},
        "view-version": {"version-id": 1, "schema-id": 0, "timestamp-ms": 1_700_000_000_000_i64, "summary": {},
            "representations": [{"type": "sql", "dialect": "spark", "sql": "SELECT 1"}], "default-namespace": ["shop"]}});
    let view = metadata(&catalog.create_view("shop", view).await.unwrap());
    catalog.rename_view(at("orders"), at("seen")).await.unwrap();
    let refused = commit(&catalog, "shop", making(&shown, view["location"].as_str().unwrap())).await.unwrap_err();
    assert_eq!(refused.code, "HW-LAKE-035");
    // Without a word about it the node chooses.
    let mut request = making(&shown, &place);
    request["updates"].as_array_mut().unwrap().retain(|update| update["action"] != "set-location");
    let made = metadata(&commit(&catalog, "shop", request).await.unwrap());
    assert_ne!(made["location"], Value::from(place));
}

#[tokio::test]
async fn a_commit_that_says_too_little_makes_no_table() {
    let catalog = catalog();
    let create = |updates: Value| json!({"requirements": [{"type": "assert-create"}], "updates": updates});
    assert_eq!(commit(&catalog, "shop", create(json!([]))).await.unwrap_err().code, "HW-LAKE-030");
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    assert_eq!(commit(&catalog, "shop", create(json!([]))).await.unwrap_err().code, "HW-LAKE-035");
    let mut both = making(&staged(&catalog).await, "");
    both["requirements"] =
        json!([{"type": "assert-create"}, {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": 1}]);
    both["updates"].as_array_mut().unwrap().retain(|update| update["action"] != "set-location");
    assert_eq!(commit(&catalog, "shop", both).await.unwrap_err().code, "HW-LAKE-034");
    assert_eq!(catalog.tables("shop").unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_commit_of_several_tables_is_held_to_the_number_of_entries() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let shown = staged(&catalog).await;
    let change = |table: &str| {
        let mut request = making(&shown, "");
        request["updates"].as_array_mut().unwrap().retain(|update| update["action"] != "set-location");
        TableChange { namespace: "shop".to_owned(), table: table.to_owned(), request }
    };
    // With these there is room for one more.
    let others = (2..ENTRIES_MAX).map(|number| Delta {
        key: Bytes::from(format!("namespace/other{number}")),
        value: Some(Bytes::from_static(b"{}")),
    });
    catalog.write(others.collect()).await.unwrap();
    let refused = catalog.commit(vec![change("a"), change("b")]).await.unwrap_err();
    assert!(refused.code == "HW-LAKE-035" && refused.title.contains("10000"), "{refused}");
    assert_eq!(catalog.tables("shop").unwrap(), Vec::<String>::new());
    catalog.commit(vec![change("a")]).await.unwrap();
    assert_eq!(catalog.tables("shop").unwrap(), ["a"]);
}
