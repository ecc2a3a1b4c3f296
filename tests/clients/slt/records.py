"""The records of a sqllogictest file, as the `sqllogictest` crate reads them (its version that DataFusion 54 uses).

What it is NOT: it runs nothing, and knows no SQL.
"""
import dataclasses
import pathlib


@dataclasses.dataclass
class Record:
    """A statement or a query, and what it should answer."""

    place: str
    sql: str
    # A query's letters for its columns; None for a statement.
    types: str | None = None
    # `nosort`, `rowsort` or `valuesort`.
    sort: str = "nosort"
    # The lines of a query's answer; None where it is not said.
    lines: list[str] | None = None
    # The regular expression, or with `whole` the text, that an error's words should have; None where none should come.
    error: str | None = None
    whole: bool = False
    # `skipif` and `onlyif` with the names of engines.
    conditions: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def read(path, name):
    """All records of a file, those that it includes at their place. `name` is what places begin with."""
    lines = path.read_text().split("\n")
    records, conditions, at = [], [], 0

    def until_blank(at):
        block = []
        while at < len(lines) and lines[at].strip() and lines[at].strip() != "----":
            block.append(lines[at])
            at += 1
        return block, at

    while at < len(lines):
        words, line = lines[at].split(), at + 1
        at += 1
        if not words or words[0].startswith("#") or words[0] in ("subtest", "hash-threshold", "control", "sleep"):
            continue
        if words[0] == "halt":
            break
        if words[0] == "include":
            for other in sorted(path.parent.glob(words[1])):
                records += read(other, str(pathlib.PurePosixPath(name).parent / other.name))
            continue
        if words[0] in ("skipif", "onlyif"):
            conditions.append((words[0], words[1]))
            continue
        if words[0] not in ("statement", "query"):
            raise ValueError(f"{name}:{line}: `{words[0]}` is no record")
        block, at = until_blank(at)
        record = Record(f"{name}:{line}", "\n".join(block), conditions=conditions)
        conditions = []
        if words[1] == "error":
            record.error = lines[line - 1].split("error", 1)[1].strip()
        elif words[0] == "query":
            record.types = words[1]
            record.sort = words[2] if len(words) > 2 else "nosort"
        if at < len(lines) and lines[at].strip() == "----":
            at += 1
            answer = []
            if record.error is not None:
                # The words of an error may have an empty line in them; two end it.
                while at < len(lines) and (lines[at].strip() or (at + 1 < len(lines) and lines[at + 1].strip())):
                    answer.append(lines[at])
                    at += 1
                record.error, record.whole = "\n".join(answer).strip(), True
            else:
                while at < len(lines) and lines[at].strip():
                    answer.append(lines[at])
                    at += 1
                record.lines = answer
        records.append(record)
    return records
