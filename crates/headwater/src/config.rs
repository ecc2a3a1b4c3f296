//! Where settings come from: flag, then environment (`HEADWATER_*`), then `headwater.yaml`, then the default.
//!
//! Flags and environment are read together by clap; this is the file below them.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use headwater_base::{Limits, Problem};
use headwater_kernel::{Origin, Site, kind, shape, yaml};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::problems::Problems;

/// The file looked for in the working folder.
pub const FILE: &str = "headwater.yaml";

/// The data folder where nothing says otherwise.
pub const DATA: &str = "headwater-data";

/// What `headwater.yaml` may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FileConfig {
    /// The node that client verbs talk to, as a URL; `http://127.0.0.1:8080` unless set.
    pub server: Option<String>,
    /// The data folder of `headwater up`; `headwater-data` unless set.
    pub data: Option<PathBuf>,
    /// The address of HTTP; `127.0.0.1:8080` unless set.
    #[serde(deserialize_with = "written")]
    pub http: Option<SocketAddr>,
    /// The address of Kafka; `127.0.0.1:9092` unless set.
    #[serde(deserialize_with = "written")]
    pub kafka: Option<SocketAddr>,
    /// The address of AWS clients; `127.0.0.1:4566` unless set.
    #[serde(deserialize_with = "written")]
    pub aws: Option<SocketAddr>,
    /// The address of PostgreSQL clients; `127.0.0.1:5433` unless set.
    #[serde(deserialize_with = "written")]
    pub postgres: Option<SocketAddr>,
    /// Where people find the console, for links in reports and alerts, as a URL; the address of HTTP unless set.
    #[schemars(with = "Option<String>")]
    pub site: Option<Site>,
    /// Added to all ports.
    pub port_offset: Option<u16>,
    /// Whether a Kafka client that names an unknown topic creates it; `true` unless set.
    pub auto_create_streams: Option<bool>,
    /// Whether tasks of workflows may call addresses of this machine and of private networks; `false` unless set.
    pub private_addresses: Option<bool>,
    /// Where functions are that are not built in, as a URL: a server of the AWS Lambda Invoke API.
    pub functions: Option<String>,
    /// Size of an execution's input, of a task's result and of a state's output, 1 KiB to 8 MiB; 256 KiB unless set.
    pub payload_bytes: Option<usize>,
    /// Ended executions kept, over all workflows; 200,000 unless set.
    pub executions_kept: Option<usize>,
    /// Operator state of one pipeline, which is held in memory; 4 GiB unless set. A pipeline that holds more ends.
    pub state_bytes: Option<u64>,
    /// Memory of one `headwater reconcile`; 512 MiB unless set. A span that needs more is refused.
    pub reconcile_bytes: Option<usize>,
    /// Memory of all SQL queries together, 8 MiB to 1 TiB; 256 MiB unless set. What does not fit there goes to files.
    pub sql_memory_bytes: Option<usize>,
    /// Files of all SQL queries together, below `sql` of the data folder, up to 1 PiB; 10 GiB unless set. With 0 a query
    /// ends where memory does.
    pub sql_spill_bytes: Option<u64>,
    /// SQL queries that run at once, 1 to 1,000; 8 unless set. Others wait for their turn.
    pub sql_queries: Option<usize>,
    /// How long an SQL query may take, in seconds, 1 to 86,400; 300 unless set.
    pub sql_seconds: Option<u64>,
    /// The largest message of a PostgreSQL client, a statement or the values of its parameters, 64 KiB to 512 MiB; 64 MiB
    /// unless set. A client that begins a larger one is told so, and its connection ends.
    pub sql_message_bytes: Option<usize>,
    /// Memory of all PostgreSQL clients together for large messages that are read, and for the statements and values that
    /// they keep, 1 MiB to 1 TiB; 256 MiB unless set. What has no room there is refused; the connection goes on.
    pub sql_client_bytes: Option<usize>,
}

/// Bounds of a payload: what a definition is sure to have elsewhere, and what a commit of the log holds.
const PAYLOAD_BYTES: RangeInclusive<u64> = 1_024..=8 << 20;
/// Bounds of what queries take: with less memory hardly one of them ends, and one that takes longer than a day has been
/// forgotten.
const SQL_MEMORY_BYTES: RangeInclusive<u64> = 8 << 20..=1 << 40;
const SQL_SPILL_BYTES: RangeInclusive<u64> = 0..=1 << 50;
const SQL_QUERIES: RangeInclusive<u64> = 1..=1_000;
const SQL_SECONDS: RangeInclusive<u64> = 1..=86_400;
/// What drivers send without being asked to send much, and what PostgreSQL's codec reads.
const SQL_MESSAGE_BYTES: RangeInclusive<u64> = 64 << 10..=512 << 20;
const SQL_CLIENT_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;

/// `localhost` stands for 127.0.0.1; other names are no addresses.
///
/// # Errors
/// What is wanted, for a text that is none.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    numeric.parse().map_err(|_| "an address and a port are wanted, such as `127.0.0.1:8080` or `[::1]:8080`".to_owned())
}

/// An address in the file, as a flag takes it.
fn written<'de, D: Deserializer<'de>>(input: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = Option::<String>::deserialize(input)?;
    text.map(|text| address(&text).map_err(de::Error::custom)).transpose()
}

impl FileConfig {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// `HW-CLI-002` when it cannot be read, `HW-KERNEL-001` to `-010` when it says what cannot be, `HW-CLI-003` and
    /// `-017` for a key that there is not and a bound that is out of range.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let shown = path.display().to_string();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(Problem::new("HW-CLI-002", format!("cannot read `{shown}`")).because(error).into());
            }
        };
        let mut documents = yaml::read(&shown, &bytes, &Limits::default())?;
        let Some(document) = documents.pop() else { return Ok(Self::default()) };
        let origin = Origin::file(&shown, "headwater.yaml", document.marks);
        let schema = kind::schema::<Self>();
        let known = schema["properties"].as_object().into_iter().flatten();
        let known: Vec<&str> = known.map(|(key, _)| key.as_str()).collect();
        for key in document.value.as_object().into_iter().flatten().map(|(key, _)| key) {
            if !known.contains(&key.as_str()) {
                let at = headwater_kernel::origin::child("", key);
                let near = headwater_base::closest(key, known.iter().copied());
                let help = near.map_or_else(
                    || format!("keys are `{}`", known.join("`, `")),
                    |near| format!("did you mean `{near}`?"),
                );
                let place = origin.key_place(&at);
                return Err(Problem::new("HW-CLI-003", format!("there is no setting `{key}`"))
                    .help(help)
                    .at(place.path, place.line, place.column)
                    .into());
            }
        }
        let problems = shape::check(&schema, &document.value, "", &origin);
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let config: Self = kind::decode(&document.value, "", &origin)?;
        for (key, value, range) in config.bounds() {
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                let place = origin.key_place(&headwater_kernel::origin::child("", key));
                return Err(Problem::new("HW-CLI-017", format!("`{key}` is {value}"))
                    .help(format!("it lies between {} and {}", range.start(), range.end()))
                    .at(place.path, place.line, place.column)
                    .into());
            }
        }
        Ok(config)
    }

    /// The settings that have a range.
    fn bounds(&self) -> [(&'static str, Option<u64>, RangeInclusive<u64>); 7] {
        let count = |count: Option<usize>| count.map(|count| count as u64);
        [
            ("payloadBytes", count(self.payload_bytes), PAYLOAD_BYTES),
            ("sqlMemoryBytes", count(self.sql_memory_bytes), SQL_MEMORY_BYTES),
            ("sqlSpillBytes", self.sql_spill_bytes, SQL_SPILL_BYTES),
            ("sqlQueries", count(self.sql_queries), SQL_QUERIES),
            ("sqlSeconds", self.sql_seconds, SQL_SECONDS),
            ("sqlMessageBytes", count(self.sql_message_bytes), SQL_MESSAGE_BYTES),
            ("sqlClientBytes", count(self.sql_client_bytes), SQL_CLIENT_BYTES),
        ]
    }

    /// The limits with what the file says in their place.
    pub fn limit(&self, limits: &mut Limits) {
        limits.payload_bytes = self.payload_bytes.unwrap_or(limits.payload_bytes);
        limits.executions_kept = self.executions_kept.unwrap_or(limits.executions_kept);
        limits.state_bytes = self.state_bytes.unwrap_or(limits.state_bytes);
        limits.reconcile_bytes = self.reconcile_bytes.unwrap_or(limits.reconcile_bytes);
        limits.sql_memory_bytes = self.sql_memory_bytes.unwrap_or(limits.sql_memory_bytes);
        limits.sql_spill_bytes = self.sql_spill_bytes.unwrap_or(limits.sql_spill_bytes);
        limits.sql_queries = self.sql_queries.unwrap_or(limits.sql_queries);
        limits.sql_seconds = self.sql_seconds.unwrap_or(limits.sql_seconds);
        limits.sql_message_bytes = self.sql_message_bytes.unwrap_or(limits.sql_message_bytes);
        limits.sql_client_bytes = self.sql_client_bytes.unwrap_or(limits.sql_client_bytes);
    }
}

#[cfg(test)]
mod tests;
