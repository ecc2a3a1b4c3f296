"""Tables that are kept in order, views, and what is dropped."""
import os
import pathlib
import time

from engine import EVERYTHING, spark
from engines import both, do, folder_of, made, many, metadata_file, refused, rows, snapshots
from node import check, until


@check
def keep_rewrite_data_files():
    many("shop.compacted")
    done = rows(
        "CALL node.system.rewrite_data_files(table => 'shop.compacted', options => map('min-input-files', '2'))"
    )
    assert done[0][:2] == [5, 1], done
    both("SELECT count(*), sum(id) FROM shop.compacted", [[7, 52]])
    do(
        "CALL node.system.rewrite_data_files(table => 'shop.compacted', strategy => 'sort', "
        "sort_order => 'zorder(id, kind)', options => map('rewrite-all', 'true'))"
    )
    both("SELECT count(*), sum(id) FROM shop.compacted", [[7, 52]])


@check
def keep_rewrite_manifests():
    many("shop.manifests")
    assert rows("CALL node.system.rewrite_manifests('shop.manifests')") == [[5, 1]]
    both("SELECT count(*), sum(id) FROM shop.manifests", [[7, 52]])


@check
def keep_expire_snapshots():
    many("shop.expired")
    do("DELETE FROM shop.expired WHERE id = 10")
    do(f"CALL node.system.expire_snapshots(table => 'shop.expired', {EVERYTHING})")
    assert len(snapshots("shop.expired")) == 1
    both("SELECT count(*), sum(id) FROM shop.expired", [[6, 42]])
    do("INSERT INTO shop.expired VALUES (1, 'a', null)")
    both("SELECT count(*) FROM shop.expired", [[7]])


@check
def keep_remove_orphan_files():
    many("shop.orphans")
    location = pathlib.Path(folder_of("shop.orphans"))
    orphan = location / "data" / "nobodys.parquet"
    orphan.write_bytes(b"x")
    # Older than what Spark takes for somebody's who has yet to commit.
    long_ago = time.time() - 7 * 86_400
    os.utime(orphan, (long_ago, long_ago))
    found = rows("CALL node.system.remove_orphan_files(table => 'shop.orphans')")
    assert [row[0].rsplit("/", 1)[1] for row in found] == ["nobodys.parquet"], found
    assert not orphan.exists()
    both("SELECT count(*), sum(id) FROM shop.orphans", [[7, 52]])


@check
def keep_roll_back():
    many("shop.rolled")
    first, second = snapshots("shop.rolled")[:2]
    do(f"CALL node.system.rollback_to_snapshot('shop.rolled', {first})")
    both("SELECT count(*) FROM shop.rolled", [[3]])
    do(f"CALL node.system.set_current_snapshot('shop.rolled', {second})")
    both("SELECT count(*) FROM shop.rolled", [[4]])
    do(
        f"CALL node.system.rollback_to_snapshot('shop.rolled', {first})",
        "INSERT INTO shop.rolled VALUES (99, 'x', null)",
    )
    both("SELECT max(id) FROM shop.rolled", [[99]])
    do(f"CALL node.system.cherrypick_snapshot('shop.rolled', {second})")
    both("SELECT count(*) FROM shop.rolled", [[5]])


@check
def keep_add_files():
    many("shop.added")
    do("CREATE TABLE shop.adding (id BIGINT, kind STRING) USING iceberg")
    here = pathlib.Path(folder_of("shop.adding")) / "loose"
    spark.sql("SELECT 5L AS id, 'p' AS kind").write.parquet(f"file://{here}")
    do(f"CALL node.system.add_files(table => 'shop.adding', source_table => '`parquet`.`{here}`')")
    both("SELECT id, kind FROM shop.adding", [[5, "p"]])
    do("ALTER TABLE shop.adding RENAME COLUMN kind TO sort")
    both("SELECT id, sort FROM shop.adding", [[5, "p"]])


@check
def keep_add_partitioned_files():
    do("CREATE TABLE shop.adding_parts (id BIGINT, kind STRING) USING iceberg PARTITIONED BY (kind)")
    here = pathlib.Path(folder_of("shop.adding_parts")) / "loose"
    spark.sql("SELECT * FROM VALUES (5L, 'p'), (6L, 'q') AS t(id, kind)").write.partitionBy("kind").parquet(
        f"file://{here}"
    )
    do(f"CALL node.system.add_files(table => 'shop.adding_parts', source_table => '`parquet`.`{here}`')")
    both("SELECT id, kind FROM shop.adding_parts ORDER BY id", [[5, "p"], [6, "q"]])


@check
def keep_register():
    many("shop.registered")
    file = metadata_file("shop.registered")
    do(
        "DROP TABLE shop.registered",
        f"CALL node.system.register_table(table => 'shop.again', metadata_file => '{file}')",
    )
    both("SELECT count(*), sum(id) FROM shop.again", [[7, 52]])
    do("INSERT INTO shop.again VALUES (1, 'a', null)")
    both("SELECT count(*) FROM shop.again", [[8]])


@check
def keep_statistics():
    many("shop.statistics", rest="PARTITIONED BY (kind)")
    do("CALL node.system.compute_table_stats(table => 'shop.statistics')")
    both("SELECT count(*) FROM shop.statistics", [[7]])
    do("CALL node.system.compute_partition_stats(table => 'shop.statistics')")
    both("SELECT count(*) FROM shop.statistics", [[7]])


@check
def keep_ancestors():
    many("shop.ancestors")
    assert len(rows("CALL node.system.ancestors_of('shop.ancestors')")) == 5


@check
def keep_rewrite_table_path():
    many("shop.moved")
    location = "file://" + folder_of("shop.moved")
    found = rows(
        "CALL node.system.rewrite_table_path(table => 'shop.moved', "
        f"source_prefix => '{location}', target_prefix => 'file:///elsewhere')"
    )
    assert found[0][0].endswith(".metadata.json"), found


@check
def view_life():
    made("shop.viewed")
    do(
        "CREATE VIEW shop.of_a COMMENT 'kinds' TBLPROPERTIES ('x' = 'y') "
        "AS SELECT id, kind FROM shop.viewed WHERE kind = 'a'"
    )
    assert rows("SELECT id FROM shop.of_a ORDER BY id") == [[1], [3]]
    assert "of_a" in str(rows("SHOW VIEWS IN shop"))
    do("CREATE OR REPLACE VIEW shop.of_a (number) AS SELECT id FROM shop.viewed WHERE kind = 'b'")
    assert rows("SELECT number FROM shop.of_a") == [[2]]
    refused("CREATE VIEW shop.of_a AS SELECT 1 AS one", "ALREADY_EXISTS")
    do(
        "CREATE VIEW IF NOT EXISTS shop.of_a AS SELECT 1 AS one",
        "ALTER VIEW shop.of_a SET TBLPROPERTIES ('p' = 'q')",
        "ALTER VIEW shop.of_a UNSET TBLPROPERTIES ('p')",
    )
    assert "shop.viewed" in str(rows("DESCRIBE EXTENDED shop.of_a")) + rows("SHOW CREATE TABLE shop.of_a")[0][0]
    do("ALTER VIEW shop.of_a RENAME TO shop.of_b")
    assert rows("SELECT number FROM shop.of_b") == [[2]]
    do("DROP VIEW shop.of_b")
    refused("SELECT * FROM shop.of_b", "NOT_FOUND")
    do("DROP VIEW IF EXISTS shop.of_b")


def gone(location):
    return not [it for it in pathlib.Path(location).rglob("*") if it.is_file() and not it.name.startswith(".")]


@check
def drop_keeps_files():
    made("shop.dropped")
    location = folder_of("shop.dropped")
    do("DROP TABLE shop.dropped")
    refused("SELECT * FROM shop.dropped", "NOT_FOUND")
    assert not gone(location)
    do("DROP TABLE IF EXISTS shop.dropped")
    refused("DROP TABLE shop.dropped", "NOT_FOUND")


@check
def drop_purge():
    many("shop.purged")
    location = folder_of("shop.purged")
    do("DROP TABLE shop.purged PURGE")
    until("the files are gone", lambda: gone(location))
    made("shop.purged")
    both("SELECT count(*) FROM shop.purged", [[3]])


@check
def drop_purge_by_the_node():
    many("shop.purged_there")
    location = pathlib.Path(folder_of("shop.purged_there"))
    do("DROP TABLE purging.shop.purged_there PURGE")
    until("the folder is gone", lambda: not location.exists())
    refused("SELECT * FROM shop.purged_there", "NOT_FOUND")
