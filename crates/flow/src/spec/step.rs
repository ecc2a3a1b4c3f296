//! What is done to each event: `steps` of a pipeline's spec.
//!
//! What can wait for an answer says how it is asked in fields of its own, the same for lookups and scores: serde cannot
//! both share them in a struct and refuse unknown keys.

use headwater_base::{Name, units::Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SideSpec;
use super::units::{self, AggregateWindow, Percent};

/// One step. Every step has an `id`, unique in the pipeline; state and error reports go by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum StepSpec {
    /// Keeps events for which a VRL expression is true.
    Filter(FilterSpec),
    /// Changes events by a VRL program.
    Transform(TransformSpec),
    /// Adds what is known about a key.
    Lookup(LookupSpec),
    /// Adds a model's answer about selected fields.
    Score(ScoreSpec),
    /// Keeps running values for each key over sliding windows and adds them to the event.
    Aggregate(AggregateSpec),
    /// Values for each key over windows of event time.
    Window(WindowSpec),
    /// Values for each key over sessions: runs of events without a gap.
    Session(SessionSpec),
    /// Drops an event whose key was seen before.
    Dedupe(DedupeSpec),
}

impl StepSpec {
    /// The step's id.
    pub fn id(&self) -> &Name {
        match self {
            Self::Filter(step) => &step.id,
            Self::Transform(step) => &step.id,
            Self::Lookup(step) => &step.id,
            Self::Score(step) => &step.id,
            Self::Aggregate(step) => &step.id,
            Self::Window(step) => &step.id,
            Self::Session(step) => &step.id,
            Self::Dedupe(step) => &step.id,
        }
    }

    /// Whether the step keeps state between events.
    pub const fn stateful(&self) -> bool {
        matches!(self, Self::Aggregate(_) | Self::Window(_) | Self::Session(_) | Self::Dedupe(_))
    }
}

/// Keeps events for which a VRL expression is true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterSpec {
    /// The step's id.
    pub id: Name,
    /// A VRL expression that yields a boolean, such as `.kind != "heartbeat"`.
    pub when: String,
}

/// Changes events by a VRL program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformSpec {
    /// The step's id.
    pub id: Name,
    /// The program; `abort` makes the event a dead letter with its message, as does any error it does not handle.
    pub program: String,
}

/// Adds what is known about a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupSpec {
    /// The step's id.
    pub id: Name,
    /// What is asked: `{type: table|latest|file|mmdb|ranges|http, ...}`.
    pub lookup: Value,
    /// Path of the key. An event without it goes on unchanged.
    pub key: String,
    /// Path the answer is written to.
    pub into: String,
    /// How long an event is held back for an answer; then it goes on marked as failed. Default: `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
    /// How long one request may take. Default: `500ms`.
    #[serde(default = "units::span::<500>")]
    pub timeout: Span,
    /// Further tries after a failed request. Default: 2.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Requests to the backend at once. Default: 512.
    #[serde(default = "default_in_flight")]
    pub in_flight: u32,
    /// What is remembered.
    #[serde(default)]
    pub cache: CacheSpec,
    /// When a failing backend is left alone for a while.
    #[serde(default)]
    pub breaker: BreakerSpec,
}

/// Adds a model's answer about selected fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreSpec {
    /// The step's id.
    pub id: Name,
    /// The model's address; gets a POST with one JSON object of the selected fields.
    pub url: String,
    /// Name in the request -> path in the event.
    pub fields: std::collections::BTreeMap<String, String>,
    /// Path the answer is written to.
    pub into: String,
    /// How long an event is held back for an answer; then it goes on marked as failed. Default: `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
    /// How long one request may take. Default: `500ms`.
    #[serde(default = "units::span::<500>")]
    pub timeout: Span,
    /// Further tries after a failed request. Default: 2.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Requests to the backend at once. Default: 512.
    #[serde(default = "default_in_flight")]
    pub in_flight: u32,
    /// What is remembered.
    #[serde(default)]
    pub cache: CacheSpec,
    /// When a failing backend is left alone for a while.
    #[serde(default)]
    pub breaker: BreakerSpec,
}

/// What a lookup remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheSpec {
    /// Answers kept. Default: 100000.
    #[serde(default = "default_capacity")]
    pub capacity: u64,
    /// How long an answer is good. Default: `10m`.
    #[serde(default = "units::span::<600_000>")]
    pub ttl: Span,
    /// By how much of itself `ttl` varies, so that answers do not all expire at once. Default: `10%`.
    #[serde(default = "units::percent::<10>")]
    pub jitter: Percent,
    /// How long "unknown" is good. Default: `5s`.
    #[serde(default = "units::span::<5_000>")]
    pub negative_ttl: Span,
}

/// When a failing backend is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakerSpec {
    /// Failures in a row that open the breaker. Default: 20.
    #[serde(default = "default_failures")]
    pub failures: u32,
    /// How long nothing is asked then. Default: `2s`.
    #[serde(default = "units::span::<2_000>")]
    pub pause: Span,
}

impl Default for CacheSpec {
    fn default() -> Self {
        Self {
            capacity: default_capacity(),
            ttl: Span::from_millis(600_000),
            jitter: Percent(10),
            negative_ttl: Span::from_millis(5_000),
        }
    }
}

impl Default for BreakerSpec {
    fn default() -> Self {
        Self { failures: default_failures(), pause: Span::from_millis(2_000) }
    }
}

/// Keeps running values for each key over sliding windows and adds them to the event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregateSpec {
    /// The step's id.
    pub id: Name,
    /// Path of the key. An event without it goes on unchanged.
    pub key: String,
    /// Lengths of the windows, such as `[1m, 10m, 1h, 24h]`; `all` is everything since the key's first event.
    pub windows: Vec<AggregateWindow>,
    /// How long a key without events is kept for the window `all`, which needs it; with its next event it begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,
    /// What is kept, by name.
    pub measures: Measures,
    /// Path the values, this event included, are written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Makes the values readable as features of this entity: `GET /v1/features/{entity}/{key}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Name>,
    /// Also writes the values to a stream, under the key, whenever they change: once per commit and key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<SideSpec>,
}

/// Values for each key over windows of event time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowSpec {
    /// The step's id.
    pub id: Name,
    /// How windows lie. Default: `tumbling`.
    #[serde(default)]
    pub kind: WindowKind,
    /// A window's length.
    pub size: Span,
    /// Sliding windows begin this often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// Path of the key; without it there is one window for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is kept, by name.
    pub measures: Measures,
    /// Where results go: one event per window and key, the same id again with a higher `revision` on correction.
    pub output: SideSpec,
}

/// How windows lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WindowKind {
    /// Side by side.
    #[default]
    Tumbling,
    /// Overlapping: a new one begins every `every`.
    Sliding,
}

/// Values for each key over sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionSpec {
    /// The step's id.
    pub id: Name,
    /// Path of the key. An event without it goes on unchanged.
    pub key: String,
    /// A pause strictly longer than this ends the session. Default: `30m`.
    #[serde(default = "units::span::<1_800_000>")]
    pub gap: Span,
    /// What is kept, by name.
    #[serde(default)]
    pub measures: Measures,
    /// The way through the session: the values of one field, in order of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathSpec>,
    /// When a session is written. Default: `close`.
    #[serde(default)]
    pub emit: Emit,
    /// Where sessions go: one event per session, the same id again with a higher `revision` on correction, and a
    /// tombstone for a session that was merged into another.
    pub output: SideSpec,
}

/// The way through a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathSpec {
    /// Path of the field.
    pub field: String,
    /// Values kept; later ones are counted only. Default: 50.
    #[serde(default = "default_path_max")]
    pub max: u32,
}

/// When a session is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Emit {
    /// When it has ended, and again on each correction.
    #[default]
    Close,
    /// On every change.
    Update,
}

/// Drops an event whose key was seen before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DedupeSpec {
    /// The step's id.
    pub id: Name,
    /// Path of what makes an event unique, such as `.id`. An event without it goes on unchanged.
    pub key: String,
    /// How long, in event time, a key is remembered. Default: `10m`.
    #[serde(default = "units::span::<600_000>")]
    pub within: Span,
}

/// What an operator keeps, by name.
pub type Measures = std::collections::BTreeMap<String, MeasureSpec>;

/// One measure: exactly one of the kinds, such as `{count: true}` or `{sum: .price}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureSpec {
    /// How many events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<bool>,
    /// Sum of a number at this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
    /// Smallest number at this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// Largest number at this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// Mean of a number at this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<String>,
    /// How many different values at this path, by a sketch (about 3 % off).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<String>,
    /// The last values at this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The first value at this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// How many values `last` keeps. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Takes only events for which this VRL expression is true.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

const fn default_retries() -> u32 {
    2
}

const fn default_in_flight() -> u32 {
    512
}

const fn default_capacity() -> u64 {
    100_000
}

const fn default_failures() -> u32 {
    20
}

const fn default_path_max() -> u32 {
    50
}
