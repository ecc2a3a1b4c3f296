use super::*;

#[test]
fn a_key_that_leaves_the_spec_goes_back_to_its_default_and_an_unset_one_stays_unset() {
    let first = effective(&json!({"retention": {"time": "1h"}, "partitions": 8}), None);
    assert_eq!(first, json!({"retention": {"time": "1h"}, "partitions": 8}));
    let second = effective(&json!({"partitions": 8}), Some(&first));
    assert_eq!(second, json!({"partitions": 8, "retention": {"time": "7d"}}));
    assert_eq!(effective(&json!({}), None), json!({}));
}

#[test]
fn what_the_log_has_is_described_by_a_spec_that_gives_it_back() {
    let there = StreamConfig {
        partitions: 3,
        retention_bytes: Some(1 << 30),
        cleanup: Cleanup::CompactDelete,
        ..default_config(&Limits::default())
    };
    let spec: StreamSpec = serde_json::from_value(spec_of(&there)).unwrap();
    assert_eq!(config(&spec, default_config(&Limits::default())), there);
}
