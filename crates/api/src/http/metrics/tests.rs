use super::*;

#[test]
fn samples_of_one_name_stand_together_under_their_type() {
    let samples = [
        Sample::new("hw_log_segments", 3.0),
        Sample::new("hw_api_events_total", 2.0).label("stream", "a\"b"),
        Sample::new("hw_api_request_seconds_bucket", 1.0).label("le", "+Inf"),
        Sample::new("hw_api_request_seconds_sum", 0.5),
        Sample::new("hw_api_events_total", 1e9).label("stream", "c").label("outcome", "accepted"),
        Sample::new("hw_api_request_seconds_count", 1.0),
    ];
    expect_test::expect![[r##"
        # HELP hw_api_events_total Events that came over HTTP, by what became of them.
        # TYPE hw_api_events_total counter
        hw_api_events_total{stream="a\"b"} 2
        hw_api_events_total{stream="c",outcome="accepted"} 1000000000
        # HELP hw_api_request_seconds From a request's head to the answer's, by route.
        # TYPE hw_api_request_seconds histogram
        hw_api_request_seconds_bucket{le="+Inf"} 1
        hw_api_request_seconds_sum 0.5
        hw_api_request_seconds_count 1
        # TYPE hw_log_segments gauge
        hw_log_segments 3
    "##]]
    .assert_eq(&render(&samples));
}

#[test]
fn the_process_knows_its_cpu_time_and_memory() {
    let names: Vec<String> = of_process().into_iter().map(|sample| sample.name).collect();
    assert_eq!(
        names,
        [
            "hw_process_cpu_seconds_total",
            "hw_process_resident_bytes",
            "hw_process_resident_peak_bytes",
            "hw_process_threads"
        ]
    );
}
