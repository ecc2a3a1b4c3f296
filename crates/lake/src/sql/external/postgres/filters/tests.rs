use datafusion::logical_expr::{col, lit};

use super::*;

fn columns() -> Vec<Column> {
    let forms = [
        ("on", Form::Boolean),
        ("n", Form::Int32),
        ("price", Form::Decimal(12, 2)),
        ("ratio", Form::Float64),
        ("day", Form::Date),
        ("at", Form::Timestamptz),
        ("local", Form::Timestamp),
        ("raw", Form::Bytes),
        ("na\"me", Form::Text { compares: true }),
        ("doc", Form::Text { compares: false }),
        ("id", Form::Uuid),
        ("other", Form::Cast),
    ];
    forms.map(|(name, form)| Column { name: name.to_owned(), form }).into()
}

fn check(filter: &Expr, expected: &str) {
    let found = match pushed(filter, &columns()) {
        Some(Pushed { sql, exact: true }) => sql,
        Some(Pushed { sql, exact: false }) => format!("about {sql}"),
        None => "stays".to_owned(),
    };
    assert_eq!(found, expected, "{filter}");
}

/// A column by its name as it is.
fn c(name: &str) -> Expr {
    Expr::Column(datafusion::common::Column::from_name(name))
}

fn value(value: ScalarValue) -> Expr {
    Expr::Literal(value, None)
}

#[test]
fn comparisons_that_mean_the_same_go_to_the_server() {
    check(&c("n").gt(lit(5_i32)), "(\"n\" > 5)");
    check(&lit(-5_i32).lt_eq(c("n")), "(\"n\" >= -5)");
    check(&c("on"), "\"on\"");
    check(&Expr::Not(Box::new(c("on"))), "NOT \"on\"");
    check(&c("price").eq(value(ScalarValue::Decimal128(Some(-5), 12, 2))), "(\"price\" = '-0.05'::numeric)");
    check(&c("price").lt(value(ScalarValue::Decimal128(Some(12_345), 12, 2))), "(\"price\" < '123.45'::numeric)");
    check(&c("ratio").gt_eq(lit(0.1_f64)), "(\"ratio\" >= '0.1'::float8)");
    check(&c("day").not_eq(value(ScalarValue::Date32(Some(-1)))), "(\"day\" <> '1969-12-31'::date)");
    let zone = Some("UTC".into());
    let moment = ScalarValue::TimestampMicrosecond(Some(1_500_000), zone);
    check(&c("at").gt(value(moment)), "(\"at\" > '1970-01-01T00:00:01.500Z'::timestamptz)");
    let local = ScalarValue::TimestampMicrosecond(Some(-1), None);
    check(&c("local").lt(value(local)), "(\"local\" < '1969-12-31T23:59:59.999999'::timestamp)");
    check(&c("raw").eq(value(ScalarValue::Binary(Some(vec![0, 255])))), "(\"raw\" = '\\x00ff'::bytea)");
    let id = "00000000-0000-0000-0000-00000000000a";
    check(&c("id").lt(lit(id)), &format!("(\"id\" < '{id}'::uuid)"));
    check(&c("other").is_null(), "(\"other\" IS NULL)");
    check(&c("n").in_list(vec![lit(1_i32), lit(2_i32)], true), "(\"n\" NOT IN (1, 2))");
    check(&c("n").between(lit(1_i32), lit(2_i32)), "((\"n\" >= 1) AND (\"n\" <= 2))");
}

#[test]
fn text_is_only_compared_for_equality_and_looked_at_again() {
    check(&c("na\"me").eq(lit("o'k\\")), "about (\"na\"\"me\" = 'o''k\\')");
    check(&c("na\"me").in_list(vec![lit("a"), lit("b")], false), "about (\"na\"\"me\" IN ('a', 'b'))");
    let either = c("na\"me").eq(lit("a")).or(c("n").eq(lit(1_i32)));
    check(&either, "about ((\"na\"\"me\" = 'a') OR (\"n\" = 1))");
    for stays in [
        c("na\"me").gt(lit("a")),
        c("na\"me").not_eq(lit("a")),
        c("na\"me").in_list(vec![lit("a")], true),
        c("na\"me").like(lit("a%")),
        c("na\"me").eq(lit("a\0")),
        Expr::Not(Box::new(either)),
    ] {
        check(&stays, "stays");
    }
}

#[test]
fn what_may_mean_something_else_stays() {
    for stays in [
        c("ratio").eq(lit(0.0_f64)),
        c("ratio").gt(lit(f64::NAN)),
        c("n").eq(lit(1_i64)),
        c("n").eq(value(ScalarValue::Int32(None))),
        c("n").in_list(vec![lit(1_i32), value(ScalarValue::Int32(None))], false),
        c("n").in_list(Vec::new(), false),
        c("id").eq(lit("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")),
        c("doc").eq(lit("{}")),
        c("other").eq(lit("1.5")),
        c("day").lt(value(ScalarValue::Date32(Some(i32::MAX)))),
        c("day").lt(value(ScalarValue::Date32(Some(-719_163)))),
        c("n").eq(c("n")),
        (col("n") + lit(1_i32)).eq(lit(2_i32)),
        c("absent").is_null(),
    ] {
        check(&stays, "stays");
    }
}

#[test]
fn long_lists_stay() {
    let list = (0..100_000).map(lit).collect();
    check(&c("n").in_list(list, false), "stays");
}
