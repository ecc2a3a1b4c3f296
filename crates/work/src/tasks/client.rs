//! The HTTP client of tasks: bounded answers, no redirects, and no way into networks that nobody opened.
//!
//! A workflow's addresses can come from its input, so whoever starts an execution chooses them. Unless
//! [`Settings::private_addresses`] says otherwise, the client connects to public addresses only. The check is made on
//! the address it is about to connect to, after the name was resolved: a name that resolves differently a second time
//! gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headwater_base::Problem;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Method, Url, redirect};

use super::failure;
use crate::execution::Failure;

/// How long one call may take where its state sets no bound; the recorded service's own.
const CALL_MAX: Duration = Duration::from_secs(60);

/// How tasks reach the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether tasks may call addresses of this machine and of private networks.
    pub private_addresses: bool,
    /// Where functions are that are not built in: a server of the AWS Lambda Invoke API.
    pub functions_url: Option<String>,
    /// The largest answer that is read.
    pub answer_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { private_addresses: false, functions_url: None, answer_bytes_max: 1 << 20 }
    }
}

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub body: Option<Bytes>,
    pub timeout: Duration,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub(super) struct Response {
    pub status: u16,
    /// In order, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The address is one that is not open to tasks.
    Closed(String),
    /// No connection, or it broke, or it took too long.
    Broken(String),
    /// The answer is larger than allowed.
    TooLarge(usize),
}

/// A client; clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client,
    settings: Arc<Settings>,
}

impl HttpClient {
    /// Makes a client.
    ///
    /// # Errors
    /// `HW-WORK-050`, also for a [`Settings::functions_url`] that is none.
    pub fn new(settings: Settings) -> Result<Self, Problem> {
        if let Some(Err(failure)) = settings.functions_url.as_deref().map(address) {
            let fact = failure.cause.unwrap_or_default();
            return Err(Problem::new("HW-WORK-050", format!("functions cannot be called: {fact}"))
                .help("`functions` in `headwater.yaml` is a URL such as `http://127.0.0.1:3001`"));
        }
        // Once for the process; a second time it says so, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_nodelay(true)
            .redirect(redirect::Policy::none())
            .dns_resolver(Guard { open: settings.private_addresses });
        let client = builder.build().map_err(|error| {
            Problem::new("HW-WORK-050", "the HTTP client of tasks cannot be made").because(error.without_url())
        })?;
        Ok(Self { client, settings: Arc::new(settings) })
    }

    /// How tasks reach the outside.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends a request and reads the answer, whatever its status.
    pub(super) async fn send(&self, request: Request) -> Result<Response, Unanswered> {
        self.admit(&request.url)?;
        let mut call = self.client.request(request.method, request.url).timeout(request.timeout);
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        if let Some(body) = request.body {
            call = call.body(body);
        }
        let mut response = call.send().await.map_err(broken)?;
        let status = response.status();
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        let limit = self.settings.answer_bytes_max;
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(Unanswered::TooLarge(limit));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > limit {
                return Err(Unanswered::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status: status.as_u16(), headers, body: body.freeze() })
    }

    /// Whether a call to this address would be let through now; for those who call by themselves.
    pub(super) async fn reachable(&self, url: &Url) -> Result<(), String> {
        if let Err(Unanswered::Closed(words)) = self.admit(url) {
            return Err(words);
        }
        let Some(url::Host::Domain(name)) = url.host() else { return Ok(()) };
        open_addresses(name, self.settings.private_addresses).await.map(drop).map_err(|error| error.to_string())
    }

    /// Refuses an address that is written as a number; names are looked at once they are resolved.
    fn admit(&self, url: &Url) -> Result<(), Unanswered> {
        let written = match url.host() {
            Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        match written {
            Some(address) if !self.settings.private_addresses && !is_public(address) => {
                Err(Unanswered::Closed(closed(&address.to_string())))
            }
            _ => Ok(()),
        }
    }
}

/// How long a call may take, within the state's own time-out.
pub(super) fn timeout(now: headwater_base::Micros, deadline: Option<headwater_base::Micros>) -> Duration {
    deadline.map_or(CALL_MAX, |deadline| deadline.since(now).min(CALL_MAX))
}

/// Reads an address that a task may call at all.
pub(super) fn address(text: &str) -> Result<Url, Failure> {
    let refused = |fact: &str| failure::parameters(format!("the address {fact}"));
    let url = Url::parse(text).map_err(|error| refused(&format!("cannot be read: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused(&format!("has the scheme `{}`; write `https://host/path`", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("holds a user name or password; use a Destination with a Secret"));
    }
    Ok(url)
}

/// Resolves names to addresses that are open.
struct Guard {
    open: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let open = self.open;
        Box::pin(async move {
            let addresses = open_addresses(name.as_str(), open).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a name, without those that are closed.
async fn open_addresses(name: &str, open: bool) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
    let addresses: Vec<SocketAddr> = found.into_iter().filter(|address| open || is_public(address.ip())).collect();
    if addresses.is_empty() {
        return Err(Refused(closed(name)).into());
    }
    Ok(addresses)
}

/// What the guard says, so that it can be told from other faults of a connection.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

fn closed(host: &str) -> String {
    format!("`{host}` is an address of this machine or of a private network, which is closed to tasks")
}

/// What went wrong, without the address, which may hold secrets.
fn broken(error: reqwest::Error) -> Unanswered {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = source {
        if let Some(Refused(words)) = error.downcast_ref() {
            return Unanswered::Closed(words.clone());
        }
        source = error.source();
    }
    let words = if error.is_timeout() {
        "the call timed out"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_builder() {
        "the request cannot be written: a header or the method is none"
    } else {
        "the connection broke"
    };
    Unanswered::Broken(words.to_owned())
}

/// Whether an address belongs to the public internet.
///
/// # Source
/// IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // What stands for an IPv4 address is as public as that: mapped, compatible, NAT64 and 6to4.
    let [.., high, low] = segments;
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    let last = Ipv4Addr::new(a, b, c, d);
    match segments {
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => return is_public_v4(last),
        [0, 0, 0, 0, 0, 0, _, _] => return false,
        [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            return is_public_v4(Ipv4Addr::new(a, b, c, d));
        }
        _ => {}
    }
    let [first, second, ..] = segments;
    // Only 2000::/3 is given out; of it, the registry keeps 2001::/23, documentation and some more for itself.
    (0x2000..0x4000).contains(&first)
        && !(first == 0x2001 && second < 0x200)
        && !(first == 0x2001 && second == 0xdb8)
        && !(first == 0x3fff && second < 0x1000)
}

#[cfg(test)]
mod tests;
