use super::unified;

#[test]
fn shows_changes_with_what_is_around_them() {
    let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
    let new = "a\nb\nc\nd\nE\nf\ng\nh\ni\nj\nk\nl\nm\n";
    assert_eq!(
        unified(old, new).join("\n"),
        "@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n@@ -10,3 +10,4 @@\n j\n k\n l\n+m"
    );
    assert_eq!(unified("", "x\ny\n").join("\n"), "@@ -0,0 +1,2 @@\n+x\n+y");
    assert!(unified(old, old).is_empty());
}

#[test]
fn texts_without_end_are_shown_as_replaced_within_bounds() {
    let lines = |word: &str| (0..60_000).map(|number| format!("{word} {number}\n")).collect::<String>();
    let (old, new) = (format!("head\n{}foot\n", lines("old")), format!("head\n{}foot\n", lines("new")));
    // Compared line by line they would take 14 GB.
    let shown = unified(&old, &new);
    assert_eq!(shown.first().map(String::as_str), Some("@@ -1,60002 +1,60002 @@"));
    assert_eq!(shown.iter().filter(|line| line.starts_with('-')).count(), 60_000);
    assert_eq!(shown.last().map(String::as_str), Some(" foot"));
}
