//! What was purged goes, also when the node is killed before, and takes nothing with it that came later.

use super::*;

/// Whether the disk has files of a table.
fn is_there(disk: &FaultyDisk, table: &TableAt) -> bool {
    let place = metadata(table)["location"].as_str().unwrap().replace("file://", "");
    disk.image().keys().any(|path| path.starts_with(&place))
}

#[tokio::test]
async fn what_waited_for_a_reader_when_the_node_was_killed_goes_when_it_starts() {
    let disk = FaultyDisk::default();
    let catalog = catalog_on(Arc::new(disk.clone()));
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let purged = catalog.create("shop", orders()).await.unwrap();
    let reader = catalog.lake().leases().take();
    catalog.drop_table("shop", "orders", true).await.unwrap();
    let dropped = catalog.create("shop", orders()).await.unwrap();
    catalog.drop_table("shop", "orders", false).await.unwrap();
    let kept = catalog.create("shop", orders()).await.unwrap();
    assert!(is_there(&disk, &purged), "somebody reads it");
    let catalog = after_a_cut(&disk, catalog, 7);
    assert!(!is_there(&disk, &purged));
    assert!(is_there(&disk, &dropped) && is_there(&disk, &kept));
    assert_eq!(catalog.load("shop", "orders").await.unwrap().metadata, kept.metadata);
    drop(reader);
}

#[tokio::test]
async fn a_place_that_was_purged_once_belongs_to_who_lies_there_since() {
    let disk = FaultyDisk::default();
    let catalog = catalog_on(Arc::new(disk.clone()));
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let made = catalog.create("shop", orders()).await.unwrap();
    catalog.drop_table("shop", "orders", true).await.unwrap();
    assert!(!is_there(&disk, &made));
    let (file, place) = (made.metadata_location.clone().unwrap(), metadata(&made)["location"].clone());
    let files = catalog.lake().files().clone();
    files.create_folders(place.as_str().unwrap(), std::path::Path::new("/")).unwrap();
    files.write(&file, made.metadata.clone()).await.unwrap();
    let register = json!({"name": "back", "metadata-location": file});
    catalog.register("shop", register).await.unwrap();
    let catalog = after_a_cut(&disk, catalog, 3);
    assert!(is_there(&disk, &made));
    assert_eq!(catalog.load("shop", "back").await.unwrap().metadata, made.metadata);
    catalog.drop_table("shop", "back", false).await.unwrap();
    let catalog = after_a_cut(&disk, catalog, 4);
    assert!(is_there(&disk, &made), "it was dropped without its files");
    drop(catalog);
}

#[tokio::test]
async fn what_was_purged_does_not_come_back_when_the_power_goes() {
    for seed in 0..8 {
        let disk = FaultyDisk::default();
        let catalog = catalog_on(Arc::new(disk.clone()));
        catalog.create_namespace("shop", Value::Null).await.unwrap();
        let mut purged = Vec::new();
        for _ in 0..3 {
            purged.push(catalog.create("shop", orders()).await.unwrap());
            catalog.drop_table("shop", "orders", true).await.unwrap();
        }
        let catalog = after_a_cut(&disk, catalog, seed);
        assert!(purged.iter().all(|table| !is_there(&disk, table)), "seed {seed}");
        drop(catalog);
    }
}

#[tokio::test]
async fn a_note_is_taken_back_when_the_files_are_gone() {
    let catalog = catalog();
    catalog.create_namespace("shop", Value::Null).await.unwrap();
    let mut last = Value::Null;
    for _ in 0..5 {
        last = metadata(&catalog.create("shop", orders()).await.unwrap())["location"].clone();
        catalog.drop_table("shop", "orders", true).await.unwrap();
    }
    assert_eq!(catalog.scan("purged/"), [last.as_str().unwrap()]);
}
