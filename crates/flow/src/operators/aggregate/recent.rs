//! The newest few values of a key, for `last`: one list answers for all windows, since the newest of a window are the
//! newest of all as far as they lie inside it.

use headwater_base::Micros;

use crate::operators::Value;
use crate::operators::codec::{Corrupt, Reader, put_u64};
use crate::operators::measure::{At, put_at, read_at};

/// Values, newest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    entries: Vec<(At, Value)>,
}

impl Recent {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Puts a value into its place; at most `max` stay.
    pub(super) fn add(&mut self, at: At, value: Value, max: u16) {
        let behind = self.entries.partition_point(|(other, _)| *other > at);
        if behind < usize::from(max) {
            self.entries.insert(behind, (at, value));
            self.entries.truncate(usize::from(max));
        }
    }

    /// Appends, as JSON, those that are not before `since`: a list, or one value if `max` is 1.
    pub(super) fn render(&self, since: Micros, max: u16, out: &mut Vec<u8>) {
        let mut inside = self.entries.iter().take_while(|((time, _), _)| *time >= since).map(|(_, value)| value);
        if max == 1 {
            return inside.next().unwrap_or(&Value::Null).render(out);
        }
        out.push(b'[');
        for (index, value) in inside.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            value.render(out);
        }
        out.push(b']');
    }

    /// Appends the bytes.
    pub(super) fn put(&self, out: &mut Vec<u8>, base: Micros) {
        put_u64(out, self.entries.len() as u64);
        for (at, value) in &self.entries {
            put_at(out, base, *at);
            value.put(out);
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
            let value = Value::read(reader)?;
            if at.0 >= since && self.entries.len() < usize::from(max) {
                self.entries.push((at, value));
            }
        }
        Ok(())
    }
}
