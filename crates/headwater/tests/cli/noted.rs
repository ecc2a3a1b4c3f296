//! What the node's log says of events: a line of each where a rule asks for it, and nothing of what is in them.

use super::verbs::comes_true;
use super::{Node, text};

const RULE: &str = "\
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: orders}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: large}
spec:
  source: orders
  start: earliest
  pattern: {total: [{numeric: ['>', 100]}]}
  targets: [{type: log, note: a large order}]
";

#[test]
fn a_rule_has_its_events_noted_in_the_log() {
    let node = Node::start();
    node.write("r.yaml", RULE);
    let applied = node.run(&["apply", "-f", "r.yaml"]);
    assert!(applied.status.success(), "{}", text(&applied));
    let order = |total: u32| format!("{{\"total\":{total},\"customer\":\"CANARY\"}}\n");
    assert!(node.fed(&["produce", "orders"], &[5, 500, 600].map(order).concat()).status.success());
    let noted = || -> Vec<String> {
        let log = std::fs::read_to_string(node.folder.path().join("node.log")).unwrap();
        log.lines().filter(|line| line.contains("note=\"a large order\"")).map(str::to_owned).collect()
    };
    assert!(comes_true(|| noted().len() >= 2), "{:?}", noted());
    let lines = noted();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        assert!(line.contains(" INFO ") && line.contains(": event subscription=rule/large event="), "{line}");
        assert!(!line.contains("CANARY"), "{line}");
    }
}
