"""Columns and the rest of what a table is, its branches and tags."""

from engine import spark
from engines import both, do, made, refused, rows, snapshots
from node import check


@check
def alter_columns():
    do("""CREATE TABLE shop.columns (id INT NOT NULL, small FLOAT, price DECIMAL(8, 2), kind STRING,
        deep STRUCT<a: INT, b: STRING>, list ARRAY<STRUCT<x: INT>>) USING iceberg""")
    do(
        "INSERT INTO shop.columns "
        "VALUES (1, 1.5, 2.50, 'old', named_struct('a', 1, 'b', 'x'), array(named_struct('x', 1)))"
    )
    do(
        "ALTER TABLE shop.columns ADD COLUMNS (extra STRING COMMENT 'later', front INT FIRST)",
        "ALTER TABLE shop.columns ADD COLUMN deep.c DATE",
        "ALTER TABLE shop.columns ADD COLUMN list.element.y STRING",
        "ALTER TABLE shop.columns RENAME COLUMN kind TO sort",
        "ALTER TABLE shop.columns RENAME COLUMN deep.b TO bb",
        "ALTER TABLE shop.columns ALTER COLUMN id TYPE BIGINT",
        "ALTER TABLE shop.columns ALTER COLUMN small TYPE DOUBLE",
        "ALTER TABLE shop.columns ALTER COLUMN price TYPE DECIMAL(12, 2)",
        "ALTER TABLE shop.columns ALTER COLUMN id DROP NOT NULL",
        "ALTER TABLE shop.columns ALTER COLUMN extra AFTER id",
        "ALTER TABLE shop.columns ALTER COLUMN sort COMMENT 'was kind'",
    )
    do(
        "INSERT INTO shop.columns (id, small, price, sort, extra, deep, list, front) "
        "VALUES (5000000000, 2.25, 1234567890.12, 'new', 'e', "
        "named_struct('a', 2, 'bb', 'y', 'c', date'2026-01-01'), array(named_struct('x', 2, 'y', 'yy')), 3)"
    )
    both(
        "SELECT id, small, price, sort, extra, deep, list, front FROM shop.columns ORDER BY id",
        [
            [1, 1.5, 2.5, "old", None, [1, "x", None], [[1, None]], None],
            [5000000000, 2.25, 1234567890.12, "new", "e", [2, "y", "2026-01-01"], [[2, "yy"]], 3],
        ],
    )
    do("ALTER TABLE shop.columns DROP COLUMNS (sort, deep.a)", "ALTER TABLE shop.columns ADD COLUMN sort STRING")
    both("SELECT sort, deep FROM shop.columns ORDER BY id", [[None, ["x", None]], [None, ["y", "2026-01-01"]]])
    refused("ALTER TABLE shop.columns ALTER COLUMN id TYPE INT", "NOT_SUPPORTED")


@check
def alter_partitions():
    made("shop.parts")
    do(
        "ALTER TABLE shop.parts ADD PARTITION FIELD days(at)",
        "INSERT INTO shop.parts VALUES (4, 'c', timestamp'2026-01-04 10:00:00')",
        "ALTER TABLE shop.parts ADD PARTITION FIELD bucket(4, id) AS shard",
        "INSERT INTO shop.parts VALUES (5, 'c', timestamp'2026-01-05 10:00:00')",
        "ALTER TABLE shop.parts REPLACE PARTITION FIELD days(at) WITH months(at)",
        "INSERT INTO shop.parts VALUES (6, 'c', timestamp'2026-02-05 10:00:00')",
        "ALTER TABLE shop.parts DROP PARTITION FIELD shard",
        "INSERT INTO shop.parts VALUES (7, 'd', timestamp'2026-02-06 10:00:00')",
    )
    both("SELECT id FROM shop.parts WHERE at >= timestamp'2026-01-03 00:00:00' ORDER BY id", [[3], [4], [5], [6], [7]])
    both("SELECT id FROM shop.parts WHERE id = 6 AND kind = 'c'", [[6]])
    assert rows("SELECT count(DISTINCT spec_id) FROM shop.parts.files") == [[5]]
    do(
        "DELETE FROM shop.parts WHERE at < timestamp'2026-01-02 00:00:00'",
        "CALL node.system.rewrite_data_files(table => 'shop.parts', options => map('rewrite-all', 'true'))",
    )
    both("SELECT count(*), min(id) FROM shop.parts", [[6, 2]])
    assert rows("SELECT count(DISTINCT spec_id) FROM shop.parts.files") == [[1]]


@check
def alter_properties():
    made("shop.properties")
    do(
        "ALTER TABLE shop.properties "
        "SET TBLPROPERTIES ('a' = 'b', 'comment' = 'c', 'read.split.target-size' = '1000000')",
        "ALTER TABLE shop.properties UNSET TBLPROPERTIES ('a')",
    )
    properties = {row[0]: row[1] for row in rows("SHOW TBLPROPERTIES shop.properties")}
    assert "a" not in properties and properties["read.split.target-size"] == "1000000", properties
    assert "c" in str(rows("DESCRIBE EXTENDED shop.properties"))
    refused("ALTER TABLE shop.properties SET LOCATION 'file:///tmp/elsewhere'", "HW-LAKE-035")


@check
def alter_order():
    made("shop.ordered")
    do(
        "ALTER TABLE shop.ordered WRITE ORDERED BY kind DESC NULLS LAST, bucket(4, id)",
        "INSERT INTO shop.ordered VALUES (4, 'z', null), (5, 'zz', null)",
    )
    both("SELECT count(*) FROM shop.ordered", [[5]])
    assert "sort-order" in str(rows("SHOW TBLPROPERTIES shop.ordered"))
    do(
        "ALTER TABLE shop.ordered WRITE DISTRIBUTED BY PARTITION LOCALLY ORDERED BY id",
        "ALTER TABLE shop.ordered WRITE UNORDERED",
        "INSERT INTO shop.ordered VALUES (6, 'y', null)",
    )
    both("SELECT max(id) FROM shop.ordered", [[6]])


@check
def alter_identifier():
    do(
        "CREATE TABLE shop.identified (id INT NOT NULL, x STRING) USING iceberg",
        "ALTER TABLE shop.identified SET IDENTIFIER FIELDS id",
        "INSERT INTO shop.identified VALUES (1, 'a')",
    )
    both("SELECT id FROM shop.identified", [[1]])
    do("ALTER TABLE shop.identified DROP IDENTIFIER FIELDS id")


@check
def alter_upgrade():
    do(
        "CREATE TABLE shop.upgraded (id INT) USING iceberg",
        "INSERT INTO shop.upgraded VALUES (1)",
        "ALTER TABLE shop.upgraded SET TBLPROPERTIES ('format-version' = '3')",
        "INSERT INTO shop.upgraded VALUES (2)",
    )
    both("SELECT count(*) FROM shop.upgraded", [[2]])


@check
def refs_branches():
    made("shop.branched")
    do(
        "ALTER TABLE shop.branched CREATE BRANCH audit RETAIN 7 DAYS",
        "ALTER TABLE shop.branched CREATE TAG before",
        "INSERT INTO shop.branched.branch_audit VALUES (4, 'd', null)",
        "DELETE FROM shop.branched.branch_audit WHERE id = 1",
    )
    assert rows("SELECT count(*), max(id) FROM shop.branched VERSION AS OF 'audit'") == [[3, 4]]
    both("SELECT count(*), max(id) FROM shop.branched", [[3, 3]])
    do("CALL node.system.fast_forward('shop.branched', 'main', 'audit')")
    both("SELECT count(*), max(id) FROM shop.branched", [[3, 4]])
    assert rows("SELECT count(*), min(id) FROM shop.branched.tag_before") == [[3, 1]]
    do(
        "ALTER TABLE shop.branched CREATE OR REPLACE TAG before RETAIN 1 DAYS",
        "ALTER TABLE shop.branched REPLACE BRANCH audit RETAIN 1 DAYS WITH SNAPSHOT RETENTION 2 SNAPSHOTS",
    )
    refused("INSERT INTO shop.branched.tag_before VALUES (5, 'e', null)")
    do(
        "ALTER TABLE shop.branched DROP BRANCH audit",
        "ALTER TABLE shop.branched DROP TAG before",
        "ALTER TABLE shop.branched DROP TAG IF EXISTS before",
    )
    assert rows("SELECT name FROM shop.branched.refs") == [["main"]]


@check
def refs_audit():
    """Written, looked at, published."""
    made("shop.audited", rest="TBLPROPERTIES ('write.wap.enabled' = 'true')")
    spark.conf.set("spark.wap.id", "run-1")
    try:
        do("INSERT INTO shop.audited VALUES (4, 'd', null)")
    finally:
        spark.conf.unset("spark.wap.id")
    both("SELECT count(*) FROM shop.audited", [[3]])
    do("CALL node.system.publish_changes('shop.audited', 'run-1')")
    both("SELECT count(*) FROM shop.audited", [[4]])


@check
def refs_travel():
    made("shop.travel")
    do("INSERT INTO shop.travel VALUES (4, 'd', null)", "DELETE FROM shop.travel WHERE id = 1")
    first, second, _ = snapshots("shop.travel")
    assert rows(f"SELECT count(*) FROM shop.travel VERSION AS OF {first}") == [[3]]
    assert rows(f"SELECT count(*) FROM shop.travel.snapshot_id_{second}") == [[4]]
    do(
        "CALL node.system.create_changelog_view(table => 'shop.travel', changelog_view => 'changes', "
        f"options => map('start-snapshot-id', '{first}'))"
    )
    assert rows("SELECT id, _change_type FROM changes ORDER BY id") == [[1, "DELETE"], [4, "INSERT"]]
