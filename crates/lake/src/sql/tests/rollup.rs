//! A rollup is asked while its events come.

use super::*;

const SALES: &str = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: sales}
spec:
  stream: orders.raw
  snapshotInterval: 100ms
  columns:
    - {name: at, type: timestamp, path: $time}
    - {name: kind, type: string}
    - {name: n, type: int, required: true}
  rollup:
    time: {column: at, grain: second}
    dimensions: [kind]
    metrics:
      - {name: events, type: count}
      - {name: n, type: sum, column: n}
      - {name: least, type: min, column: n}
      - {name: most, type: max, column: n}
";

/// A snapshot may come at any moment of a query: no event is ever missing, or counted twice.
#[test]
fn each_event_counts_once_as_soon_as_it_is_acknowledged() {
    let house = House::new(Limits::default());
    house.runtime.block_on(async {
        let drafts = house.kernel.registry().read("s.yaml", SALES.as_bytes(), house.kernel.limits()).unwrap();
        house.kernel.apply(drafts, &ApplyOptions::default()).await.unwrap();
        assert_eq!(house.kernel.settled(&["Dataset/sales".to_owned()], Duration::from_secs(20)).await, []);
    });
    let snapshots = || {
        let space = crate::kinds::dataset::space("sales");
        let tables = house.datasets.tables();
        let version = now(tables.version(&space, crate::tables::POINTER, headwater_log::View::Durable));
        version.unwrap().map_or(0, |version| version.metadata.snapshots().count())
    };
    let (begin, mut sent) = (Instant::now(), 0);
    while snapshots() < 5 {
        assert!(begin.elapsed() < Duration::from_secs(60), "five snapshots");
        house.append(sent, sent + 50);
        sent += 50;
        let sum = sent * (sent - 1) / 2;
        let all = house.rows("SELECT sum(events), sum(n), min(least), max(most) FROM sales");
        assert_eq!(all, json!([[sent, sum, 0, sent - 1]]));
    }
    let half = json!([["even", sent / 2], ["odd", sent / 2]]);
    assert_eq!(house.rows("SELECT kind, sum(events) FROM sales GROUP BY 1 ORDER BY 1"), half);
    house.append(sent, sent + 200);
    let first = "SELECT sum(events), sum(n) FROM sales WHERE at < to_timestamp('1970-01-01T00:00:01Z')";
    assert_eq!(house.rows(first), json!([[100, 4_950]]));
    let rows = house.rows("SELECT count(*) < sum(events) / 10 FROM sales");
    assert_eq!(rows, json!([[true]]), "there are few rows");
}
