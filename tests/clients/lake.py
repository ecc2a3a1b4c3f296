"""read URL TABLE COLUMN: the table's count, sum of a column and snapshot, as pyiceberg, DuckDB and the node see them.
filter URL TABLE CONDITION: how many rows meet a condition, which the three understand alike.
write URL: makes and writes a table through the catalog, and tries what is refused.
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
from pyiceberg.exceptions import CommitFailedException, ForbiddenError, NoSuchTableError
from pyiceberg.types import StringType

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
    # SQL finds columns in files by name, and older files have the older one.
    with mine.update_schema() as change:
        change.rename_column("note", "remark")
    problem = json.load(refused_by_node("SELECT count(remark) FROM shop.orders"))
    assert problem["code"] == "HW-LAKE-051", problem
    catalog.purge_table("shop.orders")
    catalog.drop_namespace("shop")
    assert catalog.list_namespaces() == [("datasets",)]
