//! Columns without a name, against what PostgreSQL 17 calls them.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;

/// The names of the columns; `=` stands for the engine's.
fn called(text: &str, columns: usize) -> String {
    let statement = Parser::parse_sql(&PostgreSqlDialect {}, text).unwrap().pop().unwrap();
    let names = names(&statement, columns).into_iter().map(|name| name.unwrap_or_else(|| "=".to_owned()));
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn columns_are_called_as_postgresql_calls_them() {
    for (selected, name) in [
        ("1", "?column?"),
        ("'a' || 'b'", "?column?"),
        ("-a", "?column?"),
        ("a IS NULL", "?column?"),
        ("NOT EXISTS (SELECT 1)", "?column?"),
        ("a", "a"),
        ("A", "a"),
        ("\"A\"", "A"),
        ("t.A", "a"),
        ("(a)", "a"),
        ("count(*)", "count"),
        ("COUNT(DISTINCT a)", "count"),
        ("pg_catalog.version()", "version"),
        ("sum(a) OVER (ORDER BY b)", "sum"),
        ("coalesce(a, 1)", "coalesce"),
        ("'1'::int", "int4"),
        ("'1'::int[]", "int4"),
        ("CAST('1' AS bigint)", "int8"),
        ("CAST('1' AS double precision)", "float8"),
        ("CAST('1' AS timestamp with time zone)", "timestamptz"),
        ("'1'::numeric(10, 2)", "numeric"),
        ("'x'::regtype", "regtype"),
        ("a::text", "a"),
        ("count(*)::int", "count"),
        ("('1'::int)::text", "text"),
        ("DATE '2026-01-01'", "date"),
        ("INTERVAL '1 day'", "interval"),
        ("CASE WHEN a THEN 1 END", "case"),
        ("CASE WHEN a THEN 1 ELSE 2 END", "case"),
        ("CASE WHEN a THEN 1 ELSE b END", "b"),
        ("CASE WHEN a THEN 1 ELSE '1'::int END", "case"),
        ("EXISTS (SELECT 1)", "exists"),
        ("(SELECT max(a) FROM t)", "max"),
        ("(SELECT 1 AS one)", "one"),
        ("(SELECT 1)::int", "?column?"),
        ("(SELECT '1'::int)::text", "int4"),
        ("ARRAY[1, 2]", "array"),
        ("extract(year FROM a)", "extract"),
        ("trim(a)", "btrim"),
        ("substring(a FROM 1)", "substring"),
        ("a AT TIME ZONE 'UTC'", "timezone"),
    ] {
        assert_eq!(called(&format!("SELECT {selected} FROM t"), 1), name, "{selected}");
    }
}

#[test]
fn names_stand_at_their_columns() {
    assert_eq!(called("SELECT 1, a AS b, 2, b AS \"B:1\"", 4), "?column? b ?column? B:1");
    assert_eq!(called("SELECT 1, *, count(*) FROM t", 5), "?column? = = = count");
    assert_eq!(called("SELECT 1, t.*, 2, u.*, 3 FROM t, u", 7), "?column? = = = = = ?column?");
    assert_eq!(called("(SELECT max(a) FROM t) UNION SELECT 1", 1), "max");
    assert_eq!(called("WITH u AS (SELECT 1) SELECT min(a) FROM u", 1), "min");
    assert_eq!(called("VALUES (1, 2)", 2), "= =");
    assert_eq!(called("SELECT unnest(a)", 2), "= =");
    assert_eq!(called("SHOW a", 1), "=");
}
