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
