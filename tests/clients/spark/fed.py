"""Tables that streams feed: they are read, and nothing else."""
import json
import urllib.error
import urllib.request

from engines import EVERYTHING, asked, both, by_node, check, plain, refused, snapshots, spark, spark_rows, until, url

RESOURCES = """
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: orders}
spec:
  stream: orders
  snapshotInterval: 200ms
  columns:
    - {name: id, type: long, required: true}
    - {name: at, type: timestamp}
    - {name: day, type: date}
    - {name: amount, type: decimal, precision: 12, scale: 2}
    - {name: paid, type: boolean}
    - {name: weight, type: double}
    - name: customer
      type: struct
      fields:
        - {name: id, type: int}
        - {name: country, type: string}
    - {name: tags, type: list, items: {type: string}}
    - {name: note, type: json}
    - {name: offset, type: long, path: $offset}
  partition:
    - {column: at, transform: day}
  sort:
    - {column: id}
---
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: stock}
spec: {}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: stock}
spec:
  table: stock
  snapshotInterval: 200ms
  columns:
    - {name: sku, type: string, path: $key, required: true}
    - {name: pieces, type: long}
"""


def table_of(dataset):
    try:
        with urllib.request.urlopen(f"{url}/v1/datasets/{dataset}/table") as answer:
            return json.load(answer)
    except urllib.error.HTTPError:
        return {}


def order(id):
    at = f"2026-11-{id % 3 + 1:02}T12:00:00.{id:06}Z"
    customer = {"id": id % 4, "country": ["NL", "BE", "DE", None][id % 4]}
    return {
        "id": id,
        "at": at,
        "day": at[:10],
        "amount": f"{id}.{id:02}",
        "paid": id % 2 == 0,
        "weight": id / 8,
        "customer": customer,
        "tags": ["a", f"t{id}"],
        "note": {"n": id},
    }


def feed():
    """The datasets: orders of three days in two snapshots, and what is in stock, some of which changes and goes."""
    asked("POST", "/v1/apply", RESOURCES, "application/yaml")
    for ids in (range(6), range(6, 10)):
        asked("POST", "/v1/streams/orders/events", [order(id) for id in ids])
        until("orders are in the table", lambda: table_of("orders").get("rows") == ids.stop)
    for sku, pieces in (("lamp", 3), ("desk", 1), ("chair", 4)):
        asked("PUT", f"/v1/tables/stock/documents/{sku}", {"pieces": pieces})
    until("the stock is in the table", lambda: table_of("stock").get("rows") == 3)
    asked("PUT", "/v1/tables/stock/documents/lamp", {"pieces": 2})
    asked("DELETE", "/v1/tables/stock/documents/desk", "")
    until("the stock is as it is now", lambda: spark_rows("SELECT * FROM datasets.stock ORDER BY sku") == STOCK)


STOCK = [["chair", 4], ["lamp", 2]]


@check
def fed_names():
    assert ["datasets"] in spark_rows("SHOW NAMESPACES")
    names = [row[1] for row in spark_rows("SHOW TABLES IN datasets")]
    assert names == ["orders", "stock"], names
    assert spark.catalog.tableExists("node.datasets.orders") and not spark.catalog.tableExists("node.datasets.none")
    refused("SELECT * FROM datasets.none", "TABLE_OR_VIEW_NOT_FOUND")
    assert any("Tables that streams feed" in str(row) for row in spark_rows("DESCRIBE NAMESPACE datasets"))


@check
def fed_described():
    types = {row[0]: row[1] for row in spark_rows("DESCRIBE datasets.orders")}
    assert (types["id"], types["at"], types["day"], types["amount"]) == (
        "bigint",
        "timestamp",
        "date",
        "decimal(12,2)",
    ), types
    assert (types["customer"], types["tags"]) == ("struct<id:int,country:string>", "array<string>"), types
    text = str(spark_rows("DESCRIBE EXTENDED datasets.orders"))
    assert "days(at)" in text, text
    assert "PARTITIONED BY (days(at))" in spark_rows("SHOW CREATE TABLE datasets.orders")[0][0]
    assert not spark.table("datasets.orders").schema["id"].nullable


@check
def fed_rows():
    columns = "id, at, day, amount, paid, weight, customer, tags, note, offset"
    wanted = [order(id) for id in range(10)]
    seen = spark_rows(f"SELECT {columns} FROM datasets.orders ORDER BY id")
    for row, given in zip(seen, wanted, strict=True):
        customer, note = list(given["customer"].values()), json.dumps(given["note"], separators=(",", ":"))
        given |= {"amount": float(given["amount"]), "customer": customer, "note": note}
        assert row[:9] == [plain(given[name]) for name in columns.split(", ")[:9]], (row, given)
    assert seen == by_node(f"SELECT {columns} FROM orders ORDER BY id"), by_node(
        f"SELECT {columns} FROM orders ORDER BY id"
    )


@check
def fed_filters():
    for condition, count in (
        ("at >= timestamp'2026-11-02 00:00:00'", 6),
        ("at < timestamp'2026-11-02 00:00:00' AND id > 3", 2),
        ("day = date'2026-11-03'", 3),
        ("amount > 5.05", 4),
        ("customer.country = 'NL'", 3),
        ("customer.country IS NULL", 2),
        ("id IN (1, 2, 77)", 2),
        ("paid", 5),
        ("weight BETWEEN 0.5 AND 1", 5),
    ):
        both(f"SELECT count(*) FROM datasets.orders WHERE {condition}", [[count]])
    # Each file that is opened is a piece of work of its own where opening it is held to be dear.
    scan = spark.read.option("file-open-cost", str(1 << 30)).table("node.datasets.orders")
    opened = scan.where("at < timestamp'2026-11-02 00:00:00'").rdd.getNumPartitions(), scan.rdd.getNumPartitions()
    assert 0 < opened[0] < opened[1], opened
    both(
        "SELECT customer.country AS c, sum(amount) AS s FROM datasets.orders GROUP BY 1 ORDER BY c NULLS LAST",
        [["BE", 15.15], ["DE", 8.08], ["NL", 12.12], [None, 10.10]],
    )


@check
def fed_keyed():
    assert spark_rows("SELECT sku, pieces FROM datasets.stock ORDER BY sku") == STOCK
    assert spark_rows("SELECT sum(pieces) FROM datasets.stock WHERE sku <> 'desk'") == [[6]]


@check
def fed_travel():
    first = snapshots("datasets.orders")[0]
    assert spark_rows(f"SELECT count(*) FROM datasets.orders VERSION AS OF {first}") == [[6]]
    at = spark_rows(f"SELECT made_current_at FROM datasets.orders.history WHERE snapshot_id = {first}")[0][0].replace(
        "T", " "
    )
    # What is after the point is cut off by Spark where it is a text, so an expression says it.
    assert spark_rows(f"SELECT count(*) FROM datasets.orders TIMESTAMP AS OF timestamp'{at}'") == [[6]]
    now = spark.read.option("snapshot-id", first).table("datasets.orders").count()
    assert now == 6, now
    refused("SELECT * FROM datasets.orders VERSION AS OF 1", "snapshot")
    refused("SELECT * FROM datasets.orders TIMESTAMP AS OF '2020-01-01'", "2020-01-01")
    last = snapshots("datasets.orders")[-1]
    added = spark.read.option("start-snapshot-id", first).option("end-snapshot-id", last).table("datasets.orders")
    assert sorted(row["id"] for row in added.collect()) == [6, 7, 8, 9]


@check
def fed_metadata():
    assert len(snapshots("datasets.orders")) == 2
    operations = spark_rows(
        "SELECT operation, summary['headwater.positions'] IS NOT NULL FROM datasets.orders.snapshots"
    )
    assert operations == [["append", True]] * 2, operations
    assert spark_rows("SELECT sum(record_count) FROM datasets.orders.files") == [[10]]
    assert spark_rows("SELECT count(*) FROM datasets.orders.history") == [[2]]
    assert spark_rows("SELECT count(*) > 0 FROM datasets.orders.manifests") == [[True]]
    parts = spark_rows("SELECT partition.at_day, record_count FROM datasets.orders.partitions ORDER BY 1")
    assert parts == [["2026-11-01", 4], ["2026-11-02", 3], ["2026-11-03", 3]], parts
    assert spark_rows("SELECT name, type FROM datasets.orders.refs") == [["main", "BRANCH"]]
    for name in ("entries", "all_data_files", "all_manifests", "metadata_log_entries", "delete_files"):
        spark_rows(f"SELECT * FROM datasets.orders.{name}")
    assert spark_rows("SELECT count(*), count(DISTINCT _file) > 1 FROM datasets.orders WHERE _pos >= 0") == [[10, True]]
    readable = spark_rows(
        "SELECT readable_metrics.id.lower_bound, readable_metrics.id.upper_bound FROM datasets.orders.files"
    )
    assert min(row[0] for row in readable) == 0 and max(row[1] for row in readable) == 9, readable


@check
def fed_refusals():
    order = "SELECT * FROM datasets.orders LIMIT 1"
    for statement in (
        f"INSERT INTO datasets.orders {order}",
        f"INSERT OVERWRITE datasets.orders {order}",
        "DELETE FROM datasets.orders WHERE id = 1",
        "UPDATE datasets.orders SET paid = true WHERE id = 1",
        "DELETE FROM datasets.orders",
        "ALTER TABLE datasets.orders ADD COLUMN mine STRING",
        "ALTER TABLE datasets.orders SET TBLPROPERTIES ('a' = 'b')",
        "ALTER TABLE datasets.orders CREATE BRANCH mine",
        "ALTER TABLE datasets.orders RENAME TO datasets.others",
        "DROP TABLE datasets.stock",
        "DROP TABLE datasets.stock PURGE",
        "CREATE TABLE datasets.mine (id INT) USING iceberg",
        "CREATE OR REPLACE TABLE datasets.stock (id INT) USING iceberg",
        "CREATE VIEW datasets.mine AS SELECT 1 AS one",
        "DROP NAMESPACE datasets",
        "CALL node.system.rewrite_data_files(table => 'datasets.orders', options => map('rewrite-all', 'true'))",
        f"CALL node.system.expire_snapshots(table => 'datasets.orders', {EVERYTHING})",
        f"CALL node.system.rollback_to_snapshot('datasets.orders', {snapshots('datasets.orders')[0]})",
    ):
        refused(statement, "HW-LAKE-033")
    both("SELECT count(*) FROM datasets.orders", [[10]])
    assert spark_rows("SELECT sku, pieces FROM datasets.stock ORDER BY sku") == STOCK
