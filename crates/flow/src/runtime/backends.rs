//! The backends of a plan's lookup and score steps: built once for each running pipeline, shared by its thread and by
//! enrichment on demand.

use std::sync::Arc;

use ahash::HashMap;
use headwater_base::{Clock, Problem, Span, closest};
use headwater_kernel::port::{Context, LookupKind};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::compile::Plan;
use crate::lookup::{Lookups, Policy};
use crate::runtime::asking::{Asking, Inbox};
use crate::spec::{BreakerSpec, CacheSpec, StepSpec};

/// The lookup behind score steps.
const SCORE: &str = "score";

/// Backends by step.
pub struct Backends(HashMap<usize, Lookups>);

/// Builds the backends of a plan.
///
/// # Errors
/// `HW-FLOW-021` for an unknown type, else what the backend's builder says.
pub fn connect(
    plan: &Plan,
    kinds: &[LookupKind],
    context: &Context,
    clock: &Arc<dyn Clock>,
    handle: &Handle,
) -> Result<Backends, Problem> {
    let mut backends = HashMap::default();
    for (index, step) in plan.spec.steps.iter().enumerate() {
        let Some(spec) = asked(step) else { continue };
        let policy = match step {
            StepSpec::Lookup(step) => {
                policy(step.wait, step.timeout, step.retries, step.in_flight, &step.cache, &step.breaker)
            }
            StepSpec::Score(step) => {
                policy(step.wait, step.timeout, step.retries, step.in_flight, &step.cache, &step.breaker)
            }
            _ => continue,
        };
        let at = |problem: Problem| problem.at(format!("Pipeline/{}: spec.steps[{index}]", plan.name), 0, 0);
        let backend = build(kinds, &spec, context).map_err(at)?;
        backends.insert(index, Lookups::new(backend, policy, Arc::clone(clock), handle.clone()));
    }
    Ok(Backends(backends))
}

/// What a step asks, as a lookup's spec; None for a step that asks nobody.
pub fn asked(step: &StepSpec) -> Option<Value> {
    match step {
        StepSpec::Lookup(step) => Some(step.lookup.clone()),
        StepSpec::Score(step) => Some(json!({"type": SCORE, "url": step.url})),
        _ => None,
    }
}

fn build(
    kinds: &[LookupKind],
    spec: &Value,
    context: &Context,
) -> Result<Arc<dyn headwater_kernel::port::Lookup>, Problem> {
    (kind(kinds, spec)?.build)(spec, context)
}

/// The row that a lookup's spec names.
///
/// # Errors
/// `HW-FLOW-021` for an unknown type.
pub fn kind<'a>(kinds: &'a [LookupKind], spec: &Value) -> Result<&'a LookupKind, Problem> {
    let word = spec.get("type").and_then(Value::as_str).unwrap_or_default();
    kinds.iter().find(|kind| kind.name == word).ok_or_else(|| {
        // A model's address is written as a step of its own.
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name).filter(|name| *name != SCORE).collect();
        let near =
            closest(word, names.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let word: String = word.chars().take(60).collect();
        Problem::new("HW-FLOW-021", format!("there is no lookup of type `{word}`"))
            .help(format!("types are `{}`{near}", names.join("`, `")))
    })
}

fn policy(
    wait: Option<Span>,
    timeout: Span,
    retries: u32,
    in_flight: u32,
    cache: &CacheSpec,
    breaker: &BreakerSpec,
) -> Policy {
    Policy {
        wait: wait.unwrap_or(timeout).duration(),
        timeout: timeout.duration(),
        retries,
        in_flight: in_flight as usize,
        capacity: usize::try_from(cache.capacity).unwrap_or(usize::MAX),
        ttl: cache.ttl.duration(),
        jitter: f64::from(cache.jitter.0) / 100.0,
        negative_ttl: cache.negative_ttl.duration(),
        breaker_failures: breaker.failures,
        breaker_pause: breaker.pause.duration(),
        ..Policy::default()
    }
}

impl Backends {
    /// The way a pipeline's thread asks.
    pub fn asking(&self, inbox: &Arc<Inbox>) -> HashMap<usize, Arc<Asking>> {
        self.callers(inbox, false)
    }

    /// The same where nobody waits for the event: every question gets all its tries.
    pub fn asking_patiently(&self, inbox: &Arc<Inbox>) -> HashMap<usize, Arc<Asking>> {
        self.callers(inbox, true)
    }

    fn callers(&self, inbox: &Arc<Inbox>, patient: bool) -> HashMap<usize, Arc<Asking>> {
        let caller = |lookups: &Lookups| Arc::new(Asking::new(lookups.clone(), Arc::clone(inbox), patient));
        self.0.iter().map(|(step, lookups)| (*step, caller(lookups))).collect()
    }

    /// One step's backend.
    pub fn get(&self, step: usize) -> Option<&Lookups> {
        self.0.get(&step)
    }

    /// Figures by step id.
    pub fn figures(&self, plan: &Plan) -> Vec<(String, Vec<(&'static str, u64)>)> {
        let of = |(step, lookups): (&usize, &Lookups)| Some((plan.steps.get(*step)?.id.to_string(), lookups.figures()));
        self.0.iter().filter_map(of).collect()
    }
}
