use serde_json::{Map, Value, json};

use super::*;

fn evaluate(text: &str, bindings: Value) -> Result<Answer, Stopped> {
    let bindings = bindings.as_object().cloned().unwrap_or_default();
    let place = Place::State(Micros::from_millis(1_700_000_000_000));
    Query::parse(text).unwrap().evaluate(None, &bindings, &place, &mut Chance::new([7; 32]), &Limits::default())
}

#[test]
fn an_expression_that_only_names_a_value_is_known() {
    let direct = |text: &str| Query::parse(text).unwrap().direct.map(|names| names.join(" "));
    assert_eq!(direct("$states.input.order.id").as_deref(), Some("states input order id"));
    assert_eq!(direct("$total").as_deref(), Some("total"));
    for other in ["$states.input[0]", "$states.input.`a b`", "$f()", "$a.b + 1", "a.b", "$$.a"] {
        assert_eq!(direct(other), None, "{other}");
    }
}

#[test]
fn time_and_chance_come_from_the_step() {
    assert_eq!(evaluate("$now()", json!({})), Ok(Answer::Value(json!("2023-11-14T22:13:20.000Z"))));
    assert_eq!(evaluate("$now('[Y]')", json!({})), Ok(Answer::Value(json!("2023"))));
    assert_eq!(evaluate("$millis()", json!({})), Ok(Answer::Value(json!(1_700_000_000_000_i64))));
    for drawing in ["$random()", "$uuid()", "$shuffle([1..20])"] {
        assert_eq!(evaluate(drawing, json!({})), evaluate(drawing, json!({})), "{drawing}");
    }
    assert_ne!(evaluate("[$random(), $random()]", json!({})), evaluate("[$random(1), $random(1)]", json!({})));
}

#[test]
fn hostile_expressions_stop() {
    let mut limits = Limits { evaluation_ms_max: 50, ..Limits::default() };
    for hostile in ["($f := function($n){$f($n+1)}; $f(0))", "($f := function($n){1+$f($n+1)}; $f(0))", "[1..9999999]"]
    {
        let query = Query::parse(hostile).unwrap();
        let place = Place::State(Micros(0));
        let answer = query.evaluate(None, &Map::new(), &place, &mut Chance::new([7; 32]), &limits);
        assert!(answer.is_err(), "{hostile}: {answer:?}");
    }
    limits.value_depth_max = 3;
    let query = Query::parse("[[[[1]]]]").unwrap();
    assert!(query.evaluate(None, &Map::new(), &Place::Plain, &mut Chance::new([7; 32]), &limits).is_err());
}

#[test]
fn a_value_that_shares_its_parts_is_written_out_within_a_bound() {
    let doubled = |times: usize| format!("($a := {{\"k\": 1}}; {} $a)", "$a := {\"x\": $a, \"y\": $a};".repeat(times));
    let limits = Limits { variables_bytes_max: 10_000, ..Limits::default() };
    let evaluate = |times| {
        let query = Query::parse(&doubled(times)).unwrap();
        query.evaluate(None, &Map::new(), &Place::State(Micros(0)), &mut Chance::new([7; 32]), &limits)
    };
    assert_eq!(evaluate(1), Ok(Answer::Value(json!({"x": {"k": 1}, "y": {"k": 1}}))));
    // Without a bound that are 2^60 values.
    assert_eq!(evaluate(60), Err(Stopped("D1011: the result has more than 10000 bytes".to_owned())));
}

#[test]
fn eval_does_not_exist_in_states() {
    assert!(evaluate("$eval('1+1')", json!({})).is_err());
}

#[test]
fn expressions_that_nest_deep_are_read_or_refused() {
    for deep in ["(", "[", "{\"a\":", "-", "a.(", "a[", "$f(", "1+(", "function($x){", "a?", "a?b:", "a ~> (", "not "] {
        let _ = Query::parse(&deep.repeat(60_000 / deep.len()));
        let closed = format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000));
        let _ = Query::parse(&closed);
    }
    for chain in ["a.", "1+", "a?b:", "1,", "a[0]", "$f()", "a&", "a ~> "] {
        let _ = Query::parse(&format!("{}a", chain.repeat(60_000 / chain.len())));
    }
}
