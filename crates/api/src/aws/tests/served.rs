//! The page about compatibility names what is served, no more and no less.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../../docs/compatibility.md");

#[test]
fn the_page_about_compatibility_names_every_operation() {
    let (_, section) = PAGE.split_once("## What of AWS's protocols is served?").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut service = "";
    let mut named = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with('|')).skip(2) {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        match cells.next().unwrap() {
            "Step Functions" => service = "AWSStepFunctions",
            "EventBridge" => service = "AWSEvents",
            "Scheduler" => service = "Scheduler",
            "Pipes" => service = "Pipes",
            _ => {}
        }
        named.extend(cells.next().unwrap().split(", ").map(|operation| format!("{service}.{operation}")));
    }
    let served = super::operations().map(|(service, operation)| format!("{service}.{}", operation.name));
    assert_eq!(named, served.collect());
}
