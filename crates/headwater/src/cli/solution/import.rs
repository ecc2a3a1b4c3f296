//! `headwater solution import`: records from outside into a solution's tables.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use headwater_base::{Problem, closest};
use headwater_cost::Time;
use headwater_cost::discounts;
use headwater_cost::engines::{self, About, ENGINES, Engine, File};
use headwater_cost::lists::{self, Reservation};
use headwater_cost::report::word;
use serde_json::{Value, json};

use crate::cli::{Context, Done};
use crate::output;
use crate::problems::Problems;
use crate::solution::node::wall_ms;
use crate::solution::workflow_cost::tables;

/// Flags of `solution import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The solution
    pub(super) name: String,
    /// A run folder or its files; for price lists and discounts the files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Read the records of a run by this engine: snakemake, cwltool, miniwdl, nextflow, json or batch
    #[arg(long, value_name = "WORD", required_unless_present_any = ["prices", "discounts"])]
    engine: Option<String>,
    /// Name of the run
    #[arg(long, value_name = "ID", required_unless_present_any = ["prices", "discounts"])]
    id: Option<String>,
    /// JSON file that says what the records do not: workflow, dataset, consumer, account, service, iterations, machine,
    /// utc_offset_minutes
    #[arg(long, value_name = "FILE")]
    about: Option<PathBuf>,
    /// Read price lists in this form: aws (GetProducts), spot (DescribeSpotPriceHistory) or csv
    #[arg(long, value_name = "FORM", conflicts_with_all = ["engine", "id", "about"])]
    prices: Option<String>,
    /// Read discounts, as JSON or CSV; they take the place of those of the accounts that are named
    #[arg(long, conflicts_with_all = ["engine", "id", "about", "prices"])]
    discounts: bool,
    /// When the price lists were read [default: now]
    #[arg(long, value_name = "TIME", requires = "prices")]
    as_of: Option<String>,
}

/// Largest file of a run folder that is taken for a record.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most files of a run folder.
const FILES_MAX: usize = 10_000;

#[derive(Clone, Copy)]
enum Form {
    Aws,
    Spot,
    Csv,
}

const FORMS: [(&str, Form); 3] = [("aws", Form::Aws), ("spot", Form::Spot), ("csv", Form::Csv)];

/// How many there are of something.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Reads and writes.
///
/// # Errors
/// `HW-COST-*` for what cannot be read, `HW-CLI-206` for a file that cannot be opened, and what the node says.
pub(super) async fn run(args: Args, context: &Context) -> Done {
    let node = context.client()?;
    if args.discounts {
        let mut rules = Vec::new();
        for path in &args.paths {
            rules.extend(discounts::read(&read(path)?).map_err(|problem| in_file(problem, path))?);
        }
        let count = rules.len();
        let accounts = tables::replace_discounts(&node, rules).await?;
        output::line(format!("{} of {}", counted(count, "rule"), counted(accounts, "account")))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(form) = &args.prices {
        let form = word("form of a price list", form, &FORMS)?;
        let as_of = as_of(args.as_of.as_deref())?;
        for path in &args.paths {
            let bytes = read(path)?;
            let list = match form {
                Form::Aws => lists::aws(&bytes, as_of, &Reservation::default()),
                Form::Spot => lists::spot(&bytes, as_of),
                Form::Csv => lists::csv(&bytes, as_of),
            };
            let list = list.map_err(|problem| in_file(problem, path))?;
            for (reason, count) in &list.skipped {
                output::note(format!("{}: {count} left out: {reason}", path.display()));
            }
            if list.more {
                let said = "its `NextToken` says that more follow; import all pages";
                output::note(format!("{}: this is one page of several: {said}", path.display()));
            }
            let count = list.series.len();
            tables::merge_prices(&node, list.series).await?;
            output::line(format!("{}: {count} series", path.display()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let engine = word("engine", args.engine.as_deref().unwrap_or_default(), &ENGINES)?;
    let mut about = about(args.about.as_deref())?;
    about.id = args.id.unwrap_or_default();
    let files = gather(&args.paths, engine)?;
    let files: Vec<File<'_>> = files.iter().map(|(path, bytes)| File { path, bytes }).collect();
    let run = engines::read(engine, &files, &about)?;
    if !matches!(engine, Engine::Json | Engine::Batch) {
        let zone = zone(about.utc_offset_minutes);
        output::note(format!("times without a zone are read as {zone}; `utc_offset_minutes` in --about says another"));
    }
    tables::launch(&node, &run).await?;
    output::line(format!("launch/{} imported: {} jobs, {} attempts", run.id, run.jobs.len(), run.attempts().count()))?;
    Ok(ExitCode::SUCCESS)
}

/// `UTC+01:00`.
fn zone(utc_offset_minutes: i64) -> String {
    let minutes = utc_offset_minutes.clamp(-1_440, 1_440);
    let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
    format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn as_of(text: Option<&str>) -> Result<Time, Problem> {
    let Some(text) = text else { return Ok(Time(wall_ms())) };
    Time::parse(text).ok_or_else(|| {
        Problem::new("HW-COST-004", format!("`--as-of` is no time: `{}`", text.escape_debug()))
            .help("write an RFC 3339 time such as `2026-12-01T00:00:00Z`")
    })
}

fn about(path: Option<&Path>) -> Result<About, Problem> {
    let Some(path) = path else { return Ok(About::default()) };
    let wrong = |error: serde_json::Error| {
        let (line, column) = (u32::try_from(error.line()).unwrap_or(0), u32::try_from(error.column()).unwrap_or(0));
        Problem::new("HW-COST-002", format!("a record cannot be read: {error}")).at(
            path.to_string_lossy(),
            line,
            column,
        )
    };
    let bytes = read(path)?;
    // What is of the wrong type has a place in the text alone.
    let about = serde_json::from_slice(&bytes).map_err(wrong)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(wrong)?;
    // A launch is read as this, too, and has more; here nothing else has a meaning.
    let known = json!(About::default());
    let stray = |key: &&String| known.get(key.as_str()).is_none();
    if let Some(key) = value.as_object().and_then(|said| said.keys().find(stray)) {
        let names = known.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        let near = closest(key, names.clone()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let help = format!("{near}there are `{}`", names.collect::<Vec<_>>().join("`, `"));
        let fact = format!("a record cannot be read: nothing of a run is called `{}`", key.escape_debug());
        return Err(Problem::new("HW-COST-002", fact).at(path.to_string_lossy(), 0, 0).help(help));
    }
    Ok(about)
}

/// The files that are given, and those of the folders that may be records, by their paths from there.
fn gather(paths: &[PathBuf], engine: Engine) -> Result<Vec<(String, Vec<u8>)>, Problems> {
    let wanted: &[&str] = match engine {
        Engine::Snakemake => &["jsonl", "ndjson", "tsv"],
        Engine::Cwltool => &["txt", "log"],
        Engine::Miniwdl => &["log"],
        Engine::Nextflow => &["txt", "json", "jsonl", "tsv"],
        Engine::Json | Engine::Batch => &["json"],
    };
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push((path.to_string_lossy().into_owned(), read(path)?));
            continue;
        }
        let mut open = vec![path.clone()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).map_err(|error| unread(&folder, error))? {
                let entry = entry.map_err(|error| unread(&folder, error))?.path();
                let extension = entry.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
                if entry.is_symlink() {
                    continue;
                } else if entry.is_dir() {
                    open.push(entry);
                } else if wanted.contains(&extension) {
                    let name = entry.strip_prefix(path).unwrap_or(&entry).to_string_lossy().into_owned();
                    found.push((name, read(&entry)?));
                }
                if found.len() > FILES_MAX {
                    let fact = format!("`{}` has more than {FILES_MAX} files that may be records", path.display());
                    return Err(Problem::new("HW-CLI-206", fact).into());
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let length = std::fs::metadata(path).map_err(|error| unread(path, error))?.len();
    if length > FILE_BYTES_MAX {
        let fact = format!("`{}` has {length} bytes, at most {FILE_BYTES_MAX} are read", path.display());
        return Err(Problem::new("HW-CLI-206", fact));
    }
    std::fs::read(path).map_err(|error| unread(path, error))
}

fn unread(path: &Path, error: std::io::Error) -> Problem {
    Problem::new("HW-CLI-206", format!("`{}` cannot be read or written", path.display())).because(error)
}

/// A problem with the file's name before its place.
fn in_file(mut problem: Problem, path: &Path) -> Problem {
    match &mut problem.place {
        Some(place) if place.path.is_empty() || place.path == "csv" => place.path = path.to_string_lossy().into_owned(),
        Some(place) => place.path = format!("{} {}", path.display(), place.path),
        None => {}
    }
    problem
}
