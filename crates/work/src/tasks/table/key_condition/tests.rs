use super::*;

fn text(text: &str) -> Exact {
    Exact::String(text.to_owned())
}

fn nine() -> Exact {
    Exact::Number("9".into())
}

fn applied(condition: &str) -> Result<(Query, Option<String>), Failure> {
    applied_to(&[], condition)
}

fn applied_to(keys: &[&str], condition: &str) -> Result<(Query, Option<String>), Failure> {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let names = [("#k".to_owned(), "pk".to_owned())].into();
    let values = [(":a", text("x")), (":b", text("m")), (":c", nine())].map(|(name, value)| (name.to_owned(), value));
    let expression = Expression { text: condition.to_owned(), values: values.into(), names };
    let mut query = Query::default();
    let left = apply(&expression, &mut query, &keys)?;
    Ok((query, left))
}

#[test]
fn conditions_become_bounds() {
    let (query, left) = applied("pk = :a").unwrap();
    assert_eq!((query.equals, left), (vec![text("x")], None));
    assert_eq!(applied("((pk = :a)) AND (sk = :c)").unwrap().0.equals, [text("x"), nine()]);
    let (query, left) = applied("(#p=:a) and (sk BETWEEN :b AND :c)").unwrap();
    assert_eq!((query.equals, query.from, query.to, left), (vec![text("x")], Some(text("m")), Some(nine()), None));
    let (query, left) = applied("pk = :a AND sk >= :c").unwrap();
    assert_eq!((query.from, query.to, left), (Some(nine()), None, None));
}

#[test]
fn each_condition_is_on_the_key_that_it_names() {
    let keys = ["pk", "sk"];
    for condition in ["#k = :a AND sk = :c", "sk = :c AND pk = :a"] {
        assert_eq!(applied_to(&keys, condition).unwrap().0.equals, [text("x"), nine()], "{condition}");
    }
    let (query, left) = applied_to(&keys, "begins_with(sk, :b) AND pk = :a").unwrap();
    assert_eq!((query.equals, query.from), (vec![text("x")], Some(text("m"))));
    assert_eq!(left.as_deref(), Some("begins_with(sk, :b)"));
    let words = |condition: &str| applied_to(&keys, condition).unwrap_err().cause.unwrap();
    assert_eq!(words("sk = :c"), "Query condition missed key schema element: pk");
    assert_eq!(words("name = :a"), "`name` of the key condition is no key here; keys are `pk`, `sk`");
    for wrong in ["pk > :a AND sk = :c", "pk = :a AND sk > :b AND sk < :c", "pk = :a AND pk = :b"] {
        assert!(words(wrong).contains("is no key condition"), "{wrong}");
    }
}

#[test]
fn what_bounds_cannot_say_is_left_to_the_filter() {
    let (query, left) = applied("pk = :a AND sk<:c").unwrap();
    assert_eq!((query.to, left.as_deref()), (Some(nine()), Some("sk < :c")));
    let (query, left) = applied("pk = :a AND begins_with(sk, :b)").unwrap();
    assert_eq!((query.from, left.as_deref()), (Some(text("m")), Some("begins_with(sk, :b)")));
}

#[test]
fn anything_else_is_refused() {
    for wrong in
        ["", "pk", "pk = :a OR sk = :b", "pk = :a AND", "pk <> :a", "((pk = :a)", "pk = :a sk = :b", "pk = :none"]
    {
        assert!(applied(wrong).is_err(), "{wrong}");
    }
    assert!(applied("begins_with(sk, :c)").is_err());
    assert!(applied(&"(".repeat(250_000)).is_err(), "as long as a payload can be");
}
