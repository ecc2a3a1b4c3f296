use super::{Tree, codes, findings, modules, pages, words};

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

#[test]
fn a_module_is_declared_with_whatever_visibility() {
    for text in ["mod a;", "pub mod a;", "    pub(super) mod a;"] {
        assert!(modules::declares(text, "a"), "{text}");
    }
    assert!(!modules::declares("// mod a;\nmod ab;", "a"));
}

#[test]
fn words_that_the_command_line_does_not_know_are_found() {
    let verbs = "# x\n\n## `headwater`\n| `--server <URL>` |\n\n## `headwater get`\n| `--watch` |\n\n## `headwater solution`\n\n## `headwater solution run`\n| `--input <FILE>` |\n";
    let none: [&str; 0] = [];
    assert_eq!(pages::unknown_words("$ headwater get all --watch --server x | jq --raw", verbs), none);
    assert_eq!(
        pages::unknown_words("run `headwater solution run x --inpu f`", verbs),
        ["`headwater solution run` has no `--inpu`"]
    );
    assert_eq!(pages::unknown_words("headwater get --wat", verbs), ["`headwater get` has no `--wat`"]);
}

#[test]
fn a_stream_is_called_a_stream() {
    assert!(words::has_topic("the topic is full"));
    assert!(!words::has_topic("a Kafka topic") && !words::has_topic("isotopic"));
}
