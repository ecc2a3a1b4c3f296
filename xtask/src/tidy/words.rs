//! Words: a stream is called a stream, and nothing names the machine it was written on.

use super::Tree;

/// Where the Kafka protocol is spoken and its word for a stream is the right one.
const KAFKA: [&str; 14] = [
    "crates/api/src/kafka",
    "crates/api/src/http/groups.rs",
    "crates/api/src/http/tests/groups.rs",
    "crates/wire/",
    "crates/log/src/groups",
    "crates/log/tests/faults.rs",
    "crates/log/src/port.rs",
    "crates/headwater/src/solution/client",
    "tests/",
    "xtask/",
    "fuzz/",
    "docs/compatibility.md",
    "docs/adr/",
    "GLOSSARY.md",
];

/// Folders that are there on one machine only. In two halves, so that this file passes.
const MACHINE: [(&str, &str); 2] = [("/roo", "t/"), ("/hom", "e/")];

/// Checks every text.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.rust.iter().chain(&tree.markdown).chain(&tree.other) {
        let kafka = KAFKA.iter().any(|place| file.path.starts_with(place));
        for (number, line) in file.text.lines().enumerate() {
            let mut complain = |what: String| found.push(format!("{}:{}: {what}", file.path, number + 1));
            if !kafka && has_topic(line) {
                complain("`topic` is Kafka's word; here it is a stream".to_owned());
            }
            for (first, second) in MACHINE {
                if line.contains(&format!("{first}{second}")) {
                    complain(format!("`{first}{second}` is a folder of one machine"));
                }
            }
        }
    }
    found
}

/// The word for a stream on the Kafka wire, unless the line says whose word it is.
pub(super) fn has_topic(line: &str) -> bool {
    let lower = line.to_lowercase();
    if lower.contains("kafka") {
        return false;
    }
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| word == "topic" || word == "topics")
}
