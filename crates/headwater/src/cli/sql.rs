//! `headwater sql`: asks streams, tables and datasets.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use headwater_base::{Principal, Problem};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Context, Done};
use crate::output;

/// Flags of `sql`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Datasets go by their name, streams and tables by `streams.NAME` and `tables.NAME`; a name with dots
stands in double quotes. `->` and `->>` look into JSON:
  headwater sql \"SELECT value->>'kind' AS kind, count(*) FROM streams.\\\"market.raw\\\" GROUP BY 1\"
  headwater sql 'SHOW TABLES'"
)]
pub struct Args {
    /// The statement; standard input if it is left out
    #[arg(conflicts_with = "file")]
    statement: Option<String>,
    /// Read the statement from a file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// No more rows than this [default: 1000 for `-o table`, otherwise all]
    #[arg(short = 'n', long, value_name = "COUNT")]
    max: Option<usize>,
    /// Ask as this principal: the answer has the rows that policies let them see [default: admin, who sees all]
    #[arg(long = "as", value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
}

/// The form of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Columns under headings
    #[default]
    Table,
    /// A JSON object for each row
    Ndjson,
    /// One JSON object with `columns` and `rows`
    Json,
    /// Comma-separated values with a header
    Csv,
}

/// The columns of a plan, which is shown as it is: its lines would make one line of a cell.
const PLAN: [&str; 2] = ["plan_type", "plan"];

/// Rows that a person reads.
const TABLE_ROWS: usize = 1_000;

/// Asks.
///
/// # Errors
/// `HW-LAKE-040` to `-049`, and `HW-CLI-002` for a file that cannot be read.
pub async fn run(args: Args, context: &Context) -> Done {
    let statement = statement(&args)?;
    let principal = args.principal.as_deref().map(Principal::new).transpose()?;
    let client = context.client()?.on_behalf_of(principal);
    let (format, max) = match args.output {
        // One more tells whether there are more.
        Form::Table => ("json", Some(args.max.unwrap_or(TABLE_ROWS).saturating_add(1))),
        Form::Json => ("json", args.max),
        Form::Ndjson => ("ndjson", args.max),
        Form::Csv => ("csv", args.max),
    };
    let body = json!({"query": statement, "format": format, "maxRows": max}).to_string().into_bytes();
    let body = Some(("application/json", body));
    if args.output == Form::Table {
        let answer = client.json(Method::POST, &["v1", "sql"], &[], body).await?;
        show(&answer, args.max.unwrap_or(TABLE_ROWS))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut response = client.open(Method::POST, &["v1", "sql"], &[], body).await?;
    while let Some(chunk) = response.chunk().await.map_err(|error| client.broke_off(&error))? {
        let mut out = std::io::stdout().lock();
        output::finish(out.write_all(&chunk).and_then(|()| out.flush()))?;
    }
    if args.output == Form::Json {
        output::line("")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn statement(args: &Args) -> Result<String, Problem> {
    let unreadable =
        |what: String, error: std::io::Error| Problem::new("HW-CLI-002", format!("cannot read {what}")).because(error);
    match (&args.statement, &args.file) {
        (Some(statement), _) => Ok(statement.clone()),
        (None, Some(file)) => {
            std::fs::read_to_string(file).map_err(|error| unreadable(format!("`{}`", file.display()), error))
        }
        (None, None) => {
            let mut input = std::io::stdin().lock();
            if input.is_terminal() {
                output::note("the statement is read from standard input, up to Ctrl-D");
            }
            let mut text = String::new();
            let read = input.read_to_string(&mut text);
            read.map_err(|error| unreadable("standard input".to_owned(), error))?;
            Ok(text)
        }
    }
}

fn show(answer: &Value, max: usize) -> Result<(), Problem> {
    let none = Vec::new();
    let list = |name: &str| answer[name].as_array().unwrap_or(&none).iter();
    let titles: Vec<String> = list("columns").map(|column| cell(&column["name"])).collect();
    let rows: Vec<Vec<String>> =
        list("rows").take(max).map(|row| row.as_array().unwrap_or(&none).iter().map(cell).collect()).collect();
    if titles == PLAN {
        return rows
            .iter()
            .flatten()
            .flat_map(|cell| cell.lines())
            .try_for_each(|line| output::line(output::clean(line.to_owned())));
    }
    output::grid(&titles, &rows)?;
    if list("rows").len() > max {
        output::note(format!("the first {max} rows; `--max` shows more, `-o csv` all"));
    }
    Ok(())
}

/// A text without its quotes; nothing for null.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
