//! Deliveries of a pipe that are tried together: one request asks the enrichment for several events, one array takes
//! several to the target.
//!
//! What it is NOT: it chooses nobody; [`super::dispatch`] says which events go together. Each keeps its own verdict.
//!
//! A request that is refused for good is made again for each event by itself: one of them may be what nobody takes.
//! That ends at the first one that nobody answers, and after half a minute; those that are left wait for another try.

use std::time::Duration;

use futures::future::join_all;
use headwater_kernel::port::workflows::StartExecution;
use headwater_kernel::port::{Cause, Json};
use serde_json::value::RawValue;

use super::deliver::{
    Outside, REFUSED, Verdict, absent, answer, ask_whom, fnv, go_on, gone, is_json, key, never, not_taken, send, start,
    started,
};
use crate::kinds::pipe::EnrichmentSpec;
use crate::pending::Pending;
use crate::spec::TargetSpec;
use crate::subscription::{Enrichment, Subscription};

/// How long requests are made one by one before those that are left wait for another try: a hundred of them could be a
/// hundred timeouts.
const SINGLY_MAX: Duration = Duration::from_secs(30);

/// An event's part of a request.
struct Part<'a> {
    /// Its place among the events that are tried.
    number: usize,
    pending: &'a Pending,
    text: Json,
}

/// Whom a request is made to.
#[derive(Clone, Copy)]
enum Whom<'a> {
    /// The enrichment, which answers each event.
    Enrichment(&'a EnrichmentSpec),
    /// The target.
    Target,
}

/// Tries several deliveries of a pipe. What each comes to, in order.
pub async fn attempt_together(
    outside: &Outside,
    subscription: &Subscription,
    events: &[(Pending, Json)],
) -> Vec<Verdict> {
    let answers = match &subscription.enrichment {
        Some((Enrichment::Of(spec), _)) if spec.batch() > 1 => answers(outside, subscription, spec, events).await,
        _ => join_all(events.iter().map(|(pending, body)| answer(outside, subscription, pending, body))).await,
    };
    if subscription.batch.is_some() {
        return hand_over(outside, subscription, events, answers).await;
    }
    let handed = events.iter().zip(answers).map(|((pending, _), answer)| take(outside, subscription, pending, answer));
    join_all(handed).await
}

/// What an event comes to that was asked for with others, and is handed over by itself.
async fn take(
    outside: &Outside,
    subscription: &Subscription,
    pending: &Pending,
    answer: Result<Json, Verdict>,
) -> Verdict {
    match answer {
        Ok(answer) => go_on(outside, subscription, pending, &answer).await,
        Err(verdict) => verdict,
    }
}

/// Asks the enrichment for all events, in as few requests as it takes.
async fn answers(
    outside: &Outside,
    subscription: &Subscription,
    spec: &EnrichmentSpec,
    events: &[(Pending, Json)],
) -> Vec<Result<Json, Verdict>> {
    let now = outside.clock.now();
    let rendered = events.iter().map(|(_, body)| -> Result<Json, Verdict> {
        let Some((_, input)) = &subscription.enrichment else { return Ok(body.clone()) };
        let text = subscription.render(input, body, now).map_err(never)?;
        json_of(&text, "what is asked with is no JSON")
    });
    let (mut all, parts) = parts(events, rendered);
    for parts in parts.chunks(spec.batch().max(1) as usize) {
        put(&mut all, parts, request(outside, subscription, Whom::Enrichment(spec), parts).await);
    }
    all.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect()
}

/// Hands the events over that have got their answers, as one array.
async fn hand_over(
    outside: &Outside,
    subscription: &Subscription,
    events: &[(Pending, Json)],
    answers: Vec<Result<Json, Verdict>>,
) -> Vec<Verdict> {
    let now = outside.clock.now();
    let rendered = events.iter().zip(answers).map(|((pending, _), answer)| -> Result<Json, Verdict> {
        let answer = answer?;
        // Without an enrichment the target's input was made when the event was taken.
        if subscription.enrichment.is_none() {
            return Ok(answer);
        }
        let Some(target) = subscription.targets.get(pending.target) else { return Err(gone(pending)) };
        let text = subscription.render(&target.input, &answer, now).map_err(never)?;
        json_of(&text, "what is to be sent is no JSON")
    });
    let (mut all, parts) = parts(events, rendered);
    let taken = request(outside, subscription, Whom::Target, &parts).await;
    put(&mut all, &parts, taken);
    let verdict = |taken: Option<Result<Json, Verdict>>| match taken.unwrap_or_else(missing) {
        Ok(_) => Verdict::Delivered,
        Err(verdict) => verdict,
    };
    all.into_iter().map(verdict).collect()
}

fn json_of(text: &[u8], fault: &str) -> Result<Json, Verdict> {
    let text = Json::copy_from_slice(text);
    if is_json(&text) { Ok(text) } else { Err(Verdict::Never(REFUSED.to_owned(), fault.to_owned(), None)) }
}

fn missing() -> Result<Json, Verdict> {
    Err(Verdict::Again(not_taken("the answers are fewer than the events".to_owned())))
}

/// Answers by event, as far as they are known, and the parts of a request for the others.
type Sorted<'a> = (Vec<Option<Result<Json, Verdict>>>, Vec<Part<'a>>);

/// Sorts the events that can be asked for from those that have come to an end already.
fn parts<'a>(events: &'a [(Pending, Json)], rendered: impl Iterator<Item = Result<Json, Verdict>>) -> Sorted<'a> {
    let (mut all, mut parts) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
    for (number, ((pending, _), rendered)) in events.iter().zip(rendered).enumerate() {
        all.push(match rendered {
            Ok(text) => {
                parts.push(Part { number, pending, text });
                None
            }
            Err(verdict) => Some(Err(verdict)),
        });
    }
    (all, parts)
}

/// Puts the answers to a request in the places of its parts.
fn put(all: &mut [Option<Result<Json, Verdict>>], parts: &[Part<'_>], answers: Vec<Result<Json, Verdict>>) {
    for (part, answer) in parts.iter().zip(answers) {
        if let Some(place) = all.get_mut(part.number) {
            *place = Some(answer);
        }
    }
}

/// Makes one request for all parts, or else one for each. As many answers as there are parts; a target's are empty.
async fn request(
    outside: &Outside,
    subscription: &Subscription,
    whom: Whom<'_>,
    parts: &[Part<'_>],
) -> Vec<Result<Json, Verdict>> {
    match once(outside, subscription, whom, parts).await {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(Verdict::Again(refused)) => parts.iter().map(|_| Err(Verdict::Again(refused.clone()))).collect(),
        Err(_) if parts.len() > 1 => singly(outside, subscription, whom, parts).await,
        Err(verdict) => vec![Err(verdict)],
    }
}

/// One request.
async fn once(
    outside: &Outside,
    subscription: &Subscription,
    whom: Whom<'_>,
    parts: &[Part<'_>],
) -> Result<Vec<Json>, Verdict> {
    let Some(first) = parts.first() else { return Ok(Vec::new()) };
    let mut body = vec![b'['];
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&part.text);
    }
    body.push(b']');
    let body = Json::from(body);
    let names: Vec<String> = parts.iter().map(|part| key(subscription, part.pending)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = fnv(&names);
    let name = format!("{}.{id:016x}", key(subscription, first.pending));
    // As far along as the one that has come furthest.
    let hops = parts.iter().map(|part| part.pending.hops).max().unwrap_or_default();
    let cause = Cause { hops, ..first.pending.chain() };
    let spec = match whom {
        Whom::Enrichment(spec) => spec,
        Whom::Target => {
            deliver(outside, subscription, first.pending, (name.as_str(), id), cause, body).await?;
            return Ok(vec![Json::new(); parts.len()]);
        }
    };
    let answer = ask_whom(outside, spec, &name, cause, body).await?;
    let answers: Vec<&RawValue> = serde_json::from_slice(&answer).unwrap_or_default();
    if answers.len() != parts.len() {
        let reason = format!("the answer to the enrichment of {} events is no array of as many", parts.len());
        return Err(Verdict::Never(REFUSED.to_owned(), reason, None));
    }
    Ok(answers.into_iter().map(|answer| Json::copy_from_slice(answer.get().as_bytes())).collect())
}

/// Hands an array over that begins with the event of `first`. `name` and `id` are the same for the same events.
async fn deliver(
    outside: &Outside,
    subscription: &Subscription,
    first: &Pending,
    (name, id): (&str, u64),
    cause: Cause,
    body: Json,
) -> Result<(), Verdict> {
    let Some(target) = subscription.targets.get(first.target) else { return Err(gone(first)) };
    match &target.spec {
        TargetSpec::Destination(target) => {
            send(outside, target.destination.as_str(), name, &body).await?;
            Ok(())
        }
        TargetSpec::Workflow(target) => {
            let Some(workflows) = outside.workflows.get() else { return Err(absent("workflows")) };
            let request = start(subscription, first, id, target, body);
            started(workflows.start(StartExecution { cause: Some(cause.onward()), ..request }).await)
        }
        other => {
            let reason = format!("a target of type `{}` takes no array", other.type_name());
            Err(Verdict::Never(REFUSED.to_owned(), reason, None))
        }
    }
}

/// One request for each part, until one is not answered or it has taken too long.
async fn singly(
    outside: &Outside,
    subscription: &Subscription,
    whom: Whom<'_>,
    parts: &[Part<'_>],
) -> Vec<Result<Json, Verdict>> {
    let begun = outside.clock.elapsed();
    let mut answers = Vec::with_capacity(parts.len());
    let mut goes_on = true;
    for part in parts {
        if !goes_on {
            answers.push(Err(Verdict::Later));
            continue;
        }
        let answer = once(outside, subscription, whom, std::slice::from_ref(part)).await;
        let took = outside.clock.elapsed().saturating_sub(begun);
        goes_on = took < SINGLY_MAX && !matches!(answer, Err(Verdict::Again(_)));
        answers.push(answer.map(|answers| answers.into_iter().next().unwrap_or_default()));
    }
    answers
}
