//! Event patterns and events as a hostile client would give them, split at zero bytes: never a panic, the explanation
//! says what the matcher says, and more rules beside a rule never change its answer.

use headwater_pattern::{Pattern, RuleSet, Scratch, check_event, explain};

pub fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default());
    let (one, other, event) = (text(), text(), text());
    if check_event(event.as_bytes()).is_ok() {
        assert!(event.trim_ascii().starts_with('{'), "an event is an object");
    }
    let Ok(one) = Pattern::parse(&one) else { return };
    let Ok(alone) = RuleSet::build([&one]) else { return };
    let mut scratch = Scratch::default();
    let answer = alone.matches(event.as_bytes(), &mut scratch).map(|rules| !rules.is_empty());
    if let (Ok(answer), Ok(explained)) = (&answer, explain(&one, event.as_bytes())) {
        assert_eq!(explained.matched, *answer);
    }
    let Ok(other) = Pattern::parse(&other) else { return };
    let Ok(both) = RuleSet::build([&other, &one]) else { return };
    if let (Ok(answer), Ok(rules)) = (answer, both.matches(event.as_bytes(), &mut scratch)) {
        assert_eq!(rules.contains(&1), answer);
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "{\"detail\":{\"a\":[{\"prefix\":\"x\"},{\"numeric\":[\">\",0,\"<=\",5]}]}}\0{\"source\":[\"s\"]}\0{\"source\":\"s\",\"detail\":{\"a\":3}}",
        "{\"$or\":[{\"a\":[{\"exists\":false}]},{\"b\":[{\"anything-but\":{\"wildcard\":\"*x*\"}}]}]}\0{\"a\":[{\"cidr\":\"10.0.0.0/8\"}]}\0{\"b\":[\"q\",{\"c\":1}]}",
        "{\"a\":[{\"equals-ignore-case\":\"É\"},{\"suffix\":\"z\"},null,1e3]}\0{\"a\":[1000]}\0{\"a\":1000.0}",
    ])
}
