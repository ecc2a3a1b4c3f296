use super::*;

#[test]
fn the_table_of_tests_is_read() {
    let source = "_TEST(0000_unittests, TEST_F_LOCAL),\n_TEST(0004_conf, TEST_F_LOCAL),\n_TEST(0011_produce_batch,\n      0,\n      .extra = \"x\"),\n\
                  _TEST(0045_a, 0, TEST_BRKVER(0, 9, 0, 0)),\n_TEST(0061_consumer_lag, 0),";
    assert_eq!(broker_tests(source), ["0011_produce_batch", "0045_a"]);
}

#[test]
fn a_summary_is_read() {
    let log = "=== Skipping test 0003_msgmaxsize (requires test scenario x) ===\n\
               ### Test \"0005_order (sub:1)\" failed at x.c:1 ###\nit broke there\n### Test \"<MAIN>\" failed at y\nTEST 20260101 (bare, scenario default) SUMMARY\n#====#\n\
               |\u{1b}[32m <MAIN>                                   |     PASSED |   3.201s \u{1b}[0m|\n\
               |\u{1b}[32m 0001_multiobj                            |     PASSED |   1.250s \u{1b}[0m|\n\
               |\u{1b}[31m 0002_unkpart                             |     FAILED |   0.100s \u{1b}[0m|\u{1b}[31m it | broke\u{1b}[0m\n\
               |\u{1b}[36m 0003_msgmaxsize                          |    SKIPPED |   0.000s \u{1b}[0m|\u{1b}[36m too old\u{1b}[0m\n";
    assert_eq!(judge(log, "0001_multiobj"), Some((Verdict::Passed, 1.25)));
    assert_eq!(judge(log, "0002_unkpart"), Some((Verdict::Failed("it | broke".into()), 0.1)));
    assert_eq!(judge(log, "0003_msgmaxsize"), Some((Verdict::NotRun("requires test scenario x".into()), 0.0)));
    assert_eq!((judge(log, "0005_order"), failure(log, "0005_order")), (None, Some("it broke there")));
}
