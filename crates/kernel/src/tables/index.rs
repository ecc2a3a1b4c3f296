//! Indexes of a table: what is declared, the entries that a document has, and making those of an index that is new.

use std::sync::atomic::{AtomicBool, Ordering};

use headwater_base::{Micros, Problem};
use headwater_store::tables::{Entry, IndexId, Row};
use headwater_wire::exact::Exact;

use super::{Table, TableViews, place};
use crate::kinds::table::TableSpec;

/// Documents looked at in one step of making an index.
const BACKFILL_ROWS: usize = 5_000;

/// A declared index.
pub(super) struct Index {
    /// What queries call it; empty for the one by time of expiry.
    pub name: String,
    pub by: By,
    /// Every document has its entry.
    pub complete: AtomicBool,
}

/// What decides a document's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The values of these fields.
    Fields(Vec<String>),
    /// When this field says that it goes.
    Expiry(String),
}

impl By {
    /// What tells an index in the view from one of another spec.
    pub fn definition(&self) -> String {
        match self {
            Self::Fields(fields) => serde_json::json!(fields).to_string(),
            Self::Expiry(field) => serde_json::json!({ "expiry": field }).to_string(),
        }
    }

    fn place(&self, document: &Exact) -> Option<Vec<u8>> {
        match self {
            Self::Fields(fields) => {
                let mut out = Vec::new();
                fields
                    .iter()
                    .all(|name| field(document, name).is_some_and(|value| place::push(&mut out, value)))
                    .then_some(out)
            }
            Self::Expiry(name) => document.get(name).and_then(time_of).map(|time| expiry_place(time).to_vec()),
        }
    }
}

/// A field, or what dots lead to.
fn field<'a>(document: &'a Exact, name: &str) -> Option<&'a Exact> {
    document.get(name).or_else(|| name.split('.').try_fold(document, |value, name| value.get(name)))
}

/// A time as a document holds it: seconds since 1970, or RFC 3339.
pub(super) fn time_of(value: &Exact) -> Option<Micros> {
    match value {
        Exact::String(text) => Micros::parse_rfc3339(text),
        Exact::Number(text) => match text.parse::<i64>() {
            Ok(seconds) => Some(Micros(seconds.saturating_mul(1_000_000))),
            #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
            Err(_) => text.parse::<f64>().ok().map(|seconds| Micros((seconds * 1e6) as i64)),
        },
        _ => None,
    }
}

/// Places of times are in their order.
pub(super) fn expiry_place(time: Micros) -> [u8; 8] {
    (time.0.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// What a spec declares.
pub(super) fn declared(spec: &TableSpec) -> Vec<Index> {
    let index = |name: String, by| Index { name, by, complete: AtomicBool::new(false) };
    let expiry = spec.ttl_field.iter().map(|field| index(String::new(), By::Expiry(field.clone())));
    let fields = spec.indexes.iter().map(|spec| index(spec.name.clone(), By::Fields(spec.fields.clone())));
    expiry.chain(fields).collect()
}

impl Table {
    /// The entries of a document.
    pub(super) fn entries(&self, value: &[u8]) -> Vec<Entry> {
        if self.indexes.is_empty() {
            return Vec::new();
        }
        let Ok(document) = Exact::read(value) else { return Vec::new() };
        let ids = self.index_ids.read();
        let places = self.indexes.iter().zip(ids.iter());
        places.filter_map(|(index, id)| Some(Entry { index: *id, order: index.by.place(&document)? })).collect()
    }

    /// The index of this name, with its place among the table's.
    ///
    /// # Errors
    /// `HW-KERNEL-036` where there is none, `HW-KERNEL-037` while it is being made.
    pub(super) fn index(&self, name: &str) -> Result<(usize, &Index), Problem> {
        let found = self.indexes.iter().enumerate().find(|(_, index)| index.name == name && !name.is_empty());
        let Some((place, index)) = found else {
            let names = self.indexes.iter().map(|index| index.name.as_str()).filter(|name| !name.is_empty());
            let names: Vec<&str> = names.collect();
            let fact = format!("the table `{}` has no index `{}`", self.name, crate::kind::short(name));
            return Err(Problem::new("HW-KERNEL-036", fact).help(match names.as_slice() {
                [] => "declare one in `spec.indexes`, or leave it out".to_owned(),
                names => format!("there are `{}`", names.join("`, `")),
            }));
        };
        if !index.complete.load(Ordering::SeqCst) {
            let fact = format!("the index `{name}` of the table `{}` is being made", self.name);
            return Err(Problem::new("HW-KERNEL-037", fact).help("try again; the table is ready once it is complete"));
        }
        Ok((place, index))
    }

    /// What the index at a place is called in the view. Asked for with the view in hand: another one calls it otherwise.
    pub(super) fn index_id(&self, place: usize) -> Option<IndexId> {
        self.index_ids.read().get(place).copied()
    }
}

impl TableViews {
    /// Takes over which indexes the view has, and which of them are complete.
    pub(super) fn declare(&self, table: &Table) -> Result<(), Problem> {
        let definitions: Vec<String> = table.indexes.iter().map(|index| index.by.definition()).collect();
        let definitions: Vec<&str> = definitions.iter().map(String::as_str).collect();
        let found = self.answer(|view| view.indexes(*table.id.read(), &definitions))?;
        for (index, (_, complete)) in table.indexes.iter().zip(&found) {
            index.complete.store(*complete, Ordering::SeqCst);
        }
        *table.index_ids.write() = found.into_iter().map(|(id, _)| id).collect();
        Ok(())
    }

    /// One step of making the indexes that are not complete; answers where to go on.
    pub(super) fn backfill(&self, table: &Table, after: Option<&str>) -> Result<Option<String>, Problem> {
        let entries = |row: &Row| table.entries(&row.value);
        let last = self.answer(|view| {
            let ids: Vec<IndexId> = table.index_ids.read().clone();
            view.backfill(*table.id.read(), &ids, after, BACKFILL_ROWS, &entries)
        })?;
        if last.is_none() {
            table.indexes.iter().for_each(|index| index.complete.store(true, Ordering::SeqCst));
        }
        Ok(last)
    }
}
