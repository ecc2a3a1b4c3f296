//! One fuzzer for everything that parses bytes; `HEADWATER_FUZZ` names the target, `list` prints them all.
//!
//! A target takes any bytes and must come back: a panic, an endless loop or memory without bound is a finding, and so
//! is what a target asserts. libFuzzer chooses the bytes by what they reach; targets give it beginnings, which are
//! written into the folder that `HEADWATER_FUZZ_SEEDS` names.
//!
//! What it is NOT: a part of the product, or of its tests. `cargo xtask fuzz` builds and runs it.
#![no_main]

mod accesslog;
mod batch;
mod cloudevents;
mod definition;
mod doc;
mod execution;
mod expression;
mod frame;
mod groups;
mod ingest;
mod kafka;
mod letter;
mod lookup;
mod mmdb;
mod operator;
mod pattern;
mod program;
mod segment;
mod snapshot;
mod source;
mod template;
mod text;
mod wal;
mod yaml;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// What takes bytes.
struct Target {
    name: &'static str,
    run: fn(&[u8]),
    /// Inputs to begin with.
    seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident),*) => { [$(Target { name: stringify!($name), run: $name::run, seeds: $name::seeds }),*] };
}

static TARGETS: [Target; 24] = targets![
    accesslog,
    batch,
    cloudevents,
    definition,
    doc,
    execution,
    expression,
    frame,
    groups,
    ingest,
    kafka,
    letter,
    lookup,
    mmdb,
    operator,
    pattern,
    program,
    segment,
    snapshot,
    source,
    template,
    text,
    wal,
    yaml
];

static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();

fn choose() {
    let wanted = std::env::var("HEADWATER_FUZZ").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == wanted) else {
        for target in &TARGETS {
            println!("{}", target.name);
        }
        std::process::exit(if wanted == "list" { 0 } else { 2 });
    };
    if let Some(folder) = std::env::var_os("HEADWATER_FUZZ_SEEDS") {
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            let path = std::path::Path::new(&folder).join(format!("seed-{number}"));
            std::fs::write(path, seed).expect("the folder of seeds can be written");
        }
    }
    CHOSEN.set(target.run).expect("a target is chosen once");
}

fuzz_target!(
    init: choose(),
    |bytes: &[u8]| CHOSEN.get().expect("a target is chosen")(bytes)
);

/// Seeds of texts.
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
