//! Conditions and updates over documents, in DynamoDB's language: a condition and its negation never agree, and what an
//! update leaves is written as what is read.

use headwater_kernel::expression::{Condition, Update};
use headwater_kernel::port::tables::Expression;
use headwater_wire::exact::Exact;
use serde_json::{Value, json};

fn expression(text: String) -> Expression {
    let Value::Object(values) =
        json!({":one": 1, ":list": [1, "a"], ":text": "x", ":map": {"a": 1.5}, ":big": 1e300, ":null": null})
    else {
        return Expression::default();
    };
    let names = [("#s".to_owned(), "status".to_owned()), ("#d".to_owned(), "a.b".to_owned())].into();
    let values = values.iter().map(|(name, value)| (name.clone(), Exact::from(value))).collect();
    Expression { text, names, values }
}

/// An expression, a zero byte, a document.
pub fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let Ok(document) = Exact::read(parts.next().unwrap_or(b"{}")) else { return };
    if let Ok(condition) = Condition::parse(&expression(text.clone())) {
        let holds = condition.holds(Some(&document));
        if let Ok(negated) = Condition::parse(&expression(format!("NOT ({text})"))) {
            assert_ne!(negated.holds(Some(&document)), holds);
        }
        let _ = condition.holds(None);
    }
    if let Ok(update) = Update::parse(&expression(text))
        && let Ok(after) = update.apply(&document)
    {
        assert_eq!(Exact::read(after.to_string().as_bytes()).as_ref(), Ok(&after));
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "#s = :text AND size(jobs) BETWEEN 1 AND 3 OR NOT contains(jobs, :one)\0{\"status\":\"x\",\"jobs\":[1,2]}",
        "attribute_exists(a[0].b) AND attribute_type(a, 'L') AND n IN (1, :one, 2.50)\0{\"a\":[{\"b\":null}],\"n\":1.0}",
        "SET a = if_not_exists(a, :one) + 1e2, b[1] = list_append(:list, b) REMOVE c.d ADD n :one, l :list DELETE m :list\0{\"b\":[0],\"c\":{\"d\":1},\"m\":[\"a\"],\"n\":-0.5}",
        "SET n = 0 + 1e9223372036854775807\0{}",
        "begins_with(status, \"x\") AND #d <> null AND n < -1.5\0{\"a.b\":[],\"n\":-20}",
    ])
}
