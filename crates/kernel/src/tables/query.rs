//! Queries: pages of a table's documents, by key or by an index, of those for which a filter holds.
//!
//! Invariant: a page looks at a bounded number of documents; one that found too few says where to go on.

use headwater_base::Problem;
use headwater_store::tables::{Range, Row};
use headwater_wire::exact::Exact;

use super::{Table, TableViews, document, place};
use crate::expression::Condition;
use crate::port::Document;
use crate::port::tables::{Page, Query};

/// Documents looked at for one page, and bytes.
const SCAN_MAX: u64 = 10_000;
const SCAN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Documents read in one step.
const STEP: usize = 500;

/// Where a page ended: the key, behind its place in the index as hex.
struct After {
    place: Vec<u8>,
    key: String,
}

/// A page in the making.
struct Gather<'a> {
    beyond: Option<&'a Condition>,
    filter: Option<&'a Condition>,
    count: usize,
    scan_max: u64,
    /// Documents read, those among them that were not looked at.
    read: u64,
    bytes: usize,
    page: Page,
}

impl TableViews {
    pub(super) fn ask(&self, table: &str, query: &Query) -> Result<Page, Problem> {
        let table = self.table(table)?;
        let parsed = |text: &Option<_>| text.as_ref().map(Condition::parse).transpose();
        let (beyond, filter) = (parsed(&query.beyond)?, parsed(&query.filter)?);
        let gather = Gather {
            beyond: beyond.as_ref(),
            filter: filter.as_ref(),
            count: query.count.max(1),
            scan_max: query.scan_max.unwrap_or(SCAN_MAX),
            read: 0,
            bytes: 0,
            page: Page::default(),
        };
        match &query.index {
            None => self.by_key(&table, query, gather),
            Some(name) => {
                let (place, index) = table.index(name)?;
                let fields = match &index.by {
                    super::index::By::Fields(fields) => fields.len(),
                    super::index::By::Expiry(_) => 1,
                };
                self.by_index(&table, (place, fields), query, gather)
            }
        }
    }

    fn by_key(&self, table: &Table, query: &Query, mut gather: Gather<'_>) -> Result<Page, Problem> {
        if !query.equals.is_empty() {
            return Err(malformed("values that fields equal need an index").help("name the index, or use a filter"));
        }
        let bound = |value: &Option<Exact>| match value {
            None => Ok(None),
            Some(Exact::String(key)) => Ok(Some(key.clone())),
            Some(_) => Err(malformed("a bound of the key is a string")),
        };
        let (from, to) = (bound(&query.from)?, bound(&query.to)?);
        let mut after = query.after.clone();
        loop {
            let bounds = (from.as_deref(), to.as_deref());
            let rows =
                self.answer(|view| view.range(*table.id.read(), bounds, after.as_deref(), query.descending, STEP))?;
            let end = rows.len() < STEP;
            for row in rows {
                after = Some(row.key.clone());
                if gather.take(self, table, row) {
                    gather.page.next = after;
                    return Ok(gather.page);
                }
            }
            if end {
                return Ok(gather.page);
            }
        }
    }

    fn by_index(
        &self,
        table: &Table,
        (index, fields): (usize, usize),
        query: &Query,
        mut gather: Gather<'_>,
    ) -> Result<Page, Problem> {
        let bounded = usize::from(query.from.is_some() || query.to.is_some());
        if query.equals.len() + bounded > fields {
            let fact = format!("{} values for an index of {fields} fields", query.equals.len() + bounded);
            return Err(malformed(fact));
        }
        let (from, below) = bounds(query)?;
        let Some(below) = below else { return Ok(gather.page) };
        let below = (!below.is_empty()).then_some(below);
        let mut after = query.after.as_deref().map(After::read).transpose()?;
        loop {
            let range = Range {
                from: &from,
                below: below.as_deref(),
                after: after.as_ref().map(|after| (after.place.as_slice(), after.key.as_str())),
                descending: query.descending,
                count: STEP,
            };
            let rows = self.answer(|view| match table.index_id(index) {
                Some(id) => view.find(*table.id.read(), id, &range),
                None => Ok(Vec::new()),
            })?;
            let end = rows.len() < STEP;
            for (place, row) in rows {
                let here = After { place, key: row.key.clone() };
                if gather.take(self, table, row) {
                    gather.page.next = Some(here.write());
                    return Ok(gather.page);
                }
                after = Some(here);
            }
            if end {
                return Ok(gather.page);
            }
        }
    }
}

impl Gather<'_> {
    /// Looks at a document; true when the page is full.
    fn take(&mut self, views: &TableViews, table: &Table, row: Row) -> bool {
        self.read += 1;
        self.bytes += row.value.len();
        let document: Document = document(row);
        if views.alive(table, &document) && holds(self.beyond, &document) {
            self.page.scanned += 1;
            if holds(self.filter, &document) {
                self.page.documents.push(document);
            }
        }
        self.page.documents.len() >= self.count
            || self.page.scanned >= self.scan_max
            || self.read >= SCAN_MAX
            || self.bytes >= SCAN_BYTES_MAX
    }
}

fn holds(condition: Option<&Condition>, document: &Document) -> bool {
    let Some(condition) = condition else { return true };
    Exact::read(&document.value).is_ok_and(|value| condition.holds(Some(&value)))
}

/// Where an index is looked at: from here on, and before there (nothing = to its end). None: there can be nothing.
fn bounds(query: &Query) -> Result<(Vec<u8>, Option<Vec<u8>>), Problem> {
    let place = |start: &[u8], value: &Exact| {
        let mut out = start.to_vec();
        match place::push(&mut out, value) {
            true => Ok(out),
            false => Err(malformed("an index holds strings, numbers and booleans")),
        }
    };
    let mut start = Vec::new();
    for value in &query.equals {
        start = place(&start, value)?;
    }
    // Bounds hold among values of their own type.
    let kinds = [&query.from, &query.to].map(|value| value.as_ref().and_then(place::kind));
    let typed = |kind: u8| [start.as_slice(), &[kind]].concat();
    let (from, below) = match (&query.from, &query.to, kinds) {
        (None, None, _) => (start.clone(), if start.is_empty() { Some(Vec::new()) } else { place::above(start) }),
        (Some(from), None, [Some(kind), _]) => (place(&start, from)?, place::above(typed(kind))),
        (None, Some(to), [_, Some(kind)]) => (typed(kind), place::above(place(&start, to)?)),
        (Some(from), Some(to), [a, b]) if a == b && a.is_some() => {
            (place(&start, from)?, place::above(place(&start, to)?))
        }
        _ => return Err(malformed("bounds are two strings, or two numbers")),
    };
    Ok((from, below))
}

impl After {
    fn write(&self) -> String {
        let place: String = self.place.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{place}.{}", self.key)
    }

    fn read(text: &str) -> Result<Self, Problem> {
        let unknown =
            || malformed("this is not where a page ended").help("`after` takes the `next` of an earlier page");
        let (place, key) = text.split_once('.').ok_or_else(unknown)?;
        let byte = |at: usize| place.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..place.len()).step_by(2).map(byte).collect();
        Ok(Self { place: bytes.ok_or_else(unknown)?, key: key.to_owned() })
    }
}

fn malformed(fact: impl Into<String>) -> Problem {
    Problem::new("HW-KERNEL-036", fact)
}
