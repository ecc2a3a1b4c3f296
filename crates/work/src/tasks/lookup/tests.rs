use futures::future::BoxFuture;

use super::*;
use crate::tasks::tests::{call, failed, resource, services};
use crate::tasks::{Done, LookupKind};

const GET: &str = "arn:headwater:work:::lookup:get";

/// Knows the key `a`: at once where it is in memory, and when it is asked otherwise.
struct Words {
    memory: bool,
}

impl Lookup for Words {
    fn at_once(&self, key: &str) -> Option<Result<Option<Json>, LookupError>> {
        self.memory.then(|| Ok((key == "a").then(|| Json::from_static(b"{\"n\":1}"))))
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Json>, LookupError>> {
        let answer = match key {
            "a" => Ok(Some(Json::from_static(b"{\"n\":1}"))),
            "slow" => Err(LookupError::Timeout(50)),
            _ => Ok(None),
        };
        Box::pin(std::future::ready(answer))
    }
}

const LOOKUPS: &[LookupKind] = &[LookupKind {
    name: "words",
    schema: || Value::Null,
    check: |_| Ok(()),
    build: |spec, _| Ok(Arc::new(Words { memory: spec["memory"] == true })),
}];

#[tokio::test]
async fn a_lookup_is_asked_in_the_step_where_it_is_in_memory_and_outside_otherwise() {
    let services = Services { lookups: LOOKUPS, ..services() };
    let get = resource(GET);
    for memory in [true, false] {
        for (key, answer) in
            [("a", json!({"Found": true, "Value": {"n": 1}})), ("b", json!({"Found": false, "Value": null}))]
        {
            let parameters = json!({"Lookup": {"type": "words", "memory": memory}, "Key": key});
            let (inside, given) = match crate::tasks::plan(&services, &call(&get, &parameters)).unwrap() {
                Plan::Internal(internal) => (true, internal.answer.of(&Done::default()).unwrap()),
                Plan::External(asked) => (false, asked.await.unwrap()),
            };
            assert_eq!((inside, given), (memory, answer), "{key}");
        }
    }
    let slow = json!({"Lookup": {"type": "words"}, "Key": "slow"});
    let Ok(Plan::External(asked)) = crate::tasks::plan(&services, &call(&get, &slow)) else { panic!("it is outside") };
    assert_eq!(asked.await.unwrap_err(), Failure::new("Lookup.Timeout", "no answer within 50 ms"));
    let cause = failed(&services, GET, &json!({"Lookup": {"type": "wards"}, "Key": "a"})).cause.unwrap();
    assert!(cause.contains("`words`"), "{cause}");
}
