use super::*;

#[test]
fn runs_of_the_log_and_of_the_pipeline_are_told_of_together() {
    let of_log = json!({
        "mode": "powercut", "runs": 200, "seed": 1, "cuts": 900, "acked": 5_000, "lost": 0, "doubled": 1, "wrong": 2,
        "seconds": 1.5, "cut_at": {"log": 7}, "failed": [3]
    });
    let of_sessions = json!({
        "runs": 200, "seed": 1, "acked": 70, "lost": 4, "doubled": 5, "late": 6, "sessions": 80, "sessions_wrong": 8,
        "seconds": 2, "failed": [{"seed": 9}]
    });
    let expected = json!({
        "mode": "powercut", "runs": 200, "seed": 1, "cuts": 900, "acked": 5_070, "lost": 4, "doubled": 6, "wrong": 10,
        "seconds": 3.5, "cut_at": {"log": 7}, "failed": [3, {"seed": 9}], "sessions": 80, "sessions_wrong": 8, "late": 6
    });
    assert_eq!(with_sessions(of_log.clone(), &of_sessions), expected);

    let mut fewer = of_sessions;
    fewer["runs"] = json!(120);
    assert_eq!(with_sessions(of_log, &fewer)["runs"], 120, "which makes the command fail");
}
