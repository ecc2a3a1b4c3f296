//! Views of the catalog's clients, read in SQL.

use headwater_kernel::port::Catalog as _;

use super::*;

/// A view in the namespace `shop`; its columns are all of one type, which nobody looks at.
pub(super) fn view(name: &str, columns: &[&str], sql: &[(&str, &str)]) -> Value {
    let fields: Vec<Value> = (1..)
        .zip(columns)
        .map(|(id, name)| json!({"id": id, "name": name, "type": "string", "required": false}))
        .collect();
    json!({"name": name, "schema": {"type": "struct", "schema-id": 0, "fields": fields}, "view-version": version(sql)})
}

fn version(sql: &[(&str, &str)]) -> Value {
    let representations: Vec<Value> =
        sql.iter().map(|(dialect, sql)| json!({"type": "sql", "dialect": dialect, "sql": sql})).collect();
    json!({"version-id": 1, "schema-id": 0, "timestamp-ms": 1_700_000_000_000_i64, "summary": {},
        "representations": representations, "default-namespace": ["shop"], "default-catalog": "node"})
}

impl House {
    fn catalog(&self) -> &LakeCatalog {
        &self.engine.0.sources.catalog
    }

    pub(super) fn shop(&self, views: &[Value]) {
        self.runtime.block_on(async {
            self.catalog().create_namespace("shop", Value::Null).await.unwrap();
            for view in views {
                self.catalog().create_view("shop", view.clone()).await.unwrap();
            }
        });
    }
}

#[test]
fn a_view_is_what_its_statement_says_at_every_moment() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    house.shop(&[
        view(
            "kinds",
            &["Kind", "pieces"],
            &[
                ("spark", "SELECT `not` ours"),
                ("Headwater", "SELECT kind, count(*) FROM datasets.orders GROUP BY kind"),
            ],
        ),
        view("total", &["pieces"], &[("ansi", "SELECT sum(pieces) FROM kinds")]),
        view("named", &["n"], &[("postgresql", "SELECT max(n) FROM node.datasets.orders")]),
        view("without_columns", &[], &[("datafusion", r#"SELECT key FROM streams."orders.raw" WHERE "offset" < 0"#)]),
    ]);
    let kinds = r#"SELECT "Kind", pieces FROM shop.kinds ORDER BY 1"#;
    assert_eq!(house.rows(kinds), json!([["even", 5], ["odd", 5]]));
    assert_eq!(house.rows("SELECT * FROM shop.total"), json!([[10]]));
    assert_eq!(house.rows("SELECT n FROM shop.named"), json!([[9]]));
    assert_eq!(house.rows("SELECT key FROM shop.without_columns"), json!([]));
    let join = "SELECT o.n, v.pieces FROM orders o JOIN shop.kinds v ON v.\"Kind\" = o.kind WHERE o.n > 7 ORDER BY 1";
    assert_eq!(house.rows(join), json!([[8, 5], [9, 5]]));
    house.append(10, 12);
    assert_eq!(house.rows(kinds), json!([["even", 6], ["odd", 6]]));

    // What was kept of an answer through the view is not the answer through the next one.
    let change = json!({"updates": [
        {"action": "add-view-version", "view-version": version(&[
            ("spark", "SELECT `not` ours"),
            ("headwater", "SELECT 'all', count(*) FROM datasets.orders"),
        ])},
        {"action": "set-current-view-version", "view-version-id": -1},
    ]});
    house.rows(kinds);
    house.runtime.block_on(house.catalog().commit_view("shop", "kinds", change)).unwrap();
    assert_eq!(house.rows(kinds), json!([["all", 12]]));
    assert_eq!(house.rows("SELECT * FROM shop.total"), json!([[12]]));

    let shown = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'shop' ORDER BY 1";
    let all = ["kinds", "named", "total", "without_columns"].map(|name| json!([name, "VIEW"]));
    assert_eq!(house.rows(shown), json!(all));
    let relations = house.runtime.block_on(house.engine.relations(Principal::default())).unwrap();
    let kinds = relations.iter().find(|one| one.schema == "shop" && one.name == "kinds").unwrap();
    assert_eq!(kinds.columns.iter().map(|column| column.kind.as_str()).collect::<Vec<_>>(), ["text", "bigint"]);
}

#[test]
fn a_table_and_a_view_of_it_are_at_one_position() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    house.shop(&[
        view("kinds", &["pieces"], &[("headwater", "SELECT count(*) FROM datasets.orders GROUP BY kind")]),
        view("total", &["pieces"], &[("headwater", "SELECT sum(pieces) FROM kinds")]),
    ]);
    let difference = "SELECT (SELECT count(*) FROM orders) - (SELECT pieces FROM shop.total)";
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..50).for_each(|round| house.append(round * 10, round * 10 + 10)));
        while !writer.is_finished() {
            assert_eq!(house.rows(difference), json!([[0]]));
        }
    });
    assert_eq!(house.rows("SELECT pieces FROM shop.total"), json!([[500]]));
}

#[test]
fn a_view_that_cannot_be_read_says_why_and_is_no_obstacle() {
    let house = House::new(Limits::default());
    let ours = |sql: &'static str| [("headwater", sql)];
    let mut views = vec![
        view("spark_only", &["n"], &[("spark", "SELECT n FROM datasets.orders"), ("trino", "SELECT 1")]),
        view("broken", &["n"], &ours("SELECT n FROM nowhere")),
        view("wrong", &["n"], &ours("SELECT n FROM")),
        view("writes", &["n"], &ours("DELETE FROM datasets.orders")),
        view("wide", &["n", "m"], &ours("SELECT n FROM datasets.orders")),
        view(
            "parametric",
            &["n"],
            &ours("SELECT n FROM datasets.orders WHERE n = (SELECT max(n) + $1 FROM datasets.orders)"),
        ),
        view("mirror", &["n"], &ours("SELECT n FROM shop.mirror")),
        view("ping", &["n"], &ours("SELECT n FROM pong")),
        view("pong", &["n"], &ours("SELECT n FROM ping")),
        view("around", &["n"], &ours("SELECT n FROM spark_only")),
        view("step0", &["n"], &ours("SELECT n FROM datasets.orders")),
    ];
    for step in 1..=20 {
        let sql = format!("SELECT a.n FROM step{0} a JOIN step{0} b ON a.n = b.n", step - 1);
        views.push(view(&format!("step{step}"), &["n"], &[("headwater", sql.as_str())]));
    }
    house.shop(&views);
    for (name, code) in [
        ("spark_only", "HW-LAKE-092"),
        ("broken", "HW-LAKE-093"),
        ("wrong", "HW-LAKE-093"),
        ("writes", "HW-LAKE-093"),
        ("wide", "HW-LAKE-093"),
        ("parametric", "HW-LAKE-093"),
        ("mirror", "HW-LAKE-094"),
        ("ping", "HW-LAKE-094"),
        ("around", "HW-LAKE-092"),
        ("step20", "HW-LAKE-094"),
    ] {
        let problem = house.problem(&format!("SELECT n FROM shop.{name}"));
        assert_eq!(problem.code, code, "{name}: {problem}");
    }
    assert_eq!(house.rows("SELECT n FROM shop.step2"), json!([]));
    let columns =
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 'broken'";
    assert_eq!(house.rows(columns), json!([[1]]));
}

/// Of orders asha sees the even ones; of views those two that policies name, one of them in part.
const POLICIES: &str = "\
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: even}
spec:
  principals: [asha]
  relations: [orders]
  filter: kind = 'even'
---
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: views}
spec:
  principals: [asha, lea]
  relations: [shop.numbers, shop.nested]
---
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: high}
spec:
  principals: [asha]
  relations: [shop.high]
  filter: n > 5
";

#[test]
fn a_view_shows_nobody_more_than_what_it_reads_does() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    let ours = |sql: &'static str| [("headwater", sql)];
    house.shop(&[
        view("numbers", &["n"], &ours("SELECT n FROM datasets.orders")),
        view("nested", &["n", "who"], &ours("SELECT n, current_user FROM numbers")),
        view("high", &["n"], &ours("SELECT n FROM datasets.orders")),
        view("hidden", &["n"], &ours("SELECT n FROM datasets.orders")),
    ]);
    house.runtime.block_on(apply(&house.kernel, POLICIES));
    let ask = |who: &str, statement: &str| house.text_for(&Principal::new(who).unwrap(), statement, Format::Csv);
    assert_eq!(ask("admin", "SELECT sum(n) FROM shop.numbers").unwrap().lines().nth(1), Some("45"));
    assert_eq!(ask("asha", "SELECT n FROM shop.numbers ORDER BY n").unwrap(), "n\n0\n2\n4\n6\n8\n");
    assert_eq!(ask("asha", "SELECT who, sum(n) AS s FROM shop.nested GROUP BY 1").unwrap(), "who,s\nasha,20\n");
    // A policy of the view's own stands above those of what it reads.
    assert_eq!(ask("asha", "SELECT n FROM shop.high ORDER BY n").unwrap(), "n\n6\n8\n");
    assert_eq!(ask("asha", "SELECT n FROM shop.hidden").unwrap_err().code, "HW-LAKE-041");
    // Lea may read the view, and nothing of what it reads.
    let refused = ask("lea", "SELECT n FROM shop.numbers").unwrap_err();
    assert_eq!(refused.code, "HW-LAKE-093");
    assert!(!format!("{refused:?}").contains("orders"), "{refused}");
}
