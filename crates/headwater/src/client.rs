//! The command line's way to a node: HTTP, with problems turned back into problems.

use std::time::Duration;

use headwater_base::{Principal, Problem};
use headwater_wire::exact::Exact;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use crate::problems::Problems;

/// How long to wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A node, by its URL.
#[derive(Clone, Debug)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
    /// Who asks, if it is not whoever runs the node.
    principal: Option<Principal>,
}

impl Client {
    /// A client of the node at `server`.
    ///
    /// # Errors
    /// `HW-CLI-004` when that is no HTTP URL.
    pub fn new(server: &str) -> Result<Self, Problem> {
        let wrong = |cause: String| {
            Problem::new("HW-CLI-004", format!("`{}` is no address of a node", server.escape_debug()))
                .because(cause)
                .help("use a URL such as `http://127.0.0.1:8080`, in `--server` or `HEADWATER_SERVER`")
        };
        let base = Url::parse(server).map_err(|error| wrong(error.to_string()))?;
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_MAX).no_proxy();
        builder = match base.scheme() {
            // No certificate is ever needed; not reading the system's makes the start faster.
            "http" => builder.tls_certs_only([]),
            "https" => builder,
            other => return Err(wrong(format!("the scheme is `{other}`"))),
        };
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = builder.build().map_err(|error| wrong(error.to_string()))?;
        Ok(Self { base, http, principal: None })
    }

    /// The same, asking for `principal`.
    pub fn on_behalf_of(self, principal: Option<Principal>) -> Self {
        Self { principal, ..self }
    }

    /// The node's URL, without a slash at the end.
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A request whose answer is JSON.
    ///
    /// # Errors
    /// `HW-CLI-001` when no node answers, and what the node says.
    pub async fn json(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Value, Problems> {
        let response = self.open(method, path, query, body).await?;
        let bytes = response.bytes().await.map_err(|error| self.broke_off(&error))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| self.no_json(&error).into())
    }

    /// As [`Client::json`], with all digits of the answer's numbers.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub async fn exact(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Exact, Problems> {
        let response = self.open(method, path, query, body).await?;
        let bytes = response.bytes().await.map_err(|error| self.broke_off(&error))?;
        if bytes.is_empty() {
            return Ok(Exact::Null);
        }
        Exact::read(&bytes).map_err(|fault| self.no_json(&fault).into())
    }

    /// `HW-CLI-005`: an answer that is not what was asked for.
    pub fn no_json(&self, cause: &dyn std::error::Error) -> Problem {
        Problem::new("HW-CLI-005", format!("`{}` answers with something else than JSON", self.server()))
            .because(cause)
            .help("is there a Headwater node at that address?")
    }

    /// A GET whose answer is JSON.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Problems> {
        self.json(Method::GET, path, query, None).await
    }

    /// The text of a resource as its author applied it; None where the node keeps none that still says what it is.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub async fn authored(&self, kind: &str, name: &str) -> Result<Option<String>, Problems> {
        let request = self.request(Method::GET, &["v1", kind, name], &[]).header("accept", "application/yaml");
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let by_author = response.headers().get("headwater-text").is_some_and(|whose| whose == "author");
        let bytes = response.bytes().await.map_err(|error| self.broke_off(&error))?;
        if !status.is_success() {
            return Err(self.refused(status, &bytes));
        }
        Ok(by_author.then(|| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Events for a stream; the answer says what became of each, also where none was taken.
    ///
    /// # Errors
    /// As [`Client::json`], where the request as a whole was refused.
    pub async fn publish(&self, stream: &str, query: &[(&str, &str)], events: Vec<u8>) -> Result<Value, Problems> {
        let path = ["v1", "streams", stream, "events"];
        let response = self.send(Method::POST, &path, query, Some(("application/x-ndjson", events))).await?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| self.broke_off(&error))?;
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(outcome) if outcome["rejectedTotal"].is_u64() => Ok(outcome),
            _ => Err(self.refused(status, &bytes)),
        }
    }

    /// A request whose answer is read piece by piece.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub async fn open(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Response, Problems> {
        let response = self.send(method, path, query, body).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| self.broke_off(&error))?;
        Err(self.refused(status, &bytes))
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Response, Problem> {
        let mut request = self.request(method, path, query);
        if let Some((media_type, bytes)) = body {
            request = request.header("content-type", media_type).body(bytes);
        }
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url);
        if let Some(principal) = &self.principal {
            request = request.header("headwater-principal", principal.as_str());
        }
        request
    }

    /// What the node says against a request; `HW-CLI-005` when it is no node.
    fn refused(&self, status: StatusCode, bytes: &[u8]) -> Problems {
        problems_of(bytes).unwrap_or_else(|| {
            Problem::new("HW-CLI-005", format!("`{}` answers with status {status}", self.server()))
                .help("is there a Headwater node at that address?")
                .into()
        })
    }

    /// `HW-CLI-001`: nobody answers.
    fn unreachable(&self, error: &reqwest::Error) -> Problem {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Problem::new("HW-CLI-001", format!("no node answers at `{}`", self.server()))
            .because(cause)
            .help("start one with `headwater up`, or name another with `--server URL`")
    }

    /// `HW-CLI-006`: the node went away in the middle of an answer.
    pub fn broke_off(&self, error: &reqwest::Error) -> Problem {
        Problem::new("HW-CLI-006", format!("the answer of `{}` broke off", self.server())).because(error)
    }
}

/// The problems of an answer, all of them if there are several.
fn problems_of(bytes: &[u8]) -> Option<Problems> {
    let body: Value = serde_json::from_slice(bytes).ok()?;
    if let Some(all) = body.get("problems") {
        let mut all: Vec<Problem> = serde_json::from_value(all.clone()).ok()?;
        let (shown, total) = (all.len() as u64, body["problemsTotal"].as_u64().unwrap_or(0));
        if total > shown {
            let fact = format!("{total} problems were found, and the node tells {shown} of them");
            all.push(Problem::new("HW-CLI-021", fact).help("`headwater check` tells all that can be seen in files"));
        }
        return (!all.is_empty()).then_some(Problems(all));
    }
    serde_json::from_value::<Problem>(body).ok().map(Problems::from)
}
