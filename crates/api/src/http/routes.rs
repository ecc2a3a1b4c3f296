//! The one list of addresses. A row gives the router its handler and the OpenAPI document its words.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, patch, post, put};

use crate::http::{
    Api, documents, enrich, features, groups, health, ingest, metrics, observe, openapi, reconcile, resources, tail,
    transactions,
};

/// One address and method.
pub struct Route {
    /// In lower case, as OpenAPI writes it.
    pub method: &'static str,
    /// With parameters in braces.
    pub path: &'static str,
    /// Unique name, for generated clients.
    pub operation: &'static str,
    /// The family it belongs to.
    pub tag: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Query parameters: name and meaning.
    pub query: &'static [(&'static str, &'static str)],
    /// What the body may be.
    pub body: Body,
    /// Media type of the answer; empty for no content.
    pub answer: &'static str,
    /// The handler.
    pub handler: fn() -> MethodRouter<Arc<Api>>,
}

/// The body of a request, for the OpenAPI document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// None.
    None,
    /// Any JSON object.
    Object,
    /// Events in any of their forms.
    Events,
    /// `{"keys": [...]}`.
    Keys,
    /// Resources, as YAML or JSON.
    Resources,
    /// One resource of the kind in the path.
    Resource,
}

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

const APPLY_QUERY: &[(&str, &str)] = &[
    ("dry-run", "Says what would happen and changes nothing."),
    ("reset-state", "Lets a pipeline start with an empty state where the new spec does not fit the old one."),
    ("file", "The name that problems give as their place."),
];

const CONDITION_QUERY: &[(&str, &str)] = &[
    ("condition", "Only if this expression holds for what is there: `attribute_not_exists(total)`."),
    ("names", "What each `#name` of the expression stands for, a JSON object."),
    ("values", "What each `:value` of the expression stands for, a JSON object."),
];

/// All addresses.
pub const ROUTES: &[Route] = &[
    Route {
        method: "post",
        path: "/v1/streams/{name}/events",
        operation: "publishEvents",
        tag: "events",
        summary: "Takes events into a stream and answers once they are durable. Events with an id and source sent twice are stored once.",
        query: &[
            (
                "key",
                "The key that chooses the partition: `.a.b` names a field of each event, anything else is the key itself.",
            ),
            ("id", "`.a.b` of the field that identifies a plain JSON event, to recognise one that is sent twice."),
        ],
        body: Body::Events,
        answer: JSON,
        handler: || post(ingest::publish),
    },
    Route {
        method: "get",
        path: "/v1/streams/{name}/events",
        operation: "readEvents",
        tag: "events",
        summary: "Gives a stream's durable records, one JSON object on each line.",
        query: &[
            ("partition", "Only this partition; otherwise all."),
            (
                "from",
                "`earliest` (default), `latest`, an offset, `-N` for the last N of each partition, or an RFC 3339 time.",
            ),
            ("max", "Ends after so many records."),
            ("follow", "Waits for further records instead of ending."),
        ],
        body: Body::None,
        answer: NDJSON,
        handler: || get(tail::tail),
    },
    Route {
        method: "get",
        path: "/v1/streams/{name}/partitions",
        operation: "listPartitions",
        tag: "events",
        summary: "Gives the ends of a stream's partitions.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(tail::partitions),
    },
    Route {
        method: "get",
        path: "/v1/features/{entity}/{key}",
        operation: "readFeatures",
        tag: "features",
        summary: "Gives the features of one key of an entity, as new as the last durable event.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(features::read),
    },
    Route {
        method: "post",
        path: "/v1/features/{entity}",
        operation: "readFeaturesBatch",
        tag: "features",
        summary: "Gives the features of up to 1,000 keys of an entity; null where there are none.",
        query: &[],
        body: Body::Keys,
        answer: JSON,
        handler: || post(features::read_batch),
    },
    Route {
        method: "get",
        path: "/v1/tables/{name}/documents",
        operation: "listDocuments",
        tag: "documents",
        summary: "Gives a table's documents by key or by an index, in pages. A page looks at 10,000 documents at most, so that one may be short and yet have a `next`.",
        query: &[
            ("after", "Goes on behind a page: its `next`. Without an index a key is one, too."),
            ("max", "Documents of a page: 100 by default, at most 10,000."),
            ("filter", "Only documents for which this expression holds: `status = 'COMPLETE' AND size(jobs) > 1`."),
            ("names", "What each `#name` of the expression stands for, a JSON object."),
            ("values", "What each `:value` of the expression stands for, a JSON object."),
            ("index", "Goes by this index of the table instead of the key."),
            ("equals", "What the first field of the index has to be; a JSON array for several fields."),
            ("from", "The least value of the field of the index behind those, or of the key."),
            ("to", "The largest value of it."),
            ("descending", "Gives the largest first."),
        ],
        body: Body::None,
        answer: JSON,
        handler: || get(documents::list),
    },
    Route {
        method: "get",
        path: "/v1/tables/{name}/documents/{key}",
        operation: "getDocument",
        tag: "documents",
        summary: "Gives a document; its version is the ETag.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(documents::get),
    },
    Route {
        method: "put",
        path: "/v1/tables/{name}/documents/{key}",
        operation: "putDocument",
        tag: "documents",
        summary: "Writes a document; with `If-Match` only over that version, with `If-None-Match: *` only where there is none.",
        query: CONDITION_QUERY,
        body: Body::Object,
        answer: JSON,
        handler: || put(documents::put),
    },
    Route {
        method: "patch",
        path: "/v1/tables/{name}/documents/{key}",
        operation: "updateDocument",
        tag: "documents",
        summary: "Changes a document, or makes it, by `{\"update\": \"SET a = :a ADD n :one\", \"condition\", \"names\", \"values\"}` and gives the new one.",
        query: &[],
        body: Body::Object,
        answer: JSON,
        handler: || patch(documents::patch),
    },
    Route {
        method: "delete",
        path: "/v1/tables/{name}/documents/{key}",
        operation: "deleteDocument",
        tag: "documents",
        summary: "Deletes a document; with `If-Match` only that version.",
        query: CONDITION_QUERY,
        body: Body::None,
        answer: "",
        handler: || delete(documents::delete),
    },
    Route {
        method: "post",
        path: "/v1/transactions",
        operation: "transact",
        tag: "documents",
        summary: "Writes documents of any tables, all or nothing: `{\"writes\": [{\"table\", \"key\", \"put\" | \"update\" | \"delete\", \"condition\", \"names\", \"values\", \"expect\"}]}`.",
        query: &[],
        body: Body::Object,
        answer: JSON,
        handler: || post(transactions::transact),
    },
    Route {
        method: "post",
        path: "/v1/enrich/{pipeline}",
        operation: "enrich",
        tag: "pipelines",
        summary: "Runs a pipeline's stateless steps and lookups on one event and gives the enriched event back. Nothing is stored.",
        query: &[],
        body: Body::Object,
        answer: JSON,
        handler: || post(enrich::enrich),
    },
    Route {
        method: "post",
        path: "/v1/pipelines/{name}/reconcile",
        operation: "reconcile",
        tag: "pipelines",
        summary: "Recomputes what a pipeline said about a span of event time, tells the differences, and repairs them if asked to.",
        query: &[
            ("from", "First event time, RFC 3339."),
            ("to", "First event time behind the span, RFC 3339."),
            ("repair", "Writes what is missing or wrong."),
        ],
        body: Body::None,
        answer: JSON,
        handler: || post(reconcile::reconcile),
    },
    Route {
        method: "get",
        path: "/v1/groups",
        operation: "listGroups",
        tag: "events",
        summary: "Gives the consumer groups with their lag.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(groups::list),
    },
    Route {
        method: "get",
        path: "/v1/groups/{name}",
        operation: "getGroup",
        tag: "events",
        summary: "Gives a consumer group with its members, positions and lag.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(groups::get),
    },
    Route {
        method: "get",
        path: "/v1/kinds",
        operation: "listKinds",
        tag: "resources",
        summary: "Gives the kinds of resources.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(resources::kinds),
    },
    Route {
        method: "post",
        path: "/v1/apply",
        operation: "apply",
        tag: "resources",
        summary: "Creates and changes resources, all or none, of one file or of `{\"files\": [{\"name\", \"text\"}]}`.",
        query: APPLY_QUERY,
        body: Body::Resources,
        answer: JSON,
        handler: || post(resources::apply),
    },
    Route {
        method: "get",
        path: "/v1/{plural}",
        operation: "listResources",
        tag: "resources",
        summary: "Gives the resources of a kind; `all` for every kind.",
        query: &[
            ("selector", "Labels they must have: `team=checkout,env!=test,solution,!old`."),
            ("watch", "Goes on with every change, one JSON object on each line."),
        ],
        body: Body::None,
        answer: JSON,
        handler: || get(resources::list),
    },
    Route {
        method: "get",
        path: "/v1/{plural}/{name}",
        operation: "getResource",
        tag: "resources",
        summary: "Gives a resource; its generation is the ETag.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(resources::get),
    },
    Route {
        method: "put",
        path: "/v1/{plural}/{name}",
        operation: "putResource",
        tag: "resources",
        summary: "Creates or changes a resource; with `If-Match` only that generation, with `If-None-Match: *` only a new one.",
        query: APPLY_QUERY,
        body: Body::Resource,
        answer: JSON,
        handler: || put(resources::put),
    },
    Route {
        method: "delete",
        path: "/v1/{plural}/{name}",
        operation: "deleteResource",
        tag: "resources",
        summary: "Deletes a resource with what it owns and answers what went.",
        query: &[
            ("dry-run", "Says what would go and deletes nothing."),
            ("cascade", "Deletes resources that name this one as well."),
            ("force", "Deletes it although others name it."),
        ],
        body: Body::None,
        answer: JSON,
        handler: || delete(resources::delete),
    },
    Route {
        method: "get",
        path: "/healthz",
        operation: "alive",
        tag: "node",
        summary: "Answers as long as the process lives.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(health::alive),
    },
    Route {
        method: "get",
        path: "/readyz",
        operation: "ready",
        tag: "node",
        summary: "Says whether the node is ready, and if not, why.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(health::ready),
    },
    Route {
        method: "get",
        path: "/metrics",
        operation: "metrics",
        tag: "node",
        summary: "Gives figures in Prometheus' text format.",
        query: &[],
        body: Body::None,
        answer: "text/plain",
        handler: || get(metrics::scrape),
    },
    Route {
        method: "get",
        path: "/openapi.json",
        operation: "openapi",
        tag: "node",
        summary: "Gives this description.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(openapi::document),
    },
];

/// The router over all rows.
pub fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.handler)());
    }
    router.layer(from_fn_with_state(api.clone(), observe::around)).with_state(api)
}
