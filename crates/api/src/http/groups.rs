//! `GET /v1/groups` and `/v1/groups/{name}`: consumer groups of the Kafka side, and how far behind they are. Of a group
//! that nobody is in, `POST /v1/groups/{name}/offsets` says where it reads on, and `DELETE /v1/groups/{name}` ends it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use headwater_base::{Name, Problem, closest};
use headwater_log::groups::{Committed, Described, GroupError, Groups, Identity, Listed, OffsetEntry, Phase};
use headwater_log::{Ends, Log, Offset, Stream};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::http::aside::aside;
use crate::http::fault::{Fault, stopping};
use crate::http::ingest::find_stream;
use crate::http::query::Query;
use crate::http::tail::{Begin, chosen};
use crate::http::{Api, answer};

/// What stands for the kind of a group, which is no resource.
pub const PLURAL: &str = "groups";

/// Query parameters of `GET /v1/groups`.
pub const LIST_QUERY: &[&str] = &["positions"];

/// Groups of a list with their positions; of more only name, state, members and lag are told.
const POSITIONS_MAX: usize = 1_000;

/// Query parameters of `DELETE /v1/groups/{name}`.
pub const DELETE_QUERY: &[&str] = &["dry-run"];

/// Query parameters of `POST /v1/groups/{name}/offsets`.
pub const QUERY: &[&str] = &["stream", "partition", "to", "by", "dry-run"];

/// The generation of a commit from outside of a group.
const OUTSIDE: i32 = -1;

/// All groups; with `positions` each also with its position and lag for each partition.
pub async fn list(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), LIST_QUERY)?;
    let told = if query.flag("positions")? { POSITIONS_MAX } else { 0 };
    // As many places are looked at as all groups have read partitions.
    aside(move || {
        let rows: Vec<Value> =
            api.groups.list().iter().enumerate().map(|(index, group)| row(&api, group, index < told)).collect();
        answer::json(StatusCode::OK, &json!({ "groups": rows }))
    })
    .await
}

/// A group in a list.
fn row(api: &Api, group: &Listed, positions: bool) -> Value {
    let places = places(&api.groups, &*api.log, &group.group);
    let lag: i64 = places.iter().map(|place| place.lag).sum();
    let members = api.groups.describe(&group.group).map_or(0, |described| described.members.len());
    let mut row = json!({ "name": group.group, "state": format!("{:?}", group.phase), "members": members, "lag": lag });
    if positions {
        row["partitions"] = places.iter().map(Place::row).collect();
    }
    row
}

/// One group: members, and position and lag for each partition.
pub async fn get(State(api): State<Arc<Api>>, Path(name): Path<String>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    // It may have read tens of thousands of partitions.
    aside(move || shown(&api, &name)).await?
}

fn shown(api: &Api, name: &str) -> Result<Response, Fault> {
    let group = find(&api.groups, name)?;
    let members: Vec<Value> = group
        .members
        .iter()
        .map(|member| json!({ "id": member.identity.member_id, "instance": member.identity.instance, "client": member.client_id, "host": member.client_host }))
        .collect();
    let partitions: Vec<Value> = places(&api.groups, &*api.log, name).iter().map(Place::row).collect();
    let body = json!({
        "name": name,
        "state": format!("{:?}", group.phase),
        "generation": group.generation,
        "members": members,
        "partitions": partitions,
    });
    Ok(answer::json(StatusCode::OK, &body))
}

/// A group.
///
/// # Errors
/// `HW-API-023` when there is no such group, with the name that may have been meant.
pub fn find(groups: &Groups, name: &str) -> Result<Described, Problem> {
    groups.describe(name).ok_or_else(|| {
        let list = groups.list();
        let near = closest(name, list.iter().map(|group| group.group.as_str()));
        near.map_or_else(|| absent(name), |near| absent(name).help(format!("did you mean `{near}`?")))
    })
}

/// `HW-API-023`.
fn absent(name: &str) -> Problem {
    Problem::new("HW-API-023", format!("no consumer group `{}`", name.escape_debug()))
        .help("`GET /v1/groups` lists the groups")
}

/// Sets where a group without members reads on, or says what would be set.
pub async fn set_offsets(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), QUERY)?;
    let group = find(&api.groups, &name)?;
    if group.phase != Phase::Empty {
        return Err(read_by(&name, group.members.len(), "its offsets cannot be set"));
    }
    let wanted = Wanted::read(&*api.log, &query)?;
    let dry_run = query.flag("dry-run")?;
    let (planner, of) = (Arc::clone(&api), name.clone());
    // Where a time is, is read from the disk.
    let steps = aside(move || wanted.plan(&planner, &of)).await??;
    if !dry_run {
        commit(&api, &name, &steps).await?;
    }
    let rows: Vec<Value> = steps.iter().map(Step::row).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "group": name, "dryRun": dry_run, "partitions": rows })))
}

/// Deletes a group without members, with its offsets.
pub async fn delete(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), DELETE_QUERY)?;
    let dry_run = query.flag("dry-run")?;
    find(&api.groups, &name)?;
    end(&api, &name, dry_run).await?;
    Ok(answer::json(StatusCode::OK, &json!({ "deleted": [id(&name)] })))
}

/// How a group is called among resources.
pub fn id(name: &str) -> String {
    format!("group/{name}")
}

/// Ends a group without members; a dry run says whether it would.
///
/// # Errors
/// `HW-API-023` for no such group, `HW-API-116` for one with members, and what the log says.
pub async fn end(api: &Api, name: &str, dry_run: bool) -> Result<(), Fault> {
    let group = api.groups.describe(name).ok_or_else(|| absent(name))?;
    let refused = |members| read_by(name, members, "it cannot be deleted");
    if group.phase != Phase::Empty {
        return Err(refused(group.members.len()));
    }
    if dry_run {
        return Ok(());
    }
    match api.groups.delete(name).await {
        // Another request or the end of its last offset was faster.
        Ok(()) | Err(GroupError::NotFound) => Ok(()),
        Err(GroupError::Log(refusal)) => Err(refusal.into()),
        Err(GroupError::Closed) => Err(stopping()),
        // A member came in between.
        Err(_) => Err(refused(api.groups.describe(name).map_or(0, |group| group.members.len()))),
    }
}

/// Which offsets are set, and where to.
struct Wanted {
    /// Otherwise all that the group has read.
    stream: Option<Arc<Stream>>,
    /// Otherwise all of the stream.
    partition: Option<u32>,
    aim: Aim,
}

enum Aim {
    To(Begin),
    /// So many records ahead of where the group is, or behind it.
    By(i64),
}

/// What becomes of the offset of one partition.
struct Step {
    stream: Arc<Stream>,
    partition: u32,
    /// None where the group has read nothing.
    before: Option<Offset>,
    after: Offset,
    ends: Ends,
}

impl Wanted {
    /// `HW-API-009` for parameters that do not fit each other, `HW-API-011` for no such stream.
    fn read(log: &dyn Log, query: &Query) -> Result<Self, Fault> {
        let aim = match (query.text("to"), query.read::<i64>("by", "a number of records, such as `100` or `-100`")?) {
            (Some(to), None) => Aim::To(Begin::parse("to", to)?),
            (None, Some(by)) => Aim::By(by),
            (to, _) => {
                let fact = if to.is_some() { "both `to` and `by` say" } else { "neither `to` nor `by` says" };
                return Err(Problem::new("HW-API-009", format!("{fact} where the group reads on"))
                    .help("`to=earliest`, `to=latest`, `to` an offset, `-N` or a time; or `by=-100`")
                    .into());
            }
        };
        let stream = query.text("stream").map(|stream| find_stream(log, stream)).transpose()?;
        let partition = query.read::<u32>("partition", "a partition's number")?;
        if partition.is_some() && stream.is_none() {
            return Err(Problem::new("HW-API-009", "`partition` stands without `stream`")
                .help("name the stream as well: `stream=orders&partition=0`")
                .into());
        }
        Ok(Self { stream, partition, aim })
    }

    /// The steps, which end within what can be read; `HW-API-117` where there is none.
    fn plan(&self, api: &Api, group: &str) -> Result<Vec<Step>, Fault> {
        let committed = api.groups.all_committed(group);
        let places: Vec<(Arc<Stream>, u32, Option<Offset>)> = match &self.stream {
            Some(stream) => {
                let mine = committed.iter().filter(|entry| entry.topic == stream.name.as_str());
                let known: BTreeMap<u32, Offset> =
                    mine.map(|entry| (entry.partition, entry.committed.offset)).collect();
                let partitions = chosen(stream, self.partition).into_iter();
                partitions.map(|partition| (Arc::clone(stream), partition, known.get(&partition).copied())).collect()
            }
            None => committed
                .iter()
                .filter_map(|entry| {
                    Some((api.log.stream(&entry.topic)?, entry.partition, Some(entry.committed.offset)))
                })
                .collect(),
        };
        let mut steps = Vec::with_capacity(places.len());
        for (stream, partition, before) in places {
            let ends = api.log.ends(&stream.name, partition)?;
            let to = match (&self.aim, before) {
                (Aim::To(begin), _) => begin.offset(&*api.log, &stream, partition)?,
                (Aim::By(records), Some(before)) => before.saturating_add(*records),
                (Aim::By(_), None) => continue,
            };
            steps.push(Step { stream, partition, before, after: to.min(ends.durable).max(ends.start), ends });
        }
        if steps.is_empty() {
            let whose = self.stream.as_ref().map_or_else(String::new, |stream| format!(" in stream `{}`", stream.name));
            let fact = format!("consumer group `{}` has no offset{whose}", group.escape_debug());
            let help = "`stream` with `to` gives it offsets where it has none";
            return Err(Fault::new(StatusCode::UNPROCESSABLE_ENTITY, Problem::new("HW-API-117", fact).help(help)));
        }
        Ok(steps)
    }
}

impl Step {
    fn row(&self) -> Value {
        json!({
            "stream": self.stream.name,
            "partition": self.partition,
            "before": self.before,
            "after": self.after,
            "start": self.ends.start,
            "end": self.ends.durable,
            "lag": self.ends.durable - self.after,
        })
    }
}

/// Sets the offsets, all or none.
async fn commit(api: &Api, group: &str, steps: &[Step]) -> Result<(), Fault> {
    let at = api.clock.now();
    let entry = |step: &Step| OffsetEntry {
        topic: step.stream.name.to_string(),
        partition: step.partition,
        committed: Committed { offset: step.after, leader_epoch: -1, metadata: String::new(), at },
    };
    let entries: Vec<OffsetEntry> = steps.iter().map(entry).collect();
    match api.groups.commit(group, &Identity::default(), OUTSIDE, &entries).await {
        // Each single entry is refused for its text alone, and these have none.
        Ok(_) => Ok(()),
        Err(GroupError::Log(refusal)) => Err(refusal.into()),
        Err(GroupError::Closed) => Err(stopping()),
        // A member came in between.
        Err(_) => {
            let members = api.groups.describe(group).map_or(0, |group| group.members.len());
            Err(read_by(group, members, "its offsets cannot be set"))
        }
    }
}

/// `HW-API-116`: members would go on from where they are, and commit that.
fn read_by(group: &str, members: usize, consequence: &str) -> Fault {
    let who = match members {
        0 => "a member that joins".to_owned(),
        1 => "1 member".to_owned(),
        _ => format!("{members} members"),
    };
    let fact = format!("consumer group `{}` has {who}, so that {consequence}", group.escape_debug());
    let help = "stop its consumers; one that fell silent goes when its session times out";
    Fault::new(StatusCode::CONFLICT, Problem::new("HW-API-116", fact).help(help))
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

impl Place {
    fn row(&self) -> Value {
        json!({ "stream": self.stream, "partition": self.partition, "offset": self.offset, "end": self.end, "lag": self.lag })
    }
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
