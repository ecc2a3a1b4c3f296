//! Numbers that are added up and compared without depending on the order.
//!
//! Invariants: a [`Sum`] of whole numbers is exact. A sum with floats in it is the exact sum rounded once, so that any
//! order of arrival, any grouping into panes and any merge give the same bits. Numbers that are not finite are no
//! inputs; a sum that leaves the range of a float stays infinite.
//!
//! # Source
//! J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997, "GROW-EXPANSION"; the last rounding as in
//! CPython's `math.fsum`.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::operators::codec::{Corrupt, Reader, corrupt, put_f64, put_i64, put_i128, put_u64};
use crate::operators::value::Value;

/// A number as it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// Any other number, finite.
    Float(f64),
}

impl Number {
    /// A total order by value; of a whole number and a float that are equal, the whole number comes first.
    pub fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(&b),
            (Self::Int(a), Self::Float(b)) => int_float(a, b),
            (Self::Float(a), Self::Int(b)) => int_float(b, a).reverse(),
        }
    }

    /// As a value.
    pub fn value(self) -> Value {
        match self {
            Self::Int(number) => Value::Int(i128::from(number)),
            Self::Float(number) => Value::Float(number),
        }
    }

    /// Appends the bytes of a number that may be missing.
    pub fn put(number: Option<Self>, out: &mut Vec<u8>) {
        match number {
            None => out.push(0),
            Some(Self::Int(number)) => {
                out.push(1);
                put_i64(out, number);
            }
            Some(Self::Float(number)) => {
                out.push(2);
                put_f64(out, number);
            }
        }
    }

    /// Reads what [`Self::put`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Corrupt> {
        Ok(match reader.byte()? {
            0 => None,
            1 => Some(Self::Int(reader.i64()?)),
            2 => Some(Self::Float(reader.f64()?)),
            _ => return corrupt("an unknown kind of number"),
        })
    }
}

fn int_float(a: i64, b: f64) -> Ordering {
    const EDGE: f64 = 9_223_372_036_854_775_808.0;
    if b >= EDGE {
        return Ordering::Less;
    }
    if b < -EDGE {
        return Ordering::Greater;
    }
    a.cmp(&(b as i64)).then_with(|| if b.fract() < 0.0 { Ordering::Greater } else { Ordering::Less })
}

/// A sum of whole numbers and floats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sum {
    ints: i128,
    /// There has been a float.
    floats: bool,
    /// Floats that do not overlap, of growing magnitude, whose exact sum is the sum of the floats.
    partials: SmallVec<[f64; 2]>,
}

impl Sum {
    /// Adds a number.
    pub fn add(&mut self, number: Number) {
        match number {
            Number::Int(number) => self.ints = self.ints.saturating_add(i128::from(number)),
            Number::Float(number) => {
                self.floats = true;
                grow(&mut self.partials, number);
            }
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.ints = self.ints.saturating_add(other.ints);
        self.floats |= other.floats;
        for partial in &other.partials {
            grow(&mut self.partials, *partial);
        }
    }

    /// Whole as long as all inputs were.
    pub fn value(&self) -> Value {
        if self.floats { Value::Float(self.float()) } else { Value::Int(self.ints) }
    }

    /// Rounded to a float.
    pub fn float(&self) -> f64 {
        if !self.floats {
            return self.ints as f64;
        }
        let mut partials = self.partials.clone();
        // Pieces of 48 bits are floats without rounding.
        let mut rest = self.ints;
        let mut scale = 1.0;
        while rest != 0 {
            let piece = rest % (1 << 48);
            grow(&mut partials, piece as f64 * scale);
            rest /= 1 << 48;
            scale *= (1_u64 << 48) as f64;
        }
        round(&partials)
    }

    /// Appends the bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, if self.floats { 1 + self.partials.len() as u64 } else { 0 });
        put_i128(out, self.ints);
        for partial in &self.partials {
            put_f64(out, *partial);
        }
    }

    /// Passes over what [`Self::put`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    #[inline]
    pub fn skip(reader: &mut Reader<'_>) -> Result<(), Corrupt> {
        let count = reader.count()?;
        reader.skip_varint()?;
        reader.take(count.saturating_sub(1).saturating_mul(8)).map(drop)
    }

    /// Reads what [`Self::put`] wrote and adds it to this sum.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    #[inline]
    pub fn merge_read(&mut self, reader: &mut Reader<'_>) -> Result<(), Corrupt> {
        let count = reader.count()?;
        self.ints = self.ints.saturating_add(reader.i128()?);
        if count > 0 {
            self.floats = true;
            if self.partials.is_empty() {
                // Written by `put`, they are in order already.
                for _ in 1..count {
                    self.partials.push(reader.f64()?);
                }
            } else {
                for _ in 1..count {
                    grow(&mut self.partials, reader.f64()?);
                }
            }
        }
        Ok(())
    }
}

/// Adds `number` exactly.
fn grow(partials: &mut SmallVec<[f64; 2]>, number: f64) {
    if !number.is_finite() || partials.first().is_some_and(|first| !first.is_finite()) {
        let all = partials.iter().copied().filter(|partial| !partial.is_finite()).sum::<f64>();
        let infinite = if number.is_finite() { all } else { all + number };
        partials.clear();
        partials.push(infinite);
        return;
    }
    let mut number = number;
    let mut kept = 0;
    for index in 0..partials.len() {
        let Some(&partial) = partials.get(index) else { break };
        let (large, small) = if number.abs() < partial.abs() { (partial, number) } else { (number, partial) };
        let high = large + small;
        let low = small - (high - large);
        if low != 0.0 {
            if let Some(slot) = partials.get_mut(kept) {
                *slot = low;
            }
            kept += 1;
        }
        number = high;
    }
    partials.truncate(kept);
    if !number.is_finite() {
        partials.clear();
    }
    if number != 0.0 {
        partials.push(number);
    }
}

/// The exact sum, rounded half to even.
fn round(partials: &[f64]) -> f64 {
    let mut rest = partials.iter().rev().copied();
    let Some(mut high) = rest.next() else { return 0.0 };
    let mut low = 0.0;
    for partial in rest.by_ref() {
        let before = high;
        high = before + partial;
        low = partial - (high - before);
        if low != 0.0 {
            break;
        }
    }
    // Half-way: what is left below decides.
    if let Some(below) = rest.next()
        && ((low < 0.0 && below < 0.0) || (low > 0.0 && below > 0.0))
    {
        let twice = low * 2.0;
        let up = high + twice;
        if twice == up - high {
            high = up;
        }
    }
    high
}

#[cfg(test)]
mod tests;
