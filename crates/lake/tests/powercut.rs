//! A few seeds of `cargo xtask crash lake --mode powercut`.

#[path = "../examples/lake_crash/harness.rs"]
mod harness;

#[test]
fn a_power_cut_at_any_moment_loses_and_doubles_nothing() {
    for seed in 0..12 {
        let verdict = harness::run(seed);
        assert!(verdict.lost + verdict.doubled == 0 && verdict.wrong.is_empty(), "seed {seed}: {verdict:?}");
        assert!(verdict.cuts == 4 && verdict.acked > 0, "seed {seed}: {verdict:?}");
    }
}
