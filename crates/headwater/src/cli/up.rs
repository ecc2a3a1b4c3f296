//! `headwater up`: starts a node and prints where it is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use headwater_base::Problem;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Context, Done};
use crate::config::DATA;
use crate::node::{Config, Node};
use crate::output;
use crate::problems::Problems;

/// Flags of `up`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data folder; made if it is missing [default: headwater-data]
    #[arg(long, env = "HEADWATER_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Add this to both ports, to run several nodes on a machine
    #[arg(long, env = "HEADWATER_PORT_OFFSET", value_name = "N")]
    port_offset: Option<u16>,
    /// The address of HTTP [default: 127.0.0.1:8080]
    #[arg(long, env = "HEADWATER_HTTP", value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// The address of Kafka [default: 127.0.0.1:9092]
    #[arg(long, env = "HEADWATER_KAFKA", value_name = "ADDRESS")]
    kafka: Option<SocketAddr>,
    /// Stop after so many seconds, for scripts
    #[arg(long, value_name = "SECONDS")]
    exit_after: Option<u64>,
}

/// Runs a node until Ctrl-C, SIGTERM or the time given.
///
/// # Errors
/// What [`Node::open`] says.
pub fn run(args: Args, context: &Context) -> Done {
    let filter = EnvFilter::try_from_env("HEADWATER_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let color = output::colored(&std::io::stderr());
    // An error means that somebody else set one up already, which is theirs to decide.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color).try_init();
    let config = config(&args, context)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Problem::new("HW-CLI-008", "the system refuses what the program needs to run").because(error)
    })?;
    runtime.block_on(serve(config, args.exit_after))
}

fn config(args: &Args, context: &Context) -> Result<Config, Problems> {
    let file = &context.file;
    let data = args.data.clone().or_else(|| file.data.clone()).unwrap_or_else(|| PathBuf::from(DATA));
    let mut config = Config::local(data, args.port_offset.or(file.port_offset).unwrap_or(0))?;
    config.http = args.http.or(file.http).unwrap_or(config.http);
    config.kafka = args.kafka.or(file.kafka).unwrap_or(config.kafka);
    Ok(config)
}

async fn serve(config: Config, exit_after: Option<u64>) -> Done {
    let failed = |error: std::io::Error| {
        Problem::new("HW-CLI-008", "the system refuses what the program needs to run").because(error)
    };
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt()).map_err(failed)?, signal(SignalKind::terminate()).map_err(failed)?);
    let data = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    let node = Node::open(config).await?;
    output::line(format!("HTTP    http://{}", node.http))?;
    output::line(format!("Kafka   {}", node.kafka))?;
    output::line(format!("Data    {}", data.display()))?;
    let server = if node.http.port() == crate::config::HTTP_PORT {
        String::new()
    } else {
        format!(" --server http://{}", node.http)
    };
    output::line(format!("Next    headwater solution feed clickstream{server}"))?;
    let timer = async {
        match exit_after {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = timer => {}
    }
    output::note("stopping");
    tokio::select! {
        () = node.stop() => Ok(ExitCode::SUCCESS),
        // A second Ctrl-C does not wait; nothing acknowledged is lost by that.
        _ = interrupt.recv() => Ok(ExitCode::from(130)),
    }
}
