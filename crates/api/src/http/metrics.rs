//! `GET /metrics`: figures in Prometheus' text format 0.0.4.
//!
//! Names are `hw_<crate>_<noun>_<unit>`, counters end in `_total`, labels come from resource names only, never from
//! events.

pub mod names;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;

use crate::http::aside::aside;
use crate::http::fault::Fault;
use crate::http::observe::BUCKETS_S;
use crate::http::{Api, answer};

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The whole name, such as `hw_flow_events_total`.
    pub name: String,
    /// Labels, by name.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// Where figures come from; asked at each scrape.
pub type Figures = Arc<dyn Fn() -> Vec<Sample> + Send + Sync>;

impl Sample {
    /// A figure without labels.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), labels: Vec::new(), value }
    }

    /// A count without labels; beyond 2^53 the nearest number there is.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other number")]
    pub fn count(name: impl Into<String>, count: u64) -> Self {
        Self::new(name, count as f64)
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((name, value.into()));
        self
    }
}

/// Gives all figures.
pub async fn scrape(State(api): State<Arc<Api>>) -> Result<Response, Fault> {
    let text = aside(move || render(&samples(&api))).await?;
    Ok(answer::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", Bytes::from(text)))
}

/// All figures of the node, now. Every part is asked, and all of the state locked once, part by part: not a thing for the
/// threads that serve requests.
pub fn samples(api: &Api) -> Vec<Sample> {
    let mut samples: Vec<Sample> =
        api.log.figures().into_iter().map(|(name, value)| Sample::new(format!("hw_log_{name}"), value)).collect();
    for figures in &api.figures {
        samples.extend(figures());
    }
    samples.extend(of_http(api));
    samples.extend(of_process());
    samples
}

fn of_http(api: &Api) -> Vec<Sample> {
    let mut samples = Vec::new();
    for ((method, route, status), count) in api.counters.requests() {
        samples.push(
            Sample::count("hw_api_requests_total", count)
                .label("method", method)
                .label("route", route)
                .label("status", status.to_string()),
        );
    }
    for (route, latency) in api.counters.latencies() {
        let mut below = 0;
        for (bound, count) in BUCKETS_S.iter().map(f64::to_string).chain(["+Inf".to_owned()]).zip(latency.buckets) {
            below += count;
            samples.push(
                Sample::count("hw_api_request_seconds_bucket", below).label("route", route.as_str()).label("le", bound),
            );
        }
        samples.push(Sample::new("hw_api_request_seconds_sum", latency.sum_s).label("route", route.as_str()));
        samples.push(Sample::count("hw_api_request_seconds_count", below).label("route", route.as_str()));
    }
    for (stream, events) in api.counters.event_figures() {
        for (outcome, count) in
            [("accepted", events.accepted), ("duplicate", events.duplicates), ("rejected", events.rejected)]
        {
            samples.push(
                Sample::count("hw_api_events_total", count).label("stream", stream.as_str()).label("outcome", outcome),
            );
        }
    }
    samples
}

/// CPU time and memory of this process, from `/proc`; nothing where there is none.
pub fn of_process() -> Vec<Sample> {
    let mut samples = Vec::new();
    if let Some(seconds) = cpu_seconds() {
        samples.push(Sample::new("hw_process_cpu_seconds_total", seconds));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (field, name, unit) in [
        ("VmRSS:", "hw_process_resident_bytes", 1024.0),
        ("VmHWM:", "hw_process_resident_peak_bytes", 1024.0),
        ("Threads:", "hw_process_threads", 1.0),
    ] {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        if let Some(value) = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok()) {
            samples.push(Sample::new(name, value * unit));
        }
    }
    samples
}

/// User and system time (proc_pid_stat(5), fields 14 and 15), in ticks of 1/100 s on every Linux.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<f64>().ok()?, fields.next()?.parse::<f64>().ok()?);
    Some((user + system) / 100.0)
}

/// Prometheus' text format: samples of one name together, under lines with their meaning and type.
pub fn render(samples: &[Sample]) -> String {
    let mut families: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        families.entry(family(&sample.name)).or_default().push(sample);
    }
    let mut out = String::new();
    for (name, samples) in families {
        // Writing to a String cannot fail.
        if let Some((_, words)) = names::NAMES.iter().find(|(known, _)| *known == name) {
            let _ = writeln!(out, "# HELP {name} {words}");
        }
        let _ = writeln!(out, "# TYPE {name} {}", names::kind(name));
        for sample in samples {
            out.push_str(&sample.name);
            for (index, (label, value)) in sample.labels.iter().enumerate() {
                out.push(if index == 0 { '{' } else { ',' });
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = write!(out, "{label}=\"{value}\"");
            }
            if !sample.labels.is_empty() {
                out.push('}');
            }
            let _ = writeln!(out, " {}", sample.value);
        }
    }
    out
}

/// The name that a histogram's parts share.
fn family(name: &str) -> &str {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
    base.filter(|base| names::kind(base) == "histogram").unwrap_or(name)
}

#[cfg(test)]
mod tests;
