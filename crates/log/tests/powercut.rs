//! Power cuts at random moments; `cargo xtask crash --mode powercut` makes many more of them.

use headwater_testkit::crash::{Manner, powercut_run};

#[test]
fn a_power_cut_at_any_moment_breaks_no_promise() {
    for seed in 1..=20 {
        let report = powercut_run(seed, &Manner::default());
        assert!(report.is_clean(), "seed {seed}: {report:?}");
        assert!(report.acked > 0, "seed {seed}");
    }
}

#[test]
fn a_log_that_does_not_sync_is_found_out() {
    for seed in 1..=5 {
        let report = powercut_run(seed, &Manner { without_sync: true, ..Manner::default() });
        assert!(!report.is_clean(), "seed {seed}: a disk that syncs nothing must not pass");
    }
}
