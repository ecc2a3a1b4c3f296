"""TPC-H on the tables of a node.

load URL SCALE: DuckDB's generator makes the tables, and pyiceberg writes them through the node's catalog as `tpch.*`.
check URL SCALE PORT: the same, and then the node's answers to the 22 queries, by HTTP and by PostgreSQL's protocol on
PORT, beside those that DuckDB gives over what its generator made.
time URL ROUNDS: each query by the node and by DuckDB over the same Parquet files, in turns, both as Arrow. The best of
each counts, so that what the machine does beside is left out as far as it can be.
loop URL SECONDS: the queries on the node, one after the other.
policy URL ROUNDS: queries by somebody who is under a row policy beside the same with the policy's condition written by
hand, in turns.
Prints one JSON object.
"""
import importlib.util
import itertools
import json
import math
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request

import duckdb
import psycopg
import pyarrow as pa
from pyiceberg.catalog.rest import RestCatalog

TABLES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]
# Rows of one append; each makes a file.
PORTION = 2_000_000

what, url, number = sys.argv[1:4]
ASKED = itertools.count(time.time_ns())


def duck():
    con = duckdb.connect(config={"threads": os.cpu_count()})
    folder = importlib.util.find_spec("duckdb_extension_tpch").submodule_search_locations[0]
    con.execute(f"LOAD '{next(pathlib.Path(folder).rglob('*.duckdb_extension'))}'")
    return con


def generated(scale):
    con = duck()
    con.execute(f"CALL dbgen(sf = {scale})")
    return con


def queries(con):
    return [text for _, text in con.execute("FROM tpch_queries() ORDER BY query_nr").fetchall()]


def on_node(text, principal="admin"):
    """As Arrow, with `tpch` as the schema of every table. No two texts are alike: answers that are kept say nothing."""
    body = json.dumps({"query": f"{text} -- {next(ASKED)}", "format": "arrow"}).encode()
    headers = {"content-type": "application/json", "headwater-principal": principal}
    request = urllib.request.Request(f"{url}/v1/sql", body, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return pa.ipc.open_stream(answer.read()).read_all()
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()) from None


def qualified(text):
    """DuckDB's queries name tables alone; on the node they stand in a schema. Some columns are called like tables."""
    words, before = [], ""
    for word in text.replace(",", " , ").split():
        bare = word.strip("();")
        is_table = bare in TABLES and before.upper() in ("FROM", "JOIN", ",")
        words.append(word.replace(bare, f"tpch.{bare}") if is_table else word)
        before = word
    return " ".join(words).rstrip(";")


def alike(left, right):
    if isinstance(left, str) or left is None or isinstance(right, str) or right is None:
        return left == right
    try:
        return math.isclose(float(left), float(right), rel_tol=1e-9, abs_tol=0.005)
    except TypeError:
        return left == right


def load(scale):
    return written(generated(scale))


def written(con):
    catalog = RestCatalog("node", uri=f"{url}/iceberg")
    catalog.create_namespace("tpch")
    counts = {}
    for name in TABLES:
        reader = con.execute(f"FROM {name}").to_arrow_reader(PORTION)
        table, counts[name] = None, 0
        for batch in reader:
            rows = pa.Table.from_batches([batch])
            table = table or catalog.create_table(f"tpch.{name}", schema=rows.schema)
            table.append(rows)
            counts[name] += rows.num_rows
    return counts


def check(scale):
    con, wrong = generated(scale), {}
    counts = written(con)
    postgres = psycopg.connect(f"host=127.0.0.1 port={sys.argv[4]} user=admin dbname=headwater", autocommit=True)
    ways = {
        "http": lambda text: list(zip(*[column.to_pylist() for column in on_node(text).columns])),
        "postgres": lambda text: postgres.execute(text).fetchall(),
    }
    for number, text in enumerate(queries(con), 1):
        expected = con.execute(text).fetchall()
        for way, ask in ways.items():
            try:
                fault = difference(ask(qualified(text)), expected)
            except (RuntimeError, psycopg.Error) as error:
                fault = str(error)
            if fault:
                wrong[f"{number} by {way}"] = fault
    return {"lineitem": counts["lineitem"], "queries": 22, "wrong": wrong}


def difference(found, expected):
    if len(found) != len(expected):
        return f"{len(found)} rows, not {len(expected)}"
    for row, (one, other) in enumerate(zip(found, expected)):
        if not all(map(alike, one, other)):
            return f"row {row}: {one} is not {other}"
    return None


def taken(ask):
    begin = time.perf_counter()
    ask()
    return time.perf_counter() - begin


POLICY = """apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: lines-of-the-day}
spec:
  principals: [analyst]
  relations: [tpch.lineitem]
  filter: l_shipmode IN ('AIR', 'RAIL')
"""
UNDER_POLICY = [
    "SELECT count(*), sum(l_extendedprice) FROM tpch.lineitem{}",
    "SELECT l_returnflag, l_linestatus, sum(l_quantity), avg(l_discount) FROM tpch.lineitem{} GROUP BY 1, 2",
    "SELECT l_suppkey, sum(l_extendedprice * (1 - l_discount)) AS s FROM tpch.lineitem{} GROUP BY 1 ORDER BY s DESC LIMIT 10",
    "SELECT max(l_comment) FROM (SELECT * FROM tpch.lineitem{}) WHERE l_shipdate < DATE '1995-01-01' AND l_orderkey % 7 = 3",
]


def policy(rounds):
    files = json.dumps({"files": [{"name": "policy.yaml", "text": POLICY}]}).encode()
    request = urllib.request.Request(f"{url}/v1/apply", files, {"content-type": "application/json"})
    urllib.request.urlopen(request).close()
    per = []
    for text in UNDER_POLICY:
        under, by_hand = text.format(""), text.format(" WHERE l_shipmode IN ('AIR', 'RAIL')")
        assert on_node(under, "analyst").num_rows == on_node(by_hand).num_rows
        mine, hand = [], []
        for _ in range(int(rounds)):
            mine.append(taken(lambda: on_node(under, "analyst")))
            hand.append(taken(lambda: on_node(by_hand)))
        per.append({"policy_ms": min(mine) * 1000, "by_hand_ms": min(hand) * 1000, "ratio": min(mine) / min(hand)})
    ratios = [one["ratio"] for one in per]
    return {"geomean": math.exp(sum(map(math.log, ratios)) / len(ratios)), "queries": per}


def timed(rounds):
    con = duck()
    catalog = RestCatalog("node", uri=f"{url}/iceberg")
    for name in TABLES:
        files = [task.file.file_path.removeprefix("file://") for task in catalog.load_table(f"tpch.{name}").scan().plan_files()]
        con.execute(f"CREATE VIEW {name} AS FROM read_parquet({files})")
    per = {}
    for number, text in enumerate(queries(con), 1):
        mine, theirs = [], []
        for _ in range(int(rounds)):
            mine.append(taken(lambda: on_node(qualified(text))))
            theirs.append(taken(lambda: con.execute(text).to_arrow_table()))
        per[number] = {"node_ms": min(mine) * 1000, "duckdb_ms": min(theirs) * 1000, "ratio": min(mine) / min(theirs)}
    ratios = [one["ratio"] for one in per.values()]
    return {
        "geomean": math.exp(sum(map(math.log, ratios)) / len(ratios)),
        "node_s": sum(one["node_ms"] for one in per.values()) / 1000,
        "duckdb_s": sum(one["duckdb_ms"] for one in per.values()) / 1000,
        "queries": {number: {name: round(value, 2) for name, value in one.items()} for number, one in per.items()},
    }


def loop(seconds):
    texts, end, asked = queries(duck()), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        on_node(qualified(texts[asked % len(texts)]))
        asked += 1
    return {"asked": asked}


print(json.dumps({"load": load, "check": check, "time": timed, "loop": loop, "policy": policy}[what](float(number))))
