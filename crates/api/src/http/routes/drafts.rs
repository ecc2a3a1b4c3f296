//! The addresses of drafts.

use axum::routing::{delete, get, post, put};

use super::{Body, JSON, Route};
use crate::http::drafts;

/// They.
pub const ROUTES: &[Route] = &[
    Route {
        method: "get",
        path: "/v1/drafts",
        operation: "listDrafts",
        tag: "resources",
        summary: "Lists the drafts of dashboards that are kept: `{kind, name, version, resourceVersion, who, time}`.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(drafts::list),
    },
    Route {
        method: "get",
        path: "/v1/dashboards/{name}/draft",
        operation: "getDraft",
        tag: "resources",
        summary: "Gives the draft of a dashboard with its `text`; its version is the ETag.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(drafts::get),
    },
    Route {
        method: "put",
        path: "/v1/dashboards/{name}/draft",
        operation: "keepDraft",
        tag: "resources",
        summary: "Keeps a text as the draft of a dashboard that need not exist; with `If-Match` over that version, else only where there is no draft. The text is read when it is published.",
        query: &[(
            "resourceVersion",
            "The version of the dashboard that the draft began with, its ETag, 0 for none. Without it a draft that is there keeps its own, and a new one begins with the dashboard as it is.",
        )],
        body: Body::Resources,
        answer: JSON,
        handler: || put(drafts::put),
    },
    Route {
        method: "delete",
        path: "/v1/dashboards/{name}/draft",
        operation: "discardDraft",
        tag: "resources",
        summary: "Discards the draft of a dashboard; with `If-Match` only that version.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || delete(drafts::discard),
    },
    Route {
        method: "post",
        path: "/v1/dashboards/{name}/draft/publish",
        operation: "publishDraft",
        tag: "resources",
        summary: "Applies the draft of a dashboard, of the version in `If-Match`, and discards it in the same commit; refused if the dashboard has changed since the draft began.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || post(drafts::publish),
    },
];
