//! Definitions in the States Language: checked or refused with a place, and one that is accepted can be started.

use headwater_base::Micros;
use headwater_work::execution::record::{self, Changes};
use headwater_work::{Begin, Definition, Execution, Flavor, Given, Identity, Limits};
use serde_json::json;

/// Bounds that a run of the fuzzer can afford.
pub fn limits() -> Limits {
    Limits {
        evaluation_ms_max: 50,
        evaluation_depth_max: 100,
        sequence_items_max: 1_000,
        path_visits_max: 10_000,
        entries_per_step_max: 20,
        ..Limits::default()
    }
}

/// The records of an execution's beginning, if the text is a definition.
pub fn changes(text: &str, limits: &Limits) -> Option<Changes> {
    let definition = Definition::parse(text, Flavor::Standard, limits).ok()?;
    let _ = definition.variable_references();
    let input = json!({"a": 1, "list": [1, {"b": "x"}, null]});
    let begin = Begin { identity: Identity::default(), flavor: Flavor::Standard, machine: 0, input, item: None };
    let given = Given { now: Micros(0), seed: [7; 32], token: &|_| "token".to_owned(), limits };
    let (execution, step) = Execution::start(&definition, begin, &given).ok()?;
    let _ = execution.positions(&definition);
    Some(record::changes(&execution, &step.changed))
}

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    changes(text, &limits());
}

pub const PATHS: &str = r#"{"StartAt":"A","TimeoutSeconds":9,"States":{
"A":{"Type":"Pass","Parameters":{"x.$":"$.list[?(@.b=='x')]","y.$":"States.Format('{} {}', $.a, States.UUID())"},"ResultPath":"$.r","Next":"B"},
"B":{"Type":"Choice","Choices":[{"And":[{"Variable":"$.a","NumericGreaterThan":0},{"Not":{"Variable":"$.q","IsPresent":true}}],"Next":"C"}],"Default":"F"},
"C":{"Type":"Map","ItemsPath":"$.list","MaxConcurrency":2,"ItemProcessor":{"StartAt":"D","States":{"D":{"Type":"Wait","Seconds":1,"End":true}}},"Next":"P"},
"P":{"Type":"Parallel","Branches":[{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},"Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":2,"BackoffRate":1.5}],"Catch":[{"ErrorEquals":["States.Timeout"],"Next":"U"}],"Next":"U"},"U":{"Type":"Succeed"}}}],"End":true},
"F":{"Type":"Fail","ErrorPath":"$.a","Cause":"c"}}}"#;

pub const QUERIES: &str = r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{
"A":{"Type":"Pass","Output":"{% {'n': $sum($states.input.list[$type($)='number'])} %}","Assign":{"v":"{% $states.input.a + 1 %}"},"Next":"B"},
"B":{"Type":"Choice","Choices":[{"Condition":"{% $v > 1 %}","Next":"C"}],"Default":"C"},
"C":{"Type":"Succeed","Output":"{% $states.input ~> $keys() %}"}}}"#;

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[PATHS, QUERIES])
}
