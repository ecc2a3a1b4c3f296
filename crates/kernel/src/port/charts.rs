//! The port of charts: a dashboard's chart and what its reader has chosen go in, rows come out.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use headwater_base::{Micros, Principal, Problem, Span};
use headwater_wire::percent;
use serde_json::Value;

use super::sql::{Answer, Via};

/// Whose charts.
#[derive(Clone, Debug, PartialEq)]
pub enum Whose {
    /// The Dashboard of this name.
    Named(String),
    /// The spec of one that is not applied.
    Draft(Value),
}

/// The times that are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// What the dashboard shows first.
    #[default]
    Own,
    /// All there is.
    All,
    /// So far back from now.
    Last(Span),
    /// From a moment on, up to before another.
    Between(Micros, Micros),
}

/// What is asked beside a chart's rows, each a statement of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beside {
    /// All totals that the chart wants, and its earlier value.
    #[default]
    All,
    /// Nothing.
    Nothing,
}

/// What the reader of a dashboard has chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Values of filters, by the filter's id; a filter without values lets everything through.
    pub filters: BTreeMap<String, Vec<Value>>,
    /// The times.
    pub window: Window,
    /// How finely time is cut, instead of as the chart says.
    pub grain: Option<String>,
    /// The value chosen on each level of the chart's drill, from the outermost on.
    pub drill: Vec<Value>,
    /// Who reads: charts have the rows that policies let them see.
    pub reader: Principal,
    /// What is asked beside the rows.
    pub beside: Beside,
    /// What reads for them.
    pub via: Via,
}

impl Choice {
    /// The dashboard's page with what was chosen, as the console writes it in its address.
    pub fn page(&self, dashboard: &str) -> String {
        let encoded = |text: &str| percent::encode(text.as_bytes());
        let value = |values: &Vec<Value>| encoded(&Value::from(values.clone()).to_string());
        let filters = self.filters.iter().map(|(id, values)| format!("f.{}={}", encoded(id), value(values)));
        let times = match self.window {
            Window::Own => None,
            Window::All => Some("all".to_owned()),
            Window::Last(span) => Some(encoded(&span.to_string())),
            Window::Between(from, to) => Some(encoded(&format!("{from}..{to}"))),
        };
        let query: Vec<String> = filters.chain(times.map(|times| format!("t={times}"))).collect();
        let page = format!("/console/dashboards/{}", encoded(dashboard));
        if query.is_empty() { page } else { format!("{page}?{}", query.join("&")) }
    }
}

/// A chart that is asked together with others.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its id.
    pub chart: String,
    /// What its reader has chosen for it.
    pub choice: Choice,
}

/// A chart that was asked together with others: its id, and its rows or why there are none. They do not fail any more.
pub type Ready = (String, Result<Drawn, Problem>);

/// A chart's rows, and where they come from.
pub struct Drawn {
    /// The statement that was asked.
    pub query: String,
    /// How finely the first column's times are cut.
    pub grain: Option<&'static str>,
    /// So many columns at the beginning say what a row is about; those behind them are measures.
    pub axes: usize,
    /// The rows, in JSON.
    pub answer: Answer,
    /// Its measures over rows that it shows apart, if it wants them.
    pub totals: Vec<Total>,
    /// Its measure at an earlier time, if it is compared with one.
    pub before: Option<Before>,
}

/// Measures of a chart over rows that it shows apart.
pub struct Total {
    /// The axes that are kept, by their places; none of the grand total.
    pub by: Vec<usize>,
    /// Whether there are more of them than were asked for.
    pub cut: bool,
    /// Those axes, then all measures: an object with `columns` and `rows`, in JSON; or why they are not there.
    pub answer: Result<Bytes, Problem>,
}

/// A chart's measure at an earlier time.
pub struct Before {
    /// The first moment of that time.
    pub from: Micros,
    /// The first moment behind it.
    pub to: Micros,
    /// The measure: an object with `columns` and `rows`, in JSON; or why it is not there.
    pub answer: Result<Bytes, Problem>,
}

/// Answers charts: it knows dashboards and asks SQL.
pub trait Charts: Send + Sync {
    /// The values of filters that a reader has who has chosen none, by the filter's id.
    ///
    /// # Errors
    /// `HW-KERNEL-012` without the dashboard, `HW-LAKE-070` for a draft that cannot be.
    fn defaults(&self, of: &Whose) -> Result<BTreeMap<String, Vec<Value>>, Problem>;

    /// The rows of a chart.
    ///
    /// # Errors
    /// `HW-KERNEL-012` without the dashboard, `HW-LAKE-070` for a draft that cannot be, `HW-LAKE-071` for what the
    /// dashboard does not have, and those of [`Sql::ask`](super::Sql::ask). What stands beside the rows fails alone, also by
    /// `HW-LAKE-074` for what is too large.
    fn draw<'a>(&'a self, of: &'a Whose, chart: &'a str, choice: &'a Choice) -> BoxFuture<'a, Result<Drawn, Problem>>;

    /// The rows of several charts of a dashboard, each once it is ready. Those that read the same rows are answered in one
    /// pass over them. Whoever drops the stream ends what still runs. A mistake of one chart is its own, also in a draft.
    ///
    /// # Errors
    /// `HW-KERNEL-012` without the dashboard. Of one chart those of [`Charts::draw`], and `HW-LAKE-115` for one whose answer
    /// is too large together with those that came before.
    fn draw_together(&self, of: &Whose, wanted: Vec<Wanted>) -> Result<BoxStream<'static, Ready>, Problem>;

    /// Values that a filter can take where `search` is a part of them, and how many rows have each. A filter that comes
    /// after others has those that their values leave.
    ///
    /// # Errors
    /// As [`Charts::draw`].
    fn values<'a>(
        &'a self,
        of: &'a Whose,
        filter: &'a str,
        search: &'a str,
        choice: &'a Choice,
    ) -> BoxFuture<'a, Result<Drawn, Problem>>;
}
