//! The fuzzer of all targets; `HEADWATER_FUZZ` names one, `list` prints them all.
//!
//! libFuzzer chooses the bytes by what they reach. Before it begins, the target's seeds are written into the folder that
//! `HEADWATER_FUZZ_SEEDS` names, and the words of its format into the file that `HEADWATER_FUZZ_WORDS` names.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use headwater_fuzz::{TARGETS, words};
use libfuzzer_sys::fuzz_target;

static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();

fn choose() {
    let wanted = std::env::var("HEADWATER_FUZZ").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == wanted) else {
        for target in TARGETS {
            println!("{}", target.name);
        }
        std::process::exit(if wanted == "list" { 0 } else { 2 });
    };
    if let Some(folder) = std::env::var_os("HEADWATER_FUZZ_SEEDS") {
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            let path = Path::new(&folder).join(format!("seed-{number}"));
            std::fs::write(path, seed).expect("the folder of seeds can be written");
        }
    }
    if let Some(path) = std::env::var_os("HEADWATER_FUZZ_WORDS") {
        std::fs::write(path, words::dictionary(target.name)).expect("the file of words can be written");
    }
    CHOSEN.set(target.run).expect("a target is chosen once");
}

fuzz_target!(
    init: choose(),
    |bytes: &[u8]| CHOSEN.get().expect("a target is chosen")(bytes)
);
