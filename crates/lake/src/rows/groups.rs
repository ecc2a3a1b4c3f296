//! Groups of a rollup on their way into a batch: events whose time and dimensions are equal are one row from the start,
//! found by those values.
//!
//! Invariant: the rows are those that `merge` makes of the events, each of them a row that stands for itself. A sum that
//! does not fit begins another row.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use headwater_base::never;

use super::{Cell, Cells};
use crate::columns::rollup::Made;

/// Groups, numbered in the order of their first events.
#[derive(Default)]
pub(super) struct Groups {
    count: usize,
    /// The newest group of each time and dimensions.
    newest: HashMap<Box<[u8]>, usize>,
    /// What the metrics of each group have come to, group by group.
    totals: Vec<Cell<'static>>,
    /// Memory for the time and dimensions of one event.
    key: Vec<u8>,
}

/// Ten to the power of the digits that a decimal has at most.
pub(super) const DECIMAL_END: u128 = 10_u128.pow(38);

impl Groups {
    /// Adds an event. A new group begins with its time and dimensions in `cells`, the columns of the table; what those
    /// are `made` of.
    pub fn push(&mut self, made: &[Made], event: &[Cell<'_>], cells: &mut [Cells]) {
        self.key.clear();
        for made in made.iter().filter(|made| !is_metric(**made)) {
            encode(&alone(*made, event), &mut self.key);
        }
        let width = metrics(made).count();
        let known = self.newest.get(self.key.as_slice()).copied();
        let known = known.and_then(|group| self.totals.get_mut(group * width..(group + 1) * width));
        if let Some(totals) = known
            && metrics(made).zip(totals.iter()).all(|(made, total)| fits(made, total, &alone(made, event)))
        {
            metrics(made).zip(totals).for_each(|(made, total)| add(made, total, &alone(made, event)));
            return;
        }
        self.newest.insert(self.key.as_slice().into(), self.count);
        self.count += 1;
        for (made, cells) in made.iter().zip(cells) {
            let cell = alone(*made, event);
            if is_metric(*made) { self.totals.push(owned(&cell)) } else { cells.push(&cell) }
        }
    }

    /// Puts what the metrics of all groups have come to into their columns, and begins anew.
    pub fn finish(&mut self, made: &[Made], cells: &mut [Cells]) {
        for totals in self.totals.chunks(metrics(made).count().max(1)) {
            let columns = cells.iter_mut().zip(made).filter(|(_, made)| is_metric(**made));
            columns.zip(totals).for_each(|((cells, _), total)| cells.push(total));
        }
        self.count = 0;
        self.newest.clear();
        self.totals.clear();
    }
}

/// Whether a column is computed; one that is not tells groups apart.
const fn is_metric(made: Made) -> bool {
    match made {
        Made::Time(..) | Made::Dimension(_) => false,
        Made::Count | Made::Sum(_) | Made::Min(_) | Made::Max(_) => true,
    }
}

/// What a column of a rollup holds of one event.
fn alone<'a>(made: Made, event: &[Cell<'a>]) -> Cell<'a> {
    let of = |index: usize| event.get(index).cloned().unwrap_or(Cell::Null);
    match made {
        Made::Count => Cell::Long(1),
        Made::Dimension(index) | Made::Min(index) | Made::Max(index) => of(index),
        Made::Time(index, grain) => match of(index) {
            Cell::Long(micros) => Cell::Long(grain.cut(micros)),
            other => other,
        },
        Made::Sum(index) => match of(index) {
            Cell::Int(it) => Cell::Long(i64::from(it)),
            Cell::Float(it) => Cell::Double(f64::from(it)),
            other => other,
        },
    }
}

fn metrics(made: &[Made]) -> impl Iterator<Item = Made> {
    made.iter().copied().filter(|made| is_metric(*made))
}

/// Appends what tells a value from others of its column. Floats are the same where their bits are.
fn encode(cell: &Cell<'_>, key: &mut Vec<u8>) {
    key.push(u8::from(!matches!(cell, Cell::Null)));
    match cell {
        Cell::Null => {}
        Cell::Boolean(it) => key.push(u8::from(*it)),
        Cell::Int(it) => key.extend_from_slice(&it.to_le_bytes()),
        Cell::Long(it) => key.extend_from_slice(&it.to_le_bytes()),
        Cell::Float(it) => key.extend_from_slice(&it.to_bits().to_le_bytes()),
        Cell::Double(it) => key.extend_from_slice(&it.to_bits().to_le_bytes()),
        Cell::Decimal(it) => key.extend_from_slice(&it.to_le_bytes()),
        Cell::Text(text) => {
            key.extend_from_slice(&(text.len() as u64).to_le_bytes());
            key.extend_from_slice(text.as_bytes());
        }
        Cell::Struct(_) | Cell::List(_) => never!("a dimension is a single value"),
    }
}

fn fits(made: Made, total: &Cell<'_>, value: &Cell<'_>) -> bool {
    match made {
        Made::Count | Made::Sum(_) => sum(total, value).is_some(),
        Made::Min(_) | Made::Max(_) | Made::Time(..) | Made::Dimension(_) => true,
    }
}

/// Adds a value that fits.
fn add(made: Made, total: &mut Cell<'static>, value: &Cell<'_>) {
    let better = match made {
        Made::Count | Made::Sum(_) => {
            if let Some(sum) = sum(total, value) {
                *total = sum;
            }
            return;
        }
        Made::Min(_) => Ordering::Less,
        Made::Max(_) => Ordering::Greater,
        Made::Time(..) | Made::Dimension(_) => return,
    };
    let is_better = match (&*total, value) {
        (_, Cell::Null) => false,
        (Cell::Null, _) => true,
        (total, value) => compare(value, total) == better,
    };
    if is_better {
        *total = owned(value);
    }
}

/// A sum with one more value, where nothing adds nothing; None where it does not fit.
fn sum(total: &Cell<'_>, value: &Cell<'_>) -> Option<Cell<'static>> {
    match (total, value) {
        (Cell::Long(total), Cell::Long(value)) => total.checked_add(*value).map(Cell::Long),
        (Cell::Double(total), Cell::Double(value)) => {
            Some(total + value).filter(|sum| sum.is_finite()).map(Cell::Double)
        }
        (Cell::Decimal(total), Cell::Decimal(value)) => {
            total.checked_add(*value).filter(|sum| sum.unsigned_abs() < DECIMAL_END).map(Cell::Decimal)
        }
        (Cell::Null, value) => Some(owned(value)),
        (total, _) => Some(owned(total)),
    }
}

/// The order of two values of one column.
fn compare(one: &Cell<'_>, other: &Cell<'_>) -> Ordering {
    match (one, other) {
        (Cell::Int(one), Cell::Int(other)) => one.cmp(other),
        (Cell::Long(one), Cell::Long(other)) => one.cmp(other),
        (Cell::Float(one), Cell::Float(other)) => one.total_cmp(other),
        (Cell::Double(one), Cell::Double(other)) => one.total_cmp(other),
        (Cell::Decimal(one), Cell::Decimal(other)) => one.cmp(other),
        (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
        _ => Ordering::Equal,
    }
}

/// A single value that borrows of no event.
fn owned(cell: &Cell<'_>) -> Cell<'static> {
    match cell {
        Cell::Null => Cell::Null,
        Cell::Boolean(it) => Cell::Boolean(*it),
        Cell::Int(it) => Cell::Int(*it),
        Cell::Long(it) => Cell::Long(*it),
        Cell::Float(it) => Cell::Float(*it),
        Cell::Double(it) => Cell::Double(*it),
        Cell::Decimal(it) => Cell::Decimal(*it),
        Cell::Text(text) => Cell::Text(Cow::Owned(text.to_string())),
        Cell::Struct(_) | Cell::List(_) => {
            never!("a metric is of single values");
            Cell::Null
        }
    }
}

#[cfg(test)]
mod tests;
