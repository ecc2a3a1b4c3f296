//! The addresses that make what has times of its own due at once.

use axum::routing::post;

use super::{Body, JSON, Route};
use crate::http::bus;

/// They.
pub const ROUTES: &[Route] = &[
    Route {
        method: "post",
        path: "/v1/schedules/{name}/runs",
        operation: "runSchedule",
        tag: "events",
        summary: "Makes a schedule due now, beside its times.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || post(bus::run_schedule),
    },
    Route {
        method: "post",
        path: "/v1/reports/{name}/runs",
        operation: "runReport",
        tag: "events",
        summary: "Makes a report and sends it now, beside its times.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || post(bus::run_report),
    },
];
