//! What no recorded case covers: errors, time, cancelled siblings, bounds; and that an execution restored from its
//! records at every step goes on as if nothing had happened.

mod crash;
mod play;
mod redrive;

use expect_test::expect;
use serde_json::{Value, json};

use play::Play;

fn task(retry: Value, catch: Value) -> Value {
    let mut states = json!({
        "T": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Retry": retry, "Catch": catch, "End": true},
        "C": {"Type": "Pass", "End": true}
    });
    if catch == json!([]) {
        states.as_object_mut().unwrap().remove("C");
    }
    json!({"StartAt": "T", "States": states})
}

fn any_to_c() -> Value {
    json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "C"}])
}

#[test]
fn each_retrier_counts_for_itself_and_the_delay_is_bounded() {
    let retry = json!([
        {"ErrorEquals": ["Slow"], "IntervalSeconds": 4, "BackoffRate": 3, "MaxDelaySeconds": 10, "MaxAttempts": 3},
        {"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 1}
    ]);
    let mut play = Play::start(task(retry, any_to_c()), json!({"a": 1}));
    for error in ["Slow", "Other", "Slow", "Slow", "Slow"] {
        play.fail("T", error);
        play.fire();
    }
    play.check(expect![[r#"
        1<0 ExecutionStarted
        2<0 TaskStateEntered T
        3<2 TaskScheduled
        4<3 TaskStarted
          start T 0/1/0
        5<4 TaskFailed Slow
          timer Retry 0/1/1 at 4
        6<5 TaskScheduled
        7<6 TaskStarted
          start T 0/1/1
        8<7 TaskFailed Other
          timer Retry 0/1/2 at 5
        9<8 TaskScheduled
        10<9 TaskStarted
          start T 0/1/2
        11<10 TaskFailed Slow
          timer Retry 0/1/3 at 15
        12<11 TaskScheduled
        13<12 TaskStarted
          start T 0/1/3
        14<13 TaskFailed Slow
          timer Retry 0/1/4 at 25
        15<14 TaskScheduled
        16<15 TaskStarted
          start T 0/1/4
        17<16 TaskFailed Slow
        18<17 TaskStateExited T {"a":1,"error":{"Error":"Slow"}}
        19<18 PassStateEntered C
        20<19 PassStateExited C {"a":1,"error":{"Error":"Slow"}}
        21<20 ExecutionSucceeded {"a":1,"error":{"Error":"Slow"}}
          ended
    "#]]);
}

#[test]
fn full_jitter_draws_from_the_steps_seed() {
    let retry = json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 100, "JitterStrategy": "FULL"}]);
    let delay = || {
        let mut play = Play::start(task(retry.clone(), json!([])), json!({}));
        play.fail("T", "E");
        play.next_due().unwrap()
    };
    assert!((0..=100_000_000).contains(&delay().0), "{:?}", delay());
    assert_eq!(delay(), delay());
}

#[test]
fn a_timeout_ends_the_attempt_and_its_late_result_is_refused() {
    let definition = json!({"StartAt": "T", "TimeoutSeconds": 100, "States": {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "TimeoutSeconds": 10,
            "HeartbeatSeconds": 3, "Retry": [{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1}], "End": true}
    }});
    let mut play = Play::start(definition, json!({}));
    let first = play.attempt("T");
    play.advance(2);
    play.beat("T");
    play.fire();
    play.fire();
    play.fire();
    assert_eq!(play.succeed_attempt(first, json!(1)).unwrap_err().code, "HW-WORK-004");
    play.fire();
    play.check(expect![[r#"
        1<0 ExecutionStarted
        2<0 TaskStateEntered T
        3<2 TaskScheduled
        4<3 TaskStarted
          timer Execution at 100
          start T 0/1/0 token
          timer Timeout 0/1/0 at 10
          timer Heartbeat 0/1/0 at 3
          timer Heartbeat 0/1/0 at 5
        5<4 TaskTimedOut States.HeartbeatTimeout
          clear Timeout 0/1/0
          clear Heartbeat 0/1/0
          stop 0/1/0
          timer Retry 0/1/1 at 6
        6<5 TaskScheduled
        7<6 TaskStarted
          start T 0/1/1 token
          timer Timeout 0/1/1 at 16
          timer Heartbeat 0/1/1 at 9
        8<7 TaskTimedOut States.HeartbeatTimeout
        9<8 ExecutionFailed States.HeartbeatTimeout
          clear Timeout 0/1/1
          clear Heartbeat 0/1/1
          stop 0/1/1
          clear Execution
          ended
    "#]]);
}

#[test]
fn a_failing_branch_cancels_its_siblings() {
    let branch = |name: &str, resource: &str| json!({"StartAt": name, "States": {name: {"Type": "Task", "Resource": resource, "TimeoutSeconds": 60, "End": true}}});
    let wait = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}});
    let definition = json!({"StartAt": "P", "States": {
        "P": {"Type": "Parallel", "End": true, "Catch": [{"ErrorEquals": ["Bad"], "Next": "C"}], "Branches": [
            branch("X", "arn:aws:states:::sqs:sendMessage"), branch("Y", "arn:aws:states:::sqs:sendMessage.waitForTaskToken"), wait
        ]},
        "C": {"Type": "Succeed"}
    }});
    let mut play = Play::start(definition, json!({}));
    let token = play.attempt("Y");
    play.fail("X", "Bad");
    assert_eq!(play.succeed_attempt(token, json!(1)).unwrap_err().code, "HW-WORK-006");
    play.check(expect![[r#"
        1<0 ExecutionStarted
        2<0 ParallelStateEntered P
        3<2 ParallelStateStarted
        4<3 TaskStateEntered X
        5<4 TaskScheduled
        6<5 TaskStarted
        7<3 TaskStateEntered Y
        8<7 TaskScheduled
        9<8 TaskStarted
        10<3 WaitStateEntered W
          start X 1/2/0
          timer Timeout 1/2/0 at 60
          start Y 2/3/0 token
          timer Timeout 2/3/0 at 60
          timer Wait 3/4/0 at 60
        11<6 TaskFailed Bad
        12<11 ParallelStateFailed
        13<12 ParallelStateExited P {"Error":"Bad"}
        14<13 SucceedStateEntered C
        15<14 SucceedStateExited C {"Error":"Bad"}
        16<15 ExecutionSucceeded {"Error":"Bad"}
          clear Timeout 1/2/0
          clear Wait 3/4/0
          clear Timeout 2/3/0
          stop 2/3/0
          ended
    "#]]);
}

#[test]
fn a_map_runs_as_many_items_at_once_as_it_says() {
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "MaxConcurrency": 2, "End": true,
        "ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true}}}}}});
    let mut play = Play::start(definition, json!([1, 2, 3]));
    play.succeed_last("T", json!("second"));
    play.succeed_last("T", json!("third"));
    play.succeed_last("T", json!("first"));
    play.check(expect![[r#"
        1<0 ExecutionStarted
        2<0 MapStateEntered M
        3<2 MapStateStarted
        4<3 MapIterationStarted 0
        5<3 MapIterationStarted 1
        6<4 TaskStateEntered T
        7<6 TaskScheduled
        8<7 TaskStarted
        9<5 TaskStateEntered T
        10<9 TaskScheduled
        11<10 TaskStarted
          start T 1/2/0
          start T 2/3/0
        12<11 TaskSucceeded
        13<12 TaskStateExited T "second"
        14<13 MapIterationSucceeded 1
        15<13 MapIterationStarted 2
        16<15 TaskStateEntered T
        17<16 TaskScheduled
        18<17 TaskStarted
          start T 3/4/0
        19<18 TaskSucceeded
        20<19 TaskStateExited T "third"
        21<20 MapIterationSucceeded 2
        22<8 TaskSucceeded
        23<22 TaskStateExited T "first"
        24<23 MapIterationSucceeded 0
        25<24 MapStateSucceeded
        26<24 MapStateExited M ["first","second","third"]
        27<26 ExecutionSucceeded ["first","second","third"]
          ended
    "#]]);
}

#[test]
fn a_failing_item_aborts_the_others() {
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true,
        "ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true}}}}}});
    let mut play = Play::start(definition, json!([1, 2]));
    play.fail("T", "Bad");
    play.check(expect![[r#"
        1<0 ExecutionStarted
        2<0 MapStateEntered M
        3<2 MapStateStarted
        4<3 MapIterationStarted 0
        5<3 MapIterationStarted 1
        6<4 TaskStateEntered T
        7<6 TaskScheduled
        8<7 TaskStarted
        9<5 TaskStateEntered T
        10<9 TaskScheduled
        11<10 TaskStarted
          start T 1/2/0
          start T 2/3/0
        12<8 TaskFailed Bad
        13<12 MapIterationFailed 0
        14<11 MapIterationAborted 1
        15<12 MapStateFailed
        16<15 ExecutionFailed Bad
          stop 2/3/0
          ended
    "#]]);
}

#[test]
fn an_item_that_cannot_be_selected_aborts_the_others() {
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "QueryLanguage": "JSONata",
        "ItemSelector": {"x": "{% $states.context.Map.Item.Value.x %}"},
        "ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true}}},
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}]}, "C": {"Type": "Succeed"}}});
    let mut play = Play::start(definition.clone(), json!([{"x": 1}, {}]));
    play.check(expect![[r#"
        1<0 ExecutionStarted
        2<0 MapStateEntered M
        3<2 MapStateStarted
        4<3 MapIterationStarted 0
        5<0 EvaluationFailed States.QueryEvaluationError
        6<4 MapIterationAborted 0
        7<5 MapStateFailed
        8<7 MapStateExited M {"Error":"States.QueryEvaluationError","Cause":"An error occurred while executing the state 'M' (entered at the event id #2). The JSONata expression '$states.context.Map.Item.Value.x' specified for the field 'ItemSelector/x' returned nothing (undefined)."}
        9<8 SucceedStateEntered C
        10<9 SucceedStateExited C {"Error":"States.QueryEvaluationError","Cause":"An error occurred while executing the state 'M' (entered at the event id #2). The JSONata expression '$states.context.Map.Item.Value.x' specified for the field 'ItemSelector/x' returned nothing (undefined)."}
        11<10 ExecutionSucceeded {"Error":"States.QueryEvaluationError","Cause":"An error occurred while executing the state 'M' (entered at the event id #2). The JSONata expression '$states.context.Map.Item.Value.x' specified for the field 'ItemSelector/x' returned nothing (undefined)."}
          ended
    "#]]);

    let mut narrow = definition;
    narrow["States"]["M"]["MaxConcurrency"] = json!(2);
    play = Play::start(narrow, json!([{"x": 1}, {"x": 2}, {}]));
    play.succeed_last("T", json!(0));
    assert_eq!(play.execution.positions(&play.definition), vec![]);
    assert_eq!(play.output().unwrap()["Error"], "States.QueryEvaluationError");
}

#[test]
fn variables_are_read_inward_and_assigned_at_once() {
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"x": 1, "y": 2}, "Next": "B"},
        "B": {"Type": "Pass", "Assign": {"x": "{% $y %}", "y": "{% $x %}"}, "Next": "P"},
        "P": {"Type": "Parallel", "End": true, "Output": "{% $states.result %}", "Branches": [
            {"StartAt": "I", "States": {
                "I": {"Type": "Pass", "Assign": {"z": "{% $x + $y %}"}, "Next": "J"},
                "J": {"Type": "Pass", "Output": "{% [$x, $y, $z] %}", "End": true}
            }}
        ]}
    }});
    let play = Play::start(definition, json!({}));
    assert_eq!(play.output(), Some(json!([[2, 1, 3]])));
}

#[test]
fn jsonata_catchers_see_the_error_output() {
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "T", "States": {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Arguments": "{% $missing.a %}", "End": true,
            "Catch": [{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "C", "Assign": {"e": "{% $states.errorOutput.Error %}"},
                "Output": "{% $states.input %}"}]},
        "C": {"Type": "Pass", "Output": {"error": "{% $e %}", "input": "{% $states.input %}"}, "End": true}
    }});
    let play = Play::start(definition, json!(7));
    assert_eq!(play.output(), Some(json!({"error": "States.QueryEvaluationError", "input": 7})));
}

#[test]
fn a_jsonata_state_hands_large_integers_through() {
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"id": "{% $states.input.order.id %}"}, "Next": "B"},
        "B": {"Type": "Pass", "Output": {"id": "{% $id %}"}, "End": true}
    }});
    let id = 9_007_199_254_740_993_i64;
    let play = Play::start(definition, json!({"order": {"id": id}}));
    assert_eq!(play.output(), Some(json!({"id": id})));
}

#[test]
fn an_endless_loop_stops_at_the_bounds() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}
    }});
    let mut play = Play::start(definition, json!({}));
    let steps = play.run_on();
    // Two events for each entry, a thousand entries in each step.
    assert_eq!(steps, 12);
    let failure = play.failure().unwrap();
    assert_eq!(failure.error.as_deref(), Some("States.Runtime"));
    assert!(failure.cause.unwrap().contains("maximum number of history events (25000)"));
}

#[test]
fn payloads_are_bounded_where_they_come_in_and_where_they_are_made() {
    let mut play = Play::start(task(json!([]), json!([])), json!({}));
    play.succeed("T", json!("x".repeat(300_000)));
    assert_eq!(play.failure().unwrap().error.as_deref(), Some("States.DataLimitExceeded"));

    let doubling = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Parameters": {"l.$": "$", "r.$": "$"}, "Next": "A2"},
        "A2": {"Type": "Pass", "Next": "A"}
    }});
    let play = Play::start(doubling, json!("0123456789"));
    assert_eq!(play.failure().unwrap().error.as_deref(), Some("States.DataLimitExceeded"));

    let gathering = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": {"StartAt": "P", "States": {
        "P": {"Type": "Pass", "Result": "x".repeat(100_000), "End": true}}}, "ResultPath": null, "End": true}}});
    let play = Play::start(gathering, json!([1, 2, 3, 4]));
    assert_eq!(play.failure().unwrap().error.as_deref(), Some("States.DataLimitExceeded"));

    let refused = Play::try_start(task(json!([]), json!([])), json!("x".repeat(300_000))).unwrap_err();
    assert_eq!(refused.code, "HW-WORK-005");
    let mut deep = json!(1);
    for _ in 0..110 {
        deep = json!([deep]);
    }
    assert_eq!(Play::try_start(task(json!([]), json!([])), deep).unwrap_err().code, "HW-WORK-005");
}

/// What would be gigabytes is refused on the way there.
#[test]
fn what_names_its_input_again_and_again_is_bounded_on_the_way() {
    let pass = |parameters: Value| {
        let state = json!({"Type": "Pass", "Parameters": parameters, "End": true});
        json!({"StartAt": "P", "States": {"P": state}})
    };
    let failure = |definition: Value, input: Value| {
        let failure = Play::start(definition, input).failure().unwrap();
        (failure.error.unwrap(), failure.cause.unwrap())
    };
    let text = "x".repeat(200_000);
    let fields: serde_json::Map<String, Value> = (0..20_000).map(|at| (format!("f{at}.$"), json!("$"))).collect();
    let (error, _) = failure(pass(Value::Object(fields)), json!(text));
    assert_eq!(error, "States.DataLimitExceeded");
    let call = format!("States.Array({})", vec!["$"; 20_000].join(","));
    let (_, cause) = failure(pass(json!({"a.$": call})), json!(text));
    assert!(cause.contains("visits more values than it may"), "{cause}");

    let map = json!({"StartAt": "M", "States": {"M": {
        "Type": "Map", "ItemsPath": "$.items", "ItemSelector": {"all.$": "$.text"}, "End": true,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}},
        },
    }}});
    let (error, _) = failure(map, json!({"items": vec![1; 20_000], "text": text}));
    assert_eq!(error, "States.DataLimitExceeded");
}

#[test]
fn an_activity_starts_when_a_worker_takes_it() {
    let definition = json!({"StartAt": "T", "States": {
        "T": {"Type": "Task", "Resource": "arn:aws:states:eu-west-1:1:activity:approve", "End": true}
    }});
    let mut play = Play::start(definition, json!({"amount": 5}));
    play.take("T", "worker-1");
    play.succeed("T", json!("yes"));
    play.check(expect![[r#"
        1<0 ExecutionStarted
        2<0 TaskStateEntered T
        3<2 ActivityScheduled
          start T 0/1/0 token
        4<3 ActivityStarted
        5<4 ActivitySucceeded
        6<5 TaskStateExited T "yes"
        7<6 ExecutionSucceeded "yes"
          ended
    "#]]);
}

#[test]
fn another_definition_is_refused() {
    let mut play = Play::start(task(json!([]), json!([])), json!({}));
    assert_eq!(play.swap_definition(task(any_retry(), json!([]))).unwrap_err().code, "HW-WORK-003");
}

fn any_retry() -> Value {
    json!([{"ErrorEquals": ["States.ALL"]}])
}
