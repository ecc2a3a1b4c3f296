//! Kind Bucket: a place for the files of datasets, on S3 or a server that speaks its protocol.
//!
//! What it is NOT: a connection, or a watch over one. A dataset that cannot reach its bucket says so itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::{Name, Problem};
use headwater_kernel::kind::{self, ApplyOptions, Kind, Ref, View};
use headwater_kernel::reconcile::{Observed, Plan};
use headwater_kernel::resource::{Draft, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Bucket",
    plural: "buckets",
    short: &["bu"],
    doc: "A bucket of S3, or of a server that speaks its protocol, in which datasets keep their files.",
    schema: kind::schema::<BucketSpec>,
    example: EXAMPLE,
    effective: kind::effective::<BucketSpec>,
    validate,
    change,
    refs,
    reconcile,
};

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Bucket
metadata: {name: lake}
spec:
  endpoint: https://s3.example.com
  region: eu-central-1
  bucket: acme-lake
  prefix: headwater
  accessKeyId: {secret: lake_key_id}
  secretAccessKey: {secret: lake_key}
";

/// The spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BucketSpec {
    /// What is in it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The address of the server, https, without a path. It is asked by path (`https://server/bucket/key`). Default: AWS's
    /// own of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Allows an `endpoint` with http on another machine: whoever is on the way then reads the rows, and the key is worth
    /// only what its signatures are. On this machine http needs no permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_http: Option<bool>,
    /// The region that requests are signed for. Default `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The bucket, which is there. Cannot change.
    pub bucket: String,
    /// What the names of all objects begin with, before a `/`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The id of the key, in a secret: `{secret: NAME}`.
    pub access_key_id: InSecret,
    /// The key, in a secret.
    pub secret_access_key: InSecret,
}

/// A value that a Secret resource refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InSecret {
    /// Name of the Secret resource.
    pub secret: Name,
}

/// The longest prefix.
const PREFIX_BYTES_MAX: usize = 512;

impl BucketSpec {
    /// Where tables lie in it, without a slash at the end.
    pub fn root(&self) -> String {
        match &self.prefix {
            Some(prefix) => format!("s3://{}/{prefix}", self.bucket),
            None => format!("s3://{}", self.bucket),
        }
    }

    /// The region.
    pub fn region(&self) -> &str {
        self.region.as_deref().unwrap_or("us-east-1")
    }

    /// Whether the server is asked without TLS.
    pub fn is_plain(&self) -> bool {
        let scheme = self.endpoint.as_deref().and_then(|endpoint| endpoint.split_once("://"));
        scheme.is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("http"))
    }

    /// Whether the bucket is a part of the server's name; a dot in it would not fit AWS's certificate.
    pub fn is_virtual_hosted(&self) -> bool {
        self.endpoint.is_none() && !self.bucket.contains('.')
    }

    /// What readers outside have to know, as Iceberg's REST catalog names it.
    pub fn reader_settings(&self) -> BTreeMap<String, String> {
        let mut settings: BTreeMap<String, String> =
            [("s3.region", self.region()), ("client.region", self.region())].map(owned).into();
        if let Some(endpoint) = &self.endpoint {
            settings.extend([("s3.endpoint", endpoint.as_str()), ("s3.path-style-access", "true")].map(owned));
        }
        settings
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// What is wrong with an endpoint.
fn endpoint_fault(spec: &BucketSpec) -> Option<(&'static str, Problem)> {
    let text = spec.endpoint.as_deref()?;
    let wrong = |fact: &str| Some(("/spec/endpoint", Problem::new("HW-LAKE-060", fact)));
    let Ok(url) = Url::parse(text) else { return wrong("`endpoint` is no URL such as `https://s3.example.com`") };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("`endpoint` holds a user name or a password; keys are in secrets");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return wrong("`endpoint` is the server alone: the bucket and its prefix have fields of their own");
    }
    match url.scheme() {
        "https" => None,
        "http" if is_loopback(&url) || spec.allow_http == Some(true) => None,
        "http" => {
            let fact = "`endpoint` is http, so that whoever is on the way reads the rows";
            let help = "use https, or say `allowHttp: true` where the network is trusted";
            Some(("/spec/endpoint", Problem::new("HW-LAKE-060", fact).help(help)))
        }
        _ => wrong("`endpoint` is neither https nor http"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether S3 takes it as the name of a bucket.
fn is_bucket(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'.'))
        && name.bytes().next().is_some_and(plain)
        && name.bytes().last().is_some_and(plain)
        && !name.contains("..")
}

/// Whether every reader writes it the same way in an URL.
fn is_prefix(prefix: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=');
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    prefix.len() <= PREFIX_BYTES_MAX && prefix.split('/').all(part)
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: BucketSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    problems.extend(endpoint_fault(&spec));
    if !is_bucket(&spec.bucket) {
        let fact =
            "`bucket` is no name of a bucket: 3 to 63 of `a-z`, `0-9`, `-` and `.`, a letter or digit at both ends";
        problems.push(("/spec/bucket", Problem::new("HW-LAKE-060", fact)));
    }
    if spec.prefix.as_deref().is_some_and(|prefix| !is_prefix(prefix)) {
        let fact = format!(
            "`prefix` is no path of letters, digits, `-`, `_`, `.` and `=` with `/` between, {PREFIX_BYTES_MAX} bytes at most"
        );
        problems.push(("/spec/prefix", Problem::new("HW-LAKE-060", fact)));
    }
    let region = spec.region();
    if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let fact = "`region` is no region such as `eu-central-1`";
        problems.push(("/spec/region", Problem::new("HW-LAKE-060", fact)));
    }
    problems.into_iter().map(|(at, problem)| draft.origin.blame(at, problem)).collect()
}

fn change(old: &Resource, new: &Draft, _: &ApplyOptions) -> Vec<Problem> {
    let read = |spec: &Value| serde_json::from_value::<BucketSpec>(spec.clone()).ok();
    let (Some(before), Some(after)) = (read(old.effective()), read(&new.spec)) else { return Vec::new() };
    let fixed = [("bucket", before.bucket != after.bucket), ("prefix", before.prefix != after.prefix)];
    let moved = fixed.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| {
        let fact = format!("`spec.{field}` of a bucket cannot change: tables name their files with it");
        let problem = Problem::new("HW-LAKE-061", fact).help("make a bucket of another name");
        new.origin.blame(&format!("/spec/{field}"), problem)
    });
    moved.collect()
}

fn secrets(spec: &BucketSpec) -> [(&Name, &'static str); 2] {
    [
        (&spec.access_key_id.secret, "/spec/accessKeyId/secret"),
        (&spec.secret_access_key.secret, "/spec/secretAccessKey/secret"),
    ]
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<BucketSpec>(spec.clone()) else { return Vec::new() };
    let named = secrets(&spec).into_iter();
    named.map(|(name, at)| Ref { kind: "Secret", name: name.to_string(), at: at.to_owned(), needed: true }).collect()
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let Ok(spec) = serde_json::from_value::<BucketSpec>(resource.effective().clone()) else { return Plan::default() };
    Plan { secrets: secrets(&spec).into_iter().map(|(name, _)| name.clone()).collect(), ..Plan::default() }
}

#[cfg(test)]
mod tests;
