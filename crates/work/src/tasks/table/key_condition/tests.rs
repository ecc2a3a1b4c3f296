use serde_json::json;

use super::*;

fn applied(text: &str) -> Result<(Query, Option<String>), Failure> {
    let values = json!({":a": "x", ":b": "m", ":c": 9}).as_object().cloned().unwrap_or_default();
    let expression = Expression { text: text.to_owned(), values, ..Expression::default() };
    let mut query = Query::default();
    let left = apply(&expression, &mut query)?;
    Ok((query, left))
}

#[test]
fn conditions_become_bounds() {
    let (query, left) = applied("pk = :a").unwrap();
    assert_eq!((query.equals, left), (vec![json!("x")], None));
    assert_eq!(applied("((pk = :a)) AND (sk = :c)").unwrap().0.equals, [json!("x"), json!(9)]);
    let (query, left) = applied("(#p=:a) and (sk BETWEEN :b AND :c)").unwrap();
    assert_eq!((query.equals, query.from, query.to, left), (vec![json!("x")], Some(json!("m")), Some(json!(9)), None));
    let (query, left) = applied("pk = :a AND sk >= :c").unwrap();
    assert_eq!((query.from, query.to, left), (Some(json!(9)), None, None));
}

#[test]
fn what_bounds_cannot_say_is_left_to_the_filter() {
    let (query, left) = applied("pk = :a AND sk<:c").unwrap();
    assert_eq!((query.to, left.as_deref()), (Some(json!(9)), Some("sk < :c")));
    let (query, left) = applied("pk = :a AND begins_with(sk, :b)").unwrap();
    assert_eq!((query.from, left.as_deref()), (Some(json!("m")), Some("begins_with(sk, :b)")));
}

#[test]
fn anything_else_is_refused() {
    for text in
        ["", "pk", "pk = :a OR sk = :b", "pk = :a AND", "pk <> :a", "((pk = :a)", "pk = :a sk = :b", "pk = :none"]
    {
        assert!(applied(text).is_err(), "{text}");
    }
    assert!(applied("begins_with(sk, :c)").is_err());
    assert!(applied(&"(".repeat(250_000)).is_err(), "as long as a payload can be");
}
