//! Pipelines from a workflow: `pipeline:enrich` runs events through the stateless steps of one, `pipeline:reconcile`
//! recomputes a span of event time in batch.

use headwater_base::Micros;
use headwater_kernel::port::Json;
use serde_json::{Value, json};

use super::parameters::Parameters;
use super::{Call, Plan, Services, failure};
use crate::definition::resource::Service;
use crate::execution::Failure;

/// The most events of one call.
const EVENTS_MAX: usize = 1_000;

/// Parameters: `Pipeline`, and `Event` or a list of them as `Events`.
pub(super) fn enrich(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, &["Pipeline", "Event", "Events"])?;
    let pipeline = parameters.text("Pipeline")?.to_owned();
    let enrich = services.enrich.clone().ok_or_else(|| failure::unwired("pipelines"))?;
    let many = parameters.optional_list("Events")?.cloned();
    let (events, one) = match (parameters.get("Event"), many) {
        (Some(event), None) => (vec![event.clone()], true),
        (None, Some(events)) if events.len() <= EVENTS_MAX => (events, false),
        (None, Some(events)) => {
            return Err(failure::parameters(format!("{} events; the limit is {EVENTS_MAX}", events.len())));
        }
        _ => return Err(failure::parameters("give either `Event` or `Events`")),
    };
    Ok(Plan::External(Box::pin(async move {
        let mut enriched = Vec::with_capacity(events.len());
        for event in events {
            let answer = enrich.enrich(&pipeline, Json::from(event.to_string())).await;
            let answer = answer.map_err(|problem| failure::of(&problem))?;
            enriched.push(serde_json::from_slice::<Value>(&answer).unwrap_or_default());
        }
        Ok(match one {
            true => json!({ "Event": enriched.pop() }),
            false => json!({ "Events": enriched }),
        })
    })))
}

/// Parameters: `Pipeline`, `From` and `To` as RFC 3339, and `Repair`. Running it again finds what it repaired in
/// place, so trying it twice does no harm.
pub(super) fn reconcile(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, &["Pipeline", "From", "To", "Repair"])?;
    let pipeline = parameters.text("Pipeline")?.to_owned();
    let pipelines = services.reconcile.clone().ok_or_else(|| failure::unwired("pipelines in batch"))?;
    let time = |field: &str| {
        let text = parameters.text(field)?;
        Micros::parse_rfc3339(text).ok_or_else(|| failure::parameters(format!("`{field}` is no RFC 3339 time")))
    };
    let (from, to) = (time("From")?, time("To")?);
    let repair = parameters.optional_flag("Repair")?.unwrap_or(false);
    Ok(Plan::External(Box::pin(async move {
        pipelines.reconcile(&pipeline, from, to, repair).await.map_err(|problem| failure::of(&problem))
    })))
}

#[cfg(test)]
mod tests;
