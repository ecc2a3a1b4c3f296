"""What two drivers make of a node that speaks PostgreSQL's protocol. Prints one JSON object for each."""

import asyncio
import json
import sys
import urllib.request

import asyncpg
import psycopg

PORT, URL = int(sys.argv[1]), sys.argv[2]
COUNT = 'SELECT count(*), sum(CAST(value->>\'n\' AS bigint)) FROM streams."orders.raw"'
ONE = 'SELECT key, value->>\'kind\' FROM streams."orders.raw" WHERE "offset" = %s AND partition = %s'


def with_psycopg():
    with psycopg.connect(f"host=127.0.0.1 port={PORT} user=me dbname=headwater", autocommit=True) as connection:
        with connection.cursor() as cursor:
            cursor.execute(COUNT)
            count, total = cursor.fetchone()
            cursor.execute(ONE, (3, 0), prepare=True)
            one = cursor.fetchone()
            # A server-side cursor reads in portions.
            rows = 0
        with connection.cursor() as cursor:
            for _ in cursor.stream('SELECT * FROM streams."orders.raw"'):
                rows += 1
        # What a subquery among the columns says of its row, written out and prepared.
        own = 'SELECT a.key, (SELECT count(*) FROM streams."orders.raw" b WHERE b.key = a.key) FROM streams."orders.raw" a LIMIT 1'
        subqueries = [connection.execute(own).fetchone()[1], connection.execute(own, prepare=True).fetchone()[1]]
        wide = "SELECT CAST('-1234567890123456789012345678901234567.5' AS decimal(38, 1))"
        decimals = [str(connection.cursor(binary=binary).execute(wide).fetchone()[0]) for binary in (False, True)]
        connection.execute("SET statement_timeout = '200ms'")
        try:
            connection.execute("SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b").fetchone()
            bound = None
        except psycopg.Error as error:
            bound = error.sqlstate
        connection.execute("SET statement_timeout = 0")
        states = []
        for statement in ["SELEC 1", "SELECT nothing", "DROP TABLE x", "CREATE TABLE t (a int)"]:
            try:
                connection.execute(statement)
            except psycopg.Error as error:
                states.append(error.sqlstate)
        return {"count": count, "sum": int(total), "one": list(one), "rows": rows, "states": states,
                "subqueries": subqueries, "bound": bound, "decimals": decimals}


async def with_asyncpg():
    connection = await asyncpg.connect(host="127.0.0.1", port=PORT, user="me", database="headwater")
    try:
        row = await connection.fetchrow(COUNT)
        prepared = await connection.prepare('SELECT key FROM streams."orders.raw" WHERE "offset" = $1 AND partition = $2')
        keys = [await prepared.fetchval(n, 0) for n in range(3)]
        # What was prepared before an event came sees it.
        counted = await connection.prepare('SELECT count(*) FROM streams."orders.raw"')
        counts = [await counted.fetchval()]
        event = urllib.request.Request(f"{URL}/v1/streams/orders.raw/events", b'{"n": 0}', {"content-type": "application/json"})
        urllib.request.urlopen(event).close()
        counts.append(await counted.fetchval())
        names = await connection.fetch(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'streams' ORDER BY 1"
        )
        return {"count": row[0], "sum": int(row[1]), "keys": keys, "counts": counts, "names": [name[0] for name in names]}
    finally:
        await connection.close()


print(json.dumps(with_psycopg()))
print(json.dumps(asyncio.run(with_asyncpg())))
