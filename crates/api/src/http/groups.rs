//! `GET /v1/groups` and `/v1/groups/{name}`: consumer groups of the Kafka side, and how far behind they are.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use headwater_base::{Name, Problem, closest};
use headwater_log::Log;
use headwater_log::groups::Groups;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::http::fault::Fault;
use crate::http::query::Query;
use crate::http::{Api, answer};

/// All groups.
pub async fn list(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let rows: Vec<Value> = api
        .groups
        .list()
        .iter()
        .map(|group| {
            let lag: i64 = places(&api.groups, &*api.log, &group.group).iter().map(|place| place.lag).sum();
            let members = api.groups.describe(&group.group).map_or(0, |described| described.members.len());
            json!({ "name": group.group, "state": format!("{:?}", group.phase), "members": members, "lag": lag })
        })
        .collect();
    Ok(answer::json(StatusCode::OK, &json!({ "groups": rows })))
}

/// One group: members, and position and lag for each partition.
pub async fn get(State(api): State<Arc<Api>>, Path(name): Path<String>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let Some(group) = api.groups.describe(&name) else {
        let list = api.groups.list();
        let problem = Problem::new("HW-API-023", format!("no consumer group `{}`", name.escape_debug()));
        return Err(match closest(&name, list.iter().map(|group| group.group.as_str())) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("`GET /v1/groups` lists the groups"),
        }
        .into());
    };
    let members: Vec<Value> = group
        .members
        .iter()
        .map(|member| json!({ "id": member.identity.member_id, "instance": member.identity.instance, "client": member.client_id, "host": member.client_host }))
        .collect();
    let partitions: Vec<Value> = places(&api.groups, &*api.log, &name)
        .iter()
        .map(|place| json!({ "stream": place.stream, "partition": place.partition, "offset": place.offset, "end": place.end, "lag": place.lag }))
        .collect();
    let body = json!({
        "name": name,
        "state": format!("{:?}", group.phase),
        "generation": group.generation,
        "members": members,
        "partitions": partitions,
    });
    Ok(answer::json(StatusCode::OK, &body))
}

/// How far a group is in one partition.
pub struct Place {
    /// The stream.
    pub stream: String,
    /// The partition.
    pub partition: u32,
    /// The offset it will read next.
    pub offset: i64,
    /// One past the last durable record.
    pub end: i64,
    /// Records between the two.
    pub lag: i64,
}

/// Where a group stands in each partition it has committed.
pub fn places(groups: &Groups, log: &dyn Log, group: &str) -> Vec<Place> {
    let committed = groups.all_committed(group);
    let place = |entry: headwater_log::groups::OffsetEntry| {
        let stream = Name::new(&entry.topic).ok()?;
        let ends = log.ends(&stream, entry.partition).ok()?;
        let offset = entry.committed.offset;
        let lag = (ends.durable - offset.max(ends.start)).max(0);
        Some(Place { stream: entry.topic, partition: entry.partition, offset, end: ends.durable, lag })
    };
    committed.into_iter().filter_map(place).collect()
}
