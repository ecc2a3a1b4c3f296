//! The dedupe step: remembers keys for a span of event time.
//!
//! An entry of its space is a key and the time at which it is forgotten.

use std::time::Duration;

use headwater_base::Micros;

use crate::operators::codec::{Corrupt, Reader, put_i64};
use crate::operators::timers::Timers;
use crate::operators::{ADVANCE_MAX, Advance, Change, FORGOTTEN_TOGETHER, State};

const VERSION: u8 = 1;

/// Keys that expire within this time are forgotten together.
const WIDTH_MICROS: i64 = 1_000_000;

/// The dedupe operator.
#[derive(Debug)]
pub struct Dedupe {
    within: Duration,
    timers: Timers,
}

impl Dedupe {
    /// Remembers each key for `within` after its event time.
    pub fn new(within: Duration) -> Self {
        Self { within, timers: Timers::new(WIDTH_MICROS) }
    }

    /// Whether this is the key's first event within the span; remembers it.
    ///
    /// # Errors
    /// [`Corrupt`] when the key's entry cannot be read.
    pub fn is_first(&mut self, state: &mut dyn State, key: &[u8], time: Micros) -> Result<bool, Corrupt> {
        let expires = time.plus(self.within);
        let mut first = false;
        state.change(key, &mut |entry, made| {
            if let Some(entry) = entry
                && time < expiry(entry)?
            {
                return Ok(Change::Keep);
            }
            first = true;
            made.push(VERSION);
            put_i64(made, expires.0);
            Ok(Change::Put)
        })?;
        if first {
            self.timers.schedule(expires, key);
        }
        Ok(first)
    }

    /// Forgets the keys whose time is over, a bounded number with each call.
    ///
    /// # Errors
    /// [`Corrupt`] when an entry cannot be read.
    pub fn advance(&mut self, state: &mut dyn State, watermark: Micros) -> Result<Advance, Corrupt> {
        for _ in 0..ADVANCE_MAX / FORGOTTEN_TOGETHER {
            let keys = self.timers.pop_all(watermark, FORGOTTEN_TOGETHER);
            state.foresee(&keys);
            for key in &keys {
                state.change(key, &mut |entry, _| {
                    let is_over = entry.map(expiry).transpose()?.is_some_and(|expires| expires <= watermark);
                    Ok(if is_over { Change::Delete } else { Change::Keep })
                })?;
            }
            if keys.len() < FORGOTTEN_TOGETHER {
                return Ok(Advance::Done);
            }
        }
        Ok(Advance::More)
    }

    /// Rebuilds the timer of an entry.
    ///
    /// # Errors
    /// [`Corrupt`] when the entry cannot be read.
    pub fn restore(&mut self, key: &[u8], entry: &[u8]) -> Result<(), Corrupt> {
        self.timers.schedule(expiry(entry)?, key);
        Ok(())
    }
}

fn expiry(entry: &[u8]) -> Result<Micros, Corrupt> {
    let mut reader = Reader::versioned(entry, VERSION)?;
    let expires = Micros(reader.i64()?);
    reader.end()?;
    Ok(expires)
}
