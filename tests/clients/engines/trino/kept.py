"""Tables that are kept in order, views, and what is dropped."""
import os
import pathlib
import shutil
import time

from engine import part
from engines import both, do, folder_of, made, many, metadata_file, refused, rows, snapshots
from node import check, until


@check
def keep_optimize():
    many("shop.compacted")
    do("ALTER TABLE shop.compacted EXECUTE optimize(file_size_threshold => '10MB')")
    both("SELECT count(*), sum(id) FROM shop.compacted", [[7, 52]])
    assert rows(f"SELECT count(*) FROM {part('shop.compacted', 'files')}") == [[1]]
    do("DELETE FROM shop.compacted WHERE id = 10", "ALTER TABLE shop.compacted EXECUTE optimize")
    both("SELECT count(*), sum(id) FROM shop.compacted", [[6, 42]])
    many("shop.compacted_part", rest="WITH (partitioning = ARRAY['kind'])")
    do("ALTER TABLE shop.compacted_part EXECUTE optimize WHERE kind = 'k1'")
    counts = "SELECT kind, count(*) FROM shop.compacted_part GROUP BY kind ORDER BY kind"
    both(counts, [["a", 2], ["b", 1], ["k0", 2], ["k1", 2]])
    assert rows(f"SELECT count(*) FROM {part('shop.compacted_part', 'files')}") == [[5]]


@check
def keep_optimize_manifests():
    many("shop.manifests")
    do("ALTER TABLE shop.manifests EXECUTE optimize_manifests")
    assert rows(f"SELECT count(*) FROM {part('shop.manifests', 'manifests')}") == [[1]]
    both("SELECT count(*), sum(id) FROM shop.manifests", [[7, 52]])


@check
def keep_expire_snapshots():
    many("shop.expired")
    do("DELETE FROM shop.expired WHERE id = 10")
    do("ALTER TABLE shop.expired EXECUTE expire_snapshots(retention_threshold => '0s')")
    assert len(snapshots("shop.expired")) == 1
    both("SELECT count(*), sum(id) FROM shop.expired", [[6, 42]])
    do("INSERT INTO shop.expired VALUES (1, 'a', null)")
    both("SELECT count(*) FROM shop.expired", [[7]])


@check
def keep_remove_orphan_files():
    many("shop.orphans")
    orphan = pathlib.Path(folder_of("shop.orphans")) / "data/nobodys.parquet"
    orphan.write_bytes(b"x")
    long_ago = time.time() - 7 * 86_400
    os.utime(orphan, (long_ago, long_ago))
    do("ALTER TABLE shop.orphans EXECUTE remove_orphan_files(retention_threshold => '1d')")
    assert not orphan.exists()
    both("SELECT count(*), sum(id) FROM shop.orphans", [[7, 52]])


@check
def keep_roll_back():
    many("shop.rolled")
    # A table that Trino makes has a snapshot without rows first.
    first, second = snapshots("shop.rolled")[1:3]
    do(f"ALTER TABLE shop.rolled EXECUTE rollback_to_snapshot({second})")
    both("SELECT count(*) FROM shop.rolled", [[4]])
    do(f"CALL node.system.rollback_to_snapshot('shop', 'rolled', {first})")
    both("SELECT count(*) FROM shop.rolled", [[3]])
    do("INSERT INTO shop.rolled VALUES (99, 'x', null)")
    both("SELECT max(id) FROM shop.rolled", [[99]])


@check
def keep_add_files():
    made("shop.added")
    do("CREATE TABLE shop.adding (id BIGINT, kind VARCHAR)")
    here = pathlib.Path(folder_of("shop.adding")) / "loose"
    here.mkdir()
    for file in (pathlib.Path(folder_of("shop.added")) / "data").glob("*.parquet"):
        shutil.copy(file, here)
    do(f"ALTER TABLE shop.adding EXECUTE add_files(location => 'file://{here}', format => 'PARQUET')")
    both("SELECT id, kind FROM shop.adding ORDER BY id", [[1, "a"], [2, "b"], [3, "a"]])


@check
def keep_register():
    many("shop.registered")
    folder, file = folder_of("shop.registered"), metadata_file("shop.registered")
    do("CALL node.system.unregister_table('shop', 'registered')")
    refused("SELECT * FROM shop.registered", "NOT_FOUND")
    name = file.rsplit("/", 1)[1]
    do(f"CALL node.system.register_table('shop', 'again', 'file://{folder}', '{name}')")
    both("SELECT count(*), sum(id) FROM shop.again", [[7, 52]])
    do("INSERT INTO shop.again VALUES (1, 'a', null)")
    both("SELECT count(*) FROM shop.again", [[8]])


@check
def keep_statistics():
    many("shop.counted")

    def distinct(column):
        return {row[0]: row for row in rows("SHOW STATS FOR shop.counted")}[column][2]

    do("ALTER TABLE shop.counted EXECUTE drop_extended_stats")
    assert distinct("id") is None
    do("ANALYZE shop.counted")
    assert distinct("id") == 7, distinct("id")
    do("INSERT INTO shop.counted VALUES (20, 'q', null)", "DELETE FROM shop.counted WHERE id = 1")
    both("SELECT count(*) FROM shop.counted", [[7]])


@check
def view_life():
    made("shop.viewed")
    do("CREATE VIEW shop.of_a COMMENT 'kinds' AS SELECT id, kind FROM shop.viewed WHERE kind = 'a'")
    assert rows("SELECT id FROM shop.of_a ORDER BY id") == [[1], [3]]
    assert ["of_a"] in rows("SHOW TABLES IN shop")
    do("CREATE OR REPLACE VIEW shop.of_a AS SELECT id AS number FROM shop.viewed WHERE kind = 'b'")
    assert rows("SELECT number FROM shop.of_a") == [[2]]
    refused("CREATE VIEW shop.of_a AS SELECT 1 AS one", "ALREADY_EXISTS")
    do("COMMENT ON VIEW shop.of_a IS 'numbers'", "COMMENT ON COLUMN shop.of_a.number IS 'a number'")
    assert "shop.viewed" in rows("SHOW CREATE VIEW shop.of_a")[0][0]
    do("ALTER VIEW shop.of_a RENAME TO shop.of_b")
    assert rows("SELECT number FROM shop.of_b") == [[2]]
    do("DROP VIEW shop.of_b")
    refused("SELECT * FROM shop.of_b", "NOT_FOUND")
    do("DROP VIEW IF EXISTS shop.of_b")


@check
def view_materialized():
    do("CREATE MATERIALIZED VIEW shop.kept AS SELECT count(*) AS n FROM datasets.orders")


@check
def drop_table():
    many("shop.dropped")
    folder = pathlib.Path(folder_of("shop.dropped"))
    do("DROP TABLE shop.dropped")
    refused("SELECT * FROM shop.dropped", "NOT_FOUND")
    until("the folder is gone", lambda: not folder.exists())
    do("DROP TABLE IF EXISTS shop.dropped")
    refused("DROP TABLE shop.dropped", "NOT_FOUND")
    made("shop.dropped")
    both("SELECT count(*) FROM shop.dropped", [[3]])
