//! The web console over three million rows: how soon a new browser shows the first dashboard of a node that has just
//! started, and how soon twelve charts are painted anew after a filter of all of them.

use anyhow::Result;
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, at_most};
use crate::console;
use crate::setup::{self, Needs};

pub(super) fn measure(options: &Options, _: &Machine) -> Result<Value> {
    setup::prepare(Needs::Data)?;
    setup::prepare(Needs::Browser)?;
    // Before the binary, which holds it.
    console::build()?;
    let seen = console::measure(&options.binary()?, options.runs)?;
    let worst = |what: &str| seen[what]["max"].as_f64().unwrap_or(f64::INFINITY);
    Ok(json!({
        "bench": "console",
        "goals": {
            "worst_cold_start_ms": at_most(worst("cold_start_ms"), 3_000.0),
            "worst_repaint_ms": at_most(worst("repaint_ms"), 500.0),
        },
        "seen": seen,
    }))
}
