use super::closest;

#[test]
fn finds_slips_and_leaves_strangers_alone() {
    let kinds = ["Stream", "Table", "Pipeline", "Secret"];
    assert_eq!(closest("Steam", kinds), Some("Stream"));
    assert_eq!(closest("tabel", kinds), Some("Table"));
    assert_eq!(closest("pipe", kinds), Some("Pipeline"));
    assert_eq!(closest("Dashboard", kinds), None);
}

/// Two texts of a megabyte would be compared in a table of so many times so many numbers.
#[test]
fn a_text_that_is_no_word_is_near_to_nothing() {
    let long = "x".repeat(1 << 20);
    assert_eq!(closest(&long, [long.as_str()]), None);
    assert_eq!(closest("xxx", [long.as_str(), "xxy"]), Some("xxy"));
}
