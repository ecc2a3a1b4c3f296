//! Pages of a list: a token says behind which item the next page begins.
//!
//! A token names an item, not a number, so that a list may change between two pages and none that stays is missed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::call::{Answer, Call};
use super::refusal::Refusal;

/// Items on a page where the client does not say.
const ITEMS: usize = 100;

/// The longest text a token is made of.
const TOKEN_BYTES_MAX: usize = 1_024;

/// A token for what comes behind `after`.
pub fn token(after: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("behind {after}"))
}

/// What a token stands for; None if it is none of ours.
pub fn behind(token: &str) -> Option<String> {
    if token.len() > TOKEN_BYTES_MAX * 2 {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("behind ").map(str::to_owned)
}

/// A page of `items`, which stand in the order of their keys: at most `count` behind `after`, and where the next one
/// begins.
pub fn cut(items: Vec<(String, Value)>, after: Option<&str>, count: usize) -> (Vec<Value>, Option<String>) {
    let rest = items.into_iter().skip_while(|(key, _)| after.is_some_and(|after| key.as_str() <= after));
    let mut page: Vec<(String, Value)> = rest.take(count.saturating_add(1)).collect();
    let next = (page.len() > count).then(|| {
        page.truncate(count);
        page.last().map(|(key, _)| token(key))
    });
    (page.into_iter().map(|(_, item)| item).collect(), next.flatten())
}

/// The answer to a request for a list in EventBridge's words: the page of `items` that the members `size` and
/// `NextToken` ask for, in the order of their keys.
///
/// # Errors
/// `ValidationException` for a token that is none.
pub fn listed(call: &Call, member: &str, size: &str, mut items: Vec<(String, Value)>) -> Answer {
    let bad = || Refusal::validation("Parameter NextToken is not valid.");
    let after = call.text("NextToken").map(|token| behind(token).ok_or_else(bad)).transpose()?;
    let count = call.integer(size).and_then(|count| usize::try_from(count).ok()).unwrap_or(ITEMS);
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let (items, next) = cut(items, after.as_deref(), count);
    let mut answer = Map::new();
    answer.insert(member.to_owned(), Value::Array(items));
    if let Some(next) = next {
        answer.insert("NextToken".to_owned(), next.into());
    }
    Ok(Value::Object(answer))
}

#[cfg(test)]
mod tests;
