//! Views: what is kept of them, and how they change.

use super::*;

/// A view of one column; `sql` by dialect.
fn version(id: i64, schema: i64, sql: &[(&str, &str)]) -> Value {
    let representations: Vec<Value> =
        sql.iter().map(|(dialect, sql)| json!({"type": "sql", "dialect": dialect, "sql": sql})).collect();
    json!({"version-id": id, "schema-id": schema, "timestamp-ms": 1_700_000_000_000_i64, "summary": {"engine-name": "x"},
        "representations": representations, "default-namespace": ["shop"]})
}

fn large(sql: &str) -> Value {
    json!({"name": "large", "properties": {"comment": "many"}, "view-version": version(1, 0, &[("spark", sql)]),
        "schema": {"type": "struct", "schema-id": 0, "fields": [
            {"id": 1, "name": "id", "type": "long", "required": false}]}})
}

fn replaced(uuid: &Value, sql: &[(&str, &str)]) -> Value {
    json!({
        "requirements": [{"type": "assert-view-uuid", "uuid": uuid}],
        "updates": [
            {"action": "add-view-version", "view-version": version(7, 0, sql)},
            {"action": "set-current-view-version", "view-version-id": -1},
            {"action": "set-properties", "updates": {"comment": "more"}},
        ]
    })
}

fn at(name: &str) -> Identifier {
    Identifier { namespace: "shop".to_owned(), name: name.to_owned() }
}

#[tokio::test]
async fn a_view_is_made_replaced_renamed_and_dropped() {
    let disk = FaultyDisk::default();
    let catalog = catalog_on(Arc::new(disk.clone()));
    assert_eq!(catalog.views("shop").unwrap_err().code, "HW-LAKE-030");
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let made = catalog.create_view("shop", large("SELECT id FROM orders")).await.unwrap();
    let first = metadata(&made);
    assert_eq!(first["current-version-id"], 1);
    assert_eq!(first["versions"][0]["representations"][0]["sql"], "SELECT id FROM orders");
    assert_eq!((&first["format-version"], &first["properties"]), (&json!(1), &json!({"comment": "many"})));
    assert_eq!(catalog.views("shop").unwrap(), ["large"]);
    assert_eq!(catalog.tables("shop").unwrap(), Vec::<String>::new());
    let mark = catalog.views_mark();

    let uuid = &first["view-uuid"];
    let other = json!("00000000-0000-4000-8000-000000000000");
    let refused = catalog.commit_view("shop", "large", replaced(&other, &[("spark", "SELECT 1")])).await.unwrap_err();
    assert_eq!(refused.code, "HW-LAKE-034");
    let two = [("spark", "SELECT id FROM sales"), ("headwater", "SELECT id FROM sales")];
    let second = catalog.commit_view("shop", "large", replaced(uuid, &two)).await.unwrap();
    assert_eq!(metadata(&second)["current-version-id"], 2);
    assert_eq!(metadata(&second)["versions"].as_array().unwrap().len(), 2);
    assert_eq!(metadata(&second)["properties"], json!({"comment": "more"}));
    assert_ne!(catalog.views_mark(), mark);
    // Of the files the current one is left.
    let files = disk.image().into_iter().filter(|(path, _)| path.starts_with("/data/lake")).collect::<Vec<_>>();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(serde_json::from_slice::<Value>(&files[0].1).unwrap()["current-version-id"], 2);

    catalog.rename_view(at("large"), at("huge")).await.unwrap();
    let catalog = after_a_cut(&disk, catalog, 5);
    assert_eq!(catalog.views("shop").unwrap(), ["huge"]);
    let loaded = catalog.load_view("shop", "huge").unwrap();
    assert_eq!(loaded.metadata_location, second.metadata_location);
    assert_eq!(metadata(&loaded)["view-uuid"], *uuid);
    assert_eq!(catalog.load_view("shop", "large").unwrap_err().code, "HW-LAKE-091");
    assert_eq!(catalog.drop_namespace("shop").await.unwrap_err().code, "HW-LAKE-036");
    catalog.drop_view("shop", "huge").await.unwrap();
    assert_eq!(catalog.drop_view("shop", "huge").await.unwrap_err().code, "HW-LAKE-091");
    assert!(!disk.image().keys().any(|path| path.starts_with("/data/lake")));
    catalog.drop_namespace("shop").await.unwrap();
}

#[tokio::test]
async fn a_name_is_a_tables_or_a_views() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    catalog.create("shop", orders()).await.unwrap();
    catalog.create_view("shop", large("SELECT 1")).await.unwrap();
    let mut view = large("SELECT 1");
    view["name"] = json!("orders");
    let mut table = orders();
    table["name"] = json!("large");
    for refused in [
        catalog.create_view("shop", view).await.unwrap_err(),
        catalog.create_view("shop", large("SELECT 2")).await.unwrap_err(),
        catalog.create("shop", table).await.unwrap_err(),
        catalog.rename_view(at("large"), at("orders")).await.unwrap_err(),
        catalog.rename_table(at("orders"), at("large")).await.unwrap_err(),
    ] {
        assert_eq!(refused.code, "HW-LAKE-031", "{refused}");
    }
    assert_eq!(catalog.rename_view(at("orders"), at("x")).await.unwrap_err().code, "HW-LAKE-091");
    assert_eq!(catalog.drop_table("shop", "large", false).await.unwrap_err().code, "HW-LAKE-032");
    assert_eq!(catalog.load("shop", "large").await.unwrap_err().code, "HW-LAKE-032");
}

#[tokio::test]
async fn a_view_that_cannot_be_is_refused() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let changed = |change: fn(&mut Value)| {
        let mut view = large("SELECT 1");
        change(&mut view);
        view
    };
    for nonsense in [
        json!(null),
        changed(|view| view["name"] = json!("../x")),
        changed(|view| view["location"] = json!("file:///etc")),
        changed(|view| view["view-version"]["representations"] = json!([{"type": "code"}])),
        changed(|view| view["view-version"] = version(1, 0, &[("spark", "SELECT 1"), ("Spark", "SELECT 2")])),
        changed(|view| view["properties"] = json!({"comment": "x".repeat(300 << 10)})),
    ] {
        let refused = catalog.create_view("shop", nonsense).await.unwrap_err();
        assert_eq!(refused.code, "HW-LAKE-035", "{refused}");
    }
    assert_eq!(catalog.create_view("datasets", large("SELECT 1")).await.unwrap_err().code, "HW-LAKE-033");
    assert_eq!(catalog.views("shop").unwrap(), Vec::<String>::new());
    let made = metadata(&catalog.create_view("shop", large("SELECT 1")).await.unwrap());
    let updates = |update: Value| json!({"updates": [update]});
    for nonsense in [
        updates(json!({"action": "explode"})),
        updates(json!({"action": "set-location", "location": "file:///etc"})),
        updates(json!({"action": "assign-uuid", "uuid": "00000000-0000-4000-8000-000000000000"})),
        updates(json!({"action": "set-current-view-version", "view-version-id": 9})),
        json!({"requirements": [{"type": "assert-table-uuid", "uuid": made["view-uuid"]}]}),
        // The statement in Spark's dialect would be lost.
        replaced(&made["view-uuid"], &[("headwater", "SELECT 1")]),
    ] {
        let refused = catalog.commit_view("shop", "large", nonsense).await.unwrap_err();
        assert_eq!(refused.code, "HW-LAKE-035", "{refused}");
    }
    assert_eq!(metadata(&catalog.load_view("shop", "large").unwrap()), made);
    assert_eq!(catalog.commit_view("shop", "small", updates(json!({}))).await.unwrap_err().code, "HW-LAKE-035");
    assert_eq!(catalog.commit_view("shop", "small", json!({})).await.unwrap_err().code, "HW-LAKE-091");
}
