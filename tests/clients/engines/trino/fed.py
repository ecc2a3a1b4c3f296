"""Tables that streams feed: what Trino alone asks of them."""
from engines import rows, snapshots
from node import check


@check
def fed_described():
    types = {row[0]: row[1] for row in rows("DESCRIBE datasets.orders")}
    assert (types["id"], types["at"], types["day"], types["amount"]) == (
        "bigint",
        "timestamp(6) with time zone",
        "date",
        "decimal(12,2)",
    ), types
    assert (types["customer"], types["tags"]) == ('row("id" integer, "country" varchar)', "array(varchar)"), types
    text = rows("SHOW CREATE TABLE datasets.orders")[0][0]
    for words in ("partitioning = ARRAY['day(at)']", "sorted_by = ARRAY['id ASC NULLS FIRST']", "id bigint NOT NULL"):
        assert words in text, text
    assert rows("""SELECT count(*), count_if(is_nullable = 'NO') FROM information_schema.columns
        WHERE table_schema = 'datasets' AND table_name = 'orders'""") == [[10, 1]]


@check
def fed_hidden_columns():
    hidden = 'count(*), count(DISTINCT "$path") > 1, count("$file_modified_time"), count(DISTINCT "$partition")'
    assert rows(f"SELECT {hidden} FROM datasets.orders") == [[10, True, 10, 3]]
    assert rows('SELECT count(*) FROM datasets."orders$all_entries"')[0][0] > 0
    rows('SELECT * FROM datasets."orders$properties"')
    lowest = rows('SELECT min(lower_bounds[1]), max(upper_bounds[1]) FROM datasets."orders$files"')
    assert lowest == [[0, 9]], lowest


@check
def fed_changes():
    """The rows that were added between two snapshots."""
    first, last = snapshots("datasets.orders")
    words = f"start_snapshot_id => {first}, end_snapshot_id => {last}"
    changes = f"TABLE(system.table_changes(schema_name => 'datasets', table_name => 'orders', {words}))"
    assert rows(f"SELECT id, _change_type FROM {changes} ORDER BY id") == [[id, "insert"] for id in (6, 7, 8, 9)]


@check
def fed_statistics():
    told = {row[0]: row for row in rows("SHOW STATS FOR datasets.orders")}
    assert told[None][4] == 10 and told["id"][5:] == ["0", "9"], told


@check
def fed_joins():
    """Rows of one side that the other side's values leave out are not looked for."""
    query = """SELECT o.id, c.name FROM datasets.orders AS o
        JOIN (VALUES ('NL', 'Netherlands'), ('BE', 'Belgium')) AS c(code, name) ON o.customer.country = c.code
        WHERE contains(o.tags, 't4') OR json_extract_scalar(o.note, '$.n') = '5' ORDER BY o.id"""
    assert rows(query) == [[4, "Netherlands"], [5, "Belgium"]]
    query = """SELECT s.sku, count(*) FROM datasets.stock AS s, datasets.orders AS o
        WHERE o.id < s.pieces GROUP BY 1 ORDER BY 1"""
    assert rows(query) == [["chair", 4], ["lamp", 2]]
