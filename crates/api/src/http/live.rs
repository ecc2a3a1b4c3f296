//! `GET /v1/live`: what the console shows live, as server-sent events: each second the figures that changed, and
//! every change of a resource.
//!
//! A client that reads too slowly gets the newest figures, not all; of changes it is told that some are lost
//! (`event: lost`) and that it has to list anew. Figures are gathered once for all clients, at most once a second.
//!
//! # Source
//! HTML Standard, section 9.2, server-sent events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_kernel::resources::Change;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::http::Api;
use crate::http::aside::aside;
use crate::http::fault::Fault;
use crate::http::metrics;
use crate::http::query::Query;
use crate::http::resources::told;

/// How often figures are told.
const EVERY: Duration = Duration::from_secs(1);

/// How soon a browser connects again after a break.
const RETRY: &str = "retry: 2000\n\n";

/// Figures gathered a moment ago, shared by all clients.
#[derive(Default)]
pub struct Live(Mutex<Option<(Duration, Arc<Gathered>)>>);

/// All figures of one moment; a figure's name and labels are its key, written as JSON.
struct Gathered {
    /// Milliseconds since 1970.
    at: i64,
    rows: Vec<(Arc<str>, f64)>,
}

/// One client.
struct Following {
    api: Arc<Api>,
    changes: broadcast::Receiver<Change>,
    tick: Interval,
    stop: watch::Receiver<bool>,
    /// What this client was told last.
    known: HashMap<Arc<str>, f64>,
    begun: bool,
}

/// Gives figures and changes until the client goes or the node stops.
pub async fn follow(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let following = Following {
        changes: api.kernel.watch(),
        stop: api.stop.clone(),
        api,
        tick,
        known: HashMap::new(),
        begun: false,
    };
    let events = futures::stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(event)), following))
    });
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Live {
    /// The figures, at most [`EVERY`] old.
    fn gather(&self, api: &Api) -> Arc<Gathered> {
        let now = api.clock.elapsed();
        let mut last = self.0.lock();
        if let Some((at, gathered)) = &*last
            && now.saturating_sub(*at) < EVERY / 2
        {
            return gathered.clone();
        }
        let samples = metrics::samples(api);
        // A histogram's many rows say nothing at a glance.
        let shown = samples.into_iter().filter(|sample| !sample.name.starts_with("hw_api_request_seconds"));
        let rows = shown.filter(|sample| sample.value.is_finite()).map(|sample| {
            let labels: serde_json::Map<String, Value> =
                sample.labels.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
            (Arc::from(format!("{},{}", json!(sample.name), Value::Object(labels))), sample.value)
        });
        let gathered = Arc::new(Gathered { at: api.clock.now().0 / 1_000, rows: rows.collect() });
        *last = Some((now, gathered.clone()));
        gathered
    }
}

impl Following {
    /// The next event; None when the node stops.
    async fn next(&mut self) -> Option<String> {
        if !self.begun {
            self.begun = true;
            return Some(RETRY.to_owned());
        }
        if *self.stop.borrow() {
            return None;
        }
        tokio::select! {
            biased;
            _ = self.stop.changed() => None,
            _ = self.tick.tick() => self.figures().await,
            change = self.changes.recv() => match change {
                Ok(change) => Some(event("resource", &told(&change).to_string())),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(event("lost", "{}")),
                Err(broadcast::error::RecvError::Closed) => None,
            },
        }
    }

    /// What changed since this client was told last; all of it where a figure is gone, so that it is missed. None when the
    /// node stops.
    async fn figures(&mut self) -> Option<String> {
        let api = Arc::clone(&self.api);
        let gathered = aside(move || api.live.gather(&api)).await.ok()?;
        let old = gathered.rows.iter().filter(|(key, _)| self.known.contains_key(key)).count();
        let whole = self.known.is_empty() || old < self.known.len();
        if whole {
            self.known.clear();
        }
        let mut rows = String::new();
        for (key, value) in &gathered.rows {
            let last = self.known.insert(key.clone(), *value);
            if last.is_some_and(|last| last.to_bits() == value.to_bits()) {
                continue;
            }
            if !rows.is_empty() {
                rows.push(',');
            }
            rows.push_str(&format!("[{key},{}]", json!(value)));
        }
        let at = gathered.at;
        Some(event("figures", &format!("{{\"at\":{at},\"whole\":{whole},\"samples\":[{rows}]}}")))
    }
}

/// JSON has no line breaks, so that it is one line of data.
fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}
