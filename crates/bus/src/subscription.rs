//! A rule, pipe, schedule, report or archive, compiled: which events it takes, and what becomes of one.
//!
//! What it is NOT: it writes and sends nothing. [`Subscription::effects`] says what an event leads to; whoever calls it
//! puts that into one commit with how far it has read.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Micros, Name, Problem};
use headwater_kernel::port::tables::Write;
use headwater_kernel::port::{Cause, Json};
use headwater_kernel::unit::{bug, contained};
use headwater_pattern::{Context, Input, InputSpec, Pattern};
use headwater_wire::batch::Record;

use crate::event::{self, Headers, header};
use crate::kinds::pipe::{EnrichmentSpec, Shape};
use crate::kinds::report::ReportSpec;
use crate::letter::{Letter, Place};
use crate::pending::Pending;
use crate::spec::{DeliverySpec, InputShape, Start, TargetSpec};

/// A compiled subscription.
#[derive(Debug)]
pub struct Subscription {
    /// The unit kind: `rule`, `pipe`, `schedule`, `report`, `archive`; `report-post` for what sends reports.
    pub unit: &'static str,
    /// The resource's name.
    pub name: Name,
    /// Its key-value space: how far it has read, and what waits to be delivered.
    pub space: std::sync::Arc<str>,
    /// An event that matches one of these is taken; all events if there are none.
    pub patterns: Vec<Pattern>,
    /// How records are seen.
    pub shape: Shape,
    /// Where it begins when it is new.
    pub start: Start,
    /// Where events go.
    pub targets: Vec<Target>,
    /// Who is asked before.
    pub enrichment: Option<(Enrichment, Input)>,
    /// How events go to the target together, if they do.
    pub batch: Option<Batch>,
    /// Takes what cannot be delivered.
    pub dead: Name,
    /// Set for an archive: the stream that keeps its events.
    pub archive: Option<Name>,
}

/// How events go to a target together.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Events of one array, at most.
    pub size: usize,
    /// How long the first of them waits for others.
    pub window: Duration,
}

/// Who is asked before an event goes on; the answer takes its place.
#[derive(Debug)]
pub enum Enrichment {
    /// Whom a pipe names.
    Of(Box<EnrichmentSpec>),
    /// The charts of a report.
    Report(Box<ReportSpec>),
}

/// A compiled target.
#[derive(Debug)]
pub struct Target {
    /// What was written.
    pub spec: TargetSpec,
    /// What it gets.
    pub input: Input,
    /// Whether the event goes on as it came.
    pub whole: bool,
    /// Path of the key.
    key: Option<Input>,
    /// Path of what orders deliveries.
    order: Option<Input>,
    /// How it is delivered to, if it lies outside.
    pub delivery: Option<DeliverySpec>,
    /// The stream it is, if it is one.
    pub stream: Option<Name>,
}

/// An event, as a subscription looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Happened<'a> {
    /// The record.
    pub record: &'a Record,
    /// What patterns and inputs see of it.
    pub view: &'a [u8],
    /// Where it stands.
    pub place: Place<'a>,
    /// What time it is.
    pub now: Micros,
    /// Steps of a chain after which it is cut.
    pub hops_max: u32,
}

/// What an event leads to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack, for one event")]
pub enum Effect {
    /// A record on a stream.
    Record(Outgoing),
    /// A document of a table.
    Write {
        /// The target's number.
        target: usize,
        /// The write, with the chain that its change goes on with.
        write: Write,
        /// What is said if it is refused.
        letter: Letter,
    },
    /// Something to be delivered once it is durable that it has to be.
    Pending {
        /// Its key in the subscription's space.
        key: Bytes,
        /// Its text.
        value: Bytes,
    },
    /// Something that cannot be delivered.
    Dead(Letter),
    /// A line in the node's log.
    Log {
        /// The event.
        id: String,
        /// Words of the target.
        note: String,
    },
}

/// A record on its way to a stream.
#[derive(Debug)]
pub struct Outgoing {
    /// The stream.
    pub stream: Name,
    /// The record's time.
    pub time_ms: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
    /// What is said if the stream refuses it; None for an archive, whose letter is that of the event.
    pub letter: Option<Box<Letter>>,
}

/// Compiles what a target gets.
///
/// # Errors
/// `HW-PATTERN-*`.
pub fn input(shape: Option<&InputShape>, target: &str) -> Result<Input, Problem> {
    let shape = shape.cloned().unwrap_or_default();
    let spec = InputSpec {
        input: shape.constant.map(|value| value.to_string()),
        input_path: shape.path,
        input_template: shape.template,
        input_paths_map: shape.variables,
    };
    Input::parse(&spec, target)
}

fn path(path: Option<&String>, target: &str) -> Result<Option<Input>, Problem> {
    let spec = |path: &String| InputSpec { input_path: Some(path.clone()), ..InputSpec::default() };
    path.map(|path| Input::parse(&spec(path), target)).transpose()
}

/// Compiles the path of what orders deliveries.
///
/// # Errors
/// `HW-PATTERN-*`.
pub fn order(delivery: Option<&DeliverySpec>, target: &str) -> Result<Option<Input>, Problem> {
    path(delivery.and_then(|delivery| delivery.order_by.as_ref()), target)
}

impl Enrichment {
    /// Events of one request, at most.
    pub const fn batch(&self) -> u32 {
        match self {
            Self::Of(spec) => spec.batch(),
            Self::Report(_) => 1,
        }
    }
}

impl Target {
    /// Compiles the target of this number.
    ///
    /// # Errors
    /// `HW-PATTERN-*` for its input and paths.
    pub fn compile(number: usize, spec: &TargetSpec) -> Result<Self, Problem> {
        let id = number.to_string();
        let delivery = spec.delivery();
        let (key, stream) = match spec {
            TargetSpec::Stream(target) => (target.key.as_ref(), Some(target.stream.clone())),
            TargetSpec::Table(target) => (Some(&target.key), None),
            _ => (None, None),
        };
        Ok(Self {
            input: input(spec.input(), &id)?,
            whole: spec.input().is_none_or(|input| *input == InputShape::default()),
            key: path(key, &id)?,
            order: order(delivery.as_ref(), &id)?,
            delivery,
            stream,
            spec: spec.clone(),
        })
    }

    /// Delivers as the enrichment before it says, unless it says so itself.
    ///
    /// # Errors
    /// `HW-PATTERN-*` for the path of the order.
    pub fn deliver_by(&mut self, delivery: &DeliverySpec) -> Result<(), Problem> {
        if self.delivery.is_none() {
            self.order = order(Some(delivery), "enrichment")?;
            self.delivery = Some(delivery.clone());
        }
        Ok(())
    }
}

impl Subscription {
    /// `rule/orders`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.unit, self.name)
    }

    /// Whether anything of it is delivered behind its commits.
    pub fn delivers(&self) -> bool {
        self.enrichment.is_some() || self.targets.iter().any(|target| target.delivery.is_some())
    }

    /// The streams it writes, dead letters included.
    pub fn streams(&self) -> impl Iterator<Item = &Name> {
        self.targets.iter().filter_map(|target| target.stream.as_ref()).chain(&self.archive).chain([&self.dead])
    }

    /// What an event leads to; one that meets a bug is a dead letter, and the next ones go on.
    ///
    /// # Errors
    /// As [`Self::lost_to`].
    pub fn led(&self, event: &Happened<'_>) -> Result<Vec<Effect>, Problem> {
        let mut led = Vec::new();
        match contained(|| self.effects(event, &mut led)) {
            Ok(()) => Ok(led),
            Err(said) => self.lost_to(&said, event).map(|letter| vec![letter]),
        }
    }

    /// What becomes of an event with which this subscription met a bug: it would meet it again in each life.
    ///
    /// # Errors
    /// `HW-KERNEL-043`: the bug, where not even the letter can be made.
    pub fn lost_to(&self, said: &str, event: &Happened<'_>) -> Result<Effect, Problem> {
        let problem = self.bug(event.place, said);
        match contained(|| self.given_up(event, &problem)) {
            Ok(letter) => Ok(Effect::Dead(letter)),
            Err(_) => Err(problem),
        }
    }

    /// `HW-KERNEL-043`, of an event.
    pub fn bug(&self, place: Place<'_>, said: &str) -> Problem {
        bug(format_args!("`{}`, with the event at {place},", self.id()), said)
    }

    /// What an event leads to.
    fn effects(&self, event: &Happened<'_>, into: &mut Vec<Effect>) {
        if let Some(stream) = &self.archive {
            // What a replay gave out is in the archive already.
            if event::text(event.record, header::REPLAY).is_none() {
                into.push(Effect::Record(copy(event.record, stream)));
            }
            return;
        }
        let cause = event::cause(event.record, || event.place.to_string());
        if cause.hops >= event.hops_max {
            let reason =
                format!("the chain of events that began with `{}` has {} steps", cut(&cause.id), event.hops_max);
            let letter = self.letter(event, &cause, None, "HW-BUS-010", reason);
            return into.push(Effect::Dead(letter));
        }
        if self.enrichment.is_some() {
            return into.push(self.pending(0, event, &cause, Cow::Borrowed(event.view)));
        }
        for (number, target) in self.targets.iter().enumerate() {
            into.push(self.effect(number, target, event, &cause));
        }
    }

    /// The letter of an event that leads to nothing else because of `problem`.
    pub fn given_up(&self, event: &Happened<'_>, problem: &Problem) -> Letter {
        let cause = event::cause(event.record, || event.place.to_string());
        self.letter(event, &cause, None, &problem.code, problem.title.clone())
    }

    fn effect(&self, number: usize, target: &Target, event: &Happened<'_>, cause: &Cause) -> Effect {
        let rendered = match self.render(&target.input, event.view, event.now) {
            Ok(rendered) => rendered,
            Err(problem) => {
                return Effect::Dead(self.letter(event, cause, Some(number), &problem.code, problem.title));
            }
        };
        if target.delivery.is_some() {
            return self.pending(number, event, cause, rendered);
        }
        let source = Source { time: event::time(event.record), cause, place: event.place, now: event.now };
        let onward = (target.whole).then_some(event.record);
        match self.inside(number, &source, event.view, &rendered, onward) {
            Ok(effect) => effect,
            Err(problem) => Effect::Dead(self.letter(event, cause, Some(number), &problem.code, problem.title)),
        }
    }

    /// What a target inside the node gets: a record, a document or a line.
    ///
    /// # Errors
    /// `HW-BUS-013` when the event has no key for it or is no document.
    pub fn inside(
        &self,
        number: usize,
        source: &Source<'_>,
        view: &[u8],
        rendered: &[u8],
        onward: Option<&Record>,
    ) -> Result<Effect, Problem> {
        let Some(target) = self.targets.get(number) else {
            return Err(Problem::new("HW-BUS-013", format!("`{}` has no target {number} any more", self.id())));
        };
        let key = match &target.key {
            None => None,
            Some(path) => Some(
                self.scalar(path, view, source.now)
                    .ok_or_else(|| Problem::new("HW-BUS-013", format!("the event has no key for target {number}")))?,
            ),
        };
        let letter = || self.letter_of(source, Some(number), String::new(), String::new(), rendered);
        match &target.spec {
            TargetSpec::Table(table) => {
                if rendered.trim_ascii_start().first() != Some(&b'{') {
                    return Err(Problem::new("HW-BUS-013", "a document is a JSON object"));
                }
                let write = Write {
                    cause: Some(source.cause.clone().onward()),
                    ..Write::unconditional(
                        &table.table,
                        &key.unwrap_or_default(),
                        Some(Json::copy_from_slice(rendered)),
                    )
                };
                Ok(Effect::Write { target: number, write, letter: letter() })
            }
            TargetSpec::Log(log) => {
                Ok(Effect::Log { id: source.cause.id.clone(), note: log.note.clone().unwrap_or_default() })
            }
            spec => {
                let Some(stream) = target.stream.clone() else {
                    return Err(Problem::new("HW-BUS-013", format!("target {number} has no stream")));
                };
                let attributes = match spec {
                    TargetSpec::Stream(target) => target.event.as_ref(),
                    _ => None,
                };
                let headers = match (onward, attributes) {
                    (Some(record), None) => event::onward(record, source.cause),
                    (_, attributes) => {
                        let mut headers = attributes.map_or_else(Vec::new, |named| {
                            let id = format!("{}.{}.{number}", source.cause.id, self.name);
                            event::attributes(&id, &named.source, &named.kind, source.time)
                        });
                        event::chain(&mut headers, source.cause);
                        headers
                    }
                };
                let (value, kept) = match onward {
                    Some(record) => (record.value.clone(), record.key.clone()),
                    None => (Some(Bytes::copy_from_slice(rendered)), None),
                };
                let key = key.map(Bytes::from).or(kept);
                let letter = Some(Box::new(letter()));
                let time_ms = source.time.millis();
                Ok(Effect::Record(Outgoing { stream, time_ms, key, value, headers, letter }))
            }
        }
    }

    /// What an input makes of an event.
    ///
    /// # Errors
    /// `HW-PATTERN-023`, `-025`, `-005`.
    pub fn render<'e>(&'e self, input: &'e Input, view: &'e [u8], now: Micros) -> Result<Cow<'e, [u8]>, Problem> {
        let ingested = Micros(now.0.div_euclid(1_000_000) * 1_000_000).to_string();
        let arn = format!("arn:aws:events:{}:{}:{}", event::REGION, event::ACCOUNT, self.id());
        let context = Context { rule_arn: &arn, rule_name: self.name.as_str(), ingestion_time: &ingested };
        input.render(view, &context)
    }

    /// What a path leads to, as text: a string's content, anything else as JSON.
    fn scalar(&self, path: &Input, view: &[u8], now: Micros) -> Option<String> {
        let found = self.render(path, view, now).ok()?;
        match found.first()? {
            b'"' => serde_json::from_slice(&found).ok().filter(|text: &String| !text.is_empty()),
            b'{' | b'[' | b'n' => None,
            _ => String::from_utf8(found.into_owned()).ok(),
        }
    }

    fn pending(&self, number: usize, event: &Happened<'_>, cause: &Cause, body: Cow<'_, [u8]>) -> Effect {
        let order = self.targets.get(number).and_then(|target| target.order.as_ref());
        let pending = Pending {
            target: number,
            stream: event.place.stream.to_owned(),
            partition: event.place.partition,
            offset: event.place.offset,
            time: event::time(event.record),
            cause: cause.id.clone(),
            hops: cause.hops,
            first: event.now,
            due: event.now,
            attempts: 0,
            order: order.and_then(|path| self.scalar(path, event.view, event.now)),
        };
        match pending.encode(&body) {
            Some(value) => Effect::Pending { key: pending.key(), value },
            None => {
                let reason = "what is to be sent is no JSON".to_owned();
                Effect::Dead(self.letter(event, cause, Some(number), "HW-BUS-013", reason))
            }
        }
    }

    fn letter(&self, event: &Happened<'_>, cause: &Cause, target: Option<usize>, code: &str, reason: String) -> Letter {
        let source = Source { time: event::time(event.record), cause, place: event.place, now: event.now };
        self.letter_of(&source, target, code.to_owned(), reason, event.view)
    }

    /// A dead letter of this subscription.
    pub fn letter_of(
        &self,
        source: &Source<'_>,
        target: Option<usize>,
        code: String,
        reason: String,
        data: &[u8],
    ) -> Letter {
        Letter::new(&self.id(), target, source.place, source.cause, source.now, code, reason, data)
    }
}

/// What is known of the event that something comes of.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// When it happened.
    pub time: Micros,
    /// Its chain.
    pub cause: &'a Cause,
    /// Where it stands.
    pub place: Place<'a>,
    /// What time it is.
    pub now: Micros,
}

/// A record as it is, for another stream.
fn copy(record: &Record, stream: &Name) -> Outgoing {
    let name = |name: &Bytes| std::str::from_utf8(name).ok().map(str::to_owned);
    let headers = record.headers.iter();
    Outgoing {
        stream: stream.clone(),
        time_ms: record.timestamp,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: headers.filter_map(|(key, value)| Some((name(key)?, value.clone().unwrap_or_default()))).collect(),
        letter: None,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
