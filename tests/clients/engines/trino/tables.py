"""Schemas and tables that Trino makes, and their rows."""
from engine import part
from engines import both, do, made, refused, rows, snapshots
from node import by_node, check


@check
def namespace_life():
    do("CREATE SCHEMA life", "CREATE SCHEMA IF NOT EXISTS life")
    refused("CREATE SCHEMA life", "ALREADY_EXISTS")
    do("CREATE TABLE life.one (id INTEGER)")
    refused("DROP SCHEMA life", "NOT_EMPTY")
    do("DROP TABLE life.one", "DROP SCHEMA life")
    refused("SHOW TABLES IN life", "NOT_FOUND")
    do("DROP SCHEMA IF EXISTS life")


@check
def namespace_cascade():
    do("CREATE SCHEMA whole", "CREATE TABLE whole.one (id INTEGER)", "CREATE VIEW whole.two AS SELECT 1 AS one")
    do("DROP SCHEMA whole CASCADE")
    assert ["whole"] not in rows("SHOW SCHEMAS")


@check
def namespace_location():
    """Where tables lie is the node's choice."""
    refused("CREATE SCHEMA placed WITH (location = 'file:///tmp/elsewhere')", "HW-LAKE-035")


@check
def create_types():
    columns = """b BOOLEAN, i INTEGER NOT NULL COMMENT 'a number', l BIGINT, f REAL, d DOUBLE, e DECIMAL(38, 10),
        y DATE, h TIME(6), z TIMESTAMP(6) WITH TIME ZONE, n TIMESTAMP(6), x VARCHAR, r VARBINARY, g UUID,
        a ARRAY(INTEGER), m MAP(VARCHAR, INTEGER), u ROW(p INTEGER, q ARRAY(ROW(v VARCHAR)))"""
    do(f"CREATE TABLE shop.create_types ({columns}) COMMENT 'of all types'")
    do("""INSERT INTO shop.create_types VALUES (true, 3, 4, 5.5, 6.5, 7.0000000001, date'1969-12-31',
        time'12:34:56.789', timestamp'1969-12-31 23:59:59.5 UTC', timestamp'2026-01-01 00:00:00', 'x', x'CAFE',
        uuid'12345678-1234-1234-1234-123456789abc', array[1, null], map(array['k'], array[1]),
        row(1, array[row('w')]))""")
    do("INSERT INTO shop.create_types (i) VALUES (9)")
    both(
        "SELECT b, i, l, f, d, e, y, z, n, x, a, u FROM shop.create_types ORDER BY i",
        [
            [
                True,
                3,
                4,
                5.5,
                6.5,
                7.0000000001,
                "1969-12-31",
                "1969-12-31T23:59:59.5",
                "2026-01-01T00:00:00",
                "x",
                [1, None],
                [1, [["w"]]],
            ],
            [None, 9] + [None] * 10,
        ],
    )
    assert rows("SELECT r, m FROM shop.create_types WHERE i = 3") == [["cafe", {"k": 1}]]
    assert by_node("SELECT encode(r, 'hex'), m FROM shop.create_types WHERE i = 3") == [["cafe", {"k": 1}]]
    assert rows("SELECT CAST(g AS VARCHAR), h FROM shop.create_types WHERE i = 3") == [
        ["12345678-1234-1234-1234-123456789abc", "12:34:56.789000"]
    ]
    assert by_node("SELECT h FROM shop.create_types WHERE i = 3") == [["12:34:56.789"]]
    text = rows("SHOW CREATE TABLE shop.create_types")[0][0]
    assert "of all types" in text and "a number" in text, text
    refused("INSERT INTO shop.create_types (l) VALUES (1)", "CONSTRAINT_VIOLATION")


@check
def create_types_of_the_node():
    """A column of bytes that are an identifier, as the node has it."""
    do(
        "CREATE TABLE shop.identified (id INTEGER, g UUID)",
        "INSERT INTO shop.identified VALUES (1, uuid'12345678-1234-1234-1234-123456789abc')",
    )
    assert by_node("SELECT encode(g, 'hex') FROM shop.identified") == [["12345678123412341234123456789abc"]]


@check
def create_location():
    refused("CREATE TABLE shop.elsewhere (id INTEGER) WITH (location = 'file:///tmp/elsewhere')", "HW-LAKE-035")


@check
def create_as_select():
    do(
        "CREATE TABLE shop.ctas WITH (partitioning = ARRAY['day(at)']) "
        "AS SELECT id, at, amount, customer FROM datasets.orders"
    )
    both("SELECT count(*), sum(amount), max(customer.id) FROM shop.ctas", [[10, 45.45, 3]])
    do("CREATE TABLE IF NOT EXISTS shop.ctas AS SELECT 1 AS one")
    refused("CREATE TABLE shop.ctas AS SELECT 1 AS one", "ALREADY_EXISTS")
    do("CREATE TABLE shop.bare AS SELECT id FROM shop.ctas WITH NO DATA")
    both("SELECT count(*) FROM shop.bare", [[0]])


@check
def create_as_select_of_nothing():
    """A statement that fails leaves no table behind."""
    refused("CREATE TABLE shop.half AS SELECT id / (id - id) AS id FROM datasets.orders", "DIVISION_BY_ZERO")
    refused("SELECT * FROM shop.half", "NOT_FOUND")


@check
def create_or_replace():
    do(
        "CREATE TABLE shop.replaced AS SELECT id, at FROM datasets.orders",
        "CREATE OR REPLACE TABLE shop.replaced AS SELECT id FROM shop.replaced WHERE id < 3",
    )
    both("SELECT id FROM shop.replaced ORDER BY id", [[0], [1], [2]])
    do("CREATE OR REPLACE TABLE shop.replaced WITH (partitioning = ARRAY['name']) AS SELECT 7 AS id, 'new' AS name")
    both("SELECT id, name FROM shop.replaced", [[7, "new"]])
    first = snapshots("shop.replaced")[0]
    assert rows(f"SELECT count(*) FROM shop.replaced FOR VERSION AS OF {first}") == [[10]]
    do("CREATE OR REPLACE TABLE shop.replaced (other DATE)")
    both("SELECT other FROM shop.replaced", [])


@check
def create_like():
    made("shop.pattern", rest="WITH (partitioning = ARRAY['kind'])")
    do("CREATE TABLE shop.alike (LIKE shop.pattern)", "INSERT INTO shop.alike TABLE shop.pattern")
    both("SELECT count(*) FROM shop.alike", [[3]])


@check
def create_like_with_properties():
    made("shop.whole_pattern", rest="WITH (partitioning = ARRAY['kind'])")
    do("CREATE TABLE shop.all_alike (LIKE shop.whole_pattern INCLUDING PROPERTIES)")


def of_version(version):
    table = f"shop.version_{version}"
    do(f"CREATE TABLE {table} (id INTEGER) WITH (format_version = {version})", f"INSERT INTO {table} VALUES (1)")
    both(f"SELECT id FROM {table}", [[1]])
    do(f"CREATE TABLE {table}_as WITH (format_version = {version}) AS SELECT 1 AS id")
    both(f"SELECT id FROM {table}_as", [[1]])


@check
def create_version_one():
    of_version(1)


@check
def create_version_two():
    of_version(2)


@check
def create_version_three():
    of_version(3)


@check
def create_version_three_deletes():
    do(
        "CREATE TABLE shop.vectors (id INTEGER) WITH (format_version = 3)",
        "INSERT INTO shop.vectors VALUES (1), (2), (3)",
        "DELETE FROM shop.vectors WHERE id = 2",
    )
    both("SELECT id FROM shop.vectors ORDER BY id", [[1], [3]])


@check
def create_codecs():
    for codec in ("NONE", "SNAPPY", "ZSTD", "GZIP"):
        table = f"shop.codec_{codec.lower()}"
        made(table, rest=f"WITH (compression_codec = '{codec}')")
        both(f"SELECT count(*), sum(id) FROM {table}", [[3, 6]])


@check
def create_orc():
    made("shop.orc", rest="WITH (format = 'ORC')")
    both("SELECT sum(id) FROM shop.orc", [[6]])


@check
def create_avro():
    made("shop.avro", rest="WITH (format = 'AVRO')")
    both("SELECT sum(id) FROM shop.avro", [[6]])


@check
def create_sorted():
    made(
        "shop.sorted",
        rest="WITH (sorted_by = ARRAY['kind DESC NULLS LAST', 'id'], parquet_bloom_filter_columns = ARRAY['id'])",
    )
    both("SELECT count(*) FROM shop.sorted", [[3]])
    assert rows("SELECT id FROM shop.sorted") == [[2], [1], [3]]


@check
def create_object_store_layout():
    made("shop.spread", rest="WITH (object_store_layout_enabled = true)")
    both("SELECT sum(id) FROM shop.spread", [[6]])


@check
def write_whole_partitions():
    """What leaves out whole files leaves no file of deletes behind."""
    made("shop.whole", rest="WITH (partitioning = ARRAY['kind'])")
    do("DELETE FROM shop.whole WHERE kind = 'a'")
    both("SELECT id FROM shop.whole", [[2]])
    assert rows(f"SELECT count(*) FROM {part('shop.whole', 'files')} WHERE content <> 0") == [[0]]
    do("TRUNCATE TABLE shop.whole")
    both("SELECT count(*) FROM shop.whole", [[0]])
    do("INSERT INTO shop.whole VALUES (7, 'c', null)", "DELETE FROM shop.whole")
    both("SELECT count(*) FROM shop.whole", [[0]])


@check
def write_by_position():
    made("shop.positions")
    do("DELETE FROM shop.positions WHERE id = 2")
    files = rows(f"SELECT content, record_count FROM {part('shop.positions', 'files')} ORDER BY content")
    assert files == [[0, 3], [1, 1]], files
    both("SELECT id FROM shop.positions ORDER BY id", [[1], [3]])
    do("UPDATE shop.positions SET kind = kind || 'x'")
    both("SELECT id, kind FROM shop.positions ORDER BY id", [[1, "ax"], [3, "ax"]])


@check
def write_many_rows():
    """More files than one, out of what Trino makes by itself."""
    do(
        "CREATE TABLE shop.rows WITH (partitioning = ARRAY['bucket(id, 8)']) "
        "AS SELECT n AS id, CAST(n AS VARCHAR) AS text FROM UNNEST(sequence(1, 5000)) AS t(n)"
    )
    do("INSERT INTO shop.rows SELECT id + 5000, text FROM shop.rows")
    both("SELECT count(*), sum(id), count(DISTINCT text) FROM shop.rows", [[10_000, 50_005_000, 5000]])
    do("DELETE FROM shop.rows WHERE id % 3 = 0")
    both("SELECT count(*), max(id) FROM shop.rows", [[6667, 10_000]])


@check
def write_out_of_datasets():
    """Rows of a table that a stream feeds, into one of ours."""
    do("CREATE TABLE shop.kept_orders (id BIGINT, amount DECIMAL(12, 2), country VARCHAR)")
    source = "SELECT id, amount, customer.country AS country FROM datasets.orders"
    do(
        f"INSERT INTO shop.kept_orders {source} WHERE id < 5",
        f"""MERGE INTO shop.kept_orders AS k USING ({source}) AS o ON k.id = o.id
        WHEN MATCHED THEN UPDATE SET amount = k.amount + o.amount
        WHEN NOT MATCHED THEN INSERT VALUES (o.id, o.amount, o.country)""",
    )
    both("SELECT count(*), sum(amount) FROM shop.kept_orders", [[10, 55.55]])
