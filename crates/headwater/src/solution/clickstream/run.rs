//! `headwater solution run`: a file through the solution's pipelines on a private node, and the figures that come out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use headwater_base::Problem;
use headwater_base::partition::partition_of;
use headwater_wire::batch::{Builder, Compression};
use serde::{Deserialize, Serialize};

use crate::problems::Problems;
use crate::solution::node::{Node, Private, wall_ms};
use crate::solution::package::{Package, Settings};
use crate::solution::reader;

/// What came out of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Lines read.
    pub events: u64,
    /// Lines that became dead letters.
    pub failed: u64,
    /// Events enriched.
    pub enriched: u64,
    /// Events too late for their session.
    pub late: u64,
    /// Visits.
    pub sessions: u64,
    /// Different visitors.
    pub visitors: u64,
    /// Different countries.
    pub countries: u64,
    /// Visitors that are programs: by their user agent's own word, or by a pace no person keeps up.
    pub bots: u64,
    /// Events of those.
    pub bot_events: u64,
    /// Events by country, most first.
    pub top_countries: Vec<(String, u64)>,
    /// Seconds from the first line to the last session.
    pub seconds: f64,
}

/// The last events of a run, which close every session; not part of the figures.
const END: &str = r#"{"id":"{key}","source":"end","kind":"view","visitor":"{key}","device":"{key}","time":"{time}"}"#;
const END_ID: &str = "end-";

/// What is read of an enriched event.
#[derive(Deserialize)]
struct Enriched {
    id: String,
    visitor: Option<String>,
    revision: Option<i64>,
    geo: Option<Geo>,
    agent: Option<Agent>,
}

#[derive(Deserialize)]
struct Geo {
    country: Option<String>,
}

#[derive(Deserialize)]
struct Agent {
    bot: Option<bool>,
}

#[derive(Deserialize)]
struct Session {
    key: String,
}

#[derive(Deserialize)]
struct Decision {
    visitor: Option<String>,
    decision: Option<String>,
}

/// Runs an access log through the solution.
///
/// # Errors
/// `HW-CLI-206` when the file cannot be read, and what the node has to say.
pub async fn access_log(
    package: &Package,
    input: &Path,
    mut tell: impl FnMut(&'static str, u64, u64),
) -> Result<Figures, Problems> {
    let text = std::fs::read(input).map_err(|error| {
        Problem::new("HW-CLI-206", format!("`{}` cannot be read or written", input.display())).because(error)
    })?;
    let private = Private::start().await?;
    let node = &private.node;
    // Nothing in an access log names a listing, so nobody is asked.
    let settings = Settings { folder: private.folder.clone(), values: BTreeMap::new() };
    node.apply(&package.resources(&settings)?).await?;
    node.pipelines_ready(Duration::from_secs(20)).await?;
    let start = Instant::now();
    let (events, latest) = send(node, &text, |bytes| tell("sending", bytes, text.len() as u64)).await?;
    let patience = Duration::from_secs(120);
    // The end must come behind every line, so the first pipeline has to be through.
    reader::settled(node, &["clicks.raw", "weblog.dead"], Duration::ZERO, patience, |counts| {
        counts.iter().sum::<i64>() >= events as i64
    })
    .await?;
    // Where no line has a time there is nothing to close, and the end would have none either.
    if latest > headwater_base::Micros::MIN {
        super::feed::close(node, "clicks.raw", END, latest.millis() + 6 * 3_600_000).await?;
    }
    let streams =
        ["clicks.raw", "clicks.enriched", "clicks.dead", "clicks.sessions", "clicks.decisions", "clicks.late"];
    reader::settled(node, &streams, Duration::from_millis(600), patience, |counts| match counts {
        [raw, enriched, dead, ..] => {
            tell("enriching", (enriched + dead).unsigned_abs(), raw.unsigned_abs());
            enriched + dead >= *raw
        }
        _ => false,
    })
    .await?;
    let mut figures = collect(node).await?;
    figures.events = events;
    figures.seconds = (start.elapsed().as_secs_f64() * 100.0).round() / 100.0;
    Ok(figures)
}

/// Sends the lines: as JSON where they can be read, as they are where they cannot. Answers their number and the latest
/// time in them; `tell` hears how many bytes are sent.
async fn send(node: &Node, text: &[u8], mut tell: impl FnMut(u64)) -> Result<(u64, headwater_base::Micros), Problem> {
    const STREAM: &str = "weblog.raw";
    let mut client = node.connect().await?;
    let partitions = client.partitions(STREAM).await?;
    let mut open: Vec<Builder> = (0..partitions).map(|_| Builder::new(Compression::None)).collect();
    let mut lines = 0;
    let mut bytes = 0;
    let mut latest = headwater_base::Micros::MIN;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        lines += 1;
        bytes += line.len() as u64 + 1;
        let value = match headwater_wire::accesslog::combined(line) {
            Ok(json) => {
                let time = json
                    .split_once("\"time\":\"")
                    .and_then(|(_, rest)| headwater_base::Micros::parse_rfc3339(rest.split('"').next()?));
                latest = latest.max(time.unwrap_or(latest));
                format!("{{\"line\":{lines},{}", json.get(1..).unwrap_or_default()).into_bytes()
            }
            Err(_) => line.to_vec(),
        };
        // One address stays in one partition, so that its lines keep their order.
        let key = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        let place = partition_of(key, partitions) as usize;
        let Some(builder) = open.get_mut(place) else { continue };
        builder.push(wall_ms(), Some(key), Some(&value), &[]);
        if builder.bytes() >= 256 * 1024 {
            let full = std::mem::replace(builder, Builder::new(Compression::None)).finish();
            client.produce(STREAM, &[(place as u32, full)]).await?;
            tell(bytes);
        }
    }
    let rest: Vec<(u32, BytesMut)> = (0..partitions)
        .zip(open)
        .filter(|(_, builder)| builder.bytes() > 0)
        .map(|(p, builder)| (p, builder.finish()))
        .collect();
    client.produce(STREAM, &rest).await?;
    Ok((lines, latest))
}

async fn collect(node: &Node) -> Result<Figures, Problems> {
    let mut figures = Figures::default();
    let mut visitors: HashMap<String, u64> = HashMap::new();
    let mut bots: HashSet<String> = HashSet::new();
    let mut countries: BTreeMap<String, u64> = BTreeMap::new();
    let mut ends: HashSet<String> = HashSet::new();
    reader::all(node, "clicks.enriched", |_, record| {
        let Some(event) = record.value.and_then(|value| serde_json::from_slice::<Enriched>(&value).ok()) else {
            return;
        };
        let Some(visitor) = event.visitor.filter(|_| event.revision != Some(2)) else { return };
        if event.id.starts_with(END_ID) {
            ends.insert(visitor);
            return;
        }
        figures.enriched += 1;
        if let Some(country) = event.geo.and_then(|geo| geo.country) {
            *countries.entry(country).or_default() += 1;
        }
        if event.agent.and_then(|agent| agent.bot) == Some(true) {
            bots.insert(visitor.clone());
        }
        *visitors.entry(visitor).or_default() += 1;
    })
    .await?;
    reader::all(node, "clicks.decisions", |_, record| {
        let decision = record.value.and_then(|value| serde_json::from_slice::<Decision>(&value).ok());
        if let Some(Decision { visitor: Some(visitor), decision: Some(word) }) = decision
            && word == "ban"
        {
            bots.insert(visitor);
        }
    })
    .await?;
    figures.failed =
        reader::all(node, "weblog.dead", |_, _| {}).await? + reader::all(node, "clicks.dead", |_, _| {}).await?;
    figures.late = reader::all(node, "clicks.late", |_, _| {}).await?;
    let sessions: Vec<Session> = reader::newest(node, "clicks.sessions").await?;
    figures.sessions = sessions.iter().filter(|session| !ends.contains(&session.key)).count() as u64;
    figures.visitors = visitors.len() as u64;
    figures.countries = countries.len() as u64;
    figures.bots = bots.iter().filter(|bot| visitors.contains_key(*bot)).count() as u64;
    figures.bot_events = bots.iter().filter_map(|bot| visitors.get(bot)).sum();
    figures.top_countries = countries.into_iter().collect();
    figures.top_countries.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    figures.top_countries.truncate(5);
    Ok(figures)
}
