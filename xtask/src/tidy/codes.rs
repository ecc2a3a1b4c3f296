//! Error codes: every code in the source has its page under `docs/errors`, and every page its code.

use std::collections::BTreeMap;

use super::Tree;

const FOLDER: &str = "docs/errors/";

/// Checks codes against pages, both ways.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut used: BTreeMap<&str, String> = BTreeMap::new();
    for file in tree.rust.iter().filter(|f| f.path.starts_with("crates/") && !f.path.contains("tests")) {
        for (number, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for code in codes(line) {
                used.entry(code).or_insert_with(|| format!("{}:{}", file.path, number + 1));
            }
        }
    }
    let pages: Vec<&str> = tree
        .markdown
        .iter()
        .filter_map(|f| f.path.strip_prefix(FOLDER)?.strip_suffix(".md"))
        .filter(|name| name.starts_with("HW-"))
        .collect();
    let unexplained = used.iter().filter(|(code, _)| !pages.contains(code));
    let unused = pages.iter().filter(|page| !used.contains_key(*page));
    unexplained
        .map(|(code, place)| format!("{place}: `{code}` has no page {FOLDER}{code}.md"))
        .chain(unused.map(|page| format!("{FOLDER}{page}.md: no code uses `{page}`")))
        .collect()
}

/// Every `HW-AREA-NNN` in a line.
pub(super) fn codes(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("HW-").filter_map(|(at, _)| {
        let rest = line.get(at..)?;
        let area = rest.get(3..)?.bytes().take_while(u8::is_ascii_uppercase).count();
        let end = 3 + area + 4;
        let number = rest.get(3 + area..end)?.strip_prefix('-')?;
        (area > 0 && number.bytes().all(|b| b.is_ascii_digit())).then(|| rest.get(..end))?
    })
}
