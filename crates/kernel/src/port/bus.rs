//! The port of the event bus: putting events on a bus, and giving archived ones out again.
//!
//! A bus is a stream named `bus.<name>`; rules, pipes and schedules are resources.

use futures::future::BoxFuture;
use headwater_base::{Micros, Name, Problem};
use headwater_wire::batch::Record;
use serde_json::{Map, Value};

use super::Json;

/// The stream of the bus that is always there; the node's own events go to it.
pub const DEFAULT_BUS: &str = "bus.default";

/// What an event came of. It travels in the record headers `ce_causationid` and `ce_hops`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Id of the event at the chain's beginning.
    pub id: String,
    /// How many steps of the chain lie behind.
    pub hops: u32,
}

impl Cause {
    /// The record header of [`Self::id`].
    pub const ID: &str = "ce_causationid";
    /// The record header of [`Self::hops`].
    pub const HOPS: &str = "ce_hops";

    /// What comes of an event of this chain carries this.
    #[must_use]
    pub fn onward(self) -> Self {
        Self { hops: self.hops.saturating_add(1), ..self }
    }

    /// What a record says that it came of.
    pub fn of(record: &Record) -> Option<Self> {
        let text = |name: &str| {
            let (_, value) = record.headers.iter().find(|(header, _)| header.as_ref() == name.as_bytes())?;
            std::str::from_utf8(value.as_ref()?).ok()
        };
        Some(Self { id: text(Self::ID)?.to_owned(), hops: text(Self::HOPS)?.parse().ok()? })
    }
}

/// An event to put on a bus.
#[derive(Clone, Debug, PartialEq)]
pub struct BusEvent {
    /// Identifies it with its source; drawn if empty.
    pub id: String,
    /// Where it comes from: CloudEvents `source`, the envelope's `source`.
    pub source: String,
    /// What it is: CloudEvents `type`, the envelope's `detail-type`.
    pub kind: String,
    /// When it happened; now if None.
    pub time: Option<Micros>,
    /// What it is about.
    pub resources: Vec<String>,
    /// Its content, a JSON object: CloudEvents `data`, the envelope's `detail`.
    pub detail: Json,
    /// What it came of.
    pub cause: Option<Cause>,
}

/// Gives archived events out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayRequest {
    /// Name of the replay.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The archive, a resource.
    pub archive: String,
    /// From this event time on, inclusive.
    pub from: Micros,
    /// Up to this event time, exclusive.
    pub to: Micros,
    /// Only to these rules; to all if empty.
    pub rules: Vec<String>,
}

/// Events for rules.
pub trait Bus: Send + Sync {
    /// Puts events on a bus (without the prefix `bus.`); durable when the future resolves. Answers their ids, each or
    /// why it was refused.
    fn put<'a>(
        &'a self,
        bus: &'a Name,
        events: Vec<BusEvent>,
    ) -> BoxFuture<'a, Result<Vec<Result<String, Problem>>, Problem>>;

    /// Begins a replay.
    fn replay(&self, request: ReplayRequest) -> BoxFuture<'_, Result<(), Problem>>;

    /// Makes a `schedule` or a `report` that runs due now, beside its times; answers the moment.
    ///
    /// # Errors
    /// `HW-BUS-062` for one that does not run.
    fn run_now(&self, unit: &str, name: &str) -> Result<Micros, Problem>;

    /// State of replays as JSON objects `{name, archive, from, to, state, replayedTo, reason}`.
    fn replays(&self) -> Vec<Map<String, Value>>;

    /// One of them by its name.
    fn find_replay(&self, name: &str) -> Option<Map<String, Value>>;

    /// Ends a replay early.
    fn cancel_replay<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Problem>>;
}
