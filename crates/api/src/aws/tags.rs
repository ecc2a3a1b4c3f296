//! Tags of resources, which an annotation holds: the same for all services but for the words.

use std::sync::Arc;

use headwater_kernel::Resource;
use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::native::held;
use super::refusal::Refusal;

/// Tags of one resource.
pub const TAGS_MAX: usize = 50;

/// How a service names tags.
pub struct Words {
    tags: &'static str,
    key: &'static str,
    value: &'static str,
    too_many: &'static str,
}

/// Step Functions' words.
pub const STATES: Words = Words { tags: "tags", key: "key", value: "value", too_many: "TooManyTags" };

/// EventBridge's words.
pub const EVENTS: Words = Words { tags: "Tags", key: "Key", value: "Value", too_many: "LimitExceededException" };

/// Finds what a request's ARN names.
type Find = fn(&Call) -> Result<Arc<Resource>, Refusal>;

/// Adds tags to what an annotation holds.
///
/// # Errors
/// When there are too many.
pub fn put(held: &mut Map<String, Value>, tags: &[Value], words: &Words) -> Result<(), Refusal> {
    if tags.is_empty() {
        return Ok(());
    }
    let all = held.entry("tags").or_insert_with(|| json!({}));
    let Some(all) = all.as_object_mut() else { return Ok(()) };
    for tag in tags {
        if let Some(key) = tag[words.key].as_str() {
            all.insert(key.to_owned(), tag[words.value].as_str().unwrap_or_default().into());
        }
    }
    if all.len() > TAGS_MAX {
        return Err(Refusal::new(words.too_many, format!("a resource has {TAGS_MAX} tags at most")));
    }
    Ok(())
}

/// `TagResource`.
pub async fn tag(call: &Call, find: Find, words: &Words) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let resource = find(call)?;
    let mut held = held(&resource);
    put(&mut held, call.list(words.tags), words)?;
    call.aws.hold(&resource, &held).await?;
    Ok(json!({}))
}

/// `UntagResource`; the member `keys` says which.
pub async fn untag(call: &Call, find: Find, keys: &str) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let resource = find(call)?;
    let mut held = held(&resource);
    if let Some(tags) = held.get_mut("tags").and_then(Value::as_object_mut) {
        for key in call.texts(keys) {
            tags.shift_remove(&key);
        }
    }
    call.aws.hold(&resource, &held).await?;
    Ok(json!({}))
}

/// `ListTagsForResource`, once the resource is found.
pub fn list(resource: &Resource, words: &Words) -> Value {
    let held = held(resource);
    let tags = held.get("tags").and_then(Value::as_object).into_iter().flatten();
    let tags: Vec<Value> = tags
        .map(|(key, value)| {
            let members = [(words.key.to_owned(), Value::from(key.as_str())), (words.value.to_owned(), value.clone())];
            Value::Object(members.into_iter().collect())
        })
        .collect();
    Value::Object([(words.tags.to_owned(), Value::Array(tags))].into_iter().collect())
}
