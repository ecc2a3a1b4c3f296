//! The port of tables: keyed documents with versions, changed under conditions, read by key, index and filter.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use headwater_base::{Micros, Name, Principal, Problem};
use headwater_log::{Commit, LogError, Ticket};
use headwater_wire::exact::Exact;

use super::{Cause, Json};

/// A document of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its key.
    pub key: String,
    /// Grows with each write of this key.
    pub version: u64,
    /// When it was written.
    pub updated: Micros,
    /// The JSON object's text.
    pub value: Json,
}

/// An expression over a document, in the language of Amazon DynamoDB's condition, update and filter expressions, with
/// plain JSON values: `attribute_not_exists(total) AND #s = :done`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expression {
    /// The text.
    pub text: String,
    /// What each `#name` stands for.
    pub names: BTreeMap<String, String>,
    /// What each `:value` stands for, digit by digit.
    pub values: BTreeMap<String, Exact>,
}

/// What a write makes of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// This, whatever was there.
    Put(Json),
    /// What an update expression (`SET`, `REMOVE`, `ADD`, `DELETE`) makes of what is there, or of an empty document.
    Update(Expression),
    /// Nothing.
    Delete,
}

/// One write of one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The table.
    pub table: Name,
    /// The document's key.
    pub key: String,
    /// What becomes of it.
    pub change: Change,
    /// Written only over this version; 0 = only if absent.
    pub expect: Option<u64>,
    /// Written only over what is there, whatever its version.
    pub present: bool,
    /// Written only if this holds for what is there.
    pub condition: Option<Expression>,
    /// What it came of, which its change goes on with.
    pub cause: Option<Cause>,
    /// Who asks for it, as the audit event says; None for nobody who is named.
    pub who: Option<Principal>,
}

impl Write {
    /// A document whatever was there, or its deletion.
    pub fn unconditional(table: &Name, key: &str, value: Option<Json>) -> Self {
        let change = value.map_or(Change::Delete, Change::Put);
        Self {
            table: table.clone(),
            key: key.to_owned(),
            change,
            expect: None,
            present: false,
            condition: None,
            cause: None,
            who: None,
        }
    }
}

/// What one write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What was there.
    pub old: Option<Document>,
    /// What is there now.
    pub new: Option<Document>,
}

/// Is told what writes do and may add deltas to their commit.
pub type Tell<'a> = dyn FnMut(&[Written], &mut Commit) + 'a;

/// Writes that have their place in the log together with what else was in their commit.
#[derive(Debug)]
pub struct Transacted {
    /// The commit's place; nothing may be acknowledged before [`headwater_log::Log::durable`] of its sequence. The
    /// places of the given commit's appends come first, in their order.
    pub ticket: Ticket,
    /// What each write did, in order.
    pub written: Vec<Written>,
}

/// Why nothing of a transaction was written.
#[derive(Debug)]
pub enum TransactError {
    /// A condition does not hold.
    Condition {
        /// Which write's.
        index: usize,
        /// What is there.
        document: Option<Document>,
    },
    /// Too much is unsynced: wait for [`headwater_log::Log::room`] and try again.
    Full,
    /// The view of this table has to catch up first: try again in a while.
    Behind(Name),
    /// The log refused the commit.
    Log(LogError),
    /// Something else (`HW-KERNEL-*`).
    Problem(Problem),
}

impl From<Problem> for TransactError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<LogError> for TransactError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Full(_) => Self::Full,
            error => Self::Log(error),
        }
    }
}

impl TransactError {
    /// What a person is told.
    pub fn problem(self, writes: &[Write]) -> Problem {
        let refused = |error: &LogError| Problem::new("HW-KERNEL-016", "nothing was written").because(error);
        match self {
            Self::Condition { index, document } => {
                let Some(write) = writes.get(index) else { return refused(&LogError::Closed) };
                let key = format!("`{}` of the table `{}`", crate::kind::short(&write.key), write.table);
                let there = document.map_or(0, |document| document.version);
                match write.expect {
                    Some(expect) if expect != there => {
                        Problem::new("HW-KERNEL-020", format!("{key} is at version {there}, not {expect}")).help(
                            if expect == 0 {
                                "version 0 means that there is none yet"
                            } else {
                                "read it again and decide anew"
                            },
                        )
                    }
                    _ => Problem::new("HW-KERNEL-034", format!("the condition does not hold for {key}"))
                        .help("nothing was written; read it again and decide anew"),
                }
            }
            Self::Full => refused(&LogError::Full(0)).help("the disk is slower than what is written; try again"),
            Self::Behind(table) => Problem::new("HW-KERNEL-037", format!("the table `{table}` is catching up"))
                .help("try again in a while"),
            Self::Log(error) => refused(&error),
            Self::Problem(problem) => problem,
        }
    }
}

/// What a query asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// A secondary index of the table; None goes by key.
    pub index: Option<String>,
    /// Only documents whose indexed fields begin with these values, in the index's order.
    pub equals: Vec<Exact>,
    /// Bounds of the indexed field behind those (or of the key), both inclusive.
    pub from: Option<Exact>,
    /// See `from`.
    pub to: Option<Exact>,
    /// What is asked of the key beyond the bounds: a document for which this does not hold is not looked at.
    pub beyond: Option<Expression>,
    /// Only documents for which this holds.
    pub filter: Option<Expression>,
    /// Largest first.
    pub descending: bool,
    /// Continues behind an earlier page's [`Page::next`].
    pub after: Option<String>,
    /// At most so many documents.
    pub count: usize,
    /// At most so many documents are looked at, whether the filter holds for them or not; None = as many as one page may.
    pub scan_max: Option<u64>,
}

/// A page of documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub documents: Vec<Document>,
    /// Where the next page begins, opaque; None at the end.
    pub next: Option<String>,
    /// How many documents were looked at.
    pub scanned: u64,
}

/// Keyed documents. A write is a record of the table's compacted stream first and reaches the view after its sync.
pub trait Tables: Send + Sync {
    /// One document, if it is there. Answers from memory or a local view on the disk: not for a thread that serves others
    /// meanwhile, unless [`Self::held`] has answered.
    fn get(&self, table: &str, key: &str) -> Result<Option<Document>, Problem>;

    /// What memory knows of a document: None = only [`Self::get`] can tell. Never reads the disk.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn held(&self, table: &str, key: &str) -> Result<Option<Option<Document>>, Problem> {
        self.get(table, key).map(Some)
    }

    /// Documents in key order behind `after`, at most `count`.
    fn list(&self, table: &str, after: Option<&str>, count: usize) -> Result<Vec<Document>, Problem>;

    /// Writes a document, or deletes it with None; durable when the future resolves. `expect` = Some(version)
    /// writes only over that version (0 = only if absent).
    fn put<'a>(
        &'a self,
        table: &'a Name,
        key: &'a str,
        value: Option<Json>,
        expect: Option<u64>,
    ) -> BoxFuture<'a, Result<u64, Problem>>;

    /// Grows whenever any document of the table changes; a cache over the table drops its answers then.
    fn generation(&self, table: &str) -> u64;

    /// Decides all `writes` in the order of the log, against what is appended, and appends them in one commit with
    /// `also`: all or nothing. A later write sees what an earlier one did. What `also` appends to a table's stream is
    /// a write like any other, without conditions, and comes before `writes`. Never waits for the disk.
    ///
    /// # Errors
    /// Nothing was written then, and `also` is as it was.
    fn transact(&self, writes: &[Write], also: &mut Commit) -> Result<Transacted, TransactError> {
        self.transact_telling(writes, also, &mut |_, _| {})
    }

    /// The same; what the writes do is told before they are appended, and `tell` may add to the deltas of the commit
    /// what follows from it. It may be told more than once, and only the last time counts.
    ///
    /// # Errors
    /// As [`Self::transact`].
    fn transact_telling(
        &self,
        writes: &[Write],
        also: &mut Commit,
        tell: &mut Tell<'_>,
    ) -> Result<Transacted, TransactError>;

    /// As [`Self::transact`], for a user: with audit events; durable and visible when the future resolves.
    fn write<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Vec<Written>, TransactError>>;

    /// Resolves when reads of a table show everything that is appended now, or after some seconds in which they did not:
    /// what [`TransactError::Behind`] asks for.
    fn settled<'a>(&'a self, table: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        let _ = table;
        Box::pin(std::future::ready(Ok(())))
    }

    /// The field of a document that is its key, if the table names one.
    ///
    /// # Errors
    /// `HW-KERNEL-019` when there is no such table.
    fn key_field(&self, table: &str) -> Result<Option<String>, Problem>;

    /// The fields that an index goes by, in their order; none where nobody knows.
    ///
    /// # Errors
    /// `HW-KERNEL-019` when there is no such table, `-036` when it has no such index, `-037` while that is being made.
    fn index_fields(&self, table: &str, index: &str) -> Result<Vec<String>, Problem> {
        let _ = (table, index);
        Ok(Vec::new())
    }

    /// Documents of one table, of what is visible.
    ///
    /// # Errors
    /// `HW-KERNEL-*` for an unknown table or index and for a filter that is none.
    fn query(&self, table: &str, query: &Query) -> Result<Page, Problem>;
}
