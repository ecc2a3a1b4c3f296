//! `headwater produce`: sends events, one JSON object on each line of standard input.

use std::io::BufRead;
use std::process::ExitCode;

use headwater_base::Problem;
use serde_json::Value;

use super::words::name_of;
use super::{Context, Done};
use crate::client::Client;
use crate::output;
use crate::problems::Problems;

/// Bytes of one request; a line may be longer.
const REQUEST_BYTES: usize = 1024 * 1024;

/// Lines of one request; a node takes not many more.
const REQUEST_LINES: u64 = 50_000;

/// Flags of `produce`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  headwater produce orders < orders.ndjson
  headwater produce orders --key .user --id .id < orders.ndjson
  headwater tail orders --from earliest | headwater produce orders.copy")]
pub struct Args {
    /// The stream, by its name or as `stream/NAME`
    #[arg(value_name = "stream/NAME")]
    stream: String,
    /// The key: `.a.b` names a field of each event, anything else is the key itself
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// `.a.b` of the field that identifies an event, to store one that is sent twice once
    #[arg(long, value_name = "FIELD")]
    id: Option<String>,
}

/// Totals of all requests.
#[derive(Default)]
struct Sent {
    lines: u64,
    accepted: u64,
    duplicates: u64,
    rejected: u64,
}

/// Sends events. What was taken before something went wrong is told all the same.
///
/// # Errors
/// `HW-API-011` for no stream, `HW-CLI-010` for what is none, `HW-CLI-002` when standard input cannot be read.
pub async fn run(args: Args, context: &Context) -> Done {
    let stream = name_of("Stream", &args.stream)?;
    let client = context.client()?;
    let mut sent = Sent::default();
    let whole = all(&client, stream, &args, &mut sent).await;
    let Sent { accepted, duplicates, rejected, .. } = sent;
    if whole.is_ok() || accepted + duplicates + rejected > 0 {
        output::note(format!("{accepted} accepted, {duplicates} duplicates, {rejected} rejected"));
    }
    whole?;
    Ok(if rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends standard input to its end.
async fn all(client: &Client, stream: &str, args: &Args, sent: &mut Sent) -> Result<(), Problems> {
    let mut body: Vec<u8> = Vec::new();
    let mut lines = 0;
    let mut input = std::io::stdin().lock();
    loop {
        let read = input.read_until(b'\n', &mut body);
        let read = read.map_err(|error| Problem::new("HW-CLI-002", "cannot read standard input").because(error))?;
        lines += u64::from(read > 0);
        // What a person types is sent line by line; what comes through a pipe in large requests.
        let is_typed = std::io::IsTerminal::is_terminal(&std::io::stdin());
        let is_full = body.len() >= REQUEST_BYTES || lines - sent.lines >= REQUEST_LINES;
        if !body.is_empty() && (read == 0 || is_full || is_typed) {
            send(client, stream, args, std::mem::take(&mut body), sent).await?;
            sent.lines = lines;
        }
        if read == 0 {
            return Ok(());
        }
    }
}

async fn send(client: &Client, stream: &str, args: &Args, body: Vec<u8>, sent: &mut Sent) -> Result<(), Problems> {
    let mut query: Vec<(&str, &str)> = args.key.iter().map(|key| ("key", key.as_str())).collect();
    query.extend(args.id.iter().map(|id| ("id", id.as_str())));
    let answer = client.publish(stream, &query, body).await?;
    let number = |key: &str| answer[key].as_u64().unwrap_or(0);
    sent.accepted += number("accepted") + number("deadLettered");
    sent.duplicates += number("duplicates");
    sent.rejected += number("rejectedTotal");
    for rejected in answer["rejected"].as_array().into_iter().flatten() {
        let line = rejected["line"].as_u64().unwrap_or(0) + sent.lines;
        if let Ok(problem) = serde_json::from_value::<Problem>(rejected["problem"].clone()) {
            output::note(format!("line {line}: error[{}]: {}", problem.code, problem.title));
        } else {
            output::note(format!("line {line}: {}", rejected.get("problem").unwrap_or(&Value::Null)));
        }
    }
    Ok(())
}
