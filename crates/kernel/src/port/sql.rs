//! The port of SQL: a statement goes in, rows come out, in a form that their reader names.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use headwater_base::{Principal, Problem};

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
    /// `HW-LAKE-040` to `HW-LAKE-053`; those that come up behind the first row are the body's last item.
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Answer, Problem>>;

    /// What a principal can ask, by schema and name.
    ///
    /// # Errors
    /// `HW-LAKE-047` when SQL cannot be answered here.
    fn relations(&self, principal: Principal) -> BoxFuture<'_, Result<Vec<Relation>, Problem>>;
}
