use super::Tolerance;

#[test]
fn either_bound_stops_a_run_and_without_any_one_failure_does() {
    let bears = |count, percentage, failed, total| Tolerance { count, percentage }.bears(failed, total);
    assert!(bears(None, None, 0, 0));
    assert!(!bears(None, None, 1, 10));
    assert!(bears(Some(2), None, 2, 10));
    assert!(!bears(Some(2), None, 3, 10));
    assert!(bears(None, Some(12.5), 1, 8));
    assert!(!bears(None, Some(12.4), 1, 8));
    assert!(!bears(Some(1), Some(100.0), 2, 10));
    assert!(bears(None, Some(0.0), 0, 0));
}
