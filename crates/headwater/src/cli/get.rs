//! `headwater get`: lists resources, or shows some.

use std::process::ExitCode;

use headwater_base::{Clock, Micros, Problem};
use headwater_kernel::SystemClock;
use reqwest::Method;
use serde_json::Value;

use super::words::{Targets, beside_names, beyond, for_resources, kindless, targets};
use super::{Context, Done, execution, group, query, replay};
use crate::client::Client;
use crate::output::{self, Column, Format, yaml};

/// Flags of `get`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  headwater get all
  headwater get streams,tables -l team=checkout -o wide
  headwater get pipeline/enrich -o yaml > enrich.yaml
  headwater get pipelines -w
  headwater get group/billing")]
pub struct Args {
    /// What to show: kinds such as `streams,tables`, `all`, or `KIND/NAME`; also `groups`, `executions`, `queries` and
    /// `replays`
    #[arg(value_name = "KIND[/NAME]", required_unless_present = "selector")]
    what: Option<String>,
    /// Only these names of the kind, or further `KIND/NAME`
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
    /// Labels they must have, such as `team=checkout,env!=test`
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Go on with every change
    #[arg(short, long)]
    watch: bool,
    /// Of executions only the newest N [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

impl Args {
    /// As [`beyond`]; these can be neither watched nor selected.
    fn beyond(&self, what: &str, words: &[&str]) -> Result<Option<Vec<String>>, Problem> {
        let Some(names) = beyond(what, &self.names, words) else { return Ok(None) };
        if self.watch || self.selector.is_some() {
            return Err(for_resources(if self.watch { "--watch" } else { "--selector" }, what));
        }
        Ok(Some(names))
    }

    /// Refuses `--limit`, for what is listed whole.
    fn unlimited(&self, what: &str) -> Result<(), Problem> {
        if self.limit.is_none() {
            return Ok(());
        }
        let fact = format!("`--limit` is for the list of executions, and `{}` is none", what.escape_debug());
        Err(Problem::new("HW-CLI-025", fact).help("leave it out: everything else is listed whole"))
    }
}

/// The columns of every resource.
const COLUMNS: &[Column] = &[
    Column::new("NAME", |row| output::name(row).split_once('/').map_or_else(String::new, |(_, name)| name.to_owned())),
    Column::new("READY", |row| text(row, "/status/ready")),
    Column::new("REASON", |row| text(row, "/status/reason")),
    Column::new("AGE", age),
    Column::wide("GENERATION", |row| text(row, "/metadata/generation")),
    Column::wide("LABELS", |row| {
        let labels = row.pointer("/metadata/labels").and_then(Value::as_object);
        let pairs =
            labels.into_iter().flatten().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
        pairs.collect::<Vec<_>>().join(",")
    }),
    Column::wide("MESSAGE", |row| text(row, "/status/message")),
];

/// What else is shown of one kind alone.
fn of_kind(plural: &str) -> &'static [Column] {
    const SOURCE: Column = Column::new("SOURCE", |row| text(row, "/spec/source"));
    const SAYS: Column = Column::new("SAYS", |row| text(row, "/status/message"));
    match plural {
        "rules" => {
            const {
                &[
                    Column::new("SOURCE", |row| match text(row, "/spec/schedule") {
                        schedule if !schedule.is_empty() => schedule,
                        _ => or(text(row, "/spec/source"), "bus.default"),
                    }),
                    Column::new("TARGETS", |row| targets_of(row, "/spec/targets")),
                ]
            }
        }
        "schedules" => {
            const {
                &[
                    Column::new("EXPRESSION", |row| text(row, "/spec/expression")),
                    Column::new("TIMEZONE", |row| or(text(row, "/spec/timezone"), "UTC")),
                    Column::new("TARGETS", |row| targets_of(row, "/spec/targets")),
                ]
            }
        }
        "pipes" => {
            const {
                &[
                    Column::new("SOURCE", |row| text(row, "/spec/source/stream") + &text(row, "/spec/source/table")),
                    Column::new("TARGET", |row| text(row, "/spec/target/type")),
                ]
            }
        }
        "destinations" => {
            const {
                &[
                    Column::new("METHOD", |row| or(text(row, "/spec/method"), "POST")),
                    Column::new("URL", |row| text(row, "/spec/url")),
                ]
            }
        }
        "alarms" | "ingests" | "reports" => const { &[SAYS] },
        "archives" => const { &[SOURCE, Column::new("RETENTION", |row| or(text(row, "/spec/retention"), "for ever"))] },
        "datasets" => {
            const {
                &[
                    Column::new("STREAM", |row| {
                        let stream = or(text(row, "/spec/stream"), &text(row, "/spec/letters"));
                        or(stream, &format!("table.{}", text(row, "/spec/table")))
                    }),
                    Column::new("ROWS", |row| text(row, "/table/rows")),
                    Column::new("SNAPSHOTS", |row| text(row, "/table/snapshots")),
                    Column::new("LAG", |row| text(row, "/table/lag")),
                    Column::wide("LOCATION", |row| text(row, "/table/location")),
                ]
            }
        }
        "forecasts" => {
            const {
                &[
                    Column::new("STREAM", |row| text(row, "/spec/stream")),
                    Column::new("INTERVAL", |row| text(row, "/spec/interval")),
                    SAYS,
                ]
            }
        }
        "eventtypes" => {
            const {
                &[
                    Column::new("TYPE", |row| text(row, "/spec/type")),
                    Column::new("STATE", |row| or(text(row, "/spec/state"), "full")),
                    Column::new("VERSIONS", |row| {
                        let versions = row.pointer("/spec/versions").and_then(Value::as_array);
                        versions.map_or_else(String::new, |versions| versions.len().to_string())
                    }),
                    Column::new("PRODUCERS", |row| names(row, "/spec/producers")),
                    Column::new("CONSUMERS", |row| names(row, "/spec/consumers")),
                ]
            }
        }
        _ => &[],
    }
}

fn or(text: String, other: &str) -> String {
    if text.is_empty() { other.to_owned() } else { text }
}

fn targets_of(row: &Value, pointer: &str) -> String {
    let targets = row.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    targets.map(|target| text(target, "/type")).collect::<Vec<_>>().join(",")
}

fn names(row: &Value, pointer: &str) -> String {
    let names = row.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

/// Shows resources.
///
/// # Errors
/// `HW-KERNEL-006`, `HW-KERNEL-012` for what there is not; what there is of several names is shown all the same.
/// `HW-CLI-023` for labels of nothing.
pub async fn run(args: Args, context: &Context) -> Done {
    let Some(what) = args.what.as_deref() else {
        return Err(kindless("get", args.selector.as_deref().unwrap_or_default()).into());
    };
    if let Some(ids) = args.beyond(what, &execution::WORDS)? {
        if ids.is_empty() {
            return execution::list(context, args.limit, args.output).await;
        }
        args.unlimited(what)?;
        return execution::get(context, &ids, args.output).await;
    }
    args.unlimited(what)?;
    if let Some(names) = args.beyond(what, &replay::WORDS)? {
        return replay::get(context, &names, args.output).await;
    }
    if let Some(ids) = args.beyond(what, &query::WORDS)? {
        return query::get(context, &ids, args.output).await;
    }
    if let Some(names) = args.beyond(what, &group::WORDS)? {
        return group::get(context, &names, args.output).await;
    }
    let client = context.client()?;
    let (kinds, named) = match targets(what, &args.names)? {
        Targets::Kinds(kinds) => (kinds, Vec::new()),
        Targets::Named(named) => (named.iter().map(|(kind, _)| kind.clone()).collect(), named),
    };
    if let (false, Some(selector)) = (named.is_empty(), &args.selector) {
        return Err(beside_names(selector).into());
    }
    let mut columns = COLUMNS.to_vec();
    if kinds.iter().any(|kind| kind == "all" || Some(kind) != kinds.first()) {
        columns.insert(0, Column::new("KIND", |row| text(row, "/kind")));
    }
    if let [kind] = kinds.as_slice() {
        let at = columns.iter().position(|column| column.title == "AGE").unwrap_or(columns.len());
        drop(columns.splice(at..at, of_kind(kind).iter().copied()));
    }
    if args.watch && !named.is_empty() {
        for (kind, name) in &named {
            client.get(&["v1", kind, name], &[]).await?;
        }
        let (mut kinds, names): (Vec<String>, Vec<String>) = named.into_iter().unzip();
        kinds.dedup();
        return watch(&client, &kinds, Vec::new(), &names, args.output).await;
    }
    if !named.is_empty() && args.output == Format::Yaml {
        return texts(&client, &named).await;
    }
    if !named.is_empty() {
        let (mut rows, mut problems) = (Vec::new(), Vec::new());
        for (kind, name) in &named {
            match client.get(&["v1", kind, name], &[]).await {
                Ok(row) => rows.push(row),
                Err(more) => problems.extend(more.0),
            }
        }
        if !rows.is_empty() {
            with_tables(&client, &kinds, args.output, &mut rows).await;
            output::print(&rows, &with_reasons(columns, &rows), args.output, named.len() == 1)?;
        }
        return if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) };
    }
    let query: Vec<(&str, &str)> = args.selector.iter().map(|selector| ("selector", selector.as_str())).collect();
    if args.watch {
        return watch(&client, &kinds, query, &[], args.output).await;
    }
    let mut rows: Vec<Value> = Vec::new();
    for kind in &kinds {
        let mut list = client.get(&["v1", kind], &query).await?;
        rows.extend(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
    }
    if rows.is_empty() && matches!(args.output, Format::Table | Format::Wide) {
        let shown = if kinds.iter().any(|kind| kind == "all") { "resources".to_owned() } else { kinds.join(", ") };
        output::note(format!("no {shown}"));
        return Ok(ExitCode::SUCCESS);
    }
    with_tables(&client, &kinds, args.output, &mut rows).await;
    output::print(&rows, &with_reasons(columns, &rows), args.output, false)?;
    Ok(ExitCode::SUCCESS)
}

/// The columns for these rows: where one is not ready, its message stands beside it, unless it does so already.
fn with_reasons(mut columns: Vec<Column>, rows: &[Value]) -> Vec<Column> {
    let are_told = columns.iter().any(|column| column.title == "SAYS");
    if !are_told && rows.iter().any(|row| text(row, "/status/ready") != "true") {
        columns.iter_mut().filter(|column| column.title == "MESSAGE").for_each(|column| column.wide = false);
    }
    columns
}

/// Prints resources as their authors wrote them, and those without such a text with everything that is known of them.
async fn texts(client: &Client, named: &[(String, String)]) -> Done {
    let (mut shown, mut problems) = (0, Vec::new());
    for (kind, name) in named {
        let text = match client.authored(kind, name).await {
            Ok(Some(text)) => Ok(text),
            Ok(None) => client.get(&["v1", kind, name], &[]).await.map(|row| yaml::write(&row)),
            Err(more) => Err(more),
        };
        match text {
            Ok(text) => {
                if shown > 0 && !text.starts_with("---") {
                    output::line("---")?;
                }
                output::line(text.strip_suffix('\n').unwrap_or(&text))?;
                shown += 1;
            }
            Err(more) => problems.extend(more.0),
        }
    }
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) }
}

/// Adds to datasets what is known of their tables, where people read it. One without a table yet shows nothing.
async fn with_tables(client: &Client, kinds: &[String], format: Format, rows: &mut [Value]) {
    if !kinds.iter().all(|kind| kind == "datasets") || !matches!(format, Format::Table | Format::Wide | Format::Csv) {
        return;
    }
    for row in rows {
        let name = text(row, "/metadata/name");
        if let Ok(table) = client.get(&["v1", "datasets", &name, "table"], &[]).await {
            row["table"] = table;
        }
    }
}

/// Shows resources, those of `names` if there are any, and then every change of one, until the node stops; `HW-CLI-022`
/// when changes were missed.
async fn watch(
    client: &Client,
    kinds: &[String],
    mut query: Vec<(&str, &str)>,
    names: &[String],
    format: Format,
) -> Done {
    const TITLES: [&str; 4] = ["CHANGE", "RESOURCE", "READY", "REASON"];
    query.push(("watch", "true"));
    let [kind] = kinds else {
        return Err(Problem::new("HW-CLI-010", "several kinds cannot be watched at once")
            .help("watch one kind, or `all`")
            .into());
    };
    let row = |[change, resource, ready, reason]: [String; 4]| match format {
        Format::Csv => output::csv_line([change, resource, ready, reason].into_iter()),
        _ => format!("{change:<8} {resource:<40} {ready:<8} {reason}"),
    };
    match format {
        Format::Csv => output::line(row(TITLES.map(str::to_lowercase)))?,
        Format::Table | Format::Wide => output::line(row(TITLES.map(str::to_owned)))?,
        Format::Json | Format::Yaml | Format::Ndjson | Format::Name => {}
    }
    let mut response = client.open(Method::GET, &["v1", kind], &query, None).await?;
    let mut rest: Vec<u8> = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| client.broke_off(&error))? {
        rest.extend_from_slice(&chunk);
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
        let lines: Vec<u8> = rest.drain(..=end).collect();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let change: Value = serde_json::from_slice(line).unwrap_or_default();
            if change["type"] == "lost" {
                let fact = "the node could not tell all changes, because they were taken too slowly";
                return Err(Problem::new("HW-CLI-022", fact)
                    .help("run it again: it begins with how things are")
                    .into());
            }
            // Of what is gone only kind and name are told.
            let resource = change.get("resource").unwrap_or(&change);
            let id = output::name(resource);
            let name = id.split_once('/').map_or("", |(_, name)| name);
            if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
                continue;
            }
            match format {
                // The kind of change is part of the data only where there is room for it.
                Format::Ndjson => output::line(&change)?,
                Format::Json | Format::Yaml | Format::Name => {
                    output::print(std::slice::from_ref(resource), COLUMNS, format, true)?;
                }
                Format::Table | Format::Wide | Format::Csv => {
                    let (ready, reason) = (text(resource, "/status/ready"), text(resource, "/status/reason"));
                    output::line(row([text(&change, "/type"), id, ready, reason]))?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A member as text.
pub fn text(row: &Value, pointer: &str) -> String {
    match row.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn age(row: &Value) -> String {
    let Some(created) = Micros::parse_rfc3339(&text(row, "/metadata/created")) else { return String::new() };
    let seconds = SystemClock::new().now().since(created).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
