//! What stands beside a chart's rows: totals, and what its measure was at an earlier time. Each is a statement of its
//! own, since an average or a distinct count follows from no rows that are shown. Pure.
//!
//! Invariant: each has the conditions of the chart's own statement, other times aside.

use headwater_base::{Micros, Problem};
use headwater_kernel::port::charts::{Beside, Choice};

use super::{Asked, Times, named, select, times};
use crate::kinds::dashboard::{CompareSpec, DashboardSpec, Shape};

/// Totals of one kind: as many as a chart has rows at most. Those of rows that are shown can be among the last.
pub const GROUPS: u32 = 100_000;

/// Measures over rows that the chart shows apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The axes that are kept, by their places; none of the grand total.
    pub by: Vec<usize>,
    /// The statement: those axes, then all measures.
    pub text: String,
    /// As [`super::Statement::source`].
    pub source: String,
}

/// A measure at an earlier time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// The first moment of that time.
    pub from: Micros,
    /// The first moment behind it.
    pub to: Micros,
    /// The statement.
    pub text: String,
    /// As [`super::Statement::source`].
    pub source: String,
}

/// The totals that a chart wants: over all of a table; of each line, of each column and over all of a pivot.
///
/// # Errors
/// As [`super::chart`].
pub fn totals(spec: &DashboardSpec, id: &str, choice: &Choice, now: Micros) -> Result<Vec<Total>, Problem> {
    let chart = named(spec, id)?;
    if !chart.totals || choice.beside == Beside::Nothing {
        return Ok(Vec::new());
    }
    let asked = Asked::of(spec, chart, choice, times(spec, choice, now))?;
    let Some(last) = asked.axes.checked_sub(1) else { return Ok(Vec::new()) };
    let by: Vec<Vec<usize>> = match chart.shape {
        Shape::Pivot => vec![(0..last).collect(), vec![last], Vec::new()],
        _ => vec![Vec::new()],
    };
    Ok(by.into_iter().map(|by| asked.total(by)).collect())
}

/// The measure at the time that a chart is compared with; none where the times that are shown have no beginning.
///
/// # Errors
/// As [`super::chart`].
pub fn before(spec: &DashboardSpec, id: &str, choice: &Choice, now: Micros) -> Result<Option<Before>, Problem> {
    let chart = named(spec, id)?;
    let shown = times(spec, choice, now);
    let (Some(compare), Some(from)) = (chart.compare, shown.from) else { return Ok(None) };
    if choice.beside == Beside::Nothing {
        return Ok(None);
    }
    let to = shown.to.unwrap_or(now);
    let back = match compare {
        CompareSpec::Previous => to.since(from),
        CompareSpec::Before(span) => span.duration(),
    };
    let (from, to) = (from.minus(back), to.minus(back));
    let asked = Asked::of(spec, chart, choice, Times { from: Some(from), to: Some(to), length: shown.length })?;
    Ok(Some(Before { from, to, text: asked.rows(), source: asked.source() }))
}

impl Asked<'_> {
    /// Over rows that have the same values on these axes. One row without any, also where there is none to add up.
    fn total(&self, by: Vec<usize>) -> Total {
        let kept = by.iter().filter_map(|axis| self.columns.get(*axis));
        let columns: Vec<_> = kept.chain(self.columns.iter().skip(self.axes)).cloned().collect();
        let order: Vec<String> = (1..=by.len()).map(|number| number.to_string()).collect();
        // One more shows that there are more.
        let limit = if by.is_empty() { 1 } else { GROUPS + 1 };
        let source = self.source();
        let text = select(&columns, &source, by.len(), &order, Some(limit));
        Total { by, text, source }
    }
}
