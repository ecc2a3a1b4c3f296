//! A table of a PostgreSQL server as an external table: where it is, and who reads it.

use std::net::IpAddr;

use headwater_base::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::charts::text::quoted;

/// A table or a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostgresSpec {
    /// The server's name or address.
    pub host: String,
    /// The port it listens on. Default 5432.
    #[serde(default = "port")]
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role that reads. It needs `CONNECT` on the database, `USAGE` on the schema and `SELECT` on the table.
    pub user: String,
    /// The role's password, in a Secret. Left out where the server asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// The schema. Default `public`.
    #[serde(default = "public")]
    pub schema: String,
    /// The table, view, materialized view or foreign table.
    pub table: String,
    /// Whether the connection is encrypted, and the server's certificate looked at. `verify` if it is left out; `off` for
    /// a server on the node's own machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// A PEM file of the authorities that may have signed the server's certificate, from the root of the node's file
    /// system. Those that the node's machine trusts if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Encrypted, to a server whose certificate is for `host` and signed by a trusted authority.
    Verify,
    /// In the clear: whoever is on the way reads the rows.
    Off,
}

/// A password that a Secret resource refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Password {
    /// Name of the Secret resource.
    pub secret: Name,
}

const fn port() -> u16 {
    5432
}

fn public() -> String {
    "public".to_owned()
}

impl PostgresSpec {
    /// How the connection is protected.
    pub fn protection(&self) -> Tls {
        let own = || if self.is_local() { Tls::Off } else { Tls::Verify };
        self.tls.unwrap_or_else(own)
    }

    /// Whether nothing leaves the machine.
    fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The table as SQL of the server names it.
    pub fn relation(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.table))
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }

    /// What cannot be, each with its key, the fact and the way out.
    pub fn faults(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut faults = Vec::new();
        let words = [
            ("host", &self.host),
            ("database", &self.database),
            ("user", &self.user),
            ("schema", &self.schema),
            ("table", &self.table),
        ];
        for (key, word) in words {
            if word.is_empty() || word.contains('\0') {
                faults.push((
                    key,
                    format!("`{}` is no {key}", word.escape_debug()),
                    "write its name as the server has it",
                ));
            }
        }
        if self.host.contains(['/', ',']) {
            let fact = format!("`{}` is no name or address of one server", self.host.escape_debug());
            faults.push(("host", fact, "write `db.example.com`, `10.0.0.7` or `localhost`"));
        }
        if self.authorities.as_ref().is_some_and(|path| !path.starts_with('/')) {
            let fact = "the file of authorities is no place from the root of the file system".to_owned();
            faults.push(("authorities", fact, "begin with `/`: the node has no folder of yours to start from"));
        }
        if self.authorities.is_some() && self.protection() == Tls::Off {
            let fact = "nobody looks at a certificate where `tls` is `off`".to_owned();
            faults.push(("authorities", fact, "say `tls: verify`, or leave `authorities` out"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(host: &str, tls: Option<Tls>) -> PostgresSpec {
        let spec = serde_json::json!({"host": host, "database": "shop", "user": "reader", "table": "or\"ders"});
        PostgresSpec { tls, ..serde_json::from_value(spec).unwrap() }
    }

    #[test]
    fn only_what_stays_on_the_machine_goes_in_the_clear_unasked() {
        for local in ["localhost", "127.0.0.1", "127.8.8.8", "::1"] {
            assert_eq!(spec(local, None).protection(), Tls::Off, "{local}");
            assert_eq!(spec(local, Some(Tls::Verify)).protection(), Tls::Verify, "{local}");
        }
        for away in ["db", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com", "0.0.0.0"] {
            assert_eq!(spec(away, None).protection(), Tls::Verify, "{away}");
            assert_eq!(spec(away, Some(Tls::Off)).protection(), Tls::Off, "{away}");
        }
    }

    #[test]
    fn what_cannot_be_is_told_by_key() {
        let keys = |spec: &PostgresSpec| spec.faults().into_iter().map(|(key, ..)| key).collect::<Vec<_>>();
        assert_eq!(keys(&spec("db", None)), Vec::<&str>::new());
        assert_eq!(spec("db", None).relation(), "\"public\".\"or\"\"ders\"");
        assert_eq!(keys(&spec("/var/run", None)), ["host"]);
        assert_eq!(keys(&spec("a,b", None)), ["host"]);
        assert_eq!(keys(&PostgresSpec { table: "a\0b".to_owned(), ..spec("", None) }), ["host", "table"]);
        let authorities = Some("ca.pem".to_owned());
        assert_eq!(keys(&PostgresSpec { authorities, ..spec("::1", None) }), ["authorities", "authorities"]);
    }
}
