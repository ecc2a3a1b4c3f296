"""What users of PostgreSQL's protocol see under row policies, and what their settings do to others. Prints one JSON object."""

import json
import sys

import psycopg

PORT = int(sys.argv[1])
ORDERS = 'streams."orders.raw"'


def connect(user):
    return psycopg.connect(f"host=127.0.0.1 port={PORT} user={user} dbname=headwater", autocommit=True)


def state(connection, statement):
    try:
        connection.execute(statement)
        return "done"
    except psycopg.Error as error:
        return error.sqlstate


with connect("asha") as asha, connect("admin") as admin:
    count = f"SELECT count(*), max(value->>'kind'), current_user FROM {ORDERS} WHERE value->>'kind' <> %s"
    # Prepared by both under one text: each gets its own rows.
    seen = {
        user: [list(connection.execute(count, ("none",), prepare=True).fetchone()) for _ in range(3)]
        for user, connection in [("admin", admin), ("asha", asha), ("admin again", admin)]
    }
    hidden = [state(asha, f"SELECT {what}") for what in [
        # Fails on any row that has another kind, and there is none.
        f"1 / CASE WHEN value->>'kind' = 'even' THEN 1 ELSE 0 END FROM {ORDERS}",
        "* FROM tables.kinds",
    ]]
    become = [state(asha, statement) for statement in [
        "SET ROLE admin", "SET SESSION AUTHORIZATION admin", "SET SESSION user = 'admin'", 'SET "user" = \'admin\'',
    ]]
    still = asha.execute(f"SELECT count(*), current_user FROM {ORDERS}").fetchone()
    # The engine's options are everybody's.
    engine = [state(asha, statement) for statement in [
        "SET datafusion.execution.batch_size = 1",
        "SET \"datafusion.catalog.default_schema\" = 'streams'",
        "SET DataFusion.runtime.memory_limit = '1K'",
        "RESET datafusion.execution.batch_size",
        "SET SESSION timezone = 'Asia/Tokyo'",
        "SET client_encoding = 'UTF8'",
    ]]
    hour = admin.execute("SELECT date_part('hour', CAST('2026-01-01T00:00:00Z' AS timestamptz))").fetchone()[0]
    listed = asha.execute("SELECT table_schema, table_name FROM information_schema.tables "
                          "WHERE table_schema IN ('public', 'streams', 'tables')").fetchall()
    print(json.dumps({
        "seen": seen, "hidden": hidden, "still": list(still), "become": become, "engine": engine, "hour": int(hour),
        "listed": [list(row) for row in listed],
    }))
