"""read URL TABLE COLUMN: count and sum of a table whose files are in a bucket, as pyiceberg, DuckDB and the node see them.
objects ENDPOINT PATH: how many objects there are.

The keys of the bucket are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: the catalog tells where files are, and nobody's keys.
"""
import importlib.util
import json
import os
import pathlib
import sys
import urllib.request

import duckdb
import pyarrow as pa
import pyarrow.fs as fs
from pyiceberg.catalog.rest import RestCatalog

what, *words = sys.argv[1:]
key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
if what == "objects":
    endpoint, path = words
    store = fs.S3FileSystem(access_key=key, secret_key=secret, endpoint_override=endpoint, region="us-east-1")
    found = store.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    print(sum(info.type == fs.FileType.File for info in found))
    sys.exit()

url, name, column = words
table = RestCatalog("node", uri=f"{url}/iceberg").load_table(name)

with urllib.request.urlopen(f"{url}/iceberg/v1/namespaces/datasets/tables/{name.removeprefix('datasets.')}") as answer:
    loaded = json.load(answer)
config = loaded["config"]
assert "secret" not in json.dumps(loaded) and key not in json.dumps(loaded), loaded


def by_pyiceberg():
    rows = table.scan().to_arrow()
    return {"count": rows.num_rows, "sum": pa.compute.sum(rows[column]).as_py() or 0}


def connection():
    """DuckDB with its extensions as the wheels bring them: nothing is fetched."""
    con = duckdb.connect()
    for extension in ("httpfs", "avro", "iceberg"):
        folder = importlib.util.find_spec(f"duckdb_extension_{extension}").submodule_search_locations[0]
        con.execute(f"LOAD '{next(pathlib.Path(folder).rglob('*.duckdb_extension'))}'")
    server = config["s3.endpoint"].removeprefix("http://")
    con.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION '{config['s3.region']}', "
        f"ENDPOINT '{server}', URL_STYLE 'path', USE_SSL false)"
    )
    return con


def one(con, text):
    count, total = con.execute(text).fetchone()
    return {"count": count, "sum": int(total)}


def by_duckdb():
    con = connection()
    con.execute(
        f"ATTACH '' AS node (TYPE iceberg, ENDPOINT '{url}/iceberg', AUTHORIZATION_TYPE 'none', ACCESS_DELEGATION_MODE 'none')"
    )
    return one(con, f"SELECT count(*), coalesce(sum({column}), 0) FROM node.{name}")


def by_scan():
    return one(connection(), f"SELECT count(*), coalesce(sum({column}), 0) FROM iceberg_scan('{table.metadata_location}')")


def by_node():
    query = f"SELECT count(*), coalesce(sum({column}), 0) FROM {name.removeprefix('datasets.')}"
    request = urllib.request.Request(
        f"{url}/v1/sql", json.dumps({"query": query}).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        count, total = json.load(answer)["rows"][0]
    return {"count": count, "sum": int(total)}


print(
    json.dumps(
        {
            "pyiceberg": by_pyiceberg(),
            "duckdb": by_duckdb(),
            "scan": by_scan(),
            "node": by_node(),
            "location": table.metadata_location,
            "config": config,
        }
    )
)
