//! The addresses of solutions.

use axum::routing::{get, post};

use super::{Body, JSON, Route};
use crate::http::solutions;

/// They.
pub const ROUTES: &[Route] = &[
    Route {
        method: "get",
        path: "/v1/solutions",
        operation: "listSolutions",
        tag: "resources",
        summary: "Lists the solutions that are shipped with the node: their parameters, and their resources as `Kind/name`.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(solutions::list),
    },
    Route {
        method: "post",
        path: "/v1/solutions/{name}/apply",
        operation: "applySolution",
        tag: "resources",
        summary: "Creates and changes the resources of a solution, all or none; `{\"values\": {...}}` gives its parameters other values. Secrets that it needs are drawn and kept below the data folder.",
        query: &[
            ("dry-run", "Says what would happen and changes nothing."),
            ("reset-state", "Lets a pipeline start with an empty state where the new spec does not fit the old one."),
        ],
        body: Body::Object,
        answer: JSON,
        handler: || post(solutions::apply),
    },
];
