"""DataFusion's sqllogictest files against a node, over PostgreSQL's protocol.

run.py CRATE URL PORT GROUPS [--only TEXT] [--extended]: CRATE is the folder of `datafusion-sqllogictest`, GROUPS what
the names of files begin with. Tells how each record ended, one line on standard output: outcome, name, verdict,
seconds, reason.

A record is `skipped` when it is not portable, and says why:
- it shows a plan, or sets or shows options of the engine, or stands where options change what statements mean, or is
  in a dialect that an option would have to name (`DIALECT`);
- it writes, and what it does is carried out by the runner (`tables.py`), or refused;
- its answer has times of nanoseconds, or intervals or durations with a part of a microsecond, for which the protocol has
  no type: those of PostgreSQL have microseconds. What the record's own lines show decides, where the statement's columns
  can be such (`?` among the letters of a query: durations have no letter of their own);
- it needs a file, a type, a function or a table that only DataFusion's own runner has, or is for another engine.

A record passes when the node answers with the columns, types and values that the file has. What is looked at less
strictly: rows without an order of their own may come in another one; `?` stands for every type; PostgreSQL has no type
for unsigned numbers of 64 bits but `numeric`, and writes no names of a record's fields; an error is one whatever its
words are, as long as it is about the statement.
"""
import argparse
import pathlib
import re
import sys
import tempfile
import time

import wire
from records import read
from tables import Tables
from words import Missing, bare, sorted_outside

# What DataFusion's runner puts into the session before a file.
BEFORE = {
    "cte.slt": ["CREATE TABLE orders(order_id INT) AS VALUES (1), (2)"],
    "joins.slt": [
        "CREATE TABLE test_partition_table AS SELECT arrow_cast(0, 'UInt32') AS c1, "
        "arrow_cast(value, 'UInt64') AS c2, value % 2 = 0 AS c3 FROM range(1, 11)",
    ],
}
# Options that change which statements there are, or what they mean; and what they are when nobody sets them.
MEANINGS = {
    "datafusion.sql_parser.default_null_ordering": "nulls_max",
    "datafusion.sql_parser.enable_ident_normalization": "true",
    "datafusion.sql_parser.dialect": "generic",
    "datafusion.execution.enable_recursive_ctes": "true",
}
WRITES = re.compile(r"(CREATE|DROP|INSERT|COPY|UPDATE|DELETE|TRUNCATE|ALTER)\b", re.I)
# What a statement has that neither SQL nor PostgreSQL knows, while the node reads PostgreSQL's dialect.
DIALECT = re.compile(
    r"`|\bFROM\s+VALUES\b|\*\s*(?:EXCLUDE|EXCEPT|REPLACE)\b|\{\s*\w+\s*:|\{''\s*:|\bAS\s+''"
    r"|\b(?:IGNORE|RESPECT)\s+NULLS\s*\)",
    re.I,
)
# A time with more digits than six.
NANOSECONDS = re.compile(r"\d\d:\d\d:\d\d\.\d{7}")
# Seconds of an interval in Arrow's words, with more digits than six that say something.
OF_INTERVALS = re.compile(r"\d\.\d{6}(?=\d*[1-9])\d+ secs\b")
# Where an error is not about the statement: the node's, or the connection's.
NOT_THE_STATEMENT = ("53", "57", "58", "08")


class Skipped(Exception):
    """A record that is not portable, and why."""


def portable(sql, options):
    """Raises Skipped for what cannot be asked of any engine but DataFusion in a process of one's own."""
    if re.match(r"EXPLAIN\b", sql, re.I):
        raise Skipped("it shows a plan")
    setting = re.match(r"(SET|RESET|SHOW)\s+(?:VARIABLE\s+)?(datafusion\.[\w.]+)\s*(?:=|TO)?\s*(.*)", sql, re.I | re.S)
    if setting:
        option, value = setting[2].lower(), setting[3].strip("'; ").lower()
        if setting[1].upper() == "SET" and value != MEANINGS.get(option):
            options[option] = value
        elif setting[1].upper() != "SHOW":
            options.pop(option, None)
        raise Skipped("it is about an option of the engine")
    changed = [option for option in options if option in MEANINGS]
    if changed:
        raise Skipped(f"{changed[0]} changes what it means")
    if not WRITES.match(sql) and DIALECT.search(re.sub(r"'(?:[^']|'')*'", "''", sql)):
        raise Skipped("it is not in PostgreSQL's dialect")
    if re.search(r"\bWHERE\s+example\s*\(", sql, re.I):
        raise Skipped("it calls a function of DataFusion's own runner")
    if re.search(r"\bFROM\s+union_table\b", sql, re.I):
        raise Skipped("it asks a table of Arrow's unions, which DataFusion's own runner has")


def lines(kinds, rows):
    """An answer as its file has it: a line for each row, more for one whose last value has several."""
    for row in rows:
        cells = [wire.cell(kind, value) for kind, value in zip(kinds, row)]
        parts = cells[-1].split("\n") if cells else []
        if len(parts) < 2:
            yield " ".join(cells).rstrip()
            continue
        if cells[:-1]:
            yield " ".join(cells[:-1]).rstrip()
        for number, part in enumerate(parts, 1):
            rest = part.lstrip()
            yield f"{number:02}){'-' * (len(part) - len(rest))}{rest}".rstrip()


def alike(expected, found):
    """Whether two answers are one, where `<slt:ignore>` is anything."""
    if not any("<slt:ignore>" in line for line in expected):
        return expected == found
    at, whole = 0, "\n".join(found)
    for index, part in enumerate("\n".join(expected).split("<slt:ignore>")):
        place = whole.find(part, at)
        if place < 0 or (index == 0 and place != 0):
            return False
        at = place + len(part)
    return True


def judge(record, kinds, rows):
    """What is wrong with an answer, or None."""
    if record.types is None:
        return None
    if kinds is None:
        return "it answers without rows"
    got = wire.letters(kinds)
    fits = len(got) == len(record.types) and all(
        want not in "BDIPRT" or want == it or (want == "I" and kind == wire.NUMERIC)
        for want, it, kind in zip(record.types, got, kinds)
    )
    if not fits:
        return f"columns are {got}, not {record.types}"
    expected = [wire.plainly(line.rstrip(), kinds) for line in record.lines or []]
    found = [wire.plainly(line, kinds) for line in lines(kinds, rows)]
    if record.sort == "valuesort":
        expected, found = sorted(" ".join(expected).split()), sorted(" ".join(found).split())
    elif record.sort == "rowsort" or not sorted_outside(record.sql):
        expected, found = sorted(expected), sorted(found)
    if alike(expected, found):
        return None
    if len(expected) != len(found):
        return f"{len(found)} lines, not {len(expected)}"
    one, other = next((pair for pair in zip(found, expected) if pair[0] != pair[1]), ("", ""))
    return f"`{one}` is not `{other}`"


def carried_out(record, tables, connection, options):
    """What is wrong with a record, or None. Raises Skipped."""
    for condition, engine in record.conditions:
        if (condition == "skipif") == (engine.lower() == "datafusion"):
            raise Skipped("it is for another engine")
    sql = bare(record.sql)
    portable(sql, options)
    if any(NANOSECONDS.search(line) for line in record.lines or []):
        raise Skipped("its answer has times of nanoseconds")
    if "?" in (record.types or "") and any(OF_INTERVALS.search(line) for line in record.lines or []):
        raise Skipped("its answer has intervals of nanoseconds")
    try:
        if WRITES.match(sql) and record.error is not None:
            raise Skipped("it writes, and SQL here only reads")
        if tables.set_up(record.sql):
            raise Skipped("it sets up what others ask")
        asked = tables.addressed(record.sql.rstrip().rstrip(";"))
    except Missing as why:
        raise Skipped(str(why)) from None
    try:
        kinds, rows = connection.ask(asked)
    except wire.Refused as error:
        if record.error is None:
            return str(error)
        return str(error) if error.state.startswith(NOT_THE_STATEMENT) else None
    except wire.Broken as error:
        return str(error)
    return "no error" if record.error is not None else judge(record, kinds, rows)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("crate", type=pathlib.Path)
    arguments.add_argument("url")
    arguments.add_argument("port", type=int)
    arguments.add_argument("groups", type=lambda text: tuple(text.split(",")))
    arguments.add_argument("--only", default="")
    arguments.add_argument("--extended", action="store_true")
    wanted = arguments.parse_args()
    folder = wanted.crate / "test_files"
    paths = sorted(folder.glob("*.slt")) + sorted(folder.glob("pg_compat/*.slt"))
    connection = wire.Wire(wanted.port, wanted.extended)
    for path in paths:
        name = path.name
        records = read(path, name) if name.startswith(wanted.groups) else []
        # Later records of a file need what earlier ones set up: a file is run whole or not at all.
        if not any(wanted.only in record.place for record in records):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            tables, options = Tables(wanted.url, f"slt_{path.stem}", wanted.crate, pathlib.Path(scratch)), {}
            for statement in BEFORE.get(name, []):
                tables.set_up(statement)
            for record in records:
                begin, why = time.perf_counter(), None
                try:
                    why = carried_out(record, tables, connection, options)
                    verdict = "failed" if why else "passed"
                except Skipped as skipped:
                    verdict, why = "skipped", str(skipped)
                seconds = round(time.perf_counter() - begin, 3)
                if wanted.only in record.place:
                    why = " ".join((why or "").split())[:400]
                    print("outcome", record.place, verdict, seconds, why, sep="\t", flush=True)
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
