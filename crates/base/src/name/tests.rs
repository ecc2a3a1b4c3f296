use super::*;

#[test]
fn accepts_the_alphabet_of_kafka_topics() {
    for good in ["a", "orders.v1", "A_b-9", &"x".repeat(249)] {
        assert_eq!(Name::new(good).map(|n| n.to_string()).ok().as_deref(), Some(good));
    }
}

#[test]
fn says_what_is_wrong_with_a_name() {
    let fault = |text: &str| Name::new(text).map(|_| String::new()).unwrap_or_else(|p| p.title);
    assert_eq!(fault(""), "the name `` is empty");
    assert_eq!(fault(".."), "the name `..` means a folder");
    assert_eq!(fault("a b"), "the name `a b` holds ` `");
    assert_eq!(fault("a\n"), "the name `a\\n` holds `\\n`");
    assert!(fault(&"x".repeat(250)).ends_with("has 250 bytes; the limit is 249"));
}
