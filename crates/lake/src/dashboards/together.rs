//! Charts that are asked together. Statements of theirs that read the same rows, totals and those of earlier times
//! included, are asked as one ([`Engine::ask_together`]), the others as they would be alone, a few at a time.
//!
//! Invariants: each chart is given whole, as soon as all of its statements are answered; what is wrong with one is told
//! of that one alone. What they take in memory is bounded for all of them. Whoever drops the stream ends what still
//! runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::stream::{BoxStream, FuturesUnordered};
use futures::{FutureExt as _, StreamExt as _};
use headwater_base::{Micros, Principal, Problem};
use headwater_kernel::port::Sql as _;
use headwater_kernel::port::charts::{Before, Choice, Drawn, Ready, Wanted, Whose};
use headwater_kernel::port::sql::{Answer, Column, Question, Via};
use serde_json::{Map, Value};

use super::{Dashboards, asked_by, beside, gathered, question, total};
use crate::charts::{self, Grain, Statement};
use crate::kinds::dashboard::DashboardSpec;
use crate::sql::{Awaited, Engine};

/// Bytes of all answers to one question.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Statements that are answered in one pass: all of them run at once, within one turn.
const PASS_MAX: usize = 32;
/// Passes, and statements by themselves, that run at once for one question: the node has others to answer as well.
const AT_ONCE: usize = 6;

/// Asks charts of one dashboard.
///
/// # Errors
/// `HW-KERNEL-012` without the dashboard.
pub fn ask(dashboards: &Dashboards, of: &Whose, wanted: Vec<Wanted>) -> Result<BoxStream<'static, Ready>, Problem> {
    let now = dashboards.kernel.clock().now();
    let spec_for: Box<dyn Fn(&str) -> Result<Arc<DashboardSpec>, Problem>> = match of {
        Whose::Named(_) => {
            let spec = Arc::new(dashboards.spec(of)?);
            Box::new(move |_: &str| Ok(Arc::clone(&spec)))
        }
        Whose::Draft(draft) => {
            Box::new(move |chart: &str| dashboards.spec(&Whose::Draft(with_one(draft, chart))).map(Arc::new))
        }
    };
    let mut refused: Vec<Ready> = Vec::new();
    let (mut open, mut groups) = (Vec::new(), Groups::default());
    for Wanted { chart, choice } in wanted {
        match spec_for(&chart).and_then(|spec| Open::of(&spec, &chart, &choice, now)) {
            Ok(one) => {
                for (source, part) in one.parts(open.len()) {
                    groups.add(source, part, &choice);
                }
                open.push(one);
            }
            Err(problem) => refused.push((chart, Err(problem))),
        }
    }
    let (engine, room) = (dashboards.engine.clone(), Arc::new(AtomicUsize::new(BYTES_MAX)));
    let asked = futures::stream::iter(groups.all).map(move |group| group.ask(engine.clone(), Arc::clone(&room)));
    let drawn = asked.flatten_unordered(AT_ONCE).filter_map(move |(part, answer)| {
        futures::future::ready(open.get_mut(part.chart).and_then(|one| one.take(part.at, answer)))
    });
    Ok(futures::stream::iter(refused).chain(drawn).boxed())
}

/// A draft with one of its charts: the mistake of another one is no hindrance.
fn with_one(draft: &Value, id: &str) -> Value {
    let Some(members) = draft.as_object() else { return draft.clone() };
    let sheets = draft.get("sheets").and_then(Value::as_array).into_iter().flatten();
    let charts = std::iter::once(draft).chain(sheets).filter_map(|of| of.get("charts")?.as_array()).flatten();
    let is_it = |chart: &&Value| chart.get("id").and_then(Value::as_str) == Some(id);
    let charts: Vec<Value> = charts.filter(is_it).cloned().collect();
    let others = members.iter().filter(|(name, _)| !matches!(name.as_str(), "charts" | "sheets"));
    let mut own: Map<String, Value> = others.map(|(name, value)| (name.clone(), value.clone())).collect();
    own.insert("charts".to_owned(), Value::from(charts));
    Value::Object(own)
}

/// A statement of a chart.
struct Part {
    /// The chart's number.
    chart: usize,
    /// Its number among the chart's statements.
    at: usize,
    /// What it is, if it stands beside the chart's rows.
    beside: Option<&'static str>,
    text: String,
}

/// An answer from its first byte to its last.
struct Whole {
    columns: Vec<Column>,
    bytes: Bytes,
}

/// A chart that has not been given yet.
struct Open {
    chart: String,
    rows: Statement,
    totals: Vec<charts::Total>,
    before: Option<charts::Before>,
    /// Those that have come, in the order of its statements: rows, totals, what was before.
    answers: Vec<Option<Result<Whole, Problem>>>,
}

impl Open {
    fn of(spec: &DashboardSpec, chart: &str, choice: &Choice, now: Micros) -> Result<Self, Problem> {
        let rows = charts::chart(spec, chart, choice, now)?;
        let totals = charts::totals(spec, chart, choice, now)?;
        let before = charts::before(spec, chart, choice, now)?;
        let mut answers = Vec::new();
        answers.resize_with(1 + totals.len() + usize::from(before.is_some()), || None);
        Ok(Self { chart: chart.to_owned(), rows, totals, before, answers })
    }

    /// Its statements, each with what it reads.
    fn parts(&self, chart: usize) -> Vec<(String, Part)> {
        let rows = (&self.rows.source, &self.rows.text, None);
        let totals = self.totals.iter().map(|total| (&total.source, &total.text, Some(beside::TOTAL)));
        let before = self.before.iter().map(|before| (&before.source, &before.text, Some(beside::BEFORE)));
        let all = std::iter::once(rows).chain(totals).chain(before).enumerate();
        all.map(|(at, (source, text, beside))| (source.clone(), Part { chart, at, beside, text: text.clone() }))
            .collect()
    }

    /// Takes an answer; gives the chart if it was the last one.
    fn take(&mut self, at: usize, answer: Result<Whole, Problem>) -> Option<Ready> {
        *self.answers.get_mut(at)? = Some(answer);
        if self.answers.iter().any(Option::is_none) {
            return None;
        }
        let mut answers = std::mem::take(&mut self.answers).into_iter().flatten();
        let rows = answers.next()?;
        let bytes = |answer: Result<Whole, Problem>| answer.map(|whole| whole.bytes);
        let totals = self.totals.iter().zip(answers.by_ref());
        let totals: Vec<_> = totals.map(|(of, answer)| total(of.by.clone(), bytes(answer))).collect();
        let before = self.before.as_ref().zip(answers.next());
        let before = before.map(|(of, answer)| Before { from: of.from, to: of.to, answer: bytes(answer) });
        let Statement { text, grain, axes, .. } = self.rows.clone();
        let drawn = rows.map(|Whole { columns, bytes }| {
            let answer = Answer { columns, body: futures::stream::iter([Ok(bytes)]).boxed() };
            Drawn { query: text, grain: grain.map(Grain::word), axes, answer, totals, before }
        });
        Some((self.chart.clone(), drawn))
    }
}

/// Statements that read the same rows.
struct Group {
    reader: Principal,
    via: Via,
    parts: Vec<Part>,
}

/// All statements of a question.
#[derive(Default)]
struct Groups {
    all: Vec<Group>,
    /// By what is read for whom: the last group that has room.
    last: HashMap<(String, Principal, Via), usize>,
}

impl Groups {
    fn add(&mut self, source: String, part: Part, Choice { reader, via, .. }: &Choice) {
        let key = (source, reader.clone(), *via);
        let found = self.last.get(&key).and_then(|at| self.all.get_mut(*at));
        match found.filter(|group| group.parts.len() < PASS_MAX) {
            Some(group) => group.parts.push(part),
            None => {
                self.last.insert(key, self.all.len());
                self.all.push(Group { reader: reader.clone(), via: *via, parts: vec![part] });
            }
        }
    }
}

impl Group {
    /// Asks its statements, and gives each with its answer.
    fn ask(self, engine: Engine, room: Arc<AtomicUsize>) -> BoxStream<'static, (Part, Result<Whole, Problem>)> {
        let Self { reader, via, parts } = self;
        let asked = async move {
            let answers = answers(engine, &parts, question(String::new(), reader, via)).await;
            let read = parts.into_iter().zip(answers).map(|(part, answer)| read(part, answer, Arc::clone(&room)));
            read.collect::<FuturesUnordered<_>>()
        };
        futures::stream::once(asked).flatten().boxed()
    }
}

/// What will be the answers of statements; `of` says all of them but the texts.
async fn answers(engine: Engine, parts: &[Part], of: Question) -> Vec<Awaited> {
    if let [only] = parts {
        let question = Question { text: only.text.clone(), ..of };
        return vec![async move { engine.ask(question).await }.boxed()];
    }
    let texts = parts.iter().map(|part| part.text.clone()).collect();
    match engine.ask_together(texts, of).await {
        Ok(answers) => answers,
        Err(problem) => parts.iter().map(|_| futures::future::ready(Err(problem.clone())).boxed()).collect(),
    }
}

/// Reads an answer to its end.
async fn read(part: Part, answer: Awaited, room: Arc<AtomicUsize>) -> (Part, Result<Whole, Problem>) {
    let whole = async {
        let Answer { columns, body } = answer.await.map_err(|problem| asked_by(problem, &part.text))?;
        let mut own = part.beside.map(beside::room);
        let bytes = gathered(body, |bytes| {
            if let Some(own) = &mut own {
                own(bytes)?;
            }
            take(&room, bytes)
        });
        Ok::<_, Problem>(Whole { columns, bytes: bytes.await? })
    };
    let whole = whole.await;
    (part, whole)
}

/// Takes so much of the room of all answers.
fn take(room: &AtomicUsize, bytes: usize) -> Result<(), Problem> {
    let taken = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
    taken.map(drop).map_err(|_| {
        let fact = format!("the answers of charts that are asked together have more than {BYTES_MAX} bytes");
        Problem::new("HW-LAKE-115", fact).help("ask this chart alone, or give it a smaller `limit`")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_draft_is_examined_for_one_chart_at_a_time() {
        let draft =
            json!({"title": "t", "charts": [{"id": "a"}, 7], "sheets": [{"id": "s", "charts": [{"id": "b"}]}, {}]});
        assert_eq!(with_one(&draft, "a"), json!({"title": "t", "charts": [{"id": "a"}]}));
        assert_eq!(with_one(&draft, "b"), json!({"title": "t", "charts": [{"id": "b"}]}));
        assert_eq!(with_one(&draft, "c"), json!({"title": "t", "charts": []}));
        assert_eq!(with_one(&json!([]), "a"), json!([]));
    }

    #[test]
    fn answers_have_room_together() {
        let room = AtomicUsize::new(10);
        assert!(take(&room, 7).is_ok() && take(&room, 3).is_ok() && take(&room, 0).is_ok());
        assert_eq!(take(&room, 1).unwrap_err().code, "HW-LAKE-115");
    }

    #[test]
    fn a_pass_has_a_bound_and_one_reader() {
        let mut groups = Groups::default();
        let part = |chart| Part { chart, at: 0, beside: None, text: String::new() };
        let asha = Choice { reader: Principal::new("asha").unwrap(), ..Choice::default() };
        for chart in 0..=PASS_MAX {
            groups.add("FROM t".to_owned(), part(chart), &Choice::default());
            groups.add("FROM t".to_owned(), part(chart), &asha);
        }
        groups.add("FROM u".to_owned(), part(0), &asha);
        let sizes: Vec<usize> = groups.all.iter().map(|group| group.parts.len()).collect();
        assert_eq!(sizes, [PASS_MAX, PASS_MAX, 1, 1, 1]);
    }
}
