//! `headwater solution report`: what a solution has to say about what it has gathered.

use std::process::ExitCode;

use headwater_base::Problem;
use headwater_cost::Time;
use headwater_cost::focus;
use headwater_cost::report::{BY, By, Launch, PERIODS, launches, report, word};
use serde_json::Value;

use crate::cli::{Context, Done};
use crate::output::{self, Column, Format};
use crate::solution::workflow_cost::tables;

/// Flags of `solution report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The solution
    pub(super) name: String,
    /// What to group launches by: state, consumer, type, service, period, resource or estimate
    #[arg(long, value_name = "WORD", default_value = "consumer")]
    by: String,
    /// Split sums by day, week, month or year
    #[arg(long, value_name = "WORD")]
    period: Option<String>,
    /// Only launches that ended at this time or later
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only launches that ended before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Print the lines of all bills as a FOCUS file instead
    #[arg(long, conflicts_with_all = ["by", "period", "output"])]
    focus: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

fn cell(row: &Value, name: &str) -> String {
    match &row[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

const STATES: &[Column] = &[
    Column::new("STATE", |row| cell(row, "state")),
    Column::new("LAUNCHES", |row| cell(row, "launches")),
    Column::new("SECONDS", |row| cell(row, "seconds_total")),
    Column::new("MEAN", |row| cell(row, "seconds_mean")),
    Column::new("P50", |row| cell(row, "seconds_p50")),
    Column::new("P95", |row| cell(row, "seconds_p95")),
    Column::new("MAX", |row| cell(row, "seconds_max")),
];

const LAUNCHES: Column = Column::new("LAUNCHES", |row| cell(row, "launches"));
const UNPRICED: Column = Column::new("UNPRICED", |row| cell(row, "unpriced"));
const SECONDS: Column = Column::new("SECONDS", |row| cell(row, "seconds"));
const TOTAL: Column = Column::new("TOTAL", |row| cell(row, "total_cost"));
const INSTANCES: Column = Column::wide("INSTANCES", |row| cell(row, "instance_cost"));
const VOLUMES: Column = Column::wide("VOLUMES", |row| cell(row, "volume_cost"));
const FILE_SYSTEMS: Column = Column::wide("FILE SYSTEMS", |row| cell(row, "filesystem_cost"));
const FAILED: Column = Column::new("FAILED", |row| cell(row, "failed_cost"));
const CURRENCY: Column = Column::new("CURRENCY", |row| cell(row, "currency"));
const PERIOD: Column = Column::new("PERIOD", |row| cell(row, "period"));
const SUMS: [Column; 9] = [LAUNCHES, UNPRICED, SECONDS, TOTAL, INSTANCES, VOLUMES, FILE_SYSTEMS, FAILED, CURRENCY];

const GROUP: [Column; 3] = [
    Column::new("WORKFLOW", |row| cell(row, "workflow")),
    Column::new("DATA SET", |row| cell(row, "dataset")),
    Column::new("RESOURCE", |row| cell(row, "resource")),
];

const RESOURCES: [Column; 6] = [
    LAUNCHES,
    Column::new("SECONDS", |row| cell(row, "seconds_mean")),
    Column::wide("P95", |row| cell(row, "seconds_p95")),
    Column::new("COST", |row| cell(row, "cost_mean")),
    CURRENCY,
    Column::new("BEST", |row| {
        let words = [("is_cheapest", "cheapest"), ("is_fastest", "fastest")];
        words.into_iter().filter(|(name, _)| row[*name] == true).map(|(_, word)| word).collect::<Vec<_>>().join(", ")
    }),
];

const ESTIMATES: [Column; 8] = [
    LAUNCHES,
    Column::new("COST", |row| cell(row, "cost")),
    Column::new("LOW", |row| cell(row, "cost_low")),
    Column::new("HIGH", |row| cell(row, "cost_high")),
    CURRENCY,
    Column::new("OFF BY %", |row| cell(row, "cost_error_percent")),
    Column::new("SECONDS", |row| cell(row, "seconds")),
    Column::wide("SECONDS OFF BY %", |row| cell(row, "seconds_error_percent")),
];

/// Reads the launches and prints the report.
///
/// # Errors
/// `HW-COST-004` for a word or a time that is none, `HW-CLI-025` for a period that it has not, and what the node says.
pub(super) async fn run(args: Args, context: &Context) -> Done {
    let by = word("report", &args.by, &BY)?;
    let period = args.period.as_deref().map(|text| word("period", text, &PERIODS)).transpose()?;
    if period.is_some() && matches!(by, By::State | By::Resource | By::Estimate) {
        let fact = format!("a report by `{}` has no periods, and `--period` is given", args.by);
        return Err(Problem::new("HW-CLI-025", fact)
            .help(
                "reports by `consumer`, `type`, `service` and `period` have; `--from` and `--to` choose a time for any",
            )
            .into());
    }
    let (from, to) = (time("--from", args.from.as_deref())?, time("--to", args.to.as_deref())?);
    let documents = tables::all(&context.client()?, "launches").await?;
    let mut found = launches(&documents)?;
    let within = |launch: &Launch| {
        let ended = launch.ended;
        from.is_none_or(|from| ended.is_some_and(|ended| ended >= from))
            && to.is_none_or(|to| ended.is_some_and(|ended| ended < to))
    };
    found.retain(within);
    if args.focus {
        let export = focus::export(&found)?;
        output::line(export.csv.trim_end())?;
        if export.unpriced > 0 {
            output::note(format!("{} lines have no price and are left out", export.unpriced));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let columns: Vec<Column> = match by {
        By::State => STATES.to_vec(),
        By::Resource => GROUP.into_iter().chain(RESOURCES).collect(),
        By::Estimate => GROUP.into_iter().chain(ESTIMATES).collect(),
        By::Period => std::iter::once(PERIOD).chain(SUMS).collect(),
        By::Consumer | By::Type | By::Service => {
            let group = match by {
                By::Consumer => Column::new("CONSUMER", |row| cell(row, "consumer")),
                By::Type => Column::new("WORKFLOW", |row| cell(row, "workflow")),
                _ => Column::new("SERVICE", |row| cell(row, "service")),
            };
            period.map(|_| PERIOD).into_iter().chain([group]).chain(SUMS).collect()
        }
    };
    output::print(&report(&found, by, period), &columns, args.output, false)?;
    Ok(ExitCode::SUCCESS)
}

fn time(flag: &str, text: Option<&str>) -> Result<Option<Time>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let found = Time::parse(text).or_else(|| Time::parse(&format!("{text}T00:00:00Z")));
    found.map(Some).ok_or_else(|| {
        Problem::new("HW-COST-004", format!("`{flag}` is no time: `{}`", text.escape_debug()))
            .help("write a day such as `2026-11-28` or an RFC 3339 time")
    })
}
