//! One session in the state of its key.

use headwater_base::Micros;

use crate::operators::codec::{Corrupt, Reader, corrupt, put_time, put_u64};
use crate::operators::hash::xxh64;
use crate::operators::measure::{At, Measured, put_at, read_at};
use crate::operators::session::Path;
use crate::operators::{Event, HOPS_MAX, Kind};

/// Version of the stored bytes.
pub const VERSION: u8 = 1;

const PENDING: u64 = 1;
const CHANGED: u64 = 2;

/// Sessions whose memory is kept.
const SPARE_MAX: usize = 2;

/// A session.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Place of the event that opened it; names it.
    pub birth: At,
    /// Time of the first event.
    pub start: Micros,
    /// Time of the last event.
    pub end: Micros,
    /// Number of events.
    pub events: u64,
    /// The last one given out; 0 = none yet.
    pub revision: u32,
    /// There is something to give out once it is closed.
    pub pending: bool,
    /// There is something to give out while it is open.
    pub changed: bool,
    /// The most [`Event::hops`] of its events; at most [`HOPS_MAX`].
    pub hops: u32,
    /// What has been measured.
    pub measures: Vec<Measured>,
    /// The path, of a step that has one.
    pub path: Option<Path>,
}

/// A session's id: 128 bits of its key and its birth.
pub fn id(key: &[u8], (time, (partition, offset)): At) -> u128 {
    let mut bytes = Vec::with_capacity(key.len() + 20);
    bytes.extend_from_slice(&time.0.to_le_bytes());
    bytes.extend_from_slice(&partition.to_le_bytes());
    bytes.extend_from_slice(&offset.to_le_bytes());
    bytes.extend_from_slice(key);
    u128::from(xxh64(&bytes, 0)) << 64 | u128::from(xxh64(&bytes, 1))
}

impl Session {
    /// A session without events yet, to be opened by the event at `birth`.
    pub fn open(birth: At, kinds: &[Kind], path: Option<Path>) -> Self {
        let measures = kinds.iter().map(|kind| Measured::new(*kind)).collect();
        Self {
            birth,
            start: birth.0,
            end: birth.0,
            events: 0,
            revision: 0,
            pending: true,
            changed: true,
            hops: 0,
            measures,
            path,
        }
    }

    /// Adds an event; the input behind those of the measures goes onto the path.
    pub fn add(&mut self, event: &Event<'_>, path_max: Option<usize>) {
        let at = (event.time, event.position);
        self.start = self.start.min(at.0);
        self.end = self.end.max(at.0);
        self.events = self.events.saturating_add(1);
        self.pending = true;
        self.changed = true;
        self.hops = self.hops.max(event.hops.min(HOPS_MAX));
        for (measured, input) in self.measures.iter_mut().zip(event.inputs) {
            measured.add(input, at);
        }
        if let (Some(path), Some(max)) = (&mut self.path, path_max)
            && let Some(input) = event.inputs.get(self.measures.len())
        {
            path.add(at, input, max);
        }
    }

    /// Takes another session in. Who has the smaller birth survives; answers what the other one was, emptied.
    pub fn merge(&mut self, mut other: Self, path_max: Option<usize>) -> Self {
        if other.birth < self.birth {
            std::mem::swap(self, &mut other);
        }
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.events = self.events.saturating_add(other.events);
        self.pending = true;
        self.changed = true;
        self.hops = self.hops.max(other.hops);
        for (measured, other) in self.measures.iter_mut().zip(std::mem::take(&mut other.measures)) {
            measured.merge(other);
        }
        if let (Some(path), Some(others), Some(max)) = (&mut self.path, other.path.take(), path_max) {
            path.merge(others, max);
        }
        other
    }
}

/// Appends the bytes of a key's sessions.
pub fn encode(sessions: &[Session], out: &mut Vec<u8>) {
    out.push(VERSION);
    put_u64(out, sessions.len() as u64);
    let mut base = Micros(0);
    for session in sessions {
        put_at(out, base, session.birth);
        base = session.birth.0;
        put_time(out, base, session.start);
        put_u64(out, session.end.0.wrapping_sub(session.start.0) as u64);
        put_u64(out, session.events);
        let flags = if session.pending { PENDING } else { 0 } | if session.changed { CHANGED } else { 0 };
        // What belongs to no chain pays nothing for it.
        put_u64(out, u64::from(session.hops) << 34 | u64::from(session.revision) << 2 | flags);
        for measured in &session.measures {
            measured.put(out, base);
        }
        if let Some(path) = &session.path {
            path.put(out, base);
        }
    }
}

/// The sessions of a key, as they are worked on: of one key after another, in memory that is used again. Nearly all keys
/// have one event in a micro-batch, and nearly all of those one session.
#[derive(Debug, Default)]
pub struct Decoded {
    /// In order of time.
    pub sessions: Vec<Session>,
    /// Some of the keys before.
    spare: Vec<Session>,
}

impl Decoded {
    /// Goes on to a key that has no sessions yet.
    pub fn clear(&mut self) {
        self.spare.append(&mut self.sessions);
        self.spare.truncate(SPARE_MAX);
    }

    /// Goes on to a key whose sessions [`encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn read(&mut self, bytes: &[u8], kinds: &[Kind], path: bool) -> Result<(), Corrupt> {
        self.clear();
        let mut reader = Reader::versioned(bytes, VERSION)?;
        let mut base = Micros(0);
        for _ in 0..reader.count()? {
            let mut session = self.spare.pop().unwrap_or_else(|| Session::open(At::default(), &[], None));
            session.read(&mut reader, base, kinds, path)?;
            base = session.birth.0;
            self.sessions.push(session);
        }
        reader.end()
    }
}

impl Session {
    /// Reads what [`encode`] wrote of one behind another that was born at `base`.
    fn read(&mut self, reader: &mut Reader<'_>, base: Micros, kinds: &[Kind], path: bool) -> Result<(), Corrupt> {
        self.birth = read_at(reader, base)?;
        let base = self.birth.0;
        self.start = reader.time(base)?;
        self.end = Micros(self.start.0.wrapping_add(reader.u64()? as i64));
        if self.end < self.start {
            return corrupt("an end before the start");
        }
        self.events = reader.u64()?;
        let flags = reader.u64()?;
        (self.revision, self.hops) = ((flags >> 2) as u32, (flags >> 34) as u32);
        (self.pending, self.changed) = (flags & PENDING > 0, flags & CHANGED > 0);
        self.measures.resize_with(kinds.len(), || Measured::new(Kind::Count));
        for (measured, kind) in self.measures.iter_mut().zip(kinds) {
            measured.read_over(*kind, reader, base)?;
        }
        match (&mut self.path, path) {
            (Some(there), true) => there.read_over(reader, base)?,
            (there, true) => *there = Some(Path::read(reader, base)?),
            (there, false) => *there = None,
        }
        Ok(())
    }
}
