//! Targets for everything that parses bytes, each a file, and what a fuzzer begins with.
//!
//! A target takes any bytes and must come back: a panic, an endless loop or memory without bound is a finding, and so
//! is what a target asserts: that what was read is written as what is read, that two ways to the same answer agree.
//! Seeds are made by code, so that a fuzzer finds what lies deep soon; nothing here is anybody's data.
//!
//! What it is NOT: a part of the product. The tests try the seeds alone; `main.rs` is the fuzzer.

mod accesslog;
mod batch;
mod cloudevents;
mod columnar;
mod compiler;
mod condition;
mod cost;
mod definition;
mod doc;
mod engine;
mod exact;
mod execution;
mod expression;
mod frame;
mod groups;
mod ingest;
mod items;
mod kafka;
mod letter;
mod lookup;
mod measured;
mod mmdb;
mod operator;
mod packed;
mod pattern;
mod pending;
mod postgres;
mod program;
mod rows;
mod schedule;
mod schema;
mod segment;
mod snapshot;
mod source;
mod statement;
mod template;
mod text;
mod wal;
pub mod words;
mod yaml;

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

/// What takes bytes.
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Takes an input.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident),*) => { &[$(Target { name: stringify!($name), run: $name::run, seeds: $name::seeds }),*] };
}

/// All of them.
pub static TARGETS: &[Target] = targets![
    accesslog,
    batch,
    cloudevents,
    columnar,
    compiler,
    condition,
    cost,
    definition,
    doc,
    engine,
    exact,
    execution,
    expression,
    frame,
    groups,
    ingest,
    items,
    kafka,
    letter,
    lookup,
    measured,
    mmdb,
    operator,
    packed,
    pattern,
    pending,
    postgres,
    program,
    rows,
    schedule,
    schema,
    segment,
    snapshot,
    source,
    statement,
    template,
    text,
    wal,
    yaml
];

/// Seeds of texts.
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The last panic that was not shown, with its place.
static UNSHOWN: Mutex<String> = Mutex::new(String::new());

/// Does what may panic in somebody else's code, where ours catches it: such a panic is no finding and makes no noise. One
/// that nobody catches goes on.
fn quietly(act: impl FnOnce()) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(|fallen| {
        *UNSHOWN.lock().unwrap_or_else(PoisonError::into_inner) = fallen.to_string();
    }));
    let done = panic::catch_unwind(AssertUnwindSafe(act));
    panic::set_hook(before);
    if done.is_err() {
        panic!("{}", UNSHOWN.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_takes_its_seeds_and_nothing_at_all() {
        for target in TARGETS {
            for seed in (target.seeds)().iter().map(Vec::as_slice).chain([&[][..]]) {
                (target.run)(seed);
            }
        }
    }
}
