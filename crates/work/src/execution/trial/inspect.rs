//! What a trial shows of the data on its way through the state.

use serde_json::{Map, Value, json};

use super::THREAD;
use crate::definition::{Kind, Language, MapState, Resource, State};
use crate::execution::fault::Fault;
use crate::execution::map;
use crate::execution::run::Run;
use crate::execution::scope::Scope;
use crate::execution::{Failure, Item, StartTask, ThreadId};

type Seen = Map<String, Value>;

fn show(seen: &mut Seen, field: &str, value: &Value) {
    seen.insert(field.to_owned(), json!(value.to_string()));
}

impl Run<'_> {
    /// The input after each field that is applied to it; a fault ends the view, and the state itself meets it again.
    pub(super) fn inspect_input(&self, id: ThreadId, state: &State, read: &Option<Value>, seen: &mut Seen) {
        let jsonata = state.language == Language::Jsonata;
        let Ok(input) = self.effective_input(id, state) else { return };
        // A Pass state with a `Result` takes nothing of its input.
        if !jsonata && !matches!(state.kind, Kind::Pass { result: Some(_) }) {
            show(seen, "afterInputPath", &input);
        }
        match &state.kind {
            Kind::Map(map) => {
                let _ = self.inspect_map(id, state, map, read, seen);
            }
            Kind::Pass { result } if !jsonata => self.inspect_pass(id, state, result.as_ref(), seen),
            Kind::Task(_) | Kind::Parallel { .. } => {
                let Ok(arguments) = self.arguments(id, state) else { return };
                show(seen, if jsonata { "afterArguments" } else { "afterParameters" }, &arguments);
            }
            // Others have neither.
            _ => {}
        }
    }

    fn inspect_pass(&self, id: ThreadId, state: &State, constant: Option<&Value>, seen: &mut Seen) {
        let Ok(arguments) = self.arguments(id, state) else { return };
        let result = constant.unwrap_or(&arguments);
        show(seen, if constant.is_some() { "result" } else { "afterParameters" }, result);
        show(seen, "afterResultSelector", result);
        if let Some(placed) = state.result_path.place(&self.input(id), result) {
            show(seen, "afterResultPath", &placed);
        }
    }

    fn inspect_map(
        &self,
        id: ThreadId,
        state: &State,
        map: &MapState,
        read: &Option<Value>,
        seen: &mut Seen,
    ) -> Result<(), Fault> {
        let input = self.effective_input(id, state)?;
        let Some(scope) = self.scope(id, state, &input) else { return Ok(()) };
        let items = match pointed(&scope, map, read, seen)? {
            Some(read) => as_items(read),
            None => map::items(&scope, state, map)?,
        };
        if state.language == Language::JsonPath {
            show(seen, "afterItemsPath", &json!(items));
        }
        let mut inputs = Vec::with_capacity(items.len());
        for (index, value) in (0..).zip(items) {
            inputs.push(map::item_input(&scope, map, &Item { index, value })?);
        }
        if map.selector.is_some() {
            show(seen, "afterItemSelector", &json!(inputs));
        }
        if let Some(batcher) = &map.batcher {
            let batcher = scope.template(batcher)?;
            if let Ok(batcher) = crate::items::Batcher::of(&batcher) {
                show(seen, "afterItemBatcher", &json!(batcher.batches(inputs)));
            }
        }
        let tolerance = map::tolerance(&scope, map)?;
        seen.extend(tolerance.count.map(|count| ("toleratedFailureCount".to_owned(), json!(count))));
        seen.extend(tolerance.percentage.map(|share| ("toleratedFailurePercentage".to_owned(), json!(share))));
        seen.insert("maxConcurrency".to_owned(), json!(map::concurrency(&scope, map)?));
        Ok(())
    }

    /// The result after each field that is applied to it.
    pub(super) fn inspect_result(&self, id: ThreadId, state: &State, result: &Value, seen: &mut Seen) {
        let jsonata = state.language == Language::Jsonata;
        // Of a Map in JSONata the service shows none.
        if !(jsonata && matches!(state.kind, Kind::Map(_))) {
            show(seen, "result", result);
        }
        if jsonata {
            return;
        }
        let selected = match (&state.result_selector, self.scope(id, state, result)) {
            (Some(selector), Some(scope)) => match scope.template(selector) {
                Ok(selected) => selected,
                Err(_) => return,
            },
            _ => result.clone(),
        };
        show(seen, "afterResultSelector", &selected);
        let raw = self.input(id);
        if let Some(placed) = state.result_path.place(&raw, &selected) {
            show(seen, "afterResultPath", &placed);
        }
    }

    /// What a Map fails with after so many of its iterations failed, if it does.
    pub(super) fn exceeded(
        &self,
        state: &State,
        map: &MapState,
        failed: u64,
        read: &Option<Value>,
    ) -> Result<Option<Failure>, Fault> {
        let input = self.effective_input(THREAD, state)?;
        let Some(scope) = self.scope(THREAD, state, &input) else { return Ok(None) };
        let items = match pointed(&scope, map, read, &mut Seen::new())? {
            Some(read) => as_items(read).len(),
            None => map::items(&scope, state, map).map_or(0, |items| items.len()),
        };
        let bears = map::tolerance(&scope, map)?.bears(failed, (items as u64).max(failed));
        let cause = "The specified tolerated failure threshold was exceeded";
        Ok((!bears).then(|| Failure::new("States.ExceedToleratedFailureThreshold", cause)))
    }
}

/// What an `ItemReader` has read, from where its `ItemsPointer` leads.
fn pointed(scope: &Scope<'_>, map: &MapState, read: &Option<Value>, seen: &mut Seen) -> Result<Option<Value>, Fault> {
    let (Some(reader), Some(read)) = (&map.reader, read) else { return Ok(read.clone()) };
    let reader = scope.template(reader)?;
    let Some(pointer) = reader.pointer("/ReaderConfig/ItemsPointer").and_then(Value::as_str) else {
        return Ok(Some(read.clone()));
    };
    let found = read.pointer(pointer).cloned().ok_or_else(|| {
        Fault::Named("States.ItemReaderFailed", format!("`ItemsPointer` leads nowhere at `{pointer}`"))
    })?;
    show(seen, "afterItemsPointer", &found);
    Ok(Some(found))
}

fn as_items(read: Value) -> Vec<Value> {
    match read {
        Value::Array(items) => items,
        Value::Object(fields) => map::of_object(fields),
        one => vec![one],
    }
}

/// The request and the answer of an HTTP task.
pub(super) fn exchange(call: &StartTask, answer: Option<&Value>, seen: &mut Seen) {
    let Resource::Service(service) = &call.resource else { return };
    if service.name != "http" {
        return;
    }
    let pick = |from: &Value, fields: [(&str, &str); 4]| {
        let picked = fields.iter().filter_map(|(name, field)| {
            let value = from.get(*field)?;
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some(((*name).to_owned(), json!(shown)))
        });
        Value::Object(picked.collect())
    };
    let request = [("method", "Method"), ("url", "ApiEndpoint"), ("headers", "Headers"), ("body", "RequestBody")];
    let mut request = pick(&call.parameters, request);
    if let Some(request) = request.as_object_mut() {
        request.insert("protocol".to_owned(), json!("http"));
    }
    seen.insert("request".to_owned(), request);
    if let Some(answer) = answer {
        let response = [
            ("statusCode", "StatusCode"),
            ("statusMessage", "StatusText"),
            ("headers", "Headers"),
            ("body", "ResponseBody"),
        ];
        let mut response = pick(answer, response);
        if let Some(response) = response.as_object_mut() {
            response.insert("protocol".to_owned(), json!("http"));
        }
        seen.insert("response".to_owned(), response);
    }
}
