//! `headwater tail`: a stream's events, the last ones first found, then new ones as they come.

use std::io::Write;
use std::process::ExitCode;

use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::words::name_of;
use super::{Context, Done};
use crate::output;

/// Flags of `tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  headwater tail orders -f
  headwater tail orders --from earliest -n 100 --record
  headwater tail orders --from 2026-11-23T08:00:00Z | jq .total")]
pub struct Args {
    /// The stream, by its name or as `stream/NAME`
    #[arg(value_name = "stream/NAME")]
    stream: String,
    /// Where to begin: `earliest`, `latest`, an offset, `-N` for the last N of each partition, or an RFC 3339 time
    #[arg(long, value_name = "WHERE", default_value = "-10", allow_hyphen_values = true)]
    from: String,
    /// End after so many events
    #[arg(short = 'n', long, value_name = "COUNT")]
    max: Option<u64>,
    /// Only this partition
    #[arg(short, long)]
    partition: Option<u32>,
    /// Wait for further events
    #[arg(short, long)]
    follow: bool,
    /// Show the whole record with partition, offset, time, key and headers
    #[arg(long)]
    record: bool,
}

/// A record as the node writes it; the value is kept as it came, down to its spaces and the digits of its numbers.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    /// A value that is no text, in base64.
    #[serde(rename = "valueBase64")]
    bytes: Option<&'a str>,
}

impl Row<'_> {
    fn value(&self, out: &mut impl Write) -> std::io::Result<()> {
        match (self.value.map(RawValue::get), self.bytes) {
            (Some(text), _) if text.starts_with('"') => {
                writeln!(out, "{}", serde_json::from_str::<String>(text).as_deref().unwrap_or(text))
            }
            (Some(json), _) => writeln!(out, "{json}"),
            (None, bytes) => writeln!(out, "{}", bytes.unwrap_or("null")),
        }
    }
}

/// Shows events.
///
/// # Errors
/// `HW-API-011` for no stream, `HW-CLI-010` for what is none.
pub async fn run(args: Args, context: &Context) -> Done {
    let stream = name_of("Stream", &args.stream)?;
    let client = context.client()?;
    let (max, partition) = (args.max.map(|max| max.to_string()), args.partition.map(|partition| partition.to_string()));
    let mut query = vec![("from", args.from.as_str())];
    query.extend(max.as_deref().map(|max| ("max", max)));
    query.extend(partition.as_deref().map(|partition| ("partition", partition)));
    if args.follow {
        query.push(("follow", "true"));
    }
    let mut response = client.open(Method::GET, &["v1", "streams", stream, "events"], &query, None).await?;
    let mut rest: Vec<u8> = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| client.broke_off(&error))? {
        rest.extend_from_slice(&chunk);
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
        let lines: Vec<u8> = rest.drain(..=end).collect();
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let written = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).try_for_each(|line| {
            if args.record {
                out.write_all(line)?;
                return out.write_all(b"\n");
            }
            match serde_json::from_slice::<Row<'_>>(line) {
                Ok(row) => row.value(&mut out),
                // The node's own words, such as a problem in the middle of an answer.
                Err(_) => out.write_all(line).and_then(|()| out.write_all(b"\n")),
            }
        });
        output::finish(written.and_then(|()| out.flush()))?;
    }
    Ok(ExitCode::SUCCESS)
}
