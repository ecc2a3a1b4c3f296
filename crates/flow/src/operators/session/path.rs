//! The path of a session: values in the order of (event time, position), the earliest up to a maximum.
//!
//! It is kept as bytes, because nearly every event goes behind the last one: adding it then copies nothing.

use headwater_base::Micros;

use crate::operators::Input;
use crate::operators::codec::{Corrupt, Reader, corrupt, put_bytes, put_i64, put_time, put_u64};
use crate::operators::measure::{At, put_at, read_at};
use crate::operators::value::Value;

/// Room that is made for an entry, which most have enough of.
const NEXT_BYTES: usize = 64;

/// Values in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path {
    count: usize,
    /// Place of the last entry in `entries`.
    last: At,
    /// For each: distance in time from the one before, partition, distance in offset, value.
    entries: Vec<u8>,
    /// The last value of all, when it is not in `entries` because those are full.
    exit: Option<(At, Value)>,
}

impl Path {
    /// Without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value into its place, if the input has one.
    pub fn add(&mut self, at: At, input: &Input<'_>, max: usize) {
        if *input == Input::Skip {
            return;
        }
        if self.count < max && (self.count == 0 || at > self.last) {
            input.put(self.enter(at));
        } else if let Some(value) = input.value() {
            self.insert(at, value, max);
        }
    }

    fn insert(&mut self, at: At, value: Value, max: usize) {
        if self.count == 0 || at > self.last {
            if self.count < max {
                value.put(self.enter(at));
            } else if self.exit.as_ref().is_none_or(|(other, _)| at > *other) {
                self.exit = Some((at, value));
            }
            return;
        }
        let mut entries = self.decoded();
        let behind = entries.partition_point(|(other, _)| *other < at);
        entries.insert(behind, (at, value));
        self.rewrite(entries, max);
    }

    /// Takes the values of another path in.
    pub fn merge(&mut self, other: Self, max: usize) {
        let mut entries = self.decoded();
        entries.extend(other.decoded());
        entries.extend(other.exit);
        entries.sort_by_key(|(at, _)| *at);
        self.rewrite(entries, max);
    }

    /// The values.
    pub fn values(&self) -> Vec<Value> {
        self.decoded().into_iter().map(|(_, value)| value).collect()
    }

    /// The last value of all.
    pub fn exit(&self) -> Option<Value> {
        match &self.exit {
            Some((_, value)) => Some(value.clone()),
            None => self.decoded().pop().map(|(_, value)| value),
        }
    }

    fn rewrite(&mut self, entries: Vec<(At, Value)>, max: usize) {
        let exit = self.exit.take();
        *self = Self::new();
        for (at, value) in entries.into_iter().chain(exit) {
            self.insert(at, value, max);
        }
    }

    /// Begins an entry: its value has to go behind.
    fn enter(&mut self, at: At) -> &mut Vec<u8> {
        self.entries.reserve(NEXT_BYTES);
        let (time, (partition, offset)) = self.last;
        put_time(&mut self.entries, time, at.0);
        put_u64(&mut self.entries, u64::from(at.1.0));
        let before = if partition == at.1.0 { offset } else { 0 };
        put_i64(&mut self.entries, at.1.1.wrapping_sub(before));
        self.last = at;
        self.count += 1;
        &mut self.entries
    }

    /// The entries; those checked by [`Self::read`] or begun by [`Self::enter`] can always be read.
    fn decoded(&self) -> Vec<(At, Value)> {
        let mut decoded = Vec::with_capacity(self.count);
        let mut reader = Reader::new(&self.entries);
        let mut last = At::default();
        while let Ok(Some((at, value))) = entry(&mut reader, last) {
            decoded.push((at, value));
            last = at;
        }
        decoded
    }

    /// Appends the bytes.
    pub fn put(&self, out: &mut Vec<u8>, base: Micros) {
        put_u64(out, self.count as u64);
        put_at(out, base, self.last);
        put_bytes(out, &self.entries);
        out.push(u8::from(self.exit.is_some()));
        if let Some((at, value)) = &self.exit {
            put_at(out, base, *at);
            value.put(out);
        }
    }

    /// Reads what [`Self::put`] wrote. The entries are looked at only when they are needed; bytes that cannot be read
    /// end the path there.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn read(reader: &mut Reader<'_>, base: Micros) -> Result<Self, Corrupt> {
        let mut path = Self::new();
        path.read_over(reader, base)?;
        Ok(path)
    }

    /// As [`Self::read`], over what is here, whose memory is used again.
    pub(super) fn read_over(&mut self, reader: &mut Reader<'_>, base: Micros) -> Result<(), Corrupt> {
        self.count = usize::try_from(reader.u64()?).or(corrupt("a count of path entries"))?;
        self.last = read_at(reader, base)?;
        let entries = reader.bytes()?;
        if self.count > entries.len() {
            return corrupt("a count of path entries");
        }
        self.entries.clear();
        // An event that this is read for is about to add one.
        self.entries.reserve(entries.len() + NEXT_BYTES);
        self.entries.extend_from_slice(entries);
        self.exit = match reader.byte()? {
            0 => None,
            _ => Some((read_at(reader, base)?, Value::read(reader)?)),
        };
        Ok(())
    }
}

fn entry(reader: &mut Reader<'_>, last: At) -> Result<Option<(At, Value)>, Corrupt> {
    if reader.left() == 0 {
        return Ok(None);
    }
    let time = reader.time(last.0)?;
    let partition = reader.u32()?;
    let before = if partition == last.1.0 { last.1.1 } else { 0 };
    let offset = reader.i64()?.wrapping_add(before);
    Ok(Some(((time, (partition, offset)), Value::read(reader)?)))
}
