//! Bugs: what becomes of a panic. It ends what it is in and nothing else, and somebody is told.
//!
//! Code of one resource, execution, delivery, replay or query is contained where that of others runs beside it
//! ([`contained`], [`awaited`]), and its panic is the failure of that one. What has to run for all of them is a unit
//! ([`Task`](super::Task), [`Thread`](super::Thread)), or says by other means that it has ended: whoever started it waits
//! for that, be it the supervisor, who starts it again, or the node, which stops.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;
use headwater_base::Problem;
use tokio::task::JoinError;

/// Characters of a panic's text that are told.
const SAID_MAX: usize = 200;

/// What is to be done about a unit that met a bug.
const AGAIN: &str = "it is started again; please report this with the lines of the log before it";

/// Calls code such that a panic in it ends that call and nothing else.
///
/// # Errors
/// What the panic said, on one line.
pub fn contained<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| said(&*panic))
}

/// As [`contained`], for what is awaited.
///
/// # Errors
/// What the panic said, on one line.
pub async fn awaited<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| said(&*panic))
}

/// `HW-KERNEL-043`: `what` panicked.
pub fn bug(what: impl Display, said: &str) -> Problem {
    Problem::new("HW-KERNEL-043", fact(what, said))
        .help("everything else goes on; please report this with the lines of the log before it")
}

/// `HW-KERNEL-024`: `what`, which is started again, panicked.
pub(crate) fn unit_bug(what: impl Display, said: &str) -> Problem {
    Problem::new("HW-KERNEL-024", fact(what, said)).help(AGAIN)
}

/// What is said of a task that panicked or was cancelled.
pub(crate) fn panicked(name: &str, error: JoinError) -> Problem {
    match error.try_into_panic() {
        Ok(panic) => unit_bug(format_args!("`{name}`"), &said(&*panic)),
        Err(_) => Problem::new("HW-KERNEL-024", format!("`{name}` was cancelled")).help(AGAIN),
    }
}

fn fact(what: impl Display, said: &str) -> String {
    format!("{what} ended by a bug in the program: {said}")
}

/// The text of a panic, on one line.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.unwrap_or("it does not say what").chars().take(SAID_MAX).map(plain).collect()
}
