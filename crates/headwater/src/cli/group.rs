//! Consumer groups: `headwater get groups` lists them, and `headwater reset group/NAME` says where one reads on. `delete`
//! ends them beside resources.

use std::process::ExitCode;

use headwater_base::Problem;
use reqwest::Method;
use serde_json::Value;

use super::get::text;
use super::{Context, Done};
use crate::output::{self, Column, Format};

/// What stands for the kind of consumer groups, which are no resources.
pub const PLURAL: &str = "groups";

/// Words that mean consumer groups.
pub const WORDS: [&str; 2] = [PLURAL, "group"];

const COLUMNS: &[Column] = &[
    Column::new("NAME", |row| text(row, "/name")),
    Column::new("STATE", |row| text(row, "/state")),
    Column::new("MEMBERS", |row| text(row, "/members")),
    Column::new("LAG", |row| text(row, "/lag")),
];

const PLACES: &[Column] = &[
    Column::new("STREAM", |row| text(row, "/stream")),
    Column::new("PARTITION", |row| text(row, "/partition")),
    Column::new("OFFSET", |row| text(row, "/offset")),
    Column::new("END", |row| text(row, "/end")),
    Column::new("LAG", |row| text(row, "/lag")),
];

const STEPS: &[Column] = &[
    Column::new("STREAM", |row| text(row, "/stream")),
    Column::new("PARTITION", |row| text(row, "/partition")),
    Column::new("BEFORE", |row| text(row, "/before")),
    Column::new("AFTER", |row| text(row, "/after")),
    Column::new("END", |row| text(row, "/end")),
    Column::new("LAG", |row| text(row, "/lag")),
];

/// Flags of `reset`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The consumer group, by its name or as `group/NAME`
    #[arg(value_name = "group/NAME")]
    group: String,
    /// Where it reads on: `earliest`, `latest`, an offset, `-N` for the last N of each partition, or an RFC 3339 time
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    #[arg(required_unless_present = "by", conflicts_with = "by")]
    to: Option<String>,
    /// So many records ahead of where it is; back with `-N`
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    by: Option<i64>,
    /// Only of this stream [default: all that it has read]
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Only this partition of the stream
    #[arg(short, long, value_name = "N", requires = "stream")]
    partition: Option<u32>,
    /// Say what would be set and set nothing
    #[arg(long)]
    dry_run: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// Shows all consumer groups, or where those of these names are.
///
/// # Errors
/// `HW-API-023` for a name that none has; what there is of several is shown all the same.
pub async fn get(context: &Context, names: &[String], format: Format) -> Done {
    let client = context.client()?;
    if names.is_empty() {
        let mut list = client.get(&["v1", "groups"], &[]).await?;
        let rows = list["groups"].as_array_mut().map(std::mem::take).unwrap_or_default();
        if rows.is_empty() && matches!(format, Format::Table | Format::Wide) {
            output::note("no groups");
            return Ok(ExitCode::SUCCESS);
        }
        output::print_as("group", &rows, COLUMNS, format, false)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (mut groups, mut problems) = (Vec::with_capacity(names.len()), Vec::new());
    for name in names {
        match client.get(&["v1", "groups", name], &[]).await {
            Ok(group) => groups.push(group),
            Err(more) => problems.extend(more.0),
        }
    }
    if !groups.is_empty() {
        show(&groups, names.len() > 1, format)?;
    }
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) }
}

/// Shows where groups are. A table has a row for each partition, and says whose it is where several groups were asked for.
fn show(groups: &[Value], several: bool, format: Format) -> Result<(), Problem> {
    if !matches!(format, Format::Table | Format::Wide | Format::Csv) {
        return output::print_as("group", groups, COLUMNS, format, !several);
    }
    let rows: Vec<Value> = groups.iter().flat_map(places).collect();
    let mut columns = PLACES.to_vec();
    if several {
        columns.insert(0, Column::new("GROUP", |row| text(row, "/group")));
    }
    output::print(&rows, &columns, format, false)
}

/// Where a group is in each partition, with its name.
fn places(group: &Value) -> Vec<Value> {
    let named = |place: &Value| {
        let mut row = place.clone();
        if let Some(members) = row.as_object_mut() {
            members.insert("group".to_owned(), group["name"].clone());
        }
        row
    };
    group["partitions"].as_array().into_iter().flatten().map(named).collect()
}

/// The name of the group that is meant.
fn named(what: &str) -> Result<&str, Problem> {
    match what.split_once('/') {
        None => Ok(what),
        Some((word, name)) if WORDS.contains(&word) && !name.is_empty() => Ok(name),
        Some(_) => Err(nameless(what)),
    }
}

/// `HW-CLI-010`: words that name no group.
pub fn nameless(what: &str) -> Problem {
    Problem::new("HW-CLI-010", format!("`{}` names no consumer group", what.escape_debug()))
        .help("write `group/NAME`; `headwater get groups` lists them")
}

/// Sets where a group without members reads on, or says what would be set.
///
/// # Errors
/// `HW-API-023` for no such group, `HW-API-116` while it has members, `HW-API-117` for one that has read nothing there.
pub async fn reset(args: Args, context: &Context) -> Done {
    let name = named(&args.group)?;
    let (by, partition) = (args.by.map(|by| by.to_string()), args.partition.map(|partition| partition.to_string()));
    let given = [("to", &args.to), ("by", &by), ("stream", &args.stream), ("partition", &partition)];
    let mut query: Vec<(&str, &str)> =
        given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    if args.dry_run {
        query.push(("dry-run", "true"));
    }
    let mut answer = context.client()?.json(Method::POST, &["v1", "groups", name, "offsets"], &query, None).await?;
    let rows = answer["partitions"].as_array_mut().map(std::mem::take).unwrap_or_default();
    output::print_as("stream", &rows, STEPS, args.output, false)?;
    if args.dry_run {
        output::note("nothing was set");
    }
    Ok(ExitCode::SUCCESS)
}
