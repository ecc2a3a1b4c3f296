use serde_json::{Value, json};

use super::{behind, cut, token};

fn items() -> Vec<(String, Value)> {
    ["a", "b", "c", "d", "e"].iter().map(|name| ((*name).to_owned(), json!(name))).collect()
}

#[test]
fn pages_hold_everything_once() {
    for count in 1..7 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = cut(items(), after.as_deref(), count);
            assert!(page.len() <= count);
            seen.extend(page);
            let Some(next) = next else { break };
            after = Some(behind(&next).unwrap());
        }
        assert_eq!(Value::Array(seen), json!(["a", "b", "c", "d", "e"]), "pages of {count}");
    }
}

#[test]
fn an_item_that_goes_between_two_pages_takes_no_other_with_it() {
    let (_, next) = cut(items(), None, 2);
    let rest: Vec<(String, Value)> = items().into_iter().filter(|(name, _)| name != "b").collect();
    assert_eq!(cut(rest, behind(&next.unwrap()).as_deref(), 9).0, [json!("c"), json!("d"), json!("e")]);
}

#[test]
fn only_our_tokens_are_read() {
    assert_eq!(behind(&token("x/y")), Some("x/y".to_owned()));
    for strange in ["", "x", "AAAA", "ÿ", &"A".repeat(5_000)] {
        assert_eq!(behind(strange), None, "{strange}");
    }
}
