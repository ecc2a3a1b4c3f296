//! Lists of what can be asked, where some of it cannot.

use std::time::{Duration, Instant};

use headwater_base::{Limits, Principal};
use headwater_kernel::port::Sql as _;
use serde_json::{Value, json};

use super::postgres::Connected;
use super::{House, apply};

/// Applies an external table.
fn external(house: &House, name: &str, spec: &Value) {
    let text =
        json!({"apiVersion": "headwater.dev/v1", "kind": "ExternalTable", "metadata": {"name": name}, "spec": spec});
    house.runtime.block_on(apply(&house.kernel, &text.to_string()));
}

const COLUMNS: &str = "SELECT table_name, column_name FROM information_schema.columns \
     WHERE table_schema IN ('public', 'external') ORDER BY 1, 2";

#[test]
fn a_table_that_cannot_be_read_is_listed_by_its_name() {
    let house = House::new(Limits::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rooms.csv");
    external(&house, "absent", &json!({"path": folder.path().join("absent.parquet").display().to_string()}));
    std::fs::write(&path, "item,room\nlamp,hall\n").unwrap();
    external(&house, "rooms", &json!({"path": path.display().to_string()}));
    let columns = |of_rooms: &[&str]| {
        let mut all = vec![["orders", "kind"], ["orders", "n"]];
        all.extend(of_rooms.iter().map(|column| ["rooms", *column]));
        all.push(["slow", "n"]);
        json!(all)
    };
    assert_eq!(house.rows(COLUMNS), columns(&["item", "room"]));
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'external' ORDER BY 1";
    assert_eq!(house.rows(tables), json!([["absent"], ["rooms"]]));
    assert_eq!(house.rows("SELECT count(*) FROM information_schema.views WHERE table_name = 'absent'"), json!([[0]]));
    let relations = house.runtime.block_on(house.engine.relations(Principal::default())).unwrap();
    let external: Vec<(&str, usize)> = relations
        .iter()
        .filter(|relation| relation.schema == "external")
        .map(|relation| (relation.name.as_str(), relation.columns.len()))
        .collect();
    assert_eq!(external, [("absent", 0), ("rooms", 2)]);
    // Once it can be read, it has its columns.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(house.rows(COLUMNS), columns(&[]));
    assert_eq!(house.problem("SELECT * FROM external.rooms").code, "HW-LAKE-055", "whoever reads it is told why");
    std::fs::write(&path, "room\nhall\n").unwrap();
    assert_eq!(house.rows(COLUMNS), columns(&["room"]));
}

/// A server takes ten seconds to be given up.
#[test]
fn a_server_that_is_away_keeps_no_list_waiting() {
    let house = House::new(Limits::default());
    // Connections are taken by the system, and nobody answers them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for table in ["customers", "orders", "rates"] {
        let spec = json!({"host": "127.0.0.1", "port": port, "database": "shop", "user": "headwater", "table": table});
        external(&house, table, &json!({ "postgres": spec }));
    }
    let client = Connected::new(&house);
    let begun = Instant::now();
    let own = json!([["orders", "kind"], ["orders", "n"], ["slow", "n"]]);
    assert_eq!(house.rows(COLUMNS), own);
    let relations = house.runtime.block_on(house.engine.relations(Principal::default())).unwrap();
    assert_eq!(relations.iter().filter(|relation| relation.schema == "external").count(), 3);
    let attributes = "SELECT count(*) FROM pg_catalog.pg_attribute WHERE attname = 'kind'";
    assert_eq!(client.rows(attributes), Ok(vec![vec!["1".to_owned()]]));
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    client.end();
}
