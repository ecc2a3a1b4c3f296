//! `POST /v1/charts`: the rows of a dashboard's chart; `POST /v1/charts/together`: those of several, each on a line of its
//! own as soon as it is ready; `POST /v1/charts/values`: what a filter can be set to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Buf as _, Bytes};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use headwater_base::{Micros, Principal, Problem, Span};
use headwater_kernel::port::Charts;
use headwater_kernel::port::charts::{Before, Beside, Choice, Drawn, Ready, Total, Wanted, Whose, Window};
use headwater_kernel::port::sql::Via;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::Api;
use crate::http::body::media_type;
use crate::http::fault::Fault;
use crate::http::features::expect_json;
use crate::http::principal;
use crate::http::query::Query;

/// A question's length; a draft with all of its charts is in it.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Charts of one question. The console asks no more at once (`together.ts`).
const CHARTS_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    dashboard: Option<String>,
    #[serde(default)]
    spec: Option<Value>,
    #[serde(default)]
    chart: Option<String>,
    #[serde(default)]
    filter: Option<String>,
    #[serde(default)]
    search: String,
    #[serde(default)]
    filters: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    time: Option<Times>,
    #[serde(default)]
    grain: Option<String>,
    #[serde(default)]
    drill: Vec<Value>,
}

/// Several charts: each with its own choices, all at the same times.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Together {
    #[serde(default)]
    dashboard: Option<String>,
    #[serde(default)]
    spec: Option<Value>,
    charts: Vec<One>,
    #[serde(default)]
    time: Option<Times>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct One {
    chart: String,
    #[serde(default)]
    filters: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    grain: Option<String>,
    #[serde(default)]
    drill: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Times {
    #[serde(default)]
    last: Option<Span>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
}

/// Gives the rows of a chart.
pub async fn draw(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let (asked, reader): (Asked, _) = read(&api, request).await?;
    let Some(chart) = &asked.chart else { return Err(unclear("the body names no chart").into()) };
    let (of, choice) = (asked.of()?, asked.choice(reader)?);
    Ok(shown(charts(&api)?.draw(&of, chart, &choice).await?))
}

/// Gives the rows of several charts, each on a line as soon as it is ready.
pub async fn draw_together(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let (asked, reader): (Together, _) = read(&api, request).await?;
    let of = whose(asked.dashboard.as_ref(), asked.spec.as_ref())?;
    let ready = charts(&api)?.draw_together(&of, asked.wanted(&reader)?)?;
    Ok(streamed("application/x-ndjson", ready.flat_map(line)))
}

/// Gives the values that a filter can take.
pub async fn values(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let (asked, reader): (Asked, _) = read(&api, request).await?;
    let Some(filter) = &asked.filter else { return Err(unclear("the body names no filter").into()) };
    let (of, choice) = (asked.of()?, asked.choice(reader)?);
    Ok(shown(charts(&api)?.values(&of, filter, &asked.search, &choice).await?))
}

async fn read<T: DeserializeOwned>(api: &Api, request: Request) -> Result<(T, Principal), Fault> {
    let (head, body) = request.into_parts();
    Query::parse(head.uri.query(), &[])?;
    expect_json(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, BODY_BYTES_MAX, &api.limits).await?;
    let asked = serde_json::from_slice(&body.bytes);
    let asked = asked.map_err(|error| unclear("the body is no question").because(error))?;
    Ok((asked, principal::of(&head.headers)?))
}

fn charts(api: &Api) -> Result<&Arc<dyn Charts>, Problem> {
    api.charts.as_ref().ok_or_else(|| {
        Problem::new("HW-API-004", "charts are not answered here").help("ask a node that `headwater up` started")
    })
}

impl Asked {
    fn of(&self) -> Result<Whose, Problem> {
        whose(self.dashboard.as_ref(), self.spec.as_ref())
    }

    fn choice(&self, reader: Principal) -> Result<Choice, Problem> {
        let window = self.time.as_ref().map_or(Ok(Window::Own), Times::window)?;
        let (filters, grain, drill) = (self.filters.clone(), self.grain.clone(), self.drill.clone());
        Ok(Choice { filters, window, grain, drill, reader, beside: Beside::All, via: Via::Chart })
    }
}

impl Together {
    /// # Errors
    /// `HW-API-105` for too many charts, 106 for one that is there twice.
    fn wanted(self, reader: &Principal) -> Result<Vec<Wanted>, Problem> {
        let window = self.time.as_ref().map_or(Ok(Window::Own), Times::window)?;
        match self.charts.len() {
            0 => return Err(unclear("the body names no chart")),
            1..=CHARTS_MAX => {}
            many => {
                let fact = format!("the body names {many} charts; the limit is {CHARTS_MAX}");
                return Err(Problem::new("HW-API-105", fact).help("send several questions"));
            }
        }
        let twice = {
            let mut names = BTreeSet::new();
            self.charts.iter().find(|one| !names.insert(&one.chart))
        };
        if let Some(One { chart, .. }) = twice {
            let fact = format!("the body names the chart `{}` twice", chart.escape_debug());
            return Err(Problem::new("HW-API-106", fact).help("lines are told by their charts; send two questions"));
        }
        let wanted = |One { chart, filters, grain, drill }: One| {
            let (reader, beside, via) = (reader.clone(), Beside::All, Via::Chart);
            Wanted { chart, choice: Choice { filters, window, grain, drill, reader, beside, via } }
        };
        Ok(self.charts.into_iter().map(wanted).collect())
    }
}

fn whose(dashboard: Option<&String>, spec: Option<&Value>) -> Result<Whose, Problem> {
    match (dashboard, spec) {
        (Some(name), None) => Ok(Whose::Named(name.clone())),
        (None, Some(spec)) => Ok(Whose::Draft(spec.clone())),
        _ => Err(unclear("the body has either `dashboard` or `spec`")),
    }
}

impl Times {
    fn window(&self) -> Result<Window, Problem> {
        let moment = |text: &String| {
            Micros::parse_rfc3339(text)
                .ok_or_else(|| unclear(&format!("`{}` is no RFC 3339 time", text.escape_debug())))
        };
        match (self.last, &self.from, &self.to) {
            (None, None, None) => Ok(Window::All),
            (Some(span), None, None) => Ok(Window::Last(span)),
            (None, Some(from), Some(to)) => Ok(Window::Between(moment(from)?, moment(to)?)),
            _ => Err(unclear("`time` has either `last`, or `from` and `to`, or nothing")),
        }
    }
}

fn unclear(fact: &str) -> Problem {
    Problem::new("HW-API-008", fact).help(
        "send `{\"dashboard\": \"sales\", \"chart\": \"total\"}`, with `filters`, `time`, `grain` and `drill` if wanted; \
         `/v1/charts/together` takes several in `charts`",
    )
}

/// A chart's answer.
fn shown(drawn: Drawn) -> Response {
    streamed("application/json", members(json!({}), drawn))
}

/// A chart's line among others, with its end.
fn line((chart, drawn): Ready) -> BoxStream<'static, Result<Bytes, Problem>> {
    match drawn {
        Ok(drawn) => members(json!({"chart": chart}), drawn)
            .chain(futures::stream::iter([Ok(Bytes::from_static(b"\n"))]))
            .boxed(),
        Err(problem) => {
            let text = json!({"chart": chart, "problem": problem}).to_string() + "\n";
            futures::stream::iter([Ok(Bytes::from(text))]).boxed()
        }
    }
}

/// A body that is sent as it comes. What goes wrong in it breaks it off.
fn streamed(media_type: &'static str, body: impl Stream<Item = Result<Bytes, Problem>> + Send + 'static) -> Response {
    let body = body.map_err(|problem| std::io::Error::other(problem.to_string()));
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The answer of SQL, with what is known of the chart as its first members.
fn members(mut own: Value, drawn: Drawn) -> impl Stream<Item = Result<Bytes, Problem>> + Send + 'static {
    let Drawn { query, grain, axes, answer, totals, before } = drawn;
    own["query"] = json!(query);
    own["grain"] = json!(grain);
    own["axes"] = json!(axes);
    let mut head = own.to_string().into_bytes();
    head.pop();
    if !totals.is_empty() {
        let total = |total: &Total| match total.cut {
            true => joined(json!({"by": total.by, "cut": true}), &total.answer),
            false => joined(json!({"by": total.by}), &total.answer),
        };
        let totals: Vec<_> = totals.iter().map(total).collect();
        head.extend_from_slice(b",\"totals\":[");
        head.extend_from_slice(&totals.join(&b','));
        head.push(b']');
    }
    if let Some(Before { from, to, answer }) = before {
        head.extend_from_slice(b",\"before\":");
        head.extend(joined(json!({"from": from.to_string(), "to": to.to_string()}), &answer));
    }
    head.push(b',');
    let mut first = true;
    let body = answer.body.map_ok(move |mut chunk| {
        if std::mem::take(&mut first) && chunk.first() == Some(&b'{') {
            chunk.advance(1);
        }
        chunk
    });
    futures::stream::iter([Ok(Bytes::from(head))]).chain(body)
}

/// One object with the members of both; `object` is the bytes of one with some, or why there is none: then it has no rows.
fn joined(mut members: Value, object: &Result<Bytes, Problem>) -> Vec<u8> {
    let object = match object {
        Ok(object) => &object[..],
        Err(problem) => {
            members["problem"] = json!(problem);
            b"{\"columns\":[],\"rows\":[]}".as_slice()
        }
    };
    let mut bytes = members.to_string().into_bytes();
    bytes.pop();
    bytes.push(b',');
    bytes.extend_from_slice(object.strip_prefix(b"{").unwrap_or(object));
    bytes
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use headwater_kernel::port::sql::Answer;

    use super::*;

    #[test]
    fn a_line_is_a_charts_answer_or_its_problem() {
        let read = |ready: Ready| {
            let line: Vec<Bytes> = line(ready).try_collect().now_or_never().unwrap().unwrap();
            String::from_utf8(line.concat()).unwrap()
        };
        let chunks = ["{\"columns\":[],\"rows\":[[1]", ",[2]]}"].map(|chunk| Ok(Bytes::from(chunk)));
        let answer = Answer { columns: Vec::new(), body: futures::stream::iter(chunks).boxed() };
        let query = "SELECT\n1".to_owned();
        let drawn = Drawn { query, grain: Some("day"), axes: 1, answer, totals: Vec::new(), before: None };
        assert_eq!(
            read(("a".to_owned(), Ok(drawn))),
            "{\"chart\":\"a\",\"query\":\"SELECT\\n1\",\"grain\":\"day\",\"axes\":1,\"columns\":[],\"rows\":[[1],[2]]}\n"
        );
        let problem = Problem::new("HW-LAKE-044", "broken");
        assert_eq!(
            read(("b".to_owned(), Err(problem))),
            "{\"chart\":\"b\",\"problem\":{\"code\":\"HW-LAKE-044\",\"title\":\"broken\"}}\n"
        );
    }

    #[test]
    fn what_is_not_there_says_why_in_the_place_of_rows() {
        let read = |object: &Result<Bytes, Problem>| -> Value {
            serde_json::from_slice(&joined(json!({"by": [0]}), object)).unwrap()
        };
        let there = Ok(Bytes::from_static(b"{\"columns\":[],\"rows\":[[1]]}"));
        assert_eq!(read(&there), json!({"by": [0], "columns": [], "rows": [[1]]}));
        let absent = Err(Problem::new("HW-LAKE-074", "too large"));
        let problem = json!({"code": "HW-LAKE-074", "title": "too large"});
        assert_eq!(read(&absent), json!({"by": [0], "problem": problem, "columns": [], "rows": []}));
    }
}
