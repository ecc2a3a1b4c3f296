//! Lists of executions: page by page, by state and version, while executions begin, end and go.

use headwater_kernel::port::workflows::{ExecutionQuery, ExecutionState, StartExecution, Workflows};
use serde_json::json;

use super::rig::{Rig, input};
use crate::engine::Unknown;

/// The names on the pages of a list; between two pages something happens.
async fn pages(rig: &Rig, query: ExecutionQuery, between: impl AsyncFn(usize)) -> Vec<Vec<String>> {
    let (mut pages, mut query) = (Vec::new(), query);
    loop {
        let (page, next) = rig.engine().list(&query).unwrap();
        pages.push(page.into_iter().map(|view| view.name).collect());
        query.after = next;
        if query.after.is_none() {
            return pages;
        }
        between(pages.len()).await;
    }
}

fn of(workflow: &str, state: Option<ExecutionState>, count: usize) -> ExecutionQuery {
    ExecutionQuery { workflow: Some(workflow.to_owned()), state, count, ..ExecutionQuery::default() }
}

async fn all(rig: &Rig, workflow: &str, state: ExecutionState) -> Vec<String> {
    pages(rig, of(workflow, Some(state), 2), async |_| {}).await.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_workflow_stand_still_while_executions_begin_and_end() {
    let mut rig = Rig::new().await;
    let wait = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 86_400, "End": true}}});
    for workflow in ["wait", "other"] {
        rig.workflow(workflow, &wait).await;
    }
    for number in 0..7 {
        for workflow in ["wait", "other"] {
            rig.start(workflow, Some(&format!("n{number}")), json!({})).await.unwrap();
        }
        rig.advance(1);
    }
    for name in ["n1", "n4"] {
        rig.engine().stop(&format!("wait/{name}"), None, None).await.unwrap();
    }
    let busy = async |page: usize| {
        rig.start("wait", Some(&format!("late{page}")), json!({})).await.unwrap();
        rig.engine().stop(&format!("wait/late{page}"), None, None).await.unwrap();
        rig.engine().stop("wait/n5", None, None).await.unwrap_or_default();
    };
    assert_eq!(
        pages(&rig, of("wait", None, 3), busy).await,
        [vec!["n6", "n5", "n4"], vec!["n3", "n2", "n1"], vec!["n0"]]
    );
    let (running, aborted) = (ExecutionState::Running, ExecutionState::Aborted);
    for _ in 0..2 {
        assert_eq!(all(&rig, "wait", running).await, ["n6", "n3", "n2", "n0"]);
        let mut ended = all(&rig, "wait", aborted).await;
        // These began at the same time.
        ended[..2].sort();
        assert_eq!(ended, ["late1", "late2", "n5", "n4", "n1"]);
        assert_eq!(all(&rig, "other", aborted).await, [""; 0]);
        let query = ExecutionQuery { count: 5, ..ExecutionQuery::default() };
        assert_eq!(pages(&rig, query, async |_| {}).await.concat().len(), 16);
        rig.restart().await;
    }
    rig.engine().redrive("wait/n4", None).await.unwrap();
    assert_eq!(all(&rig, "wait", running).await, ["n6", "n4", "n3", "n2", "n0"]);
    // Pages are filled with what is asked for, whatever lies between.
    let redriven = |wanted: bool| ExecutionQuery { redriven: Some(wanted), ..of("wait", Some(running), 2) };
    assert_eq!(pages(&rig, redriven(true), async |_| {}).await, [["n4"]]);
    assert_eq!(pages(&rig, redriven(false), async |_| {}).await, [["n6", "n3"], ["n2", "n0"]]);
    // What is kept no longer is in no list.
    rig.advance(86_500);
    rig.until(|| rig.engine().counts().values().all(|of| of.states[0] == 0)).await;
    rig.advance(31 * 86_400);
    rig.until(|| rig.engine().counts().is_empty()).await;
    assert_eq!(rig.engine().list(&of("wait", None, 10)).unwrap(), (Vec::new(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_one_version_has_no_others() {
    let rig = Rig::new().await;
    let definition = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 86_400, "End": true}}});
    rig.version("w", 1, &definition, Unknown::Retry).await;
    let start = |name: &str| {
        let (workflow, name) = ("w".to_owned(), Some(name.to_owned()));
        let input = Some(input(&json!({})));
        StartExecution { workflow, version: Some(1), name, input, ..StartExecution::default() }
    };
    for name in ["a", "b"] {
        rig.engine().start(start(name)).await.unwrap();
        rig.advance(1);
    }
    rig.start("w", Some("plain"), json!({})).await.unwrap();
    let query = ExecutionQuery { version: Some(1), ..of("w", None, 1) };
    assert_eq!(pages(&rig, query, async |_| {}).await, [vec!["b"], vec!["a"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_history_have_its_events_in_their_order() {
    let rig = Rig::new().await;
    let wait = |next: &str| json!({"Type": "Wait", "Seconds": 1, "Next": next});
    let states = json!({"A": wait("B"), "B": wait("C"), "C": wait("D"), "D": {"Type": "Pass", "End": true}});
    rig.workflow("w", &json!({"StartAt": "A", "States": states})).await;
    rig.start("w", Some("n"), json!({"a": 1})).await.unwrap();
    // Each wait ends in a commit, and so in a piece, of its own.
    for exited in 1..=3 {
        rig.advance(1);
        rig.until(|| rig.kinds("w/n").iter().filter(|kind| *kind == "WaitStateExited").count() == exited).await;
    }
    rig.end("w/n").await;
    let all = rig.engine().history("w/n", 0, 1_000, false).unwrap();
    assert!(all.len() > 8, "{all:?}");
    for size in [1, 2, 5, 1_000] {
        for reverse in [false, true] {
            let (mut found, mut behind) = (Vec::new(), 0);
            loop {
                let page = rig.engine().history("w/n", behind, size, reverse).unwrap();
                let Some(last) = page.last() else { break };
                behind = last["id"].as_u64().unwrap();
                assert!(page.len() <= size);
                found.extend(page);
            }
            if reverse {
                found.reverse();
            }
            assert_eq!(found, all, "{size} {reverse}");
        }
    }
}
