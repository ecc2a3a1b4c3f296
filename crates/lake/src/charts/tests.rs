use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, Statement as Parsed, Value as Literal};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use headwater_kernel::port::charts::{Beside, Choice, Window};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: &str = "2026-03-01T00:00:00Z";

fn spec(charts: Value) -> DashboardSpec {
    let filters = json!([
        {"id": "country", "from": "orders", "column": "country"},
        {"id": "city", "from": "SELECT * FROM orders WHERE city <> ''", "column": "city", "after": ["country"]},
    ]);
    serde_json::from_value(json!({"range": "24h", "filters": filters, "charts": charts})).unwrap()
}

fn sql(of: Value, choice: &Choice) -> String {
    let spec = spec(json!([of]));
    assert_eq!(check(&spec), []);
    chart(&spec, "c", choice, Micros::parse_rfc3339(NOW).unwrap()).unwrap().text
}

fn filters(filters: Value) -> Choice {
    Choice { filters: serde_json::from_value(filters).unwrap(), window: Window::All, ..Choice::default() }
}

fn course() -> Value {
    json!({"id": "c", "type": "line", "from": "orders", "time": "at", "dimensions": ["country"],
        "measures": [{"name": "revenue", "expr": "sum(amount)"}]})
}

#[test]
fn a_line_is_cut_by_the_time_that_is_shown() {
    assert_eq!(
        sql(course(), &Choice::default()),
        "SELECT date_trunc('hour', at) AS \"at\", country AS \"country\", sum(amount) AS \"revenue\"\n\
         FROM orders\n\
         WHERE at >= TIMESTAMP '2026-02-28T00:00:00Z'\n\
         GROUP BY 1, 2\nORDER BY 1, 2\nLIMIT 10000"
    );
    let between = |from: &str, to: &str| {
        let moment = |text| Micros::parse_rfc3339(text).unwrap();
        Choice { window: Window::Between(moment(from), moment(to)), ..Choice::default() }
    };
    for (choice, grain) in [
        (between("2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z"), "minute"),
        (between("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"), "day"),
        (between("2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "month"),
        (between("1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "year"),
        (Choice { window: Window::All, ..Choice::default() }, "day"),
        (Choice { grain: Some("minute".to_owned()), ..Choice::default() }, "minute"),
    ] {
        let statement = sql(course(), &choice);
        assert!(statement.contains(&format!("date_trunc('{grain}', at)")), "{statement}");
    }
}

#[test]
fn an_alarm_looks_at_all_rows_that_its_chart_does_not_leave_out() {
    let alarm = Choice { via: Via::Alarm, ..Choice::default() };
    let statement = sql(course(), &alarm);
    assert!(statement.ends_with("\nORDER BY 1, 2"), "{statement}");
    let mut few = course();
    few["limit"] = json!(5);
    let statement = sql(few, &alarm);
    assert!(statement.ends_with("\nLIMIT 5"), "{statement}");
}

#[test]
fn filters_narrow_every_chart_that_does_not_ignore_them() {
    let where_of = |chart: Value, choice: Value| {
        let statement = sql(chart, &filters(choice));
        statement.split_once("WHERE ").map_or("", |(_, rest)| rest.split('\n').next().unwrap_or_default()).to_owned()
    };
    let with = |key: &str, value: Value| {
        let mut chart = course();
        chart[key] = value;
        chart
    };
    assert_eq!(where_of(course(), json!({"country": ["CH", "AT"]})), "country IN ('CH', 'AT')");
    assert_eq!(where_of(course(), json!({"country": []})), "");
    assert_eq!(where_of(course(), json!({"country": [null]})), "country IS NULL");
    assert_eq!(
        where_of(course(), json!({"country": [1.5, true, null]})),
        "(country IN (1.5, true) OR country IS NULL)"
    );
    assert_eq!(
        where_of(course(), json!({"city": ["L'Aquila"], "country": ["x"]})),
        "city IN ('L''Aquila') AND country IN ('x')"
    );
    assert_eq!(where_of(with("ignores", json!(["country"])), json!({"country": ["CH"]})), "");
    let elsewhere = with("columns", json!({"country": "value->>'land'"}));
    assert_eq!(where_of(elsewhere, json!({"country": ["CH"]})), "(value->>'land') IN ('CH')");
    assert_eq!(where_of(with("where", json!("a OR b -- or so")), json!({"country": ["CH"]})), "(a OR b -- or so");
}

#[test]
fn a_chart_of_a_sheet_has_the_filters_and_the_times_of_the_dashboard() {
    let mut sheets = spec(json!([]));
    sheets.sheets = serde_json::from_value(json!([{"id": "one"}, {"id": "two", "charts": [course()]}])).unwrap();
    assert_eq!(check(&sheets), []);
    let (now, choice) = (Micros::parse_rfc3339(NOW).unwrap(), filters(json!({"country": ["CH"]})));
    let choice = Choice { window: Window::Own, ..choice };
    let text = chart(&sheets, "c", &choice, now).unwrap().text;
    assert_eq!(text, sql(course(), &choice));
    assert!(text.contains("WHERE at >= TIMESTAMP '2026-02-28T00:00:00Z' AND country IN ('CH')"), "{text}");
    let problem = chart(&sheets, "d", &choice, now).unwrap_err();
    assert_eq!((problem.code.as_str(), problem.help.as_deref()), ("HW-LAKE-071", Some("did you mean `c`?")));
}

#[test]
fn filters_that_nobody_has_chosen_have_their_defaults() {
    let mut spec = spec(json!([]));
    assert!(defaults(&spec).is_empty());
    spec.filters[0].default = vec![json!("CH"), Value::Null];
    assert_eq!(json!(defaults(&spec)), json!({"country": ["CH", null]}));
}

#[test]
fn a_drill_leads_from_level_to_level() {
    let years = json!({"id": "c", "type": "bar", "from": "orders", "time": "at", "drill": ["year", "month", "day"],
        "measures": [{"name": "n", "expr": "count(*)"}]});
    let drilled = |of: &Value, drill: Value| {
        let drill = serde_json::from_value(drill).unwrap();
        sql(of.clone(), &Choice { drill, window: Window::All, ..Choice::default() })
    };
    assert!(
        drilled(&years, json!([]))
            .starts_with("SELECT date_trunc('year', at) AS \"at\", count(*) AS \"n\"\nFROM orders\nGROUP BY 1")
    );
    assert!(drilled(&years, json!(["2026-01-01T00:00:00Z", "2026-02-01T00:00:00"])).starts_with(
        "SELECT date_trunc('day', at) AS \"at\", count(*) AS \"n\"\nFROM orders\n\
         WHERE at >= TIMESTAMP '2026-01-01T00:00:00Z' AND at < TIMESTAMP '2026-01-01T00:00:00Z' + INTERVAL '1 year' \
         AND at >= TIMESTAMP '2026-02-01T00:00:00Z' AND at < TIMESTAMP '2026-02-01T00:00:00Z' + INTERVAL '1 month'\n"
    ));
    assert!(drilled(&years, json!([null])).starts_with(
        "SELECT date_trunc('month', at) AS \"at\", count(*) AS \"n\"\nFROM orders\nWHERE at IS NULL\nGROUP"
    ));
    let places = json!({"id": "c", "type": "pie", "from": "orders", "drill": ["country", "city"],
        "measures": [{"name": "n", "expr": "count(*)"}]});
    assert_eq!(
        drilled(&places, json!(["CH"])),
        "SELECT city AS \"city\", count(*) AS \"n\"\nFROM orders\nWHERE country = 'CH'\nGROUP BY 1\nORDER BY 1\nLIMIT 10000"
    );
    let spec = spec(json!([places]));
    let deeper = Choice { drill: vec![json!("CH"), json!("Bern")], ..Choice::default() };
    assert_eq!(chart(&spec, "c", &deeper, Micros(0)).unwrap_err().code, "HW-LAKE-071");
    let object = Choice { drill: vec![json!({"a": 1})], ..Choice::default() };
    assert_eq!(chart(&spec, "c", &object, Micros(0)).unwrap_err().code, "HW-LAKE-071");
}

#[test]
fn a_table_sorts_joins_and_shows_rows_as_they_are() {
    let joined = json!({"id": "c", "type": "table", "dimensions": ["o.id", "c.name"], "limit": 5, "sort": "-revenue",
        "from": "SELECT * FROM orders o JOIN tables.customers c ON c.key = o.customer",
        "measures": [{"name": "revenue", "expr": "sum(amount)"}]});
    assert_eq!(
        sql(joined, &Choice::default()),
        "SELECT o.id AS \"o.id\", c.name AS \"c.name\", sum(amount) AS \"revenue\"\n\
         FROM (SELECT * FROM orders o JOIN tables.customers c ON c.key = o.customer) AS source\n\
         GROUP BY 1, 2\nORDER BY 3 DESC NULLS LAST, 1, 2\nLIMIT 5"
    );
    let newest = json!({"id": "c", "type": "table", "from": "streams.\"a.b\"", "time": "time", "dimensions": ["key"]});
    assert_eq!(
        sql(newest, &filters(json!({}))),
        "SELECT key AS \"key\"\nFROM streams.\"a.b\"\nORDER BY time DESC\nLIMIT 10000"
    );
}

/// What stands beside a chart: the axes of each total with its statement, and the earlier time with its own.
fn beside(of: Value, choice: &Choice) -> (Vec<(Vec<usize>, String)>, Option<(String, String)>) {
    let spec = spec(json!([of]));
    assert_eq!(check(&spec), []);
    let now = Micros::parse_rfc3339(NOW).unwrap();
    let totals = totals(&spec, "c", choice, now).unwrap().into_iter().map(|total| (total.by, total.text)).collect();
    let before = before(&spec, "c", choice, now).unwrap();
    (totals, before.map(|before| (format!("{} {}", before.from, before.to), before.text)))
}

#[test]
fn totals_are_over_all_rows_under_the_conditions_of_the_chart() {
    let table = json!({"id": "c", "type": "table", "from": "orders", "time": "at", "dimensions": ["country", "city"],
        "measures": [{"name": "buyers", "expr": "count(DISTINCT buyer)"}], "where": "amount > 0", "limit": 5,
        "sort": "-buyers", "totals": true});
    let narrowed = "FROM orders\nWHERE (amount > 0) AND at >= TIMESTAMP '2026-02-28T00:00:00Z' AND country IN ('CH')";
    let choice = Choice { window: Window::Own, ..filters(json!({"country": ["CH"]})) };
    let (grand, before) = beside(table.clone(), &choice);
    let all = format!("SELECT count(DISTINCT buyer) AS \"buyers\"\n{narrowed}\nLIMIT 1");
    assert_eq!((grand, before), (vec![(vec![], all.clone())], None));

    let mut pivot = table.clone();
    pivot["type"] = json!("pivot");
    pivot["grain"] = json!("month");
    let (totals, _) = beside(pivot.clone(), &choice);
    let lines = format!(
        "SELECT date_trunc('month', at) AS \"at\", country AS \"country\", count(DISTINCT buyer) AS \"buyers\"\n\
         {narrowed}\nGROUP BY 1, 2\nORDER BY 1, 2\nLIMIT 100001"
    );
    let columns = format!(
        "SELECT city AS \"city\", count(DISTINCT buyer) AS \"buyers\"\n{narrowed}\nGROUP BY 1\nORDER BY 1\nLIMIT 100001"
    );
    assert_eq!(totals, [(vec![0, 1], lines), (vec![2], columns), (vec![], all)]);

    let only = |beside| Choice { beside, ..choice.clone() };
    assert_eq!(beside(pivot, &only(Beside::Nothing)).0, []);

    let mut without = table;
    without["totals"] = json!(false);
    assert_eq!(beside(without.clone(), &choice).0, []);
    // One row has no total.
    without["totals"] = json!(true);
    without["dimensions"] = json!([]);
    assert_eq!(beside(without, &choice).0, []);
}

#[test]
fn a_kpi_is_compared_with_a_time_as_long_as_the_one_that_is_shown() {
    let kpi = |compare: &str| {
        json!({"id": "c", "type": "kpi", "from": "orders", "time": "at", "compare": compare,
            "measures": [{"name": "average", "expr": "avg(amount)"}]})
    };
    let asked = |compare: &str, window: Window| {
        let choice = Choice { window, ..filters(json!({"country": ["CH"]})) };
        let (totals, before) = beside(kpi(compare), &choice);
        assert_eq!(totals, []);
        before
    };
    let moment = |text| Micros::parse_rfc3339(text).unwrap();
    let third = Window::Between(moment("2026-01-03T00:00:00Z"), moment("2026-01-04T00:00:00Z"));
    for (compare, window, from, to) in [
        ("previous", Window::Own, "2026-02-27T00:00:00Z", "2026-02-28T00:00:00Z"),
        ("previous", third, "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"),
        ("7d", Window::Own, "2026-02-21T00:00:00Z", "2026-02-22T00:00:00Z"),
        ("1w", third, "2025-12-27T00:00:00Z", "2025-12-28T00:00:00Z"),
    ] {
        let text = format!(
            "SELECT avg(amount) AS \"average\"\nFROM orders\n\
             WHERE at >= TIMESTAMP '{from}' AND at < TIMESTAMP '{to}' AND country IN ('CH')\nLIMIT 10000"
        );
        assert_eq!(asked(compare, window), Some((format!("{from} {to}"), text)));
    }
    assert_eq!(asked("previous", Window::All), None);
}

#[test]
fn a_filter_offers_what_the_filters_before_it_leave() {
    let spec = spec(json!([]));
    let choice = filters(json!({"country": ["CH"], "city": ["Bern"]}));
    assert_eq!(
        values(&spec, "city", "Zü'", &choice).unwrap().text,
        "SELECT city AS \"value\", count(*) AS \"rows\"\nFROM (SELECT * FROM orders WHERE city <> '') AS source\n\
         WHERE country IN ('CH') AND strpos(lower(CAST((city) AS text)), 'zü''') > 0\nGROUP BY 1\nORDER BY 1\nLIMIT 200"
    );
    assert!(!values(&spec, "country", "", &choice).unwrap().text.contains("WHERE"));
    assert_eq!(values(&spec, "town", "", &choice).unwrap_err().help.as_deref(), None);
    let unknown = filters(json!({"county": ["CH"]}));
    let problem = values(&spec, "city", "", &unknown).unwrap_err();
    assert_eq!((problem.code.as_str(), problem.help.as_deref()), ("HW-LAKE-071", Some("did you mean `country`?")));
}

#[test]
fn the_resource_behind_a_relation() {
    let of = |text: &str| relation(text).map(|(kind, name)| format!("{kind}/{name}"));
    assert_eq!(of("orders").as_deref(), Some("Dataset/orders"));
    assert_eq!(of("Public.Orders").as_deref(), Some("Dataset/orders"));
    assert_eq!(of("datasets.orders").as_deref(), Some("Dataset/orders"));
    assert_eq!(of("streams.\"Orders.raw\"").as_deref(), Some("Stream/Orders.raw"));
    assert_eq!(of("headwater.tables.users").as_deref(), Some("Table/users"));
    assert_eq!(of("information_schema.tables"), None);
    assert_eq!(of("SELECT 1"), None);
}

#[test]
fn a_word_that_begins_a_query_is_no_expression() {
    for words in ["select", "SELECT ", "(select", "a) OR (b"] {
        assert!(text::expression(words).is_err(), "{words}");
    }
    for words in ["kind", "\"select\"", "(SELECT max(a) FROM t)", "a -- mean"] {
        assert_eq!(text::expression(words), Ok(()), "{words}");
    }
}

proptest! {
    /// Whatever a reader sends as a value arrives as that value, and nothing else is in the statement.
    #[test]
    fn a_value_stays_a_value(words in ".*|[\\\\'\";%\\- \n]*") {
        let text = format!("SELECT {}", text::value(&json!(words)).unwrap());
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &text).unwrap();
        let [Parsed::Query(query)] = parsed.as_slice() else { panic!("{parsed:?}") };
        let SetExpr::Select(select) = &*query.body else { panic!("{query:?}") };
        let [SelectItem::UnnamedExpr(Expr::Value(value))] = select.projection.as_slice() else { panic!("{select:?}") };
        prop_assert_eq!(&value.value, &Literal::SingleQuotedString(words));
    }

    /// What is let through as an expression cannot end what stands around it.
    #[test]
    fn an_expression_stays_within_its_parentheses(words in "[a-c0-9 ()'\",;=\\-/*.]{0,24}") {
        if text::expression(&words).is_ok() {
            let text = format!("SELECT 1 FROM t WHERE {} AND last = 1", text::operand(&words));
            let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &text).unwrap();
            prop_assert_eq!(parsed.len(), 1);
            prop_assert!(parsed.first().unwrap().to_string().ends_with("AND last = 1"), "{}", text);
        }
    }
}
