//! Kind Destination: an HTTP address or a mail server that takes events, how this node shows who it is, and how fast it
//! may be.
//!
//! What it is NOT: when and how often something is sent is the rule's that names it.

mod client;
mod mail;
mod signature;

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::{Name, Problem, Span};
use headwater_kernel::kind::{self, Kind, Ref, View};
use headwater_kernel::origin::child;
use headwater_kernel::reconcile::{Observed, Plan, UnitSpec};
use headwater_kernel::resource::{Draft, Resource};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use client::build;
pub use mail::{MailSpec, TlsSpec};

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Destination",
    plural: "destinations",
    short: &["de", "dest"],
    doc: "An HTTP address or a mail server outside that rules, pipes and reports deliver to, with authentication, a rate limit and a signature.",
    schema: kind::schema::<DestinationSpec>,
    example: EXAMPLE,
    effective: kind::effective::<DestinationSpec>,
    validate,
    change: kind::no_change_problems,
    refs,
    reconcile,
};

/// The unit kind that keeps a destination open.
pub const UNIT: &str = "destination";

const EXAMPLE: &str = r#"apiVersion: headwater.dev/v1
kind: Destination
metadata: {name: shop}
spec:
  url: https://shop.example.com/hooks/orders
  auth: {type: basic, username: headwater, password: {secret: shop_password}}
  signature: {secret: shop_webhook_key}
  rate: 50
  timeout: 5s
"#;

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationSpec {
    /// What is behind it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The address, http or https. It holds no user name and no password. Either this or `mail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A mail server, instead of an address: what is sent has a `subject` and a `text`, or is shown as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<MailSpec>,
    /// The method. Default POST.
    #[serde(default)]
    pub method: MethodSpec,
    /// Header -> a text, or `{secret: NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderSpec>,
    /// How this node shows who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSpec>,
    /// Signs each request as Standard Webhooks says: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<InSecret>,
    /// Requests in a second, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub rate: Option<f64>,
    /// How long an answer may take. Default 10s, at most 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// A method that may carry a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum MethodSpec {
    /// POST
    #[default]
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// GET, without a body.
    Get,
}

/// A header's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HeaderSpec {
    /// The value itself.
    Text(String),
    /// In a secret.
    Secret(InSecret),
}

/// A value that a Secret resource refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InSecret {
    /// Name of the Secret resource.
    pub secret: Name,
}

/// How this node shows who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum AuthSpec {
    /// User name and password (RFC 7617).
    Basic(BasicAuth),
    /// A key in a header.
    ApiKey(ApiKeyAuth),
    /// A token of an authorization server, fetched with client credentials (RFC 6749, section 4.4).
    Oauth(OauthAuth),
}

/// See [`AuthSpec::Basic`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicAuth {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: InSecret,
}

/// See [`AuthSpec::ApiKey`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeyAuth {
    /// The header.
    pub header: String,
    /// The key.
    pub key: InSecret,
}

/// See [`AuthSpec::Oauth`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OauthAuth {
    /// Where tokens come from.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: InSecret,
    /// What the token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whom the token is for, where the server asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

impl MethodSpec {
    fn method(self) -> Method {
        match self {
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
            Self::Get => Method::GET,
        }
    }
}

/// An address as it is written.
fn address(text: &str) -> Result<Url, Problem> {
    crate::lookups::address(text)
}

fn header_name(name: &str) -> Result<HeaderName, Problem> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| header_problem(name, "has a name that HTTP does not allow"))
}

fn header_value(name: &str, bytes: &[u8]) -> Result<HeaderValue, Problem> {
    HeaderValue::from_bytes(bytes.trim_ascii())
        .map_err(|_| header_problem(name, "has a value that HTTP does not allow"))
}

fn header_problem(name: &str, fact: &str) -> Problem {
    Problem::new("HW-CONNECT-106", format!("the header `{}` {fact}", name.escape_debug()))
}

/// The secrets a spec names, each with the pointer to where.
fn secrets(spec: &DestinationSpec) -> Vec<(&Name, String)> {
    let mut named = Vec::new();
    for (header, value) in &spec.headers {
        if let HeaderSpec::Secret(secret) = value {
            named.push((&secret.secret, format!("{}/secret", child("/spec/headers", header))));
        }
    }
    match &spec.auth {
        Some(AuthSpec::Basic(auth)) => named.push((&auth.password.secret, "/spec/auth/password/secret".to_owned())),
        Some(AuthSpec::ApiKey(auth)) => named.push((&auth.key.secret, "/spec/auth/key/secret".to_owned())),
        Some(AuthSpec::Oauth(auth)) => {
            named.push((&auth.client_secret.secret, "/spec/auth/clientSecret/secret".to_owned()));
        }
        None => {}
    }
    named.extend(spec.signature.iter().map(|secret| (&secret.secret, "/spec/signature/secret".to_owned())));
    let mail = spec.mail.iter().flat_map(MailSpec::secrets);
    named.extend(mail.map(|(key, secret)| (&secret.secret, format!("/spec/mail/{key}/secret"))));
    named
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: DestinationSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    let mut check = |pointer: &str, result: Result<(), Problem>| {
        problems.extend(result.err().map(|problem| draft.origin.blame(pointer, problem)));
    };
    check("/spec", one_of_both(&spec));
    if let Some(url) = &spec.url {
        check("/spec/url", address(url).map(drop));
    }
    for (at, problem) in spec.mail.iter().flat_map(mail::check) {
        check(&format!("/spec/mail{at}"), Err(problem));
    }
    for (name, value) in &spec.headers {
        let value = match value {
            HeaderSpec::Text(text) => header_value(name, text.as_bytes()).map(drop),
            HeaderSpec::Secret(_) => Ok(()),
        };
        check(&child("/spec/headers", name), header_name(name).map(drop).and(value));
    }
    match &spec.auth {
        Some(AuthSpec::ApiKey(auth)) => check("/spec/auth/header", header_name(&auth.header).map(drop)),
        Some(AuthSpec::Oauth(auth)) => check("/spec/auth/tokenUrl", address(&auth.token_url).map(drop)),
        Some(AuthSpec::Basic(_)) | None => {}
    }
    if spec.timeout.is_some_and(|timeout| timeout.millis() == 0 || timeout.millis() > 300_000) {
        let problem = Problem::new("HW-CONNECT-111", "`spec.timeout` is not between 1ms and 5m");
        check("/spec/timeout", Err(problem));
    }
    problems
}

/// An address or a mail server, and with the latter nothing that belongs to a request.
fn one_of_both(spec: &DestinationSpec) -> Result<(), Problem> {
    let fault = |fact: &str, help: &str| Err(Problem::new("HW-CONNECT-112", fact).help(help));
    let plain = spec.method == MethodSpec::Post && spec.headers.is_empty();
    match (&spec.url, &spec.mail) {
        (None, None) => fault("the destination leads nowhere", "say `url` or `mail`"),
        (Some(_), Some(_)) => fault("the destination leads to two places", "say `url` or `mail`, not both"),
        (None, Some(_)) if !plain || spec.auth.is_some() || spec.signature.is_some() => fault(
            "`method`, `headers`, `auth` and `signature` belong to an address, not to a mail server",
            "who signs in at a mail server is `mail.username` and `mail.password`",
        ),
        (..) => Ok(()),
    }
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<DestinationSpec>(spec.clone()) else { return Vec::new() };
    let named = secrets(&spec).into_iter();
    named.map(|(name, at)| Ref { kind: "Secret", name: name.to_string(), at, needed: true }).collect()
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    Plan { units: vec![UnitSpec::of(UNIT, resource)], ..Plan::default() }
}

#[cfg(test)]
mod tests;
