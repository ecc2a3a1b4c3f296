use super::{Tree, codes, findings, pages};

#[test]
fn the_tree_is_tidy() {
    let found = findings(&Tree::read().unwrap());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn codes_are_found_wherever_they_stand() {
    let line = r#"Problem::new("HW-LOG-012", "…").because("HW-x, HW-LOG-12"); // HW-BASE-001"#;
    assert_eq!(codes::codes(line).collect::<Vec<_>>(), ["HW-LOG-012", "HW-BASE-001"]);
}

#[test]
fn only_relative_links_are_checked() {
    let line = "[a](docs/a.md#b), [b](https://example.org), [c](x.md)";
    assert_eq!(pages::links(line).collect::<Vec<_>>(), ["docs/a.md#b", "x.md"]);
}
