//! The port of SQL: a statement goes in, rows come out, in a form that their reader names.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use headwater_base::{Micros, Principal, Problem};

/// The form of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object: `{"columns": [{"name", "type"}], "rows": [[…]]}`.
    #[default]
    Json,
    /// A JSON object for each row, on a line of its own.
    Ndjson,
    /// RFC 4180, with a header.
    Csv,
    /// A stream of Arrow's interprocess format.
    Arrow,
}

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// One statement that changes nothing.
    pub text: String,
    /// The form of the answer.
    pub format: Format,
    /// No more rows than this.
    pub rows_max: Option<usize>,
    /// Whose question it is: the answer has the rows that policies let them see.
    pub principal: Principal,
    /// How it came.
    pub via: Via,
}

/// How a statement came to the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Via {
    /// `POST /v1/sql`: the command line, the console, programs.
    #[default]
    Http,
    /// PostgreSQL's protocol.
    Postgres,
    /// Somebody looks at a dashboard.
    Chart,
    /// A report is due.
    Report,
    /// An alarm looks at a chart.
    Alarm,
    /// An ingest asks for its rows.
    Ingest,
    /// A forecast asks for its holidays.
    Forecast,
}

impl Via {
    /// The word that stands for it outside.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Postgres => "postgres",
            Self::Chart => "chart",
            Self::Report => "report",
            Self::Alarm => "alarm",
            Self::Ingest => "ingest",
            Self::Forecast => "forecast",
        }
    }
}

/// A statement that runs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningQuery {
    /// What names it until the node stops.
    pub id: u64,
    /// Who asked.
    pub principal: Principal,
    /// How it came.
    pub via: Via,
    /// The beginning of its text.
    pub text: String,
    /// When it got its turn.
    pub started: Micros,
    /// Rows that are on their way to whoever asked.
    pub rows: u64,
    /// What it holds of the memory of queries, where that is counted for it alone.
    pub memory_bytes: Option<u64>,
}

/// A column of an answer or a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What it is called.
    pub name: String,
    /// Its type, in SQL's words.
    pub kind: String,
}

/// Rows on their way.
pub struct Answer {
    /// What each row has.
    pub columns: Vec<Column>,
    /// The rows, encoded. Whoever drops it ends the query.
    pub body: BoxStream<'static, Result<Bytes, Problem>>,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The schema: `public`, `external`, `streams`, `tables`, or a namespace of the lake's catalog.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What each row has.
    pub columns: Vec<Column>,
}

/// Answers SQL over everything that the node keeps.
pub trait Sql: Send + Sync {
    /// Plans a statement and begins to answer it.
    ///
    /// # Errors
    /// `HW-LAKE-040` to `HW-LAKE-053` and `HW-LAKE-072`; those that come up behind the first row are the body's last item.
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Answer, Problem>>;

    /// What a principal can ask, by schema and name.
    ///
    /// # Errors
    /// `HW-LAKE-047` when SQL cannot be answered here.
    fn relations(&self, principal: Principal) -> BoxFuture<'_, Result<Vec<Relation>, Problem>>;

    /// The statements that run now, the oldest first: a principal's own, all for whoever runs the node.
    fn queries(&self, principal: &Principal) -> Vec<RunningQuery>;

    /// Ends a statement that [`Self::queries`] lists for this principal; whoever asked gets `HW-LAKE-072`.
    ///
    /// # Errors
    /// `HW-LAKE-073` for a number that none of them has.
    fn cancel(&self, id: u64, by: &Principal) -> Result<(), Problem>;
}
