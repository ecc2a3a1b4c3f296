//! The port of HTTP destinations: a request under a destination's address, credentials and rate limit.

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::Problem;

/// A request to a destination; None leaves a part as the destination has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET` and its like.
    pub method: Option<String>,
    /// The address in full; it must lie under the destination's own.
    pub url: Option<String>,
    /// Headers beside the destination's own, which win.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Option<Bytes>,
    /// Sent as `Idempotency-Key`, the same for each try of one effect.
    pub idempotency_key: Option<String>,
}

/// What came back, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Its reason phrase.
    pub reason: String,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// Sends requests by way of Destination resources. Retry is the caller's.
pub trait Destinations: Send + Sync {
    /// Sends one request. An answer of any status is `Ok`.
    ///
    /// # Errors
    /// There is no such destination, the address lies outside it, or no answer came.
    fn send<'a>(&'a self, destination: &'a str, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Problem>>;
}
