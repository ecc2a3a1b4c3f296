//! Room for what stands beside a chart's rows: it is held in memory while they are asked.

use headwater_base::Problem;

/// Bytes of each.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a total is called in a problem.
pub const TOTAL: &str = "a total of the chart";
/// What the earlier value is called.
pub const BEFORE: &str = "what the chart is compared with";

/// Takes bytes until there are too many; `what` says of what.
pub fn room(what: &'static str) -> impl FnMut(usize) -> Result<(), Problem> + Send {
    let mut left = Some(BYTES_MAX);
    move |bytes| {
        left = left.and_then(|left| left.checked_sub(bytes));
        left.map(drop).ok_or_else(|| {
            let fact = format!("{what} has more than {BYTES_MAX} bytes");
            Problem::new("HW-LAKE-074", fact).help("group by fewer or shorter values")
        })
    }
}
