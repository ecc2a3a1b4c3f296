//! What a state's expressions see: its input, result, the context object and variables.

use std::cell::{Cell, RefCell};

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::states::too_large;
use super::{Execution, Given, Thread};
use crate::chance::Chance;
use crate::definition::resource::Pattern;
use crate::definition::{Amount, Flavor, Kind, Resource, Selection, State, Template, Term};
use crate::intrinsic::{Call, Failure as CallFailure};
use crate::jsonata::{Answer, Place, Query};
use crate::path::{Miss, Path, Root};
use crate::time;

/// Everything an expression may read.
pub(super) struct Scope<'a> {
    pub(super) execution: &'a Execution,
    pub(super) id: super::ThreadId,
    pub(super) thread: &'a Thread,
    pub(super) state: &'a State,
    pub(super) given: &'a Given<'a>,
    pub(super) chance: &'a RefCell<Chance>,
    /// `$` of a path.
    pub(super) input: &'a Value,
    /// `$states.result`.
    pub(super) result: Option<&'a Value>,
    /// `$states.errorOutput`.
    pub(super) error_output: Option<&'a Value>,
    /// `$$.Map.Item`, when it is not the thread's own.
    pub(super) item: Option<&'a super::Item>,
}

impl Scope<'_> {
    /// Evaluates a template. It names its input as often as its text is long, so what comes of it has a bound before all of
    /// it is there.
    pub(super) fn template(&self, template: &Template) -> Result<Value, Fault> {
        let mut left = self.given.limits.variables_bytes_max;
        self.filled(template, &mut left)
    }

    fn filled(&self, template: &Template, left: &mut usize) -> Result<Value, Fault> {
        match template {
            Template::Literal(value) => Ok(value.clone()),
            Template::Term(term, field) => {
                let value = self.term(term, field)?;
                let refused = || Fault::Named("States.DataLimitExceeded", too_large(&self.state.name));
                *left = left.checked_sub(crate::size::of(&value).0).ok_or_else(refused)?;
                Ok(value)
            }
            Template::Array(items) => {
                items.iter().map(|item| self.filled(item, left)).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Template::Object(fields) => {
                let mut object = Map::new();
                for (key, field) in fields {
                    object.insert(key.clone(), self.filled(field, left)?);
                }
                Ok(Value::Object(object))
            }
        }
    }

    /// Evaluates a term that stands in `field`.
    pub(super) fn term(&self, term: &Term, field: &str) -> Result<Value, Fault> {
        match term {
            Term::Literal(value) => Ok(value.clone()),
            Term::Path(path) => {
                self.path(path).map_err(|miss| Fault::not_in_input(&path.text, field, &self.root(&path.root), &miss))
            }
            Term::Call(call) => self.call(call, field),
            Term::Query(query) => self.query(query, field),
        }
    }

    /// Selects a path; variables and the context object are roots of their own.
    pub(super) fn path(&self, path: &Path) -> Result<Value, Miss> {
        let visits_max = self.given.limits.path_visits_max;
        match &path.root {
            Root::Input => path.select(self.input, visits_max),
            Root::Context => path.select(&self.context(), visits_max),
            Root::Variable(name) => match self.variable(name) {
                Some(value) => path.select(value, visits_max),
                None => Err(Miss::Absent(format!("${name}"))),
            },
        }
    }

    /// `InputPath` or `OutputPath` over `whole`.
    pub(super) fn selection(&self, selection: &Selection, whole: &Value) -> Result<Value, Fault> {
        match selection {
            Selection::Whole => Ok(whole.clone()),
            Selection::Nothing => Ok(Value::Object(Map::new())),
            Selection::Path(path) => {
                Scope { input: whole, ..*self }.path(path).map_err(|miss| Fault::invalid_path(&path.text, &miss))
            }
        }
    }

    fn root(&self, root: &Root) -> Value {
        match root {
            Root::Input => self.input.clone(),
            Root::Context => self.context(),
            Root::Variable(name) => self.variable(name).cloned().unwrap_or_default(),
        }
    }

    fn call(&self, call: &Call, field: &str) -> Result<Value, Fault> {
        // As in a template, an argument can name its input any number of times.
        let left = Cell::new(self.given.limits.variables_bytes_max);
        let resolve = |path: &Path| -> Result<Value, Miss> {
            let value = self.path(path)?;
            left.set(left.get().checked_sub(crate::size::of(&value).0).ok_or(Miss::TooExpensive)?);
            Ok(value)
        };
        let items_max = self.given.limits.sequence_items_max;
        call.evaluate(&resolve, &mut self.chance.borrow_mut(), items_max).map_err(|failure| match failure {
            CallFailure::Path(path, miss) => Fault::not_in_input(&path, field, self.input, &miss),
            CallFailure::Refused(reason) => Fault::Named(
                "States.IntrinsicFailure",
                format!("The function '{}' had the following error: {reason}", call.text),
            ),
        })
    }

    /// Evaluates a JSONata expression that stands at `field`.
    pub(super) fn query(&self, query: &Query, field: &str) -> Result<Value, Fault> {
        if let Some(value) = self.named(query) {
            return Ok(value.clone());
        }
        let specified = format!("The JSONata expression '{}' specified for the field '{field}'", query.text);
        let bindings = self.bindings(query);
        let place = Place::State(self.given.now);
        let mut chance = self.chance.borrow_mut();
        match query.evaluate(None, &bindings, &place, &mut chance, self.given.limits) {
            Ok(Answer::Value(value)) => Ok(value),
            Ok(Answer::Undefined) => Err(Fault::query(field, format!("{specified} returned nothing (undefined)."))),
            Ok(Answer::Function) => {
                Err(Fault::query(field, format!("{specified} returned an unsupported result type.")))
            }
            Err(stopped) => {
                Err(Fault::query(field, format!("{specified} threw an error during evaluation. {}", stopped.0)))
            }
        }
    }

    /// The value of an expression that only names one, when nothing on the way is missing or an array.
    fn named(&self, query: &Query) -> Option<&Value> {
        let (first, rest) = query.direct.as_ref()?.split_first()?;
        let (start, rest) = match (first.as_str(), rest.split_first()) {
            ("states", Some((part, rest))) => {
                let start = match part.as_str() {
                    "input" => Some(self.input),
                    "result" => self.result,
                    "errorOutput" => self.error_output,
                    _ => None,
                };
                (start?, rest)
            }
            (name, _) => (self.variable(name)?, rest),
        };
        rest.iter().try_fold(start, |at, name| at.as_object()?.get(name))
    }

    /// The variables and parts of `$states` an expression names.
    fn bindings(&self, query: &Query) -> Map<String, Value> {
        let mut bindings = Map::new();
        for name in &query.names {
            if name == "states" {
                let mut states = Map::new();
                states.insert("input".to_owned(), self.input.clone());
                states.extend(self.result.map(|result| ("result".to_owned(), result.clone())));
                states.extend(self.error_output.map(|output| ("errorOutput".to_owned(), output.clone())));
                if query.text.contains("context")
                    || query.text.matches("$states").count() != query.text.matches("$states.").count()
                {
                    states.insert("context".to_owned(), self.context());
                }
                bindings.insert(name.clone(), Value::Object(states));
            } else if let Some(value) = self.variable(name) {
                bindings.insert(name.clone(), value.clone());
            }
        }
        bindings
    }

    /// A variable of this scope or the nearest outer one.
    fn variable(&self, name: &str) -> Option<&Value> {
        let mut thread = self.thread;
        loop {
            if let Some(value) = thread.data.variables.get(name) {
                return Some(value);
            }
            thread = self.execution.threads.get(&thread.parent?)?;
        }
    }

    /// A number of the definition, as found: each field words its own refusal.
    pub(super) fn amount(&self, amount: &Amount) -> Result<Value, Fault> {
        match &amount.term {
            Term::Path(path) => self.path(path).map_err(|miss| Fault::invalid_path(&path.text, &miss)),
            Term::Query(query) => {
                let value = self.query(query, amount.field)?;
                if value.is_number() { Ok(value) } else { Err(unexpected(query, amount.field, "number", &value)) }
            }
            term => self.term(term, amount.field),
        }
    }

    /// The context object.
    pub(super) fn context(&self) -> Value {
        let execution = self.execution;
        let identity = &execution.identity;
        let mut run = json!({
            "Id": identity.execution_arn,
            "Input": *execution.input,
            "StartTime": time::show(execution.started),
            "Name": identity.name,
            "RoleArn": identity.role_arn,
        });
        if let (Flavor::Standard, Some(run)) = (execution.flavor, run.as_object_mut()) {
            run.insert("RedriveCount".to_owned(), json!(execution.redrives));
        }
        let mut state = json!({"Name": self.state.name, "EnteredTime": time::show(self.thread.entered_at)});
        if let (Kind::Task(_), Some(state)) = (&self.state.kind, state.as_object_mut()) {
            // Counted anew by each stay and each redrive, unlike attempts.
            state.insert("RetryCount".to_owned(), json!(self.thread.retried.iter().sum::<u32>()));
        }
        let mut context = json!({
            "Execution": run,
            "StateMachine": {"Id": identity.machine_arn, "Name": identity.machine_name},
            "State": state,
        });
        if let Some(context) = context.as_object_mut() {
            if let Some(item) = self.item.or_else(|| self.nearest_item()) {
                let item = json!({"Item": {"Index": item.index, "Value": item.value}});
                context.insert("Map".to_owned(), item);
            }
            if let Some(token) = self.token() {
                context.insert("Task".to_owned(), json!({"Token": token}));
            }
        }
        context
    }

    fn nearest_item(&self) -> Option<&super::Item> {
        let mut thread = self.thread;
        loop {
            if thread.data.item.is_some() {
                return thread.data.item.as_ref();
            }
            match thread.parent {
                Some(parent) => thread = self.execution.threads.get(&parent)?,
                None => return self.execution.item.as_ref(),
            }
        }
    }

    /// The token of a task that somebody else ends.
    pub(super) fn token(&self) -> Option<String> {
        let Kind::Task(task) = &self.state.kind else { return None };
        let called_back = match &task.resource {
            Resource::Activity { .. } => true,
            Resource::Service(service) => service.pattern == Pattern::Token,
            Resource::Function { .. } => false,
        };
        called_back.then(|| (self.given.token)(&self.thread.attempt_id(self.id)))
    }
}

/// A JSONata result of the wrong type.
pub(super) fn unexpected(query: &Query, field: &str, expected: &str, value: &Value) -> Fault {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Fault::query(
        field,
        format!(
            "The JSONata expression '{}' specified for the field '{field}' returned an unexpected result type. Expected '{expected}', but was '{found}' for value: {value}",
            query.text
        ),
    )
}
