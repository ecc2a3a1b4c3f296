//! A whole pipeline on the real log, through disorder, late and bridging events, silent partitions, failing and slow
//! lookups and power cuts at random moments, against a naive computation over the events that are in its input.
//!
//! The oracle is told one thing by the pipeline: which events were called late. It holds that against what no event
//! may be called late for.
//! `HEADWATER_SEEDS` sets how many seeds are tried (default 6); a failure names its seed. `cargo xtask crash --mode
//! powercut` tries as many as it is told (`crates/flow/examples/sessions.rs`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use headwater_base::{Micros, Name};
use headwater_kernel::port::LookupError;
use headwater_testkit::FaultyDisk;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::bench::{Bench, Gate, START, Seen};

const PARTITIONS: u32 = 3;
const USERS: u64 = 7;
/// `disorder` and `lateness` together, in seconds.
const BEHIND: i64 = 5 + 20;
const GAP: i64 = 10;
const SIZE: i64 = 30;
const PATH: usize = 3;

fn spec(gate: &str, idle: &str) -> Value {
    json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "5s", "lateness": "20s", "idle": idle, "ahead": "3650d"},
        "key": ".user",
        "steps": [
            {"id": "more", "type": "lookup", "lookup": {"type": "http", "gate": gate}, "key": ".id", "into": ".more",
             "wait": "1d", "timeout": "10m", "retries": 0, "breaker": {"failures": 1_000_000}, "cache": {"negative_ttl": "0s"}},
            {"id": "rates", "type": "aggregate", "key": ".user", "windows": ["30d"],
             "measures": {"events": {"count": true}, "spend": {"sum": ".n"}}, "into": ".rates"},
            {"id": "visits", "type": "session", "key": ".user", "gap": "10s", "measures": {"spend": {"sum": ".n"}},
             "path": {"field": ".id", "max": PATH}, "output": {"stream": "visits"}},
            {"id": "windows", "type": "window", "size": "30s", "key": ".user", "measures": {"spend": {"sum": ".n"}},
             "output": {"stream": "windows"}},
        ],
        "outputs": [{"type": "stream", "stream": "out", "key": ".user"}],
        "retry": {"stream": "retry", "delay": "1s", "attempts": 100_000},
        "late": {"stream": "late"},
        "errors": {"stream": "dead"},
    })
}

/// An event as the oracle sees it.
#[derive(Clone, Debug)]
struct Fact {
    id: String,
    user: String,
    seconds: i64,
    n: i64,
    partition: u32,
    offset: i64,
}

/// What sends the events, and knows when which lookup answers.
struct Sender {
    rng: ChaCha8Rng,
    gate: Gate,
    next: u64,
    now: i64,
    /// A partition that says nothing for a while.
    silent: Option<u32>,
    slow: Vec<String>,
    down: Vec<String>,
}

impl Sender {
    fn event(&mut self) -> (u32, String) {
        let rng = &mut self.rng;
        let mut user = rng.random_range(0..USERS);
        while self.silent == Some(user as u32 % PARTITIONS) {
            user = rng.random_range(0..USERS);
        }
        self.now += rng.random_range(0..4);
        let back = match rng.random_range(0..20) {
            0..12 => rng.random_range(0..4),
            12..18 => rng.random_range(4..BEHIND),
            18 => rng.random_range(BEHIND..60),
            _ => 400,
        };
        let id = format!("e{}", self.next);
        self.next += 1;
        match rng.random_range(0..10) {
            0..6 => self.gate.answer(&id, Ok(Some("1"))),
            6..8 => self.slow.push(id.clone()),
            8 => self.gate.answer(&id, Ok(None)),
            _ => {
                self.gate.answer(&id, Err(LookupError::Unavailable("down".into())));
                self.down.push(id.clone());
            }
        }
        (user as u32 % PARTITIONS, event(&id, &format!("u{user}"), self.now - back, rng.random_range(-9..10)))
    }

    /// Some of the slow answers arrive.
    fn release(&mut self, all: bool) {
        while !self.slow.is_empty() && (all || self.rng.random_range(0..3) > 0) {
            let id = self.slow.swap_remove(self.rng.random_range(0..self.slow.len()));
            self.gate.answer(&id, Ok(Some("2")));
        }
        if all {
            self.down.drain(..).for_each(|id| self.gate.answer(&id, Ok(Some("3"))));
        }
    }
}

fn event(id: &str, user: &str, seconds: i64, n: i64) -> String {
    json!({"id": id, "user": user, "time": Micros(START.0 + seconds * 1_000_000).to_string(), "n": n}).to_string()
}

/// What came of one seed.
#[derive(Debug, Default)]
pub struct Told {
    /// Events that were acknowledged.
    pub acked: usize,
    /// Of these, gone.
    pub lost: usize,
    /// Results that are there twice.
    pub doubled: usize,
    /// Events that were late.
    pub late: usize,
    /// Sessions of the naive computation.
    pub sessions: usize,
    /// Sessions that are not as it has them, in words.
    pub wrong: Vec<String>,
}

#[test]
fn a_pipeline_through_power_cuts_gives_what_a_naive_computation_gives() {
    let seeds: u64 = std::env::var("HEADWATER_SEEDS").ok().map_or(6, |text| text.parse().unwrap());
    let mut late = 0;
    for seed in 0..seeds {
        let told = trial(seed);
        assert_eq!((told.lost, told.doubled, &told.wrong), (0, 0, &Vec::new()), "seed {seed}");
        assert!(told.acked > 0 && told.sessions > 0, "seed {seed}: {told:?}");
        late += told.late;
    }
    assert!(late > 0, "some events have to be late, or nothing was tried");
}

/// One seed.
///
/// # Panics
/// When anything but lost events, doubled results and sessions is not as it has to be.
pub fn trial(seed: u64) -> Told {
    let gate = format!("oracle-{seed}");
    // Silence counts in odd seeds only, so that even ones can hold lateness to its partition.
    let silence = seed % 2 == 1;
    let spec = spec(&gate, if silence { "3s" } else { "300d" });
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let gate = Gate::named(&gate);
    let mut sender = Sender { rng, gate, next: 0, now: 1_000, silent: None, slow: Vec::new(), down: Vec::new() };
    let disk = FaultyDisk::default();
    let bench = Bench::on(&disk);
    bench.stream("in", PARTITIONS);
    let _ = bench.plan("p", spec.clone());
    drop(bench);
    let mut acked: BTreeSet<String> = BTreeSet::new();
    for cut in 0..3 {
        let bench = Bench::on(&disk);
        let unit = bench.start("p", spec.clone());
        disk.cut_after(sender.rng.random_range(5..120));
        while !disk.is_off() {
            if sender.rng.random_range(0..6) == 0 {
                sender.silent = Some(sender.rng.random_range(0..PARTITIONS)).filter(|_| silence);
            }
            let (partition, first) = sender.event();
            let mut batch = vec![first];
            for _ in 0..sender.rng.random_range(0..8) {
                let (other, event) = sender.event();
                if other == partition {
                    batch.push(event);
                }
            }
            sender.release(false);
            if bench.send_durably("in", partition, &batch) {
                acked.extend(batch.iter().map(|event| field(&serde_json::from_str(event).unwrap(), "id")));
            }
            bench.clock.advance(Duration::from_millis(sender.rng.random_range(0..1_500)));
        }
        bench.stop(&unit);
        drop((unit, bench));
        disk.power_on(seed * 10 + cut);
    }
    let bench = Bench::on(&disk);
    let unit = bench.start("p", spec);
    sender.release(true);
    let there: BTreeMap<String, Fact> = facts(&bench.read("in"));
    let lost = acked.iter().filter(|id| !there.contains_key(*id)).count();
    let of_first = |seen: &Seen| revision(seen) == 1;
    bench.until("every event has come out", || bench.read("out").iter().filter(|s| of_first(s)).count() >= there.len());
    for partition in 0..PARTITIONS {
        let id = format!("end{partition}");
        sender.gate.answer(&id, Ok(None));
        assert!(bench.send_durably("in", partition, &[event(&id, &id, sender.now + 86_400, 0)]));
    }
    bench.until("every copy has been retried", || {
        bench.clock.advance(Duration::from_millis(100));
        let out = bench.read("out");
        let failed = out.iter().filter(|seen| failed(seen)).count();
        let again = out.iter().filter(|seen| revision(seen) == 2).count();
        again >= failed && out.len() >= there.len() + PARTITIONS as usize + again
    });
    let end = (START.0 as f64 / 1e6) + (sender.now + 86_400 - 5) as f64;
    bench.until("event time has come to its end", || bench.figure("p", "watermark_seconds") >= end);
    bench.stop(&unit);
    let streams = ["out", "visits", "windows", "late", "retry", "dead"].map(|name| Name::new(name).unwrap());
    bench.until("all is durable", || {
        let ends = |stream: &Name| bench.log.ends(stream, 0).unwrap();
        streams.iter().all(|stream| ends(stream).durable == ends(stream).appended)
    });
    Told { acked: acked.len(), lost, ..compare(seed, &bench, &there, !silence) }
}

fn compare(seed: u64, bench: &Bench, there: &BTreeMap<String, Fact>, strict: bool) -> Told {
    assert_eq!(bench.read("dead"), [], "seed {seed}");
    let out = bench.read("out");
    let mut seen: HashMap<(String, u64), Value> = HashMap::new();
    let mut counted: HashMap<String, (u64, i64)> = HashMap::new();
    let mut doubled = 0;
    for record in out.iter().filter(|record| !id(record).starts_with("end")) {
        let (id, revision, event) = (id(record), revision(record), record.value.clone().unwrap());
        assert!(there.contains_key(&id), "seed {seed}: `{id}` is in the input");
        if seen.insert((id, revision), event.clone()).is_some() {
            doubled += 1;
            continue;
        }
        if revision == 1 && !event["rates"].is_null() {
            // In the order in which a key's events come out, each has been counted once.
            let (count, spend) = counted.entry(field(&event, "user")).or_default();
            (*count, *spend) = (*count + 1, *spend + event["n"].as_i64().unwrap());
            let shown = (&event["rates"]["events_30d"], &event["rates"]["spend_30d"]);
            assert_eq!(shown, (&json!(*count), &json!(*spend)), "seed {seed}: {event}");
        }
    }
    for id in there.keys() {
        let first = &seen[&(id.clone(), 1)];
        let again = seen.get(&(id.clone(), 2));
        assert_eq!(first["enrichment"]["status"] == "failed", again.is_some(), "seed {seed}: {first}");
        if let Some(again) = again {
            assert_eq!((&again["rates"], &again["more"]), (&first["rates"], &json!(3)), "seed {seed}: {again}");
        }
    }
    let late: BTreeSet<String> =
        bench.read("late").iter().map(|letter| field(&letter.value.as_ref().unwrap()["event"], "id")).collect();
    assert_eq!(late.len(), bench.read("late").len(), "seed {seed}: each is told once");
    rightly_late(seed, there, &late, strict);
    let taken: Vec<&Fact> = there.values().filter(|fact| !late.contains(&fact.id)).collect();
    let sessions = true_visits(&taken);
    let found = visits(bench);
    doubled += upserted(bench, "visits").len() - found.len();
    let wrong = differing(&found, &sessions);
    assert_eq!(windows(bench), true_windows(&taken), "seed {seed}");
    Told { doubled, late: late.len(), sessions: sessions.len(), wrong, ..Told::default() }
}

/// What one of two has otherwise than the other.
fn differing(found: &Visits, wanted: &Visits) -> Vec<String> {
    let places: BTreeSet<_> = found.keys().chain(wanted.keys()).collect();
    let unlike = places.into_iter().filter(|place| found.get(*place) != wanted.get(*place));
    unlike.map(|place| format!("{place:?}: {:?}, not {:?}", found.get(place), wanted.get(place))).collect()
}

/// Nothing is late that its own partition has not left far behind; with silent partitions, that no partition has.
fn rightly_late(seed: u64, there: &BTreeMap<String, Fact>, late: &BTreeSet<String>, strict: bool) {
    for fact in late.iter().map(|id| &there[id]) {
        let before = |other: &&Fact| other.partition == fact.partition && other.offset < fact.offset || !strict;
        let newest = there.values().filter(before).map(|other| other.seconds).max();
        let right = newest.is_some_and(|newest| fact.seconds < newest - BEHIND);
        assert!(right, "seed {seed}: {fact:?} is called late, and the newest before it is {newest:?}");
    }
}

/// (user, start, end) -> (events, spend, path).
type Visits = BTreeMap<(String, i64, i64), (u64, i64, Vec<String>)>;

fn true_visits(taken: &[&Fact]) -> Visits {
    let mut visits = Visits::new();
    for user in taken.iter().map(|fact| &fact.user).collect::<BTreeSet<_>>() {
        let mut own: Vec<&&Fact> = taken.iter().filter(|fact| fact.user == *user).collect();
        own.sort_by_key(|fact| (fact.seconds, fact.partition, fact.offset));
        let mut rest = own.as_slice();
        while let Some(first) = rest.first() {
            let mut length = 1;
            while length < rest.len() && rest[length].seconds - rest[length - 1].seconds <= GAP {
                length += 1;
            }
            let (visit, behind) = rest.split_at(length);
            let spend = visit.iter().map(|fact| fact.n).sum();
            let path = visit.iter().take(PATH).map(|fact| fact.id.clone()).collect();
            visits.insert((user.clone(), first.seconds, visit[length - 1].seconds), (length as u64, spend, path));
            rest = behind;
        }
    }
    visits
}

fn visits(bench: &Bench) -> Visits {
    let row = |row: &Value| {
        let path = row["path"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        let place = (field(row, "key"), seconds(row, "start"), seconds(row, "end"));
        (place, (row["events"].as_u64().unwrap(), row["measures"]["spend"].as_i64().unwrap(), path))
    };
    upserted(bench, "visits").iter().map(row).collect()
}

/// (user, start) -> (events, spend).
type Windows = BTreeMap<(String, i64), (u64, i64)>;

fn true_windows(taken: &[&Fact]) -> Windows {
    let mut windows = Windows::new();
    // Windows begin at multiples of their size since 1970, and so does the test.
    for fact in taken {
        let window = windows.entry((fact.user.clone(), fact.seconds.div_euclid(SIZE) * SIZE)).or_default();
        *window = (window.0 + 1, window.1 + fact.n);
    }
    windows
}

fn windows(bench: &Bench) -> Windows {
    let row = |row: &Value| {
        let measured = (row["events"].as_u64().unwrap(), row["measures"]["spend"].as_i64().unwrap());
        ((field(row, "key"), seconds(row, "window_start")), measured)
    };
    upserted(bench, "windows").iter().map(row).collect()
}

/// What a consumer that upserts by key ends up with; its strictness is about revisions.
fn upserted(bench: &Bench, stream: &str) -> Vec<Value> {
    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    for seen in bench.read(stream) {
        let key = seen.key.unwrap();
        match seen.value {
            Some(row) => {
                let before = rows.get(&key).map_or(0, |row| row["revision"].as_u64().unwrap());
                assert_eq!(row["revision"], json!(before + 1), "revisions grow by one: {row}");
                rows.insert(key, row);
            }
            None => drop(rows.remove(&key).expect("only what was given out is taken back")),
        }
    }
    rows.into_values().filter(|row| !field(row, "key").starts_with("end")).collect()
}

fn facts(seen: &[Seen]) -> BTreeMap<String, Fact> {
    let fact = |seen: &Seen| {
        let event = seen.value.as_ref().unwrap();
        let (partition, offset) = (seen.partition, seen.offset);
        let (id, user, n) = (field(event, "id"), field(event, "user"), event["n"].as_i64().unwrap());
        (id.clone(), Fact { id, user, seconds: seconds(event, "time"), n, partition, offset })
    };
    let facts: BTreeMap<String, Fact> = seen.iter().map(fact).collect();
    assert_eq!(facts.len(), seen.len(), "no event is in the input twice");
    facts
}

fn seconds(value: &Value, name: &str) -> i64 {
    (Micros::parse_rfc3339(&field(value, name)).unwrap().0 - START.0) / 1_000_000
}

fn field(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

fn id(seen: &Seen) -> String {
    field(seen.value.as_ref().unwrap(), "id")
}

fn revision(seen: &Seen) -> u64 {
    seen.value.as_ref().unwrap()["revision"].as_u64().unwrap_or(1)
}

fn failed(seen: &Seen) -> bool {
    seen.value.as_ref().unwrap()["enrichment"]["status"] == "failed" && revision(seen) == 1
}
