//! The same enrichment on demand: an event through the stateless steps and lookups of a running pipeline, for an
//! application that cannot wait for the stream or has to repair an event itself. Nothing is stored.

use bytes::Bytes;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::Json;

use crate::compile::{Plan, Work};
use crate::doc::{Doc, Fault};
use crate::path::Path;
use crate::program::{Env, Meta};
use crate::runtime::backends::Backends;
use crate::runtime::core::key_of;

/// Runs an event through the steps that keep no state.
///
/// # Errors
/// `HW-FLOW-120` to 125 as a dead letter's, `HW-FLOW-031` without an event time, `HW-FLOW-047` when a filter drops it.
pub async fn enrich(plan: &Plan, backends: &Backends, event: Json, now: Micros) -> Result<Json, Problem> {
    let mut doc = Doc::new(event).map_err(problem)?;
    let time = match &plan.time {
        Some(path) => Some(
            doc.time(path)
                .ok_or_else(|| problem(Fault::new("HW-FLOW-031", format!("there is no time at `{path}`"))))?,
        ),
        None => None,
    };
    let mut failed: Vec<&str> = Vec::new();
    let mut looked = false;
    for (index, step) in plan.steps.iter().enumerate() {
        match &step.work {
            Work::Filter(condition) => {
                if !condition.test(&doc, &mut env(plan, time, now)).map_err(problem)? {
                    return Err(Problem::new("HW-FLOW-047", format!("the filter `{}` drops this event", step.id)));
                }
            }
            Work::Transform(program) => program.run(&mut doc, &mut env(plan, time, now)).map_err(problem)?,
            Work::Lookup(lookup) => {
                looked = true;
                let (Some(key), Some(backend)) = (key_of(&doc, &lookup.ask), backends.get(index)) else { continue };
                let key = key.into_owned();
                // Whoever asks on demand wants the answer, and waits for as long as one request may take.
                match backend.answer(&key, backend.policy().timeout).await {
                    Ok(Some(json)) => doc.set_json(&lookup.into, json).map_err(problem)?,
                    Ok(None) => {}
                    Err(_) => failed.push(step.id.as_str()),
                }
            }
            Work::Aggregate(_) | Work::Keyed(_) | Work::Dedupe(_) => {}
        }
    }
    if looked {
        let status = if failed.is_empty() {
            Bytes::from_static(b"{\"status\":\"ok\"}")
        } else {
            Bytes::from(serde_json::json!({"status": "failed", "failed": failed}).to_string())
        };
        doc.set_json(&Path::field("enrichment"), status).map_err(problem)?;
    }
    Ok(doc.encode())
}

/// Made anew for each program: it is not kept across waiting.
fn env(plan: &Plan, time: Option<Micros>, now: Micros) -> Env {
    let mut env = Env::new();
    let stream = plan.input.as_ref().map_or("", |(stream, _)| stream.as_str());
    env.set(&Meta { stream, partition: 0, offset: -1, ingested: now, time, now });
    env
}

fn problem(fault: Fault) -> Problem {
    Problem::new(fault.code, fault.reason)
}
