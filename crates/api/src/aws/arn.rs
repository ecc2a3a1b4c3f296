//! Names of resources as the services write them, made of the names they have here.
//!
//! Region and account are the caller's: a node has one of each thing, whatever region asks for it.

use std::fmt;

use super::refusal::Refusal;

/// The partition, region and account that a caller's names are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As the credentials' scope says; `us-east-1` without one.
    pub region: String,
    /// The access key if it is twelve digits, zeros if not.
    pub account: String,
}

impl Default for Caller {
    fn default() -> Self {
        Self { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
    }
}

impl Caller {
    /// `arn:aws:SERVICE:REGION:ACCOUNT:PATH`.
    pub fn arn(&self, service: &str, path: impl fmt::Display) -> String {
        format!("arn:aws:{service}:{}:{}:{path}", self.region, self.account)
    }

    /// A state machine's.
    pub fn machine(&self, name: &str) -> String {
        self.arn("states", format_args!("stateMachine:{name}"))
    }

    /// A version's of a state machine.
    pub fn version(&self, name: &str, version: u64) -> String {
        self.arn("states", format_args!("stateMachine:{name}:{version}"))
    }

    /// An alias's of a state machine.
    pub fn alias(&self, name: &str, alias: &str) -> String {
        self.arn("states", format_args!("stateMachine:{name}:{alias}"))
    }

    /// An activity's.
    pub fn activity(&self, name: &str) -> String {
        self.arn("states", format_args!("activity:{name}"))
    }

    /// A bus's.
    pub fn bus(&self, name: &str) -> String {
        self.arn("events", format_args!("event-bus/{name}"))
    }

    /// A rule's.
    pub fn rule(&self, bus: &str, name: &str) -> String {
        if bus == "default" {
            self.arn("events", format_args!("rule/{name}"))
        } else {
            self.arn("events", format_args!("rule/{bus}/{name}"))
        }
    }
}

/// A name taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `states`, `events`, `sqs`.
    pub service: &'a str,
    /// Where it is.
    pub region: &'a str,
    /// Whose it is.
    pub account: &'a str,
    /// All that stands behind the account.
    pub path: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads a name; None for anything else.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (Some("arn"), Some(partition)) = (parts.next(), parts.next()) else { return None };
        let (service, region, account, path) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let known = partition.starts_with("aws") && !service.is_empty() && !path.is_empty();
        known.then_some(Self { service, region, account, path })
    }

    /// The path behind `kind` and a colon.
    pub fn behind(&self, kind: &str) -> Option<&'a str> {
        self.path.strip_prefix(kind)?.strip_prefix(':').filter(|rest| !rest.is_empty())
    }

    /// The kind at the path's beginning.
    pub fn kind(&self) -> &'a str {
        self.path.split([':', '/']).next().unwrap_or_default()
    }
}

/// A Step Functions name of one of `kinds`.
///
/// # Errors
/// `InvalidArn`.
pub fn states<'a>(text: &'a str, kinds: &[&str]) -> Result<Arn<'a>, Refusal> {
    let invalid = |reason: String| Refusal::new("InvalidArn", format!("Invalid Arn: '{reason}'"));
    if !text.starts_with("arn:aws") {
        return Err(invalid(format!("Invalid ARN prefix: {text}")));
    }
    match Arn::read(text) {
        Some(arn) if arn.service == "states" && kinds.contains(&arn.kind()) => Ok(arn),
        Some(arn) if arn.service == "states" => {
            Err(invalid(format!("Resource type not valid in this context: {}", arn.kind())))
        }
        Some(_) | None => Err(invalid(format!("Invalid ARN: {text}"))),
    }
}

#[cfg(test)]
mod tests;
