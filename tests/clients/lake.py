"""read URL TABLE COLUMN: the table's count, sum of a column and snapshot, as pyiceberg, DuckDB and the node see them.
filter URL TABLE CONDITION: how many rows meet a condition, which the three understand alike.
write URL TABLE: makes, writes and registers a table through the catalog, and tries what is refused.
manage URL TABLE: renames, stages and drops tables, changes properties, and makes views of a table that is fed.
kept URL: looks at what `manage` has left behind, after a restart.
"""
import importlib.util
import json
import pathlib
import sys
import urllib.error
import urllib.request

import duckdb
import pyarrow as pa
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    ForbiddenError,
    NoSuchTableError,
    NoSuchViewError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType
from pyiceberg.view.metadata import SQLViewRepresentation, ViewRepresentation, ViewVersion

what, url, *words = sys.argv[1:]
catalog = RestCatalog("node", uri=f"{url}/iceberg")


def connection():
    """DuckDB with its extensions as the wheels bring them: nothing is fetched."""
    con = duckdb.connect()
    for name in ("httpfs", "avro", "iceberg"):
        folder = importlib.util.find_spec(f"duckdb_extension_{name}").submodule_search_locations[0]
        con.execute(f"LOAD '{next(pathlib.Path(folder).rglob('*.duckdb_extension'))}'")
    return con


def attached():
    con = connection()
    con.execute(f"ATTACH '' AS node (TYPE iceberg, ENDPOINT '{url}/iceberg', AUTHORIZATION_TYPE 'none')")
    return con


def asked(query):
    body = json.dumps({"query": query})
    request = urllib.request.Request(f"{url}/v1/sql", body.encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["rows"][0]


def by_pyiceberg(table, column):
    rows = table.scan().to_arrow()
    total = pa.compute.sum(rows[column]).as_py()
    return {"count": rows.num_rows, "sum": total or 0, "snapshot": table.current_snapshot().snapshot_id}


def by_duckdb(name, column):
    count, total = attached().execute(f"SELECT count(*), coalesce(sum({column}), 0) FROM node.{name}").fetchone()
    return {"count": count, "sum": int(total)}


def by_scan(location, column):
    count, total = connection().execute(f"SELECT count(*), coalesce(sum({column}), 0) FROM iceberg_scan('{location}')").fetchone()
    return {"count": count, "sum": int(total)}


def by_node(name, column):
    count, total = asked(f"SELECT count(*), coalesce(sum({column}), 0) FROM {name.removeprefix('datasets.')}")
    return {"count": count, "sum": int(total)}


def refused_by_node(query):
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{url}/v1/sql", body, {"content-type": "application/json"})
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        return error
    raise AssertionError(f"not refused: {query}")


def rest(method, path, body, expected):
    """A request as it is; the answer's JSON, if it has any."""
    request = urllib.request.Request(f"{url}/iceberg/v1/{path}", json.dumps(body).encode(), {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    assert status == expected, (status, text)
    return json.loads(text) if text else None


def ask(query):
    request = urllib.request.Request(f"{url}/v1/sql", json.dumps({"query": query}).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["rows"]


def statement(dialect, sql):
    return ViewRepresentation(SQLViewRepresentation(type="sql", sql=sql, dialect=dialect))


def refused(kind, action):
    try:
        action()
    except kind as error:
        return str(error)
    raise AssertionError(f"not refused with {kind.__name__}")


if what == "read":
    name, column = words
    table = catalog.load_table(name)
    seen = {
        "pyiceberg": by_pyiceberg(table, column),
        "duckdb": by_duckdb(name, column),
        "scan": by_scan(table.metadata_location, column),
        "node": by_node(name, column),
        "namespaces": sorted(".".join(it) for it in catalog.list_namespaces()),
        "columns": [f"{field.name}: {field.field_type}" for field in table.schema().fields],
    }
    print(json.dumps(seen))
elif what == "filter":
    name, condition = words
    counts = {
        "pyiceberg": catalog.load_table(name).scan(row_filter=condition).to_arrow().num_rows,
        "duckdb": attached().execute(f"SELECT count(*) FROM node.{name} WHERE {condition}").fetchone()[0],
        "node": asked(f"SELECT count(*) FROM {name.removeprefix('datasets.')} WHERE {condition}")[0],
    }
    print(json.dumps(counts))
elif what == "write":
    fed = catalog.load_table(words[0])
    rows = pa.table({"id": pa.array([1], pa.int64())}, schema=pa.schema([pa.field("id", pa.int64(), nullable=False)]))
    message = refused(ForbiddenError, lambda: fed.update_schema().add_column("mine", StringType()).commit())
    assert "HW-LAKE-033" in message and "produce to the stream" in message, message
    refused(ForbiddenError, lambda: catalog.drop_table(words[0]))
    refused(NoSuchTableError, lambda: catalog.load_table("datasets.nothing"))

    catalog.create_namespace("shop")
    mine = catalog.create_table("shop.orders", schema=rows.schema)
    mine.append(rows)
    late = catalog.load_table("shop.orders")
    mine.append(rows)
    # A client that decided on the version before: it reads again, by itself or told to.
    try:
        late.append(rows)
    except CommitFailedException:
        catalog.load_table("shop.orders").append(rows)
    mine = catalog.load_table("shop.orders")
    assert mine.scan().to_arrow().num_rows == 3
    mine.overwrite(rows)
    mine = catalog.load_table("shop.orders")
    with mine.update_schema() as change:
        change.add_column("note", StringType())
    assert catalog.load_table("shop.orders").schema().find_field("note")
    con = attached()
    con.execute("INSERT INTO node.shop.orders VALUES (41, 'of DuckDB')")
    refused(duckdb.Error, lambda: con.execute(f"INSERT INTO node.{words[0]} SELECT * FROM node.{words[0]} LIMIT 1"))
    mine = catalog.load_table("shop.orders")
    readers = {"pyiceberg": by_pyiceberg(mine, "id"), "duckdb": by_duckdb("shop.orders", "id")}
    print(json.dumps(readers | {"node": by_node("shop.orders", "id")}))
    # Older files have the older name, and what DuckDB deletes is in files of its own.
    with mine.update_schema() as change:
        change.rename_column("note", "remark")
    assert ask("SELECT id, remark FROM shop.orders ORDER BY id") == [[1, None], [41, "of DuckDB"]]
    with mine.transaction() as change:
        change.set_properties({"write.delete.mode": "merge-on-read", "write.update.mode": "merge-on-read"})
    con = attached()
    con.execute("INSERT INTO node.shop.orders VALUES (50, 'goes'), (51, 'stays')")
    con.execute("DELETE FROM node.shop.orders WHERE id = 50")
    mine = catalog.load_table("shop.orders")
    assert any(task.delete_files for task in mine.scan().plan_files()), "rows are deleted by position"
    seen = [by_pyiceberg(mine, "id"), by_duckdb("shop.orders", "id"), by_node("shop.orders", "id")]
    assert [(it["count"], it["sum"]) for it in seen] == [(3, 93)] * 3, seen
    assert ask("SELECT remark FROM shop.orders WHERE id >= 50") == [["stays"]]

    # What is dropped without its files comes back under any name.
    catalog.drop_table("shop.orders")
    back = catalog.register_table("shop.again", mine.metadata_location)
    # Schemas and snapshots stand in any order.
    dumped = [table.metadata.model_dump(mode="json") for table in (mine, back)]
    before, after = [{key: sorted(it, key=str) if isinstance(it, list) else it for key, it in all.items()} for all in dumped]
    changed = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    assert back.metadata_location == mine.metadata_location and not changed, changed
    assert by_node("shop.again", "id") == {"count": 3, "sum": 93}
    message = refused(ForbiddenError, lambda: catalog.register_table("shop.fed", fed.metadata_location))
    assert "HW-LAKE-033" in message, message
    catalog.purge_table("shop.again")
    catalog.drop_namespace("shop")
    assert catalog.list_namespaces() == [("datasets",)]
elif what == "manage":
    fed = words[0]
    rows = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "kind": pa.array(["a", "b", "a"])})
    catalog.create_namespace("shop", {"owner": "me", "note": "x"})
    catalog.create_namespace("attic")

    changed = catalog.update_namespace_properties("shop", {"note", "colour"}, {"owner": "you"})
    assert (changed.updated, changed.removed, changed.missing) == (["owner"], ["note"], ["colour"]), changed
    assert catalog.load_namespace_properties("shop") == {"owner": "you"}
    both = {"removals": ["owner"], "updates": {"owner": "them"}}
    told = rest("POST", "namespaces/shop/properties", both, 422)
    assert told["error"]["type"] == "UnprocessableEntityException", told

    # A table is there with its first rows, or not at all.
    schema = Schema(NestedField(1, "id", LongType()), NestedField(2, "kind", StringType()))
    spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "kind"))
    with catalog.create_table_transaction("shop.orders", schema=schema, partition_spec=spec) as staged:
        assert catalog.list_tables("shop") == []
        refused(NoSuchTableError, lambda: catalog.load_table("shop.orders"))
        staged.append(rows)
    assert by_pyiceberg(catalog.load_table("shop.orders"), "id")["sum"] == 6
    late = catalog.create_table_transaction("shop.late", schema=schema)
    catalog.create_table("shop.late", schema=schema)
    refused(CommitFailedException, late.commit_transaction)

    moved = catalog.rename_table("shop.orders", "attic.sales")
    assert catalog.list_tables("shop") == [("shop", "late")]
    moved.append(rows)
    assert by_pyiceberg(catalog.load_table("attic.sales"), "id")["sum"] == 12
    refused(NoSuchTableError, lambda: catalog.load_table("shop.orders"))
    refused(TableAlreadyExistsError, lambda: catalog.rename_table("shop.late", "shop.late"))
    message = refused(ForbiddenError, lambda: catalog.rename_table(fed, "shop.mine"))
    assert "HW-LAKE-033" in message, message

    def version(*statements):
        return ViewVersion(schema_id=0, representations=list(statements), default_namespace=("attic",))

    one = Schema(NestedField(1, "total", LongType()))
    ours = statement("headwater", f"SELECT sum(s.id) + count(f.id) FROM sales s LEFT JOIN {fed} f ON f.id = s.id")
    made = catalog.create_view("shop.totals", one, version(ours, statement("spark", "SELECT 1")))
    assert ask("SELECT total FROM shop.totals") == [[18]], ask("SELECT total FROM shop.totals")
    assert catalog.list_views("shop") == [("shop", "totals")] and catalog.view_exists("shop.totals")
    assert not catalog.view_exists("shop.late") and not catalog.table_exists("shop.totals")
    loaded = catalog.load_view("shop.totals")
    assert loaded.metadata.view_uuid == made.metadata.view_uuid
    assert [r.root.dialect for r in loaded.metadata.versions[0].representations] == ["headwater", "spark"]
    spark_only = catalog.create_view("shop.spark_only", one, version(statement("spark", "SELECT 1")))
    assert json.load(refused_by_node("SELECT total FROM shop.spark_only"))["code"] == "HW-LAKE-092"
    catalog.drop_view("shop.spark_only")
    refused(NoSuchViewError, lambda: catalog.load_view("shop.spark_only"))

    # What pyiceberg does not do yet.
    next_version = json.loads(version(statement("headwater", "SELECT 7"), statement("spark", "SELECT 7")).model_dump_json())
    updates = [
        {"action": "add-view-version", "view-version": next_version},
        {"action": "set-current-view-version", "view-version-id": -1},
    ]

    def requires(uuid):
        return [{"type": "assert-view-uuid", "uuid": uuid}]

    other = {"requirements": requires("00000000-0000-4000-8000-000000000000"), "updates": updates}
    told = rest("POST", "namespaces/shop/views/totals", other, 409)
    assert told["error"]["type"] == "CommitFailedException", told
    change = {"requirements": requires(str(made.metadata.view_uuid)), "updates": updates}
    told = rest("POST", "namespaces/shop/views/totals", change, 200)
    assert told["metadata"]["current-version-id"] == 2, told
    assert ask("SELECT total FROM shop.totals") == [[7]]
    source, destination = {"namespace": ["shop"], "name": "totals"}, {"namespace": ["attic"], "name": "sevens"}
    rest("POST", "views/rename", {"source": source, "destination": destination}, 204)
    rest("HEAD", "namespaces/shop/views/totals", {}, 404)
    rest("DELETE", "namespaces/attic", {}, 409)
    catalog.purge_table("shop.late")
    catalog.drop_namespace("shop")
elif what == "kept":
    assert catalog.list_namespaces() == [("attic",), ("datasets",)], catalog.list_namespaces()
    assert catalog.list_tables("attic") == [("attic", "sales")] and catalog.list_views("attic") == [("attic", "sevens")]
    assert by_pyiceberg(catalog.load_table("attic.sales"), "id")["sum"] == 12
    assert ask("SELECT total FROM attic.sevens") == [[7]]
    catalog.drop_view("attic.sevens")
    catalog.purge_table("attic.sales")
    catalog.drop_namespace("attic")
