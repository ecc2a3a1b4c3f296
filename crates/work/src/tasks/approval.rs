//! `approval:request.waitForTaskToken`: asks people, and waits until one of them answers; and the question what became of
//! a task that was under way in a crash ([`doubted`]).
//!
//! Parameters: `Question`, and as wanted `Choices`, `Approvers`, `Details`, and `Table`. An event `Approval Requested`
//! with the task's token goes to the default bus, for rules to carry to a chat or a ticket; with `Table` the request
//! is a document of that table as well, under its `Key` or the effect's own. Whoever answers ends the task by its
//! token: its output is what the state goes on with.

use headwater_base::Name;
use headwater_kernel::port::Json;
use headwater_kernel::port::bus::DEFAULT_BUS;
use headwater_kernel::port::tables::Write;
use headwater_log::Append;
use serde_json::{Map, Value, json};

use super::events::{self, Entry};
use super::parameters::Parameters;
use super::publish::Record;
use super::{Answer, Call, Internal, Plan, Services, failure, publish, start, table};
use crate::definition::resource::Service;
use crate::execution::Failure;

/// The source of the events.
const SOURCE: &str = "headwater.workflow";

pub(super) fn plan(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters =
        Parameters::new(call.parameters, &["Question", "Choices", "Approvers", "Details", "Table", "Key"])?;
    let Some(token) = call.token else {
        return Err(failure::parameters("only `.waitForTaskToken` waits for an answer"));
    };
    let mut request = Map::new();
    request.insert("question".to_owned(), json!(parameters.text("Question")?));
    for (field, name) in [("Choices", "choices"), ("Approvers", "approvers"), ("Details", "details")] {
        request.extend(parameters.get(field).map(|value| (name.to_owned(), value.clone())));
    }
    request.insert("requested".to_owned(), json!(call.now.to_string()));
    request.extend(call.deadline.map(|deadline| ("deadline".to_owned(), json!(deadline.to_string()))));
    request.insert("effect".to_owned(), json!(call.key));
    request.insert("token".to_owned(), json!(token));
    let entry = Entry {
        source: SOURCE.to_owned(),
        kind: "Approval Requested".to_owned(),
        time: None,
        resources: vec![call.machine_arn.to_owned()],
        detail: Value::Object(request.clone()),
    };
    let id = start::drawn(call.key);
    let appends = publish::appends(services, DEFAULT_BUS, &[events::record(&entry, &id, call)], call)?;
    let mut writes = Vec::new();
    if let Some(name) = parameters.optional_text("Table")? {
        let table = Name::new(name).map_err(|problem| failure::of(&problem))?;
        let key = parameters.optional_text("Key")?.unwrap_or(call.key).to_owned();
        if let Some(field) = table::key_field(services, name)? {
            request.insert(field, json!(key));
        }
        let document = Json::from(Value::Object(request).to_string());
        writes.push(Write { cause: call.cause.cloned(), ..Write::unconditional(&table, &key, Some(document)) });
    }
    let answer = Answer::Known(json!({ "Requested": id }));
    Ok(Plan::Internal(Internal { writes, appends, ..Internal::new(answer, table::refused) }))
}

/// Asks people whether the task of a state was done, of which a crash has left nobody who knows: an event
/// `Task Outcome Unknown` on the default bus, with the token that ends the task. What it was called with is not in it:
/// that may be secret, and as large as a payload.
///
/// # Errors
/// `Stream.NotFound` and `Stream.RecordTooLarge` where the bus takes no such event.
pub fn doubted(services: &Services, call: &Call<'_>, execution: &str, state: &str) -> Result<Vec<Append>, Failure> {
    let mut detail = Map::new();
    detail.insert("execution".to_owned(), json!(execution));
    detail.insert("state".to_owned(), json!(state));
    detail.insert("requested".to_owned(), json!(call.now.to_string()));
    detail.extend(call.deadline.map(|deadline| ("deadline".to_owned(), json!(deadline.to_string()))));
    detail.insert("effect".to_owned(), json!(call.key));
    detail.insert("token".to_owned(), json!(call.token));
    let entry = Entry {
        source: SOURCE.to_owned(),
        kind: "Task Outcome Unknown".to_owned(),
        time: None,
        resources: vec![call.machine_arn.to_owned()],
        detail: Value::Object(detail),
    };
    let id = start::drawn(&format!("{}/unknown", call.key));
    // Behind what is told of the execution itself.
    let record = Record { key: Some(execution.as_bytes().to_vec()), ..events::record(&entry, &id, call) };
    publish::appends(services, DEFAULT_BUS, &[record], call)
}
