//! Power cuts at random moments. `HEADWATER_CRASH_RUNS` and `HEADWATER_CRASH_SEED` ask for more, or others.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "prints seeds and counts for the crash task")]

use headwater_testkit::crash::powercut_run;

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn powercut_keeps_every_promise() {
    let (runs, first) = (setting("HEADWATER_CRASH_RUNS", 30), setting("HEADWATER_CRASH_SEED", 1));
    let (mut acked, mut lost, mut doubled, mut mismatches, mut cuts) = (0, 0, 0, 0, 0);
    let mut failed = Vec::new();
    for seed in first..first + runs {
        let report = powercut_run(seed, false);
        if !report.is_clean() {
            eprintln!("seed {seed}: {report:?}");
            failed.push(seed);
        }
        acked += report.acked;
        lost += report.lost;
        doubled += report.doubled;
        mismatches += report.state_mismatches;
        cuts += report.cuts;
    }
    println!(
        "{{\"mode\":\"powercut\",\"runs\":{runs},\"cuts\":{cuts},\"acked\":{acked},\"lost\":{lost},\"doubled\":{doubled},\"state_mismatches\":{mismatches},\"failed\":{failed:?}}}"
    );
    assert!(failed.is_empty(), "seeds {failed:?}");
    assert!(acked > 0);
}

#[test]
fn powercut_without_syncs_is_noticed() {
    let noticed = (1..6).filter(|seed| !powercut_run(*seed, true).is_clean()).count();
    assert!(noticed > 0, "a disk that syncs nothing must not pass");
}
