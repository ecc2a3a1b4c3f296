//! Redrive: taking up again an execution that did not succeed, where it stopped.
//!
//! What succeeded stays done: branches and items that are finished keep their results, and every other thread does its
//! state another time, with its retriers as good as new. A state whose threads are all gone, because it failed by
//! itself, starts them anew. A distributed Map takes up its Map Run.
//!
//! Source: "Restarting state machine executions with redrive", AWS Step Functions Developer Guide.

use headwater_base::Problem;

use super::event::{Effect, Given, Step, Timer};
use super::history::Details;
use super::run::{self, Run, seconds_from};
use super::{Execution, Phase, Status, ThreadId};
use crate::definition::{Definition, Flavor};

impl Execution {
    /// Takes up an execution that failed, timed out or was aborted.
    ///
    /// # Errors
    /// `HW-WORK-003` when the definition is not the one it is pinned to, `HW-WORK-007` when there is nothing to take
    /// up. The execution is unchanged then.
    pub fn redrive(&mut self, definition: &Definition, given: &Given<'_>) -> Result<Step, Problem> {
        self.pinned(definition)?;
        let fact = match &self.status {
            Status::Running => "is running",
            Status::Succeeded(_) => "has succeeded",
            _ if self.flavor == Flavor::Express => "is Express, and nothing of it is kept",
            _ if self.threads.is_empty() => "has nothing left to take up",
            _ if self.events + 1 >= given.limits.history_events_max => "has as many events as it may have",
            _ => return Ok(run::redrive(definition, self, given)),
        };
        let title = format!("execution `{}` cannot be taken up again: it {fact}", self.identity.name);
        Err(Problem::new("HW-WORK-007", title)
            .help("executions that failed, timed out or were aborted can be; start a new one otherwise"))
    }
}

impl Run<'_> {
    pub(super) fn take_up(&mut self) {
        self.execution.status = Status::Running;
        self.execution.redrives = self.execution.redrives.saturating_add(1);
        let (last, count) = (self.execution.events, self.execution.redrives);
        let event = self.record(last, "ExecutionRedriven", Details::Redriven { count });
        if let Some(seconds) = self.definition.timeout_s.filter(|_| self.execution.machine == 0) {
            let due = seconds_from(self.given.now, seconds);
            self.step.effects.push(Effect::SetTimer { timer: Timer::Execution, due });
        }
        let ids: Vec<ThreadId> = self.execution.threads.keys().copied().collect();
        for id in ids {
            let parents = self.execution.threads.values().filter(|thread| thread.parent == Some(id)).count();
            match self.execution.threads.get(&id).map(|thread| &thread.phase) {
                Some(Phase::Done) | None => continue,
                Some(Phase::Joining { .. } | Phase::Mapping { .. }) if parents > 0 => continue,
                Some(_) => {}
            }
            if let Some(thread) = self.thread(id) {
                thread.attempt += 1;
                thread.retried.fill(0);
                thread.cursor = event;
                // A thread that had not entered its state enters it.
                thread.phase = if thread.phase == Phase::Enter { Phase::Enter } else { Phase::Redrive };
            }
            self.execution.ready.push_back(id);
        }
    }
}
