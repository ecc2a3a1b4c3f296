//! Sales through the solution: on a private node from their first to their last hour, or into a node that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use headwater_base::partition::partition_of;
use headwater_base::{Micros, Problem};
use headwater_wire::batch::{Builder, Compression};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::sale::Sale;
use crate::problems::Problems;
use crate::solution::node::{Node, Private, wall_ms};
use crate::solution::package::{Package, Settings};
use crate::solution::{checks, reader};

/// The stream that takes sales.
pub const SALES: &str = "sales.raw";
/// Sales of one request: so few that the partitions of the stream stay close in time.
const REQUEST_SALES: usize = 2_000;
/// How long a node may take for all of it.
const PATIENCE: Duration = Duration::from_secs(300);
const HOUR_MICROS: i64 = 3_600_000_000;
/// The disorder of the solution's pipeline: an hour is over this long after its end.
const DISORDER_MICROS: i64 = 60_000_000;

/// What came of sales.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// What was said of each hour and cohort.
    pub verdicts: Vec<Value>,
    /// What was expected of each.
    pub forecasts: Vec<Value>,
    /// Alerts that were written.
    pub alerts: u64,
    /// Hours of anomalies, as SQL counts them.
    pub anomalies_by_sql: u64,
    /// Single events that were tried, and what was not as it must be.
    pub checks: (u64, Vec<String>),
    /// Seconds it took.
    pub seconds: f64,
}

/// What `solution run` tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Sales read.
    pub sales: u64,
    /// Cohorts in them.
    pub cohorts: u64,
    /// Hours that were judged, over all cohorts.
    pub judged: u64,
    /// Of these, outside their band.
    pub outside: u64,
    /// Anomalies.
    pub anomalies: u64,
    /// When each began, and whose it is.
    pub began: Vec<String>,
    /// How far off the forecasts were, in per cent of what came.
    pub error_percent: f64,
    /// Seconds it took.
    pub seconds: f64,
}

/// Replays sales on a node of their own.
///
/// # Errors
/// What the node has to say.
pub async fn replay(
    package: &Package,
    sales: &[Sale],
    mut tell: impl FnMut(&'static str, u64),
) -> Result<Replayed, Problems> {
    let start = Instant::now();
    let private = Private::start().await?;
    let node = &private.node;
    let settings = Settings { folder: private.folder.clone(), values: BTreeMap::new() };
    node.apply(&package.resources(&settings)?).await?;
    node.pipelines_ready(Duration::from_secs(20)).await?;
    let checks = checks::run(package, node).await?;
    send(node, sales, |sent| tell("sending", sent)).await?;
    tell("settling", sales.len() as u64);
    let hours = hours_over(sales);
    reader::settled(
        node,
        &["sales.hourly", "sales.verdicts", "sales.forecasts", "sales.alerts"],
        Duration::from_millis(700),
        PATIENCE,
        |counts| matches!(counts, [hourly, verdicts, ..] if *hourly >= hours && verdicts >= hourly),
    )
    .await?;
    let mut replayed = Replayed { checks, ..Replayed::default() };
    let documents = |into: &mut Vec<Value>, value: Option<bytes::Bytes>| {
        into.extend(value.and_then(|value| serde_json::from_slice::<Value>(&value).ok()));
    };
    reader::all(node, "sales.verdicts", |_, record| documents(&mut replayed.verdicts, record.value)).await?;
    reader::all(node, "sales.forecasts", |_, record| documents(&mut replayed.forecasts, record.value)).await?;
    replayed.alerts = reader::all(node, "sales.alerts", |_, _| {}).await?;
    let query = json!({ "query": "SELECT count(*) FROM sales_verdicts WHERE anomaly" }).to_string();
    let answer =
        node.web.json(Method::POST, &["v1", "sql"], &[], Some(("application/json", query.into_bytes()))).await?;
    replayed.anomalies_by_sql = answer.pointer("/rows/0/0").and_then(Value::as_u64).unwrap_or_default();
    replayed.seconds = (start.elapsed().as_secs_f64() * 100.0).round() / 100.0;
    Ok(replayed)
}

/// Sends sales in their order, each cohort to one partition; `tell` hears how many are sent.
///
/// # Errors
/// `HW-CLI-203`.
pub async fn send(node: &Node, sales: &[Sale], mut tell: impl FnMut(u64)) -> Result<(), Problem> {
    let mut client = node.connect().await?;
    let partitions = client.partitions(SALES).await?;
    let mut sent = 0;
    for some in sales.chunks(REQUEST_SALES) {
        let mut open: BTreeMap<u32, Builder> = BTreeMap::new();
        for sale in some {
            let key = sale.cohort();
            let builder =
                open.entry(partition_of(key.as_bytes(), partitions)).or_insert_with(|| Builder::new(Compression::None));
            builder.push(wall_ms(), Some(key.as_bytes()), Some(sale.event(sent).as_bytes()), &[]);
            sent += 1;
        }
        let batches: Vec<_> = open.into_iter().map(|(partition, builder)| (partition, builder.finish())).collect();
        client.produce(SALES, &batches).await?;
        tell(sent as u64);
    }
    Ok(())
}

/// Hours with sales that are over by the time of the last sale.
fn hours_over(sales: &[Sale]) -> i64 {
    let over = sales.last().map_or(Micros::MIN, |sale| sale.time).0.saturating_sub(DISORDER_MICROS);
    let hours = sales.iter().map(|sale| (sale.time.0.div_euclid(HOUR_MICROS), &sale.country, &sale.channel));
    let over: BTreeSet<_> = hours.filter(|(hour, ..)| (hour + 1) * HOUR_MICROS <= over).collect();
    i64::try_from(over.len()).unwrap_or(i64::MAX)
}

impl Replayed {
    /// What there is to tell of it.
    pub fn figures(&self, sales: &[Sale]) -> Figures {
        let number = |verdict: &Value, field: &str| verdict[field].as_f64();
        let judged = || self.verdicts.iter().filter(|verdict| verdict["score"].is_number());
        let off: f64 = judged().filter_map(|it| Some((number(it, "actual")? - number(it, "predicted")?).abs())).sum();
        let all: f64 = judged().filter_map(|it| number(it, "actual")).map(f64::abs).sum();
        let began = self.verdicts.iter().filter(|verdict| verdict["change"] == "began");
        let began: Vec<String> = began
            .map(|verdict| {
                let text = |field: &str| verdict[field].as_str().unwrap_or_default();
                format!("{} {}", text("time"), text("cohort"))
            })
            .collect();
        Figures {
            sales: sales.len() as u64,
            cohorts: sales.iter().map(Sale::cohort).collect::<BTreeSet<_>>().len() as u64,
            judged: judged().count() as u64,
            outside: judged().filter(|verdict| verdict["outside"] == true).count() as u64,
            anomalies: began.len() as u64,
            began,
            error_percent: if all > 0.0 { (off / all * 10_000.0).round() / 100.0 } else { 0.0 },
            seconds: self.seconds,
        }
    }
}
