//! `headwater run`: a pipeline over a file, without a node: the same code, state in memory.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::ValueEnum;
use headwater_base::{Limits, Problem, closest};
use headwater_flow::kinds::pipeline;
use headwater_flow::program::Compiler;
use headwater_flow::runtime::files as over;
use headwater_kernel::kinds::secret::SecretSpec;
use headwater_kernel::port::{Context, Secrets};
use headwater_kernel::{Draft, SystemClock, kind, secrets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Done, check, files};
use crate::output;
use crate::problems::Problems;

/// Flags of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files or folders with the pipeline and the secrets it names
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Which pipeline, if there are several
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Read this file instead of the pipeline's source; `-` for standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How the input is written; by the end of the file's name if left out
    #[arg(long, value_enum, requires = "input")]
    format: Option<InputFormat>,
    /// Print only the values of this stream
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
}

/// How an input is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum InputFormat {
    /// One JSON object on each line
    Ndjson,
    /// Comma-separated with a header
    Csv,
    /// A web server's access log
    Combined,
}

/// Secrets that the files name.
struct OfFiles(Vec<Draft>, PathBuf);

impl Secrets for OfFiles {
    fn read(&self, name: &str) -> Result<Bytes, Problem> {
        let Some(draft) = self.0.iter().find(|draft| draft.kind == "Secret" && draft.name.as_str() == name) else {
            return Err(Problem::new("HW-KERNEL-012", format!("there is no secret `{name}` among the files")));
        };
        let spec: SecretSpec = kind::decode(&draft.spec, "/spec", &draft.origin)?;
        secrets::read(&spec, &self.1)
    }
}

/// Runs a pipeline over a file.
///
/// # Errors
/// What is wrong with the files, and `HW-FLOW-048` without an input.
pub fn run(args: &Args) -> Done {
    let drafts = check::read(&files::read(&args.files)?)?;
    let draft = choose(&drafts, args.pipeline.as_deref())?;
    let folder = std::env::current_dir().unwrap_or_default();
    let secrets: Arc<dyn Secrets> = Arc::new(OfFiles(drafts.clone(), folder.clone()));
    let plan = Arc::new(pipeline::plan(draft, &Compiler::new(secrets.clone()))?);
    let context = Context { folder, secrets, tables: None, log: None };
    let instead = args.input.as_ref().map(|path| source(path, args.format));
    let source = over::open(&plan, instead.as_ref(), headwater_connect::SOURCES, &context)?;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| {
        Problem::new("HW-CLI-008", "the system refuses what the program needs to run").because(error)
    })?;
    let around = over::Surrounding {
        lookups: headwater_connect::lookups::LOOKUPS,
        context,
        clock: Arc::new(SystemClock::new()),
        limits: Arc::new(Limits::default()),
        handle: runtime.handle().clone(),
    };
    let bar = bar();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut write = |stream: &str, key: Option<&[u8]>, value: Option<&[u8]>| {
        output::unless_closed(match &args.stream {
            Some(wanted) if wanted != stream => Ok(()),
            Some(_) => out.write_all(value.unwrap_or(b"null")).and_then(|()| out.write_all(b"\n")),
            None => {
                let value: Value = value.map_or(Value::Null, text_or_json);
                let key = key.map(String::from_utf8_lossy);
                writeln!(out, "{}", json!({ "stream": stream, "key": key, "value": value }))
            }
        })
    };
    let name = draft.name.as_str();
    let figures = over::run(&plan, name, source, &around, &mut write, &mut |progress| {
        if let Some(total) = progress.total_bytes {
            bar.set_length(total);
        }
        bar.set_position(progress.done_bytes);
        bar.set_message(format!("{} events", progress.events));
    });
    bar.finish_and_clear();
    let figures = figures?;
    output::finish(out.flush())?;
    for (name, figure) in figures.list().into_iter().filter(|(_, figure)| *figure > 0.0) {
        output::note(format!("{:<20} {figure}", name.trim_end_matches("_total")));
    }
    Ok(ExitCode::SUCCESS)
}

fn choose<'a>(drafts: &'a [Draft], wanted: Option<&str>) -> Result<&'a Draft, Problems> {
    let all: Vec<&Draft> = drafts.iter().filter(|draft| draft.kind == "Pipeline").collect();
    let names = || all.iter().map(|draft| draft.name.as_str());
    match (wanted, all.as_slice()) {
        (None, [one]) => Ok(one),
        (None, _) => Err(Problem::new("HW-CLI-010", format!("the files hold {} pipelines", all.len()))
            .help(format!("choose one with `--pipeline NAME`: {}", names().collect::<Vec<_>>().join(", ")))
            .into()),
        (Some(wanted), _) => all.iter().find(|draft| draft.name.as_str() == wanted).copied().ok_or_else(|| {
            let problem = Problem::new("HW-CLI-010", format!("the files hold no pipeline `{wanted}`"));
            match closest(wanted, names()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("they hold {}", names().collect::<Vec<_>>().join(", "))),
            }
            .into()
        }),
    }
}

fn source(path: &std::path::Path, format: Option<InputFormat>) -> Value {
    let mut source =
        if path.as_os_str() == "-" { json!({"type": "stdin"}) } else { json!({"type": "file", "path": path}) };
    // Without it the source goes by the name, as it does where a pipeline names it.
    if let Some(format) = format {
        source["format"] = Value::from(match format {
            InputFormat::Ndjson => "ndjson",
            InputFormat::Csv => "csv",
            InputFormat::Combined => "combined",
        });
    }
    source
}

fn text_or_json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes)))
}

/// On stderr, and only on a terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg} {eta}");
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
