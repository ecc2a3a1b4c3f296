use super::*;

fn text(text: &str) -> Exact {
    Exact::String(text.to_owned())
}

fn nine() -> Exact {
    Exact::Number("9".into())
}

fn applied(condition: &str) -> Result<(Query, Option<String>), Failure> {
    let values = [(":a", text("x")), (":b", text("m")), (":c", nine())].map(|(name, value)| (name.to_owned(), value));
    let expression = Expression { text: condition.to_owned(), values: values.into(), ..Expression::default() };
    let mut query = Query::default();
    let left = apply(&expression, &mut query)?;
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
