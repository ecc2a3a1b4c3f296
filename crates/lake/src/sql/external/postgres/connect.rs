//! Connections to PostgreSQL servers: so many at once, protected as the spec says, in a transaction that only reads.
//!
//! Invariant: what nobody reads on is ended at the server, too: a statement is cancelled before its connection goes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use headwater_base::Problem;
use headwater_kernel::Kernel;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{CancelToken, Client, Config, NoTls, RowStream, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::known::Known;
use crate::kinds::external_table::postgres::{PostgresSpec, Tls};

/// How long a server may take to let us in.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a query waits for a connection that others use.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is told where others have all connections: it says nothing of a server.
pub(super) const BUSY: &str = "HW-LAKE-095";
/// How long it may take to tell a server that nobody reads on.
const CANCEL_MAX: Duration = Duration::from_secs(5);

/// What connections are made with, for all servers. Cheap to clone.
#[derive(Clone)]
pub struct Servers {
    kernel: Arc<Kernel>,
    turns: Arc<Semaphore>,
    /// The authorities that the machine trusts, read once.
    trusted: Arc<OnceLock<RootCertStore>>,
    /// What columns their tables have.
    pub(super) known: Arc<Known>,
}

impl Servers {
    /// No connection is open yet.
    pub fn new(kernel: Arc<Kernel>) -> Self {
        let turns = Arc::new(Semaphore::new(kernel.limits().postgres_connections));
        let known = Arc::new(Known::new(kernel.clock()));
        Self { kernel, turns, trusted: Arc::default(), known }
    }

    /// A connection in a transaction that only reads.
    ///
    /// # Errors
    /// `HW-LAKE-056` when the server cannot be reached, `HW-LAKE-057` when it does not let us in, `HW-LAKE-095` when
    /// others have all connections, `HW-KERNEL-012` and `-018` for the secret.
    pub async fn open(&self, name: &str, spec: &PostgresSpec) -> Result<Session, Problem> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or_else(|| {
            let most = self.kernel.limits().postgres_connections;
            // Nothing is known of the server: it was not asked.
            Problem::new(BUSY, format!("{most} connections to PostgreSQL servers are open, which is the limit"))
                .because(format!("the table `external.{name}` waited {} s for one", PATIENCE.as_secs()))
                .help("try again in a while")
        })?;
        let config = self.config(spec)?;
        let tls = match spec.protection() {
            Tls::Off => None,
            Tls::Verify => Some(self.verified(spec).map_err(|cause| unreachable(name, spec).because(cause))?),
        };
        let late = || unreachable(name, spec).because(format!("there was no answer in {} s", CONNECT_MAX.as_secs()));
        let connected = tokio::time::timeout(CONNECT_MAX, connect(&config, tls, turn)).await.map_err(|_| late())?;
        let session = connected.map_err(|error| refused(name, spec, &error))?;
        let begin = format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; \
             SET LOCAL IntervalStyle = 'postgres'; SET LOCAL standard_conforming_strings = on",
            self.kernel.limits().sql_seconds.saturating_mul(1_000).min(2_147_483_647)
        );
        session.client.batch_execute(&begin).await.map_err(|error| refused(name, spec, &error))?;
        Ok(session)
    }

    /// TLS to a server whose certificate a trusted authority has signed.
    fn verified(&self, spec: &PostgresSpec) -> Result<MakeRustlsConnect, String> {
        let roots = match &spec.authorities {
            Some(path) => authorities(path)?,
            None => self.trusted.get_or_init(trusted).clone(),
        };
        if roots.is_empty() {
            return Err("there is no authority to trust".to_owned());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }

    fn config(&self, spec: &PostgresSpec) -> Result<Config, Problem> {
        let mut config = Config::new();
        config
            .host(&spec.host)
            .port(spec.port)
            .dbname(&spec.database)
            .user(&spec.user)
            .application_name("headwater")
            .connect_timeout(CONNECT_MAX)
            .ssl_mode(match spec.protection() {
                Tls::Off => tokio_postgres::config::SslMode::Disable,
                Tls::Verify => tokio_postgres::config::SslMode::Require,
            });
        if let Some(password) = &spec.password {
            config.password(self.kernel.context().secrets.read(password.secret.as_str())?);
        }
        Ok(config)
    }
}

/// A connection that one statement has for itself.
pub struct Session {
    client: Client,
    cancel: CancelToken,
    tls: Option<MakeRustlsConnect>,
    connection: AbortHandle,
    handle: Handle,
    /// Given back when the connection is gone.
    turn: Option<OwnedSemaphorePermit>,
    over: bool,
}

impl Session {
    /// A statement that can be carried out, with its columns.
    ///
    /// # Errors
    /// What the server says.
    pub async fn prepare(&self, text: &str) -> Result<Statement, tokio_postgres::Error> {
        self.client.prepare(text).await
    }

    /// Begins to read the rows of a statement. The server waits while nobody takes them.
    ///
    /// # Errors
    /// What the server says.
    pub async fn rows(&self, statement: &Statement) -> Result<RowStream, tokio_postgres::Error> {
        self.client.query_raw(statement, std::iter::empty::<i32>()).await
    }

    /// There is nothing left to read.
    pub const fn end(&mut self) {
        self.over = true;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The client says goodbye by itself, and the turn goes back.
        if self.over {
            return;
        }
        let (cancel, tls, connection, turn) =
            (self.cancel.clone(), self.tls.clone(), self.connection.clone(), self.turn.take());
        self.handle.spawn(async move {
            let cancelled = async {
                match tls {
                    Some(tls) => cancel.cancel_query(tls).await,
                    None => cancel.cancel_query(NoTls).await,
                }
            };
            // A server that cannot be told finds out when it writes the next rows.
            let _ = tokio::time::timeout(CANCEL_MAX, cancelled).await;
            connection.abort();
            drop(turn);
        });
    }
}

async fn connect(
    config: &Config,
    tls: Option<MakeRustlsConnect>,
    turn: OwnedSemaphorePermit,
) -> Result<Session, tokio_postgres::Error> {
    let handle = Handle::current();
    // What goes wrong on a connection is told to whoever waits for its rows.
    let (client, connection) = match &tls {
        Some(tls) => {
            let (client, connection) = config.connect(tls.clone()).await?;
            (client, handle.spawn(async move { drop(connection.await) }).abort_handle())
        }
        None => {
            let (client, connection) = config.connect(NoTls).await?;
            (client, handle.spawn(async move { drop(connection.await) }).abort_handle())
        }
    };
    let cancel = client.cancel_token();
    Ok(Session { client, cancel, tls, connection, handle, turn: Some(turn), over: false })
}

/// The authorities that the machine trusts.
fn trusted() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// The authorities of a PEM file.
fn authorities(path: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let unreadable = |error| format!("the authorities of `{path}` cannot be read: {error}");
    for authority in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let authority = authority.map_err(unreadable)?;
        roots.add(authority).map_err(|error| format!("an authority of `{path}` cannot be trusted: {error}"))?;
    }
    Ok(roots)
}

/// `HW-LAKE-056`, without why.
pub(super) fn unreachable(name: &str, spec: &PostgresSpec) -> Problem {
    let fact = format!("the PostgreSQL server of `external.{name}` at `{}` cannot be reached", spec.place());
    Problem::new("HW-LAKE-056", fact).help("look at the address from the node's machine, and whether the server is up")
}

/// Why there is no connection. The server's words name roles and databases, never a password.
fn refused(name: &str, spec: &PostgresSpec, error: &tokio_postgres::Error) -> Problem {
    let words = words(error);
    let is_access = match error.code() {
        Some(code) => {
            code.code().starts_with("28")
                || [SqlState::INVALID_CATALOG_NAME, SqlState::INSUFFICIENT_PRIVILEGE].contains(code)
        }
        // The server asks for a password that is not there, or has one that is another.
        None => words.starts_with("invalid configuration") || words.starts_with("authentication error"),
    };
    if !is_access {
        return unreachable(name, spec).because(words);
    }
    let fact =
        format!("the PostgreSQL server of `external.{name}` at `{}` does not let `{}` in", spec.place(), spec.user);
    Problem::new("HW-LAKE-057", fact)
        .because(words)
        .help("look at `user`, `database` and the secret that `password` names, and at the server's pg_hba.conf")
}

/// What a server or the way to it says, with its code.
pub fn words(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(told), _) => format!("{} ({})", told.message(), told.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
