use super::*;

#[test]
fn reads_what_vrl_reads_and_shows_it_back() {
    for (text, shown) in [
        (".a", ".a"),
        (".a.b_c.d1", ".a.b_c.d1"),
        (".items[0].price", ".items[0].price"),
        (".items[-1]", ".items[-1]"),
        (".\"x y\".z", ".\"x y\".z"),
    ] {
        assert_eq!(Path::parse(text).unwrap().to_string(), shown);
    }
}

#[test]
fn refuses_what_is_no_field() {
    for (text, fact) in [
        ("", "does not start"),
        ("a.b", "does not start"),
        (".", "whole event"),
        (".a b", "not a field path"),
        (".a[", "not a field path"),
        (".a[99999999999]", "a"),
        (".a[5000]", "beyond 1000"),
    ] {
        let problem = Path::parse(text).unwrap_err();
        assert_eq!(problem.code, "HW-FLOW-110");
        assert!(problem.title.contains(fact), "{text}: {problem}");
    }
    assert!(Path::parse(&format!(".{}", "a".repeat(2_000))).unwrap_err().title.contains("the limit is 1024"));
}
