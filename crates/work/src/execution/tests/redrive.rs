//! Redrive: what is done again, and what is not.

use expect_test::expect;
use serde_json::json;

use super::play::Play;
use crate::execution::{Event, Failure};

const TASK: &str = "arn:aws:states:::sqs:sendMessage";

#[test]
fn a_failed_task_is_tried_again_with_retriers_as_good_as_new() {
    let retry = json!([{"ErrorEquals": ["E"], "MaxAttempts": 1}]);
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Next": "T"},
        "T": {"Type": "Task", "Resource": TASK, "Retry": retry, "End": true},
    }});
    let mut play = Play::start(definition, json!({"a": 1}));
    assert_eq!(play.redrive().unwrap_err().code, "HW-WORK-007");
    for _ in 0..2 {
        play.fail("T", "E");
        play.fire();
    }
    assert_eq!(play.failure().unwrap().error.as_deref(), Some("E"));
    play.log.clear();
    play.redrive().unwrap();
    play.fail("T", "E");
    play.fire();
    play.succeed("T", json!(2));
    assert_eq!(play.redrive().unwrap_err().code, "HW-WORK-007");
    play.check(expect![[r#"
        12<11 ExecutionRedriven
        13<12 TaskScheduled
        14<13 TaskStarted
          start T 0/2/2
        15<14 TaskFailed E
          timer Retry 0/2/3 at 2
        16<15 TaskScheduled
        17<16 TaskStarted
          start T 0/2/3
        18<17 TaskSucceeded
        19<18 TaskStateExited T 2
        20<19 ExecutionSucceeded 2
          ended
    "#]]);
}

#[test]
fn finished_branches_and_items_keep_their_results() {
    let branch =
        |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Task", "Resource": TASK, "End": true}}});
    let definition = json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [branch("X"), branch("Y"), branch("Z")], "End": true}}});
    let mut play = Play::start(definition, json!({}));
    play.succeed("X", json!("x"));
    play.fail("Y", "E");
    play.log.clear();
    play.redrive().unwrap();
    play.succeed("Y", json!("y"));
    play.succeed("Z", json!("z"));
    assert_eq!(play.output(), Some(json!(["x", "y", "z"])));
    play.check(expect![[r#"
        18<17 ExecutionRedriven
        19<18 TaskScheduled
        20<19 TaskStarted
        21<18 TaskScheduled
        22<21 TaskStarted
          start Y 2/3/1
          start Z 3/4/1
        23<20 TaskSucceeded
        24<23 TaskStateExited Y "y"
        25<22 TaskSucceeded
        26<25 TaskStateExited Z "z"
        27<26 ParallelStateSucceeded
        28<26 ParallelStateExited P ["x","y","z"]
        29<28 ExecutionSucceeded ["x","y","z"]
          ended
    "#]]);
    let map = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "MaxConcurrency": 1, "End": true, "ItemProcessor": branch("T")}}});
    let mut play = Play::start(map, json!([1, 2, 3]));
    play.succeed("T", json!("a"));
    play.fail("T", "E");
    play.redrive().unwrap();
    play.succeed("T", json!("b"));
    play.succeed("T", json!("c"));
    assert_eq!(play.output(), Some(json!(["a", "b", "c"])));
}

#[test]
fn an_aborted_execution_goes_on_where_it_stood_and_a_wait_is_waited_again() {
    let definition =
        json!({"StartAt": "W", "TimeoutSeconds": 100, "States": {"W": {"Type": "Wait", "Seconds": 9, "End": true}}});
    let mut play = Play::start(definition, json!({}));
    play.event(Event::Abort(Failure::default())).unwrap();
    play.advance(50);
    play.redrive().unwrap();
    play.fire();
    assert_eq!(play.output(), Some(json!({})));
    play.check(expect![[r#"
        1<0 ExecutionStarted
        2<0 WaitStateEntered W
          timer Execution at 100
          timer Wait 0/1/0 at 9
        3<0 ExecutionAborted
          clear Wait 0/1/0
          clear Execution
          ended
        4<3 ExecutionRedriven
          timer Execution at 150
          timer Wait 0/1/1 at 59
        5<4 WaitStateExited W {}
        6<5 ExecutionSucceeded {}
          clear Execution
          ended
    "#]]);
}

#[test]
fn a_failure_that_is_caught_leaves_nothing_to_take_up() {
    let catch = json!([{"ErrorEquals": ["States.ALL"], "Next": "F"}]);
    let inner = json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": TASK, "End": true}}});
    let definition = json!({"StartAt": "P", "States": {
        "P": {"Type": "Parallel", "Branches": [inner], "Catch": catch, "End": true},
        "F": {"Type": "Fail", "Error": "Last"},
    }});
    let mut play = Play::start(definition, json!({}));
    play.fail("T", "E");
    assert_eq!(play.failure().unwrap().error.as_deref(), Some("Last"));
    // It is the Fail state that is done again, not what was caught before it.
    play.redrive().unwrap();
    assert_eq!(play.failure().unwrap().error.as_deref(), Some("Last"));
}

#[test]
fn a_distributed_map_takes_up_its_map_run() {
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}}}});
    let mut play = Play::start(definition, json!([1]));
    play.end_map_run(Err(Failure::new("States.ExceedToleratedFailureThreshold", "")));
    play.redrive().unwrap();
    play.end_map_run(Ok(json!([1])));
    assert_eq!(play.output(), Some(json!([1])));
    play.check(expect![[r#"
        1<0 ExecutionStarted
        2<0 MapStateEntered M
        3<2 MapStateStarted
        4<3 MapRunStarted
          map run 0/1/0
        5<4 MapRunFailed States.ExceedToleratedFailureThreshold
        6<5 MapStateFailed
        7<6 ExecutionFailed States.ExceedToleratedFailureThreshold
          ended
        8<7 ExecutionRedriven
        9<8 MapRunRedriven
          map run 0/1/1 again
        10<9 MapRunSucceeded
        11<10 MapStateSucceeded
        12<10 MapStateExited M [1]
        13<12 ExecutionSucceeded [1]
          ended
    "#]]);
}
