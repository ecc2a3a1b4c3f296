//! `headwater table`: reads and writes documents of tables. The tables themselves are resources, for `apply` and `get`.

use std::io::Read;
use std::process::ExitCode;

use headwater_base::Problem;
use headwater_wire::exact::Exact;
use reqwest::Method;
use serde_json::json;

use super::words::name_of;
use super::{Context, Done};
use crate::client::Client;
use crate::output::{self, Column, Format};
use crate::problems::Problems;

/// Flags of `table`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Expressions are those of DynamoDB; values may stand in them: `status = 'COMPLETE' AND size(jobs) > 1`,
`SET status = 'DONE', tries = if_not_exists(tries, 0) + 1 REMOVE note ADD cost 0.25`.

Examples:
  headwater table put users u7 '{\"plan\": \"pro\"}' --condition 'attribute_not_exists(plan)'
  headwater table query users --filter \"plan = 'pro'\" -o ndjson
  headwater table update users u7 'SET seen = if_not_exists(seen, 0) + 1'")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show documents by their keys
    Get {
        /// The table, also as `table/NAME`
        table: String,
        /// Keys of documents
        #[arg(required = true)]
        keys: Vec<String>,
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
        output: Format,
    },
    /// List documents, by key or by an index
    Query(QueryArgs),
    /// Write a document, given as an argument or on standard input
    Put {
        /// The table, also as `table/NAME`
        table: String,
        /// The document's key
        key: String,
        /// A JSON object
        document: Option<String>,
        #[command(flatten)]
        guard: Guard,
    },
    /// Change a document, or make it, and show the new one
    Update {
        /// The table, also as `table/NAME`
        table: String,
        /// The document's key
        key: String,
        /// What to do: `SET`, `REMOVE`, `ADD`, `DELETE`
        expression: String,
        #[command(flatten)]
        guard: Guard,
    },
    /// Delete a document
    Delete {
        /// The table, also as `table/NAME`
        table: String,
        /// The document's key
        key: String,
        #[command(flatten)]
        guard: Guard,
    },
}

#[derive(Debug, clap::Args)]
struct Guard {
    /// Do it only if this holds for what is there, such as `attribute_not_exists(total)`
    #[arg(long, value_name = "EXPRESSION")]
    condition: Option<String>,
    #[command(flatten)]
    given: Given,
}

#[derive(Debug, clap::Args)]
struct Given {
    /// What each `#name` of the expressions stands for, a JSON object
    #[arg(long, value_name = "JSON")]
    names: Option<String>,
    /// What each `:value` of the expressions stands for, a JSON object
    #[arg(long, value_name = "JSON")]
    values: Option<String>,
}

#[derive(Debug, clap::Args)]
struct QueryArgs {
    /// The table, also as `table/NAME`
    table: String,
    /// Only documents for which this holds, such as `status = 'COMPLETE'`
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    #[command(flatten)]
    given: Given,
    /// Go by this index instead of the key
    #[arg(long, value_name = "NAME")]
    index: Option<String>,
    /// What the index's first field has to be; a JSON array for several fields
    #[arg(long, value_name = "VALUE")]
    equals: Option<String>,
    /// The least key, or value of the index's next field
    #[arg(long, value_name = "VALUE")]
    from: Option<String>,
    /// The largest key, or value of the index's next field
    #[arg(long, value_name = "VALUE")]
    to: Option<String>,
    /// Largest first
    #[arg(long)]
    descending: bool,
    /// At most so many documents
    #[arg(long, default_value_t = 100, value_name = "N")]
    max: usize,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

const COLUMNS: &[Column] = &[
    Column::new("KEY", |row| super::get::text(row, "/key")),
    Column::new("VERSION", |row| super::get::text(row, "/version")),
    Column::new("UPDATED", |row| super::get::text(row, "/updated")),
    Column::new("DOCUMENT", |row| super::get::text(row, "/value")),
];

/// Reads or writes documents.
///
/// # Errors
/// `HW-KERNEL-*` and `HW-API-*` of the node; `HW-CLI-019` for no document.
pub async fn run(args: Args, context: &Context) -> Done {
    let client = context.client()?;
    match args.verb {
        Verb::Get { table, keys, output } => {
            let table = name_of("Table", &table)?;
            let (mut rows, mut problems) = (Vec::new(), Vec::new());
            for key in &keys {
                let bounds = [("from", key.as_str()), ("to", key.as_str())];
                let page = client.exact(Method::GET, &["v1", "tables", table, "documents"], &bounds, None).await?;
                let (found, _) = documents(page);
                match found.into_iter().next() {
                    Some(row) => rows.push(row),
                    // The node knows best how to say that there is none.
                    None => problems
                        .extend(client.get(&path(table, key), &[]).await.err().into_iter().flat_map(|more| more.0)),
                }
            }
            if !rows.is_empty() {
                output::print_exact(&rows, COLUMNS, output, keys.len() == 1)?;
            }
            if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) }
        }
        Verb::Query(args) => query(&client, &args).await,
        Verb::Put { table, key, document, guard } => {
            let (table, query) = (name_of("Table", &table)?, guard.query()?);
            let document = match document {
                Some(document) => document.into_bytes(),
                None => standard_input()?,
            };
            let body = Some(("application/json", document));
            let answer = client.json(Method::PUT, &path(table, &key), &query, body).await?;
            output::line(format!("{table}/{key} written at version {}", answer["version"]))?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Update { table, key, expression, guard } => {
            let table = name_of("Table", &table)?;
            let mut body = vec![("update".to_owned(), Exact::String(expression))];
            body.extend(guard.condition.map(|text| ("condition".to_owned(), Exact::String(text))));
            for (name, text) in [("names", guard.given.names), ("values", guard.given.values)] {
                if let Some(text) = text {
                    body.push((name.to_owned(), object(name, &text)?));
                }
            }
            let body = Some(("application/json", Exact::Map(body).to_string().into_bytes()));
            let answer = client.exact(Method::PATCH, &path(table, &key), &[], body).await?;
            output::line(answer)?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Delete { table, key, guard } => {
            let table = name_of("Table", &table)?;
            client.json(Method::DELETE, &path(table, &key), &guard.query()?, None).await?;
            output::line(format!("{table}/{key} deleted"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn query(client: &Client, args: &QueryArgs) -> Done {
    let table = name_of("Table", &args.table)?;
    let mut rows: Vec<Exact> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let max = (args.max - rows.len()).min(10_000).to_string();
        let mut query = vec![("max", max.as_str())];
        let texts = [
            ("filter", &args.filter),
            ("names", &args.given.names),
            ("values", &args.given.values),
            ("index", &args.index),
            ("equals", &args.equals),
            ("from", &args.from),
            ("to", &args.to),
            ("after", &after),
        ];
        query.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))));
        if args.descending {
            query.push(("descending", "true"));
        }
        let page = client.exact(Method::GET, &["v1", "tables", table, "documents"], &query, None).await?;
        let (found, next) = documents(page);
        rows.extend(found);
        after = next;
        if after.is_none() || rows.len() >= args.max {
            break;
        }
    }
    if rows.is_empty() && matches!(args.output, Format::Table | Format::Wide) {
        output::note("no documents");
        return Ok(ExitCode::SUCCESS);
    }
    output::print_exact(&rows, COLUMNS, args.output, false)?;
    Ok(ExitCode::SUCCESS)
}

/// The documents of a page, and where the next one begins.
fn documents(page: Exact) -> (Vec<Exact>, Option<String>) {
    let (mut found, mut next) = (Vec::new(), None);
    let Exact::Map(members) = page else { return (found, next) };
    for (name, value) in members {
        match (name.as_str(), value) {
            ("documents", Exact::List(documents)) => found = documents,
            ("next", Exact::String(place)) => next = Some(place),
            _ => {}
        }
    }
    (found, next)
}

impl Guard {
    /// `HW-CLI-025` for names and values of a condition that is not given.
    fn query(&self) -> Result<Vec<(&str, &str)>, Problem> {
        let texts = [("condition", &self.condition), ("names", &self.given.names), ("values", &self.given.values)];
        let given: Vec<(&str, &str)> =
            texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))).collect();
        match given.first() {
            Some((name, _)) if self.condition.is_none() => {
                let fact = format!("`--{name}` stands without a condition that it could be of");
                Err(Problem::new("HW-CLI-025", fact).help("add `--condition EXPRESSION`, or leave it out"))
            }
            _ => Ok(given),
        }
    }
}

fn path<'a>(table: &'a str, key: &'a str) -> [&'a str; 5] {
    ["v1", "tables", table, "documents", key]
}

fn object(name: &str, text: &str) -> Result<Exact, Problems> {
    match Exact::read(text.as_bytes()) {
        Ok(object @ Exact::Map(_)) => Ok(object),
        _ => Err(Problem::new("HW-CLI-019", format!("`--{name}` is no JSON object"))
            .help(format!("write `--{name} '{}'`", json!({ if name == "names" { "#s" } else { ":done" }: "…" })))
            .into()),
    }
}

fn standard_input() -> Result<Vec<u8>, Problems> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).map_err(|error| {
        Problem::new("HW-CLI-019", "standard input gives no document")
            .because(error)
            .help("give the document as an argument")
    })?;
    Ok(text)
}
