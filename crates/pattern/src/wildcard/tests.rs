use super::*;

fn matches(wildcard: &str, value: &str) -> bool {
    Wildcard::parse(wildcard).unwrap().matches(value.as_bytes())
}

#[test]
fn stars_stand_for_anything() {
    for (wildcard, yes, no) in [
        ("", vec![""], vec!["a"]),
        ("*", vec!["", "a", "é"], vec![]),
        ("a*", vec!["a", "ab"], vec!["", "ba"]),
        ("*a", vec!["a", "ba", "aa"], vec!["", "ab"]),
        ("a*a", vec!["aa", "aba"], vec!["a", "ab"]),
        ("a*b*a", vec!["aba", "abba", "aaba"], vec!["ab", "aa", "abab"]),
        ("*ab*ab*", vec!["abab", "xabxabx"], vec!["aab", "ab"]),
        (r"\*", vec!["*"], vec!["a", r"\*"]),
        (r"a\\*", vec![r"a\", r"a\b"], vec!["a"]),
    ] {
        assert!(yes.iter().all(|value| matches(wildcard, value)), "{wildcard} {yes:?}");
        assert!(!no.iter().any(|value| matches(wildcard, value)), "{wildcard} {no:?}");
    }
}

#[test]
fn positions_count_the_quote() {
    let fault = |text: &str| Wildcard::parse(text).unwrap_err();
    assert_eq!(fault("a**"), Fault::Invalid("Consecutive wildcard characters at pos 2".into()));
    assert_eq!(fault(r"a\b"), Fault::Invalid("Invalid escape character at pos 2".into()));
    assert_eq!(fault("a\\"), Fault::Invalid("Invalid escape character at pos 2".into()));
}

#[test]
fn too_many_places_at_once() {
    for text in ["*:*:*:*:*:event-bus/*", "*a*b*a*b*a*b", "a*b*c*d*e*f*g", "*aaaaaaaaaaaaaaaa"] {
        assert_eq!(Wildcard::parse(text).unwrap_err(), Fault::TooComplex, "{text}");
    }
    for text in ["/Users/*/dir/dir/dir/dir/dir/doc.txt", "*/dir/*", "a*b*c*d*e", "https://*/campaign-000001/*"] {
        assert!(Wildcard::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn a_hostile_wildcard_is_refused_quickly_and_a_hostile_value_matched_in_linear_time() {
    let _ = Wildcard::parse(&format!("*{}*{}", "ab".repeat(5_000), "ba".repeat(5_000)));
    let wildcard = Wildcard::parse("*aab*aac*").unwrap();
    assert!(!wildcard.matches("a".repeat(4_000_000).as_bytes()));
}
