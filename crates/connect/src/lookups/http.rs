//! `{type: http, url: "https://catalogue/listings/{key}"}`: asks a web API. `score` posts the key, a JSON object, to a model.
//!
//! `{key}` is percent-encoded and stands in the path or the query only. 404, 410 and 204 mean "unknown"; 408, 425, 429
//! and 5xx mean "try again"; any other status means "never". Redirects stay on the same host. An answer is JSON of at
//! most 256 KiB. Neither the URL nor a header's value ever shows in an error.

mod plain;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use headwater_base::Problem;
use headwater_kernel::port::{Context, Json, Lookup, LookupError};
use headwater_wire::percent;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url, redirect};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::options::Options;
use plain::{Plain, Reply};

const ANSWER_BYTES_MAX: usize = 256 * 1024;
const KEY: &str = "{key}";

pub(super) fn schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["type", "url"],
        "properties": {
            "type": {"const": "http"},
            "url": {"type": "string", "description": "http or https, with `{key}` in its path or query."},
            "headers": headers_schema()
        }
    })
}

pub(super) fn score_schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["type", "url"],
        "properties": {
            "type": {"const": "score"},
            "url": {"type": "string", "description": "Gets a POST with one JSON object."},
            "headers": headers_schema()
        }
    })
}

fn headers_schema() -> Value {
    json!({
        "type": "object", "description": "Header -> a text, or `{secret: NAME}`.",
        "additionalProperties": {"oneOf": [
            {"type": "string"},
            {"type": "object", "additionalProperties": false, "required": ["secret"], "properties": {"secret": {"type": "string"}}}
        ]}
    })
}

pub(super) fn check(spec: &Value) -> Result<(), Problem> {
    let (_, headers) = read(spec)?;
    headers.iter().try_for_each(|header| header.check())
}

pub(super) fn check_score(spec: &Value) -> Result<(), Problem> {
    let (_, headers) = read_score(spec)?;
    headers.iter().try_for_each(|header| header.check())
}

pub(super) fn build(spec: &Value, context: &Context) -> Result<Arc<dyn Lookup>, Problem> {
    let (url, headers) = read(spec)?;
    Ok(Arc::new(Http::new(url, false, &headers, context)?))
}

pub(super) fn build_score(spec: &Value, context: &Context) -> Result<Arc<dyn Lookup>, Problem> {
    let (url, headers) = read_score(spec)?;
    Ok(Arc::new(Http::new(url.as_str(), true, &headers, context)?))
}

/// The address with `{key}` in it, and the headers.
fn read(spec: &Value) -> Result<(&str, Vec<Header<'_>>), Problem> {
    let options = Options::new(spec, &["url", "headers"])?;
    let url = options.text("url")?;
    let with = |key: &str| address(&url.replace(KEY, key));
    let (one, other) = (with("a")?, with("b")?);
    let origin = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port());
    if origin(&one) != origin(&other) {
        return Err(Problem::new("HW-CONNECT-105", "`{key}` cannot choose the host")
            .help("put `{key}` into the path or the query"));
    }
    if one == other {
        return Err(Problem::new("HW-CONNECT-105", "the address does not hold `{key}`")
            .help("write it where the key goes: `https://catalogue.example/listings/{key}`"));
    }
    Ok((url, Header::all(&options)?))
}

fn read_score(spec: &Value) -> Result<(Url, Vec<Header<'_>>), Problem> {
    let options = Options::new(spec, &["url", "headers"])?;
    Ok((address(options.text("url")?)?, Header::all(&options)?))
}

/// An address as it is written: http or https, without a user name or password.
pub(crate) fn address(text: &str) -> Result<Url, Problem> {
    let problem = |fact: &str| {
        Problem::new("HW-CONNECT-105", format!("the address {fact}"))
            .help("write `http://host:port/path` or `https://host/path`")
    };
    let url = Url::parse(text).map_err(|error| problem(&format!("cannot be read: {error}")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => {}
        other => return Err(problem(&format!("has the scheme `{other}`"))),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem("holds a user name or password; put them into a header from a Secret"));
    }
    Ok(url)
}

/// A header that goes with each request.
struct Header<'a> {
    name: &'a str,
    field: HeaderName,
    value: Said<'a>,
}

/// Where a header's value is said.
enum Said<'a> {
    Here(&'a str),
    InSecret(&'a str),
}

impl<'a> Header<'a> {
    fn all(options: &Options<'a>) -> Result<Vec<Self>, Problem> {
        let header = |(name, value): (&'a String, &'a Value)| {
            let problem = |fact: &str| header_problem(name, fact);
            let field =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| problem("has a name that HTTP does not allow"))?;
            let secret = value.as_object().filter(|map| map.len() == 1).and_then(|map| map.get("secret")?.as_str());
            let value = match (value, secret) {
                (Value::String(text), _) => Said::Here(text),
                (_, Some(secret)) => Said::InSecret(secret),
                _ => return Err(problem("is a text or `{secret: NAME}`")),
            };
            Ok(Self { name, field, value })
        };
        options.optional_object("headers")?.into_iter().flatten().map(header).collect()
    }

    /// What can be said without reading a secret.
    fn check(&self) -> Result<(), Problem> {
        match self.value {
            Said::Here(text) => self.value(text.as_bytes()).map(drop),
            Said::InSecret(_) => Ok(()),
        }
    }

    fn value(&self, bytes: &[u8]) -> Result<HeaderValue, Problem> {
        HeaderValue::from_bytes(bytes.trim_ascii())
            .map_err(|_| header_problem(self.name, "has a value that HTTP does not allow"))
    }
}

fn header_problem(name: &str, fact: &str) -> Problem {
    Problem::new("HW-CONNECT-106", format!("the header `{}` {fact}", name.escape_debug()))
}

/// What goes with each request.
fn fields(headers: &[Header<'_>], context: &Context) -> Result<HeaderMap, Problem> {
    let mut fields = HeaderMap::new();
    fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for header in headers {
        let value = match header.value {
            Said::Here(text) => header.value(text.as_bytes())?,
            Said::InSecret(name) => {
                let mut value = header.value(&context.secrets.read(name)?)?;
                value.set_sensitive(true);
                value
            }
        };
        fields.insert(header.field.clone(), value);
    }
    Ok(fields)
}

fn client(fields: HeaderMap) -> Result<Client, Problem> {
    crate::tls::install();
    Client::builder()
        .default_headers(fields)
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(60))
        .pool_idle_timeout(Duration::from_secs(60))
        .tcp_nodelay(true)
        .redirect(redirect::Policy::custom(|attempt| {
            let origin =
                |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
            let same = attempt.previous().first().is_some_and(|first| origin(first) == origin(attempt.url()));
            if same && attempt.previous().len() <= 3 { attempt.follow() } else { attempt.stop() }
        }))
        .build()
        .map_err(|error| {
            Problem::new("HW-CONNECT-107", format!("the HTTP client cannot be made: {}", error.without_url()))
        })
}

struct Http {
    url: String,
    post: bool,
    client: Client,
    /// For an address without TLS, with its path.
    plain: Option<(Plain, String)>,
}

impl Http {
    fn new(url: &str, post: bool, headers: &[Header<'_>], context: &Context) -> Result<Self, Problem> {
        let mut fields = fields(headers, context)?;
        if post {
            fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let parsed = address(url)?;
        let query = parsed.query().map(|query| format!("?{query}")).unwrap_or_default();
        // Reading the address has encoded the braces.
        let path = format!("{}{query}", parsed.path()).replace("%7Bkey%7D", KEY);
        let plain = Plain::new(&parsed, &fields).map(|plain| (plain, path));
        Ok(Self { url: url.to_owned(), post, client: client(fields)?, plain })
    }

    async fn ask(&self, key: &str) -> Result<Option<Json>, LookupError> {
        if !self.post && matches!(key, "." | ".." | "") {
            return Err(LookupError::Rejected("a key that means another path".to_owned()));
        }
        let reply = match &self.plain {
            Some((plain, path)) => {
                let (method, path, body) = self.request(path, key);
                plain.ask(method, &path, body, ANSWER_BYTES_MAX).await
            }
            // Boxed, here and below: it is far larger than all else that a question is made of.
            None => Box::pin(self.ask_web(key)).await,
        };
        let reply = match reply {
            // Following it is for the other client.
            Ok(reply) if reply.status.is_redirection() && self.plain.is_some() => Box::pin(self.ask_web(key)).await,
            reply => reply,
        };
        let Reply { status, body } = reply.map_err(|cause| LookupError::Unavailable(cause.to_owned()))?;
        match status {
            StatusCode::NO_CONTENT => return Ok(None),
            StatusCode::NOT_FOUND | StatusCode::GONE if !self.post => return Ok(None),
            status if status.is_success() => {}
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                return Err(LookupError::Unavailable(format!("status {}", status.as_u16())));
            }
            status if status.is_server_error() => {
                return Err(LookupError::Unavailable(format!("status {}", status.as_u16())));
            }
            status => return Err(LookupError::Rejected(format!("status {}", status.as_u16()))),
        }
        let Some(body) = body else {
            return Err(LookupError::Rejected(format!("an answer of more than {ANSWER_BYTES_MAX} bytes")));
        };
        if serde_json::from_slice::<&RawValue>(&body).is_err() {
            return Err(LookupError::Rejected("the answer is not JSON".to_owned()));
        }
        Ok(Some(body))
    }

    /// The request about a key; `place` holds `{key}`.
    fn request(&self, place: &str, key: &str) -> (Method, String, Bytes) {
        if self.post {
            (Method::POST, place.to_owned(), Bytes::copy_from_slice(key.as_bytes()))
        } else {
            (Method::GET, place.replace(KEY, &percent::encode(key.as_bytes())), Bytes::new())
        }
    }

    async fn ask_web(&self, key: &str) -> Result<Reply, &'static str> {
        let (method, url, body) = self.request(&self.url, key);
        let request = self.client.request(method, url).body(body);
        let mut response = request.send().await.map_err(|error| cause(&error))?;
        let status = response.status();
        if response.content_length().is_some_and(|length| length > ANSWER_BYTES_MAX as u64) {
            return Ok(Reply { status, body: None });
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Ok(Reply { status, body: None });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body: Some(body.freeze()) })
    }
}

impl Lookup for Http {
    fn at_once(&self, _: &str) -> Option<Result<Option<Json>, LookupError>> {
        None
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Json>, LookupError>> {
        Box::pin(self.ask(key))
    }
}

/// What went wrong, without the address.
fn cause(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "the connection timed out"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}
