//! The columns of a dataset of dead letters: where an event stands that could not be taken, why, by whom, and what it was.
//!
//! What it is NOT: it writes no letters (the kernel's `letter.rs` says what all of them have in common). Those of pipelines,
//! rules, forecasts, datasets and schemas differ in who could not take the event, which is a column for each.

use super::{ColumnSpec, TypeSpec, of_record};

/// Name, path, type and meaning of each.
const COLUMNS: [(&str, &str, TypeSpec, &str); 17] = [
    ("time", ".at", TypeSpec::Timestamp, "When the letter was written."),
    ("code", ".code", TypeSpec::String, "The code whose page explains it."),
    ("reason", ".reason", TypeSpec::String, "Why the event could not be taken."),
    ("stream", ".position.stream", TypeSpec::String, "The stream that the event came from, or that did not take it."),
    ("partition", ".position.partition", TypeSpec::Int, "Its partition there; none if it is in no stream."),
    ("offset", ".position.offset", TypeSpec::Long, "Its number there; none if it is in no stream."),
    ("dataset", ".dataset", TypeSpec::String, "The dataset whose columns it does not fit."),
    ("pipeline", ".pipeline", TypeSpec::String, "The pipeline that could not process it."),
    ("step", ".step", TypeSpec::String, "The pipeline's step."),
    ("forecast", ".forecast", TypeSpec::String, "The forecast that could not count it."),
    ("subscription", ".subscription", TypeSpec::String, "Who could not deliver it: `rule/orders`."),
    ("target", ".target", TypeSpec::Long, "The number of its target."),
    ("attempts", ".attempts", TypeSpec::Long, "How often it was tried."),
    ("status", ".status", TypeSpec::Long, "The last status that the target answered."),
    ("data", ".data", TypeSpec::String, "The event as it was, or its beginning."),
    ("encoding", ".encoding", TypeSpec::String, "`base64` where the event is no text."),
    ("data_bytes", ".data_bytes", TypeSpec::Long, "How long the event is, where `data` is its beginning."),
];

/// What no letter is without. A record that lacks one of them is none, and all of it is kept as `data`.
const REQUIRED: [&str; 3] = ["code", "reason", "data"];

/// The columns of a dataset of letters.
pub fn of_letters() -> Vec<ColumnSpec> {
    let columns = COLUMNS.into_iter();
    columns.map(|(name, path, of, said)| of_record(name, path, of, REQUIRED.contains(&name), said)).collect()
}
