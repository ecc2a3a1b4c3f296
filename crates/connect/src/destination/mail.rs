//! Mail: a destination that hands what it gets to a mail server (SMTP, RFC 5321).
//!
//! Whom a mail is from and whom it goes to is in the spec alone. Nothing of an event becomes an address or a header but
//! the subject, and that without control characters; what the body looks like is [`letter`]'s.
//!
//! At least once, as every destination: a second try of the same thing has the same `Message-ID`.

mod letter;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures::future::BoxFuture;
use headwater_base::Problem;
use headwater_kernel::port::Context;
use headwater_kernel::port::outlet::{Answer, NotTaken, Outgoing, Outlet};
use lettre::Transport as _;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{Error, SmtpTransport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::InSecret;
use letter::Letter;

/// A mail server, and who writes to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MailSpec {
    /// The mail server's name or address.
    pub server: String,
    /// Its port. Default 587, 465 with `tls: implicit`, 25 with `tls: none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the connection is kept from others. Default `starttls`.
    #[serde(default)]
    pub tls: TlsSpec,
    /// Certificates in PEM that the server's own is checked with, beside those that this machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<InSecret>,
    /// Who signs in. Nobody if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// With which password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<InSecret>,
    /// Whom mail is from: `reports@example.com`, or `Headwater <reports@example.com>`.
    pub from: String,
    /// Whom it goes to.
    #[schemars(length(min = 1, max = 50))]
    pub to: Vec<String>,
}

/// How a connection to a mail server is kept from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsSpec {
    /// It begins in the clear and goes on with TLS before anything is said (RFC 3207); never without.
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// In the clear, to a server of this machine alone.
    None,
}

impl MailSpec {
    /// The secrets it names, each with the key it is under.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &InSecret)> {
        let named = [("authority", &self.authority), ("password", &self.password)];
        named.into_iter().filter_map(|(key, secret)| Some((key, secret.as_ref()?)))
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            TlsSpec::Starttls => 587,
            TlsSpec::Implicit => 465,
            TlsSpec::None => 25,
        })
    }
}

/// What is wrong with a spec beyond what the schema says, each with the place below `mail`.
pub fn check(spec: &MailSpec) -> Vec<(String, Problem)> {
    let mut problems = Vec::new();
    let mut fault = |at: &str, fact: String, help: &str| {
        problems.push((at.to_owned(), Problem::new("HW-CONNECT-113", fact).help(help)));
    };
    if spec.server.is_empty() || spec.server.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
        fault("/server", "the mail server has no name".to_owned(), "write it as in `smtp.example.com`");
    }
    if spec.tls == TlsSpec::None && !is_here(&spec.server) {
        let fact = format!("`{}` is not this machine, so that mail to it needs TLS", spec.server.escape_debug());
        fault("/tls", fact, "say `tls: starttls` or `tls: implicit`; `none` is for a server at 127.0.0.1");
    }
    if spec.username.is_some() != spec.password.is_some() {
        fault(
            "",
            "who signs in has a name and a password".to_owned(),
            "say both `username` and `password`, or neither",
        );
    }
    problems.extend(mailbox(&spec.from).err().map(|problem| ("/from".to_owned(), problem)));
    let to = spec.to.iter().enumerate();
    problems.extend(to.filter_map(|(number, to)| Some((format!("/to/{number}"), mailbox(to).err()?))));
    problems
}

/// Whether a server is this machine.
fn is_here(server: &str) -> bool {
    server.eq_ignore_ascii_case("localhost") || server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An address as it is written, with or without a name.
fn mailbox(text: &str) -> Result<Mailbox, Problem> {
    let read: Option<Mailbox> = text.parse().ok();
    // The parser takes what it understands and leaves the rest.
    let whole = read.filter(|mailbox| {
        let end = text.trim_end().trim_end_matches('>');
        end.ends_with(&mailbox.email.to_string()) && !text.contains(char::is_control)
    });
    whole.ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        Problem::new("HW-CONNECT-113", format!("`{}` is no mail address", shown.escape_debug()))
            .help("write it as in `asha@example.com` or `Asha Rao <asha@example.com>`")
    })
}

/// Builds the outlet.
///
/// # Errors
/// `HW-CONNECT-113` for its spec, `HW-KERNEL-018` for a secret that cannot be read.
pub fn build(
    spec: &MailSpec,
    rate: Option<f64>,
    timeout: Duration,
    context: &Context,
) -> Result<Arc<dyn Outlet>, Problem> {
    let mut builder = SmtpTransport::builder_dangerous(&spec.server)
        .port(spec.port())
        .timeout(Some(timeout))
        .tls(tls(spec, context)?);
    if let (Some(username), Some(password)) = (&spec.username, &spec.password) {
        let password = context.secrets.read(password.secret.as_str())?;
        let password = String::from_utf8(password.trim_ascii_end().to_vec());
        let password = password.map_err(|_| Problem::new("HW-CONNECT-113", "the password is no UTF-8"))?;
        builder = builder.credentials(Credentials::new(username.clone(), password));
    }
    let to = spec.to.iter().map(|to| mailbox(to)).collect::<Result<_, _>>()?;
    Ok(Arc::new(Mail { transport: builder.build(), from: mailbox(&spec.from)?, to, rate, timeout }))
}

fn tls(spec: &MailSpec, context: &Context) -> Result<Tls, Problem> {
    if spec.tls == TlsSpec::None {
        return Ok(Tls::None);
    }
    crate::tls::install();
    let fault = |what: &str, error: &Error| Problem::new("HW-CONNECT-113", what).because(error);
    let mut parameters = TlsParameters::builder(spec.server.clone());
    if let Some(authority) = &spec.authority {
        let pem = context.secrets.read(authority.secret.as_str())?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| fault("`authority` is no PEM", &error))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    let parameters = parameters.build_rustls().map_err(|error| fault("TLS cannot be set up", &error))?;
    Ok(match spec.tls {
        TlsSpec::Implicit => Tls::Wrapper(parameters),
        TlsSpec::Starttls | TlsSpec::None => Tls::Required(parameters),
    })
}

struct Mail {
    transport: SmtpTransport,
    from: Mailbox,
    to: Vec<Mailbox>,
    rate: Option<f64>,
    timeout: Duration,
}

impl Outlet for Mail {
    fn send<'a>(&'a self, outgoing: Outgoing<'a>) -> BoxFuture<'a, Result<Answer, NotTaken>> {
        Box::pin(async move {
            let message = self.message(outgoing)?;
            let transport = self.transport.clone();
            // Mail is rare, and a thread of its own is cheap; each step of the conversation has the time limit, too.
            let sent = tokio::task::spawn_blocking(move || transport.send(&message));
            match tokio::time::timeout(self.timeout, sent).await {
                Ok(Ok(Ok(_))) => Ok(Answer::default()),
                Ok(Ok(Err(error))) => Err(refused(&error)),
                Ok(Err(_)) => Err(NotTaken { again: true, ..never("the conversation broke off") }),
                Err(_) => Err(NotTaken { again: true, ..never("no answer in time") }),
            }
        })
    }

    fn rate(&self) -> Option<f64> {
        self.rate
    }
}

impl Mail {
    fn message(&self, outgoing: Outgoing<'_>) -> Result<Message, NotTaken> {
        if outgoing.asked.is_some() {
            return Err(never("a mail server takes no request of HTTP"));
        }
        let letter = Letter::read(outgoing.body);
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(letter.subject())
            .date(UNIX_EPOCH + Duration::from_micros(outgoing.now.0.unsigned_abs()))
            .message_id(Some(id(outgoing.key, self.from.email.domain())))
            // Nobody's out-of-office answers it (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder.multipart(letter.parts()).map_err(|_| never("it cannot be written as a mail"))
    }
}

/// The same for each try of the same thing; of any key it is one that the header takes.
fn id(key: &str, domain: &str) -> String {
    let mut id = "<".to_owned();
    for byte in Sha256::digest(key.as_bytes()).iter().take(16) {
        // Writing to memory does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    format!("{id}@{domain}>")
}

fn never(reason: &str) -> NotTaken {
    NotTaken { reason: reason.to_owned(), ..NotTaken::default() }
}

/// What an answer means for another try: 5xx is for ever (RFC 5321, section 4.2.1).
fn refused(error: &Error) -> NotTaken {
    let status: Option<u16> = error.status().and_then(|code| code.to_string().parse().ok());
    let reason = match status {
        Some(status) => format!("the mail server answered {status}"),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None if error.is_tls() => "no TLS with the mail server".to_owned(),
        None if error.is_client() => "the mail server does not offer what it is asked for".to_owned(),
        None if error.is_response() => "the mail server's answer cannot be read".to_owned(),
        None => "no connection".to_owned(),
    };
    NotTaken { reason, status, again: !error.is_permanent(), ..NotTaken::default() }
}

#[cfg(test)]
mod tests;
