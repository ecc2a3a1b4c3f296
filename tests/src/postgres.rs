//! A PostgreSQL server of a test's own: on a free port, with passwords, in a folder that goes with it.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use headwater::ports;

use crate::{note_skip, output, until};

/// Its superuser's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// A server that runs.
pub struct Postgres {
    process: Child,
    ports: ports::Claim,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Starts one, and waits until it answers; None with a note where no server is installed. It speaks TLS, by a certificate
    /// for `localhost`, if `authority` is said.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start(test: &str, authority: bool) -> Result<Option<Self>> {
        let Some(programs) = programs() else {
            note_skip(test, "no PostgreSQL server is there; `cargo xtask test` installs it");
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let (home, data) = (folder.path(), folder.path().join("data"));
        std::fs::write(home.join("password"), PASSWORD)?;
        if authority {
            certificates(home)?;
        }
        let user = user()?;
        // The server refuses to be root, and reads only what is its own.
        if let Some((uid, gid)) = user {
            chown(home, Some(uid), Some(gid))?;
            for file in std::fs::read_dir(home)? {
                chown(file?.path(), Some(uid), Some(gid))?;
            }
        }
        let run = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(home).env("LC_ALL", "C.UTF-8");
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let password = format!("--pwfile={}", home.join("password").display());
        let words =
            ["-U", "postgres", "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", &password, "-D"];
        output(run("initdb").args(words).arg(&data), "")?;
        let ports = ports::Claim::new()?;
        let mut server = run("postgres");
        server.arg("-D").arg(&data).args(["-p", &port(&ports).to_string()]);
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"] {
            server.args(["-c", setting]);
        }
        if authority {
            let file = |name: &str| home.join(name).display().to_string();
            server.args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={}", file("server.crt"))]);
            server.args(["-c", &format!("ssl_key_file={}", file("server.key"))]);
        }
        let log = std::fs::File::create(home.join("server.log"))?;
        let process = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let server = Self { process, ports, folder };
        until("PostgreSQL is ready", || server.psql("SELECT 1").is_ok())?;
        Ok(Some(server))
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        port(&self.ports)
    }

    /// The certificate of the authority that has signed its own.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Carries statements out; answers values between bars, a row on each line.
    ///
    /// # Errors
    /// When one fails; the message holds what the server said.
    pub fn psql(&self, statements: &str) -> Result<String> {
        let port = self.port().to_string();
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-v", "ON_ERROR_STOP=1"]);
        output(psql.env("PGPASSWORD", PASSWORD).env("PGTZ", "UTC"), statements)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn port(ports: &ports::Claim) -> u16 {
    ports::POSTGRES + ports.offset()
}

/// The folder of the newest server's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    let folders = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    folders.max()
}

/// Who the server runs as, where we are root.
fn user() -> Result<Option<(u32, u32)>> {
    let id = |words: &[&str]| -> Result<u32> {
        output(Command::new("id").args(words), "")?.trim().parse().context("`id` answers a number")
    };
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    let name = if id(&["-u", "postgres"]).is_ok() { "postgres" } else { "nobody" };
    Ok(Some((id(&["-u", name])?, id(&["-g", name])?)))
}

/// An authority, and what it has signed for `localhost`.
fn certificates(home: &Path) -> Result<()> {
    let openssl = |words: &str| output(Command::new("openssl").current_dir(home).args(words.split(' ')), "");
    std::fs::write(home.join("names"), "subjectAltName=DNS:localhost\n")?;
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=authority -days 2")?;
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost")?;
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out server.crt -days 2",
    )?;
    Ok(())
}
