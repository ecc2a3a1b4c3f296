use super::closest;

#[test]
fn finds_slips_and_leaves_strangers_alone() {
    let kinds = ["Stream", "Table", "Pipeline", "Secret"];
    assert_eq!(closest("Steam", kinds), Some("Stream"));
    assert_eq!(closest("tabel", kinds), Some("Table"));
    assert_eq!(closest("pipe", kinds), Some("Pipeline"));
    assert_eq!(closest("Dashboard", kinds), None);
}
