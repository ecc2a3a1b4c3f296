//! Dashboards as their readers ask them: the spec is looked up or examined, a chart becomes a statement ([`charts`]),
//! and SQL's engine answers it within its bounds.

mod beside;
mod together;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use headwater_base::{Principal, Problem};
use headwater_kernel::port::Sql as _;
use headwater_kernel::port::charts::{Before, Charts, Choice, Drawn, Ready, Total, Wanted, Whose};
use headwater_kernel::port::sql::{Answer, Format, Question, Via};
use headwater_kernel::{Kernel, Origin, kind};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::charts::{self, Grain, Statement};
use crate::kinds::dashboard::{self, DashboardSpec};
use crate::sql::Engine;

/// Answers charts.
pub struct Dashboards {
    kernel: Arc<Kernel>,
    engine: Engine,
}

impl Dashboards {
    /// The dashboards of `kernel`, answered by `engine`.
    pub fn new(kernel: Arc<Kernel>, engine: Engine) -> Self {
        Self { kernel, engine }
    }

    /// A spec without problems.
    fn spec(&self, of: &Whose) -> Result<DashboardSpec, Problem> {
        match of {
            Whose::Named(name) => {
                let resource = self.kernel.get(dashboard::KIND.name, name).ok_or_else(|| {
                    let fact = format!("there is no Dashboard `{}`", name.escape_debug());
                    Problem::new("HW-KERNEL-012", fact).help("`headwater get dashboards` lists them")
                })?;
                kind::decode(resource.effective(), "/spec", &resource.draft().origin)
            }
            Whose::Draft(spec) => {
                let spec: DashboardSpec = kind::decode(spec, "/spec", &Origin::resource("Dashboard/draft"))?;
                match charts::check(&spec).into_iter().next() {
                    Some((at, problem)) => Err(problem.at(format!("spec{}", at.replace('/', ".")), 0, 0)),
                    None => Ok(spec),
                }
            }
        }
    }

    async fn ask(&self, text: &str, choice: &Choice) -> Result<Answer, Problem> {
        let question = question(text.to_owned(), choice.reader.clone(), choice.via);
        self.engine.ask(question).await.map_err(|problem| asked_by(problem, text))
    }

    /// The whole answer of a statement; `what` says of what. While it is read nothing else of the chart is: one chart is one
    /// query at a time.
    async fn whole(&self, what: &'static str, text: &str, choice: &Choice) -> Result<Bytes, Problem> {
        gathered(self.ask(text, choice).await?.body, beside::room(what)).await
    }

    async fn rows(&self, statement: Statement, choice: &Choice) -> Result<Drawn, Problem> {
        let Statement { text, grain, axes, .. } = statement;
        let answer = self.ask(&text, choice).await?;
        Ok(Drawn { query: text, grain: grain.map(Grain::word), axes, answer, totals: Vec::new(), before: None })
    }
}

/// A chart's statement as SQL takes it.
fn question(text: String, principal: Principal, via: Via) -> Question {
    Question { text, format: Format::Json, rows_max: None, principal, via }
}

/// A problem with the statement that it is about: places are within what was asked, which nobody has written.
fn asked_by(problem: Problem, text: &str) -> Problem {
    problem.because(format!("the chart asked: {}", text.replace('\n', " ")))
}

/// The whole of an answer; `room` refuses bytes that are too many.
async fn gathered(
    mut body: BoxStream<'static, Result<Bytes, Problem>>,
    mut room: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let mut all: Vec<u8> = Vec::new();
    while let Some(chunk) = body.try_next().await? {
        room(chunk.len())?;
        all.extend_from_slice(&chunk);
    }
    Ok(all.into())
}

fn total(by: Vec<usize>, answer: Result<Bytes, Problem>) -> Total {
    Total { by, cut: answer.as_ref().is_ok_and(|it| is_cut(it, charts::GROUPS as usize)), answer }
}

/// Whether an answer has more rows than these.
fn is_cut(answer: &[u8], rows: usize) -> bool {
    #[derive(Deserialize)]
    struct Rows {
        rows: Vec<IgnoredAny>,
    }
    // A row has its brackets and one value at least. Only those of large answers are counted.
    answer.len() > 3 * rows && serde_json::from_slice::<Rows>(answer).is_ok_and(|answer| answer.rows.len() > rows)
}

impl Charts for Dashboards {
    fn defaults(&self, of: &Whose) -> Result<BTreeMap<String, Vec<Value>>, Problem> {
        self.spec(of).map(|spec| charts::defaults(&spec))
    }

    fn draw<'a>(&'a self, of: &'a Whose, chart: &'a str, choice: &'a Choice) -> BoxFuture<'a, Result<Drawn, Problem>> {
        Box::pin(async move {
            let spec = self.spec(of)?;
            let now = self.kernel.clock().now();
            let statement = charts::chart(&spec, chart, choice, now)?;
            let mut totals = Vec::new();
            for charts::Total { by, text, .. } in charts::totals(&spec, chart, choice, now)? {
                totals.push(total(by, self.whole(beside::TOTAL, &text, choice).await));
            }
            let before = match charts::before(&spec, chart, choice, now)? {
                Some(charts::Before { from, to, text, .. }) => {
                    Some(Before { from, to, answer: self.whole(beside::BEFORE, &text, choice).await })
                }
                None => None,
            };
            Ok(Drawn { totals, before, ..self.rows(statement, choice).await? })
        })
    }

    fn draw_together(&self, of: &Whose, wanted: Vec<Wanted>) -> Result<BoxStream<'static, Ready>, Problem> {
        together::ask(self, of, wanted)
    }

    fn values<'a>(
        &'a self,
        of: &'a Whose,
        filter: &'a str,
        search: &'a str,
        choice: &'a Choice,
    ) -> BoxFuture<'a, Result<Drawn, Problem>> {
        Box::pin(async move {
            let spec = self.spec(of)?;
            self.rows(charts::values(&spec, filter, search, choice)?, choice).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_cut_where_there_are_more_rows_than_asked_for() {
        let answer = |rows: usize| {
            let rows = vec!["[null]"; rows].join(",");
            format!("{{\"columns\":[{{\"name\":\"n\",\"type\":\"bigint\"}}],\"rows\":[{rows}]}}").into_bytes()
        };
        assert_eq!([0, 1, 2, 3, 50].map(|rows| is_cut(&answer(rows), 2)), [false, false, false, true, true]);
    }
}
