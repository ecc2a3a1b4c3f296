//! The services the recorded cases call: other state machines, and their own API.

use headwater_base::Micros;
use headwater_work::definition::resource::Pattern;
use headwater_work::definition::{Definition, Resource};
use headwater_work::execution::{Failure, Identity, StartTask, Status};
use headwater_work::{Flavor, Limits};
use serde_json::{Value, json};

use crate::driver::{Driver, Reply, Services};

/// Machines that stand under their names.
pub struct Machines(pub Vec<Value>);

impl Services for Machines {
    fn call(&mut self, task: &StartTask, now: Micros) -> Reply {
        let Resource::Service(service) = &task.resource else {
            return Reply::Failure(Failure::new("Test.NoSuchService", task.state.clone()));
        };
        let parameters = &task.parameters;
        match (service.name.as_str(), service.verb.as_str()) {
            ("states" | "aws-sdk:sfn", "startExecution") => self.start_execution(parameters, service.pattern, now),
            ("aws-sdk:sfn", "sendTaskSuccess" | "sendTaskFailure") => Reply::Failure(Failure::new(
                "Sfn.InvalidTokenException",
                "Invalid Token: 'Invalid token' (Service: Sfn, Status Code: 400, Request ID: 1) (SDK Attempt Count: 1)",
            )),
            (name, verb) => Reply::Failure(Failure::new("Test.NoSuchService", format!("{name}:{verb}"))),
        }
    }
}

impl Machines {
    fn start_execution(&self, parameters: &Value, pattern: Pattern, now: Micros) -> Reply {
        let arn = parameters["StateMachineArn"].as_str().unwrap_or_default();
        let Some(machine) = self.0.iter().find(|machine| machine["arn"] == arn) else {
            let cause = format!(
                "State Machine Does Not Exist: '{arn}' (Service: AWSStepFunctions; Status Code: 400; Error Code: StateMachineDoesNotExist; Request ID: 1; Proxy: null)"
            );
            return Reply::Failure(Failure::new("StepFunctions.StateMachineDoesNotExistException", cause));
        };
        let name = parameters["Name"].as_str().unwrap_or("unnamed");
        let execution_arn = format!("{}:{name}", arn.replace(":stateMachine:", ":execution:"));
        let started = json!({"ExecutionArn": execution_arn, "StartDate": now.to_string()});
        if pattern == Pattern::Response {
            return Reply::Success(started);
        }
        let text = machine["definition"].to_string();
        let definition = Definition::parse(&text, Flavor::Standard, &Limits::default()).expect("a recorded machine");
        let input = match &parameters["Input"] {
            Value::Null => json!({}),
            other => other.clone(),
        };
        let mut others = Machines(self.0.clone());
        let mut driver = Driver::new(&definition, &mut others);
        let ran = driver.run(Identity::default(), Flavor::Standard, input.clone()).expect("the other machine runs");
        let shown = |value: &Value| if pattern == Pattern::Sync2 { value.clone() } else { json!(value.to_string()) };
        let Status::Succeeded(output) = ran.execution.status else {
            return Reply::Submitted(started, Err(Failure::new("States.TaskFailed", "the other machine failed")));
        };
        let result = json!({
            "ExecutionArn": execution_arn, "Input": shown(&input), "InputDetails": {"Included": true}, "Name": name,
            "Output": shown(&output), "OutputDetails": {"Included": true}, "StartDate": now.to_string(),
            "StateMachineArn": arn, "Status": "SUCCEEDED", "StopDate": now.to_string(),
        });
        Reply::Submitted(started, Ok(result))
    }
}
