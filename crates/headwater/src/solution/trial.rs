//! `headwater solution test`: seeded traffic through the solution's pipelines on a private node, compared with what
//! really happened.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use headwater_base::{Micros, Problem};
use headwater_flow::program::{Keyring, Period};
use headwater_wire::batch::Compression;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, Manner};
use super::feed::{self, Pace};
use super::node::{Node, Private};
use super::package::{Package, Settings};
use super::reader;
use super::traffic::{Fact, Flaw, Session, Traffic, Truth, World, sessions};
use crate::problems::Problems;

/// What a trial found. It passed when `failures` is empty.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// The traffic's seed.
    pub seed: u64,
    /// Single events checked against `checks.yaml`.
    pub checks: u64,
    /// Records sent, repeated and broken ones included.
    pub records: u64,
    /// Different events among them that can be read.
    pub events: u64,
    /// Events enriched, first revisions.
    pub enriched: u64,
    /// Events that are nowhere.
    pub lost: u64,
    /// First revisions that came more than once.
    pub doubled: u64,
    /// Events whose lookup failed at first.
    pub failed_lookups: u64,
    /// Of those, enriched again in a second revision.
    pub revised: u64,
    /// Dead letters.
    pub dead: u64,
    /// Events too late for their session.
    pub late: u64,
    /// Events that were in time and were called late.
    pub wrongly_late: u64,
    /// Sessions.
    pub sessions: u64,
    /// Sessions that are not as they were, or missing, or too many.
    pub sessions_wrong: u64,
    /// Attackers who got through their plan.
    pub attackers: u64,
    /// Of those, banned.
    pub caught: u64,
    /// Entities banned.
    pub bans: u64,
    /// Of those, nobody's attacker.
    pub wrong_bans: u64,
    /// `caught` of `attackers`.
    pub recall: f64,
    /// The right ones of `bans`.
    pub precision: f64,
    /// Events with something personal left in them.
    pub personal: u64,
    /// Kinds of attackers who were not caught.
    pub missed: Vec<String>,
    /// How long each start after a kill took until the node was ready.
    pub restarts_ms: Vec<u64>,
    /// Seconds in all.
    pub seconds: f64,
    /// What is not as it must be; empty if all is well.
    pub failures: Vec<String>,
}

/// How a trial is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The traffic's seed.
    pub seed: u64,
    /// Records to send.
    pub records: u64,
    /// How many times the node is killed (`kill -9`) and started again while they are sent.
    pub kills: u32,
}

const GAP_MS: i64 = 30 * 60_000;
const END: &str = r#"{"id":"{key}","source":"end","kind":"view","visitor":"{key}","device":"{key}","ip":"192.0.2.1","time":"{time}"}"#;

/// What is read of an enriched event.
#[derive(Deserialize)]
struct Enriched<'a> {
    id: &'a str,
    revision: Option<i64>,
    enrichment: Option<Enrichment<'a>>,
    ip: Option<serde::de::IgnoredAny>,
    email: Option<serde::de::IgnoredAny>,
    user_agent: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Enrichment<'a> {
    status: &'a str,
}

#[derive(Deserialize)]
struct Row {
    key: String,
    start: String,
    end: String,
    events: u64,
}

#[derive(Deserialize)]
struct Late {
    event: LateEvent,
}

#[derive(Deserialize)]
struct LateEvent {
    id: String,
}

/// Tries the solution.
///
/// # Errors
/// What the node has to say; a failed comparison is not an error but a verdict.
pub async fn run(package: &Package, options: Options) -> Result<Verdict, Problems> {
    let start = Instant::now();
    let world = World::test(options.seed);
    let manner = Manner { latency: Duration::from_millis(3), spread: Duration::from_millis(2), failures_per_mille: 20 };
    let catalogue = Catalogue::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), world.clone(), manner).await?;
    let mut private = Private::start().await?;
    let node = private.node.clone();
    let node = &node;
    let settings = Settings {
        folder: private.folder.clone(),
        values: BTreeMap::from([("catalogue".to_owned(), catalogue.url())]),
    };
    node.apply(&package.resources(&settings)?).await?;
    node.pipelines_ready(Duration::from_secs(20)).await?;
    let (checks, unmet) = super::checks::run(package, node).await?;
    feed::import(node, "users", feed::users(&world)).await?;
    imported(node, world.users).await?;

    let mut traffic = Traffic::new(world);
    let mut verdict =
        Verdict { seed: options.seed, records: options.records, checks, failures: unmet, ..Verdict::default() };
    if options.kills == 0 {
        let pace = Pace { per_second: None, records: options.records, in_flight: 8, compression: Compression::None };
        feed::feed(node, "clicks.raw", &mut traffic, &pace).await?;
    } else {
        verdict.restarts_ms = feed_and_kill(&mut private, &mut traffic, options).await?;
        node.pipelines_ready(Duration::from_secs(20)).await?;
    }
    let truth = traffic.truth();
    let end =
        truth.facts.iter().filter(|fact| fact.flaw == Flaw::None).map(|fact| fact.time_ms).max().unwrap_or_default();
    let closing = feed::close(node, "clicks.raw", END, end + 6 * 3_600_000).await?;

    let wanted = (truth.records - truth.duplicates + closing) as i64;
    let streams = [
        "clicks.enriched",
        "clicks.dead",
        "clicks.retry",
        "clicks.sessions",
        "clicks.decisions",
        "clicks.late",
        "table.bans",
    ];
    // Copies to be retried wait for two seconds: rest must last longer.
    reader::settled(
        node,
        &streams,
        Duration::from_millis(2_600),
        Duration::from_secs(120),
        |counts| matches!(counts, [enriched, dead, ..] if enriched + dead >= wanted),
    )
    .await?;
    let late = compare_events(node, truth, &mut verdict).await?;
    compare_sessions(node, truth, &late, &mut verdict).await?;
    compare_bans(node, truth, &private.folder, &mut verdict).await?;
    verdict.seconds = (start.elapsed().as_secs_f64() * 100.0).round() / 100.0;
    judge(&mut verdict, truth);
    Ok(verdict)
}

/// Sends the traffic while the node is killed at moments that follow from the seed.
async fn feed_and_kill(private: &mut Private, traffic: &mut Traffic, options: Options) -> Result<Vec<u64>, Problem> {
    let node = private.node.clone();
    let (progress, mut progressed) = tokio::sync::watch::channel(0);
    let feeding = feed::feed_through(&node, "clicks.raw", traffic, options.records, |sent| {
        progress.send_replace(sent);
    });
    let killing = async {
        let mut restarts = Vec::new();
        let mut moments: Vec<u64> = (0..options.kills)
            .map(|n| super::traffic::chance(options.seed, u64::from(n) + 1_000) % options.records.max(1))
            .collect();
        moments.sort_unstable();
        for (number, moment) in moments.into_iter().enumerate() {
            let _ = progressed.wait_for(|sent| *sent >= moment).await;
            // Not always between two requests.
            let wait = super::traffic::chance(options.seed, number as u64 + 2_000) % 4_000;
            tokio::time::sleep(Duration::from_micros(wait)).await;
            restarts.push(private.kill_and_restart().await?.as_millis() as u64);
        }
        Ok::<_, Problem>(restarts)
    };
    let (fed, killed) = tokio::join!(feeding, killing);
    fed?;
    killed
}

/// Waits until the table's view has every user.
async fn imported(node: &Node, users: u32) -> Result<(), Problems> {
    let last = format!("u{:07}", users.saturating_sub(1));
    for _ in 0..1_200 {
        if node.web.get(&["v1", "tables", "users", "documents", &last], &[]).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Err(Problem::new("HW-CLI-205", "the table `users` is not filled after 30 s").into())
}

async fn compare_events(node: &Node, truth: &Truth, verdict: &mut Verdict) -> Result<HashSet<String>, Problems> {
    let mut seen: HashMap<String, (u32, u32, bool)> = HashMap::new();
    let mut personal = 0;
    reader::all(node, "clicks.enriched", |_, record| {
        let Some(value) = record.value else { return };
        let Ok(event) = serde_json::from_slice::<Enriched<'_>>(&value) else { return };
        let raw = event.ip.is_some() || event.email.is_some() || event.user_agent.is_some();
        if raw || std::str::from_utf8(&value).is_ok_and(|text| text.contains("@mail.example")) {
            personal += 1;
        }
        let failed = event.enrichment.is_some_and(|enrichment| enrichment.status == "failed");
        let entry = seen.entry(event.id.to_owned()).or_default();
        match event.revision {
            Some(2) => entry.1 += 1,
            _ => {
                entry.0 += 1;
                entry.2 |= failed;
            }
        }
    })
    .await?;
    let readable = truth.facts.iter().filter(|fact| matches!(fact.flaw, Flaw::None | Flaw::TooLate));
    for fact in readable {
        verdict.events += 1;
        match seen.get(&fact.text_id()) {
            None | Some((0, ..)) => verdict.lost += 1,
            Some((first, second, failed)) => {
                verdict.enriched += 1;
                verdict.doubled += u64::from(*first - 1) + u64::from(second.saturating_sub(1));
                verdict.failed_lookups += u64::from(*failed);
                verdict.revised += u64::from(*failed && *second == 1);
            }
        }
    }
    verdict.personal = personal;
    verdict.dead = reader::all(node, "clicks.dead", |_, _| {}).await?;
    let mut late = HashSet::new();
    reader::all(node, "clicks.late", |_, record| {
        if let Some(letter) = record.value.and_then(|value| serde_json::from_slice::<Late>(&value).ok()) {
            late.insert(letter.event.id);
        }
    })
    .await?;
    verdict.late = late.len() as u64;
    verdict.wrongly_late =
        truth.facts.iter().filter(|fact| fact.flaw == Flaw::None && late.contains(&fact.text_id())).count() as u64;
    Ok(late)
}

async fn compare_sessions(
    node: &Node,
    truth: &Truth,
    late: &HashSet<String>,
    verdict: &mut Verdict,
) -> Result<(), Problems> {
    let counted = |fact: &&Fact| matches!(fact.flaw, Flaw::None | Flaw::TooLate) && !late.contains(&fact.text_id());
    let wanted: HashSet<Session> = sessions(truth.facts.iter().filter(counted), GAP_MS).into_iter().collect();
    let mut rows: HashMap<Vec<u8>, Row> = HashMap::new();
    reader::all(node, "clicks.sessions", |_, record| {
        let Some(id) = record.key.map(|key| key.to_vec()) else { return };
        match record.value.and_then(|value| serde_json::from_slice::<Row>(&value).ok()) {
            Some(row) => rows.insert(id, row),
            None => rows.remove(&id),
        };
    })
    .await?;
    let given: Vec<Session> = rows.values().filter_map(session).collect();
    let distinct: HashSet<Session> = given.iter().copied().collect();
    verdict.sessions = given.len() as u64;
    verdict.sessions_wrong = (wanted.symmetric_difference(&distinct).count() + (given.len() - distinct.len())) as u64;
    Ok(())
}

fn session(row: &Row) -> Option<Session> {
    let visitor = row.key.strip_prefix('v')?.parse().ok()?;
    let ms = |text: &str| Micros::parse_rfc3339(text).map(Micros::millis);
    Some(Session { visitor, start_ms: ms(&row.start)?, end_ms: ms(&row.end)?, events: row.events })
}

async fn compare_bans(node: &Node, truth: &Truth, folder: &Path, verdict: &mut Verdict) -> Result<(), Problems> {
    let secret = std::fs::read(folder.join("keys/clickstream.key")).unwrap_or_default();
    let keyring = Keyring::new(secret.into());
    let start = truth.facts.first().map_or(0, |fact| fact.time_ms);
    let token = |address: &String| keyring.token(address.as_bytes(), Period::Month, Micros::from_millis(start));
    let mut owners: HashMap<String, u32> = HashMap::new();
    let mut acts: HashMap<u32, u32> = HashMap::new();
    for attacker in truth.facts.iter().filter_map(|fact| fact.attacker) {
        *acts.entry(attacker).or_default() += 1;
    }
    for attacker in &truth.attackers {
        let names = attacker
            .addresses
            .iter()
            .map(token)
            .chain(attacker.devices.iter().cloned())
            .chain(attacker.users.iter().cloned());
        owners.extend(names.map(|name| (name, attacker.number)));
    }
    let mut caught: HashSet<u32> = HashSet::new();
    for key in banned(node).await? {
        verdict.bans += 1;
        match owners.get(&key) {
            Some(number) => drop(caught.insert(*number)),
            None => verdict.wrong_bans += 1,
        }
    }
    // Whoever had hardly begun when the traffic ended has done nothing yet to be caught for.
    let through = truth.attackers.iter().filter(|a| acts.get(&a.number).copied().unwrap_or(0) * 10 >= a.plan * 9);
    for attacker in through {
        verdict.attackers += 1;
        if caught.contains(&attacker.number) {
            verdict.caught += 1;
        } else {
            verdict.missed.push(attacker.kind.to_owned());
        }
    }
    let share = |part: u64, whole: u64| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
    verdict.recall = share(verdict.caught, verdict.attackers);
    verdict.precision = share(verdict.bans - verdict.wrong_bans, verdict.bans);
    Ok(())
}

/// The keys of the ban table.
async fn banned(node: &Node) -> Result<Vec<String>, Problems> {
    let mut keys = Vec::new();
    let mut after = String::new();
    loop {
        let query = [("max", "1000"), ("after", after.as_str())];
        let page = node
            .web
            .get(
                &["v1", "tables", "bans", "documents"],
                query.get(..if after.is_empty() { 1 } else { 2 }).unwrap_or_default(),
            )
            .await?;
        let none = Vec::new();
        keys.extend(
            page["documents"].as_array().unwrap_or(&none).iter().filter_map(|d| d["key"].as_str().map(str::to_owned)),
        );
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return Ok(keys),
        }
    }
}

fn judge(verdict: &mut Verdict, truth: &Truth) {
    let mut failures = std::mem::take(&mut verdict.failures);
    let mut must = |holds: bool, what: String| {
        if !holds {
            failures.push(what);
        }
    };
    must(verdict.lost == 0, format!("{} events lost", verdict.lost));
    must(verdict.doubled == 0, format!("{} events doubled", verdict.doubled));
    must(
        verdict.revised == verdict.failed_lookups,
        format!("{} of {} failed lookups revised", verdict.revised, verdict.failed_lookups),
    );
    must(
        verdict.dead == truth.malformed + truth.ahead,
        format!("{} dead letters, {} expected", verdict.dead, truth.malformed + truth.ahead),
    );
    must(verdict.wrongly_late == 0, format!("{} events wrongly called late", verdict.wrongly_late));
    must(verdict.sessions_wrong == 0, format!("{} sessions wrong", verdict.sessions_wrong));
    must(verdict.personal == 0, format!("{} events with personal data", verdict.personal));
    must(verdict.attackers > 0, "no attacker got through, so nothing was tried".to_owned());
    must(verdict.recall >= 0.9, format!("recall of bans {:.3} is below 0.9", verdict.recall));
    must(verdict.precision >= 0.95, format!("precision of bans {:.3} is below 0.95", verdict.precision));
    verdict.failures = failures;
}
