"""Namespaces and tables that Spark makes, and their rows."""
import tempfile

from common import changed
from engine import spark
from engines import both, do, made, refused, rows, snapshots
from node import by_node, check


@check
def namespace_life():
    do("CREATE NAMESPACE life COMMENT 'of this check' WITH DBPROPERTIES ('colour' = 'red')")
    do("CREATE NAMESPACE IF NOT EXISTS life")
    refused("CREATE NAMESPACE life", "ALREADY_EXISTS")
    do("ALTER NAMESPACE life SET PROPERTIES ('colour' = 'blue')")
    text = str(rows("DESCRIBE NAMESPACE EXTENDED life"))
    assert "blue" in text and "of this check" in text, text
    do("CREATE TABLE life.one (id INT) USING iceberg")
    refused("DROP NAMESPACE life", "HW-LAKE-036")
    do("DROP TABLE life.one", "DROP NAMESPACE life")
    refused("DESCRIBE NAMESPACE life", "NOT_FOUND")
    do("DROP NAMESPACE IF EXISTS life")


@check
def namespace_cascade():
    do("CREATE NAMESPACE whole", "CREATE TABLE whole.one (id INT) USING iceberg", "DROP NAMESPACE whole CASCADE")


@check
def namespace_nested():
    do("CREATE NAMESPACE outer_one", "CREATE NAMESPACE outer_one.inner_one")


@check
def create_types():
    columns = """b BOOLEAN, t TINYINT, s SMALLINT, i INT NOT NULL COMMENT 'a number', l BIGINT, f FLOAT, d DOUBLE,
        e DECIMAL(38, 10), y DATE, z TIMESTAMP, n TIMESTAMP_NTZ, x STRING, r BINARY, a ARRAY<INT>, m MAP<STRING, INT>,
        u STRUCT<p: INT, q: ARRAY<STRUCT<v: STRING>>>"""
    do(
        f"CREATE TABLE shop.create_types ({columns}) USING iceberg "
        "COMMENT 'of all types' TBLPROPERTIES ('mine' = 'yes')"
    )
    do("""INSERT INTO shop.create_types VALUES (true, 1, 2, 3, 4, 5.5, 6.5, 7.0000000001, date'1969-12-31',
        timestamp'1969-12-31 23:59:59.5', timestamp_ntz'2026-01-01 00:00:00', 'x', x'CAFE', array(1, null), map('k', 1),
        named_struct('p', 1, 'q', array(named_struct('v', 'w'))))""")
    do("INSERT INTO shop.create_types SELECT " + ", ".join("9" if n == 3 else "null" for n in range(16)))
    both(
        "SELECT b, t, s, i, l, f, d, e, y, z, n, x, a, u FROM shop.create_types ORDER BY i",
        [
            [
                True,
                1,
                2,
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
            [None, None, None, 9] + [None] * 10,
        ],
    )
    assert rows("SELECT r, m FROM shop.create_types WHERE i = 3") == [["cafe", {"k": 1}]]
    assert by_node("SELECT encode(r, 'hex') FROM shop.create_types WHERE i = 3") == [["cafe"]]
    assert by_node("SELECT m FROM shop.create_types WHERE i = 3") == [[{"k": 1}]]
    assert "'mine' = 'yes'" in rows("SHOW CREATE TABLE shop.create_types")[0][0]


@check
def create_location():
    refused(
        "CREATE TABLE shop.create_location (id INT) USING iceberg LOCATION 'file:///tmp/elsewhere'",
        "HW-LAKE-035",
        "chooses where",
    )


@check
def create_as_select():
    do(
        "CREATE TABLE shop.ctas USING iceberg PARTITIONED BY (days(at)) TBLPROPERTIES ('a' = 'b') "
        "AS SELECT id, at, amount, customer FROM datasets.orders"
    )
    both("SELECT count(*), sum(amount), max(customer.id) FROM shop.ctas", [[10, 45.45, 3]])
    do("CREATE OR REPLACE TABLE shop.ctas USING iceberg AS SELECT id FROM shop.ctas WHERE id < 3")
    both("SELECT id FROM shop.ctas ORDER BY id", [[0], [1], [2]])
    do("REPLACE TABLE shop.ctas USING iceberg PARTITIONED BY (name) AS SELECT 7 AS id, 'new' AS name")
    both("SELECT id, name FROM shop.ctas", [[7, "new"]])
    assert len(snapshots("shop.ctas")) == 3
    refused("CREATE TABLE shop.ctas USING iceberg AS SELECT 1 AS id", "ALREADY_EXISTS")
    refused("CREATE TABLE shop.half USING iceberg AS SELECT CAST(raise_error('broken') AS INT) AS id", "broken")
    assert not spark.catalog.tableExists("node.shop.half")


@check
def create_like_frames():
    frame = spark.range(5).selectExpr("id", "id % 2 AS odd")
    frame.writeTo("node.shop.frames").partitionedBy("odd").tableProperty("a", "b").create()
    frame.writeTo("node.shop.frames").append()
    frame.where("odd = 1").writeTo("node.shop.frames").overwritePartitions()
    both("SELECT odd, count(*) FROM shop.frames GROUP BY odd ORDER BY odd", [[0, 6], [1, 2]])


@check
def create_version_one():
    do(
        "CREATE TABLE shop.version_one (id INT) USING iceberg TBLPROPERTIES ('format-version' = '1')",
        "INSERT INTO shop.version_one VALUES (1)",
    )
    both("SELECT id FROM shop.version_one", [[1]])


@check
def create_version_three():
    do(
        "CREATE TABLE shop.version_three (id INT) USING iceberg TBLPROPERTIES ('format-version' = '3')",
        "INSERT INTO shop.version_three VALUES (1)",
    )
    both("SELECT id FROM shop.version_three", [[1]])


@check
def create_version_three_deletes():
    do(
        "CREATE TABLE shop.vectors (id INT) USING iceberg "
        "TBLPROPERTIES ('format-version' = '3', 'write.delete.mode' = 'merge-on-read')",
        "INSERT INTO shop.vectors VALUES (1), (2), (3)",
        "DELETE FROM shop.vectors WHERE id = 2",
    )
    both("SELECT id FROM shop.vectors ORDER BY id", [[1], [3]])


@check
def create_version_two():
    do(
        "CREATE TABLE shop.version_two (id INT) USING iceberg TBLPROPERTIES ('format-version' = '2')",
        "INSERT INTO shop.version_two VALUES (1)",
    )
    both("SELECT id FROM shop.version_two", [[1]])
    do("CREATE TABLE shop.version_two_as USING iceberg TBLPROPERTIES ('format-version' = '2') AS SELECT 1 AS id")
    both("SELECT id FROM shop.version_two_as", [[1]])


@check
def create_codecs():
    for codec in ("uncompressed", "snappy", "gzip", "zstd", "lz4"):
        table = f"shop.codec_{codec}"
        made(table, rest=f"TBLPROPERTIES ('write.parquet.compression-codec' = '{codec}')")
        both(f"SELECT count(*), sum(id) FROM {table}", [[3, 6]])


@check
def create_orc():
    made("shop.orc", rest="TBLPROPERTIES ('write.format.default' = 'orc')")
    both("SELECT sum(id) FROM shop.orc", [[6]])


@check
def create_avro():
    made("shop.avro", rest="TBLPROPERTIES ('write.format.default' = 'avro')")
    both("SELECT sum(id) FROM shop.avro", [[6]])


@check
def create_compressed_metadata():
    made("shop.compressed", rest="TBLPROPERTIES ('write.metadata.compression-codec' = 'gzip')")
    both("SELECT sum(id) FROM shop.compressed", [[6]])


@check
def write_overwrite():
    made("shop.overwrite", rest="PARTITIONED BY (kind)")
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    do("INSERT OVERWRITE shop.overwrite VALUES (9, 'b', null)")
    both("SELECT id FROM shop.overwrite ORDER BY id", [[1], [3], [9]])
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "static")
    do("INSERT OVERWRITE shop.overwrite PARTITION (kind = 'a') SELECT 5, null")
    both("SELECT id FROM shop.overwrite ORDER BY id", [[5], [9]])
    do("INSERT OVERWRITE shop.overwrite VALUES (7, 'c', null)")
    both("SELECT id, kind FROM shop.overwrite", [[7, "c"]])
    do("TRUNCATE TABLE shop.overwrite")
    both("SELECT count(*) FROM shop.overwrite", [[0]])


def changed_by(mode):
    table = "shop." + mode.replace("-", "_")
    modes = ", ".join(f"'write.{what}.mode' = '{mode}'" for what in ("delete", "update", "merge"))
    expected = changed(table, f"PARTITIONED BY (kind) TBLPROPERTIES ({modes})")
    do(f"""MERGE INTO {table} t USING (SELECT id FROM {table} WHERE id <> 5) s ON t.id = s.id
        WHEN NOT MATCHED BY SOURCE THEN UPDATE SET kind = 'alone'""")
    expected = [[id, "alone" if id == 5 else kind] for id, kind in expected]
    both(f"SELECT id, kind FROM {table} ORDER BY id", expected)
    return table, expected


@check
def write_copy_on_write():
    table, _ = changed_by("copy-on-write")
    assert rows(f"SELECT count(*) FROM {table}.all_delete_files") == [[0]]


@check
def write_merge_on_read():
    table, expected = changed_by("merge-on-read")
    assert rows(f"SELECT count(*) > 0 FROM {table}.delete_files WHERE content = 1") == [[True]]
    do(f"CALL node.system.rewrite_position_delete_files(table => '{table}', options => map('rewrite-all', 'true'))")
    both(f"SELECT id, kind FROM {table} ORDER BY id", expected)
    do(
        f"CALL node.system.rewrite_data_files(table => '{table}', "
        "options => map('rewrite-all', 'true', 'remove-dangling-deletes', 'true'))"
    )
    both(f"SELECT id, kind FROM {table} ORDER BY id", expected)


@check
def write_distribution():
    made(
        "shop.distribution",
        rest="PARTITIONED BY (kind) TBLPROPERTIES ('write.distribution-mode' = 'hash', "
        "'write.delete.granularity' = 'partition', 'write.delete.mode' = 'merge-on-read')",
    )
    do(
        "INSERT INTO shop.distribution VALUES (11, 'a', null), (12, 'a', null)",
        "DELETE FROM shop.distribution WHERE id IN (1, 11)",
    )
    both("SELECT id FROM shop.distribution ORDER BY id", [[2], [3], [12]])


@check
def write_overtaken():
    """A writer that has read what another one then changes is refused, and says so."""
    made("shop.overtaken")
    stale = snapshots("shop.overtaken")[-1]
    do("DELETE FROM shop.overtaken WHERE id = 1")
    frame = spark.sql("SELECT 1L AS id, 'late' AS kind, current_timestamp() AS at")
    try:
        frame.writeTo("node.shop.overtaken").option("validate-from-snapshot-id", stale).option(
            "isolation-level", "serializable"
        ).overwritePartitions()
    except Exception as error:
        assert "conflict" in str(error).lower(), error
    else:
        raise AssertionError("not refused")
    both("SELECT count(*) FROM shop.overtaken", [[2]])


@check
def write_stream():
    """Spark's own streams: out of a table that a stream feeds, into one of ours."""
    do("CREATE TABLE shop.streamed (id BIGINT, amount DECIMAL(12, 2)) USING iceberg")
    reading = spark.readStream.table("node.datasets.orders").select("id", "amount")
    with tempfile.TemporaryDirectory() as here:
        writing = reading.writeStream.option("checkpointLocation", here).trigger(availableNow=True)
        assert writing.toTable("node.shop.streamed").awaitTermination(120), "not within 120 s"
    both("SELECT count(*), sum(amount) FROM shop.streamed", [[10, 45.45]])
