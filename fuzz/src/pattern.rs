//! Event patterns, events and input templates as a hostile client would give them, split at the first zero bytes:
//! never a panic, and more rules beside a rule never change its answer.
#![no_main]

use headwater_pattern::{Context, Input, InputSpec, Pattern, RuleSet, Scratch, explain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default());
    let (one, other, event) = (text(), text(), text());
    let template = InputSpec { input_template: Some(other.to_string()), ..InputSpec::default() };
    if let Ok(input) = Input::parse(&template, "target") {
        let _ = input.render(event.as_bytes(), &Context::default());
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
});
