//! The words every other crate speaks: names, times, events and their JSON text, limits and problems.
//!
//! What it is NOT: it does no I/O, starts no task, reads no clock and draws no random number, so everything in
//! it is deterministic and can be fuzzed. [`time::Clock`] is only the trait; the real clock lives in the kernel.

pub mod event;
pub mod json;
pub mod limits;
pub mod name;
pub mod partition;
pub mod principal;
pub mod problem;
pub mod suggest;
pub mod time;
pub mod units;

pub use event::Event;
pub use limits::Limits;
pub use name::Name;
pub use partition::partition_of;
pub use principal::Principal;
pub use problem::{Place, Problem};
pub use suggest::closest;
pub use time::{Clock, ManualClock, Micros, Moved};
pub use units::{Size, Span};

/// Marks a state that the code's own invariants exclude: panics in debug builds, so that tests find it; a release
/// build logs nothing and goes on with the fallback that the caller writes after it.
#[macro_export]
macro_rules! never {
    ($($message:tt)*) => {
        if cfg!(debug_assertions) {
            panic!("never: {}", format_args!($($message)*));
        }
    };
}
