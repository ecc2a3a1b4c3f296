//! `headwater get`: lists resources, or shows some.

use std::io::Write;
use std::process::ExitCode;

use headwater_base::{Clock, Micros, Problem};
use headwater_kernel::SystemClock;
use reqwest::Method;
use serde_json::Value;

use super::{Context, Done};
use crate::node::registry;
use crate::output::{self, Column, Format};
use crate::problems::Problems;

/// Flags of `get`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to show: a kind, `KIND/NAME`, or `all`
    #[arg(value_name = "KIND[/NAME]")]
    what: String,
    /// Only these
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

/// Shows resources.
///
/// # Errors
/// `HW-KERNEL-006`, `HW-KERNEL-012` for what there is not.
pub async fn run(args: Args, context: &Context) -> Done {
    let client = context.client()?;
    let (kind, mut names) = split(&args.what, &args.names)?;
    if let (Some(name), None) = (names.pop(), names.first()) {
        let row = client.get(&["v1", &kind, &name], &[]).await?;
        output::print(&[row], COLUMNS, args.output, true)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut query: Vec<(&str, &str)> = args.selector.iter().map(|selector| ("selector", selector.as_str())).collect();
    if args.watch {
        query.push(("watch", "true"));
        let mut response = client.open(Method::GET, &["v1", &kind], &query, None).await?;
        while let Some(chunk) = response.chunk().await.map_err(|error| client.broke_off(&error))? {
            let mut out = std::io::stdout().lock();
            output::finish(out.write_all(&chunk).and_then(|()| out.flush()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let list = client.get(&["v1", &kind], &query).await?;
    let mut rows: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
    let (_, wanted) = split(&args.what, &args.names)?;
    if !wanted.is_empty() {
        rows.retain(|row| {
            row.pointer("/metadata/name").and_then(Value::as_str).is_some_and(|name| wanted.iter().any(|w| w == name))
        });
    }
    let mut columns = COLUMNS.to_vec();
    if kind == "all" {
        columns.insert(0, Column::new("KIND", |row| text(row, "/kind")));
    }
    if rows.is_empty() && matches!(args.output, Format::Table | Format::Wide) {
        output::note(format!("no {kind}"));
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&rows, &columns, args.output, false)?;
    Ok(ExitCode::SUCCESS)
}

/// `KIND[/NAME] NAME...` as a plural and names.
///
/// # Errors
/// `HW-KERNEL-006` for no kind.
pub fn split(what: &str, more: &[String]) -> Result<(String, Vec<String>), Problems> {
    let (kind, name) = what.split_once('/').map_or((what, None), |(kind, name)| (kind, Some(name)));
    let kind = if kind == "all" { "all".to_owned() } else { registry().find(kind)?.plural.to_owned() };
    Ok((kind, name.into_iter().map(str::to_owned).chain(more.iter().cloned()).collect()))
}

/// `KIND/NAME` as a plural and exactly one name.
///
/// # Errors
/// `HW-CLI-010` when the name is missing.
pub fn one(what: &str) -> Result<(String, String), Problems> {
    let (kind, mut names) = split(what, &[])?;
    match names.pop() {
        Some(name) => Ok((kind, name)),
        None => Err(Problem::new("HW-CLI-010", format!("`{what}` names no resource"))
            .help("write `KIND/NAME`, such as `stream/orders`")
            .into()),
    }
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
