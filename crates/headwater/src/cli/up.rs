//! `headwater up`: starts a node and prints where it is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use headwater_base::Problem;
use headwater_bus::runtime::writer::NOTED;
use headwater_kernel::Site;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Context, Done};
use crate::config::{DATA, address};
use crate::node::{Config, Node};
use crate::output;
use crate::problems::Problems;

/// Flags of `up`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "HEADWATER_LOG says what is logged on standard error: `info`, or by part, as in `warn,headwater_flow=debug`. By default warnings, and what `log` targets of rules note."
)]
pub struct Args {
    /// The data folder; made if it is missing [default: headwater-data]
    #[arg(long, env = "HEADWATER_DATA", value_name = "FOLDER", hide_env_values = true)]
    data: Option<PathBuf>,
    /// The address of HTTP [default: 127.0.0.1:8080]
    #[arg(long, env = "HEADWATER_HTTP", value_name = "ADDRESS:PORT", hide_env_values = true, value_parser = address)]
    http: Option<SocketAddr>,
    /// The address of Kafka [default: 127.0.0.1:9092]
    #[arg(long, env = "HEADWATER_KAFKA", value_name = "ADDRESS:PORT", hide_env_values = true, value_parser = address)]
    kafka: Option<SocketAddr>,
    /// The address of AWS clients [default: 127.0.0.1:4566]
    #[arg(long, env = "HEADWATER_AWS", value_name = "ADDRESS:PORT", hide_env_values = true, value_parser = address)]
    aws: Option<SocketAddr>,
    /// The address of PostgreSQL clients [default: 127.0.0.1:5433]
    #[arg(long, env = "HEADWATER_POSTGRES", value_name = "ADDRESS:PORT", hide_env_values = true, value_parser = address)]
    postgres: Option<SocketAddr>,
    /// Where people find the console, for links in reports and alerts, as a URL [default: the address of HTTP]
    #[arg(long, env = "HEADWATER_SITE", value_name = "URL", hide_env_values = true)]
    site: Option<Site>,
    /// Whether a Kafka client that names an unknown topic creates it [default: true]
    #[arg(long, env = "HEADWATER_AUTO_CREATE_STREAMS", value_name = "BOOL", hide_env_values = true)]
    auto_create_streams: Option<bool>,
    /// Stop after so many seconds, for scripts
    #[arg(long, value_name = "SECONDS")]
    exit_after: Option<u64>,
}

/// What the names of the log's own threads begin with.
const LOG_THREADS: &str = "hw-";

/// Runs a node until Ctrl-C, SIGTERM or the time given.
///
/// # Errors
/// What [`Node::open`] says, `HW-CLI-020` when a part of the node ends, and `HW-CLI-026`.
pub fn run(args: Args, context: &Context) -> Done {
    let filter = filter()?;
    let color = output::colored(&std::io::stderr());
    // A line that cannot be written, as on a full disk, is lost and no more: telling of it would panic the thread it is from.
    let log = tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter);
    // An error means that somebody else set one up already, which is theirs to decide.
    let _ = log.with_writer(std::io::stderr).with_ansi(color).try_init();
    end_with_the_log();
    let config = config(&args, context)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Problem::new("HW-CLI-008", "the system refuses what the program needs to run").because(error)
    })?;
    let next = next(&args, context, &config);
    runtime.block_on(serve(config, &next, args.exit_after))
}

/// What is logged. A misspelt filter would be silence where somebody looks for a reason.
fn filter() -> Result<EnvFilter, Problem> {
    let words = std::env::var_os("HEADWATER_LOG").filter(|words| !words.is_empty());
    let Some(words) = words else { return Ok(EnvFilter::new(format!("warn,{NOTED}=info"))) };
    let words = words.to_string_lossy();
    EnvFilter::try_new(&words).map_err(|error| {
        Problem::new("HW-CLI-026", format!("HEADWATER_LOG is `{}`, which is no filter", words.escape_debug()))
            .because(error)
            .help("write `info`, or levels by part, as in `warn,headwater_flow=debug`")
    })
}

/// Has the process end when a thread of the log panics. Whoever waits for it would wait for ever, with state that may be
/// torn; after the next start everything acknowledged is there.
fn end_with_the_log() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if std::thread::current().name().is_some_and(|name| name.starts_with(LOG_THREADS)) {
            std::process::abort();
        }
    }));
}

fn config(args: &Args, context: &Context) -> Result<Config, Problems> {
    let file = &context.file;
    let data = args.data.clone().or_else(|| file.data.clone()).unwrap_or_else(|| PathBuf::from(DATA));
    let mut config = Config::local(data, context.port_offset())?;
    config.http = args.http.or(file.http).unwrap_or(config.http);
    config.kafka = args.kafka.or(file.kafka).unwrap_or(config.kafka);
    config.aws = args.aws.or(file.aws).unwrap_or(config.aws);
    config.postgres = args.postgres.or(file.postgres).unwrap_or(config.postgres);
    config.site = args.site.clone().or_else(|| file.site.clone());
    config.auto_create_streams =
        args.auto_create_streams.or(file.auto_create_streams).unwrap_or(config.auto_create_streams);
    config.tasks.private_addresses = file.private_addresses.unwrap_or(config.tasks.private_addresses);
    config.tasks.functions_url = file.functions.clone();
    file.limit(&mut config.limits);
    Ok(config)
}

/// The command to go on with: it has to find this node again.
fn next(args: &Args, context: &Context, config: &Config) -> String {
    let usual = Config::local(config.data.clone(), context.port_offset());
    if usual.is_ok_and(|usual| (usual.http, usual.kafka) != (config.http, config.kafka)) {
        return "headwater get all --server URL, with the address above".to_owned();
    }
    let offset = match context.port_offset() {
        0 => String::new(),
        offset => format!(" --port-offset {offset}"),
    };
    let data = args.data.as_ref().map_or(String::new(), |data| format!(" --data {}", data.display()));
    format!("headwater solution feed clickstream{offset}{data}")
}

async fn serve(config: Config, next: &str, exit_after: Option<u64>) -> Done {
    let failed = |error: std::io::Error| {
        Problem::new("HW-CLI-008", "the system refuses what the program needs to run").because(error)
    };
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt()).map_err(failed)?, signal(SignalKind::terminate()).map_err(failed)?);
    let data = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    let mut node = Node::open(config).await?;
    output::line(format!("HTTP    http://{}", node.http))?;
    output::line(format!("Console http://{}{}", node.http, headwater_api::http::console::BASE))?;
    output::line(format!("Kafka   {}", node.kafka))?;
    output::line(format!("AWS     http://{}", node.aws))?;
    output::line(format!("SQL     postgres://{}/headwater", node.postgres))?;
    output::line(format!("Data    {}", data.display()))?;
    output::line(format!("Next    {next}"))?;
    let timer = async {
        match exit_after {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let broken = tokio::select! {
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        () = timer => None,
        problem = node.broken() => Some(problem),
    };
    output::note("stopping");
    tokio::select! {
        () = node.stop() => broken.map_or(Ok(ExitCode::SUCCESS), |problem| Err(problem.into())),
        // A second Ctrl-C does not wait; nothing acknowledged is lost by that.
        _ = interrupt.recv() => Ok(ExitCode::from(130)),
    }
}

#[cfg(test)]
mod tests;
