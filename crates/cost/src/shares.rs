//! How a machine's cost is split over the attempts of a run that are on it.
//!
//! Time is cut where an attempt begins or ends. Within a part, an attempt's weight is the larger of its share of the
//! cores and its share of the memory, where known, else 1. On a shared machine the run pays the sum of the weights, at
//! most all of it; on its own machine the run pays all, and parts without an attempt are idle. What is paid is split in
//! proportion to the weights.

use rust_decimal::Decimal;

use crate::time::{Span, Time};
use crate::usage::{Attempt, Instance};

/// A part of a machine's time with the same attempts on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// When.
    pub span: Span,
    /// What the run pays of it, from 0 to 1.
    pub paid: Decimal,
    /// The weights of all attempts on it; 0 when idle.
    pub weights: Decimal,
}

/// The parts that an attempt was on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stay {
    /// The first part.
    pub first: usize,
    /// The first behind the last.
    pub end: usize,
    /// Its weight.
    pub weight: Decimal,
}

/// Cuts a machine's time into parts without a gap, and says which of them each attempt was on.
pub(crate) fn split(machine: &Instance, span: Span, attempts: &[&Attempt]) -> (Vec<Part>, Vec<Stay>) {
    let mut stays: Vec<Stay> =
        attempts.iter().map(|attempt| Stay { first: 0, end: 0, weight: weight(machine, attempt) }).collect();
    // (moment, begins, which): ends come first.
    let mut edges: Vec<(Time, bool, usize)> = Vec::with_capacity(attempts.len() * 2);
    for (at, attempt) in attempts.iter().enumerate() {
        if let Some(within) = span.meet(Span { from: attempt.started, to: attempt.ended }) {
            edges.push((within.from, true, at));
            edges.push((within.to, false, at));
        }
    }
    edges.sort_unstable();
    let mut parts: Vec<Part> = Vec::with_capacity(edges.len() + 1);
    let mut from = span.from;
    let mut weights = Decimal::ZERO;
    let mut count = 0_usize;
    let mut push = |from: Time, to: Time, weights: Decimal| {
        if to > from {
            let paid = if machine.shared { weights.min(Decimal::ONE) } else { Decimal::ONE };
            parts.push(Part { span: Span { from, to }, paid, weights });
        }
        parts.len()
    };
    for (moment, begins, which) in edges {
        let end = push(from, moment, weights);
        from = moment;
        let Some(stay) = stays.get_mut(which) else { continue };
        if begins {
            stay.first = end;
            weights += stay.weight;
            count += 1;
        } else {
            stay.end = end;
            count -= 1;
            // So that what rounding leaves is not taken for somebody.
            weights = if count == 0 { Decimal::ZERO } else { weights - stay.weight };
        }
    }
    push(from, span.to, weights);
    (parts, stays)
}

/// The larger of an attempt's shares of cores and memory; all of the machine where neither is known. None is smaller than
/// a billionth: what a machine costs is divided by it, and has to stay a number.
fn weight(machine: &Instance, attempt: &Attempt) -> Decimal {
    let share = |part: Option<Decimal>, whole: Option<Decimal>| Some(part? / whole?);
    let cores = share(attempt.cpus, machine.cpus);
    let memory = share(attempt.memory_gib, machine.memory_gib);
    cores.max(memory).map_or(Decimal::ONE, |share| share.clamp(Decimal::new(1, 9), Decimal::ONE))
}

#[cfg(test)]
mod tests;
