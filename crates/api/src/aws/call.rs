//! One request, read: who asks, for which operation, with which members.

use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_base::Micros;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use serde_json::{Map, Value};

use super::Aws;
use super::arn::Caller;
use super::refusal::Refusal;
use super::shape::Member;

/// What an operation answers: the members of its output.
pub type Answer = Result<Value, Refusal>;

/// One row of the tables of operations.
pub struct Operation {
    /// As it stands behind the dot of `X-Amz-Target`.
    pub name: &'static str,
    /// The members of its input that are read.
    pub input: &'static [Member],
    /// What it does.
    pub run: for<'a> fn(&'a Call) -> BoxFuture<'a, Answer>,
}

/// A request whose body fits its operation's members.
pub struct Call {
    /// The listener.
    pub aws: Arc<Aws>,
    /// Who asks.
    pub caller: Caller,
    /// The members of its input.
    pub body: Map<String, Value>,
}

impl Call {
    /// A text.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.body.get(member)?.as_str()
    }

    /// A text that the operation's row demands.
    pub fn given(&self, member: &str) -> &str {
        self.text(member).unwrap_or_default()
    }

    /// A whole number.
    pub fn integer(&self, member: &str) -> Option<i64> {
        self.body.get(member)?.as_i64()
    }

    /// Whether a flag is there and true.
    pub fn flag(&self, member: &str) -> bool {
        self.body.get(member).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A value that is there and not null.
    pub fn value(&self, member: &str) -> Option<&Value> {
        self.body.get(member).filter(|value| !value.is_null())
    }

    /// The items of a list; none if it is missing.
    pub fn list(&self, member: &str) -> &[Value] {
        self.body.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// A time.
    pub fn time(&self, member: &str) -> Option<Micros> {
        self.body.get(member).and_then(time)
    }

    /// The texts of a list.
    pub fn texts(&self, member: &str) -> Vec<String> {
        self.list(member).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// A time of a request: seconds since 1970 with a fraction.
pub fn time(value: &Value) -> Option<Micros> {
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let micros = |seconds: f64| Micros((seconds * 1e6).round() as i64);
    match value.as_i64() {
        Some(seconds) => Some(Micros(seconds.saturating_mul(1_000_000))),
        None => value.as_f64().filter(|seconds| seconds.is_finite()).map(micros),
    }
}

/// A time of an answer: seconds since 1970 with a fraction of milliseconds, which is what the services keep.
pub fn seconds(time: Micros) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this era fit in 53 bits")]
    let seconds = time.millis() as f64 / 1e3;
    Value::from(seconds)
}

/// The service that a request was signed for.
pub fn scope(headers: &HeaderMap) -> Option<&str> {
    let (_, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once("Credential=")?;
    rest.split([',', ' ']).next()?.split('/').nth(3)
}

/// Who signed a request (`AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...`). The signature is
/// not looked at: any credentials do, until there is authentication.
pub fn caller(headers: &HeaderMap) -> Caller {
    let mut caller = Caller::default();
    let signed = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some((_, rest)) = signed.split_once("Credential=") else { return caller };
    let scope = rest.split([',', ' ']).next().unwrap_or_default();
    let mut parts = scope.split('/');
    let (key, _, region) = (parts.next().unwrap_or_default(), parts.next(), parts.next().unwrap_or_default());
    if key.len() == 12 && key.bytes().all(|b| b.is_ascii_digit()) {
        key.clone_into(&mut caller.account);
    }
    let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=32).contains(&region.len()) && region.bytes().all(named) {
        region.clone_into(&mut caller.region);
    }
    caller
}

#[cfg(test)]
mod tests;
