//! Replays that are under way while the node dies: each gives out, once and in order, what its archive held when it
//! began.

use std::collections::HashMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::records;
use super::verdict::{Found, KEPT, of_value};
use crate::node::Node;

/// What replays give out comes here, by the rule that alone gets it.
const AGAIN: &str = "crash.again";
const RULE: &str = "crash-again";

/// A replay that was asked for.
pub(super) struct Asked {
    name: String,
    /// Whether it was acknowledged.
    acked: bool,
    /// What the archive held before, at least.
    least: u64,
}

/// Begins a replay of all that the archive holds.
pub(super) fn begin(node: &Node, number: u64) -> Asked {
    let name = format!("again-{number}");
    let least = kept(node).unwrap_or(0);
    let request = json!({
        "name": name, "archive": "crash-kept", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z",
        "rules": [RULE],
    });
    let begun = node.post("/v1/replays", "application/json", &request.to_string());
    Asked { name, acked: begun.is_ok_and(|(status, _)| status == 202), least }
}

/// How many events the archive holds. It has one partition, and nothing of it goes.
fn kept(node: &Node) -> Result<u64> {
    let newest = records(node, KEPT, "?from=-1")?;
    Ok(newest.last().and_then(|row| row["offset"].as_u64()).map_or(0, |last| last + 1))
}

/// All replays that the node knows, by name: state, and how many events they have given out and left out.
fn known(node: &Node) -> Result<HashMap<String, (String, u64, u64)>> {
    let (_, text) = node.get("/v1/replays")?;
    let listed: Value = serde_json::from_str(&text)?;
    let items = listed["items"].as_array().context("no list of replays")?;
    let one = |item: &Value| {
        let told = |field: &str| item[field].as_str().map(str::to_owned);
        Some((told("name")?, (told("state")?, item["events"].as_u64()?, item["leftOut"].as_u64()?)))
    };
    Ok(items.iter().filter_map(one).collect())
}

/// Whether no replay is under way, and what they have given out has come through their rule.
pub(super) fn arrived(node: &Node) -> Result<bool> {
    let known = known(node)?;
    if known.values().any(|(state, ..)| state == "running") {
        return Ok(false);
    }
    let given = known.values().map(|(_, events, _)| events).sum::<u64>();
    Ok(records(node, AGAIN, "")?.len() as u64 >= given)
}

/// Compares what replays have given out with the archive.
pub(super) fn judge(node: &Node, asked: &[Asked], found: &mut Found) -> Result<()> {
    let archive: Vec<u64> = records(node, KEPT, "")?.iter().filter_map(of_value).collect();
    let known = known(node)?;
    let mut given: HashMap<String, Vec<u64>> = HashMap::new();
    for row in records(node, AGAIN, "")? {
        let replay = row["value"]["replay"].as_str().unwrap_or_default().to_owned();
        match of_value(&row) {
            Some(number) => given.entry(replay).or_default().push(number),
            None => {
                found.excluded += 1;
                found.notes.push(format!("{AGAIN}: a record that came of nothing: {row}"));
            }
        }
    }
    for Asked { name, acked, least } in asked {
        let there = given.remove(name).unwrap_or_default();
        let Some((state, events, left_out)) = known.get(name) else {
            if *acked {
                found.lost += 1;
                found.notes.push(format!("replay `{name}` was acknowledged and is gone"));
            }
            found.excluded += there.len() as u64;
            continue;
        };
        found.replays += 1;
        if state != "completed" || events < least || *events > archive.len() as u64 || *left_out > 0 {
            found.differing += 1;
            found.notes.push(format!(
                "replay `{name}` is {state} with {events} events and without {left_out}; the archive had {least} before and \
                 has {} now",
                archive.len()
            ));
        }
        let wanted = usize::try_from(*events).unwrap_or(usize::MAX);
        let places: HashMap<u64, usize> = archive.iter().copied().take(wanted).zip(0..).collect();
        found.compare(&format!("replay `{name}`"), |_| true, true, &there, &places);
    }
    for (name, numbers) in given {
        found.excluded += numbers.len() as u64;
        found.notes.push(format!("{AGAIN}: {} events of a replay `{name}` that nobody asked for", numbers.len()));
    }
    Ok(())
}
