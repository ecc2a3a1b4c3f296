//! Sending to a destination: one request, and what its answer means for another try.
//!
//! No answer, 408, 425, 429 and 5xx mean "try again", everything else beyond 2xx "never". Redirects are not followed:
//! credentials go to the address that was written. Neither the address nor a secret ever shows in a reason.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use futures::future::BoxFuture;
use headwater_base::time::days_from_civil;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::outlet::{ANSWER_BYTES_MAX, Answer, Asked, NotTaken, Outgoing, Outlet};
use headwater_kernel::port::{Context, Json, Secrets};
use headwater_wire::percent;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::signature::Key;
use super::{AuthSpec, DestinationSpec, HeaderSpec, InSecret, OauthAuth, address, header_name, header_value, mail};

const TIMEOUT: Duration = Duration::from_secs(10);
/// A token is fetched anew this long before it ends, one that lives shorter than twice this in its second half.
const TOKEN_MARGIN: Duration = Duration::from_secs(30);

/// Builds the outlet of a destination.
///
/// # Errors
/// `HW-CONNECT-105` to `-107`, `-109`, `-110` and `-113` for its spec, `HW-KERNEL-018` for a secret that cannot be read.
pub fn build(spec: &Value, context: &Context) -> Result<Arc<dyn Outlet>, Problem> {
    let spec: DestinationSpec = serde_json::from_value(spec.clone())
        .map_err(|error| Problem::new("HW-CONNECT-110", "the destination's spec cannot be read").because(error))?;
    let timeout = spec.timeout.map_or(TIMEOUT, |span| Duration::from_millis(span.millis()));
    if let Some(mail) = &spec.mail {
        return mail::build(mail, spec.rate, timeout, context);
    }
    let secrets = &*context.secrets;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in &spec.headers {
        let value = match value {
            HeaderSpec::Text(text) => header_value(name, text.as_bytes())?,
            HeaderSpec::Secret(secret) => hidden(name, secrets, secret)?,
        };
        headers.insert(header_name(name)?, value);
    }
    let mut oauth = None;
    match &spec.auth {
        None => {}
        Some(AuthSpec::Basic(auth)) => {
            let password = secrets.read(auth.password.secret.as_str())?;
            headers.insert(AUTHORIZATION, basic(auth.username.as_bytes(), &password)?);
        }
        Some(AuthSpec::ApiKey(auth)) => {
            headers.insert(header_name(&auth.header)?, hidden(&auth.header, secrets, &auth.key)?);
        }
        Some(AuthSpec::Oauth(auth)) => oauth = Some(Oauth::new(auth, secrets)?),
    }
    let key = spec.signature.as_ref().map(|secret| Key::read(&secrets.read(secret.secret.as_str())?)).transpose()?;
    Ok(Arc::new(Http {
        client: client(timeout)?,
        url: address(spec.url.as_deref().unwrap_or_default())?,
        method: spec.method.method(),
        headers,
        oauth,
        key,
        rate: spec.rate,
    }))
}

fn hidden(name: &str, secrets: &dyn Secrets, secret: &InSecret) -> Result<HeaderValue, Problem> {
    let mut value = header_value(name, &secrets.read(secret.secret.as_str())?)?;
    value.set_sensitive(true);
    Ok(value)
}

fn basic(user: &[u8], password: &[u8]) -> Result<HeaderValue, Problem> {
    let pair = [user, b":", password].concat();
    let mut value = header_value("authorization", format!("Basic {}", STANDARD.encode(pair)).as_bytes())?;
    value.set_sensitive(true);
    Ok(value)
}

fn client(timeout: Duration) -> Result<Client, Problem> {
    crate::tls::install();
    Client::builder()
        .no_proxy()
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        .timeout(timeout)
        .pool_idle_timeout(Duration::from_secs(60))
        .tcp_nodelay(true)
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| {
            Problem::new("HW-CONNECT-107", format!("the HTTP client cannot be made: {}", error.without_url()))
        })
}

struct Http {
    client: Client,
    url: Url,
    method: Method,
    headers: HeaderMap,
    oauth: Option<Oauth>,
    key: Option<Key>,
    rate: Option<f64>,
}

impl Outlet for Http {
    fn send<'a>(&'a self, outgoing: Outgoing<'a>) -> BoxFuture<'a, Result<Answer, NotTaken>> {
        Box::pin(async move {
            let Some(oauth) = &self.oauth else { return self.once(outgoing, None).await };
            let token = oauth.bearer(&self.client, outgoing.now).await?;
            match self.once(outgoing, Some(&token)).await {
                // The token may have been taken back before its time: once more with a fresh one.
                Err(refused) if refused.status == Some(401) => {
                    oauth.forget(&token).await;
                    let fresh = oauth.bearer(&self.client, outgoing.now).await?;
                    self.once(outgoing, Some(&fresh)).await
                }
                answer => answer,
            }
        })
    }

    fn rate(&self) -> Option<f64> {
        self.rate
    }
}

impl Http {
    async fn once(&self, outgoing: Outgoing<'_>, token: Option<&HeaderValue>) -> Result<Answer, NotTaken> {
        let mut request = match outgoing.asked {
            None => self.client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone()),
            Some(asked) => self.asked(asked)?,
        };
        request = request.headers(self.signed(outgoing, token)?);
        if if outgoing.asked.is_some() { !outgoing.body.is_empty() } else { self.method != Method::GET } {
            request = request.body(outgoing.body.clone());
        }
        let response = request.send().await.map_err(|error| broken(&error))?;
        let status = response.status();
        if !status.is_success() {
            let refused = refused("the destination", &response);
            // What the answer means is known, whether or not the rest of it arrives.
            let said = if outgoing.asked.is_some() { read(response).await.unwrap_or_default().0 } else { Json::new() };
            return Err(NotTaken { said, ..refused });
        }
        let headers = response.headers().iter().filter(|_| outgoing.asked.is_some());
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let (body, whole) = read(response).await?;
        Ok(Answer { status: Some(status.as_u16()), headers, body: whole.then_some(body) })
    }

    /// What this node says of one request. It takes the place of what a caller says under the same names.
    fn signed(&self, outgoing: Outgoing<'_>, token: Option<&HeaderValue>) -> Result<HeaderMap, NotTaken> {
        let mut headers = HeaderMap::new();
        let names_key = |(name, _): &(String, String)| name.eq_ignore_ascii_case("idempotency-key");
        if !outgoing.asked.is_some_and(|asked| asked.headers.iter().any(names_key))
            && let Ok(key) = HeaderValue::from_str(outgoing.key)
        {
            headers.insert("idempotency-key", key);
        }
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        if let Some(key) = &self.key {
            let timestamp = outgoing.now.0.div_euclid(1_000_000);
            let text = |text: &str| HeaderValue::from_str(text).map_err(|_| never("what is to be signed has no id"));
            headers.insert("webhook-id", text(outgoing.key)?);
            headers.insert("webhook-timestamp", HeaderValue::from(timestamp));
            headers.insert("webhook-signature", text(&key.sign(outgoing.key, timestamp, outgoing.body))?);
        }
        Ok(headers)
    }

    /// A request that its caller has made: at an address below the destination's, with its headers over the caller's.
    fn asked(&self, asked: &Asked) -> Result<RequestBuilder, NotTaken> {
        let url = Url::parse(&asked.url).map_err(|_| never("the address cannot be read"))?;
        if !below(&url, &self.url) {
            return Err(never("the address does not lie below the destination's own"));
        }
        let method = Method::from_bytes(asked.method.as_bytes()).map_err(|_| never("there is no such method"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &asked.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| never("a header's name is none"))?;
            let value = HeaderValue::from_str(value).map_err(|_| never("a header's value is none"))?;
            headers.append(name, value);
        }
        for (name, value) in &self.headers {
            if *name != ACCEPT && *name != CONTENT_TYPE || !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        Ok(self.client.request(method, url).headers(headers))
    }
}

fn never(reason: &str) -> NotTaken {
    NotTaken { reason: reason.to_owned(), ..NotTaken::default() }
}

/// Whether an address lies below another: the same server, and a path that begins with the other's.
fn below(url: &Url, own: &Url) -> bool {
    let path = own.path().trim_end_matches('/');
    url.origin() == own.origin()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Tokens of an authorization server.
struct Oauth {
    url: Url,
    client: HeaderValue,
    form: String,
    token: Mutex<Option<(HeaderValue, Micros)>>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    /// Seconds; some servers write them as a text.
    #[serde(default)]
    expires_in: Value,
}

impl Oauth {
    fn new(auth: &OauthAuth, secrets: &dyn Secrets) -> Result<Self, Problem> {
        let secret = secrets.read(auth.client_secret.secret.as_str())?;
        let mut form = "grant_type=client_credentials".to_owned();
        for (name, value) in [("scope", &auth.scope), ("audience", &auth.audience)] {
            if let Some(value) = value {
                form.push_str(&format!("&{name}={}", percent::encode(value.as_bytes())));
            }
        }
        // RFC 6749, section 2.3.1: both are form-encoded before they are joined.
        let client = basic(percent::encode(auth.client_id.as_bytes()).as_bytes(), percent::encode(&secret).as_bytes())?;
        Ok(Self { url: address(&auth.token_url)?, client, form, token: Mutex::new(None) })
    }

    /// The header's value; fetches a token where there is none, one caller at a time.
    async fn bearer(&self, client: &Client, now: Micros) -> Result<HeaderValue, NotTaken> {
        let mut token = self.token.lock().await;
        if let Some((value, until)) = &*token
            && now < *until
        {
            return Ok(value.clone());
        }
        let request = client
            .post(self.url.clone())
            .header(AUTHORIZATION, self.client.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(self.form.clone());
        let response = request.send().await.map_err(|error| broken(&error))?;
        if !response.status().is_success() {
            return Err(refused("the authorization server", &response));
        }
        let unusable = || never("the authorization server gave no token");
        let given: Token = serde_json::from_slice(&read(response).await?.0).map_err(|_| unusable())?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", given.access_token)).map_err(|_| unusable())?;
        value.set_sensitive(true);
        let seconds = given.expires_in.as_u64().or_else(|| given.expires_in.as_str()?.trim().parse().ok());
        let lives = Duration::from_secs(seconds.unwrap_or(300));
        *token = Some((value.clone(), now.plus(lives.saturating_sub(TOKEN_MARGIN.min(lives / 2)))));
        Ok(value)
    }

    /// Forgets a token that was refused; a newer one, which another caller has fetched meanwhile, stays.
    async fn forget(&self, refused: &HeaderValue) {
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|(value, _)| value == refused) {
            *token = None;
        }
    }
}

/// What an answer says, and whether that is all of it: beyond the limit it is not read.
async fn read(mut response: Response) -> Result<(Json, bool), NotTaken> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        let room = ANSWER_BYTES_MAX - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if chunk.len() > room {
            return Ok((body.freeze(), false));
        }
    }
    Ok((body.freeze(), true))
}

fn refused(who: &str, response: &Response) -> NotTaken {
    let status = response.status();
    let again = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    NotTaken {
        reason: format!("{who} answered {}", status.as_u16()),
        status: Some(status.as_u16()),
        again,
        after: again.then(|| retry_after(response.headers())).flatten(),
        said: Json::new(),
    }
}

fn broken(error: &reqwest::Error) -> NotTaken {
    let reason = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    NotTaken { reason: reason.to_owned(), again: true, ..NotTaken::default() }
}

/// `Retry-After` in seconds, or as a date, which is compared with the answer's own (RFC 9110, section 10.2.3). At most
/// an hour.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => u64::try_from(seconds_of(text)? - seconds_of(headers.get(DATE)?.to_str().ok()?)?).ok()?,
    };
    Some(Duration::from_secs(seconds.min(3_600)))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds_of(text: &str) -> Option<i64> {
    let mut parts = text.split_ascii_whitespace().skip(1);
    let day: i64 = parts.next()?.parse().ok()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = parts.next()?;
    let month = i64::try_from(months.iter().position(|name| *name == month)?).ok()? + 1;
    let year: i64 = parts.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut clock =
        parts.next()?.split(':').map(|part| part.parse::<i64>().ok().filter(|part| (0..=60).contains(part)));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    Some(days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}
