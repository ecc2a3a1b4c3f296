//! How cost is counted. The one place where rounding, minimum billing, hours of a month and overlap are fixed.
//!
//! | question | rule |
//! |---|---|
//! | resolution of time | whole milliseconds, digits below are dropped |
//! | machine of a run's own | billed from start to end, rounded up to whole seconds, at least 60 s |
//! | shared machine | billed to the millisecond while attempts of the run are on it; no minimum, which is its owner's |
//! | share of a shared machine | the larger of cores/cores and memory/memory, added up over attempts, at most 1 |
//! | attempts that overlap on one machine | the machine is charged once; its cost is split by their shares |
//! | failed attempts | charged like others, and shown |
//! | time on an own machine without an attempt | charged to the run, shown as idle |
//! | volume | size × seconds, rounded up to whole seconds, at least 60 s |
//! | file system, control plane | size or share × time to the millisecond; no minimum |
//! | on premises | cores × hours of the machine; whole seconds, at least 60 s as any machine of a run's own |
//! | month | 730 hours |
//! | spot | each price from the moment it begins until the next begins, at the zone's prices |
//! | reserved | the hourly rate with what was paid upfront spread over the term (365 days a year) |
//! | discounts | every rule that matches multiplies what is left: 10 % and 5 % leave 85.5 % |
//! | a price or discount that changes meanwhile | each stretch of time at its own |
//! | rounding | each line once, to 10 decimals, half to even; every sum is a sum of such lines |
//! | no price | status `unknown`; never 0 |
//! | no price yet (the list ends before the run does) | status `pending` |
//! | the four strings | `total_cost` = `instance_cost` + `volume_cost` + `filesystem_cost`; control planes count as instances |
//!
//! # Source
//! Amazon EC2 and EBS billing: per second with a minimum of one minute; AWS Pricing Calculator: 730 hours a month.

use rust_decimal::{Decimal, RoundingStrategy};

/// Hours that a month has, whichever month.
pub const HOURS_PER_MONTH: i64 = 730;

/// Hours that a year has in the term of a reservation.
pub const HOURS_PER_YEAR: i64 = 8_760;

/// The shortest time that is billed for a machine or volume of the run's own.
pub const MINIMUM_MS: i64 = 60_000;

/// Time is billed in whole ones of these.
pub const STEP_MS: i64 = 1_000;

/// Decimals of an amount.
pub const DECIMALS: u32 = 10;

const MS_PER_HOUR: i64 = 3_600_000;

/// An amount as lines carry it.
pub fn rounded(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(DECIMALS, RoundingStrategy::MidpointNearestEven)
}

/// An amount as text: as many decimals as it has, and at least two.
pub fn text(amount: Decimal) -> String {
    let mut amount = amount.normalize();
    if amount.scale() < 2 {
        amount.rescale(2);
    }
    amount.to_string()
}

/// What is billed of `ms` of a machine or volume of the run's own.
pub fn billed_ms(ms: i64) -> i64 {
    let steps = ms.max(0).saturating_add(STEP_MS - 1) / STEP_MS;
    (steps * STEP_MS).max(MINIMUM_MS)
}

/// From price × milliseconds, where the price is for an hour.
pub fn per_hour(price_ms: Decimal) -> Decimal {
    price_ms / Decimal::from(MS_PER_HOUR)
}

/// From price × milliseconds, where the price is for a month.
pub fn per_month(price_ms: Decimal) -> Decimal {
    price_ms / Decimal::from(MS_PER_HOUR * HOURS_PER_MONTH)
}
