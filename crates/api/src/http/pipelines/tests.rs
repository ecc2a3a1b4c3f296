use super::*;

fn sample(name: &str, labels: &[(&'static str, &str)], value: f64) -> Sample {
    let of = Sample::new(name, value).label("pipeline", "p");
    labels.iter().fold(of, |sample, (name, value)| sample.label(name, *value))
}

#[test]
fn figures_of_a_pipeline_are_put_together_by_step_and_stream() {
    let samples = [
        sample("hw_flow_events_total", &[], 5.0),
        sample("hw_flow_watermark_seconds", &[], 1_700_000_000.0),
        sample("hw_flow_step_events_total", &[("step", "keep")], 5.0),
        sample("hw_flow_step_passed_total", &[("step", "keep")], 3.0),
        sample("hw_flow_step_seconds_total", &[("step", "keep")], 0.25),
        sample("hw_flow_step_events_total", &[("step", "shape")], 3.0),
        sample("hw_flow_written_total", &[("stream", "out")], 3.0),
        sample("hw_flow_lookup_hits_total", &[("step", "shape")], 1.0),
        Sample::new("hw_flow_events_total", 9.0).label("pipeline", "other"),
    ];
    expect_test::expect![[r#"
        {
          "pipeline": "p",
          "events": 5,
          "watermark": "2023-11-14T22:13:20Z",
          "steps": [
            {
              "step": "keep",
              "events": 5,
              "passed": 3,
              "seconds": 0.25
            },
            {
              "step": "shape",
              "events": 3
            }
          ],
          "written": [
            {
              "stream": "out",
              "records": 3
            }
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&gather("p", &samples)).unwrap());
    assert_eq!(gather("none", &samples), None);
}
