//! A dataset with a key is asked while its events come: at every moment its rows are the last event of each key.

use std::collections::BTreeMap;

use super::*;
use crate::kinds::dataset::space;
use crate::tables::POINTER;

/// Of the same stream: one that makes a snapshot every tenth of a second, and one that makes one in an hour.
const LAST: &str = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: fresh}
spec:
  stream: orders.raw
  snapshotInterval: 100ms
  key: [id]
  columns:
    - {name: n, type: int, required: true}
    - {name: kind, type: string}
    - {name: id, type: string, path: $key, required: true}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: rare}
spec:
  stream: orders.raw
  snapshotInterval: 1h
  key: [id]
  columns:
    - {name: n, type: int, required: true}
    - {name: kind, type: string}
    - {name: id, type: string, path: $key, required: true}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: names}
spec:
  table: kinds
  snapshotInterval: 1h
  columns:
    - {name: key, type: string, path: $key, required: true}
    - {name: name, type: string}
";

type Rows = BTreeMap<String, (i64, String)>;

impl House {
    fn keyed() -> Self {
        let house = Self::new(Limits::default());
        house.runtime.block_on(async {
            apply(&house.kernel, LAST).await;
            let ids = ["Dataset/fresh", "Dataset/rare", "Dataset/names"].map(str::to_owned);
            assert_eq!(house.kernel.settled(&ids, Duration::from_secs(20)).await, []);
        });
        house
    }

    fn snapshots(&self, dataset: &str) -> usize {
        let version = now(self.datasets.tables().version(&space(dataset), POINTER, headwater_log::View::Durable));
        version.unwrap().map_or(0, |version| version.metadata.snapshots().count())
    }

    /// Puts orders by key, and deletes those without a number; durable, and noted in `rows`.
    fn change<K: AsRef<str>>(&self, rows: &mut Rows, changes: &[(K, Option<(i64, &str)>)]) {
        let mut outbox = Outbox::open(&*self.log, &[Name::new("orders.raw").unwrap()]).unwrap();
        for (key, order) in changes {
            let key = key.as_ref();
            let value = order.map(|(n, kind)| json!({"n": n, "kind": kind}).to_string());
            outbox.put(0, 0, Some(key.as_bytes()), value.as_ref().map(String::as_bytes), &[]).unwrap();
            match order {
                Some((n, kind)) => rows.insert(key.to_owned(), (*n, (*kind).to_owned())),
                None => rows.remove(key),
            };
        }
        let ticket = self.log.append(&mut Commit { appends: outbox.take(), ..Commit::default() }).unwrap();
        self.runtime.block_on(self.log.durable(ticket.sequence)).unwrap();
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::yield_now();
    }
}

fn shown(rows: &Rows) -> Value {
    rows.iter().map(|(id, (n, kind))| json!([id, n, kind])).collect()
}

/// A snapshot may come at any moment of a query.
#[test]
fn the_last_event_of_a_key_is_its_row_at_every_moment() {
    let house = House::keyed();
    let mut rows = Rows::new();
    let (begin, mut round) = (Instant::now(), 0_i64);
    while house.snapshots("fresh") < 6 {
        assert!(begin.elapsed() < Duration::from_secs(60), "six snapshots");
        let change = |at: i64| {
            let order = ((round + at) % 4 != 0).then_some((round * 100 + at, "new"));
            (format!("k{}", (round * 7 + at * 3) % 50), order)
        };
        let changes: Vec<_> = (0..20).map(change).collect();
        house.change(&mut rows, &changes);
        round += 1;
        for dataset in ["fresh", "rare"] {
            assert_eq!(house.rows(&format!("SELECT id, n, kind FROM {dataset} ORDER BY id")), shown(&rows));
            let sum: i64 = rows.values().map(|(n, _)| n).sum();
            let told = house.rows(&format!("SELECT count(*), sum(n), count(DISTINCT id) FROM {dataset}"));
            assert_eq!(told, json!([[rows.len(), sum, rows.len()]]));
        }
    }
}

/// A snapshot with rows, and behind it rows that take their places, delete them or are new.
fn behind_a_snapshot() -> (House, Rows) {
    let (house, mut rows) = (House::keyed(), Rows::new());
    let first: Vec<_> = (0..8).map(|n| (format!("k{n}"), Some((n, "old")))).collect();
    house.change(&mut rows, &first);
    assert_eq!(
        house.rows("SELECT id, n, kind FROM rare ORDER BY id"),
        shown(&rows),
        "whether there is a snapshot or not"
    );
    until("the first snapshot", || house.snapshots("rare") == 1);
    assert_eq!(house.rows("SELECT id, n, kind FROM rare ORDER BY id"), shown(&rows), "a snapshot alone");
    assert_eq!(house.rows("SELECT count(*), max(n) FROM rare"), json!([[8, 7]]));
    house.change(&mut rows, &[("k7", Some((-7, "new"))), ("k1", None), ("k8", Some((1, "x"))), ("k9", Some((9, "x")))]);
    house.change(&mut rows, &[("k8", Some((8, "new"))), ("k9", None), ("k0", None), ("k0", Some((100, "new")))]);
    (house, rows)
}

/// As in PostgreSQL, a key decides the other columns of its row.
#[test]
fn whoever_groups_by_a_key_may_name_every_column() {
    let (house, rows) = behind_a_snapshot();
    let each: Value = rows.iter().map(|(id, (n, kind))| json!([id, n, kind, 1])).collect();
    assert_eq!(house.rows("SELECT id, n, kind, count(*) FROM rare GROUP BY id ORDER BY id"), each);
    let joined = "SELECT r.id, r.n, r.kind, count(f.id) FROM rare r LEFT JOIN fresh f ON f.id = r.id GROUP BY r.id ORDER BY r.id";
    assert_eq!(house.rows(joined), each);
    assert_eq!(house.problem("SELECT kind, n, count(*) FROM rare GROUP BY kind").code, "HW-LAKE-041");
    let within =
        "SELECT id, kind, total FROM (SELECT id, kind, sum(n) AS total FROM rare GROUP BY id) GROUP BY id, kind, total";
    assert_eq!(house.rows(&format!("SELECT count(*) FROM ({within})")), json!([[rows.len()]]));
    let behind = "SELECT id, n, count(*) FROM (SELECT id, upper(kind) AS k, n FROM rare) GROUP BY id ORDER BY id";
    let pairs: Value = rows.iter().map(|(id, (n, _))| json!([id, n, 1])).collect();
    assert_eq!(house.rows(behind), pairs, "the key stands in front of what is computed");
    let last = "SELECT upper(kind) AS k, id, count(*) FROM rare GROUP BY id ORDER BY k, id";
    let mut each: Vec<_> = rows.iter().map(|(id, (_, kind))| json!([kind.to_uppercase(), id, 1])).collect();
    each.sort_by_key(ToString::to_string);
    assert_eq!(house.rows(last), Value::from(each));
}

/// Before they show a database, they ask for its keys.
#[test]
fn tools_are_told_of_keys() {
    let house = House::keyed();
    let keys = "SELECT tc.table_schema, tc.table_name, kc.column_name, kc.ordinal_position, tc.constraint_name
        FROM information_schema.table_constraints tc JOIN information_schema.key_column_usage kc
        ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name
        WHERE tc.constraint_type = 'PRIMARY KEY' AND tc.table_name IN ('fresh', 'names', 'orders', 'rare') ORDER BY 2";
    let told = json!([
        ["public", "fresh", "id", 1, "fresh_pkey"],
        ["public", "names", "key", 1, "names_pkey"],
        ["public", "rare", "id", 1, "rare_pkey"],
    ]);
    assert_eq!(house.rows(keys), told);
    assert_eq!(house.rows("SELECT count(*) FROM information_schema.referential_constraints"), json!([[0]]));
    let used = "SELECT column_name FROM information_schema.constraint_column_usage WHERE table_name = 'rare'";
    assert_eq!(house.rows(used), json!([["id"]]));
    let columns =
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'rare'";
    assert_eq!(house.rows(columns), json!([[3]]), "the engine's own tables are there");
}

/// Behind a computed column the engine would take another one for the key.
#[test]
fn a_key_is_not_taken_for_another_column() {
    let (house, rows) = behind_a_snapshot();
    let inner = "(SELECT length(kind) AS x, id, n FROM rare)";
    assert_eq!(house.rows(&format!("SELECT DISTINCT x FROM {inner}")), json!([[3]]));
    assert_eq!(house.rows(&format!("SELECT x, count(*) FROM {inner} GROUP BY x")), json!([[3, rows.len()]]));
    let mut numbers: Vec<i64> = rows.values().map(|(n, _)| *n).collect();
    numbers.sort_unstable_by_key(|n| -n);
    let ordered: Value = numbers.iter().map(|n| json!([3, n])).collect();
    assert_eq!(house.rows(&format!("SELECT x, n FROM {inner} ORDER BY x, n DESC")), ordered);
    let total: i64 = numbers.iter().sum();
    let running = format!("SELECT DISTINCT total FROM (SELECT sum(n) OVER (ORDER BY x) AS total FROM {inner})");
    assert_eq!(house.rows(&running), json!([[total]]), "rows that are equal in `x` have one sum");
    let problem = house.problem(&format!("SELECT x, n, count(*) FROM {inner} GROUP BY x"));
    assert_eq!(problem.code, "HW-LAKE-041", "{problem}");
}

#[test]
fn what_was_replaced_shows_in_no_question() {
    let (house, rows) = behind_a_snapshot();
    assert_eq!(house.rows("SELECT id, n, kind FROM rare ORDER BY id"), shown(&rows));
    assert_eq!(house.rows("SELECT count(*) FROM rare"), json!([[8]]));
    assert_eq!(house.rows("SELECT min(n), max(n) FROM rare"), json!([[-7, 100]]));
    assert_eq!(house.rows("SELECT n FROM rare WHERE n = 7"), json!([]), "only the row before fits");
    assert_eq!(house.rows("SELECT count(*) FROM rare WHERE id = 'k7' AND kind = 'old'"), json!([[0]]));
    assert_eq!(house.rows("SELECT id FROM rare WHERE kind = 'old' ORDER BY n LIMIT 2"), json!([["k2"], ["k3"]]));
    assert_eq!(house.rows("SELECT n FROM rare ORDER BY n DESC LIMIT 1"), json!([[100]]));
    assert_eq!(house.rows("SELECT id FROM rare WHERE id = 'k1' OR id = 'k9'"), json!([]));
    assert_eq!(house.rows("SELECT n, kind FROM rare WHERE id = 'k8'"), json!([[8, "new"]]));
    for most in [1, 3, 8, 20] {
        let some = house.rows(&format!("SELECT kind FROM rare LIMIT {most}"));
        assert_eq!(some.as_array().unwrap().len(), most.min(8));
    }
    let joined = "SELECT count(*), sum(a.n - b.n) FROM rare a JOIN rare b ON a.id = b.id AND a.kind = b.kind";
    assert_eq!(house.rows(joined), json!([[8, 0]]));
    let by_kind = "SELECT kind, count(*) FROM rare GROUP BY kind ORDER BY kind";
    assert_eq!(house.rows(by_kind), json!([["new", 3], ["old", 5]]));
    let few = "SELECT r.id FROM rare r JOIN (VALUES ('k0'), ('k1'), ('k2')) AS v(id) ON r.id = v.id WHERE r.n < 50";
    assert_eq!(house.rows(few), json!([["k2"]]));
    let plan = house.text("EXPLAIN FORMAT INDENT SELECT n FROM rare WHERE n > 3 LIMIT 2", Format::Csv).unwrap();
    assert!(plan.contains("KeyedExec: key=[id]") && plan.contains(".parquet"), "{plan}");
    let files = plan.lines().find(|line| line.contains(".parquet")).unwrap();
    assert!(!files.contains("limit=") && files.contains("predicate="), "{plan}");
}

#[test]
fn a_policy_is_about_the_last_row() {
    let (house, _) = behind_a_snapshot();
    let policy = "\
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: old}
spec:
  principals: [asha]
  relations: [rare]
  filter: kind = 'old'
";
    house.runtime.block_on(apply(&house.kernel, policy));
    let asha = Principal::new("asha").unwrap();
    let rows = |statement: &str| {
        let text = house.text_for(&asha, statement, Format::Json).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["rows"].clone()
    };
    assert_eq!(rows("SELECT id FROM rare ORDER BY id"), json!([["k2"], ["k3"], ["k4"], ["k5"], ["k6"]]));
    assert_eq!(rows("SELECT count(*), max(n) FROM rare"), json!([[5, 6]]));
    assert_eq!(rows("SELECT n FROM rare WHERE id = 'k7'"), json!([]));
    let plan = house.text_for(&asha, "EXPLAIN VERBOSE SELECT n FROM rare", Format::Csv).unwrap();
    assert!(!plan.contains("KeyedExec") && !plan.contains("kind"), "{plan}");
}

/// Its documents as they are, deletions included.
#[test]
fn a_table_is_a_dataset() {
    let house = House::keyed();
    let name = Name::new("kinds").unwrap();
    let put = |key: &str, document: Option<Value>| {
        let document = document.map(|document| document.to_string().into());
        house.runtime.block_on(house.kernel.tables().put(&name, key, document, None)).unwrap();
    };
    let names = || house.rows("SELECT key, name FROM names ORDER BY key");
    put("a", Some(json!({"name": "Anna"})));
    put("b", Some(json!({"name": "Bob", "other": 1})));
    assert_eq!(names(), json!([["a", "Anna"], ["b", "Bob"]]));
    until("the first snapshot", || house.snapshots("names") == 1);
    put("b", Some(json!({"name": "Berta"})));
    put("c", Some(json!({})));
    put("a", None);
    assert_eq!(names(), json!([["b", "Berta"], ["c", null]]));
    assert_eq!(house.rows("SELECT count(*) FROM names WHERE name = 'Bob'"), json!([[0]]));
}
