"""The words of a statement, and which of them name relations.

What it is NOT: a parser of SQL. It knows where a relation's name can stand, and what looks like one but is none.
"""
import re

TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      |(?P<string>[eE]?'(?:[^']|'')*'|\$\$.*?\$\$)
      |(?P<quoted>"(?:[^"]|"")*")
      |(?P<number>\d[\w.]*)
      |(?P<word>[A-Za-z_@][\w$@]*)
      |(?P<other>.)""",
    re.X | re.S,
)
# Words after which the list of relations is over, at the same depth.
ENDS = set("SELECT WHERE GROUP ORDER HAVING WINDOW QUALIFY LIMIT OFFSET FETCH UNION EXCEPT INTERSECT SET".split())
# Words that may follow a relation and are no alias.
AFTER = ENDS | set("ON USING JOIN INNER LEFT RIGHT FULL CROSS NATURAL SEMI ANTI LATERAL TABLESAMPLE PIVOT ASOF".split())
# Functions with FROM between their arguments.
FROM_INSIDE = {"EXTRACT", "TRIM", "SUBSTRING", "OVERLAY", "POSITION"}


class Missing(Exception):
    """A relation that is not there, and why."""


def tokens(sql):
    """Kind and text of each token, those that say nothing included."""
    return [(match.lastgroup, match.group()) for match in TOKEN.finditer(sql)]


def bare(sql):
    """The statement without remarks, and without what ends it."""
    text = "".join(" " if kind == "space" else text for kind, text in tokens(sql))
    return text.strip().rstrip(";").strip()


def identifier(kind, text):
    """What a name is called: letters are small unless it is quoted."""
    return text[1:-1].replace('""', '"') if kind == "quoted" else text.lower()


def named(name):
    """A name as it can be written anywhere."""
    return '"' + name.replace('"', '""') + '"'


def sorted_outside(sql):
    """Whether the statement's own rows are ordered, not only those of a query inside."""
    depth = 0
    for kind, text in tokens(sql):
        depth += (text == "(") - (text == ")") if kind == "other" else 0
        if depth == 0 and kind == "word" and text.upper() == "ORDER":
            return True
    return False


def split(listed):
    """The parts of a list, between commas that no bracket holds."""
    parts, depth = [[]], 0
    for kind, text in listed:
        depth += (text in "([<") - (text in ")]>") if kind == "other" else 0
        if text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append((kind, text))
    return parts


def group(listed, at):
    """Where the bracket closes that opens at `at`."""
    depth = 0
    for index in range(at, len(listed)):
        text = listed[index][1]
        depth += (text == "(") - (text == ")")
        if depth == 0:
            return index
    raise ValueError("a bracket that does not close")


def of_with(said):
    """Names that the statement gives to queries of its own, NAME [(columns)] AS [NOT MATERIALIZED] (. For each the span
    within which it is known, that of the brackets around it, and the span of its query."""
    names, opened = {}, [(-1, len(said))]
    for at, (kind, text) in enumerate(said):
        while at > opened[-1][1]:
            opened.pop()
        try:
            if text == "(" and kind == "other":
                opened.append((at, group(said, at)))
            if kind not in ("word", "quoted") or at + 2 >= len(said):
                continue
            after = group(said, at + 1) + 1 if said[at + 1][1] == "(" else at + 1
            rest = [word.upper() for _, word in said[after : after + 4]]
            for words in (["AS", "("], ["AS", "MATERIALIZED", "("], ["AS", "NOT", "MATERIALIZED", "("]):
                if rest[: len(words)] == words:
                    start = after + len(words) - 1
                    names.setdefault(identifier(kind, text), []).append((opened[-1], (start, group(said, start))))
        except ValueError:
            # A statement that is wrong on purpose.
            continue
    return names


def rewritten(sql, lookup):
    """The statement with each relation in the words that `lookup(name)` has for it, or as it is where it has None. What
    has no other name keeps its own."""
    listed = tokens(sql)
    # Positions of tokens that say something.
    said = [at for at, (kind, _) in enumerate(listed) if kind != "space"]
    texts = [listed[at] for at in said]
    own = of_with(texts)
    recursive = any(kind == "word" and text.upper() == "RECURSIVE" for kind, text in texts)
    out = [text for _, text in listed]
    # For each open bracket: whether relations are listed in it, and whether FROM in it belongs to a function.
    stack, expects = [[False, False]], False
    at = 0
    while at < len(texts):
        kind, text = texts[at]
        upper = text.upper() if kind == "word" else text
        before = texts[at - 1] if at else ("", "")
        if kind == "other" and text == "(":
            function = before[0] == "word" and before[1].upper() in FROM_INSIDE
            stack.append([expects, function])
        elif kind == "other" and text == ")":
            if len(stack) > 1:
                stack.pop()
            expects = False
        elif upper == "FROM" and kind == "word":
            expects = not stack[-1][1] and before[1].upper() != "DISTINCT"
            stack[-1][0] = stack[-1][0] or expects
        elif upper == "JOIN" and kind == "word":
            expects = stack[-1][0] = True
        elif upper == "TABLE" and kind == "word" and (at == 0 or before[1] == "("):
            expects = True
        elif kind == "other" and text == ",":
            expects = stack[-1][0]
        elif kind == "word" and upper in ENDS | {"VALUES", "WITH"}:
            stack[-1][0] = expects = False
        elif expects and kind == "word" and upper in ("LATERAL", "ONLY"):
            pass
        elif expects and kind in ("word", "quoted"):
            expects, first, chain = False, at, [identifier(kind, text)]
            while at + 2 < len(texts) and texts[at + 1][1] == "." and texts[at + 2][0] in ("word", "quoted"):
                at += 2
                chain.append(identifier(*texts[at]))
            after = texts[at + 1] if at + 1 < len(texts) else ("", "")
            function = after[1] == "("
            # Within its own query a name means what it meant before, unless that query asks itself.
            places = own.get(chain[0], []) if len(chain) == 1 else []
            shadowed = any(
                known[0] < first < known[1] and (recursive or not query[0] < first < query[1])
                for known, query in places
            )
            if not function and not shadowed and chain[:-1] in ([], ["public"], ["datafusion", "public"]):
                alias = after[0] == "quoted" or (after[0] == "word" and after[1].upper() not in AFTER)
                instead = lookup(chain[-1])
                if instead is not None:
                    out[said[first]] = instead if alias else f"{instead} AS {named(chain[-1])}"
                    for index in range(said[first] + 1, said[at] + 1):
                        out[index] = ""
        elif expects:
            expects = False
        at += 1
    return "".join(out)
