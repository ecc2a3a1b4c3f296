//! The workflow-cost solution against another program's sums and the validator of its export's format.

use std::process::Command;

use e2e::{client, json, output, root};
use serde_json::json;

use super::HEADWATER;

/// `tests/clients/cost_sums.py` reads the engines' records, price lists and answers of AWS by itself and counts with
/// exact fractions.
#[test]
fn runs_cost_what_another_program_says_they_cost() {
    let Some(python) = client("runs_cost_what_another_program_says", "venv/bin/python") else { return };
    let folder = tempfile::tempdir().unwrap();
    for seed in ["1", "7", "42"] {
        let truth = folder.path().join(format!("{seed}.jsonl"));
        let mut command = Command::new(HEADWATER);
        command.args(["solution", "test", "workflow-cost", "--json", "--seed", seed, "--truth"]).arg(&truth);
        let outcome = json(&output(&mut command, "").unwrap()).unwrap();
        assert_eq!(outcome["failures"], json!([]), "seed {seed}: {outcome}");
        let mut command = Command::new(&python);
        command
            .arg(root().join("tests/clients/cost_sums.py"))
            .arg(root().join("solutions/workflow-cost/sample"))
            .arg(&truth);
        let said = output(&mut command, "").unwrap();
        assert!(
            said.contains("100 runs, 60 of them real") && said.ends_with("; 0 sums differ\n"),
            "seed {seed}: {said}"
        );
    }
}
