use super::{Arn, Caller, states};

#[test]
fn names_are_taken_apart() {
    let arn = Arn::read("arn:aws:states:eu-west-1:123456789012:stateMachine:price:3").unwrap();
    assert_eq!((arn.service, arn.region, arn.account), ("states", "eu-west-1", "123456789012"));
    assert_eq!((arn.kind(), arn.behind("stateMachine")), ("stateMachine", Some("price:3")));
    for strange in ["", "arn", "arn:aws:states", "arn:aws:states:r:a:", "arn:other:states:r:a:x", "urn:aws:s:r:a:x"] {
        assert_eq!(Arn::read(strange), None, "{strange}");
    }
}

#[test]
fn the_default_bus_is_left_out_of_its_rules_names() {
    let caller = Caller::default();
    assert_eq!(caller.rule("default", "r"), "arn:aws:events:us-east-1:000000000000:rule/r");
    assert_eq!(caller.rule("orders", "r"), "arn:aws:events:us-east-1:000000000000:rule/orders/r");
}

#[test]
fn a_name_of_another_kind_is_refused_in_the_services_words() {
    let said = |text: &str| states(text, &["stateMachine"]).unwrap_err().message;
    assert_eq!(said("price"), "Invalid Arn: 'Invalid ARN prefix: price'");
    assert_eq!(
        said("arn:aws:states:r:1:execution:price:x"),
        "Invalid Arn: 'Resource type not valid in this context: execution'"
    );
    assert_eq!(said("arn:aws:events:r:1:rule/x"), "Invalid Arn: 'Invalid ARN: arn:aws:events:r:1:rule/x'");
}
