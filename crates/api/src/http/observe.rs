//! What happens around every request: who may call, figures, and problems for what the router refused by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use headwater_base::{Name, Problem, closest};
use headwater_kernel::unit::awaited;
use hyper::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;

use crate::http::fault::Fault;
use crate::http::{Api, guard, routes};

/// Upper bounds of the latency buckets, in seconds.
pub const BUCKETS_S: [f64; 12] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

/// Figures of the HTTP listener. Bounded by the number of routes and streams.
#[derive(Debug, Default)]
pub struct Counters {
    routes: Mutex<BTreeMap<(&'static str, String, u16), u64>>,
    latency: Mutex<BTreeMap<String, Latency>>,
    events: Mutex<BTreeMap<Name, Events>>,
}

/// A latency histogram.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Requests in each bucket, not cumulated; the last one is above all bounds.
    pub buckets: [u64; BUCKETS_S.len() + 1],
    /// Seconds of all requests.
    pub sum_s: f64,
}

/// What came in over HTTP for one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Events {
    /// New and durable.
    pub accepted: u64,
    /// Recognised as sent before.
    pub duplicates: u64,
    /// Refused.
    pub rejected: u64,
}

impl Counters {
    /// Counts events that came in for a stream.
    pub fn events(&self, stream: &Name, accepted: usize, duplicates: usize, rejected: usize) {
        let mut events = self.events.lock();
        let figures = match events.get_mut(stream) {
            Some(figures) => figures,
            None => events.entry(stream.clone()).or_default(),
        };
        figures.accepted += accepted as u64;
        figures.duplicates += duplicates as u64;
        figures.rejected += rejected as u64;
    }

    fn request(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let key = (method_name(method), route.to_owned(), status.as_u16());
        *self.routes.lock().entry(key).or_default() += 1;
        let seconds = took.as_secs_f64();
        let mut latency = self.latency.lock();
        let latency = match latency.get_mut(route) {
            Some(latency) => latency,
            None => latency.entry(route.to_owned()).or_default(),
        };
        let bucket = BUCKETS_S.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS_S.len());
        if let Some(count) = latency.buckets.get_mut(bucket) {
            *count += 1;
        }
        latency.sum_s += seconds;
    }

    /// Requests by method, route and status.
    pub fn requests(&self) -> Vec<((&'static str, String, u16), u64)> {
        self.routes.lock().iter().map(|(key, count)| (key.clone(), *count)).collect()
    }

    /// Latency by route.
    pub fn latencies(&self) -> Vec<(String, Latency)> {
        self.latency.lock().iter().map(|(route, latency)| (route.clone(), latency.clone())).collect()
    }

    /// Events by stream.
    pub fn event_figures(&self) -> Vec<(Name, Events)> {
        self.events.lock().iter().map(|(stream, events)| (stream.clone(), *events)).collect()
    }
}

/// Checks who calls, lets the route answer, and makes a problem of any refusal that is none yet.
pub async fn around(State(api): State<Arc<Api>>, path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let started = api.clock.elapsed();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let (head, body) = request.into_parts();
    let response = match guard::check(&head) {
        Ok(()) => {
            let answer = awaited(next.run(Request::from_parts(head, body))).await;
            // The panic itself is in the node's log: what it says may hold what others sent.
            answer.unwrap_or_else(|_| {
                let shown: String = uri.path().chars().take(200).collect();
                let problem = Problem::new("HW-API-109", format!("`{method} {shown}` ended by a bug in the program"));
                Fault::from(problem.help("please report it with the lines of the node's log")).into_response()
            })
        }
        Err(fault) => fault.into_response(),
    };
    let route = path.as_ref().map_or("unmatched", MatchedPath::as_str);
    let mut response = as_problem(response, &method, uri.path(), route);
    // What strangers wrote as events stands in answers: no browser may take it for a page.
    response.headers_mut().entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    api.counters.request(&method, route, response.status(), api.clock.elapsed().saturating_sub(started));
    response
}

/// The router's own refusals as problems; `route` is the address that the path belongs to.
fn as_problem(response: Response, method: &Method, path: &str, route: &str) -> Response {
    let status = response.status();
    if status.as_u16() < 400 || is_problem(response.headers()) || response.extensions().get::<OwnShape>().is_some() {
        return response;
    }
    let shown: String = path.chars().take(200).collect();
    let fault = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            // The router says so in `allow`, but only behind this.
            let taken: Vec<String> = routes::all()
                .filter(|known| known.path == route)
                .map(|known| format!("`{}`", known.method.to_uppercase()))
                .collect();
            let problem = Problem::new("HW-API-005", format!("`{method}` is not possible on `{shown}`"));
            Fault::from(problem.help(format!("it takes {}", taken.join(", "))))
        }
        StatusCode::NOT_FOUND => {
            let near = closest(path, routes::all().map(|route| route.path));
            let problem = Problem::new("HW-API-004", format!("there is nothing at `{shown}`"));
            Fault::from(match near {
                Some(near) => problem.help(format!("did you mean `{near}`? `/openapi.json` lists every address")),
                None => problem.help("`/openapi.json` lists every address"),
            })
        }
        _ => Fault::new(status, Problem::new("HW-API-009", format!("the request to `{shown}` cannot be read"))),
    };
    fault.into_response()
}

/// Marks a refusal that is no problem object because a protocol asks for another shape.
#[derive(Clone, Copy, Debug)]
pub struct OwnShape;

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/problem+json")
}

/// A method as a label; what is no method of HTTP must not become one.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
