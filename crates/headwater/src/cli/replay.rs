//! `headwater replay`: gives the events of an archive out again; `get replays` and `stop replay/NAME` follow and end it.

use std::process::ExitCode;
use std::time::Duration;

use headwater_base::Clock;
use headwater_kernel::SystemClock;
use reqwest::Method;
use serde_json::{Value, json};

use super::get::text;
use super::words::name_of;
use super::{Context, Done};
use crate::client::Client;
use crate::output::{self, Column, Format};
use crate::problems::Problems;

/// Words that mean replays, which are no resources.
pub const WORDS: [&str; 2] = ["replays", "replay"];

/// How often it is looked whether a replay has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const COLUMNS: &[Column] = &[
    Column::new("NAME", |row| text(row, "/name")),
    Column::new("ARCHIVE", |row| text(row, "/archive")),
    Column::new("STATE", |row| text(row, "/state")),
    Column::new("EVENTS", |row| text(row, "/events")),
    Column::new("UP TO", |row| text(row, "/replayedTo")),
    Column::wide("FROM", |row| text(row, "/from")),
    Column::wide("TO", |row| text(row, "/to")),
    Column::wide("RULES", |row| {
        let rules = row["rules"].as_array().into_iter().flatten();
        rules.filter_map(Value::as_str).collect::<Vec<_>>().join(",")
    }),
    Column::wide("STARTED", |row| text(row, "/started")),
    Column::wide("REASON", |row| text(row, "/reason")),
];

/// Flags of `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The archive, by its name or as `archive/NAME`
    #[arg(value_name = "archive/NAME")]
    archive: String,
    /// First time of the span, such as 2026-11-23T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: String,
    /// First time behind the span [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only to this rule, and to others that are named as well [default: to all rules of the bus]
    #[arg(long = "rule", value_name = "NAME")]
    rules: Vec<String>,
    /// Its name, used once; it stands in each event that is given out [default: drawn]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Wait for its end; exit code 1 unless all events are out
    #[arg(long)]
    wait: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// Begins a replay.
///
/// # Errors
/// `HW-BUS-040` to `-043` for a name that is taken, no archive, an empty span, too many at once; `HW-API-008` for what is
/// no time, `HW-KERNEL-012` for no such rule, `HW-CLI-010` for what is no archive or no rule.
pub async fn run(args: Args, context: &Context) -> Done {
    let archive = name_of("Archive", &args.archive)?;
    let rules = args.rules.iter().map(|rule| name_of("Rule", rule)).collect::<Result<Vec<_>, _>>()?;
    let client = context.client()?;
    for rule in &rules {
        // A replay to nobody would look like one that went well.
        client.get(&["v1", "rules", rule], &[]).await?;
    }
    let now = SystemClock::new().now();
    let name = args.name.unwrap_or_else(|| format!("{archive}-{}", now.0));
    let to = args.to.unwrap_or_else(|| now.to_string());
    let body = json!({ "name": name, "archive": archive, "from": args.from, "to": to, "rules": rules });
    let request = Some(("application/json", body.to_string().into_bytes()));
    client.json(Method::POST, &["v1", "replays"], &[], request).await?;
    let mut row = one(&client, &name).await?;
    while args.wait && text(&row, "/state") == "running" {
        tokio::time::sleep(LOOK_EVERY).await;
        row = one(&client, &name).await?;
    }
    output::print_as("replay", std::slice::from_ref(&row), COLUMNS, args.output, true)?;
    let good = !args.wait || text(&row, "/state") == "completed";
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows all replays, or those of these names.
///
/// # Errors
/// `HW-BUS-044` for a name that none has; what there is of several is shown all the same.
pub async fn get(context: &Context, names: &[String], format: Format) -> Done {
    let client = context.client()?;
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    if names.is_empty() {
        rows = all(&client).await?;
        if rows.is_empty() && matches!(format, Format::Table | Format::Wide) {
            output::note("no replays");
            return Ok(ExitCode::SUCCESS);
        }
    }
    for name in names {
        match one(&client, name).await {
            Ok(row) => rows.push(row),
            Err(more) => problems.extend(more.0),
        }
    }
    if names.is_empty() || !rows.is_empty() {
        output::print_as("replay", &rows, COLUMNS, format, names.len() == 1)?;
    }
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) }
}

/// Ends a replay early; what is out stays out.
///
/// # Errors
/// `HW-BUS-044` when none of that name is under way.
pub async fn stop(name: &str, context: &Context) -> Done {
    context.client()?.json(Method::DELETE, &["v1", "replays", name], &[], None).await?;
    output::line(format!("replay/{name} stopped"))?;
    Ok(ExitCode::SUCCESS)
}

async fn all(client: &Client) -> Result<Vec<Value>, Problems> {
    let mut list = client.get(&["v1", "replays"], &[]).await?;
    Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

async fn one(client: &Client, name: &str) -> Result<Value, Problems> {
    client.get(&["v1", "replays", name], &[]).await
}
