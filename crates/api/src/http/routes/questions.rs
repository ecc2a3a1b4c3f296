//! The addresses that answer questions about data.

use axum::routing::{delete, get, post};

use super::{Body, JSON, NDJSON, Route};
use crate::http::{charts, sql};

/// They.
pub const ROUTES: &[Route] = &[
    Route {
        method: "post",
        path: "/v1/sql",
        operation: "askSql",
        tag: "sql",
        summary: "Answers a statement over streams, tables and datasets: `{query, format, maxRows}`. The header `Headwater-Principal` says who asks.",
        query: &[],
        body: Body::Object,
        answer: JSON,
        handler: || post(sql::ask),
    },
    Route {
        method: "get",
        path: "/v1/sql/relations",
        operation: "listRelations",
        tag: "sql",
        summary: "Lists what can be asked, with columns and their types.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(sql::relations),
    },
    Route {
        method: "get",
        path: "/v1/queries",
        operation: "listQueries",
        tag: "sql",
        summary: "Lists the statements that run now, of whatever listener: `{id, principal, via, query, started, rows, memoryBytes}`. With the header `Headwater-Principal` its own alone.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || get(sql::queries),
    },
    Route {
        method: "delete",
        path: "/v1/queries/{id}",
        operation: "cancelQuery",
        tag: "sql",
        summary: "Ends a statement that runs; with the header `Headwater-Principal` one of its own. Whoever asked is told who ended it.",
        query: &[],
        body: Body::None,
        answer: JSON,
        handler: || delete(sql::cancel),
    },
    Route {
        method: "post",
        path: "/v1/charts",
        operation: "drawChart",
        tag: "sql",
        summary: "Gives the rows of a dashboard's chart, its totals, its value at an earlier time and the statement behind it: `{dashboard or spec, chart, filters, time: {last} or {from, to}, grain, drill}`.",
        query: &[],
        body: Body::Object,
        answer: JSON,
        handler: || post(charts::draw),
    },
    Route {
        method: "post",
        path: "/v1/charts/together",
        operation: "drawCharts",
        tag: "sql",
        summary: "Gives several charts of a dashboard, each on a line of its own as soon as it is ready: what `/v1/charts` answers and `chart`, or `{chart, problem}`. Those that read the same rows are answered in one pass: `{dashboard or spec, charts: [{chart, filters, grain, drill}], time}`.",
        query: &[],
        body: Body::Object,
        answer: NDJSON,
        handler: || post(charts::draw_together),
    },
    Route {
        method: "post",
        path: "/v1/charts/values",
        operation: "listFilterValues",
        tag: "sql",
        summary: "Lists up to 200 values of a dashboard's filter: `{dashboard or spec, filter, search, filters}`.",
        query: &[],
        body: Body::Object,
        answer: JSON,
        handler: || post(charts::values),
    },
];
