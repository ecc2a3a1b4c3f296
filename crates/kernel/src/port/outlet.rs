//! The port of destinations: handing something over to a system outside.
//!
//! What it is NOT: retry, rate limits, dead letters; those are the caller's.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_base::{Micros, Problem};
use serde_json::Value;

use super::{Context, Json};

/// What goes out.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The same for each try of the same thing, so that the other side can tell (`Idempotency-Key`, `webhook-id`).
    pub key: &'a str,
    /// A JSON text.
    pub body: &'a Json,
    /// What time it is.
    pub now: Micros,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status, where there is one.
    pub status: Option<u16>,
    /// The body; empty when there is none.
    pub body: Json,
}

/// Why it was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// In words, without an address, a secret or a body.
    pub reason: String,
    /// The status, where there was one.
    pub status: Option<u16>,
    /// Another try may help.
    pub again: bool,
    /// Not before this long (`Retry-After`).
    pub after: Option<Duration>,
}

/// A system outside that takes what is sent to it.
pub trait Outlet: Send + Sync {
    /// Sends once.
    fn send<'a>(&'a self, outgoing: Outgoing<'a>) -> BoxFuture<'a, Result<Answer, NotTaken>>;

    /// How many may be sent in a second; None = any number.
    fn rate(&self) -> Option<f64> {
        None
    }
}

/// Builds an outlet from the spec of a Destination.
pub type BuildOutlet = fn(&Value, &Context) -> Result<Arc<dyn Outlet>, Problem>;
