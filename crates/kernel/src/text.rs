//! Texts of resources as their authors wrote them: comments, the order of keys, blank lines.
//!
//! A text stands beside its resource, in a space of its own, and is written in the same commit. It is NOT what the
//! resource is: that is its value alone, which diffs and reconcilers compare. Invariants: a text is shown only while it
//! says what the resource says; there is none of a kind whose text may hold more than references.

use serde_json::Value;

/// Space of the texts: `Kind/name` -> the text.
pub const SPACE: &str = "resource-texts";

/// Kinds of which no text is kept: a comment of theirs is the likeliest place for a value that must not be in the log.
const NEVER: &[&str] = &["Secret"];

/// What authors write of `metadata`.
const WRITTEN: &[&str] = &["name", "labels", "annotations"];

/// Whether the text of a document is kept: of no kind with secrets, and of nothing that a node has printed, as its
/// version would be in the way of the next apply.
pub(crate) fn is_kept(document: &Value) -> bool {
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
    let metadata = document.get("metadata").and_then(Value::as_object);
    let written = metadata.is_some_and(|metadata| metadata.keys().all(|key| WRITTEN.contains(&key.as_str())));
    written && document.get("status").is_none() && !NEVER.contains(&kind)
}
