use super::*;

fn outcome(name: &str, verdict: Verdict) -> Outcome {
    Outcome { name: name.into(), verdict, seconds: 0.0 }
}

#[test]
fn a_list_is_exact_in_both_directions() {
    let list = Expected::parse("# why\n\na\tno transactions\nb\tno ACLs\nc\tgone\n").unwrap();
    let failed = || Verdict::Failed("boom".into());
    let outcomes = [outcome("a", failed()), outcome("b", Verdict::Passed), outcome("d", failed())];
    let findings = list.judge(&outcomes, false);
    assert_eq!(
        findings,
        ["`b` passed; take it off the list", "`d` failed: boom", "`c` is listed, and the suite has no such test"]
    );
    assert_eq!(list.judge(&outcomes, true).len(), 2);
    assert_eq!(list.judge(&[outcome("a", failed())], true), [""; 0]);
}

#[test]
fn a_suite_that_does_not_run_is_a_finding() {
    let list = Expected::parse("").unwrap();
    assert_eq!(list.judge(&[outcome("a", Verdict::NotRun("skipped".into()))], false), ["no test ran"]);
}

#[test]
fn a_line_without_reason_is_refused() {
    let refused = Expected::parse("a\tb\nc").err().unwrap();
    assert_eq!(refused.to_string(), "line 2: no tab and reason");
    assert_eq!(Expected::parse("a\tb\na\tc").err().unwrap().to_string(), "line 2: `a` is listed twice");
}
