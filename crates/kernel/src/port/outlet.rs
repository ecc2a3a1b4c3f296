//! The port of destinations: handing something over to a system outside.
//!
//! An outlet sends what it is given to its address with its credentials. A caller that speaks HTTP itself says more than
//! a body ([`Asked`]) and reads more than one; the address stays below the outlet's own, because the credentials are for
//! that.
//!
//! What it is NOT: retry and dead letters; those are the caller's. Rate limits are kept by whoever runs the outlets
//! ([`Outlets`]).

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_base::{Micros, Problem};
use serde_json::Value;

use super::{Context, Json};

/// The largest answer that anybody reads.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What goes out.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The same for each try of the same thing, so that the other side can tell (`Idempotency-Key`, `webhook-id`).
    pub key: &'a str,
    /// What is sent: a JSON text, or what the headers of `asked` say.
    pub body: &'a Json,
    /// What time it is.
    pub now: Micros,
    /// What the caller asks for itself; None leaves all but the body to the outlet.
    pub asked: Option<&'a Asked>,
}

/// A request that its caller has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `GET` and its like.
    pub method: String,
    /// The address in full; it must lie below the outlet's own.
    pub url: String,
    /// Headers beside the outlet's own, which win.
    pub headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, where there is one.
    pub status: Option<u16>,
    /// Headers in order, names in lower case; empty where there are none.
    pub headers: Vec<(String, String)>,
    /// The body, empty when there is none; None when it is larger than [`ANSWER_BYTES_MAX`].
    pub body: Option<Json>,
}

impl Default for Answer {
    /// It was taken, and nothing was said.
    fn default() -> Self {
        Self { status: None, headers: Vec::new(), body: Some(Json::new()) }
    }
}

/// Why it was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotTaken {
    /// In words, without an address, a secret or a body.
    pub reason: String,
    /// The status, where there was one.
    pub status: Option<u16>,
    /// Another try may help.
    pub again: bool,
    /// Not before this long (`Retry-After`).
    pub after: Option<Duration>,
    /// What it said, where the caller had [asked](Asked): the first [`ANSWER_BYTES_MAX`] of that.
    pub said: Json,
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

/// The outlets that run.
pub trait Outlets: Send + Sync {
    /// The outlet of a Destination resource, which sends when its rate allows. None when there is none, or it does not
    /// run.
    fn outlet(&self, destination: &str) -> Option<Arc<dyn Outlet>>;
}

/// Builds an outlet from the spec of a Destination.
pub type BuildOutlet = fn(&Value, &Context) -> Result<Arc<dyn Outlet>, Problem>;
