//! What the streams and the ban table say, compared with what really happened.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::path::Path;

use headwater_base::{Micros, Problem};
use headwater_flow::program::{Keyring, Period};
use serde::Deserialize;
use serde_json::Value;

use super::verdict::Verdict;
use crate::problems::Problems;
use crate::solution::clickstream::traffic::{Fact, Flaw, Session, Truth, sessions};
use crate::solution::node::Node;
use crate::solution::reader;

const GAP_MS: i64 = 30 * 60_000;
const DAY_MS: i64 = 86_400_000;

/// What is read of an enriched event.
#[derive(Deserialize)]
struct Enriched<'a> {
    id: &'a str,
    kind: &'a str,
    visitor: &'a str,
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
    duration_ms: i64,
    measures: Measures,
}

#[derive(Deserialize)]
struct Measures {
    searches: u64,
    carts: u64,
    orders: u64,
}

#[derive(Deserialize)]
struct Decision {
    visitor: String,
    decision: String,
}

#[derive(Deserialize)]
struct Late {
    event: LateEvent,
}

#[derive(Deserialize)]
struct LateEvent {
    id: String,
}

/// What the enriched stream says of one event.
#[derive(Default)]
struct Seen {
    first: u64,
    second: u64,
    /// The first revision went out with failed lookups.
    failed: bool,
}

/// Reads what the enriched stream says, against what was sent.
struct Reading<'a> {
    /// The events that can be read, by id.
    facts: HashMap<String, &'a Fact>,
    seen: HashMap<String, Seen>,
}

impl<'a> Reading<'a> {
    fn of(facts: &'a [Fact]) -> Self {
        let readable = facts.iter().filter(|fact| matches!(fact.flaw, Flaw::None | Flaw::TooLate));
        Self { facts: readable.map(|fact| (fact.text_id(), fact)).collect(), seen: HashMap::new() }
    }

    fn take(&mut self, value: &[u8], verdict: &mut Verdict) {
        let Ok(event) = serde_json::from_slice::<Enriched<'_>>(value) else {
            verdict.strange += 1;
            return;
        };
        let raw = event.ip.is_some() || event.email.is_some() || event.user_agent.is_some();
        if raw || std::str::from_utf8(value).is_ok_and(|text| text.contains("@mail.example")) {
            verdict.personal += 1;
        }
        match self.facts.get(event.id) {
            Some(fact) if fact.kind == event.kind && number(event.visitor) == Some(fact.visitor) => {}
            // What the traffic was closed with.
            None if event.id.starts_with("end-") => return,
            _ => verdict.strange += 1,
        }
        let failed = event.enrichment.is_some_and(|enrichment| enrichment.status == "failed");
        let seen = self.seen.entry(event.id.to_owned()).or_default();
        match event.revision {
            Some(2) => seen.second += 1,
            _ => {
                seen.first += 1;
                seen.failed |= failed;
            }
        }
    }

    fn judge(&self, verdict: &mut Verdict) {
        for id in self.facts.keys() {
            verdict.events += 1;
            match self.seen.get(id) {
                None | Some(Seen { first: 0, .. }) => verdict.lost += 1,
                Some(Seen { first, second, failed }) => {
                    verdict.enriched += 1;
                    // There is a second revision of what failed at first, and of nothing else.
                    verdict.doubled += first - 1 + second.saturating_sub(u64::from(*failed));
                    verdict.failed_lookups += u64::from(*failed);
                    verdict.revised += u64::from(*failed && *second == 1);
                }
            }
        }
    }
}

pub(super) async fn events(node: &Node, truth: &Truth, verdict: &mut Verdict) -> Result<HashSet<String>, Problems> {
    let mut reading = Reading::of(&truth.facts);
    reader::all(node, "clicks.enriched", |_, record| reading.take(&record.value.unwrap_or_default(), verdict)).await?;
    reading.judge(verdict);
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

pub(super) async fn visits(
    node: &Node,
    truth: &Truth,
    late: &HashSet<String>,
    verdict: &mut Verdict,
) -> Result<(), Problems> {
    let counted = |fact: &&Fact| matches!(fact.flaw, Flaw::None | Flaw::TooLate) && !late.contains(&fact.text_id());
    let wanted: HashSet<Session> = sessions(truth.facts.iter().filter(counted), GAP_MS).into_iter().collect();
    // What the traffic was closed with has visitors of its own.
    let rows = reader::newest::<Row>(node, "clicks.sessions").await?;
    let of_visitors: Vec<&Row> = rows.iter().filter(|row| number(&row.key).is_some()).collect();
    let given: Vec<Session> = of_visitors.iter().filter_map(|row| session(row)).collect();
    let broken = of_visitors.len() - given.len();
    let distinct: HashSet<Session> = given.iter().copied().collect();
    verdict.sessions = given.len() as u64;
    verdict.sessions_wrong =
        (wanted.symmetric_difference(&distinct).count() + (given.len() - distinct.len()) + broken) as u64;
    Ok(())
}

fn session(row: &Row) -> Option<Session> {
    let visitor = number(&row.key)?;
    let ms = |text: &str| Micros::parse_rfc3339(text).map(Micros::millis);
    let (start_ms, end_ms) = (ms(&row.start)?, ms(&row.end)?);
    let conversions = [row.measures.searches, row.measures.carts, row.measures.orders];
    (end_ms - start_ms == row.duration_ms).then_some(Session {
        visitor,
        start_ms,
        end_ms,
        events: row.events,
        conversions,
    })
}

/// Compares the ban table and the decisions with who attacked.
///
/// A ban is right if it names what is an attacker's own. An address that people come from, too, is nobody's own.
pub(super) async fn bans(node: &Node, truth: &Truth, folder: &Path, verdict: &mut Verdict) -> Result<(), Problems> {
    let people: HashSet<Ipv4Addr> =
        truth.facts.iter().filter(|fact| fact.attacker.is_none()).map(|fact| fact.address).collect();
    let days: HashSet<i64> =
        truth.facts.iter().filter(|f| f.attacker.is_some()).map(|f| Micros::from_millis(f.time_ms).day()).collect();
    let secret = std::fs::read(folder.join("keys/clickstream.key")).unwrap_or_default();
    let keyring = Keyring::new(secret.into());
    let token = |address: Ipv4Addr, day: i64| {
        keyring.token(address.to_string().as_bytes(), Period::Day, Micros::from_millis(day * DAY_MS))
    };
    let mut acts: HashMap<u32, u32> = HashMap::new();
    for attacker in truth.facts.iter().filter_map(|fact| fact.attacker) {
        *acts.entry(attacker).or_default() += 1;
    }
    let mut owners: HashMap<String, u32> = HashMap::new();
    for attacker in &truth.attackers {
        let address = Some(attacker.address).filter(|address| !people.contains(address));
        let tokens = address.iter().flat_map(|address| days.iter().map(|day| token(*address, *day)));
        let names = tokens.chain(attacker.devices.iter().cloned()).chain(attacker.users.iter().cloned());
        owners.extend(names.map(|name| (name, attacker.number)));
    }
    let mut caught: HashSet<u32> = HashSet::new();
    for (key, reasons) in banned(node).await? {
        verdict.bans += 1;
        match owners.get(&key) {
            Some(number) => drop(caught.insert(*number)),
            None => verdict.wrong_bans.push(format!("{key}: {reasons}")),
        }
    }
    // Whoever had hardly begun when the traffic ended has done nothing yet to be caught for.
    let through = truth.attackers.iter().filter(|a| acts.get(&a.number).copied().unwrap_or(0) * 10 >= a.plan * 9);
    for attacker in through {
        verdict.attackers += 1;
        verdict.attackers_among_people += u64::from(people.contains(&attacker.address));
        if caught.contains(&attacker.number) {
            verdict.caught += 1;
        } else {
            verdict.missed.push(attacker.kind.to_owned());
        }
    }
    let share = |part: u64, whole: u64| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
    verdict.recall = share(verdict.caught, verdict.attackers);
    verdict.precision = share(verdict.bans - verdict.wrong_bans.len() as u64, verdict.bans);
    verdict.people_banned = people_banned(node, truth).await?;
    Ok(())
}

/// How many people were told that they are banned.
async fn people_banned(node: &Node, truth: &Truth) -> Result<u64, Problem> {
    let visitors: HashSet<u32> = truth.facts.iter().filter(|f| f.attacker.is_none()).map(|f| f.visitor).collect();
    let mut found = HashSet::new();
    reader::all(node, "clicks.decisions", |_, record| {
        let decision = record.value.and_then(|value| serde_json::from_slice::<Decision>(&value).ok());
        if let Some(Decision { visitor, decision }) = decision
            && decision == "ban"
        {
            found.extend(number(&visitor).filter(|visitor| visitors.contains(visitor)));
        }
    })
    .await?;
    Ok(found.len() as u64)
}

fn number(visitor: &str) -> Option<u32> {
    visitor.strip_prefix('v')?.parse().ok()
}

/// The keys of the ban table with their reasons.
async fn banned(node: &Node) -> Result<Vec<(String, String)>, Problems> {
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
        let row = |document: &Value| {
            let reasons = document["value"]["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
            Some((document["key"].as_str()?.to_owned(), reasons.collect::<Vec<_>>().join(", ")))
        };
        keys.extend(page["documents"].as_array().unwrap_or(&none).iter().filter_map(row));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return Ok(keys),
        }
    }
}

#[cfg(test)]
mod tests;
