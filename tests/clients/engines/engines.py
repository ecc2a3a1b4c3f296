"""The engine under test and the node, side by side: what the checks ask of both.

The engine is the module `engine` in the folder of its name; it is started when it is read. It says

- `execute(statement)`: a statement's rows, each something that can be gone through
- `text_of(error)`: an error in all its words, those of its causes, too
- `COLUMNS`, `USING`: of the tables that checks make, their columns, and what `CREATE TABLE` has after them
- `PARTITIONS`: names and what partitions a table that way, to be written after `USING`
- `part(table, name)`: one of a table's metadata tables
- `tables(namespace)`: the names of a namespace's tables
- `quoted(name)`: a name that is no plain word
- `AT_VERSION`, `AT_TIME`: what a snapshot's number, or a time, is written after
- `read_for(condition)`: a measure of how much of the orders is opened for those that fulfil a condition
- `REFUSED`: statements that would change tables that a stream feeds
- `stop()`
"""
import engine
from node import by_node, plain


def do(*statements):
    """Statements in the engine."""
    for statement in statements:
        engine.execute(statement)


def rows(query):
    return [[plain(value) for value in row] for row in engine.execute(query)]


def both(query, expected):
    """What a query gives, in the engine and at the node."""
    seen = rows(query)
    assert seen == expected, f"the engine has {seen}"
    seen = by_node(query)
    assert seen == expected, f"the node has {seen}"


def refused(statement, *words):
    """An error of the engine's, in which these words are."""
    try:
        do(statement)
    except Exception as error:
        text = engine.text_of(error)
        missing = [word for word in words if word not in text]
        assert not missing, f"`{missing}` is not in: {text}"
        return
    raise AssertionError(f"not refused: {statement}")


def snapshots(table):
    """The ids of a table's snapshots, the oldest first."""
    return [row[0] for row in rows(f"SELECT snapshot_id FROM {engine.part(table, 'snapshots')} ORDER BY committed_at")]


def made(table, columns=None, rest="", values=None):
    """A table with the rows (1, 'a'), (2, 'b'), (3, 'a') on three days."""
    do(f"CREATE TABLE {table} ({columns or engine.COLUMNS}) {engine.USING} {rest}")
    do(f"INSERT INTO {table} VALUES {values or ROWS}")


ROWS = ", ".join(f"({n}, '{kind}', timestamp'2026-01-0{n} 10:00:00')" for n, kind in ((1, "a"), (2, "b"), (3, "a")))


def many(table, rest=""):
    """A table in five snapshots: the rows of `made`, and 10 to 13 one by one."""
    made(table, rest=rest)
    do(*[f"INSERT INTO {table} VALUES ({n}, 'k{n % 2}', null)" for n in range(10, 14)])


def metadata_file(table):
    """Where a table's newest metadata is."""
    entries = engine.part(table, "metadata_log_entries")
    return rows(f"SELECT file FROM {entries} ORDER BY timestamp DESC LIMIT 1")[0][0]


def folder_of(table):
    """Where a table lies on the disk."""
    return metadata_file(table).removeprefix("file://").rsplit("/metadata/", 1)[0]
