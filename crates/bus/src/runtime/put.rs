//! Putting events on a bus: each is checked, gets an id where it has none, and all that are in order go into one commit.

use std::sync::atomic::{AtomicU64, Ordering};

use headwater_base::{Clock, Limits, Name, Problem, closest};
use headwater_kernel::port::bus::BusEvent;
use headwater_log::outbox::{Outbox, Refused};
use headwater_log::{Commit, Log, LogError, append_durable};
use serde_json::value::RawValue;

use crate::event::{self, header};

/// How the stream of a bus begins.
pub const PREFIX: &str = "bus.";
/// The longest id, source or type.
const TEXT_BYTES_MAX: usize = 256;
/// The most resources of an event.
const RESOURCES_MAX: usize = 100;
/// The most events of one call.
const EVENTS_MAX: usize = 1_000;

/// Draws ids that no other event of the node has.
pub struct Ids {
    seed: u64,
    count: AtomicU64,
}

impl Ids {
    /// Ids of one life of a node; `seed` differs between lives.
    pub const fn new(seed: u64) -> Self {
        Self { seed, count: AtomicU64::new(0) }
    }

    /// The next, in the form of a random UUID (RFC 9562, section 5.4).
    pub fn draw(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        // SplitMix64 (Steele, Lea, Flood 2014) is a bijection of its counter: two draws never agree.
        let mix = |value: u64| {
            let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            value ^ value >> 31
        };
        let (high, low) = (mix(self.seed.wrapping_add(count >> 20)), mix(self.seed.rotate_left(32) ^ count));
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }
}

/// Puts events on a bus; durable when it returns. Each id, or why the event was refused.
///
/// # Errors
/// `HW-BUS-030` for no bus, `-031` for too many events, `-032` what the log says.
pub async fn put(
    log: &dyn Log,
    clock: &dyn Clock,
    limits: &Limits,
    ids: &Ids,
    bus: &Name,
    events: Vec<BusEvent>,
) -> Result<Vec<Result<String, Problem>>, Problem> {
    if events.len() > EVENTS_MAX {
        let fact = format!("{} events at once; the limit is {EVENTS_MAX}", events.len());
        return Err(Problem::new("HW-BUS-031", fact).help("send them in several calls"));
    }
    let stream = stream(log, bus)?;
    let refused = |error: LogError| Problem::new("HW-BUS-032", format!("the bus `{bus}` takes no events: {error}"));
    let mut outbox = Outbox::open(log, &[stream]).map_err(refused)?;
    let now = clock.now();
    let mut answers = Vec::with_capacity(events.len());
    for mut event in events {
        if let Err(problem) = check(&event, limits) {
            answers.push(Err(problem));
            continue;
        }
        if event.id.is_empty() {
            event.id = ids.draw();
        }
        let time = event.time.unwrap_or(now);
        let mut headers = event::attributes(&event.id, &event.source, &event.kind, time);
        if !event.resources.is_empty() {
            let list = serde_json::to_vec(&event.resources).unwrap_or_default();
            headers.push((header::RESOURCES.to_owned(), list.into()));
        }
        if let Some(cause) = &event.cause {
            headers.push((header::CAUSE.to_owned(), cause.id.clone().into()));
            headers.push((header::HOPS.to_owned(), cause.hops.to_string().into()));
        }
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
        let taken = outbox.put(0, time.millis(), None, Some(&event.detail), &headers);
        answers.push(taken.map(|()| event.id.clone()).map_err(|refused| {
            match refused {
                Refused::Oversize { bytes, limit } => Problem::new(
                    "HW-BUS-031",
                    format!("the event makes a record of {bytes} bytes; the limit is {limit}"),
                )
                .help("store the payload as a document and send its key"),
                Refused::NoKey => {
                    Problem::new("HW-BUS-031", format!("the stream of the bus `{bus}` is compacted by key"))
                        .help("choose another cleanup for it")
                }
            }
        }));
    }
    if outbox.records() == 0 {
        return Ok(answers);
    }
    let mut commit = Commit { appends: outbox.take(), ..Commit::default() };
    append_durable(log, &mut commit).await.map_err(refused)?;
    Ok(answers)
}

/// The stream of a bus.
///
/// # Errors
/// `HW-BUS-030` with the nearest bus.
pub fn stream(log: &dyn Log, bus: &Name) -> Result<Name, Problem> {
    let stream = Name::new(&format!("{PREFIX}{bus}"))?;
    if log.stream(stream.as_str()).is_some() {
        return Ok(stream);
    }
    let streams = log.streams();
    let buses = streams.iter().filter_map(|stream| stream.name.as_str().strip_prefix(PREFIX));
    let near = closest(bus.as_str(), buses).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    Err(Problem::new("HW-BUS-030", format!("there is no bus `{bus}`"))
        .help(format!("{near}a bus is a stream: apply a Stream named `{stream}`")))
}

fn check(event: &BusEvent, limits: &Limits) -> Result<(), Problem> {
    let wrong = |fact: String| Problem::new("HW-BUS-031", fact);
    for (name, text, needed) in
        [("id", &event.id, false), ("source", &event.source, true), ("detail-type", &event.kind, true)]
    {
        if needed && text.is_empty() {
            return Err(
                wrong(format!("the event has no `{name}`")).help("an event has `source`, `detail-type` and `detail`")
            );
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(wrong(format!("`{name}` has {} bytes; the limit is {TEXT_BYTES_MAX}", text.len())));
        }
    }
    if event.resources.len() > RESOURCES_MAX || event.resources.iter().any(|name| name.len() > 2_048) {
        return Err(wrong(format!("`resources` has more than {RESOURCES_MAX} names, or one of more than 2048 bytes")));
    }
    if event.detail.len() > limits.batch_bytes {
        return Err(wrong(format!("`detail` has {} bytes; the limit is {}", event.detail.len(), limits.batch_bytes)));
    }
    let is_object = event.detail.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice::<&RawValue>(&event.detail) {
        Ok(_) if is_object => Ok(()),
        Ok(_) => Err(wrong("`detail` is JSON, but no object".to_owned()).help("wrap it: `{\"value\": 1}`")),
        Err(_) => Err(wrong("`detail` is no JSON".to_owned())),
    }
}
