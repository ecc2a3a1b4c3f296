//! States that end where they begin: Pass, Choice, Wait, Succeed, Fail; and leaving a state.

use std::sync::Arc;

use headwater_base::Micros;
use serde_json::{Map, Value};

use super::event::{Effect, Timer};
use super::fault::Fault;
use super::history::Details;
use super::run::{Run, seconds_from};
use super::{Failure, Phase, ThreadId};
use crate::definition::{Amount, Language, Next, ResultPath, Rule, Selection, State, StateId, Template, Term, Until};
use crate::time;

/// How a state is left.
pub(super) struct Leave<'s> {
    /// `Output` of a JSONata state; its default is the result.
    pub(super) output: Option<&'s Template>,
    pub(super) assign: Option<&'s Template>,
    pub(super) result_path: &'s ResultPath,
    pub(super) output_path: &'s Selection,
    pub(super) next: Next,
    /// Whether the result is an error's output, for `$states`.
    pub(super) caught: bool,
}

impl<'s> Leave<'s> {
    /// As the state itself says.
    pub(super) fn of(state: &'s State) -> Self {
        Self {
            output: state.output.as_ref(),
            assign: state.assign.as_ref(),
            result_path: &state.result_path,
            output_path: &state.output_path,
            next: state.next,
            caught: false,
        }
    }
}

impl Run<'_> {
    pub(super) fn input(&self, id: ThreadId) -> Arc<Value> {
        self.execution.threads.get(&id).map(|thread| Arc::clone(&thread.data.input)).unwrap_or_default()
    }

    /// `InputPath` over the input.
    pub(super) fn effective_input(&self, id: ThreadId, state: &State) -> Result<Arc<Value>, Fault> {
        let input = self.input(id);
        match (&state.input_path, self.scope(id, state, &input)) {
            (Selection::Whole, _) | (_, None) => Ok(input),
            (selection, Some(scope)) => scope.selection(selection, &input).map(Arc::new),
        }
    }

    /// `Parameters` or `Arguments` over the effective input; the effective input without.
    pub(super) fn arguments(&self, id: ThreadId, state: &State) -> Result<Arc<Value>, Fault> {
        let input = self.effective_input(id, state)?;
        match (&state.arguments, self.scope(id, state, &input)) {
            (None, _) | (_, None) => Ok(input),
            (Some(template), Some(scope)) => {
                let arguments = scope.template(template)?;
                self.bounded(state, &arguments)?;
                Ok(Arc::new(arguments))
            }
        }
    }

    /// Refuses what a state made of its input when it is too large to be kept.
    pub(super) fn bounded(&self, state: &State, value: &Value) -> Result<(), Fault> {
        let (limits, (size, depth)) = (self.given.limits, crate::size::of(value));
        if size <= limits.payload_bytes_max && depth <= limits.value_depth_max {
            return Ok(());
        }
        Err(Fault::Named("States.DataLimitExceeded", too_large(&state.name)))
    }

    /// Refuses variables that are too large each, or all of the thread's together.
    fn bounded_variables(&self, id: ThreadId, state: &State, assigned: &Map<String, Value>) -> Result<(), Fault> {
        assigned.values().try_for_each(|value| self.bounded(state, value))?;
        let kept = self.execution.threads.get(&id).map(|thread| &thread.data.variables);
        let kept = kept.into_iter().flatten().filter(|(name, _)| !assigned.contains_key(*name));
        let bytes: usize = kept.chain(assigned).map(|(name, value)| name.len() + crate::size::of(value).0).sum();
        if bytes <= self.given.limits.variables_bytes_max {
            return Ok(());
        }
        Err(Fault::Named("States.DataLimitExceeded", too_large(&state.name)))
    }

    pub(super) fn pass(&mut self, id: ThreadId, state: &State, result: Option<&Value>) -> Result<(), Fault> {
        let arguments = self.arguments(id, state)?;
        let result = result.map_or(arguments, |result| Arc::new(result.clone()));
        self.leave(id, state, result, &Leave::of(state))
    }

    pub(super) fn succeed(&mut self, id: ThreadId, state: &State) -> Result<(), Fault> {
        let input = self.effective_input(id, state)?;
        self.leave(id, state, input, &Leave::of(state))
    }

    pub(super) fn choice(
        &mut self,
        id: ThreadId,
        state: &State,
        rules: &[Rule],
        default: Option<StateId>,
    ) -> Result<(), Fault> {
        let input = self.effective_input(id, state)?;
        let mut taken = None;
        if let Some(scope) = self.scope(id, state, &input) {
            for (number, rule) in rules.iter().enumerate() {
                if scope.holds(&rule.condition, &format!("Choices[{number}]/Condition"))? {
                    taken = Some(rule);
                    break;
                }
            }
        }
        let leave = Leave::of(state);
        let Some(next) = taken.map(|rule| rule.next).or(default) else {
            let reason = "Failed to transition out of the state. The state does not point to a next state.";
            return Err(Fault::Named("States.NoChoiceMatched", reason.to_owned()));
        };
        let leave = Leave {
            next: Next::State(next),
            output: taken.map_or(leave.output, |rule| rule.output.as_ref()),
            assign: taken.map_or(leave.assign, |rule| rule.assign.as_ref()),
            ..leave
        };
        self.leave(id, state, input, &leave)
    }

    pub(super) fn fail_state(
        &mut self,
        id: ThreadId,
        state: &State,
        error: Option<&Term>,
        cause: Option<&Term>,
    ) -> Result<(), Fault> {
        let input = self.input(id);
        let Some(scope) = self.scope(id, state, &input) else { return Ok(()) };
        let text = |term: Option<&Term>, field: &str| -> Result<Option<String>, Fault> {
            let Some(term) = term else { return Ok(None) };
            let field = match term {
                Term::Path(_) | Term::Call(_) => format!("{field}Path"),
                _ => field.to_owned(),
            };
            match scope.term(term, &field)? {
                Value::String(text) => Ok(Some(text)),
                other => {
                    let reason = format!("The {field} field must be a string but was: {other}");
                    Err(match term {
                        Term::Query(_) => Fault::query(&field, reason),
                        _ => Fault::Runtime(reason),
                    })
                }
            }
        };
        let failure = Failure { error: text(error, "Error")?, cause: text(cause, "Cause")? };
        self.fail(id, failure);
        Ok(())
    }

    pub(super) fn wait(&mut self, id: ThreadId, state: &State, until: &Until) -> Result<(), Fault> {
        let input = self.effective_input(id, state)?;
        let due = {
            let Some(scope) = self.scope(id, state, &input) else { return Ok(()) };
            match until {
                Until::Seconds(amount) => seconds(&scope, amount).map(|s| seconds_from(self.given.now, s))?,
                Until::Timestamp(amount) => timestamp(&scope, amount)?,
            }
        };
        if due <= self.given.now {
            return self.leave(id, state, input, &Leave::of(state));
        }
        self.wait_in(id, Phase::Waiting);
        let timer = Timer::Wait(self.attempt(id));
        self.step.effects.push(Effect::SetTimer { timer, due });
        Ok(())
    }

    /// Leaves a state with its result: selects and places the result, sets variables, goes on.
    pub(super) fn leave(
        &mut self,
        id: ThreadId,
        state: &State,
        result: Arc<Value>,
        leave: &Leave<'_>,
    ) -> Result<(), Fault> {
        let raw = self.input(id);
        let (output, assigned) = match state.language {
            Language::Jsonata => self.jsonata_output(id, state, &raw, result, leave)?,
            Language::JsonPath => self.path_output(id, state, &raw, result, leave)?,
        };
        self.bounded(state, &output)?;
        if let Some(assigned) = &assigned {
            self.bounded_variables(id, state, assigned)?;
        }
        let details =
            Details::Exited { name: state.name.clone(), output: Arc::clone(&output), assigned: assigned.clone() };
        self.follow(id, state.kind.exited(), details);
        if let Some(data) = self.data(id) {
            data.variables.extend(assigned.into_iter().flatten());
            data.items = Arc::default();
            data.input = Arc::clone(&output);
        }
        match leave.next {
            Next::State(next) => {
                if let Some(thread) = self.thread(id) {
                    (thread.state, thread.phase) = (next, Phase::Enter);
                }
                self.execution.ready.push_front(id);
            }
            Next::End => self.finished(id, output),
        }
        Ok(())
    }

    fn jsonata_output(
        &self,
        id: ThreadId,
        state: &State,
        raw: &Value,
        result: Arc<Value>,
        leave: &Leave<'_>,
    ) -> Result<(Arc<Value>, Option<Map<String, Value>>), Fault> {
        let Some(mut scope) = self.scope(id, state, raw) else { return Ok((result, None)) };
        if leave.caught {
            scope.error_output = Some(&result);
        } else if state.kind.has_result() {
            scope.result = Some(&result);
        }
        let assigned = assigned(leave.assign.map(|template| scope.template(template)).transpose()?);
        let output = leave.output.map(|template| scope.template(template)).transpose()?;
        Ok((output.map_or_else(|| Arc::clone(&result), Arc::new), assigned))
    }

    fn path_output(
        &self,
        id: ThreadId,
        state: &State,
        raw: &Arc<Value>,
        result: Arc<Value>,
        leave: &Leave<'_>,
    ) -> Result<(Arc<Value>, Option<Map<String, Value>>), Fault> {
        let selected = match (&state.result_selector, self.scope(id, state, &result)) {
            (Some(selector), Some(scope)) if !leave.caught => Arc::new(scope.template(selector)?),
            _ => Arc::clone(&result),
        };
        let assigned = match (leave.assign, self.scope(id, state, &selected)) {
            (Some(template), Some(scope)) => assigned(Some(scope.template(template)?)),
            _ => None,
        };
        let placed = match leave.result_path {
            ResultPath::Replace => selected,
            ResultPath::Discard => Arc::clone(raw),
            ResultPath::At(path) => {
                let written = leave.result_path.place(raw, &selected);
                Arc::new(written.ok_or_else(|| {
                    let reason = format!("Unable to apply ResultPath '{}' to input '{raw}'", path.text);
                    Fault::Named("States.ResultPathMatchFailure", reason)
                })?)
            }
        };
        let output = match (leave.output_path, self.scope(id, state, &placed)) {
            (Selection::Whole, _) | (_, None) => placed,
            (selection, Some(scope)) => Arc::new(scope.selection(selection, &placed)?),
        };
        Ok((output, assigned))
    }
}

fn assigned(value: Option<Value>) -> Option<Map<String, Value>> {
    match value {
        Some(Value::Object(variables)) => Some(variables),
        _ => None,
    }
}

pub(super) fn too_large(state: &str) -> String {
    format!(
        "The state/task '{state}' returned a result with a size exceeding the maximum number of bytes service limit."
    )
}

fn seconds(scope: &super::scope::Scope<'_>, amount: &Amount) -> Result<u64, Fault> {
    let Term::Path(path) = &amount.term else {
        let value = scope.amount(amount)?;
        return whole(&value).ok_or_else(|| {
            let reason = format!("The Seconds field cannot be parsed as a non-negative long value: {value}");
            Fault::Query { message: reason, location: Some("Seconds".to_owned()), after_evaluation: true }
        });
    };
    let text = &path.text;
    let refused = |reason: String| Fault::Runtime(format!("The SecondsPath parameter {reason}"));
    let value = scope.path(path).map_err(|_| refused(format!("does not reference an input value: {text}")))?;
    match value.as_i64() {
        None => Err(refused(format!("cannot be parsed as a long value: {text} == {value}"))),
        Some(seconds) => {
            u64::try_from(seconds).map_err(|_| refused(format!("references a negative value: {text} == {value}")))
        }
    }
}

/// A number of JSONata without a fraction.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64()
}

fn timestamp(scope: &super::scope::Scope<'_>, amount: &Amount) -> Result<Micros, Fault> {
    const EXPECTED: &str = "ISO-8601 extended offset date-time format string";
    let Term::Path(path) = &amount.term else {
        let value = scope.term(&amount.term, amount.field)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return time::parse(&text).ok_or_else(|| Fault::Query {
            message: format!("The Timestamp field cannot be parsed as an {EXPECTED}: {text}"),
            location: Some("Timestamp".to_owned()),
            after_evaluation: true,
        });
    };
    let refused = |reason: String| Fault::Runtime(format!("The TimestampPath parameter {reason}"));
    let value = scope.path(path).map_err(|_| refused(format!("does not reference an input value: {}", path.text)))?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    time::parse(&text).ok_or_else(|| refused(format!("does not reference a valid {EXPECTED}: {} == {text}", path.text)))
}
