//! The port of forecasts that somebody asks for: a series goes in, what comes next comes out.

use headwater_base::{Micros, Problem};

/// What is expected of one interval ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ahead {
    /// When the interval begins.
    pub time: Micros,
    /// What is expected.
    pub predicted: f64,
    /// How far from that is still within; None while too little is known of how far off forecasts are.
    pub half: Option<f64>,
}

/// Tells what so many intervals behind a series will bring. Values come in any order; of several at one time the last
/// counts.
///
/// # Errors
/// `HW-WATCH-030` for a series that nothing can be told from.
pub type Forecaster = fn(values: Vec<(Micros, f64)>, ahead: usize) -> Result<Vec<Ahead>, Problem>;
