//! What a trial is asked for, read and checked.

use headwater_base::{Micros, Problem};
use serde_json::{Map, Value, json};

use super::alone;
use super::model::Mode;
use crate::definition::{Definition, Flavor, Kind, MachineId, State, StateId};
use crate::execution::{Begin, Data, Execution, Failure, Given, Identity, Item};
use crate::limits::Limits;

/// The name of a state that comes without one.
const NAME: &str = "TestState";

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Info,
    Debug,
    Trace,
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub level: Level,
    pub input: Value,
    pub mock: Option<Result<Value, Failure>>,
    /// How strictly a mocked result is held against the service's model.
    pub mode: Mode,
    /// Retries that went before.
    pub retries: u32,
    /// Iterations that failed.
    pub failed_iterations: Option<u64>,
    /// What a Map's `ItemReader` would read.
    pub reader_items: Option<Value>,
    state: String,
    caused_by: Option<String>,
    /// What is set before.
    pub variables: Map<String, Value>,
    context: Map<String, Value>,
    /// What the context says of the execution's beginning and redrives, and of the state's stay.
    started: Option<Micros>,
    redrives: u32,
    pub stay: Stay,
    /// The token that the context says a task has.
    pub token: Option<String>,
    role_arn: String,
}

/// What a context says of the time in the state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub entered: Option<Micros>,
    pub retries: Option<u32>,
}

/// The parts of a context object.
const PARTS: [&str; 5] = ["Execution", "State", "StateMachine", "Map", "Task"];

fn refused(fact: impl Into<String>) -> Problem {
    Problem::new("HW-WORK-008", fact).help("the request has the shape of `TestState` of AWS Step Functions")
}

impl Request {
    /// Reads a request; answers the definition's text as well.
    pub fn read(request: &Map<String, Value>, limits: &Limits) -> Result<(Self, String), Problem> {
        let text = |map: &Map<String, Value>, field: &str| match map.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.len() <= limits.definition_bytes_max => Ok(Some(text.clone())),
            Some(_) => Err(refused(format!("`{field}` is a text of at most {} bytes", limits.definition_bytes_max))),
        };
        let json = |map: &Map<String, Value>, field: &str| match text(map, field)? {
            None => Ok(None),
            Some(text) => {
                let value: Value =
                    serde_json::from_str(&text).map_err(|error| refused(format!("`{field}` is no JSON: {error}")))?;
                let (bytes, depth) = crate::size::of(&value);
                if bytes > limits.payload_bytes_max || depth > limits.value_depth_max {
                    return Err(refused(format!("`{field}` has {bytes} bytes and nests {depth} levels deep")));
                }
                Ok(Some(value))
            }
        };
        let object = |value: Option<Value>, field: &str| match value {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map),
            Some(_) => Err(refused(format!("`{field}` is an object"))),
        };
        let (definition, named) = definition(text(request, "definition")?, limits)?;
        let state = match (text(request, "stateName")?, named) {
            (Some(name), _) => name,
            (None, true) => return Err(refused("`stateName` is needed for the definition of a whole state machine")),
            (None, false) => NAME.to_owned(),
        };
        let level = match text(request, "inspectionLevel")?.as_deref() {
            None | Some("INFO") => Level::Info,
            Some("DEBUG") => Level::Debug,
            Some("TRACE") => Level::Trace,
            Some(other) => return Err(refused(format!("there is no `inspectionLevel` `{other}`"))),
        };
        let mock = match request.get("mock").filter(|mock| !mock.is_null()) {
            None => None,
            Some(mock) => {
                let mock = object(Some(mock.clone()), "mock")?;
                match (json(&mock, "result")?, mock.get("errorOutput").filter(|error| !error.is_null())) {
                    (Some(result), None) => Some(Ok(result)),
                    (None, Some(error)) => {
                        let error = object(Some(error.clone()), "mock.errorOutput")?;
                        let named = text(&error, "error")?;
                        if named.is_none() {
                            return Err(refused("`mock.errorOutput` has an `error`"));
                        }
                        Some(Err(Failure { error: named, cause: text(&error, "cause")? }))
                    }
                    _ => return Err(refused("a mock has either `result` or `errorOutput`")),
                }
            }
        };
        let mode = request.get("mock").and_then(|mock| mock.get("fieldValidationMode")).unwrap_or(&Value::Null);
        let mode = match mode.as_str() {
            None if mode.is_null() => Mode::default(),
            Some("STRICT") => Mode::Strict,
            Some("PRESENT") => Mode::Present,
            Some("NONE") => Mode::None,
            _ => return Err(refused(format!("there is no `fieldValidationMode` `{mode}`"))),
        };
        if mock.is_some() && request.get("revealSecrets") == Some(&Value::Bool(true)) {
            return Err(refused("`revealSecrets` cannot be given together with a mock"));
        }
        let configuration = object(request.get("stateConfiguration").cloned(), "stateConfiguration")?;
        let count = |field: &str| match configuration.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| refused(format!("`{field}` is a whole number"))),
        };
        let context = object(json(request, "context")?, "context")?;
        if !context.is_empty() && mock.is_none() {
            return Err(refused("`context` can only be given together with a mock"));
        }
        if let Some(part) = context.keys().find(|part| !PARTS.contains(&part.as_str())) {
            let parts = PARTS.join("`, `");
            return Err(refused(format!("a context object has `{parts}`, and no `{}`", part.escape_debug())));
        }
        let said = |part: &str, field: &str| {
            context.get(part).and_then(|part| part.get(field)).filter(|value| !value.is_null())
        };
        let time = |part: &str, field: &str| match said(part, field) {
            None => Ok(None),
            Some(value) => value.as_str().and_then(crate::time::parse).map(Some).ok_or_else(|| {
                refused(format!("`{part}.{field}` of `context` is a time such as `2026-11-28T09:00:00.000Z`"))
            }),
        };
        let times = |part: &str, field: &str| match said(part, field) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .and_then(|count| u32::try_from(count).ok())
                .map(Some)
                .ok_or_else(|| refused(format!("`{part}.{field}` of `context` is a whole number"))),
        };
        let (started, redrives) = (time("Execution", "StartTime")?, times("Execution", "RedriveCount")?.unwrap_or(0));
        let stay = Stay { entered: time("State", "EnteredTime")?, retries: times("State", "RetryCount")? };
        let token = said("Task", "Token").and_then(Value::as_str).map(str::to_owned);
        let read = Self {
            level,
            input: json(request, "input")?.unwrap_or_else(|| json!({})),
            mock,
            mode,
            retries: u32::try_from(count("retrierRetryCount")?.unwrap_or(0)).unwrap_or(u32::MAX),
            failed_iterations: count("mapIterationFailureCount")?,
            reader_items: json(&configuration, "mapItemReaderData")?,
            state,
            caused_by: text(&configuration, "errorCausedByState")?,
            variables: object(json(request, "variables")?, "variables")?,
            context,
            started,
            redrives,
            stay,
            token,
            role_arn: text(request, "roleArn")?.unwrap_or_default(),
        };
        Ok((read, definition))
    }

    /// Where the state stands.
    pub fn place(&self, definition: &Definition) -> Result<(MachineId, StateId), Problem> {
        let find = |name: &str| {
            let machines = (0..).zip(&definition.machines);
            machines.into_iter().find_map(|(machine, states)| {
                (0..).zip(&states.states).find(|(_, state)| state.name == name).map(|(state, _)| (machine, state))
            })
        };
        if let Some(name) = &self.caused_by
            && find(name).is_none()
        {
            return Err(refused(format!("the definition has no state `{name}`, which `errorCausedByState` names")));
        }
        find(&self.state).ok_or_else(|| refused(format!("the definition has no state `{}`", self.state)))
    }

    /// Whether everything that is said of what went before can concern the state.
    pub fn concerns(&self, state: &State) -> Result<(), Problem> {
        let is_map = matches!(state.kind, Kind::Map(_));
        let is_whole = is_map || matches!(state.kind, Kind::Parallel { .. });
        for (field, given, fits, kinds) in [
            ("mapIterationFailureCount", self.failed_iterations.is_some(), is_map, "a Map"),
            ("mapItemReaderData", self.reader_items.is_some(), is_map, "a Map"),
            ("errorCausedByState", self.caused_by.is_some(), is_whole, "a Map or Parallel"),
        ] {
            if given && !fits {
                let kind = state.kind.name();
                return Err(refused(format!("`{field}` is about {kinds} state, and this one is of type `{kind}`")));
            }
        }
        Ok(())
    }

    /// An execution that stands before the state.
    pub fn execution(
        &self,
        definition: &Definition,
        machine: MachineId,
        state: StateId,
        given: &Given<'_>,
    ) -> Execution {
        let text = |path: [&str; 2], otherwise: &str| {
            let found = self.context.get(path[0]).and_then(|part| part.get(path[1])).and_then(Value::as_str);
            found.unwrap_or(otherwise).to_owned()
        };
        let identity = Identity {
            execution_arn: text(["Execution", "Id"], "arn:aws:states:us-east-1:123456789012:execution:test:test"),
            name: text(["Execution", "Name"], "test"),
            machine_arn: text(["StateMachine", "Id"], "arn:aws:states:us-east-1:123456789012:stateMachine:test"),
            machine_name: text(["StateMachine", "Name"], "test"),
            role_arn: text(["Execution", "RoleArn"], &self.role_arn),
            region: "us-east-1".to_owned(),
        };
        let run_input = self.context.get("Execution").and_then(|run| run.get("Input"));
        let input = run_input.unwrap_or(&self.input).clone();
        let begin = Begin { identity, flavor: Flavor::Standard, machine, input, item: None };
        let mut execution = Execution::idle(definition, begin, self.started.unwrap_or(given.now));
        execution.redrives = self.redrives;
        let data = Data {
            input: self.input.clone().into(),
            variables: self.variables.clone(),
            // Inside a Map the state sees an item; where nobody says which, the first.
            item: self.item().or_else(|| (machine > 0).then(|| Item { index: 0, value: self.input.clone() })),
            ..Data::default()
        };
        alone(&mut execution, machine, state, data);
        execution
    }

    fn item(&self) -> Option<Item> {
        let item = self.context.get("Map")?.get("Item")?;
        let index = item.get("Index").and_then(Value::as_u64).unwrap_or(0);
        Some(Item { index, value: item.get("Value").cloned().unwrap_or_default() })
    }
}

/// The text of a definition, and whether it is a whole machine's; a single state gets one around it.
fn definition(text: Option<String>, limits: &Limits) -> Result<(String, bool), Problem> {
    let text = text.ok_or_else(|| refused("`definition` is missing"))?;
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(&text) else {
        // The reader of definitions says what is wrong with it.
        return Ok((text, true));
    };
    if object.contains_key("States") {
        return Ok((text, true));
    }
    if crate::size::of(&json!(object)).1 > limits.value_depth_max {
        return Err(refused("the definition nests too deep"));
    }
    let mut states = Map::new();
    for name in behind(&object) {
        states.insert(name, json!({ "Type": "Pass", "End": true }));
    }
    states.insert(NAME.to_owned(), Value::Object(object));
    Ok((json!({ "StartAt": NAME, "States": states }).to_string(), false))
}

/// The states that a state leads to.
fn behind(state: &Map<String, Value>) -> Vec<String> {
    let name = |value: &Value| value.as_str().map(str::to_owned);
    let mut names: Vec<String> =
        ["Next", "Default"].iter().filter_map(|field| state.get(*field).and_then(name)).collect();
    for list in ["Choices", "Catch"] {
        let entries = state.get(list).and_then(Value::as_array).into_iter().flatten();
        names.extend(entries.filter_map(|entry| entry.get("Next").and_then(name)));
    }
    names
}
