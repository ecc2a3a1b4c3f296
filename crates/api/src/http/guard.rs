//! Who may talk to the HTTP listener before there is authentication: programs of this machine, and pages that the
//! node itself served. Guards against DNS rebinding (a foreign name that resolves to 127.0.0.1) and against other
//! sites' pages posting to a local port.
//!
//! What it is NOT: authentication.

use hyper::header::{HOST, ORIGIN};
use hyper::http::request::Parts;

use headwater_base::Problem;

use crate::http::fault::Fault;

/// Refuses a request whose Host is no loopback name (`HW-API-002`) or whose Origin is another site (`HW-API-003`).
pub fn check(head: &Parts) -> Result<(), Fault> {
    let host = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head.headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default(),
    };
    if !is_loopback(host_of(host)) {
        return Err(Problem::new("HW-API-002", format!("the host `{}` is not this machine", shown(host)))
            .help("use `localhost`, `127.0.0.1` or `[::1]`; other names are refused until there is authentication")
            .into());
    }
    let mut origins = head.headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if site.is_some_and(|site| site.eq_ignore_ascii_case(host)) && origins.next().is_none() {
        return Ok(());
    }
    Err(Problem::new("HW-API-003", format!("the origin `{}` is another site", shown(origin)))
        .help("only pages that this node served may call it from a browser")
        .into())
}

/// The host without its port.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((inside, port)) if port.is_empty() || is_port(port.strip_prefix(':')) => inside,
            _ => "",
        };
    }
    match authority.split_once(':') {
        Some((host, port)) if is_port(Some(port)) => host,
        Some(_) => "",
        None => authority,
    }
}

fn is_port(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.is_empty() || (text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())))
}

/// Whether a name can only mean this machine: `localhost` (RFC 6761, section 6.3) or a loopback address.
pub fn is_loopback(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost") {
        return true;
    }
    host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
