//! Where reports are made: their charts are asked as a reader would, and the page is drawn where there is a browser.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use headwater_base::{Clock, Micros, Name, Problem};
use headwater_kernel::Site;
use headwater_kernel::port::charts::{Choice, Total, Whose};
use headwater_kernel::port::{Charts, Json, Pictures};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::compile::Find;
use crate::kinds::report::ReportSpec;
use crate::report::{Drawn, Outline, Picture};

/// Bytes of a chart's answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// So often a report is tried with all of its charts; after that it goes without those that cannot be drawn.
const WHOLE_TRIES: u32 = 3;

/// Makes reports.
pub struct Desk {
    /// Answers charts.
    pub charts: Arc<dyn Charts>,
    /// Draws pages, if this node can.
    pub pictures: Option<Arc<dyn Pictures>>,
    /// Resources.
    pub find: Find,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where links of reports lead to.
    pub site: Site,
}

impl Desk {
    /// The report `name` of the time `due`, after `tries` that failed.
    ///
    /// # Errors
    /// `HW-KERNEL-012` without its dashboard, and that of a chart that cannot be drawn: of any at first, later of all.
    pub async fn make(&self, name: &Name, spec: &ReportSpec, due: Micros, tries: u32) -> Result<Json, Problem> {
        let dashboard = (self.find)("Dashboard", &spec.dashboard).ok_or_else(|| {
            let fact = format!("there is no Dashboard `{}`", spec.dashboard.escape_debug());
            Problem::new("HW-KERNEL-012", fact).help("`headwater get dashboards` lists them")
        })?;
        let outline = Outline::of(dashboard.effective(), spec, due)?;
        let mut drawn = Vec::new();
        for chart in &outline.charts {
            drawn.push(self.draw(&spec.dashboard, &chart.id, &outline.choice).await);
        }
        let mut failed = drawn.iter().filter_map(|drawn| drawn.as_ref().err());
        if let Some(problem) = failed.next()
            && (tries + 1 < WHOLE_TRIES || failed.count() + 1 == drawn.len())
        {
            return Err(problem.clone());
        }
        let picture = self.picture(name, spec, &outline).await;
        let late_ms = self.clock.now().since(due).as_millis();
        info!(report = %name, due = %due, late_ms, "a report is made");
        let document = outline.document(name, spec, due, &drawn, &picture, &self.site);
        Ok(Json::from(document.to_string()))
    }

    async fn draw(&self, dashboard: &str, chart: &str, choice: &Choice) -> Drawn {
        let drawn = self.charts.draw(&Whose::Named(dashboard.to_owned()), chart, choice).await?;
        let gather = |mut all: Vec<u8>, chunk: Bytes| async move {
            if all.len() + chunk.len() > ANSWER_BYTES_MAX {
                let fact = format!("the chart has more than {ANSWER_BYTES_MAX} bytes of rows");
                return Err(Problem::new("HW-BUS-061", fact).help("give the chart a `limit`, or fewer dimensions"));
            }
            all.extend_from_slice(&chunk);
            Ok(all)
        };
        let read = |bytes: &[u8]| {
            serde_json::from_slice::<Value>(bytes)
                .map_err(|error| Problem::new("HW-BUS-061", "the chart's rows cannot be read").because(error))
        };
        let rows = drawn.answer.body.try_fold(Vec::new(), gather).await?;
        let mut answer = read(&rows)?;
        let (mut totals, mut without) = (Vec::new(), Vec::new());
        let absent = |what: &str, why: &Problem| format!("no {what}: {}: {}", why.code, why.title);
        for Total { by, cut, answer } in &drawn.totals {
            match answer {
                Ok(bytes) => {
                    let rows = read(bytes)?.pointer_mut("/rows").map(Value::take);
                    totals.push(json!({"by": by, "cut": cut, "rows": rows}));
                }
                Err(problem) => without.push(absent(if by.is_empty() { "total" } else { "totals" }, problem)),
            }
        }
        // Both kinds of a pivot's totals go for one reason.
        without.dedup();
        let Some(members) = answer.as_object_mut() else { return Ok(answer) };
        match drawn.before.map(|before| before.answer) {
            Some(Ok(bytes)) => {
                let value = read(&bytes)?.pointer("/rows/0/0").cloned();
                members.insert("before".to_owned(), value.unwrap_or_default());
            }
            Some(Err(problem)) => without.push(absent("earlier value", &problem)),
            None => {}
        }
        members.insert("totals".to_owned(), Value::from(totals));
        members.insert("without".to_owned(), Value::from(without));
        Ok(answer)
    }

    /// What keeps a picture from being taken is told in the report, and never keeps that from being sent.
    async fn picture(&self, name: &Name, spec: &ReportSpec, outline: &Outline) -> Picture {
        let pictures = self.pictures.as_ref().filter(|_| spec.picture)?;
        let scene = outline.scene(spec);
        let taken = pictures.take(&scene).await;
        if let Err(problem) = &taken {
            warn!(report = %name, code = problem.code, title = problem.title, "a report goes without a picture");
        }
        Some(taken.map(|png| (scene, png)))
    }
}
