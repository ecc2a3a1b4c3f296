//! The newest few values of a key, for `last`: one list answers for all windows, since the newest of a window are the
//! newest of all as far as they lie inside it.
//!
//! They stay bytes from one state to the next; only who shows one makes a value of it.

use std::ops::Range;

use headwater_base::Micros;

use crate::operators::codec::{Corrupt, Reader, put_u64};
use crate::operators::measure::{At, put_at, read_at};
use crate::operators::{Input, Value};

/// Values, newest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// When, and where in `bytes` the value is.
    entries: Vec<(At, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Recent {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
    }

    /// Puts a value into its place, if the input has one; at most `max` stay.
    pub(super) fn add(&mut self, at: At, input: &Input<'_>, max: u16) {
        let behind = self.entries.partition_point(|(other, _)| *other > at);
        let from = self.bytes.len();
        if behind < usize::from(max) && input.put(&mut self.bytes) {
            self.entries.insert(behind, (at, from..self.bytes.len()));
            self.entries.truncate(usize::from(max));
        }
    }

    /// Appends, as JSON, those that are not before `since`: a list, or one value if `max` is 1.
    pub(super) fn render(&self, since: Micros, max: u16, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        let inside = self.entries.iter().take_while(|((time, _), _)| *time >= since);
        let mut inside = inside.map(|(_, place)| Reader::new(self.value(place)));
        if max == 1 {
            let Some(mut value) = inside.next() else {
                Value::Null.render(out);
                return Ok(());
            };
            return Value::render_read(&mut value, out);
        }
        out.push(b'[');
        for (index, mut value) in inside.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            Value::render_read(&mut value, out)?;
        }
        out.push(b']');
        Ok(())
    }

    fn value(&self, place: &Range<usize>) -> &[u8] {
        self.bytes.get(place.clone()).unwrap_or_default()
    }

    /// Appends the bytes.
    pub(super) fn put(&self, out: &mut Vec<u8>, base: Micros) {
        put_u64(out, self.entries.len() as u64);
        for (at, place) in &self.entries {
            put_at(out, base, *at);
            out.extend_from_slice(self.value(place));
        }
    }

    /// Reads what [`Self::put`] wrote and drops what is before `since`, or more than `max`.
    pub(super) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        base: Micros,
        since: Micros,
        max: u16,
    ) -> Result<(), Corrupt> {
        self.clear();
        for _ in 0..reader.count()? {
            let at = read_at(reader, base)?;
            let value = Value::skip(reader)?;
            if at.0 >= since && self.entries.len() < usize::from(max) {
                let from = self.bytes.len();
                self.bytes.extend_from_slice(value);
                self.entries.push((at, from..self.bytes.len()));
            }
        }
        Ok(())
    }
}
