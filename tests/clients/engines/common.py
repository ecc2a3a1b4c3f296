"""What every engine has to do with the catalog's tables, in words that all of them understand."""
import json
import threading

import engine
from engines import ROWS, both, do, made, refused, rows, snapshots
from feed import STOCK, order
from node import by_node, check, plain


@check
def fed_names():
    assert ["datasets"] in rows("SHOW SCHEMAS")
    names = sorted(name.lower() for name in engine.tables("datasets"))
    assert names == ["orders", "raw-orders", "stock"], names
    refused("SELECT * FROM datasets.none", "NOT_FOUND")


@check
def fed_rows():
    columns = "id, at, day, amount, paid, weight, customer, tags, note, offset"
    wanted = [order(id) for id in range(10)]
    seen = rows(f"SELECT {columns} FROM datasets.orders ORDER BY id")
    for row, given in zip(seen, wanted, strict=True):
        customer, note = list(given["customer"].values()), json.dumps(given["note"], separators=(",", ":"))
        given |= {"amount": float(given["amount"]), "customer": customer, "note": note}
        assert row[:9] == [plain(given[name]) for name in columns.split(", ")[:9]], (row, given)
    there = by_node(f"SELECT {columns} FROM orders ORDER BY id")
    assert seen == there, there


@check
def fed_as_it_came():
    """A dataset without columns, whose name is no plain word."""
    counts = "SELECT count(*), count(DISTINCT value), max(time) > timestamp'2026-01-01 00:00:00', min(key) FROM"
    assert rows(f"{counts} datasets.{engine.quoted('Raw-orders')}") == [[10, 10, True, None]]
    assert by_node(f'{counts} datasets."Raw-orders"') == [[10, 10, True, None]]


@check
def fed_filters():
    early = "at < timestamp'2026-11-02 00:00:00'"
    for condition, count in (
        ("at >= timestamp'2026-11-02 00:00:00'", 6),
        (f"{early} AND id > 3", 2),
        ("day = date'2026-11-03'", 3),
        ("amount > 5.05", 4),
        ("customer.country = 'NL'", 3),
        ("customer.country IS NULL", 2),
        ("id IN (1, 2, 77)", 2),
        ("paid", 5),
        ("weight BETWEEN 0.5 AND 1", 5),
    ):
        both(f"SELECT count(*) FROM datasets.orders WHERE {condition}", [[count]])
    some, all_of_it = engine.read_for(early), engine.read_for("true")
    assert 0 < some < all_of_it, (some, all_of_it)
    both(
        "SELECT customer.country AS c, sum(amount) AS s FROM datasets.orders GROUP BY 1 ORDER BY c NULLS LAST",
        [["BE", 15.15], ["DE", 8.08], ["NL", 12.12], [None, 10.10]],
    )


@check
def fed_keyed():
    assert rows("SELECT sku, pieces FROM datasets.stock ORDER BY sku") == STOCK
    assert rows("SELECT sum(pieces) FROM datasets.stock WHERE sku <> 'desk'") == [[6]]


@check
def fed_travel():
    first = snapshots("datasets.orders")[0]
    assert rows(f"SELECT count(*) FROM datasets.orders {engine.AT_VERSION} {first}") == [[6]]
    history = engine.part("datasets.orders", "history")
    at = rows(f"SELECT made_current_at FROM {history} WHERE snapshot_id = {first}")[0][0].replace("T", " ")
    # What is after the point is cut off by Spark where it is a text, so an expression says it.
    assert rows(f"SELECT count(*) FROM datasets.orders {engine.AT_TIME} timestamp'{at}'") == [[6]]
    refused(f"SELECT * FROM datasets.orders {engine.AT_VERSION} {1 << 40}", "snapshot")
    refused(f"SELECT * FROM datasets.orders {engine.AT_TIME} timestamp'2020-01-01 00:00:00'", "2020-01-01")


@check
def fed_metadata():
    def part(name):
        return engine.part("datasets.orders", name)

    assert len(snapshots("datasets.orders")) == 2
    operations = rows(f"SELECT operation, summary['headwater.positions'] IS NOT NULL FROM {part('snapshots')}")
    assert operations == [["append", True]] * 2, operations
    assert rows(f"SELECT sum(record_count) FROM {part('files')}") == [[10]]
    assert rows(f"SELECT count(*) FROM {part('history')}") == [[2]]
    assert rows(f"SELECT count(*) > 0 FROM {part('manifests')}") == [[True]]
    parts = rows(f"SELECT partition.at_day, record_count FROM {part('partitions')} ORDER BY 1")
    assert parts == [["2026-11-01", 4], ["2026-11-02", 3], ["2026-11-03", 3]], parts
    assert rows(f"SELECT name, type FROM {part('refs')}") == [["main", "BRANCH"]]
    for name in ("entries", "all_manifests", "metadata_log_entries"):
        rows(f"SELECT * FROM {part(name)}")


@check
def fed_refusals():
    first = snapshots("datasets.orders")[0]
    for statement in (
        "INSERT INTO datasets.orders SELECT * FROM datasets.orders LIMIT 1",
        "DELETE FROM datasets.orders WHERE id = 1",
        "UPDATE datasets.orders SET paid = true WHERE id = 1",
        "DELETE FROM datasets.orders",
        "ALTER TABLE datasets.orders RENAME TO datasets.others",
        "DROP TABLE datasets.stock",
        "CREATE VIEW datasets.mine AS SELECT 1 AS one",
        *engine.REFUSED,
    ):
        refused(statement.replace("{first}", str(first)), "HW-LAKE-033")
    both("SELECT count(*) FROM datasets.orders", [[10]])
    assert rows("SELECT sku, pieces FROM datasets.stock ORDER BY sku") == STOCK


@check
def create_partitioned():
    for name, parts in engine.PARTITIONS.items():
        table = f"shop.create_{name}"
        made(table, rest=parts)
        both(
            f"SELECT id, kind, at FROM {table} ORDER BY id",
            [[1, "a", "2026-01-01T10:00:00"], [2, "b", "2026-01-02T10:00:00"], [3, "a", "2026-01-03T10:00:00"]],
        )
        both(f"SELECT id FROM {table} WHERE at >= timestamp'2026-01-02 00:00:00' AND kind = 'a'", [[3]])
        both(f"SELECT kind FROM {table} WHERE id = 2", [["b"]])


def changed(table, rest=""):
    """A table whose rows were deleted, changed and merged, and its ids and kinds then."""
    made(table, rest=rest, values=ROWS + ", (4, 'b', null), (5, 'a', null), (6, null, null)")
    do(f"DELETE FROM {table} WHERE id = 1")
    both(f"SELECT id FROM {table} ORDER BY id", [[2], [3], [4], [5], [6]])
    do(f"UPDATE {table} SET kind = 'z', at = timestamp'2027-01-01 00:00:00' WHERE id IN (2, 6)")
    both(f"SELECT id, kind FROM {table} ORDER BY id", [[2, "z"], [3, "a"], [4, "b"], [5, "a"], [6, "z"]])
    do(f"""MERGE INTO {table} AS t USING (SELECT * FROM (VALUES (3, 'gone'), (4, 'b4'), (8, 'n8')) AS s(id, kind)) AS s
        ON t.id = s.id
        WHEN MATCHED AND s.kind = 'gone' THEN DELETE WHEN MATCHED THEN UPDATE SET kind = s.kind
        WHEN NOT MATCHED THEN INSERT (id, kind) VALUES (s.id, s.kind)""")
    expected = [[2, "z"], [4, "b4"], [5, "a"], [6, "z"], [8, "n8"]]
    both(f"SELECT id, kind FROM {table} ORDER BY id", expected)
    both(f"SELECT count(*) FROM {table} WHERE kind = 'z' AND at > timestamp'2026-12-31 00:00:00'", [[2]])
    return expected


@check
def write_changes():
    changed("shop.changes")
    changed("shop.changes_in_parts", rest=engine.PARTITIONS["identity"])


@check
def write_concurrently():
    """Two writers of one table at once: each commits anew on what the other one made."""
    made("shop.concurrent")
    failures = []

    def append(base):
        try:
            for n in range(4):
                do(f"INSERT INTO shop.concurrent VALUES ({base + n}, 'w', null)")
        except Exception as error:
            failures.append(error)

    before = len(snapshots("shop.concurrent"))
    side_by_side(append, (100, 200))
    assert not failures, failures
    both("SELECT count(*), count(DISTINCT id) FROM shop.concurrent", [[11, 11]])
    assert len(snapshots("shop.concurrent")) == before + 8


@check
def write_contended():
    """Two writers that change the same row: whoever reads what the other one then changes is refused."""
    made("shop.contended")
    done, refusals = [], []

    def add(_):
        for _ in range(4):
            try:
                do("UPDATE shop.contended SET id = id + 1000 WHERE kind = 'b'")
                done.append(1)
            except Exception as error:
                refusals.append(engine.text_of(error))

    side_by_side(add, (1, 2))
    assert done and len(done) + len(refusals) == 8, refusals
    both("SELECT id FROM shop.contended ORDER BY id", [[1], [3], [2 + 1000 * len(done)]])


def side_by_side(work, arguments):
    threads = [threading.Thread(target=work, args=(one,)) for one in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@check
def alter_rename():
    made("shop.before")
    do("ALTER TABLE shop.before RENAME TO shop.after", "INSERT INTO shop.after VALUES (4, 'd', null)")
    both("SELECT count(*) FROM shop.after", [[4]])
    refused("SELECT * FROM shop.before", "NOT_FOUND")
    do("CREATE SCHEMA attic", "ALTER TABLE shop.after RENAME TO attic.after")
    both("SELECT count(*) FROM attic.after", [[4]])
    do(f"CREATE TABLE shop.taken (id INT) {engine.USING}")
    refused("ALTER TABLE shop.taken RENAME TO attic.after", "already exists")


@check
def view_names():
    do("CREATE VIEW shop.name_of_view AS SELECT 1 AS one", f"CREATE TABLE shop.name_of_table (id INT) {engine.USING}")
    refused(f"CREATE TABLE shop.name_of_view (id INT) {engine.USING}")
    refused("CREATE VIEW shop.name_of_table AS SELECT 1 AS one")


@check
def view_at_the_node():
    """A view has the engine's dialect alone; the node says that it does not read it."""
    do("CREATE VIEW shop.spoken AS SELECT count(*) AS n FROM datasets.orders")
    assert rows("SELECT n FROM shop.spoken") == [[10]]
    try:
        by_node("SELECT n FROM shop.spoken")
    except AssertionError as error:
        assert "HW-LAKE-092" in str(error), error
    else:
        raise AssertionError("not refused")
