//! One try of one delivery: asks who is to be asked, and hands over to the target.
//!
//! What it is NOT: it writes nothing and decides nothing about another try; [`super::dispatch`] does.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use headwater_base::{Clock, Problem};
use headwater_kernel::port::outlet::{ANSWER_BYTES_MAX, Answer, NotTaken, Outgoing};
use headwater_kernel::port::workflows::{CallTask, ExecutionState, ExecutionView, StartExecution};
use headwater_kernel::port::{Cause, Enrich, Json, Reconcile, Workflows};
use serde_json::value::RawValue;

use crate::kinds::pipe::EnrichmentSpec;
use crate::pending::Pending;
use crate::runtime::desk::Desk;
use crate::runtime::station::Stations;
use crate::spec::{ReconcileTarget, TargetSpec, WorkflowTarget};
use crate::subscription::{Effect, Enrichment, Source, Subscription};

/// Who can be delivered to.
pub struct Outside {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Running destinations.
    pub stations: Stations,
    /// Pipelines that are asked.
    pub enrich: Option<Arc<dyn Enrich>>,
    /// Pipelines that are reconciled.
    pub reconcile: Option<Arc<dyn Reconcile>>,
    /// Workflows, once the node has them.
    pub workflows: OnceLock<Arc<dyn Workflows>>,
    /// Where reports are made, once the node has charts.
    pub desk: OnceLock<Desk>,
}

/// How a try ended.
#[derive(Debug)]
pub enum Verdict {
    /// It is there.
    Delivered,
    /// It goes to a target inside the node: in the commit that says it was delivered.
    Inside(Box<Effect>),
    /// Another try may help.
    Again(NotTaken),
    /// It was not tried by itself: it goes on waiting as if nothing had been tried.
    Later,
    /// None will: code, reason, status.
    Never(String, String, Option<u16>),
}

impl Verdict {
    /// Why it failed, if it did.
    pub fn fault(&self) -> Option<&str> {
        match self {
            Self::Delivered | Self::Inside(_) | Self::Later => None,
            Self::Again(refused) => Some(&refused.reason),
            Self::Never(_, reason, _) => Some(reason),
        }
    }
}

/// The code of a delivery that its target refused.
pub const REFUSED: &str = "HW-BUS-011";

/// Tries once.
pub async fn attempt(outside: &Outside, subscription: &Subscription, pending: &Pending, body: &Json) -> Verdict {
    if subscription.enrichment.is_none() {
        return hand_over(outside, subscription, pending, body, body).await.unwrap_or_else(|verdict| verdict);
    }
    match answer(outside, subscription, pending, body).await {
        Ok(answer) => go_on(outside, subscription, pending, &answer).await,
        Err(verdict) => verdict,
    }
}

/// What takes an event's place: the answer of whom the enrichment names, or what waits where there is none.
///
/// # Errors
/// What becomes of an event that got no answer.
pub(super) async fn answer(
    outside: &Outside,
    subscription: &Subscription,
    pending: &Pending,
    body: &Json,
) -> Result<Json, Verdict> {
    let Some((of, input)) = &subscription.enrichment else { return Ok(body.clone()) };
    let asked = subscription.render(input, body, outside.clock.now());
    let asked = asked.map(|asked| Json::copy_from_slice(&asked)).map_err(never)?;
    ask(outside, subscription, of, pending, asked).await
}

/// Hands an event over that has got its answer.
pub(super) async fn go_on(outside: &Outside, subscription: &Subscription, pending: &Pending, answer: &Json) -> Verdict {
    let Some(target) = subscription.targets.get(pending.target) else { return gone(pending) };
    let rendered = match subscription.render(&target.input, answer, outside.clock.now()) {
        Ok(rendered) => Json::copy_from_slice(&rendered),
        Err(problem) => return never(problem),
    };
    hand_over(outside, subscription, pending, answer, &rendered).await.unwrap_or_else(|verdict| verdict)
}

pub(super) fn is_json(text: &Json) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

/// Names a try to the other side: the same for each try of the same delivery.
pub fn key(subscription: &Subscription, pending: &Pending) -> String {
    format!("{}.{}.{}.{}", subscription.unit, subscription.name, pending.target, pending.place())
}

async fn ask(
    outside: &Outside,
    subscription: &Subscription,
    of: &Enrichment,
    pending: &Pending,
    asked: Json,
) -> Result<Json, Verdict> {
    let spec = match of {
        Enrichment::Of(spec) => spec,
        Enrichment::Report(spec) => {
            let Some(desk) = outside.desk.get() else { return Err(absent("charts")) };
            let made = desk.make(&subscription.name, spec, pending.time, pending.attempts).await;
            return made.map_err(|problem| again(&problem));
        }
    };
    let answer = ask_whom(outside, spec, &key(subscription, pending), pending.chain(), asked).await?;
    if !is_json(&answer) {
        return Err(Verdict::Never(REFUSED.to_owned(), "the answer to the enrichment is no JSON".to_owned(), None));
    }
    Ok(answer)
}

/// Asks whom a pipe names. `key` names the request to the other side, `cause` is the chain of what is asked for.
pub(super) async fn ask_whom(
    outside: &Outside,
    spec: &EnrichmentSpec,
    key: &str,
    cause: Cause,
    asked: Json,
) -> Result<Json, Verdict> {
    Ok(match spec {
        EnrichmentSpec::Pipeline(spec) => {
            let Some(enrich) = &outside.enrich else { return Err(absent("pipelines")) };
            enrich.enrich(spec.pipeline.as_str(), asked).await.map_err(|problem| match problem.code.as_str() {
                // It is not running just now.
                "HW-FLOW-046" => again(&problem),
                _ => never(problem),
            })?
        }
        EnrichmentSpec::Workflow(spec) => {
            let Some(workflows) = outside.workflows.get() else { return Err(absent("workflows")) };
            let request = StartExecution {
                workflow: spec.workflow.to_string(),
                version: None,
                alias: None,
                name: None,
                input: Some(asked),
                cause: Some(cause.onward()),
            };
            let ended = workflows.run(request).await.map_err(refused)?;
            match (ended.state, ended.output) {
                (ExecutionState::Succeeded, Some(output)) => output,
                (..) => {
                    let error = ended.error.unwrap_or_else(|| "no output".to_owned());
                    let reason = format!("the workflow `{}` ended without an answer: {error}", spec.workflow);
                    return Err(Verdict::Never(REFUSED.to_owned(), reason, None));
                }
            }
        }
        EnrichmentSpec::Destination(spec) => {
            let Answer { status, body, .. } = send(outside, spec.destination.as_str(), key, &asked).await?;
            body.ok_or_else(|| {
                let reason = format!("the answer to the enrichment has more than {ANSWER_BYTES_MAX} bytes");
                Verdict::Never(REFUSED.to_owned(), reason, status)
            })?
        }
    })
}

async fn hand_over(
    outside: &Outside,
    subscription: &Subscription,
    pending: &Pending,
    view: &Json,
    body: &Json,
) -> Result<Verdict, Verdict> {
    let Some(target) = subscription.targets.get(pending.target) else { return Err(gone(pending)) };
    match &target.spec {
        TargetSpec::Destination(target) => {
            send(outside, target.destination.as_str(), &key(subscription, pending), body).await?;
            Ok(Verdict::Delivered)
        }
        TargetSpec::Workflow(target) => {
            let Some(workflows) = outside.workflows.get() else { return Err(absent("workflows")) };
            let id = fnv(&[&subscription.space, &pending.stream, &pending.target.to_string()]);
            started(workflows.start(start(subscription, pending, id, target, body.clone())).await)?;
            Ok(Verdict::Delivered)
        }
        TargetSpec::Task(target) => {
            let Some(workflows) = outside.workflows.get() else { return Err(absent("workflows")) };
            let call = CallTask {
                resource: target.task.resource().to_owned(),
                parameters: body.clone(),
                key: key(subscription, pending),
                cause: Some(pending.chain().onward()),
            };
            match workflows.call_task(call).await {
                Ok(_) => Ok(Verdict::Delivered),
                Err(problem) if problem.code == FAILED => Err(never(problem)),
                Err(problem) => Err(again(&problem)),
            }
        }
        TargetSpec::Reconcile(target) => reconcile(outside, target, pending).await,
        TargetSpec::Stream(_) | TargetSpec::Table(_) | TargetSpec::Pipeline(_) | TargetSpec::Log(_) => {
            let cause = pending.chain();
            let source = Source { time: pending.time, cause: &cause, place: pending.place(), now: outside.clock.now() };
            let effect = subscription.inside(pending.target, &source, view, body, None).map_err(never)?;
            Ok(Verdict::Inside(Box::new(effect)))
        }
    }
}

/// The code of a name that another execution had.
const EXISTS: &str = "HW-WORK-021";

/// The code of a call that fails however often it is made.
const FAILED: &str = "HW-WORK-061";

/// Codes of starts that fail however often they are tried: the input is too large or no JSON, or the workflow is of the
/// type that nobody can wait for.
const UNSTARTABLE: [&str; 3] = ["HW-WORK-005", "HW-WORK-033", "HW-WORK-035"];

/// What a start comes to.
pub(super) fn started(started: Result<ExecutionView, Problem>) -> Result<(), Verdict> {
    match started {
        Ok(_) => Ok(()),
        // An earlier try started it, and nobody heard of that.
        Err(problem) if problem.code == EXISTS => Ok(()),
        Err(problem) => Err(refused(problem)),
    }
}

/// What becomes of a delivery whose workflow would not start.
fn refused(problem: Problem) -> Verdict {
    if UNSTARTABLE.contains(&problem.code.as_str()) { never(problem) } else { again(&problem) }
}

async fn reconcile(outside: &Outside, target: &ReconcileTarget, pending: &Pending) -> Result<Verdict, Verdict> {
    let Some(reconcile) = &outside.reconcile else { return Err(absent("pipelines")) };
    let delay = target.delay.map_or(Duration::ZERO, |delay| Duration::from_millis(delay.millis()));
    let to = pending.time.minus(delay);
    let from = to.minus(Duration::from_millis(target.span.millis()));
    match reconcile.reconcile(target.pipeline.as_str(), from, to, target.repair).await {
        Ok(report) => {
            let repaired = report.get("repaired").and_then(serde_json::Value::as_u64).unwrap_or(0);
            tracing::info!(pipeline = %target.pipeline, %from, %to, repaired, "reconciled");
            Ok(Verdict::Delivered)
        }
        Err(problem) => Err(again(&problem)),
    }
}

pub(super) async fn send(outside: &Outside, name: &str, key: &str, body: &Json) -> Result<Answer, Verdict> {
    let Some(station) = outside.stations.get(name) else {
        return Err(Verdict::Again(not_taken(format!("the destination `{name}` does not run"))));
    };
    let outgoing = Outgoing { key, body, now: outside.clock.now(), asked: None };
    station.send(&*outside.clock, outgoing).await.map_err(|refused| match refused.again {
        true => Verdict::Again(refused),
        false => Verdict::Never(REFUSED.to_owned(), refused.reason, refused.status),
    })
}

/// An execution that a delivery starts. The name tells a second try from a second event; `id` is the same for both.
pub(super) fn start(
    subscription: &Subscription,
    pending: &Pending,
    id: u64,
    target: &WorkflowTarget,
    input: Json,
) -> StartExecution {
    let short: String = subscription.name.as_str().chars().take(24).collect();
    let name = format!("{short}-{id:016x}-{}-{}", pending.partition, pending.offset);
    let cause = pending.chain().onward();
    StartExecution {
        workflow: target.workflow.to_string(),
        version: None,
        alias: target.alias.clone(),
        name: Some(name),
        input: Some(input),
        cause: Some(cause),
    }
}

/// FNV-1a, 64 bits: short, and the same in every process.
pub(super) fn fnv(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(super) fn not_taken(reason: String) -> NotTaken {
    NotTaken { reason, again: true, ..NotTaken::default() }
}

pub(super) fn again(problem: &Problem) -> Verdict {
    Verdict::Again(not_taken(format!("{}: {}", problem.code, problem.title)))
}

pub(super) fn never(problem: Problem) -> Verdict {
    Verdict::Never(problem.code, problem.title, None)
}

pub(super) fn absent(what: &str) -> Verdict {
    Verdict::Again(not_taken(format!("this node has no {what} yet")))
}

pub(super) fn gone(pending: &Pending) -> Verdict {
    Verdict::Never(REFUSED.to_owned(), format!("there is no target {} any more", pending.target), None)
}
