//! `headwater doctor`: looks for what keeps a node from working, each finding with the command that fixes it.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use headwater_base::{Clock, Problem};
use headwater_kernel::SystemClock;
use headwater_log::embedded::home;
use headwater_store::disk::RealDisk;

use super::{Context, Done};
use crate::config::DATA;
use crate::{output, ports};

/// Syncs of the probe.
const SYNCS: usize = 20;

/// The median sync above which a disk is called slow, in milliseconds.
const SYNC_SLOW_MS: f64 = 20.0;

/// Free bytes below which a disk is called full: the write-ahead log and its spares take a quarter of it.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// 2024-01-01: a clock before it is wrong.
const CLOCK_MICROS_MIN: i64 = 1_704_067_200_000_000;

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data folder [default: headwater-data]
    #[arg(long, env = "HEADWATER_DATA", value_name = "FOLDER", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Have a data folder that was moved belong where it is now; refused while datasets have files in it
    #[arg(long)]
    moved: bool,
    /// Read every segment, too, and check each batch in it; takes as long as the disk needs to give all of them
    #[arg(long, conflicts_with = "moved")]
    segments: bool,
}

/// One finding: what was looked at, what was found, and how to fix it where it is bad.
type Finding = (&'static str, Result<String, (String, String)>);

/// Looks at everything; exit code 1 when something is wrong.
///
/// # Errors
/// When stdout cannot be written, and what `--moved` meets: `HW-LOG-006`, `HW-CLI-002`, and `HW-CLI-013` while a node
/// runs.
pub async fn run(args: Args, context: &Context) -> Done {
    let data = args.data.or_else(|| context.file.data.clone()).unwrap_or_else(|| PathBuf::from(DATA));
    if args.moved {
        return moved(&data);
    }
    let client = context.client()?;
    let up = client.get(&["readyz"], &[]).await;
    let mut findings: Vec<Finding> = vec![
        ("data folder", folder(&data)),
        ("disk space", space(&data)),
        ("log", tail(&data)),
        ("sync", sync(&data)),
        ("clock", clock()),
    ];
    if args.segments {
        findings.extend(segments(&data).into_iter().map(|found| ("segments", found)));
    }
    let offset = context.port_offset();
    match &up {
        Ok(_) => findings.push(("node", Ok(format!("ready at {}", client.server())))),
        Err(problems) if problems.0.first().is_some_and(|problem| problem.code == "HW-CLI-001") => {
            findings.push(("node", Ok(format!("none at {}", client.server()))));
            findings.push(("HTTP port", port(ports::HTTP.saturating_add(offset))));
            findings.push(("Kafka port", port(ports::KAFKA.saturating_add(offset))));
            findings.push(("AWS port", port(ports::AWS.saturating_add(offset))));
            findings.push(("PostgreSQL port", port(ports::POSTGRES.saturating_add(offset))));
        }
        Err(problems) => {
            let why = problems
                .0
                .iter()
                .flat_map(|problem| [&problem.title].into_iter().chain(&problem.causes))
                .cloned()
                .collect::<Vec<_>>()
                .join("; ");
            // A log that is not ready lacks the disk; everything else is said by the resources.
            let disk = problems.0.iter().flat_map(|problem| &problem.causes).any(|cause| cause.starts_with("log: "));
            let fix = if disk { format!("df -h {}", data.display()) } else { "headwater get all".to_owned() };
            findings.push(("node", Err((why, fix))));
        }
    }
    let mut bad = false;
    for (what, found) in findings {
        match found {
            Ok(fact) => output::line(format!("ok     {what}: {fact}"))?,
            Err((fact, fix)) => {
                bad = true;
                output::line(format!("BAD    {what}: {fact}\n       fix: {fix}"))?;
            }
        }
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Has the folder belong where it is.
fn moved(data: &Path) -> Done {
    if !data.is_dir() {
        return Err(Problem::new("HW-CLI-002", format!("there is no data folder `{}`", data.display()))
            .help("name it with `--data`")
            .into());
    }
    let _lock = crate::folder::lock(data)?;
    let home = home::take(&RealDisk, data)?;
    output::line(format!("the data folder belongs in {}", home.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn folder(data: &Path) -> Result<String, (String, String)> {
    if !data.exists() {
        return Ok(format!("`{}` is not there yet; `headwater up` makes it", data.display()));
    }
    match crate::folder::lock(data) {
        Ok(_lock) => match home::check(&RealDisk, data) {
            Ok(()) => Ok(format!("`{}` can be used", data.display())),
            Err(problem) => {
                let fact = format!("{}: {}; {}", problem.code, problem.title, problem.causes.join("; "));
                Err((fact, format!("headwater explain {}", problem.code)))
            }
        },
        Err(problem) if problem.code == "HW-CLI-013" => Ok(format!("`{}` is in use by a node", data.display())),
        Err(problem) => Err((problem.causes.join("; "), format!("chown -R $USER {}", data.display()))),
    }
}

/// What is free where the data is, or will be.
fn space(data: &Path) -> Result<String, (String, String)> {
    let folder = data.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let fix = format!("df -h {}", folder.display());
    match headwater_store::disk::room(folder) {
        Ok((free, all)) => {
            let fact = format!("{} of {} are free", gib(free), gib(all));
            if free < FREE_BYTES_MIN {
                let fact = format!("{fact}; below {} events may be refused soon", gib(FREE_BYTES_MIN));
                return Err((fact, fix));
            }
            Ok(fact)
        }
        Err(error) => Err((format!("cannot look at the disk of `{}`: {error}", folder.display()), fix)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// What the next start would read of the write-ahead log, and whether it can.
fn tail(data: &Path) -> Result<String, (String, String)> {
    if !data.is_dir() {
        return Ok("none yet".to_owned());
    }
    // It is another process's while that runs; a folder that cannot be locked is a finding of its own.
    let Ok(_lock) = crate::folder::lock(data) else {
        return Ok("not looked at while the folder cannot be held".to_owned());
    };
    match headwater_log::embedded::tail(&RealDisk, data) {
        Ok(None) => Ok("none yet".to_owned()),
        Ok(Some(tail)) => Ok(format!(
            "whole; the next start reads {} commits behind the last checkpoint, {} KiB",
            tail.commits,
            tail.bytes.div_ceil(1_024)
        )),
        Err(problem) => {
            Err((format!("{}: {}", problem.code, problem.title), format!("headwater explain {}", problem.code)))
        }
    }
}

/// What every segment holds: one finding where all is well, one for each that is damaged.
fn segments(data: &Path) -> Vec<Result<String, (String, String)>> {
    if !data.is_dir() {
        return vec![Ok("none yet".to_owned())];
    }
    let Ok(_lock) = crate::folder::lock(data) else {
        return vec![Err(("not looked at while the folder cannot be held".to_owned(), "stop the node".to_owned()))];
    };
    let mut told = 0;
    let mut progress = |bytes: u64, all: u64| {
        let percent = bytes.saturating_mul(100).checked_div(all).unwrap_or(100);
        if percent >= told + 10 {
            told = percent / 10 * 10;
            output::note(format!("{told} % of {} of segments are checked", gib(all)));
        }
    };
    let finding = |problem: &Problem| {
        let place = problem.place.as_ref().map_or(String::new(), |place| format!(" ({})", place.path));
        let fact = format!("{}: {}{place}", problem.code, problem.title);
        (fact, format!("headwater explain {}", problem.code))
    };
    let checked = match headwater_log::embedded::check(&RealDisk, data, &mut progress) {
        Ok(checked) => checked,
        Err(problem) => return vec![Err(finding(&problem))],
    };
    if checked.damaged == 0 {
        return vec![Ok(format!("{} are whole, {}", checked.segments, gib(checked.bytes)))];
    }
    let all = format!("{} of {} are damaged", checked.damaged, checked.segments);
    let all = [Err((all, "headwater explain HW-LOG-007".to_owned()))];
    all.into_iter().chain(checked.damage.iter().map(|problem| Err(finding(problem)))).collect()
}

/// The median time of a small write made durable, beside where the data is.
fn sync(data: &Path) -> Result<String, (String, String)> {
    let folder = if data.is_dir() { data } else { Path::new(".") };
    let path = folder.join(".doctor-probe");
    let probe = || -> std::io::Result<Vec<f64>> {
        let mut file = File::create(&path)?;
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let start = Instant::now();
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
            times.push(start.elapsed().as_secs_f64() * 1_000.0);
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    };
    let times = probe();
    // What was only a probe may stay behind if it cannot be removed.
    let _ = std::fs::remove_file(&path);
    match times {
        Ok(times) => {
            let (median, worst) = (times.get(SYNCS / 2).copied().unwrap_or(0.0), times.last().copied().unwrap_or(0.0));
            let fact = format!("4 KiB durable in {median:.2} ms (median), {worst:.2} ms (worst of {SYNCS})");
            if median > SYNC_SLOW_MS {
                Err((fact, "headwater up --data FOLDER-ON-A-FASTER-DISK".to_owned()))
            } else {
                Ok(fact)
            }
        }
        Err(error) => Err((
            format!("cannot write in `{}`: {error}", folder.display()),
            format!("df -h {0}; ls -ld {0}", folder.display()),
        )),
    }
}

fn clock() -> Result<String, (String, String)> {
    let now = SystemClock::new().now();
    if now.0 < CLOCK_MICROS_MIN {
        Err((format!("it is {now}"), "timedatectl set-ntp true".to_owned()))
    } else {
        Ok(now.to_string())
    }
}

fn port(port: u16) -> Result<String, (String, String)> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(format!("{port} is free")),
        Err(error) => Err((format!("{port}: {error}"), "headwater up --port-offset 10".to_owned())),
    }
}
