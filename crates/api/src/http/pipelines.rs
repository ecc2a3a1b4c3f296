//! `GET /v1/pipelines/{name}/figures`: what a running pipeline has counted, step by step.
//!
//! The same numbers as `/metrics` has, put together for one pipeline; what it is NOT: a second place that counts.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use headwater_base::{Micros, Problem};
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::http::aside::aside;
use crate::http::fault::Fault;
use crate::http::metrics::{self, Sample};
use crate::http::query::Query;
use crate::http::{Api, answer};

/// Figures of a pipeline: the name in `hw_flow_*`, the name in the answer.
const WHOLE: &[(&str, &str)] = &[
    ("events_total", "events"),
    ("outputs_total", "outputs"),
    ("results_total", "results"),
    ("dropped_total", "dropped"),
    ("dead_letters_total", "deadLetters"),
    ("late_total", "late"),
    ("loops_cut_total", "loopsCut"),
    ("lookups_failed_total", "failed"),
    ("lag_events", "behind"),
    ("waiting_events", "waiting"),
    ("commits_total", "commits"),
];

/// Figures of a step: the name in `hw_flow_step_*`, the name in the answer.
const STEP: &[(&str, &str)] = &[
    ("events_total", "events"),
    ("passed_total", "passed"),
    ("dropped_total", "dropped"),
    ("dead_letters_total", "deadLetters"),
    ("failed_total", "failed"),
    ("late_total", "late"),
    ("results_total", "results"),
    ("seconds_total", "seconds"),
];

/// Gives the figures of a running pipeline.
pub async fn figures(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let samples = aside(move || metrics::samples(&api)).await?;
    match gather(&name, &samples) {
        Some(figures) => Ok(answer::json(StatusCode::OK, &figures)),
        None => {
            let shown: String = name.chars().take(60).collect();
            let problem = Problem::new("HW-FLOW-046", format!("there is no running pipeline `{shown}`"));
            Err(problem.help("`headwater get pipelines` lists them").into())
        }
    }
}

/// A pipeline's figures, if it runs.
fn gather(pipeline: &str, samples: &[Sample]) -> Option<Value> {
    let own: Vec<(&str, &Sample)> = samples
        .iter()
        .filter(|sample| label(sample, "pipeline") == Some(pipeline))
        .filter_map(|sample| Some((sample.name.strip_prefix("hw_flow_")?, sample)))
        .collect();
    if own.is_empty() {
        return None;
    }
    let mut whole: Map<String, Value> = Map::from_iter([("pipeline".to_owned(), Value::from(pipeline))]);
    let (mut steps, mut written) = (Vec::<Map<String, Value>>::new(), Vec::new());
    for (name, sample) in own {
        match (label(sample, "step"), label(sample, "stream")) {
            (Some(step), _) => {
                let Some(figure) = name.strip_prefix("step_").and_then(|name| named(STEP, name)) else { continue };
                // The figures of a step stand together.
                if steps.last().is_none_or(|last| last.get("step").and_then(Value::as_str) != Some(step)) {
                    steps.push(Map::from_iter([("step".to_owned(), Value::from(step))]));
                }
                if let Some(last) = steps.last_mut() {
                    last.insert(figure.to_owned(), number(figure, sample.value));
                }
            }
            (None, Some(stream)) => written.push(json!({"stream": stream, "records": number("", sample.value)})),
            (None, None) if name == "watermark_seconds" => {
                #[expect(clippy::cast_possible_truncation, reason = "a time within what microseconds can say")]
                let watermark = Micros((sample.value * 1e6) as i64);
                whole.insert("watermark".to_owned(), Value::from(watermark.to_string()));
            }
            (None, None) => {
                if let Some(figure) = named(WHOLE, name) {
                    whole.insert(figure.to_owned(), number(figure, sample.value));
                }
            }
        }
    }
    whole.insert("steps".to_owned(), Value::from(steps.into_iter().map(Value::Object).collect::<Vec<_>>()));
    whole.insert("written".to_owned(), Value::from(written));
    Some(Value::Object(whole))
}

fn label<'s>(sample: &'s Sample, name: &str) -> Option<&'s str> {
    sample.labels.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

fn named(names: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    names.iter().find(|(figure, _)| *figure == name).map(|(_, shown)| *shown)
}

/// Counts are whole, times are not.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole and never negative")]
fn number(figure: &str, value: f64) -> Value {
    match figure {
        "seconds" => Value::from(value),
        _ => Value::from(value as u64),
    }
}

#[cfg(test)]
mod tests;
