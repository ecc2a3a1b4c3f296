"""What the statements that set up a file make: tables in a namespace of the node's Iceberg catalog, datasets, and views.

The node's SQL only reads. So their queries are asked of the node, and what it answers, in Arrow's types, is written
through the catalog when a later statement names the table. Where the catalog has no type for a column (numbers without
a sign, of 8 or 16 bits, nanoseconds, dictionaries), the queries themselves stand in later statements in the table's
place. A file that the crate does not bring makes a table Missing.

A table with a PRIMARY KEY is a Dataset with that key, since nobody checks the keys of the catalog's tables: its rows are
events of a stream. Datasets have times with a zone alone. So a statement is given their columns without it, except where
they are part of the key, which a cast would lose. A table whose types, names or rows a dataset cannot have (a key that is
NULL or comes twice, numbers that JSON has none for) is made through the catalog, without its key.

What it is NOT: a database. Other constraints, and options, are passed over.
"""
import datetime
import itertools
import json
import math
import re
import time
import urllib.error
import urllib.request

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pyiceberg.catalog.rest import RestCatalog

from words import Missing, bare, group, identifier, named, rewritten, split, tokens

# Types that Iceberg has under another name.
TYPES = {
    pa.types.is_large_string: pa.string(),
    pa.types.is_string_view: pa.string(),
    pa.types.is_large_binary: pa.binary(),
    pa.types.is_binary_view: pa.binary(),
    pa.types.is_time: pa.time64("us"),
}
KEPT = (
    pa.types.is_boolean, pa.types.is_int32, pa.types.is_int64, pa.types.is_float32, pa.types.is_float64,
    pa.types.is_string, pa.types.is_binary, pa.types.is_fixed_size_binary, pa.types.is_date32,
    pa.types.is_decimal128,
)
# Types that datasets have by the same name, and theirs.
OF_DATASETS = {
    pa.bool_(): "boolean", pa.int32(): "int", pa.int64(): "long", pa.float32(): "float", pa.float64(): "double",
    pa.string(): "string", pa.timestamp("us"): "timestamp",
}
# So long may rows take until a query sees them.
PATIENCE_SECONDS = 30
NAME = r'(?P<name>"(?:[^"]|"")+"|[\w.$]+)'
CREATE = re.compile(
    r"CREATE\s+(OR\s+REPLACE\s+)?(UNBOUNDED\s+)?(?P<external>EXTERNAL\s+)?(TEMP(ORARY)?\s+)?TABLE\s+"
    r"(IF\s+NOT\s+EXISTS\s+)?" + NAME + r"\s*(?P<rest>.*)", re.I | re.S)
VIEW = re.compile(
    r"CREATE\s+(OR\s+REPLACE\s+)?(TEMP(ORARY)?\s+)?VIEW\s+(IF\s+NOT\s+EXISTS\s+)?" + NAME
    + r"\s*(?P<columns>\([^)]*\))?\s*AS\s+(?P<query>.*)", re.I | re.S)
DROP = re.compile(r"DROP\s+(TABLE|VIEW)\s+(IF\s+EXISTS\s+)?" + NAME + r"\s*$", re.I)
INSERT = re.compile(r"INSERT\s+INTO\s+(TABLE\s+)?" + NAME + r"\s*(?P<rest>.*)", re.I | re.S)
# What PostgreSQL has for CREATE TABLE AS.
INTO = re.compile(r"(?P<what>SELECT\s.*?)\sINTO\s+" + NAME + r"\s+(?P<from>FROM\s.*)", re.I | re.S)
COPY = re.compile(r"COPY\s+(?P<from>.*?)\s+TO\s+'(?P<to>[^']+)'(?P<rest>.*)", re.I | re.S)


def kept(kind):
    """The type that Iceberg has for one of Arrow's."""
    for is_it, instead in TYPES.items():
        if is_it(kind):
            return instead
    if any(is_it(kind) for is_it in KEPT):
        return kind
    if pa.types.is_timestamp(kind) and kind.tz in (None, "UTC", "+00:00"):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", kept(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, kept(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(kept(kind.key_type), kept(kind.item_type))
    raise Missing(f"the catalog has no type for Arrow's {kind}")


class Table:
    """A table as it was made: the queries whose rows are in it, and where the rows are.

    Rows wait in `pending` until the table is asked for. Where the catalog has no type for a column they do not go there
    at all, and the queries stand for the table: `inline` says why."""

    def __init__(self, names, declared, key=()):
        self.names, self.declared, self.key = names, declared, list(key)
        # With a key: the name of its dataset, and the keys of its rows.
        self.dataset, self.keys = None, set()
        self.queries, self.schema, self.pending, self.made, self.inline = [], None, [], False, None

    def add(self, rows, query):
        if query is not None:
            self.queries.append(f"({query})")
        try:
            if self.schema is None:
                self.schema = pa.schema([pa.field(field.name, kept(field.type)) for field in rows.schema])
            self.pending.append(as_kept(rows, self.schema))
        except Missing as why:
            if query is None:
                raise
            self.inline = str(why)


class Tables:
    """Everything that a file has set up so far."""

    def __init__(self, url, namespace, crate, scratch):
        self.url, self.namespace, self.crate, self.scratch = url, namespace, crate, scratch
        self.catalog = RestCatalog("node", uri=f"{url}/iceberg")
        self.catalog.create_namespace(namespace)
        self.tables, self.views, self.missing = {}, {}, {}
        # Datasets are one space for all files, and one that is dropped may be made anew.
        self.numbers = itertools.count(1)

    def rows(self, query):
        """What the node answers, in Arrow's types."""
        body = json.dumps({"query": self.addressed(query), "format": "arrow"}).encode()
        request = urllib.request.Request(f"{self.url}/v1/sql", body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return pa.ipc.open_stream(answer.read()).read_all()
        except urllib.error.HTTPError as error:
            problem = json.loads(error.read())
            words = "; ".join([problem.get("title", ""), *problem.get("causes", [])])
            raise Missing(f"set-up fails: {words}") from None

    def addressed(self, sql):
        """A statement that names relations where they are."""
        return rewritten(sql, self.found)

    def found(self, name):
        """What stands for a relation's name."""
        if name in self.missing:
            raise Missing(self.missing[name])
        if name in self.views:
            return f"({self.views[name]})"
        table = self.tables.get(name)
        if table is None:
            return None
        if table.inline:
            return f"({' UNION ALL '.join(table.queries)})"
        return self.write(name, table)

    def write(self, name, table):
        """Brings the node up to date with a table; what stands for its name."""
        if table.key and not table.made and not is_keyable(table):
            table.key = []
        if table.key:
            return self.produce(name, table)
        place = (self.namespace, name)
        if not table.made:
            self.catalog.create_table(place, schema=table.schema)
            table.made = True
        rows = [rows for rows in table.pending if rows.num_rows]
        if rows:
            self.catalog.load_table(place).append(pa.concat_tables(rows))
        table.pending = []
        return f"{named(self.namespace)}.{named(name)}"

    def produce(self, name, table):
        """Brings a dataset up to date with a table that has a key; what stands for the table's name."""
        if not table.made:
            table.dataset = f"{self.namespace}_{next(self.numbers)}_{re.sub('[^a-z0-9_]', '_', name.lower())}"
            self.post("/v1/apply", "\n---\n".join(map(json.dumps, resources(table))), "application/yaml")
            table.made = True
        rows = [row for rows in table.pending for row in rows.to_pylist()]
        keys = [tuple(row[it] for it in table.key) for row in rows]
        if len({*table.keys, *keys}) != len(table.keys) + len(keys) or not all(map(is_sendable, rows)):
            raise Missing(f"the dataset for {name} cannot have rows that came later")
        if rows:
            self.post(f"/v1/streams/{table.dataset}/events", json.dumps([event(table, row) for row in rows]))
            table.keys.update(keys)
            self.await_rows(table)
        table.pending = []
        return of_dataset(table)

    def post(self, path, body, media="application/json"):
        request = urllib.request.Request(f"{self.url}{path}", body.encode(), {"content-type": media})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as error:
            raise Missing(f"set-up fails: {error.read().decode(errors='replace')}") from None
        if told.get("rejectedTotal"):
            raise Missing(f"set-up fails: {told}")

    def await_rows(self, table):
        """Waits until a query sees all rows of a dataset."""
        end, count = time.monotonic() + PATIENCE_SECONDS, f"SELECT count(*) AS n FROM {named(table.dataset)}"
        while (seen := self.rows(count)["n"][0].as_py()) != len(table.keys):
            if time.monotonic() > end:
                raise Missing(f"{seen} of {len(table.keys)} rows are seen")

    def set_up(self, sql):
        """Carries a statement out; False when it sets nothing up. Raises Missing when that cannot be."""
        sql = bare(sql)
        into = INTO.fullmatch(sql)
        if into:
            sql = f"CREATE TABLE {into['name']} AS {into['what']} {into['from']}"
        for pattern, carry_out in ((CREATE, self.create), (VIEW, self.view), (DROP, self.drop), (INSERT, self.insert)):
            match = pattern.fullmatch(sql)
            if match:
                name = called(match["name"])
                try:
                    carry_out(name, match)
                except Missing as why:
                    if pattern is not DROP:
                        self.missing[name] = str(why)
                    raise
                return True
        match = COPY.fullmatch(sql)
        if match:
            self.copy(match)
        elif not re.match(r"(CREATE|DROP|INSERT|COPY|UPDATE|DELETE|TRUNCATE|ALTER)\b", sql, re.I):
            return False
        else:
            raise Missing("it is no statement that the runner can carry out")
        return True

    def forget(self, name):
        table = self.tables.pop(name, None)
        if table is not None and table.made and table.dataset is None:
            self.catalog.drop_table((self.namespace, name))
        self.views.pop(name, None)
        self.missing.pop(name, None)

    def create(self, name, match):
        listed, rest = tokens(match["rest"]), match["rest"]
        columns, key = [], []
        if rest.startswith("("):
            end = group(listed, 0)
            said = [token for token in listed[1:end] if token[0] != "space"]
            columns = list(filter(None, map(column, split(said))))
            key = [it for part in split(said) for it in of_key(part)]
            rest = "".join(text for _, text in listed[end + 1 :]).strip()
        asked = re.match(r"AS\s+(.*)", rest, re.I | re.S)
        self.forget(name)
        query = None
        if match["external"]:
            rows = self.external(columns, rest)
        elif asked or columns:
            query = self.addressed(cast(asked[1], columns) if asked and columns else asked[1] if asked else no(columns))
            rows = self.rows(query)
        else:
            raise Missing("the catalog has no tables without columns")
        table = Table(rows.schema.names, dict(columns), [] if match["external"] else key)
        table.add(rows, query)
        self.tables[name] = table

    def external(self, columns, rest):
        location = re.search(r"LOCATION\s+'([^']+)'", rest, re.I)[1]
        path = self.place(location)
        files = sorted(path.rglob("*.*")) if path.is_dir() else [path] if path.is_file() else []
        if re.search(r"PARTITIONED\s+BY", rest, re.I) or any("=" in file.parent.name for file in files):
            raise Missing("the runner reads no partitioned folders")
        if not files and not location.startswith("test_files/scratch/"):
            raise Missing(f"the crate has no file {location}")
        if not files:
            return self.rows(no(columns))
        if re.search(r"STORED\s+AS\s+PARQUET", rest, re.I):
            return pa.concat_tables(pa.parquet.read_table(file) for file in files)
        if not re.search(r"STORED\s+AS\s+CSV", rest, re.I):
            raise Missing("the runner reads CSV and Parquet alone")
        header = not re.search(r"has_header'?\s+'?false", rest, re.I)
        names = [it for it, _ in columns]
        how = pa.csv.ReadOptions(
            column_names=names or None, skip_rows=1 if header and names else 0, autogenerate_column_names=False
        )
        kinds = {it: pa.string() for it in names}
        convert = pa.csv.ConvertOptions(column_types=kinds, strings_can_be_null=True, null_values=[""])
        text = pa.concat_tables(pa.csv.read_csv(file, read_options=how, convert_options=convert) for file in files)
        if not columns:
            return text
        schema = self.rows(no(columns)).schema
        return as_kept(text, pa.schema([pa.field(field.name, kept(field.type)) for field in schema]))

    def place(self, location):
        if location.startswith("test_files/scratch/"):
            return self.scratch / location.removeprefix("test_files/scratch/")
        return self.crate / location

    def view(self, name, match):
        query = match["query"]
        if match["columns"]:
            query = f"SELECT * FROM ({query}) AS q{match['columns']}"
        self.forget(name)
        self.views[name] = self.addressed(query)

    def drop(self, name, match):
        if name in self.missing:
            why = self.missing[name]
            self.forget(name)
            raise Missing(why)
        self.forget(name)

    def insert(self, name, match):
        if name in self.missing:
            raise Missing(self.missing[name])
        table = self.tables.get(name)
        if table is None:
            raise Missing(f"there is no table {name}")
        names, rest = table.names, match["rest"]
        listed = tokens(rest)
        inner = next((text.upper() for kind, text in listed[1:] if kind != "space"), "")
        if rest.startswith("(") and inner not in ("SELECT", "VALUES", "WITH", "("):
            end = group(listed, 0)
            names = [identifier(*token) for token in listed[1:end] if token[0] in ("word", "quoted")]
            rest = "".join(text for _, text in listed[end + 1 :])
        at = {it: f"c{index}" for index, it in enumerate(names)}
        values = [(at.get(it, "NULL"), it) for it in table.names]
        of = table.declared
        cells = (f"CAST({value} AS {of[it]})" if it in of else value for value, it in values)
        shown = ", ".join(f"{cell} AS {named(it)}" for cell, it in zip(cells, table.names))
        query = self.addressed(f"SELECT {shown} FROM ({rest.strip()}) AS q({', '.join(at.values())})")
        table.add(self.rows(query), query)

    def copy(self, match):
        source, to = match["from"], self.place(match["to"])
        query = source[1:-1] if source.startswith("(") else f"SELECT * FROM {source}"
        if re.search(r"PARTITIONED\s+BY", match["rest"], re.I):
            raise Missing("the runner writes no partitioned folders")
        rows = self.rows(query)
        stored = re.search(r"STORED\s+AS\s+(\w+)", match["rest"], re.I)
        form = (stored[1] if stored else to.suffix.lstrip(".")).lower()
        if to.suffix == "":
            to = to / f"part-0.{form}"
        to.parent.mkdir(parents=True, exist_ok=True)
        if form == "parquet":
            pa.parquet.write_table(rows, to)
        elif form == "csv":
            pa.csv.write_csv(rows, to)
        else:
            raise Missing(f"the runner writes no {form}")


def called(name):
    return identifier("quoted" if name.startswith('"') else "word", name).split(".")[-1]


def column(part):
    """Name and type of a column's definition; None for a constraint of the table, and for nothing."""
    words = [text.upper() for _, text in part]
    if not words or words[0] in ("PRIMARY", "UNIQUE", "CONSTRAINT", "FOREIGN", "CHECK"):
        return None
    ends = [at for at, word in enumerate(words) if at and word in ("NOT", "NULL", "DEFAULT", "PRIMARY", "UNIQUE", "AS")]
    kind = " ".join(text for _, text in part[1 : min(ends, default=len(part))])
    return identifier(*part[0]), kind


def of_key(part):
    """The columns of the primary key that a column's definition, or a constraint of the table, names."""
    said = [text.upper() for _, text in part]
    at = next((at for at in range(len(said) - 1) if said[at : at + 2] == ["PRIMARY", "KEY"]), None)
    if at is None:
        return []
    if at + 2 < len(said) and said[at + 2] == "(":
        return [identifier(*token) for token in part[at + 3 : group(part, at + 2)] if token[1] != ","]
    return [identifier(*part[0])]


def is_sendable(row):
    """Whether JSON has all values of a row."""
    return all(not isinstance(value, float) or math.isfinite(value) for value in row.values())


def is_keyable(table):
    """Whether a dataset can be what a table is."""
    rows = [row for rows in table.pending for row in rows.to_pylist()]
    keys = [tuple(row.get(it) for it in table.key) for row in rows]
    return (
        all(field.type in OF_DATASETS and re.fullmatch("[a-z_][a-z0-9_]*", field.name) for field in table.schema)
        and all(it in table.names and not pa.types.is_floating(table.schema.field(it).type) for it in table.key)
        and len(set(keys)) == len(keys)
        and not any(None in key for key in keys)
        and all(map(is_sendable, rows))
    )


def resources(table):
    """The stream and the dataset of a table with a key."""
    head = {"apiVersion": "headwater.dev/v1", "metadata": {"name": table.dataset}}
    columns = [
        {"name": field.name, "type": OF_DATASETS[field.type], "path": f".c{at}", "required": field.name in table.key}
        for at, field in enumerate(table.schema)
    ]
    dataset = {"stream": table.dataset, "key": table.key, "columns": columns}
    # Of one partition: the order of its events is that of the rows.
    return [{**head, "kind": "Stream", "spec": {"partitions": 1}}, {**head, "kind": "Dataset", "spec": dataset}]


def event(table, row):
    """A row as an event."""
    def said(value):
        return value.isoformat() + "Z" if isinstance(value, datetime.datetime) else value
    return {f"c{at}": said(row[it]) for at, it in enumerate(table.schema.names)}


def of_dataset(table):
    """What gives the rows of a dataset in the types of its table."""
    place = named(table.dataset)
    zoned = {field.name for field in table.schema if pa.types.is_timestamp(field.type)} - set(table.key)
    if not zoned:
        return place
    columns = (f"CAST({named(it)} AS timestamp) AS {named(it)}" if it in zoned else named(it) for it in table.names)
    return f"(SELECT {', '.join(columns)} FROM {place})"


def cast(query, columns):
    """A query whose columns have these names and types."""
    names = [f"c{index}" for index in range(len(columns))]
    casts = ", ".join(f"CAST({at} AS {kind}) AS {named(it)}" for at, (it, kind) in zip(names, columns))
    return f"SELECT {casts} FROM ({query}) AS q({', '.join(names)})"


def no(columns):
    """A query for no rows of these columns."""
    nothing = ", ".join(f"CAST(NULL AS {kind}) AS {named(it)}" for it, kind in columns)
    return f"SELECT {nothing} WHERE false"


def as_kept(rows, schema):
    """Rows in the types that the catalog has; columns that they lack are NULL."""
    columns = []
    for field in schema:
        if field.name not in rows.schema.names:
            columns.append(pa.nulls(rows.num_rows, field.type))
            continue
        values = rows[field.name]
        try:
            columns.append(values.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise Missing(f"the catalog cannot keep {values.type} as {field.type}: {error}") from None
    return pa.Table.from_arrays(columns, schema=schema)
