//! What really happened, for comparison with what the pipelines say.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use headwater_base::Problem;
use serde::Serialize;

/// What was wrong with an event on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// Nothing; late events that pipelines must still take are here too.
    None,
    /// Its time lies hours or years before its arrival.
    TooLate,
    /// Its time lies years after its arrival.
    Ahead,
    /// Its JSON is cut off.
    Malformed,
}

/// One event as it happened.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Fact {
    /// Its id as a number; [`Fact::text_id`] is what stands in the event.
    #[serde(skip)]
    pub id: u64,
    /// Whose event.
    pub visitor: u32,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// What.
    pub kind: &'static str,
    /// The address it came from.
    pub address: Ipv4Addr,
    /// What was wrong with it.
    pub flaw: Flaw,
    /// Number of the attacker whose doing it was.
    pub attacker: Option<u32>,
}

impl Fact {
    /// The id as it stands in the event.
    pub fn text_id(&self) -> String {
        format!("{:016x}", self.id)
    }
}

/// Somebody who should be banned, and what a ban may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attacker {
    /// Its number.
    pub number: u32,
    /// What it does.
    pub kind: &'static str,
    /// Where it comes from; people may come from there, too.
    pub address: Ipv4Addr,
    /// Devices it claims.
    pub devices: Vec<String>,
    /// The account it runs, if it runs one of its own.
    pub users: Vec<String>,
    /// How many events it means to send.
    pub plan: u32,
}

/// A visit: events without a pause of more than the gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Session {
    /// Whose.
    pub visitor: u32,
    /// First event, in milliseconds since 1970.
    pub start_ms: i64,
    /// Last event.
    pub end_ms: i64,
    /// How many events.
    pub events: u64,
    /// Of those, searches, carts and orders.
    pub conversions: [u64; 3],
}

/// What really happened.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Truth {
    /// Records sent: events, and some of them twice.
    pub records: u64,
    /// Different events.
    pub events: u64,
    /// Records that repeat an event.
    pub duplicates: u64,
    /// Events whose JSON is cut off.
    pub malformed: u64,
    /// Events hours or years behind.
    pub too_late: u64,
    /// Events years ahead.
    pub ahead: u64,
    /// Everybody who should be banned.
    pub attackers: Vec<Attacker>,
    /// Every event, if the world keeps them.
    pub facts: Vec<Fact>,
}

impl Truth {
    /// Writes attackers and events to a file, one JSON object on each line.
    ///
    /// # Errors
    /// `HW-CLI-206` when the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Problem> {
        let write = || -> std::io::Result<()> {
            let mut out = BufWriter::new(File::create(path)?);
            for attacker in &self.attackers {
                serde_json::to_writer(&mut out, &serde_json::json!({ "attacker": attacker }))?;
                out.write_all(b"\n")?;
            }
            for fact in &self.facts {
                serde_json::to_writer(&mut out, &serde_json::json!({ "id": fact.text_id(), "event": fact }))?;
                out.write_all(b"\n")?;
            }
            out.flush()
        };
        write().map_err(|error| {
            Problem::new("HW-CLI-206", format!("`{}` cannot be read or written", path.display())).because(error)
        })
    }
}

/// Splits events into sessions by the definition: a pause strictly longer than the gap begins a new one.
pub fn sessions<'a>(facts: impl Iterator<Item = &'a Fact>, gap_ms: i64) -> Vec<Session> {
    let mut visitors: BTreeMap<u32, Vec<(i64, &str)>> = BTreeMap::new();
    for fact in facts {
        visitors.entry(fact.visitor).or_default().push((fact.time_ms, fact.kind));
    }
    let mut found = Vec::new();
    for (visitor, mut events) in visitors {
        events.sort_unstable();
        let mut open: Option<Session> = None;
        for (time, kind) in events {
            let converts = ["search", "add_to_cart", "order"].map(|of| u64::from(of == kind));
            match &mut open {
                Some(session) if time - session.end_ms <= gap_ms => {
                    session.end_ms = time;
                    session.events += 1;
                    for (sum, one) in session.conversions.iter_mut().zip(converts) {
                        *sum += one;
                    }
                }
                _ => {
                    let first = Session { visitor, start_ms: time, end_ms: time, events: 1, conversions: converts };
                    found.extend(open.replace(first));
                }
            }
        }
        found.extend(open);
    }
    found
}
