//! Names of tables: one at every moment.

use futures::FutureExt as _;

use super::*;

fn at(namespace: &str, name: &str) -> Identifier {
    Identifier { namespace: namespace.to_owned(), name: name.to_owned() }
}

#[tokio::test]
async fn a_table_has_its_rows_and_its_place_under_another_name() {
    let catalog = catalog();
    for namespace in ["shop", "attic"] {
        catalog.create_namespace(namespace, Value::Null).await.unwrap();
    }
    catalog.create("shop", orders()).await.unwrap();
    let written = commit(&catalog, "shop", snapshot(None, 11, 1)).await.unwrap();
    catalog.rename_table(at("shop", "orders"), at("attic", "old")).await.unwrap();
    assert_eq!(catalog.tables("shop").unwrap(), Vec::<String>::new());
    assert_eq!(catalog.tables("attic").unwrap(), ["old"]);
    let moved = catalog.load("attic", "old").await.unwrap();
    assert_eq!((&moved.metadata_location, &moved.metadata), (&written.metadata_location, &written.metadata));
    // Who read it before commits to a name that nobody has.
    assert_eq!(commit(&catalog, "shop", snapshot(Some(11), 12, 2)).await.unwrap_err().code, "HW-LAKE-032");
    // Its old name is free, and the next table of that name lies elsewhere.
    let second = catalog.create("shop", orders()).await.unwrap();
    assert_ne!(metadata(&second)["location"], metadata(&moved)["location"]);
    catalog.drop_table("shop", "orders", true).await.unwrap();
    assert_eq!(catalog.load("attic", "old").await.unwrap().metadata, written.metadata);
}

#[tokio::test]
async fn a_name_that_cannot_be_is_refused() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    catalog.create("shop", orders()).await.unwrap();
    for (from, to, code) in [
        (at("datasets", "orders"), at("shop", "orders2"), "HW-LAKE-033"),
        (at("shop", "orders"), at("datasets", "orders"), "HW-LAKE-033"),
        (at("shop", "orders"), at("nowhere", "orders"), "HW-LAKE-030"),
        (at("nowhere", "orders"), at("shop", "orders2"), "HW-LAKE-032"),
        (at("shop", "others"), at("shop", "orders2"), "HW-LAKE-032"),
        (at("shop", "orders"), at("shop", "orders"), "HW-LAKE-031"),
        (at("shop", "orders"), at("shop", "../x"), "HW-LAKE-035"),
    ] {
        let refused = catalog.rename_table(from.clone(), to.clone()).await.unwrap_err();
        assert_eq!(refused.code, code, "{from:?} to {to:?}");
    }
    assert_eq!(catalog.tables("shop").unwrap(), ["orders"]);
}

#[tokio::test]
async fn a_rename_that_was_answered_survives_the_loss_of_power() {
    for seed in 0..8 {
        let disk = FaultyDisk::default();
        let catalog = catalog_on(Arc::new(disk.clone()));
        catalog.create_namespace("shop", Value::Null).await.unwrap();
        catalog.create("shop", orders()).await.unwrap();
        let written = commit(&catalog, "shop", snapshot(None, 11, 1)).await.unwrap();
        catalog.rename_table(at("shop", "orders"), at("shop", "sales")).await.unwrap();
        let catalog = after_a_cut(&disk, catalog, seed);
        assert_eq!(catalog.tables("shop").unwrap(), ["sales"], "seed {seed}");
        assert_eq!(catalog.load("shop", "sales").await.unwrap().metadata, written.metadata, "seed {seed}");
    }
}

#[tokio::test]
async fn nothing_is_made_in_a_namespace_that_goes_meanwhile() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let turn = catalog.0.turn.lock().await;
    // Both have begun before the namespace is gone.
    let (mut dropped, mut made) = (catalog.drop_namespace("shop"), catalog.create("shop", orders()));
    assert!((&mut dropped).now_or_never().is_none() && (&mut made).now_or_never().is_none());
    drop(turn);
    let (dropped, made) = tokio::join!(dropped, made);
    dropped.unwrap();
    assert_eq!(made.unwrap_err().code, "HW-LAKE-030");
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    assert_eq!(catalog.tables("shop").unwrap(), Vec::<String>::new());
}
