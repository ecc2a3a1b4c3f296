//! What the query engine's errors are to the person who asked.

use std::fmt::Display;
use std::time::Duration;

use datafusion::common::{DataFusionError, Diagnostic};
use datafusion::sql::sqlparser::parser::ParserError;
use headwater_base::Problem;
use headwater_kernel::unit::bug;
use headwater_store::disk::full_behind;
use tokio::task::JoinError;

/// The problem of a statement that cannot be planned or carried out.
///
/// A problem of ours that has travelled through the engine comes out as it went in.
pub fn problem(error: &DataFusionError) -> Problem {
    match error {
        DataFusionError::SQL(error, _) => syntax(error),
        DataFusionError::External(inner) => match inner.downcast_ref::<Carried>() {
            Some(carried) => (*carried.0).clone(),
            None => broken(error, inner),
        },
        DataFusionError::Diagnostic(diagnostic, inner) => placed(problem(inner), diagnostic),
        DataFusionError::Context(_, inner) => problem(inner),
        DataFusionError::Shared(inner) => problem(inner),
        DataFusionError::Collection(all) => all.first().map_or_else(|| failed("nothing is known of it"), problem),
        DataFusionError::ResourcesExhausted(words) => {
            Problem::new("HW-LAKE-043", "the query needs more memory or disk than queries get")
                .because(first_line(words))
                .help("ask for fewer rows or groups, or leave rows out earlier")
        }
        DataFusionError::NotImplemented(words) => refused(words),
        DataFusionError::Plan(words) | DataFusionError::Configuration(words) => wrong(words),
        DataFusionError::SchemaError(error, _) => wrong(&error.to_string()),
        other => broken(other, other.strip_backtrace()),
    }
}

/// A problem on its way through the engine.
#[derive(Debug)]
struct Carried(Box<Problem>);

impl Display for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.title)
    }
}

impl std::error::Error for Carried {}

/// Sends a problem through the engine.
pub fn carried(problem: Problem) -> DataFusionError {
    DataFusionError::External(Box::new(Carried(Box::new(problem))))
}

/// What the log says of a stream that cannot be read.
pub fn unreadable(stream: &str, error: impl Display) -> DataFusionError {
    carried(Problem::new("HW-LAKE-045", format!("the stream `{stream}` cannot be read: {error}")))
}

/// The answer of an engine that is closed.
pub fn closed() -> Problem {
    Problem::new("HW-LAKE-049", "the node is stopping").help("ask again once it is up")
}

/// Why a task gave no answer: the engine has been closed, or the task ended by a bug.
pub fn ended(what: &str, error: &JoinError) -> Problem {
    if error.is_panic() { bug(what, &first_line(&error.to_string())) } else { closed() }
}

/// A query that was ended at its bound.
pub fn late(bound: Duration) -> Problem {
    let seconds = bound.as_secs_f64();
    Problem::new("HW-LAKE-048", format!("the query was ended after {seconds} s, which is the limit"))
        .help("ask for a shorter time or fewer rows")
}

/// A query that somebody ended.
pub fn cancelled(how: &str) -> Problem {
    Problem::new("HW-LAKE-072", format!("the query was cancelled {how}"))
        .help("ask again once you know why; `headwater get queries` shows what runs")
}

/// A query that does not run, or that is somebody else's.
pub fn no_query(id: u64) -> Problem {
    Problem::new("HW-LAKE-073", format!("no query `{id}` of yours is running"))
        .help("`headwater get queries` lists those that run")
}

/// A statement that no query engine of this kind carries out.
pub fn refused(words: &str) -> Problem {
    Problem::new("HW-LAKE-042", first_line(words))
        .help("SQL reads; data is written through streams, tables and datasets")
}

/// A prepared statement whose columns are others by now. PostgreSQL has the same words: drivers look for them.
pub fn changed() -> Problem {
    Problem::new("HW-LAKE-050", "cached plan must not change result type")
        .because("a table that the statement reads has got other columns since it was prepared")
        .help("prepare the statement again")
}

/// A prepared statement whose columns are others with the values of its parameters.
pub fn changed_by_values() -> Problem {
    Problem::new("HW-LAKE-050", "cached plan must not change result type")
        .because("a bound value is of another type than the statement has for its parameter, and a column with it")
        .help("say the type in the statement, such as `CAST($1 AS double precision)`")
}

/// A connection more than there may be.
pub fn full(max: usize) -> Problem {
    Problem::new("HW-LAKE-110", format!("{max} clients are connected already, which is the limit"))
        .help("close connections that are not needed any more, or try again in a while")
}

/// More than clients of PostgreSQL's protocol may have in memory together.
pub fn no_room(max: usize) -> Problem {
    Problem::new("HW-LAKE-111", format!("PostgreSQL clients hold {max} bytes of what they send, which is the limit"))
        .help("close prepared statements and portals, send less at a time, or set `sqlClientBytes` in `headwater.yaml`")
}

/// A client that is silent in the middle of a message, or all but silent.
pub fn stalled(bytes: usize, pause_ms: u64, bytes_per_s: u64) -> Problem {
    Problem::new("HW-LAKE-109", format!("{bytes} bytes of a message have come, and no more of it in time"))
        .because(format!("a message comes with at least {bytes_per_s} bytes/s and without pauses over {pause_ms} ms"))
        .help("connect again; what stands between may have lost the connection, or hold back what is sent")
}

/// A connection that has as much open as one may have.
pub fn crowded(what: &str, max: usize) -> Problem {
    Problem::new("HW-LAKE-096", format!("the connection has {max} {what} open, which is the limit"))
        .help("close those that are not needed any more")
}

/// A cursor that is not there. PostgreSQL has the same words.
pub fn no_cursor(name: &str) -> Problem {
    Problem::new("HW-LAKE-097", format!("cursor `{}` does not exist", first_line(name)))
        .help("cursors end with their transaction, or with an error; declare it again")
}

/// A portal that is not there. PostgreSQL has the same words.
pub fn no_portal(name: &str) -> Problem {
    Problem::new("HW-LAKE-097", format!("portal `{}` does not exist", first_line(name)))
        .help("portals end with their transaction, their statement, or an error; bind it again")
}

/// A prepared statement that is not there. PostgreSQL has the same words.
pub fn no_statement(name: &str) -> Problem {
    Problem::new("HW-LAKE-112", format!("prepared statement `{}` does not exist", first_line(name)))
        .help("statements end with their connection, or where they are closed; prepare it again")
}

/// A cursor that is there already.
pub fn cursor_there(name: &str) -> Problem {
    Problem::new("HW-LAKE-098", format!("cursor `{}` already exists", first_line(name)))
        .help("close it first, or name the other otherwise")
}

/// What a setting cannot be set to. PostgreSQL has the same words.
pub fn no_setting(name: &str, value: &str) -> Problem {
    Problem::new("HW-LAKE-099", format!("invalid value for parameter `{name}`: `{}`", first_line(value)))
        .help("valid units for this parameter are `us`, `ms`, `s`, `min`, `h` and `d`")
}

/// A time that no statement may be set to take.
pub fn far_setting(name: &str, ms: f64) -> Problem {
    let fact = format!("{ms} ms is outside the valid range for parameter `{name}` (0 ms .. 2147483647 ms)");
    Problem::new("HW-LAKE-099", fact).help("0 is no bound but that of the node")
}

/// What is said in a transaction that has failed.
pub fn aborted() -> Problem {
    let fact = "current transaction is aborted, commands ignored until end of transaction block";
    Problem::new("HW-LAKE-100", fact).help("end it with `ROLLBACK`")
}

/// A portal that says of other values than there are how they are sent.
pub fn no_formats(parameters: usize, columns: usize) -> Problem {
    let fact = format!("the bind message does not name the formats of {parameters} parameters and {columns} columns");
    Problem::new("HW-LAKE-101", fact).help("name none, one for all, or one for each")
}

/// A parameter whose bytes are none of its type. PostgreSQL has the same words.
pub fn no_binary(parameter: usize, kind: &str) -> Problem {
    let fact = format!("incorrect binary data format in bind parameter {parameter}, which is said to be `{kind}`");
    Problem::new("HW-LAKE-103", fact).help("send it in the binary format of its type, or as text")
}

/// A message whose length cannot be: `kind` is its type, which the first ones of a connection do not have.
pub fn no_length(kind: Option<u8>, said: i32, least: usize, most: usize) -> Problem {
    let fact = format!("{} says that it has {said} bytes; it may have {least} to {most}", message(kind));
    Problem::new("HW-LAKE-104", fact)
        .help("send less at a time; `sqlMessageBytes` in `headwater.yaml` is the largest limit")
}

/// A message that is none of the protocol.
pub fn no_message(kind: Option<u8>, why: &str) -> Problem {
    Problem::new("HW-LAKE-104", format!("{} cannot be read", message(kind)))
        .because(first_line(why))
        .help("the port speaks version 3 of PostgreSQL's protocol, without TLS")
}

fn message(kind: Option<u8>) -> String {
    match kind {
        Some(kind) => format!("a message of type `{}`", kind.escape_ascii()),
        None => "the first message of a connection".to_owned(),
    }
}

/// A parameter whose value the type that the statement has for it does not hold.
pub fn no_number(parameter: usize, value: &str, kind: &str) -> Problem {
    let fact = format!("bind parameter {parameter} is `{}`, which no `{kind}` holds", first_line(value));
    Problem::new("HW-LAKE-105", fact).help("cast the parameter in the statement, such as `CAST($1 AS numeric)`")
}

/// A time, a day or an interval that nothing here holds.
pub fn no_time(parameter: usize, kind: &str) -> Problem {
    let fact = format!("bind parameter {parameter} is a `{kind}` that nothing here holds");
    Problem::new("HW-LAKE-106", fact)
        .help("there is no infinity, an interval has 292 years of hours, and nanoseconds are of the years 1678 to 2262")
}

/// A duration of an answer that is longer than PostgreSQL's intervals.
pub fn far_interval() -> Problem {
    Problem::new("HW-LAKE-113", "a duration of the answer has more microseconds than an interval of PostgreSQL holds")
        .help("cast it to a number in the statement, such as `CAST(… AS bigint)`")
}

/// A parameter of a type that is not read in the binary format.
pub fn no_kind(parameter: usize, kind: &str) -> Problem {
    let fact = format!("bind parameter {parameter} is a `{kind}`, which is not read in the binary format");
    Problem::new("HW-LAKE-107", fact).help("send it as text, and cast it in the statement")
}

/// A parameter that is an array of too many items.
pub fn long_array(parameter: usize, most: usize) -> Problem {
    let fact = format!("bind parameter {parameter} is an array of more than {most} items, which is the limit");
    Problem::new("HW-LAKE-102", fact).help("keep a long list as a table or a file, and join it")
}

/// A table that other engines read, and this one does not.
pub fn unread(table: &str, why: &str) -> Problem {
    Problem::new("HW-LAKE-051", format!("SQL here cannot read `{table}`: {why}"))
        .help("read it with another engine through the catalog, or have it write the table's rows anew")
}

/// A table of which more is deleted than the memory of queries has room for; `words` are the memory's.
pub fn overfull(table: &str, words: &str) -> DataFusionError {
    let fact = format!("what is deleted of `{table}` takes more memory than queries get");
    let problem = Problem::new("HW-LAKE-085", fact).because(first_line(words));
    carried(problem.help("have the engine that deletes rewrite the table's files, so that they hold no deleted rows"))
}

/// What goes wrong below a policy: its words may be about rows that nobody may see, so the log alone has them.
pub fn guarded(table: &str, error: DataFusionError) -> DataFusionError {
    match &error {
        DataFusionError::ResourcesExhausted(_) => return error,
        DataFusionError::External(inner) if inner.is::<Carried>() => return error,
        other if full_behind(other).is_some() => return error,
        _ => tracing::warn!(table, error = error.strip_backtrace(), "rows under a policy cannot be read"),
    }
    let problem =
        Problem::new("HW-LAKE-053", format!("the rows of `{table}` that policies let you see cannot be read"));
    carried(problem.help("whoever runs the node finds the cause in its log"))
}

fn wrong(words: &str) -> Problem {
    Problem::new("HW-LAKE-041", format!("the statement cannot be carried out: {}", first_line(words)))
}

/// The problem of a query that something below it has ended.
fn broken(error: &DataFusionError, words: impl Display) -> Problem {
    let Some(fault) = full_behind(error) else { return failed(words) };
    Problem::new("HW-LAKE-069", "the query needs files, and the disk is full")
        .because(fault)
        .help("ask for fewer rows or groups, which fit into memory, or free space on the disk of the data folder")
}

fn failed(words: impl Display) -> Problem {
    Problem::new("HW-LAKE-044", format!("the query failed: {}", first_line(&words.to_string())))
}

/// The problem of a text that cannot be parsed. Where the parser stood is at the end of its words only.
pub fn syntax(error: &ParserError) -> Problem {
    let words = error.to_string();
    let words = words.trim_start_matches("sql parser error: ");
    let (fact, place) = match words.rsplit_once(" at Line: ") {
        Some((fact, place)) => (fact, place.split_once(", Column: ")),
        None => (words, None),
    };
    let problem = Problem::new("HW-LAKE-040", format!("this is no SQL: {}", first_line(fact)));
    let numbers = place.and_then(|(line, column)| Some((line.trim().parse().ok()?, column.trim().parse().ok()?)));
    match numbers {
        Some((line, column)) => problem.at(STATEMENT, line, column),
        None => problem,
    }
}

/// What places of a statement are in.
pub const STATEMENT: &str = "statement";

fn placed(mut problem: Problem, diagnostic: &Diagnostic) -> Problem {
    if let Some(span) = diagnostic.span {
        let number = |number: u64| u32::try_from(number).unwrap_or(0);
        problem = problem.at(STATEMENT, number(span.start.line), number(span.start.column));
    }
    match diagnostic.helps.first().or(None) {
        Some(help) => problem.help(first_line(&help.message)),
        None => problem,
    }
}

/// Engines like to add a page of hints for their developers.
pub fn first_line(words: &str) -> String {
    words.lines().next().unwrap_or_default().trim().chars().take(400).collect()
}
