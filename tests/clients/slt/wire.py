"""Statements over PostgreSQL's protocol, and answers in the words that sqllogictest files have for them.

The rules are those of DataFusion's own runner (`engines/conversion.rs`, `engines/datafusion_engine/normalize.rs` of
`datafusion-sqllogictest`), for values as the protocol brings them: in its text format, with the types that it names.
"""
import decimal
import json
import re
import select
import time

from psycopg import pq

decimal.getcontext().prec = 200
# So long may an answer take.
PATIENCE_SECONDS = 60

BOOL, BYTEA, INT8, INT2, INT4, TEXT, OID, FLOAT4, FLOAT8, UNKNOWN = 16, 17, 20, 21, 23, 25, 26, 700, 701, 705
CHAR, NAME, BPCHAR, VARCHAR, DATE, TIME, STAMP, STAMPTZ, INTERVAL = 18, 19, 1042, 1043, 1082, 1083, 1114, 1184, 1186
NUMERIC, RECORD, INTERVALS, RECORDS, JSON = 1700, 2249, 1187, 2287, 114
LETTERS = {
    BOOL: "B", INT2: "I", INT4: "I", INT8: "I", OID: "I", FLOAT4: "R", FLOAT8: "R", NUMERIC: "R", DATE: "D", TIME: "D",
    STAMP: "P", STAMPTZ: "P", TEXT: "T", VARCHAR: "T", BPCHAR: "T", NAME: "T", CHAR: "T",
}
# Arrays, and what is in them.
ARRAYS = {
    1000: BOOL, 1001: BYTEA, 1005: INT2, 1007: INT4, 1016: INT8, 1021: FLOAT4, 1022: FLOAT8, 1009: TEXT, 1015: VARCHAR,
    1182: DATE, 1183: TIME, 1115: STAMP, 1185: STAMPTZ, INTERVALS: INTERVAL, 1231: NUMERIC, RECORDS: RECORD,
}


class Refused(Exception):
    """An error that the node answered with: its state, and its words."""

    def __init__(self, state, words):
        super().__init__(f"{state}: {words}")
        self.state, self.words = state, words


class Broken(Exception):
    """No answer."""


class Wire:
    """A connection, made anew when it breaks."""

    def __init__(self, port, extended):
        self.place = f"host=127.0.0.1 port={port} user=slt dbname=headwater connect_timeout=10".encode()
        self.extended, self.connection = extended, None

    def ask(self, sql):
        """The types of the columns, and the rows as the protocol has them; two Nones where it only says that it did.

        Raises Refused, and Broken when the connection ends or nothing comes for a minute."""
        if self.connection is None:
            self.connection = pq.PGconn.connect(self.place)
            if self.connection.status != pq.ConnStatus.OK:
                words = self.connection.get_error_message()
                self.connection = None
                raise Broken(f"no connection: {words.strip()}")
        results = []
        try:
            if self.extended:
                self.connection.send_query_params(sql.encode(), None)
            else:
                self.connection.send_query(sql.encode())
            end = time.monotonic() + PATIENCE_SECONDS
            while True:
                while self.connection.is_busy():
                    if not select.select([self.connection.socket], [], [], max(end - time.monotonic(), 0))[0]:
                        raise Broken(f"no answer in {PATIENCE_SECONDS} s")
                    self.connection.consume_input()
                result = self.connection.get_result()
                if result is None:
                    break
                results.append(result)
        except Broken:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise Broken(f"the connection ended: {error}".strip()) from None
        if self.connection.status != pq.ConnStatus.OK:
            words = self.connection.get_error_message().strip()
            self.close()
            raise Broken(f"the connection ended: {words}")
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise Refused(*told(result))
        answer = next((result for result in reversed(results) if result.status == pq.ExecStatus.TUPLES_OK), None)
        if answer is None:
            return None, None
        columns = range(answer.nfields)
        rows = [[answer.get_value(row, column) for column in columns] for row in range(answer.ntuples)]
        return [answer.ftype(column) for column in columns], rows

    def close(self):
        """Ends the connection; the next statement makes another."""
        if self.connection is not None:
            self.connection.finish()
        self.connection = None


def told(result):
    fields = (pq.DiagnosticField.MESSAGE_PRIMARY, pq.DiagnosticField.MESSAGE_DETAIL, pq.DiagnosticField.MESSAGE_HINT)
    state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
    words = [(result.error_field(field) or b"").decode(errors="replace") for field in fields]
    return state.decode(), "; ".join(word for word in words if word)


def plain(text):
    """A number, rounded to twelve digits after the point, without zeros at the end or an exponent."""
    lower = text.lower()
    if lower in ("nan", "-nan"):
        return "NaN"
    if lower in ("infinity", "inf", "-infinity", "-inf"):
        return "-Infinity" if lower.startswith("-") else "Infinity"
    number = decimal.Decimal(text)
    if number.as_tuple().exponent < -12:
        number = number.quantize(decimal.Decimal("1e-12"), decimal.ROUND_HALF_EVEN)
    shown = f"{number:f}"
    shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return "0" if shown in ("-0", "") else shown


def fraction(text):
    """Seconds with three, six or nine digits after the point, or none, as Arrow shows them."""
    def digits(found):
        kept = found.group(1).rstrip("0")
        return "." + kept.ljust(-(-len(kept) // 3) * 3, "0") if kept else ""
    return re.sub(r"\.(\d+)", digits, text)


def instant(text):
    text = fraction(text.replace(" ", "T", 1))
    text = re.sub(r"([+-]\d\d)$", r"\1:00", text)
    return re.sub(r"\+00:00$", "Z", text)


def measured(months, days, nanos):
    """An interval, however it was written."""
    return f"interval({months}, {days}, {nanos})"


def span(text):
    """An interval as PostgreSQL writes it: `1 year 2 mons 3 days 04:05:06.7`."""
    months = days = nanos = 0
    for number, unit in re.findall(r"([+-]?\d+) (year|mon|day)", text):
        months += int(number) * {"year": 12, "mon": 1, "day": 0}[unit]
        days += int(number) if unit == "day" else 0
    clock = re.search(r"([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?", text)
    if clock:
        sign, hours, minutes, seconds, part = clock.groups()
        nanos = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 10**9 + int((part or "").ljust(9, "0"))
        nanos = -nanos if sign == "-" else nanos
    return measured(months, days, nanos)


UNITS = {"year": 12, "mon": 1, "day": 1, "hour": 3600 * 10**9, "min": 60 * 10**9, "sec": 10**9}
PART = r"-?\d+(?:\.\d+)? (?:year|mon|day|hour|min|sec)s?"


def spans(line):
    """A line whose intervals, in Arrow's words for intervals or durations, are measured. Two beside each other are told
    apart by their units, which go from large to small."""
    def each(found):
        parts, done, last = [0, 0, 0], [], -1
        for number, unit in re.findall(r"(-?\d+(?:\.\d+)?) (year|mon|day|hour|min|sec)", found.group()):
            rank = list(UNITS).index(unit)
            if rank <= last:
                done.append(measured(*parts))
                parts = [0, 0, 0]
            last = rank
            parts[max(rank - 1, 0) if rank < 3 else 2] += int(decimal.Decimal(number) * UNITS[unit])
        return " ".join([*done, measured(*parts)])

    return re.sub(rf"(?<![\w.]){PART}(?: {PART})*\b", each, line)


def items(text):
    """The items of an array as PostgreSQL writes it; None for NULL, lists for arrays within."""
    at = 0

    def one():
        nonlocal at
        if text[at] == "{":
            at += 1
            found = []
            while text[at] != "}":
                found.append(one())
                at += text[at] == ","
            at += 1
            return found
        if text[at] == '"':
            at += 1
            said = ""
            while text[at] != '"':
                at += text[at] == "\\"
                said += text[at]
                at += 1
            at += 1
            return said
        start = at
        while text[at] not in ",}":
            at += 1
        return None if text[start:at] == "NULL" else text[start:at]

    return one()


def listed(item, kind):
    """An item of a list in Arrow's words."""
    if isinstance(item, list):
        return f"[{', '.join(listed(one, kind) for one in item)}]"
    if item is None:
        return "NULL"
    if kind in (FLOAT4, FLOAT8):
        # In lists numbers are not rounded, and a whole one says that it is none.
        number = float(item)
        return item if number != number or number in (float("inf"), -float("inf")) else repr(number)
    return item if kind in (TEXT, VARCHAR, NUMERIC) else shown(kind, item)


def worded(value):
    """A value of JSON, whose objects are pairs and whose numbers are text, in Arrow's words for structs and maps."""
    if isinstance(value, tuple):
        return f"{{{', '.join(f'{name}: {worded(one)}' for name, one in value)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(worded, value))}]"
    return {None: "NULL", True: "true", False: "false"}.get(value, value)


def shown(kind, text):
    """A value that is not NULL."""
    if kind == JSON:
        return worded(json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=tuple))
    if kind == BOOL:
        return {"t": "true", "f": "false"}.get(text, text)
    if kind in (FLOAT4, FLOAT8, NUMERIC):
        return plain(text)
    if kind in (TEXT, VARCHAR, BPCHAR, NAME, CHAR):
        return text.rstrip("\n").replace("\0", "\\0") if text else "(empty)"
    if kind == BYTEA:
        return text.removeprefix("\\x")
    if kind in (STAMP, STAMPTZ):
        return instant(text)
    if kind == TIME:
        return fraction(text)
    if kind == INTERVAL:
        return span(text)
    if kind == RECORD:
        return text.replace('"', "")
    if kind in ARRAYS and text.startswith("{"):
        return listed(items(text), ARRAYS[kind])
    return text


def cell(kind, value):
    """A value as its file has it."""
    return "NULL" if value is None else shown(kind, value.decode())


def nameless(found):
    """`{a: 1, b: NULL}` as PostgreSQL writes it, `(1,)`."""
    fields = (re.sub(r"^\w+: ", "", field) for field in found.group(1).split(", "))
    return f"({','.join('' if field == 'NULL' else field for field in fields)})"


def plainly(line, kinds):
    """A line of a file without differences between Arrow's types that PostgreSQL has one type for: intervals and
    durations, and dates, which with one of Arrow's types have a time of day that is always midnight. Records lose the
    names of their fields."""
    if any(kind in (RECORD, RECORDS) for kind in kinds):
        line = re.sub(r"\{([^{}]*)\}", nameless, line)
    if any(kind in (INTERVAL, INTERVALS) for kind in kinds):
        line = spans(line)
    if DATE in kinds:
        line = re.sub(r"(\d{4}-\d\d-\d\d)T00:00:00(?![\d.:Z+-])", r"\1", line)
    return line


def letters(kinds):
    """The types of columns as a file has them."""
    return "".join(LETTERS.get(kind, "?") for kind in kinds)
