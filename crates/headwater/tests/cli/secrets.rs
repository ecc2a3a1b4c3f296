//! The value of a Secret stays where it is: a node works with two of them, fails with them, is asked about everything,
//! and neither its answers nor any file it wrote holds either.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Node, text};

const OF_ENVIRONMENT: &str = "canary-of-the-environment-4f1d9c";
const OF_FILE: &str = "canary-of-a-file-77ab03";
const WRITTEN_OUT: &str = "canary-written-into-yaml-c5";
const IN_A_COMMENT: &str = "canary-in-a-comment-92e0b";

const RESOURCES: &str = r#"
apiVersion: headwater.dev/v1
kind: Secret
metadata: {name: pepper}
spec: {from: {env: PEPPER}} # canary-in-a-comment-92e0b
---
apiVersion: headwater.dev/v1
kind: Secret
metadata: {name: password}
spec: {from: {file: FOLDER/password}}
---
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: visits}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: hide}
spec:
  source: {type: stream, stream: visits, start: earliest}
  steps:
    - {id: hide, type: transform, program: '.ip = token(.ip, "pepper", period: "forever")'}
    - id: ask
      type: lookup
      # Nobody listens there: every question fails with the header in hand.
      lookup: {type: http, url: 'http://127.0.0.1:1/{key}', headers: {authorization: {secret: password}}}
      key: .ip
      into: .fact
      timeout: 50ms
      retries: 0
    - {id: fail, type: filter, when: 'to_bool!(.keep)'}
  outputs:
    - {type: stream, stream: visits.hidden}
"#;

fn holds(folder: &Path, canary: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holds(&path, canary, found);
        } else if path.file_name().is_none_or(|name| name != "password") {
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(canary.len()).any(|window| window == canary.as_bytes()) {
                found.push(format!("{canary} in {}", path.display()));
            }
        }
    }
}

#[test]
fn the_value_of_a_secret_is_nowhere() {
    let node = Node::start_with(&[("PEPPER", OF_ENVIRONMENT), ("HEADWATER_LOG", "debug")]);
    let folder = node.folder.path().to_str().unwrap().to_owned();
    node.write("password", OF_FILE);
    // A file that others may read is refused.
    std::fs::set_permissions(node.folder.path().join("password"), Permissions::from_mode(0o600)).unwrap();
    node.write("r.yaml", &RESOURCES.replace("FOLDER", &folder));
    let applied = node.run(&["apply", "-f", "r.yaml"]);
    assert!(applied.status.success(), "{}", text(&applied));
    // One event gets through, one fails in the program.
    node.fed(
        &["produce", "visits"],
        "{\"ip\":\"198.51.100.7\",\"keep\":true}\n{\"ip\":\"198.51.100.7\",\"keep\":\"?\"}\n",
    );
    let hidden = text(&node.run(&["tail", "visits.hidden", "--from", "earliest", "-f", "-n", "1"]));
    assert!(hidden.contains("\"status\":\"failed\""), "the lookup was to fail: {hidden}");
    let dead = text(&node.run(&["tail", "hide.dead", "--from", "earliest", "-f", "-n", "1"]));
    assert!(dead.contains("HW-FLOW-"), "{dead}");

    // A value written into YAML by mistake is refused, and not repeated.
    let literal = "apiVersion: headwater.dev/v1\nkind: Secret\nmetadata: {name: open}\nspec: {from: CANARY}\n";
    node.write("literal.yaml", &literal.replace("CANARY", WRITTEN_OUT));
    let refused = node.run(&["apply", "-f", "literal.yaml"]);
    assert!(text(&refused).contains("HW-KERNEL-017"), "{}", text(&refused));

    let mut said = [hidden, dead, text(&refused)].concat();
    let questions: [&[&str]; 9] = [
        &["get", "secret/pepper", "secret/password", "pipeline/hide", "-o", "yaml"],
        &["get", "all", "-o", "yaml"],
        &["get", "all", "-o", "wide"],
        &["describe", "secret/pepper", "secret/password", "pipeline/hide"],
        &["tail", "headwater.audit", "--from", "earliest", "--record"],
        &["tail", "visits.hidden", "--from", "earliest", "--record"],
        &["diff", "-f", "literal.yaml"],
        &["check", "literal.yaml"],
        &["reconcile", "hide"],
    ];
    for question in questions {
        said += &text(&node.run(question));
    }
    said += &node.get("/metrics");
    said += &node.get("/openapi.json");
    let mut found = Vec::new();
    for canary in [OF_ENVIRONMENT, OF_FILE, WRITTEN_OUT, IN_A_COMMENT] {
        if said.contains(canary) {
            found.push(format!("{canary} in an answer"));
        }
        holds(&node.folder.path().join("headwater-data"), canary, &mut found);
    }
    for canary in [OF_ENVIRONMENT, OF_FILE, WRITTEN_OUT, IN_A_COMMENT] {
        let log = std::fs::read_to_string(node.folder.path().join("node.log")).unwrap();
        assert!(!log.contains(canary), "{canary} in the node's log");
    }
    assert!(found.is_empty(), "{found:?}");
}
