//! The compiled matcher against an independent evaluator that takes one rule and tries everything, on generated
//! patterns and events. Proptest prints a failing case; PROPTEST_CASES sets how many are tried (256).
//!
//! The evaluator shares no code with the crate: it reads patterns and events with serde_json, enumerates every choice
//! of values, and compares with the plainest means there are.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use headwater_pattern::{Pattern, RuleSet, Scratch, explain};
use proptest::prelude::*;
use serde_json::Value;

/// A leaf of an event and the elements of arrays it stands in.
struct Leaf {
    value: Value,
    elements: BTreeMap<usize, usize>,
}

fn flatten(value: &Value, path: &str, elements: &BTreeMap<usize, usize>, arrays: &mut usize, out: &mut Leaves) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(value, &path, elements, arrays, out);
            }
        }
        Value::Array(items) => {
            *arrays += 1;
            let array = *arrays;
            for (index, item) in items.iter().enumerate() {
                let mut inside = elements.clone();
                if item.is_object() || item.is_array() {
                    inside.insert(array, index);
                }
                flatten(item, path, &inside, arrays, out);
            }
        }
        leaf => {
            let leaf = Leaf { value: leaf.clone(), elements: elements.clone() };
            out.entry(path.to_owned()).or_default().push(leaf);
        }
    }
}

type Leaves = BTreeMap<String, Vec<Leaf>>;
type Fields = BTreeMap<String, Vec<Value>>;

/// Every way through a pattern.
fn branches(pattern: &Value, path: &str, mut so_far: Vec<Fields>) -> Vec<Fields> {
    for (key, value) in pattern.as_object().unwrap() {
        if key == "$or" {
            let before = so_far.clone();
            so_far = value.as_array().unwrap().iter().flat_map(|one| branches(one, path, before.clone())).collect();
            continue;
        }
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Array(wanted) => so_far.iter_mut().for_each(|fields| {
                fields.insert(path.clone(), wanted.clone());
            }),
            nested => so_far = branches(nested, &path, so_far),
        }
    }
    so_far
}

fn matches(pattern: &Value, event: &Value) -> bool {
    let mut leaves = Leaves::new();
    flatten(event, "", &BTreeMap::new(), &mut 0, &mut leaves);
    branches(pattern, "", vec![Fields::new()]).iter().any(|fields| {
        let fields: Vec<(&String, &Vec<Value>)> = fields.iter().collect();
        choose(&fields, &leaves, &BTreeMap::new())
    })
}

fn choose(fields: &[(&String, &Vec<Value>)], leaves: &Leaves, chosen: &BTreeMap<usize, usize>) -> bool {
    let Some(((path, wanted), rest)) = fields.split_first() else { return true };
    let fits =
        |leaf: &&Leaf| leaf.elements.iter().all(|(array, index)| chosen.get(array).is_none_or(|other| other == index));
    let fitting: Vec<&Leaf> = leaves.get(*path).into_iter().flatten().filter(fits).collect();
    let absent = wanted.iter().any(|one| one["exists"] == false);
    if absent && fitting.is_empty() && choose(rest, leaves, chosen) {
        return true;
    }
    fitting.iter().any(|leaf| {
        let mut chosen = chosen.clone();
        chosen.extend(&leaf.elements);
        wanted.iter().any(|one| accepts(one, &leaf.value)) && choose(rest, leaves, &chosen)
    })
}

fn accepts(wanted: &Value, value: &Value) -> bool {
    let Some((operator, operand)) = wanted.as_object().and_then(|object| object.iter().next()) else {
        return equal(wanted, value);
    };
    let text = value.as_str();
    let operands = || operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
    match operator.as_str() {
        "exists" => operand == true,
        "anything-but" => match operand.as_object().and_then(|object| object.iter().next()) {
            Some((inner, list)) => {
                let list = list.as_array().cloned().unwrap_or_else(|| vec![list.clone()]);
                !list.iter().any(|one| accepts(&serde_json::json!({ inner: one }), value))
            }
            // By their text, not as addresses.
            None => !operands().iter().any(|one| match (one.as_f64(), value.as_f64()) {
                (Some(one), Some(value)) => one == value,
                _ => one == value,
            }),
        },
        "numeric" => value.as_f64().is_some_and(|number| {
            operand.as_array().unwrap().chunks(2).all(|pair| {
                let bound = pair[1].as_f64().unwrap();
                match pair[0].as_str().unwrap() {
                    "<" => number < bound,
                    "<=" => number <= bound,
                    ">" => number > bound,
                    ">=" => number >= bound,
                    _ => number == bound,
                }
            })
        }),
        "cidr" => text.and_then(|text| text.parse().ok()).is_some_and(|ip| in_block(ip, operand.as_str().unwrap())),
        "prefix" | "suffix" | "equals-ignore-case" | "wildcard" => {
            let Some(text) = text else { return false };
            let (text, operand) = match operand.get("equals-ignore-case") {
                Some(folded) => (text.to_lowercase(), folded.as_str().unwrap().to_lowercase()),
                None => (text.to_owned(), operand.as_str().unwrap().to_owned()),
            };
            match operator.as_str() {
                "prefix" => text.starts_with(&operand),
                "suffix" => text.ends_with(&operand),
                "wildcard" => glob(operand.as_bytes(), text.as_bytes()),
                _ => text.to_lowercase() == operand.to_lowercase(),
            }
        }
        other => panic!("{other}"),
    }
}

fn equal(wanted: &Value, value: &Value) -> bool {
    match (wanted.as_str(), value.as_str(), wanted.as_f64(), value.as_f64()) {
        (Some(one), Some(other), ..) => match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
            (Ok(one), Ok(other)) => one == other,
            _ => one == other,
        },
        (_, _, Some(one), Some(other)) => one == other,
        _ => wanted == value,
    }
}

fn in_block(ip: IpAddr, block: &str) -> bool {
    let (base, bits) = block.split_once('/').unwrap();
    let bits: u32 = bits.parse().unwrap();
    let same = |one: u128, other: u128, width: u32| (one ^ other).checked_shr(width - bits).unwrap_or(0) == 0;
    match (ip, base.parse().unwrap()) {
        (IpAddr::V4(ip), IpAddr::V4(base)) => same(u32::from(ip).into(), u32::from(base).into(), 32),
        (IpAddr::V6(ip), IpAddr::V6(base)) => same(ip.into(), base.into(), 128),
        _ => false,
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => glob(rest, text),
        (Some((b'*', rest)), Some((_, behind))) => glob(rest, text) || glob(pattern, behind),
        (Some((wanted, rest)), Some((byte, behind))) => wanted == byte && glob(rest, behind),
        _ => false,
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[abAB]{0,4}",
        1 => Just("10.0.0.1".to_owned()),
        1 => Just("10.0.0.200".to_owned()),
        1 => Just("2001:0db8::1".to_owned()),
        1 => Just("2001:db8:0::1".to_owned()),
        1 => Just("é\"\\\n".to_owned()),
    ]
}

/// A number's text; several spell the same number.
fn number() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["0", "-0.0", "1", "1.0", "10e-1", "2", "2.5", "-3", "1e1", "10", "4999999999"])
        .prop_map(str::to_owned)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => text().prop_map(|text| quoted(&text)),
        2 => number(),
        1 => prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned),
    ]
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "d", "a.b", "b.c", "a-b"])
}

/// An event's text, sometimes with equal keys in one object.
fn event() -> impl Strategy<Value = String> {
    let object = |inner: BoxedStrategy<String>| {
        prop::collection::vec((key(), inner), 0..5).prop_map(|members| {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{}: {value}", quoted(key))).collect();
            format!("{{{}}}", members.join(" ,"))
        })
    };
    let value = leaf().prop_recursive(5, 40, 5, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", ")));
        prop_oneof![2 => object(inner.boxed()), 1 => list]
    });
    object(value.boxed())
}

fn wildcard() -> impl Strategy<Value = String> {
    "[abA]{0,2}(\\*[abA]{1,2}){0,2}\\*?"
}

fn excluded() -> impl Strategy<Value = String> {
    let texts = || prop::collection::vec("[abAB]{1,3}".prop_map(|text| quoted(&text)), 1..3);
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    prop_oneof![
        texts().prop_map(list),
        text().prop_map(|text| quoted(&text)),
        prop::collection::vec(number(), 1..3).prop_map(list),
        number(),
        ("prefix|suffix|equals-ignore-case", texts())
            .prop_map(move |(operator, texts)| format!("{{\"{operator}\": {}}}", list(texts))),
        wildcard().prop_map(|text| format!("{{\"wildcard\": {}}}", quoted(&text))),
    ]
}

fn alternative() -> impl Strategy<Value = String> {
    let object = |operator: &str, operand: String| format!("{{\"{operator}\": {operand}}}");
    let bound = || prop::sample::select(vec!["-3", "0", "1", "2", "2.5"]).prop_map(str::to_owned);
    prop_oneof![
        4 => leaf(),
        1 => ("prefix|suffix|equals-ignore-case", text()).prop_map(move |(operator, text)| object(&operator, quoted(&text))),
        1 => ("prefix|suffix", text())
            .prop_map(move |(operator, text)| object(&operator, object("equals-ignore-case", quoted(&text)))),
        1 => wildcard().prop_map(move |text| object("wildcard", quoted(&text))),
        1 => ("<|<=|>|>=|=", bound()).prop_map(move |(operator, bound)| object("numeric", format!("[\"{operator}\", {bound}]"))),
        1 => (">|>=", bound(), "<|<=")
            .prop_map(move |(low, bound, high)| object("numeric", format!("[\"{low}\", {bound}, \"{high}\", 10.5]"))),
        1 => prop::sample::select(vec!["10.0.0.0/25", "10.0.0.0/24", "0.0.0.0/0", "2001:db8::/64", "::/0"])
            .prop_map(move |block| object("cidr", quoted(block))),
        2 => any::<bool>().prop_map(move |exists| object("exists", exists.to_string())),
        2 => excluded().prop_map(move |operand| object("anything-but", operand)),
    ]
}

/// A pattern's text, without equal keys in one object.
fn pattern() -> impl Strategy<Value = String> {
    let field = prop::collection::vec(alternative(), 1..4).prop_map(|list| format!("[{}]", list.join(", ")));
    let object = |inner: BoxedStrategy<String>| {
        prop::collection::btree_map(key(), inner, 1..4).prop_map(|members| {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{}: {value}", quoted(key))).collect();
            format!("{{{}}}", members.join(", "))
        })
    };
    let nested = field.boxed().prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            3 => object(inner.clone().boxed()),
            1 => (object(inner.clone().boxed()), object(inner.boxed()), "[ab]")
                .prop_map(|(one, other, key)| format!("{{\"$or\": [{one}, {other}], \"{key}{key}\": [{{\"exists\": false}}]}}")),
        ]
    });
    object(nested.boxed())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// One rule set answers as each rule alone by the naive evaluator, and `explain` agrees.
    #[test]
    fn compiled_equals_naive(
        texts in prop::collection::vec(pattern(), 1..12),
        events in prop::collection::vec(event(), 1..6),
    ) {
        let patterns: Vec<Pattern> = texts.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let set = RuleSet::build(&patterns).unwrap();
        let mut scratch = Scratch::default();
        for event in &events {
            let value: Value = serde_json::from_str(event).unwrap();
            let compiled = set.matches(event.as_bytes(), &mut scratch).unwrap().to_vec();
            for (number, text) in (0_u32..).zip(&texts) {
                let naive = matches(&serde_json::from_str(text).unwrap(), &value);
                prop_assert_eq!(compiled.contains(&number), naive, "rule {} event {}", text, event);
            }
            for (number, pattern) in (0_u32..).zip(&patterns) {
                let explained = explain(pattern, event.as_bytes()).unwrap();
                prop_assert_eq!(explained.matched, compiled.contains(&number));
            }
        }
    }

    /// More rules beside a rule never change its answer, and neither does their order.
    #[test]
    fn rules_do_not_disturb_each_other(
        text in pattern(),
        beside in prop::collection::vec(pattern(), 0..40),
        at in any::<prop::sample::Index>(),
        event in event(),
    ) {
        let alone = Pattern::parse(&text).unwrap();
        let answer = !RuleSet::build([&alone]).unwrap().matches(event.as_bytes(), &mut Scratch::default()).unwrap().is_empty();
        let mut patterns: Vec<Pattern> = beside.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let at = at.index(patterns.len() + 1);
        patterns.insert(at, alone);
        let set = RuleSet::build(&patterns).unwrap();
        let mut scratch = Scratch::default();
        let together = set.matches(event.as_bytes(), &mut scratch).unwrap();
        prop_assert_eq!(together.contains(&(at as u32)), answer, "rule {} event {}", text, event);
    }

    /// Any text is parsed or refused with a code; any event is read or refused.
    #[test]
    fn hostile_text_never_panics(pattern in "[\\[\\]{}\":,a$or*0-9.\\\\ -]{0,60}", event in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Pattern::parse(&pattern).map_err(|problem| assert!(problem.code.starts_with("HW-PATTERN-")));
        let known = Pattern::parse(r#"{"a": {"b": [{"exists": true}]}, "b": [1]}"#).unwrap();
        let set = RuleSet::build([&known]).unwrap();
        let _ = set.matches(&event, &mut Scratch::default());
        let _ = set.matches(pattern.as_bytes(), &mut Scratch::default());
    }
}
