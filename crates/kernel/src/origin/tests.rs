use super::*;

#[test]
fn field_paths_read_as_people_write_them() {
    assert_eq!(shown("/spec/steps/2/when"), "spec.steps[2].when");
    assert_eq!(shown("/metadata/labels/a~1b~0c"), "metadata.labels.a/b~c");
    assert_eq!(shown(""), "");
    assert_eq!(child("/a", "b/c~d"), "/a/b~1c~0d");
}
