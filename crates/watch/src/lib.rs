//! Watching: forecasts of series with a band around them, verdicts on what really came, and alarms on what charts show.
//!
//! The core is pure: [`series`] keeps what is known of one cohort, [`model`] tells what comes next, [`verdict`] judges,
//! and [`cohorts`] takes records and says what is to be told. It knows no clock and no log. [`task`] carries it on a
//! node, exactly once; the kind is in [`kinds`]. [`explore`] tells a whole series at once, for somebody who asks.
//!
//! [`alarm`] judges what a chart shows, and [`alarms`] looks at charts when it is time.
//!
//! What it is NOT: an aggregation. A value arrives for each interval and cohort, as a pipeline's windows give them out.

pub mod alarm;
pub mod alarms;
pub mod calendar;
pub mod cohorts;
pub mod explore;
pub mod figures;
pub mod follow;
pub mod forecasts;
pub mod holidays;
pub mod kinds;
pub mod model;
pub mod reader;
pub mod series;
pub mod shape;
pub mod state;
pub mod task;
#[cfg(test)]
mod testing;
pub mod verdict;

pub use alarms::Alarms;
pub use forecasts::Forecasts;
