//! Statements as drivers send them.

use super::*;

#[test]
fn other_statements_stay_what_they_are() {
    for text in [
        "SELECT 1",
        "SELECT oid FROM pg_catalog.pg_class",
        "no SQL at all",
        "SELECT '_pg_expandarray'",
        "SELECT n FROM asked WHERE text LIKE '%information_schema._pg_expandarray(%'",
        "SELECT n FROM asked -- information_schema._pg_expandarray(",
        r#"SELECT "con.confkey[pos.n]" FROM asked"#,
        "SELECT 'SELECT current_database() AS TABLE_CAT, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ \
         WHERE true AND i.indisprimary ORDER BY 1' AS text",
    ] {
        assert!(matches!(put(text), Cow::Borrowed(same) if same == text), "{text}");
    }
}

#[test]
fn a_question_for_keys_gets_its_columns_and_no_row() {
    let keys = r#"SELECT result."TABLE_CAT", result."COLUMN_NAME", result."KEY_SEQ" AS seq FROM (
        SELECT current_database() AS "TABLE_CAT", a.attname AS "COLUMN_NAME",
          (information_schema._pg_expandarray(i.indkey)).n AS "KEY_SEQ",
          information_schema._pg_expandarray(i.indkey) AS "KEYS", a.attnum AS "A_ATTNUM"
        FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
        JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid)
        WHERE ct.relname = 'it''s' AND i.indisprimary
      ) result WHERE result."A_ATTNUM" = (result."KEYS").x ORDER BY 1"#;
    assert_eq!(
        put(keys),
        r#"SELECT CAST(NULL AS text) AS "TABLE_CAT", CAST(NULL AS text) AS "COLUMN_NAME", CAST(NULL AS text) AS "seq" WHERE false"#
    );
    let indexes = r#"SELECT tmp.TABLE_NAME, trim(both '"' from pg_catalog.pg_get_indexdef(tmp.CI_OID, 1, false)) AS COLUMN_NAME,
        CASE tmp.AM_NAME WHEN 'btree' THEN CASE tmp.I_INDOPTION[tmp.ORDINAL_POSITION - 1] & 1 WHEN 1 THEN 'D' ELSE 'A' END
        ELSE NULL END AS ASC_OR_DESC
      FROM (SELECT ct.relname AS TABLE_NAME, (information_schema._pg_expandarray(i.indkey)).n AS ORDINAL_POSITION,
        i.indoption AS I_INDOPTION, am.amname AS AM_NAME, ci.oid AS CI_OID FROM pg_catalog.pg_class ct) AS tmp"#;
    let names = r#"SELECT CAST(NULL AS text) AS "table_name", CAST(NULL AS text) AS "column_name", CAST(NULL AS text) AS "asc_or_desc" WHERE false"#;
    assert_eq!(put(indexes), names);
    let foreign = r#"SELECT pkc.relname AS "PKTABLE_NAME", pos.n AS "KEY_SEQ" FROM pg_catalog.pg_class pkc,
        pg_catalog.pg_constraint con, pg_catalog.generate_series(1, 32) pos(n)
        WHERE con.contype = 'f' AND pka.attnum = con.confkey[pos.n] AND con.confrelid = pkc.oid"#;
    assert!(
        put(foreign).ends_with(r#""PKTABLE_NAME", CAST(NULL AS text) AS "KEY_SEQ" WHERE false"#),
        "{}",
        put(foreign)
    );
}

#[test]
fn a_question_for_primary_keys_is_put_to_the_information_schema() {
    let keys = "SELECT result.TABLE_CAT AS \"TABLE_CAT\", result.KEY_SEQ AS \"KEY_SEQ\" FROM (\
        SELECT current_database() AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME, \
        a.attname AS COLUMN_NAME, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME, \
        information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM FROM pg_catalog.pg_class ct \
        JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid) WHERE true AND n.nspname = 'public' \
        AND ct.relname = 'last' AND i.indisprimary ) result where result.A_ATTNUM = (result.KEYS).x \
        ORDER BY result.table_name, result.pk_name, result.key_seq";
    assert_eq!(
        put(keys),
        "SELECT result.TABLE_CAT AS \"TABLE_CAT\", result.KEY_SEQ AS \"KEY_SEQ\" FROM (\
         SELECT table_catalog AS TABLE_CAT, table_schema AS TABLE_SCHEM, table_name AS TABLE_NAME, \
         column_name AS COLUMN_NAME, ordinal_position AS KEY_SEQ, constraint_name AS PK_NAME \
         FROM information_schema.key_column_usage WHERE true AND table_schema = 'public' AND table_name = 'last' ) result \
         ORDER BY result.table_name, result.pk_name, result.key_seq"
    );
}

#[test]
fn what_nothing_here_knows_is_asked_otherwise() {
    assert_eq!(
        put("SELECT current_setting('server_version_num')::int/100 as version"),
        "SELECT '160006'::int/100 as version"
    );
    assert_eq!(put("SELECT setting FROM pg_catalog.pg_settings WHERE name='max_index_keys'"), "SELECT '32' AS setting");
    let types = "SELECT t.typname,t.oid FROM pg_catalog.pg_type t WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid))";
    assert_eq!(put(types), "SELECT t.typname,t.oid FROM pg_catalog.pg_type t WHERE (t.typrelid = 0 OR false)");
}

#[test]
fn a_type_is_looked_for_without_the_search_path() {
    let all = "SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid   FROM pg_catalog.pg_type   \
        LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r from pg_namespace as ns join ( select s.r, (current_schemas(false))[s.r] as nspname \
        from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) as r using ( nspname ) ) as sp ON sp.nspoid = typnamespace  \
        ORDER BY sp.r, pg_type.oid DESC";
    let instead = "SELECT typinput = 'array_in' AS is_array, typtype, typname, pg_type.oid FROM pg_catalog.pg_type ";
    assert_eq!(put(all), format!("{instead}ORDER BY pg_type.oid DESC"));
    let one = all.replace("ORDER BY", "WHERE pg_type.oid = $1  ORDER BY");
    assert_eq!(put(&one), format!("{instead}WHERE pg_type.oid = $1  ORDER BY pg_type.oid DESC"));
}
