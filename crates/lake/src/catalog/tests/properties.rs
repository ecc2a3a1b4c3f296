//! Properties of namespaces.

use super::*;

#[tokio::test]
async fn properties_are_changed_and_the_answer_says_which() {
    let disk = FaultyDisk::default();
    let catalog = catalog_on(Arc::new(disk.clone()));
    catalog.create_namespace("shop", json!({"owner": "me", "note": "x"})).await.unwrap();
    let change = json!({"removals": ["note", "colour"], "updates": {"owner": "you", "place": "here"}});
    let answer = catalog.update_namespace("shop", change).await.unwrap();
    assert_eq!(answer, json!({"updated": ["owner", "place"], "removed": ["note"], "missing": ["colour"]}));
    let nothing = catalog.update_namespace("shop", json!({})).await.unwrap();
    assert_eq!(nothing, json!({"updated": [], "removed": [], "missing": []}));
    let catalog = after_a_cut(&disk, catalog, 1);
    assert_eq!(catalog.namespace("shop").unwrap(), json!({"owner": "you", "place": "here"}));
}

#[tokio::test]
async fn a_change_that_contradicts_itself_changes_nothing() {
    let catalog = catalog();
    catalog.create_namespace("shop", json!({"owner": "me"})).await.unwrap();
    let both = json!({"removals": ["owner"], "updates": {"owner": "you"}});
    let large = json!({"updates": {"owner": "x".repeat(65 << 10)}});
    let numbers = json!({"updates": {"owner": 7}});
    for (namespace, change, code) in [
        ("shop", both, "HW-LAKE-090"),
        ("shop", large, "HW-LAKE-035"),
        ("shop", numbers, "HW-LAKE-035"),
        ("shops", json!({"removals": ["owner"]}), "HW-LAKE-030"),
        ("datasets", json!({"removals": ["comment"]}), "HW-LAKE-033"),
    ] {
        assert_eq!(catalog.update_namespace(namespace, change).await.unwrap_err().code, code);
    }
    assert_eq!(catalog.namespace("shop").unwrap(), json!({"owner": "me"}));
}

#[tokio::test]
async fn a_namespace_has_no_place_of_its_own() {
    let catalog = catalog();
    let placed = json!({"owner": "me", "location": "file:///elsewhere"});
    let refused = catalog.create_namespace("shop", placed).await.unwrap_err();
    assert!(refused.code == "HW-LAKE-035" && refused.title.contains("where its tables lie"), "{refused}");
    assert_eq!(catalog.namespace("shop").unwrap_err().code, "HW-LAKE-030");
    catalog.create_namespace("shop", json!({"owner": "me"})).await.unwrap();
    let moved = json!({"updates": {"location": "file:///elsewhere"}});
    assert_eq!(catalog.update_namespace("shop", moved).await.unwrap_err().code, "HW-LAKE-035");
    // Who takes it away is told that there is none.
    let gone = catalog.update_namespace("shop", json!({"removals": ["location"]})).await.unwrap();
    assert_eq!(gone, json!({"updated": [], "removed": [], "missing": ["location"]}));
    assert_eq!(catalog.namespace("shop").unwrap(), json!({"owner": "me"}));
}
