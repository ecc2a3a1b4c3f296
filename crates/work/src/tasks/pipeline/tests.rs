use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_base::Problem;
use headwater_kernel::port::{Enrich, Reconcile};

use super::*;
use crate::tasks::tests::{call, failed, resource, services};

const ENRICH: &str = "arn:headwater:work:::pipeline:enrich";
const RECONCILE: &str = "arn:headwater:work:::pipeline:reconcile";

/// Pipelines that say what they were asked; `none` does not run.
struct Pipelines;

impl Enrich for Pipelines {
    fn enrich<'a>(&'a self, pipeline: &'a str, event: Json) -> BoxFuture<'a, Result<Json, Problem>> {
        let answer = match pipeline {
            "none" => Err(Problem::new("HW-FLOW-046", "it does not run")),
            _ => Ok(Json::from(format!("{{\"by\":\"{pipeline}\",\"of\":{}}}", String::from_utf8_lossy(&event)))),
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Reconcile for Pipelines {
    fn reconcile<'a>(
        &'a self,
        pipeline: &'a str,
        from: Micros,
        to: Micros,
        repair: bool,
    ) -> BoxFuture<'a, Result<Value, Problem>> {
        let asked = json!({"by": pipeline, "from": from.to_string(), "to": to.to_string(), "repair": repair});
        Box::pin(std::future::ready(Ok(asked)))
    }
}

fn with_pipelines() -> Services {
    let (enrich, reconcile): (Arc<dyn Enrich>, Arc<dyn Reconcile>) = (Arc::new(Pipelines), Arc::new(Pipelines));
    Services { enrich: Some(enrich), reconcile: Some(reconcile), ..services() }
}

async fn run(name: &str, parameters: Value) -> Result<Value, Failure> {
    match crate::tasks::plan(&with_pipelines(), &call(&resource(name), &parameters))? {
        Plan::External(answer) => answer.await,
        Plan::Internal(_) => panic!("{name} is external"),
    }
}

#[tokio::test]
async fn a_pipeline_enriches_one_event_or_several() {
    let one = run(ENRICH, json!({"Pipeline": "p", "Event": {"n": 1}})).await.unwrap();
    assert_eq!(one, json!({"Event": {"by": "p", "of": {"n": 1}}}));
    let both = run(ENRICH, json!({"Pipeline": "p", "Events": [1, 2]})).await.unwrap();
    assert_eq!(both, json!({"Events": [{"by": "p", "of": 1}, {"by": "p", "of": 2}]}));
    let failure = run(ENRICH, json!({"Pipeline": "none", "Event": {}})).await.unwrap_err();
    assert_eq!(failure, Failure::new("HW-FLOW-046", "it does not run"));
    for neither in [json!({"Pipeline": "p"}), json!({"Pipeline": "p", "Event": 1, "Events": [1]})] {
        let cause = failed(&with_pipelines(), ENRICH, &neither).cause.unwrap();
        assert!(cause.contains("either `Event` or `Events`"), "{cause}");
    }
}

#[tokio::test]
async fn a_pipeline_recomputes_a_span_and_repairs_it_when_it_is_told_to() {
    let span = json!({"Pipeline": "p", "From": "2026-01-01T00:00:00Z", "To": "2026-01-02T00:00:00Z"});
    let told = |repair: bool| json!({"by": "p", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "repair": repair});
    assert_eq!(run(RECONCILE, span.clone()).await.unwrap(), told(false));
    let mut repaired = span.clone();
    repaired["Repair"] = json!(true);
    assert_eq!(run(RECONCILE, repaired).await.unwrap(), told(true));
    let mut wrong = span;
    wrong["To"] = json!("tomorrow");
    let cause = failed(&with_pipelines(), RECONCILE, &wrong).cause.unwrap();
    assert!(cause.contains("`To` is no RFC 3339 time"), "{cause}");
}
