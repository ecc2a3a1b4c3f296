//! Properties of namespaces: words of clients, which mean nothing to the node. One of them means something to engines, and
//! is refused: where a namespace's tables are to lie.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::Catalog as _;
use headwater_log::{Delta, View};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{LakeCatalog, SPACE, malformed, shown, writable};

/// All properties of a namespace together, as JSON.
const BYTES_MAX: usize = 64 << 10;

/// The place of a namespace, below which engines that heed it ask for their tables.
const PLACE: &str = "location";

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    removals: Option<BTreeSet<String>>,
    #[serde(default)]
    updates: Option<BTreeMap<String, String>>,
}

impl LakeCatalog {
    /// Removes and updates properties, and says which.
    pub(super) async fn change_properties(&self, namespace: &str, request: Value) -> Result<Value, Problem> {
        writable(namespace)?;
        let change: Change = serde_json::from_value(request).map_err(malformed)?;
        let (removals, updates) = (change.removals.unwrap_or_default(), change.updates.unwrap_or_default());
        if let Some(name) = removals.iter().find(|name| updates.contains_key(*name)) {
            let fact = format!("`{}` is to be removed and to be updated", shown(name));
            return Err(Problem::new("HW-LAKE-090", fact).help("name it once"));
        }
        without_place(updates.keys())?;
        let _turn = self.0.turn.lock().await;
        self.namespace(namespace)?;
        let there = self.lake().log().get(SPACE, &key(namespace), View::Appended).unwrap_or_default();
        let mut properties: Map<String, Value> = serde_json::from_slice(&there).unwrap_or_default();
        let (removed, missing): (Vec<String>, Vec<String>) =
            removals.into_iter().partition(|name| properties.remove(name).is_some());
        let updated: Vec<String> = updates.keys().cloned().collect();
        properties.extend(updates.into_iter().map(|(name, value)| (name, Value::from(value))));
        if !(removed.is_empty() && updated.is_empty()) {
            self.write(vec![delta(namespace, properties)?]).await?;
        }
        Ok(json!({ "updated": updated, "removed": removed, "missing": missing }))
    }
}

fn key(namespace: &str) -> Vec<u8> {
    format!("namespace/{namespace}").into_bytes()
}

/// Refuses a place among the names of properties: an engine would ask for tables there, one by one, and be refused each
/// time.
pub(super) fn without_place<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), Problem> {
    if names.any(|name| name == PLACE) {
        return Err(malformed("the node chooses where its tables lie").help(format!("leave `{PLACE}` out")));
    }
    Ok(())
}

/// The change of state that gives a namespace its properties.
pub(super) fn delta(namespace: &str, properties: Map<String, Value>) -> Result<Delta, Problem> {
    let value = Value::Object(properties).to_string();
    if value.len() > BYTES_MAX {
        return Err(malformed(format!(
            "the properties of `{namespace}` are {} bytes, more than {BYTES_MAX}",
            value.len()
        )));
    }
    Ok(Delta { key: Bytes::from(key(namespace)), value: Some(Bytes::from(value)) })
}
