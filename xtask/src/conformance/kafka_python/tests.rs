use super::super::Verdict;
use super::*;

#[test]
fn a_line_of_the_plug_in_is_read() {
    let read = outcome("outcome\ttest/integration/test_a.py::test_b[1]\tfailed\t1.5\tAssertionError: 1\t2").unwrap();
    assert_eq!((read.name.as_str(), read.seconds), ("test_a.py::test_b[1]", 1.5));
    assert_eq!(read.verdict, Verdict::Failed("AssertionError: 1\t2".into()));
    let read = outcome("outcome\tx\tskipped\t0.0\tno broker").unwrap();
    assert_eq!(read.verdict, Verdict::NotRun("no broker".into()));
    assert!(outcome("Traceback (most recent call last):").is_none());
}
