use super::*;

#[test]
fn connections_leave_files_for_the_log() {
    let connections = |open_files| {
        let limits = Limits::default().within(open_files);
        (limits.kafka_connections, limits.http_connections)
    };
    assert_eq!(connections(1_024), (170, 85));
    assert_eq!(connections(20_000), (11_968, 5_984));
    assert_eq!(connections(1_000_000), (20_000, 10_000));
}
