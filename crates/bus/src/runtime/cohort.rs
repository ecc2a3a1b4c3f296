//! Subscriptions of one stream that have read equally far: they share one matcher and one position.
//!
//! A subscription that starts later, or whose targets do not keep up, is in a cohort of its own until it has caught up;
//! so nothing of one subscription holds back another, and a thousand of them write down one position, not a thousand.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use headwater_base::{Name, Problem};
use headwater_log::cursor::Cursor;
use headwater_log::{Offset, Sequence};
use headwater_pattern::{Pattern, RuleSet, Scratch};
use headwater_wire::batch::Record;
use tokio::sync::{mpsc, watch};

use crate::event::{self, header};
use crate::kinds::pipe::Shape;
use crate::runtime::figures::Figures;
use crate::subscription::Subscription;

/// A subscription with more deliveries waiting than this reads nothing further until half of them are gone.
pub const PENDING_MAX: u64 = 10_000;
/// See [`PENDING_MAX`].
pub const PENDING_BYTES_MAX: u64 = 16 << 20;

/// How a unit's end is told; the first word counts.
#[derive(Clone, Debug)]
pub struct Ending(Arc<watch::Sender<Option<Result<(), Problem>>>>);

impl Default for Ending {
    fn default() -> Self {
        Self(Arc::new(watch::channel(None).0))
    }
}

impl Ending {
    /// Tells it.
    pub fn tell(&self, result: Result<(), Problem>) {
        self.0.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(result);
            }
            first
        });
    }

    /// Hears it.
    pub async fn heard(&self) -> Result<(), Problem> {
        let mut ended = self.0.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }
}

/// Deliveries that wait, told to the task that makes them once their commit has its place.
pub type Tell = mpsc::UnboundedSender<(Sequence, Vec<Bytes>)>;

/// A subscription that runs.
pub struct Member {
    /// What it does.
    pub subscription: Arc<Subscription>,
    /// What it counts.
    pub figures: Arc<Figures>,
    /// Who delivers for it.
    pub tell: Option<Tell>,
    /// How its end is told.
    pub ending: Ending,
    full: AtomicBool,
}

impl Member {
    /// A running subscription.
    pub fn new(subscription: Arc<Subscription>, figures: Arc<Figures>, tell: Option<Tell>, ending: Ending) -> Self {
        Self { subscription, figures, tell, ending, full: AtomicBool::new(false) }
    }

    /// Whether too much of it waits to be delivered.
    pub fn is_full(&self) -> bool {
        let (count, bytes) = (Figures::read(&self.figures.pending), Figures::read(&self.figures.pending_bytes));
        let part = if self.full.load(Ordering::Relaxed) { 2 } else { 1 };
        let full = count >= PENDING_MAX / part || bytes >= PENDING_BYTES_MAX / part;
        self.full.store(full, Ordering::Relaxed);
        full
    }
}

/// Members that have read equally far.
pub struct Cohort {
    /// Its number in the stream's space.
    pub id: u64,
    /// By partition: the first offset not read.
    pub at: Vec<Offset>,
    /// Readers, by partition.
    pub cursors: Vec<Cursor>,
    /// The subscriptions.
    pub members: Vec<Arc<Member>>,
    /// The position at which it was split off; it joins no other there.
    pub apart: Option<Vec<Offset>>,
    /// Whether its position in memory is ahead of the one written down.
    pub dirty: bool,
    /// The partition whose turn it is.
    pub turn: usize,
    rules: Option<Rules>,
}

impl Cohort {
    /// A cohort that begins at `at`.
    pub fn new(id: u64, stream: &Name, at: Vec<Offset>, members: Vec<Arc<Member>>, decompressed_max: usize) -> Self {
        let cursors = cursors(stream, &at, decompressed_max);
        Self { id, at, cursors, members, apart: None, dirty: false, turn: 0, rules: None }
    }

    /// The members have changed.
    pub fn regroup(&mut self) {
        self.rules = None;
    }

    /// Reads again from where it is.
    pub fn rewind(&mut self, stream: &Name, decompressed_max: usize) {
        self.cursors = cursors(stream, &self.at, decompressed_max);
    }

    /// Builds the matcher, if the members have changed.
    ///
    /// # Errors
    /// `HW-PATTERN-005` for more patterns than one matcher takes.
    pub fn ready(&mut self) -> Result<(), Problem> {
        if self.rules.is_none() {
            self.rules = Some(Rules::build(&self.members)?);
        }
        Ok(())
    }

    /// The members that take a record, with what they see of it.
    pub fn taken<'m>(
        &'m self,
        record: &'m Record,
        stream: &str,
        partition: u32,
        matching: &'m mut Matching,
    ) -> Taken<'m> {
        let Some(rules) = &self.rules else { return Taken::default() };
        let Matching { scratch, buffer, typed, plain_hits, typed_hits } = matching;
        plain_hits.clear();
        typed_hits.clear();
        let plain = event::view(record, buffer);
        let mut unreadable = rules.plain.find(&plain, scratch, plain_hits);
        typed.clear();
        if !rules.typed.is_empty() {
            match event::typed_change(record, stream, partition) {
                Some(text) => {
                    typed.push_str(&text);
                    unreadable |= rules.typed.find(typed.as_bytes(), scratch, typed_hits);
                }
                None => unreadable = true,
            }
        }
        if let Some(wanted) = event::text(record, header::REPLAY_RULES) {
            let named = |member: &usize| {
                self.members.get(*member).is_some_and(|member| {
                    let subscription = &member.subscription;
                    subscription.unit == "rule" && wanted.split(',').any(|name| name == subscription.name.as_str())
                })
            };
            plain_hits.retain(named);
            typed_hits.retain(named);
        }
        Taken { plain, typed: typed.as_bytes(), plain_hits, typed_hits, unreadable }
    }
}

/// Buffers of matching, kept from record to record.
#[derive(Default)]
pub struct Matching {
    scratch: Scratch,
    buffer: Vec<u8>,
    typed: String,
    plain_hits: Vec<usize>,
    typed_hits: Vec<usize>,
}

/// Who takes a record.
pub struct Taken<'m> {
    /// The event as most see it.
    pub plain: Cow<'m, [u8]>,
    /// The change with typed values.
    pub typed: &'m [u8],
    /// Members that take the one, ascending.
    pub plain_hits: &'m [usize],
    /// Members that take the other, ascending.
    pub typed_hits: &'m [usize],
    /// The record is nothing that patterns can look at.
    pub unreadable: bool,
}

impl Default for Taken<'_> {
    fn default() -> Self {
        Self { plain: Cow::Borrowed(&[]), typed: &[], plain_hits: &[], typed_hits: &[], unreadable: false }
    }
}

/// The matchers of a cohort: one for each shape.
struct Rules {
    plain: Matcher,
    typed: Matcher,
}

struct Matcher {
    set: RuleSet,
    /// By pattern: the member.
    of: Vec<usize>,
    /// Members that take everything.
    all: Vec<usize>,
}

impl Rules {
    fn build(members: &[Arc<Member>]) -> Result<Self, Problem> {
        Ok(Self { plain: Matcher::build(members, Shape::Plain)?, typed: Matcher::build(members, Shape::Dynamodb)? })
    }
}

impl Matcher {
    fn build(members: &[Arc<Member>], shape: Shape) -> Result<Self, Problem> {
        let (mut patterns, mut of, mut all): (Vec<&Pattern>, _, _) = (Vec::new(), Vec::new(), Vec::new());
        for (number, member) in members.iter().enumerate().filter(|(_, member)| member.subscription.shape == shape) {
            if member.subscription.patterns.is_empty() {
                all.push(number);
            }
            for pattern in &member.subscription.patterns {
                patterns.push(pattern);
                of.push(number);
            }
        }
        Ok(Self { set: RuleSet::build(patterns)?, of, all })
    }

    fn is_empty(&self) -> bool {
        self.of.is_empty() && self.all.is_empty()
    }

    /// Adds the members that take `view`. True when it is nothing that patterns can look at.
    fn find(&self, view: &[u8], scratch: &mut Scratch, hits: &mut Vec<usize>) -> bool {
        hits.extend(&self.all);
        if self.of.is_empty() {
            return false;
        }
        let Ok(found) = self.set.matches(view, scratch) else { return true };
        hits.extend(found.iter().filter_map(|pattern| self.of.get(*pattern as usize)));
        hits.sort_unstable();
        hits.dedup();
        false
    }
}

fn cursors(stream: &Name, at: &[Offset], decompressed_max: usize) -> Vec<Cursor> {
    let cursor = |(partition, next): (u32, &Offset)| Cursor::new(stream.clone(), partition, *next, decompressed_max);
    (0..).zip(at).map(cursor).collect()
}

/// A position as it is written down, with how many subscriptions are there.
pub fn encode(members: usize, at: &[Offset]) -> Bytes {
    let mut bytes = u32::try_from(members).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    at.iter().for_each(|offset| bytes.extend_from_slice(&offset.to_le_bytes()));
    Bytes::from(bytes)
}

/// Reads what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Option<(usize, Vec<Offset>)> {
    let (members, rest) = bytes.split_first_chunk::<4>()?;
    let (offsets, rest) = rest.as_chunks::<8>();
    if !rest.is_empty() {
        return None;
    }
    Some((u32::from_le_bytes(*members) as usize, offsets.iter().map(|bytes| Offset::from_le_bytes(*bytes)).collect()))
}
