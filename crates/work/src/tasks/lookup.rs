//! `lookup:get`: any row of the table of lookups, asked once.
//!
//! Parameters: `Lookup`, the spec as a pipeline's step has it (`{type: table, table: users}`), and `Key`. The answer is
//! `{Found, Value}`. A lookup is built once for each spec and kept; its cache, retry and circuit breaker are not those
//! of a pipeline: a workflow has its own Retry.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_kernel::port::{Json, Lookup, LookupError};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::parameters::Parameters;
use super::{Answer, Call, Internal, Plan, Services, client, failure, publish};
use crate::definition::resource::Service;
use crate::execution::Failure;

/// Lookups kept; beyond it all are dropped, and built again when they are asked.
const KEPT_MAX: usize = 64;

/// Lookups that were built, by their specs.
#[derive(Clone, Default)]
pub struct Lookups(Arc<Mutex<HashMap<String, Arc<dyn Lookup>>>>);

pub(super) fn plan(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, &["Lookup", "Key"])?;
    let key = match parameters.required("Key")? {
        Value::String(key) => key.clone(),
        other => other.to_string(),
    };
    let spec = parameters.required("Lookup")?;
    let lookup = services.built.get(services, spec)?;
    if let Some(answer) = lookup.at_once(&key) {
        let answer = Answer::Known(shown(answer)?);
        return Ok(Plan::Internal(Internal::new(answer, publish::refused)));
    }
    let url = spec.get("url").and_then(Value::as_str).map(str::to_owned);
    let http = services.http.clone();
    Ok(Plan::External(Box::pin(async move {
        if let Some(url) = url {
            let url = client::address(&url.replace("{key}", "key"))?;
            http.reachable(&url).await.map_err(|words| Failure::new("Lookup.Rejected", words))?;
        }
        shown(lookup.get(&key).await)
    })))
}

impl Lookups {
    fn get(&self, services: &Services, spec: &Value) -> Result<Arc<dyn Lookup>, Failure> {
        let name = spec.get("type").and_then(Value::as_str).unwrap_or_default();
        let Some(kind) = services.lookups.iter().find(|kind| kind.name == name) else {
            let names: Vec<&str> = services.lookups.iter().map(|kind| kind.name).collect();
            return Err(failure::parameters(format!("`Lookup.type` is one of `{}`", names.join("`, `"))));
        };
        let text = spec.to_string();
        if let Some(lookup) = self.0.lock().get(&text) {
            return Ok(lookup.clone());
        }
        let lookup = (kind.build)(spec, &services.context).map_err(|problem| failure::of(&problem))?;
        let mut kept = self.0.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(text, lookup.clone());
        Ok(lookup)
    }
}

fn shown(answer: Result<Option<Json>, LookupError>) -> Result<Value, Failure> {
    match answer {
        Ok(None) => Ok(json!({ "Found": false, "Value": null })),
        Ok(Some(text)) => {
            let value: Value = serde_json::from_slice(&text).unwrap_or_default();
            Ok(json!({ "Found": true, "Value": value }))
        }
        Err(error) => {
            let name = match &error {
                LookupError::Timeout(_) => "Lookup.Timeout",
                LookupError::Unavailable(_) => "Lookup.Unavailable",
                LookupError::Rejected(_) => "Lookup.Rejected",
            };
            Err(Failure::new(name, error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests;
