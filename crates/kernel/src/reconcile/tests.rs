use headwater_base::Limits;
use serde_json::json;

use super::*;
use crate::kinds;

fn stream(spec: serde_json::Value) -> Arc<Resource> {
    let value =
        json!({"apiVersion": "headwater.dev/v1", "kind": "Stream", "metadata": {"name": "orders"}, "spec": spec});
    Arc::new(serde_json::from_value(value).unwrap())
}

fn observed(config: StreamConfig) -> Observed {
    let name = Name::new("orders").unwrap();
    let created = headwater_base::Micros(0);
    let stream = Arc::new(Stream { name: name.clone(), id: 1, config, extra: Vec::new(), created });
    Observed { streams: [(name, stream)].into() }
}

fn actions(resource: &Arc<Resource>, observed: &Observed) -> Vec<String> {
    let plan = (kinds::stream::KIND.reconcile)(resource, observed);
    difference(&[plan], observed, &Running::new()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_stream_is_created_adopted_and_altered_but_never_shrunk() {
    let there = kinds::stream::default_config(&Limits::default());
    assert_eq!(
        actions(&stream(json!({"partitions": 8})), &Observed::default()),
        ["create stream/orders (8 partitions)"]
    );
    // What the spec does not say stays as it is.
    assert_eq!(
        actions(&stream(json!({})), &observed(StreamConfig { partitions: 3, ..there.clone() })),
        Vec::<String>::new()
    );
    assert_eq!(actions(&stream(json!({"partitions": 2})), &observed(there.clone())), Vec::<String>::new());
    assert_eq!(
        actions(&stream(json!({"partitions": 6, "retention": {"time": "1h"}})), &observed(there)),
        ["alter stream/orders (partitions 4 -> 6, retention_ms 604800000 -> 3600000)"]
    );
}

#[test]
fn units_are_started_restarted_and_stopped_by_their_hash() {
    let old = stream(json!({"partitions": 1}));
    let new = stream(json!({"partitions": 2}));
    let running: Running =
        [(UnitSpec::of("pipeline", &old).id(), UnitSpec::of("pipeline", &old).hash), ("pipeline/gone".to_owned(), 1)]
            .into();
    let plan = |resource: &Arc<Resource>| Plan { units: vec![UnitSpec::of("pipeline", resource)], ..Plan::default() };
    let told = |plan: Plan, running: &Running| {
        difference(&[plan], &Observed::default(), running).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(plan(&old), &running), ["stop pipeline/gone"]);
    assert_eq!(told(plan(&new), &running), ["stop pipeline/gone", "restart pipeline/orders (its spec changed)"]);
    assert_eq!(told(plan(&new), &Running::new()), ["start pipeline/orders"]);
}

#[test]
fn who_writes_to_a_stream_says_how_wide_it_is() {
    let name = Name::new("out").unwrap();
    let object = |partitions| {
        let config = StreamConfig { partitions, ..kinds::stream::default_config(&Limits::default()) };
        StreamObject { name: name.clone(), config, extra: Vec::new(), alter: false }
    };
    let reads = Plan { streams: vec![object(1)], reads: vec![name.clone()], ..Plan::default() };
    let writes = Plan { streams: vec![object(8)], ..Plan::default() };
    let actions = difference(&[reads, writes], &Observed::default(), &Running::new());
    assert_eq!(actions.iter().map(ToString::to_string).collect::<Vec<_>>(), ["create stream/out (8 partitions)"]);
}
