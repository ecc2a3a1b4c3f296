//! `headwater start`: starts an execution of a workflow, and waits for its end if asked to; or makes a report or a
//! schedule due now.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use headwater_base::Problem;
use reqwest::Method;
use serde_json::{Map, Value};

use super::execution::COLUMNS;
use super::get::text;
use super::words::{for_executions, name_of};
use super::{Context, Done};
use crate::output::{self, Format};

/// The longest one request waits; a longer wait is several.
const WAIT_S: &str = "60";

/// Flags of `start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  headwater start workflow/refund --input order.json --wait
  echo '{\"order\": 7}' | headwater start refund --input - --name order-7
  headwater start report/weekly")]
pub struct Args {
    /// The workflow, by its name or as `workflow/NAME`; or `report/NAME` or `schedule/NAME`, which take no flags
    #[arg(value_name = "workflow/NAME")]
    workflow: String,
    /// A file with the input, a JSON value; `-` for standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The execution's name, an idempotency key [default: drawn]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A published version of the workflow, the generation of its resource
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// An alias of the workflow, which draws a version by its weights
    #[arg(long, value_name = "ALIAS", conflicts_with = "version")]
    alias: Option<String>,
    /// Wait for its end; exit code 1 unless it succeeds
    #[arg(long)]
    wait: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

impl Args {
    /// What is for executions alone: a report or a schedule has neither an input nor an end to wait for.
    fn refuse_flags(&self) -> Result<(), Problem> {
        let flags = [
            ("--input", self.input.is_some()),
            ("--name", self.name.is_some()),
            ("--version", self.version.is_some()),
            ("--alias", self.alias.is_some()),
            ("--wait", self.wait),
        ];
        match flags.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => Err(for_executions(flag, &self.workflow)),
            None => Ok(()),
        }
    }
}

/// Starts an execution.
///
/// # Errors
/// `HW-WORK-020` for no such workflow, `HW-WORK-021` for a name that is taken, `HW-BUS-062` for a report or schedule
/// that does not run, `HW-CLI-010` for what cannot be started.
pub async fn run(args: Args, context: &Context) -> Done {
    if let Some((kind @ ("report" | "schedule"), name)) = args.workflow.split_once('/') {
        args.refuse_flags()?;
        let path = ["v1", if kind == "report" { "reports" } else { "schedules" }, name, "runs"];
        context.client()?.json(Method::POST, &path, &[], None).await?;
        output::line(format!("{kind}/{name} started"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = name_of("Workflow", &args.workflow)?;
    let mut body = Map::new();
    if let Some(file) = &args.input {
        body.insert("input".to_owned(), read(file)?);
    }
    body.extend(args.name.map(|name| ("name".to_owned(), Value::from(name))));
    body.extend(args.version.map(|version| ("version".to_owned(), Value::from(version))));
    body.extend(args.alias.map(|alias| ("alias".to_owned(), Value::from(alias))));
    let client = context.client()?;
    let query: &[(&str, &str)] = if args.wait { &[("wait", WAIT_S)] } else { &[] };
    let request = Some(("application/json", Value::Object(body).to_string().into_bytes()));
    let mut view = client.json(Method::POST, &["v1", "workflows", name, "executions"], query, request).await?;
    let id = text(&view, "/id");
    while args.wait && text(&view, "/state") == "RUNNING" {
        let (workflow, execution) = id.split_once('/').unwrap_or((name, &id));
        view = client.get(&["v1", "executions", workflow, execution], &[("wait", WAIT_S)]).await?;
    }
    output::print(std::slice::from_ref(&view), COLUMNS, args.output, true)?;
    let good = !args.wait || text(&view, "/state") == "SUCCEEDED";
    if args.wait && matches!(args.output, Format::Table | Format::Wide) {
        let end = view.get("output").map_or_else(|| text(&view, "/cause"), Value::to_string);
        output::note(end);
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(file: &PathBuf) -> Result<Value, Problem> {
    let shown = file.display();
    let wrong = |cause: String| Problem::new("HW-CLI-002", format!("cannot read `{shown}`")).because(cause);
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    } else {
        bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    }
    serde_json::from_slice(&bytes).map_err(|error| wrong(format!("it is not JSON: {error}")))
}
