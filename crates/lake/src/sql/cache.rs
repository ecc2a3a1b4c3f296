//! Answers that were given, for whoever asks the same at the same positions: dashboards ask again and again while
//! nothing has happened.
//!
//! Invariant: an answer is kept only where its statement, who asked, and the positions and policies of all it reads
//! determine it; and it is found only by the same of all of them.

use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use headwater_base::Principal;
use headwater_kernel::port::sql::{Column, Format, Question};
use parking_lot::Mutex;

use super::guarded::Guarded;
use super::lake::LakeTable;
use super::streams::StreamTable;

/// The part of all room that one answer may take.
const SHARE: usize = 16;

/// What determines an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    text: String,
    format: Format,
    rows_max: Option<usize>,
    principal: Principal,
    /// Of each table, in the order of the plan.
    positions: Vec<String>,
    /// What is another whenever a view is: the plan does not say through which ones it came about. Taken before the
    /// statement is planned, so that an answer through a view that changes meanwhile is found by nobody later.
    views: Option<Bytes>,
}

/// An answer as it was given.
#[derive(Clone)]
pub struct Kept {
    /// What each row has.
    pub columns: Arc<[Column]>,
    /// The rows, encoded.
    pub body: Arc<[Bytes]>,
}

/// Answers, in bounded room; those that were not asked for the longest go first.
pub struct Cache {
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    answers: HashMap<Key, (Kept, u64)>,
    bytes: usize,
    turn: u64,
}

impl Key {
    /// The key of a question whose plan this is, as views were at that mark; none of one whose answer may be another the
    /// next time.
    pub fn of(question: &Question, plan: &LogicalPlan, views: Option<Bytes>) -> Option<Self> {
        let mut positions = Some(Vec::new());
        let walked = plan.apply_with_subqueries(|node| {
            let fits = match node {
                LogicalPlan::TableScan(scan) => {
                    let position = source_as_provider(&scan.source).ok().and_then(|table| position(&*table));
                    if let (Some(positions), Some(position)) = (&mut positions, &position) {
                        positions.push(format!("{} {position}", scan.table_name));
                    }
                    position.is_some()
                }
                LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::Extension(_) => false,
                _ => true,
            };
            if fits && is_settled(node)? {
                return Ok(TreeNodeRecursion::Continue);
            }
            positions = None;
            Ok(TreeNodeRecursion::Stop)
        });
        walked.ok()?;
        let Question { text, format, rows_max, principal, via: _ } = question.clone();
        Some(Self { text, format, rows_max, principal, positions: positions?, views })
    }

    /// What an answer of it takes beside its rows: of short answers to long statements it is the most.
    fn bytes(&self) -> usize {
        size_of::<(Self, (Kept, u64))>() + self.text.len() + self.positions.iter().map(String::len).sum::<usize>()
    }
}

/// Whether a node's expressions have one value whenever they are asked.
fn is_settled(node: &LogicalPlan) -> Result<bool> {
    let mut settled = true;
    node.apply_expressions(|expression| {
        expression.apply(|part| {
            if let Expr::ScalarFunction(call) = part {
                settled &= call.func.signature().volatility == Volatility::Immutable;
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(settled)
}

/// What determines the rows of a table; none of one that goes on while it is read.
fn position(table: &dyn datafusion::catalog::TableProvider) -> Option<String> {
    let table = table as &dyn Any;
    if let Some(guarded) = table.downcast_ref::<Guarded>() {
        return Some(format!("{} where {}", position(guarded.table())?, guarded.condition()));
    }
    let of_stream = || table.downcast_ref::<StreamTable>().map(StreamTable::position);
    match table.downcast_ref::<LakeTable>() {
        Some(table) => table.position().map(str::to_owned),
        None => of_stream(),
    }
}

/// An answer on its way, which may be kept once it is whole.
pub struct Taken {
    key: Option<Key>,
    body: Vec<Bytes>,
    left: usize,
}

impl Taken {
    /// An answer of this key, if it has one.
    pub const fn new(cache: &Cache, key: Option<Key>) -> Self {
        Self { key, body: Vec::new(), left: cache.answer_max() }
    }

    /// Takes note of a chunk.
    pub fn add(&mut self, chunk: &Bytes) {
        if self.key.is_none() {
            return;
        }
        match self.left.checked_sub(chunk.len()) {
            Some(left) => {
                self.left = left;
                self.body.push(chunk.clone());
            }
            None => *self = Self { key: None, body: Vec::new(), left: 0 },
        }
    }

    /// Keeps what is whole now.
    pub fn keep(self, cache: &Cache, columns: Vec<Column>) {
        if let Some(key) = self.key {
            cache.put(key, Kept { columns: columns.into(), body: self.body.into() });
        }
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }
}

impl Cache {
    /// A cache of so many bytes of rows and statements.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: Mutex::default() }
    }

    /// The largest answer that is kept, in bytes.
    pub const fn answer_max(&self) -> usize {
        self.bytes_max / SHARE
    }

    /// The answer that was given.
    pub fn get(&self, key: &Key) -> Option<Kept> {
        let mut held = self.held.lock();
        held.turn += 1;
        let turn = held.turn;
        let (kept, used) = held.answers.get_mut(key)?;
        *used = turn;
        Some(kept.clone())
    }

    /// How many answers are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.held.lock().answers.len()
    }

    /// Keeps an answer.
    pub fn put(&self, key: Key, kept: Kept) {
        if kept.bytes() > self.answer_max() {
            return;
        }
        let own = key.bytes();
        let bytes = own + kept.bytes();
        let mut held = self.held.lock();
        held.turn += 1;
        let turn = held.turn;
        let before = match held.answers.entry(key) {
            Entry::Occupied(mut there) => own + there.insert((kept, turn)).0.bytes(),
            Entry::Vacant(room) => {
                room.insert((kept, turn));
                0
            }
        };
        held.bytes = held.bytes + bytes - before;
        while held.bytes > self.bytes_max {
            let oldest = held.answers.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            let Some((key, (gone, _))) = oldest.and_then(|key| held.answers.remove_entry(&key)) else { return };
            held.bytes -= key.bytes() + gone.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        let (format, principal) = (Format::Json, Principal::default());
        Key { text: text.to_owned(), format, rows_max: None, principal, positions: Vec::new(), views: None }
    }

    fn answer(bytes: usize) -> Kept {
        Kept { columns: Vec::new().into(), body: vec![Bytes::from(vec![0; bytes])].into() }
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let cache = Cache::new(SHARE * 1_000);
        cache.put(key("too large"), answer(1_001));
        assert!(cache.get(&key("too large")).is_none());
        // With its statement each takes so many bytes.
        let put = |text: &str, bytes: usize| cache.put(key(text), answer(bytes - key(text).bytes()));
        for number in 10..10 + SHARE {
            put(&number.to_string(), 1_000);
        }
        assert!(cache.get(&key("10")).is_some());
        put("10", 500);
        put("more", 600);
        let is_there = |text: &str| cache.get(&key(text)).is_some();
        assert!(!is_there("11") && is_there("10") && is_there("more"));
        assert_eq!(cache.held.lock().bytes, (SHARE - 2) * 1_000 + 1_100);
    }
}
