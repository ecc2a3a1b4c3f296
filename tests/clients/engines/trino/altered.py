"""Columns and the rest of what a table is, its branches."""
from engine import part
from engines import both, do, made, refused, rows, snapshots
from node import asked, check


@check
def alter_columns():
    do("""CREATE TABLE shop.columns (id INTEGER NOT NULL, small REAL, price DECIMAL(8, 2), kind VARCHAR,
        deep ROW(a INTEGER, b VARCHAR), list ARRAY(ROW(x INTEGER)))""")
    do("INSERT INTO shop.columns VALUES (1, 1.5, 2.50, 'old', row(1, 'x'), array[row(1)])")
    do(
        "ALTER TABLE shop.columns ADD COLUMN extra VARCHAR COMMENT 'later' AFTER id",
        "ALTER TABLE shop.columns ADD COLUMN front INTEGER FIRST",
        "ALTER TABLE shop.columns ADD COLUMN IF NOT EXISTS front INTEGER",
        "ALTER TABLE shop.columns ADD COLUMN deep.c DATE",
        "ALTER TABLE shop.columns ADD COLUMN list.element.y VARCHAR",
        "ALTER TABLE shop.columns RENAME COLUMN kind TO sort",
        "ALTER TABLE shop.columns RENAME COLUMN deep.b TO bb",
        "ALTER TABLE shop.columns ALTER COLUMN id SET DATA TYPE BIGINT",
        "ALTER TABLE shop.columns ALTER COLUMN small SET DATA TYPE DOUBLE",
        "ALTER TABLE shop.columns ALTER COLUMN price SET DATA TYPE DECIMAL(12, 2)",
        "ALTER TABLE shop.columns ALTER COLUMN deep.a SET DATA TYPE BIGINT",
        "ALTER TABLE shop.columns ALTER COLUMN id DROP NOT NULL",
        "COMMENT ON COLUMN shop.columns.sort IS 'was kind'",
    )
    do(
        "INSERT INTO shop.columns (id, small, price, sort, extra, deep, list, front) "
        "VALUES (5000000000, 2.25, 1234567890.12, 'new', 'e', "
        "row(6000000000, 'y', date'2026-01-01'), array[row(2, 'yy')], 3)"
    )
    both(
        "SELECT id, small, price, sort, extra, deep, list, front FROM shop.columns ORDER BY id",
        [
            [1, 1.5, 2.5, "old", None, [1, "x", None], [[1, None]], None],
            [5000000000, 2.25, 1234567890.12, "new", "e", [6000000000, "y", "2026-01-01"], [[2, "yy"]], 3],
        ],
    )
    do(
        "ALTER TABLE shop.columns DROP COLUMN sort",
        "ALTER TABLE shop.columns DROP COLUMN deep.a",
        "ALTER TABLE shop.columns ADD COLUMN sort VARCHAR",
    )
    both("SELECT sort, deep FROM shop.columns ORDER BY id", [[None, ["x", None]], [None, ["y", "2026-01-01"]]])
    refused("ALTER TABLE shop.columns ALTER COLUMN id SET DATA TYPE INTEGER", "Cannot change column type")
    names = [row[0] for row in rows("DESCRIBE shop.columns")]
    assert names[:3] == ["front", "id", "extra"], names


@check
def alter_partitions():
    made("shop.parts")

    def parts(*transforms):
        do(f"ALTER TABLE shop.parts SET PROPERTIES partitioning = ARRAY{list(transforms)}")

    parts("day(at)")
    do("INSERT INTO shop.parts VALUES (4, 'c', timestamp'2026-01-04 10:00:00')")
    parts("day(at)", "bucket(id, 4)")
    do("INSERT INTO shop.parts VALUES (5, 'c', timestamp'2026-01-05 10:00:00')")
    parts("month(at)", "bucket(id, 4)")
    do("INSERT INTO shop.parts VALUES (6, 'c', timestamp'2026-02-05 10:00:00')")
    parts("month(at)")
    do("INSERT INTO shop.parts VALUES (7, 'd', timestamp'2026-02-06 10:00:00')")
    both("SELECT id FROM shop.parts WHERE at >= timestamp'2026-01-03 00:00:00' ORDER BY id", [[3], [4], [5], [6], [7]])
    both("SELECT id FROM shop.parts WHERE id = 6 AND kind = 'c'", [[6]])
    assert rows(f"SELECT count(DISTINCT spec_id) FROM {part('shop.parts', 'files')}") == [[5]]
    do("DELETE FROM shop.parts WHERE at < timestamp'2026-01-02 00:00:00'", "ALTER TABLE shop.parts EXECUTE optimize")
    both("SELECT count(*), min(id) FROM shop.parts", [[6, 2]])
    do("ALTER TABLE shop.parts SET PROPERTIES partitioning = DEFAULT", "INSERT INTO shop.parts VALUES (8, 'e', null)")
    both("SELECT count(*) FROM shop.parts", [[7]])


@check
def alter_properties():
    made("shop.properties")
    do(
        "COMMENT ON TABLE shop.properties IS 'of this check'",
        "ALTER TABLE shop.properties SET PROPERTIES compression_codec = 'GZIP', max_previous_versions = 5",
        "INSERT INTO shop.properties VALUES (4, 'd', null)",
    )
    text = rows("SHOW CREATE TABLE shop.properties")[0][0]
    for words in ("of this check", "compression_codec = 'GZIP'", "max_previous_versions = 5"):
        assert words in text, text
    both("SELECT count(*) FROM shop.properties", [[4]])
    do("COMMENT ON TABLE shop.properties IS NULL")
    assert "of this check" not in rows("SHOW CREATE TABLE shop.properties")[0][0]


@check
def alter_format():
    """A table in files of two formats."""
    made("shop.formats")
    do("ALTER TABLE shop.formats SET PROPERTIES format = 'ORC'", "INSERT INTO shop.formats VALUES (4, 'd', null)")
    assert rows("SELECT count(*) FROM shop.formats") == [[4]]
    do("ALTER TABLE shop.formats SET PROPERTIES format = 'PARQUET'", "ALTER TABLE shop.formats EXECUTE optimize")
    both("SELECT count(*), sum(id) FROM shop.formats", [[4, 10]])


@check
def alter_order():
    made("shop.ordered")
    do(
        "ALTER TABLE shop.ordered SET PROPERTIES sorted_by = ARRAY['kind DESC NULLS LAST']",
        "INSERT INTO shop.ordered VALUES (4, 'z', null), (5, 'zz', null)",
    )
    both("SELECT count(*) FROM shop.ordered", [[5]])
    assert "kind DESC NULLS LAST" in rows("SHOW CREATE TABLE shop.ordered")[0][0]


@check
def alter_upgrade():
    do(
        "CREATE TABLE shop.upgraded (id INTEGER) WITH (format_version = 2)",
        "INSERT INTO shop.upgraded VALUES (1)",
        "ALTER TABLE shop.upgraded SET PROPERTIES format_version = 3",
        "INSERT INTO shop.upgraded VALUES (2)",
    )
    both("SELECT count(*) FROM shop.upgraded", [[2]])
    refused("ALTER TABLE shop.upgraded SET PROPERTIES format_version = 2")


@check
def refs_read():
    """Branches and tags of others."""
    made("shop.branched")
    do("INSERT INTO shop.branched VALUES (4, 'd', null)")
    _, first, second = snapshots("shop.branched")
    marks = (("branch", "audit", first), ("tag", "now", second))
    updates = [
        {"action": "set-snapshot-ref", "ref-name": name, "type": kind, "snapshot-id": snapshot}
        for kind, name, snapshot in marks
    ]
    asked("POST", "/iceberg/v1/namespaces/shop/tables/branched", {"requirements": [], "updates": updates})
    do("DELETE FROM shop.branched WHERE id = 1")
    assert rows("SELECT count(*), max(id) FROM shop.branched FOR VERSION AS OF 'audit'") == [[3, 3]]
    assert rows("SELECT count(*), max(id) FROM shop.branched FOR VERSION AS OF 'now'") == [[4, 4]]
    refs = rows(f"SELECT name, type, snapshot_id FROM {part('shop.branched', 'refs')} ORDER BY name")
    assert [refs[0], refs[2]] == [["audit", "BRANCH", first], ["now", "TAG", second]], refs
    do("ALTER TABLE shop.branched EXECUTE expire_snapshots(retention_threshold => '0s')")
    assert rows("SELECT count(*) FROM shop.branched FOR VERSION AS OF 'audit'") == [[3]]
    both("SELECT count(*), min(id) FROM shop.branched", [[3, 2]])


@check
def refs_made():
    made("shop.branching")
    do("CREATE BRANCH audit IN TABLE shop.branching")


@check
def refs_travel():
    made("shop.travel")
    do("INSERT INTO shop.travel VALUES (4, 'd', null)", "DELETE FROM shop.travel WHERE id = 1")
    # A table that Trino makes has a snapshot without rows first.
    _, first, second, third = snapshots("shop.travel")
    assert rows(f"SELECT count(*) FROM shop.travel FOR VERSION AS OF {first}") == [[3]]
    assert rows(f"SELECT count(*) FROM shop.travel FOR VERSION AS OF {second}") == [[4]]
    words = f"start_snapshot_id => {first}, end_snapshot_id => {third}"
    changes = f"TABLE(system.table_changes(schema_name => 'shop', table_name => 'travel', {words}))"
    refused(f"SELECT id, _change_type FROM {changes}", "Delete files")
    words = f"start_snapshot_id => {first}, end_snapshot_id => {second}"
    changes = f"TABLE(system.table_changes(schema_name => 'shop', table_name => 'travel', {words}))"
    assert rows(f"SELECT id, _change_type FROM {changes}") == [[4, "insert"]]
