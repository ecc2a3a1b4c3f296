"""Trino's own server, as a process on this machine, and its client for Python.

Where its parts come from there is no archive of the server. They are put together as the archive has them: the server's
jars in `server` of the folder of jars, those of its plugin in `plugins/iceberg`.
"""
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

import trino
from node import options, url

MEMORY = "2g"
CATALOG = {
    "connector.name": "iceberg",
    "iceberg.catalog.type": "rest",
    "iceberg.rest-catalog.uri": f"{url}/iceberg",
    # Names have small letters alone for Trino, and others here.
    "iceberg.rest-catalog.case-insensitive-name-matching": "true",
    # Tables whose location begins with `file:`.
    "fs.local.enabled": "true",
    "local.location": "/",
    # Procedures that are not there unasked.
    "iceberg.register-table-procedure.enabled": "true",
    "iceberg.add-files-procedure.enabled": "true",
    # Snapshots and files may go at once.
    "iceberg.expire-snapshots.min-retention": "0s",
    "iceberg.remove-orphan-files.min-retention": "0s",
}


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def settings(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))


def started():
    """The server, which is ready, and its port. It ends when its standard input does, and so with this process."""
    jars, here, port = pathlib.Path(options.jars), pathlib.Path.cwd(), free_port()
    # Only the plugin's archive says which class it is.
    service = jars / "plugins/iceberg/services/META-INF/services/io.trino.spi.Plugin"
    service.parent.mkdir(parents=True, exist_ok=True)
    service.write_text("io.trino.plugin.iceberg.IcebergPlugin\n")
    server = {
        "node.id": "one",
        "node.environment": "checks",
        "node.bind-ip": "127.0.0.1",
        "node.internal-address": "127.0.0.1",
        "coordinator": "true",
        "node-scheduler.include-coordinator": "true",
        "http-server.http.port": port,
        "discovery.uri": f"http://127.0.0.1:{port}",
        "plugin.dir": jars / "plugins",
        "catalog.config-dir": here / "etc/catalog",
        "query.max-memory-per-node": "512MB",
        "query.max-memory": "512MB",
    }
    settings(here / "etc/config.properties", server)
    settings(here / "etc/catalog/node.properties", CATALOG)
    java = pathlib.Path(os.environ["JAVA_HOME"]) / "bin/java"
    command = [java, f"-Xmx{MEMORY}", "-XX:+UseSerialGC", "-Duser.timezone=UTC"]
    command += ["--add-modules=jdk.incubator.vector", "--sun-misc-unsafe-memory-access=allow"]
    command += ["--enable-native-access=ALL-UNNAMED", "-Dconfig=etc/config.properties", f"-Dnode.data-dir={here}/work"]
    (version,) = [it.stem.removeprefix("trino-main-") for it in (jars / "server").glob("trino-main-*.jar")]
    command += ["-cp", f"{jars}/server/*", pathlib.Path(__file__).with_name("Serve.java"), version]
    # What the server says goes where this process's own errors go: its standard output is for outcomes.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2)
    start = time.monotonic()
    while time.monotonic() - start < 180:
        if process.poll() is not None:
            raise SystemExit(f"Trino ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/info", timeout=5) as answer:
                if not json.load(answer)["starting"]:
                    return process, port
        except (urllib.error.URLError, TimeoutError):
            pass
        time.sleep(0.2)
    raise SystemExit("Trino is not ready after 180 s")


process, port = started()


def cursor(catalog="node", **session):
    """Every statement has a connection of its own: checks run some side by side."""
    connection = trino.dbapi.connect(
        host="127.0.0.1", port=port, user="me", catalog=catalog, timezone="UTC", session_properties=session
    )
    return connection.cursor()


def execute(statement, **session):
    one = cursor(**session)
    one.execute(statement)
    return one.fetchall()


def text_of(error):
    """What failed, and why, of which Trino's first words often say nothing."""
    if not isinstance(error, trino.exceptions.TrinoQueryError):
        return str(error)
    words, cause = [f"{error.error_name}: {error.message}"], error.failure_info
    while cause := cause.get("cause"):
        words.append(str(cause.get("message")))
    return " / ".join(words)


COLUMNS = "id BIGINT, kind VARCHAR, at TIMESTAMP(6) WITH TIME ZONE"
USING = ""
PARTITIONS = {
    "day": "WITH (partitioning = ARRAY['day(at)'])",
    "month": "WITH (partitioning = ARRAY['month(at)'])",
    "year": "WITH (partitioning = ARRAY['year(at)'])",
    "hour": "WITH (partitioning = ARRAY['hour(at)'])",
    "bucket": "WITH (partitioning = ARRAY['bucket(id, 4)'])",
    "truncate": "WITH (partitioning = ARRAY['truncate(kind, 2)'])",
    "identity": "WITH (partitioning = ARRAY['kind'])",
    "two": "WITH (partitioning = ARRAY['day(at)', 'bucket(kind, 4)'])",
}
AT_VERSION, AT_TIME = "FOR VERSION AS OF", "FOR TIMESTAMP AS OF"


def part(table, name):
    namespace, table = table.split(".")
    return f'{namespace}."{table}${name}"'


def quoted(name):
    return f'"{name}"'


def tables(namespace):
    return [row[0] for row in execute(f"SHOW TABLES IN {namespace}")]


def read_for(condition):
    """The rows that the server took out of files."""
    one = cursor()
    one.execute(f"SELECT id FROM datasets.orders WHERE {condition}")
    one.fetchall()
    return one.stats["processedRows"]


REFUSED = [
    "TRUNCATE TABLE datasets.orders",
    "ALTER TABLE datasets.orders ADD COLUMN mine VARCHAR",
    "ALTER TABLE datasets.orders SET PROPERTIES partitioning = ARRAY['month(at)']",
    "COMMENT ON TABLE datasets.orders IS 'mine'",
    "CREATE TABLE datasets.mine (id INTEGER)",
    "CREATE TABLE datasets.mine AS SELECT 1 AS id",
    "CREATE OR REPLACE TABLE datasets.stock (id INTEGER)",
    "ALTER TABLE datasets.orders EXECUTE optimize",
    "ALTER TABLE datasets.orders EXECUTE expire_snapshots(retention_threshold => '0s')",
    "ALTER TABLE datasets.orders EXECUTE rollback_to_snapshot({first})",
    "ANALYZE datasets.orders",
]


def stop():
    process.stdin.close()
    process.wait(60)
