use super::*;

fn of(text: &str) -> Option<Rank> {
    assert!(is_number(text.as_bytes()), "{text}");
    rank(text.as_bytes())
}

#[test]
fn spellings_of_one_number_are_equal() {
    for spellings in [
        vec!["300", "300.0", "3e2", "3.0E+2", "30000e-2", "0.3e3", "300.000000000000000000000000"],
        vec!["0", "-0", "0.0", "-0.00e9", "0e999999999999999999999"],
        vec!["-1.5", "-15e-1", "-0.15E1"],
        vec!["0.1", "1e-1", "0.10"],
        vec!["1e22", "10000000000000000000000"],
        vec!["0.30000000000000004", "3.0000000000000004e-1"],
        vec!["123456789012", "123456789012.0"],
        vec!["5e-324"],
        vec!["1.7976931348623157e308"],
    ] {
        let first = of(spellings[0]);
        assert!(first.is_some(), "{spellings:?}");
        assert!(spellings.iter().all(|text| of(text) == first), "{spellings:?}");
    }
}

#[test]
fn order_is_that_of_the_numbers() {
    let rising =
        ["-1e300", "-5000000001", "-2", "-1.000001", "-1", "-5e-324", "0", "1e-300", "0.1", "1", "1.5", "9e15"];
    let ranks: Vec<_> = rising.iter().map(|text| of(text).unwrap()).collect();
    assert!(ranks.is_sorted_by(|one, other| one < other), "{ranks:?}");
    assert!(ranks.iter().all(|rank| (LOWEST..=HIGHEST).contains(rank)));
}

#[test]
fn what_no_double_spells_has_no_rank() {
    for text in
        ["9007199254740993", "0.10000000000000001", "1e400", "-1e400", "1e-400", "123456789012345678901234567890"]
    {
        assert_eq!(of(text), None, "{text}");
    }
}

#[test]
fn grammar() {
    for text in ["", "-", "01", "1.", ".5", "1e", "1e+", "+1", "1x", "0x1", "--1", "1.5.2", "1e5e5"] {
        assert!(!is_number(text.as_bytes()), "{text}");
    }
}
