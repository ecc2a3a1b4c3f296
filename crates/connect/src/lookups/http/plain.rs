//! `Plain`: HTTP/1.1 without TLS to one host, over connections that are kept. An enrichment asks a service next door
//! thousands of times a second, and a client for the whole web costs more than the question.
//!
//! What it is NOT: it knows no TLS, redirect or proxy; [`super`] has another client for those. It has no deadline for
//! an answer: whoever asks drops the future, and with it the connection.
//!
//! Invariant: at most [`IDLE_MAX`] connections are kept, none of them unused for longer than [`IDLE`].
//!
//! # Source
//! RFC 9112.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use reqwest::header::{HOST, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Connections kept for later.
const IDLE_MAX: usize = 1_024;
/// For how long.
const IDLE: Duration = Duration::from_secs(60);
/// How long a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(5);

/// The connections to one host.
pub(super) struct Plain {
    /// `host:port`
    address: String,
    fields: HeaderMap,
    /// The one used last is the last.
    idle: Mutex<Vec<(Instant, Connection)>>,
}

type Connection = SendRequest<Full<Bytes>>;

/// What came back.
pub(super) struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The body; None when it is over the limit.
    pub body: Option<Bytes>,
}

impl Plain {
    /// For the host of `url`; `fields` go with each request. None unless its scheme is `http`.
    pub fn new(url: &Url, fields: &HeaderMap) -> Option<Self> {
        let host = url.host_str().filter(|_| url.scheme() == "http")?;
        let name = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let mut fields = fields.clone();
        fields.insert(HOST, HeaderValue::from_str(&name).ok()?);
        let address = format!("{host}:{}", url.port().unwrap_or(80));
        Some(Self { address, fields, idle: Mutex::default() })
    }

    /// Asks, and reads at most `bytes_max` of the answer.
    ///
    /// # Errors
    /// Why there is no answer, without the address.
    pub async fn ask(&self, method: Method, path: &str, body: Bytes, bytes_max: usize) -> Result<Reply, &'static str> {
        let mut request = hyper::Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| "the address is none")?;
        *request.headers_mut() = self.fields.clone();
        loop {
            let kept = self.take().await;
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                // Boxed, for it is rare and large.
                None => Box::pin(self.connect()).await?,
            };
            match connection.try_send_request(request).await {
                Ok(response) => return self.read(connection, response, bytes_max).await,
                // The host has closed it meanwhile, and nothing of the request has been sent.
                Err(mut error) => match error.take_message().filter(|_| is_kept) {
                    Some(unsent) => request = unsent,
                    None => return Err("the connection broke"),
                },
            }
        }
    }

    async fn read(
        &self,
        connection: Connection,
        response: hyper::Response<Incoming>,
        bytes_max: usize,
    ) -> Result<Reply, &'static str> {
        let (head, mut body) = response.into_parts();
        // A copy, however the body came: a part of the connection's buffer in somebody's cache would keep all of it.
        let about = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut whole = Vec::with_capacity(about.min(bytes_max));
        while let Some(frame) = body.frame().await {
            let Ok(part) = frame.map_err(|_| "the connection broke")?.into_data() else { continue };
            if whole.len() + part.len() > bytes_max {
                return Ok(Reply { status: head.status, body: None });
            }
            whole.extend_from_slice(&part);
        }
        self.keep(connection);
        Ok(Reply { status: head.status, body: Some(Bytes::from(whole)) })
    }

    async fn connect(&self) -> Result<Connection, &'static str> {
        let stream = match tokio::time::timeout(CONNECT, TcpStream::connect(&self.address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) | Err(_) => return Err("no connection"),
        };
        // It works without, only slower.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| "no connection")?;
        // Ends with its sender, or when the host closes it; whoever sends next hears of it.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn take(&self) -> Option<Connection> {
        loop {
            let (_, mut connection) = self.idle.lock().pop()?;
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    fn keep(&self, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let now = Instant::now();
        let mut idle = self.idle.lock();
        let old = idle.partition_point(|(since, _)| now.duration_since(*since) > IDLE);
        idle.drain(..old);
        if idle.len() < IDLE_MAX {
            idle.push((now, connection));
        }
    }
}
