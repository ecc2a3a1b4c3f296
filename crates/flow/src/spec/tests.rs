use expect_test::expect;
use serde_json::json;

use super::*;

#[test]
fn defaults_are_those_in_the_docs() {
    let spec: PipelineSpec = serde_json::from_value(json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time"},
        "steps": [{"id": "c", "type": "lookup", "lookup": {"type": "file"}, "key": ".k", "into": ".i"}],
        "retry": {"stream": "r"},
    }))
    .unwrap();
    let written = serde_json::to_string_pretty(&spec).unwrap();
    expect![[r#"
        {
          "source": {
            "type": "stream",
            "stream": "in",
            "start": "earliest"
          },
          "time": {
            "field": ".time",
            "disorder": "5s",
            "lateness": "1m",
            "idle": "10s",
            "ahead": "1h"
          },
          "steps": [
            {
              "type": "lookup",
              "id": "c",
              "lookup": {
                "type": "file"
              },
              "key": ".k",
              "into": ".i",
              "timeout": "500ms",
              "retries": 2,
              "in_flight": 512,
              "cache": {
                "capacity": 100000,
                "ttl": "10m",
                "jitter": "10%",
                "negative_ttl": "5s"
              },
              "breaker": {
                "failures": 20,
                "pause": "2s"
              }
            }
          ],
          "outputs": [],
          "retry": {
            "stream": "r",
            "delay": "5s",
            "attempts": 5
          }
        }"#]]
    .assert_eq(&written);
    assert_eq!(serde_json::from_str::<PipelineSpec>(&written).unwrap(), spec, "what is written is read back");
}

#[test]
fn a_share_has_a_percent_sign() {
    assert_eq!(Percent::try_from("10%".to_owned()), Ok(Percent(10)));
    expect!["`110%` is not a share; write `0%` to `100%`"]
        .assert_eq(&Percent::try_from("110%".to_owned()).unwrap_err());
}

#[test]
fn the_schema_names_every_step_type() {
    let text = schemars::schema_for!(PipelineSpec).to_value().to_string();
    for word in ["filter", "transform", "lookup", "score", "aggregate", "window", "session", "dedupe", "negative_ttl"] {
        assert!(text.contains(&format!("\"{word}\"")), "{word} is missing");
    }
}
