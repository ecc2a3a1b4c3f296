"""Tables that streams feed: what Spark alone asks of them."""
from engine import spark
from engines import rows, snapshots
from node import check


@check
def fed_described():
    types = {row[0]: row[1] for row in rows("DESCRIBE datasets.orders")}
    assert (types["id"], types["at"], types["day"], types["amount"]) == (
        "bigint",
        "timestamp",
        "date",
        "decimal(12,2)",
    ), types
    assert (types["customer"], types["tags"]) == ("struct<id:int,country:string>", "array<string>"), types
    text = str(rows("DESCRIBE EXTENDED datasets.orders"))
    assert "days(at)" in text, text
    assert "PARTITIONED BY (days(at))" in rows("SHOW CREATE TABLE datasets.orders")[0][0]
    assert any("Tables that streams feed" in str(row) for row in rows("DESCRIBE NAMESPACE datasets"))
    assert not spark.table("datasets.orders").schema["id"].nullable


@check
def fed_frames():
    """What Spark's own reader is told besides, and what was added between two snapshots."""
    assert spark.catalog.tableExists("node.datasets.orders") and not spark.catalog.tableExists("node.datasets.none")
    first, last = snapshots("datasets.orders")
    now = spark.read.option("snapshot-id", first).table("datasets.orders").count()
    assert now == 6, now
    added = spark.read.option("start-snapshot-id", first).option("end-snapshot-id", last).table("datasets.orders")
    assert sorted(row["id"] for row in added.collect()) == [6, 7, 8, 9]


@check
def fed_columns_of_metadata():
    for name in ("all_data_files", "delete_files"):
        rows(f"SELECT * FROM datasets.orders.{name}")
    assert rows("SELECT count(*), count(DISTINCT _file) > 1 FROM datasets.orders WHERE _pos >= 0") == [[10, True]]
    readable = rows(
        "SELECT readable_metrics.id.lower_bound, readable_metrics.id.upper_bound FROM datasets.orders.files"
    )
    assert min(row[0] for row in readable) == 0 and max(row[1] for row in readable) == 9, readable
