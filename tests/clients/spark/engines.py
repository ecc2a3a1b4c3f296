"""Spark and the node, side by side: what the checks ask of both.

The program's arguments are read here, and Spark is started: whoever takes something from here has both at hand.
"""
import argparse
import datetime
import decimal
import json
import os
import pathlib
import time
import urllib.error
import urllib.request

from pyspark.sql import Row, SparkSession

CHECKS = {}


def check(function):
    """A check; its name is the function's, of which the first word is a group."""
    CHECKS[function.__name__.replace("_", ".", 1)] = function
    return function


def asked(method, path, body, media="application/json"):
    """An answer of the node, which has to be one."""
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    request = urllib.request.Request(url + path, data, {"content-type": media}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None
    return json.loads(text) if text else None


def by_node(query):
    return [[plain(value) for value in row] for row in asked("POST", "/v1/sql", {"query": query})["rows"]]


def plain(value):
    """A value as both Spark's and the node's JSON can be brought to."""
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    if isinstance(value, str) and value[10:11] == "T" and value[4:5] == "-":
        bare = value.removesuffix("Z")
        return bare.rstrip("0").rstrip(".") if "." in bare else bare
    if isinstance(value, datetime.date):
        return str(value)
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(it) for key, it in value.items()}
    # A struct is its values.
    if isinstance(value, (list, Row)):
        return [plain(it) for it in value]
    return value


def until(what, condition):
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < 30, f"not within 30 s: {what}"
        time.sleep(0.1)


def session(jars):
    (jar,) = pathlib.Path(jars).glob("iceberg-spark-runtime-*.jar")
    settings = {
        "spark.jars": jar,
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.defaultCatalog": "node",
        # The same, and what is purged there is left to the node.
        "spark.sql.catalog.purging.rest-catalog-purge": "true",
    }
    for catalog in ("node", "purging"):
        settings |= {
            f"spark.sql.catalog.{catalog}": "org.apache.iceberg.spark.SparkCatalog",
            f"spark.sql.catalog.{catalog}.type": "rest",
            f"spark.sql.catalog.{catalog}.uri": f"{url}/iceberg",
            f"spark.sql.catalog.{catalog}.cache-enabled": "false",
        }
    builder = SparkSession.builder.master("local[1]").appName("headwater")
    for name, value in settings.items():
        builder = builder.config(name, str(value))
    made = builder.getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    return made


def do(*statements):
    """Statements in Spark."""
    for statement in statements:
        spark.sql(statement).collect()


def spark_rows(query):
    return [[plain(value) for value in row] for row in spark.sql(query).collect()]


def both(query, expected):
    """What a query gives, in Spark and at the node."""
    seen = spark_rows(query)
    assert seen == expected, f"Spark has {seen}"
    seen = by_node(query)
    assert seen == expected, f"the node has {seen}"


def refused(statement, *words):
    """An error of Spark's, in which these words are."""
    try:
        do(statement)
    except Exception as error:
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"`{missing}` is not in: {error}"
        return
    raise AssertionError(f"not refused: {statement}")


def snapshots(table):
    """The ids of a table's snapshots, the oldest first."""
    return [row[0] for row in spark_rows(f"SELECT snapshot_id FROM {table}.snapshots ORDER BY committed_at")]


def made(table, columns="id BIGINT, kind STRING, at TIMESTAMP", rest="", values=None):
    """A table with the rows (1, 'a'), (2, 'b'), (3, 'a') on three days."""
    do(f"CREATE TABLE {table} ({columns}) USING iceberg {rest}")
    do(f"INSERT INTO {table} VALUES {values or ROWS}")


# Of a procedure that lets snapshots go: all but the current one.
EVERYTHING = "older_than => timestamp'2999-01-01 00:00:00', retain_last => 1"
ROWS = ", ".join(f"({n}, '{kind}', timestamp'2026-01-0{n} 10:00:00')" for n, kind in ((1, "a"), (2, "b"), (3, "a")))


def many(table, rest=""):
    """A table in five snapshots: the rows of `made`, and 10 to 13 one by one."""
    made(table, rest=rest)
    do(*[f"INSERT INTO {table} VALUES ({n}, 'k{n % 2}', null)" for n in range(10, 14)])


def folder_of(table):
    """Where a table lies on the disk."""
    text = spark_rows(f"SELECT file FROM {table}.metadata_log_entries")[0][0]
    return text.removeprefix("file://").rsplit("/metadata/", 1)[0]


arguments = argparse.ArgumentParser()
arguments.add_argument("url")
arguments.add_argument("jars")
arguments.add_argument("--only", default="")
options = arguments.parse_args()
url = options.url
# Times come to Python in the zone of the machine.
os.environ["TZ"] = "UTC"
time.tzset()
spark = session(options.jars)
