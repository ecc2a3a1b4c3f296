//! Batches of rows put together: of a rollup, equal rows become one; of a table with a key, the last row of each key is left.
//!
//! Invariant: what queries add up stays the same to the last digit. Rows whose sums together fit no row stay apart, as rows
//! of different files do; only sums of doubles depend on the order in which they are added.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::row::{Row, RowConverter, SortField};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch, UInt64Array};
use arrow_ord::ord::{DynComparator, make_comparator};
use arrow_schema::{ArrowError, DataType, SchemaRef, SortOptions};
use arrow_select::concat::concat_batches;
use arrow_select::take::take;

use super::changes::Changes;
use super::groups::DECIMAL_END;
use crate::columns::rollup::Made;

/// How batches of a table's rows are put together.
#[derive(Clone, Debug)]
pub struct Merge {
    schema: SchemaRef,
    /// Of a rollup, what each column is made of.
    made: Option<Vec<Made>>,
    /// Of a table with a key, what its rows are on their way there.
    changes: Option<Changes>,
}

impl Merge {
    /// Of rows with these columns, which are made of that, if they are a rollup.
    pub const fn new(schema: SchemaRef, made: Option<Vec<Made>>) -> Self {
        Self { schema, made, changes: None }
    }

    /// Of changes of a table with a key.
    pub fn keyed(changes: Changes) -> Self {
        Self { schema: Arc::clone(changes.schema()), made: None, changes: Some(changes) }
    }

    /// How rows that are in files are put together: no two of those have the same key.
    #[must_use]
    pub fn of_files(&self) -> Self {
        match &self.changes {
            None => self.clone(),
            Some(changes) => Self::new(Arc::clone(changes.stored()), None),
        }
    }

    /// Of a table with a key, what the rows are.
    pub const fn changes(&self) -> Option<&Changes> {
        self.changes.as_ref()
    }

    /// The schema of all batches.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Of a rollup, what each column is made of.
    pub fn made(&self) -> Option<&[Made]> {
        self.made.as_deref()
    }

    /// Puts batches together, in their order.
    ///
    /// # Errors
    /// What Arrow says of batches of other columns.
    pub fn of<'a>(&self, batches: impl IntoIterator<Item = &'a RecordBatch>) -> Result<RecordBatch, ArrowError> {
        if let Some(changes) = &self.changes {
            return changes.of(batches);
        }
        let rows = concat_batches(&self.schema, batches)?;
        match &self.made {
            None => Ok(rows),
            Some(made) => rolled_up(&rows, made),
        }
    }
}

/// A metric on its way, by group.
trait Metric {
    /// Whether a row can be added to a group.
    fn fits(&self, group: usize, row: usize) -> bool;
    /// Adds a row to a group, or begins the next group with it.
    fn add(&mut self, group: usize, row: usize);
    /// The value of each group.
    fn finish(self: Box<Self>) -> Result<ArrayRef, ArrowError>;
}

fn rolled_up(rows: &RecordBatch, made: &[Made]) -> Result<RecordBatch, ArrowError> {
    let (mut keys, mut metrics) = (Vec::new(), Vec::new());
    for (made, values) in made.iter().zip(rows.columns()) {
        match metric(*made, values)? {
            None => keys.push(Arc::clone(values)),
            Some(metric) => metrics.push(metric),
        }
    }
    let fields = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
    let of_rows = RowConverter::new(fields)?.convert_columns(&keys)?;
    // The newest group of each key, and the first row of each group.
    let mut groups: HashMap<Row<'_>, usize> = HashMap::new();
    let mut firsts = Vec::new();
    for (row, key) in of_rows.iter().enumerate() {
        let known = groups.get(&key).copied().filter(|group| metrics.iter().all(|metric| metric.fits(*group, row)));
        let group = known.unwrap_or(firsts.len());
        if known.is_none() {
            groups.insert(key, group);
            firsts.push(row);
        }
        metrics.iter_mut().for_each(|metric| metric.add(group, row));
    }
    let firsts = indices(&firsts);
    let (mut keys, mut metrics) = (keys.iter(), metrics.into_iter());
    let columns = made.iter().filter_map(|made| match made {
        Made::Time(..) | Made::Dimension(_) => Some(take(keys.next()?, &firsts, None)),
        Made::Count | Made::Sum(_) | Made::Min(_) | Made::Max(_) => Some(metrics.next()?.finish()),
    });
    RecordBatch::try_new(rows.schema(), columns.collect::<Result<_, _>>()?)
}

/// How a column is computed; None for one that tells groups apart.
fn metric(made: Made, values: &ArrayRef) -> Result<Option<Box<dyn Metric>>, ArrowError> {
    let least_first = SortOptions { descending: false, nulls_first: false };
    let metric: Box<dyn Metric> = match (made, values.data_type()) {
        (Made::Time(..) | Made::Dimension(_), _) => return Ok(None),
        (Made::Min(_), _) => Box::new(Best::new(values, least_first)?),
        (Made::Max(_), _) => Box::new(Best::new(values, SortOptions { descending: true, ..least_first })?),
        (Made::Count | Made::Sum(_), DataType::Float64) => {
            Box::new(Sum::<Float64Type>::new(values, |one, other| Some(one + other).filter(|sum| sum.is_finite()))?)
        }
        (Made::Count | Made::Sum(_), DataType::Decimal128(..)) => {
            Box::new(Sum::<Decimal128Type>::new(values, |one, other| {
                one.checked_add(other).filter(|sum| sum.unsigned_abs() < DECIMAL_END)
            })?)
        }
        (Made::Count | Made::Sum(_), _) => Box::new(Sum::<Int64Type>::new(values, i64::checked_add)?),
    };
    Ok(Some(metric))
}

fn indices(rows: &[usize]) -> UInt64Array {
    UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64))
}

/// The sum of each group; nothing is nothing to it.
struct Sum<P: ArrowPrimitiveType> {
    values: PrimitiveArray<P>,
    /// None where the sum does not fit.
    plus: Plus<P::Native>,
    sums: Vec<Option<P::Native>>,
}

type Plus<N> = fn(N, N) -> Option<N>;

impl<P: ArrowPrimitiveType> Sum<P> {
    fn new(values: &ArrayRef, plus: Plus<P::Native>) -> Result<Self, ArrowError> {
        let of = values.data_type();
        let known = values.as_primitive_opt::<P>().cloned();
        let values = known.ok_or_else(|| ArrowError::SchemaError(format!("{of} is not what sums are held as")))?;
        Ok(Self { values, plus, sums: Vec::new() })
    }

    /// A group's sum with one more row; None where that does not fit.
    fn with(&self, group: usize, row: usize) -> Option<Option<P::Native>> {
        let value = self.values.is_valid(row).then(|| self.values.value(row));
        match (self.sums.get(group).copied().flatten(), value) {
            (Some(sum), Some(value)) => (self.plus)(sum, value).map(Some),
            (sum, value) => Some(sum.or(value)),
        }
    }
}

impl<P: ArrowPrimitiveType> Metric for Sum<P> {
    fn fits(&self, group: usize, row: usize) -> bool {
        self.with(group, row).is_some()
    }

    fn add(&mut self, group: usize, row: usize) {
        let sum = self.with(group, row).flatten();
        match self.sums.get_mut(group) {
            Some(known) => *known = sum,
            None => self.sums.push(sum),
        }
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, ArrowError> {
        let sums: PrimitiveArray<P> = self.sums.into_iter().collect();
        Ok(Arc::new(sums.with_data_type(self.values.data_type().clone())))
    }
}

/// The row of each group whose value comes first; nothing comes last.
struct Best {
    values: ArrayRef,
    compare: DynComparator,
    rows: Vec<usize>,
}

impl Best {
    fn new(values: &ArrayRef, order: SortOptions) -> Result<Self, ArrowError> {
        Ok(Self { values: Arc::clone(values), compare: make_comparator(values, values, order)?, rows: Vec::new() })
    }
}

impl Metric for Best {
    fn fits(&self, _: usize, _: usize) -> bool {
        true
    }

    fn add(&mut self, group: usize, row: usize) {
        match self.rows.get_mut(group) {
            Some(best) if (self.compare)(row, *best).is_lt() => *best = row,
            Some(_) => {}
            None => self.rows.push(row),
        }
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef, ArrowError> {
        take(&self.values, &indices(&self.rows), None)
    }
}

#[cfg(test)]
mod tests;
