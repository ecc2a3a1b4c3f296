//! Parallel states, and what becomes of a state whose threads end.

use std::sync::Arc;

use serde_json::Value;

use super::fault::Fault;
use super::history::Details;
use super::run::Run;
use super::states::{Leave, too_large};
use super::{Data, Failure, Phase, ThreadId};
use crate::definition::{Flavor, Kind, MachineId, State};

impl Run<'_> {
    pub(super) fn parallel(&mut self, id: ThreadId, state: &State, branches: &[MachineId]) -> Result<(), Fault> {
        let input = self.arguments(id, state)?;
        let cursor = self.follow(id, "ParallelStateStarted", Details::None);
        let open = u32::try_from(branches.len()).unwrap_or(u32::MAX);
        self.wait_in(id, Phase::Joining { open, bytes: 0 });
        for (slot, machine) in (0_u32..).zip(branches) {
            let data = Data { input: Arc::clone(&input), ..Data::default() };
            self.spawn(Some(id), slot, *machine, cursor, data);
        }
        if branches.is_empty() {
            return self.joined(id, state);
        }
        Ok(())
    }

    /// A thread came to its end.
    pub(super) fn finished(&mut self, id: ThreadId, output: Arc<Value>) {
        let Some(parent) = self.execution.threads.get(&id).map(|thread| thread.parent) else { return };
        let Some(parent) = parent else {
            let cursor = self.cursor(id);
            return self.end_succeeded(cursor, output);
        };
        let cursor = self.cursor(id);
        let size = u64::try_from(crate::size::of(&output).0).unwrap_or(u64::MAX);
        if let Some(data) = self.data(id) {
            *data = Data { input: output, item: data.item.take(), ..Data::default() };
        }
        self.wait_in(id, Phase::Done);
        let Some(state) = self.state(parent) else { return };
        if let Err(fault) = self.gathered(parent, state, size) {
            return self.raise(parent, fault);
        }
        let outcome = match &state.kind {
            Kind::Map(map) => self.iteration_succeeded(parent, id, state, map, cursor),
            _ => {
                let mut left = 0;
                if let Some(thread) = self.thread(parent) {
                    thread.cursor = cursor;
                    if let Phase::Joining { open, .. } = &mut thread.phase {
                        *open = open.saturating_sub(1);
                        left = *open;
                    }
                }
                if left == 0 { self.joined(parent, state) } else { Ok(()) }
            }
        };
        if let Err(fault) = outcome {
            self.raise(parent, fault);
        }
    }

    /// Adds to the bytes that a state's threads answered with; too many together are refused before they pile up.
    fn gathered(&mut self, parent: ThreadId, state: &State, size: u64) -> Result<(), Fault> {
        let limit = u64::try_from(self.given.limits.payload_bytes_max).unwrap_or(u64::MAX);
        let Some(Phase::Joining { bytes, .. } | Phase::Mapping { bytes, .. }) =
            self.thread(parent).map(|thread| &mut thread.phase)
        else {
            return Ok(());
        };
        *bytes += size + 1;
        if *bytes <= limit {
            return Ok(());
        }
        Err(Fault::Named("States.DataLimitExceeded", too_large(&state.name)))
    }

    /// All branches are done.
    fn joined(&mut self, id: ThreadId, state: &State) -> Result<(), Fault> {
        let results = self.collect(id);
        self.record(self.cursor(id), "ParallelStateSucceeded", Details::None);
        self.leave(id, state, Arc::new(Value::Array(results)), &Leave::of(state))
    }

    /// Takes the outputs of a state's threads, in order, and removes them.
    pub(super) fn collect(&mut self, parent: ThreadId) -> Vec<Value> {
        let children = self.children(parent);
        let mut results: Vec<(u32, Arc<Value>)> = children
            .into_iter()
            .filter_map(|child| self.remove(child))
            .map(|thread| (thread.slot, thread.data.input))
            .collect();
        results.sort_by_key(|(slot, _)| *slot);
        results.into_iter().map(|(_, output)| Arc::unwrap_or_clone(output)).collect()
    }

    fn children(&self, parent: ThreadId) -> Vec<ThreadId> {
        let threads = self.execution.threads.iter();
        threads.filter(|(_, thread)| thread.parent == Some(parent)).map(|(id, _)| *id).collect()
    }

    /// A thread failed and nothing of its own handles it: the state that started it fails, or the execution.
    pub(super) fn thread_failed(&mut self, id: ThreadId, failure: Failure) {
        let Some(parent) = self.execution.threads.get(&id).map(|thread| thread.parent) else { return };
        let first = self.wreck.is_none();
        if first && self.execution.flavor == Flavor::Standard {
            self.wreck = Some(self.execution.threads.clone());
        }
        let Some(parent) = parent else { return self.end_failed(failure) };
        let cursor = self.cursor(id);
        self.release(id);
        let failed = self.remove(id);
        if let (Some(state), Some(failed)) = (self.state(parent), failed)
            && matches!(state.kind, Kind::Map(_))
        {
            let details = Details::Iteration { name: state.name.clone(), index: u64::from(failed.slot) };
            self.record(cursor, "MapIterationFailed", details);
        }
        if let Some(thread) = self.thread(parent) {
            thread.cursor = cursor;
        }
        self.fail(parent, failure);
        if first {
            self.wreck = None;
        }
    }

    /// Cancels every thread that a failing state started; tokens and timers of theirs die.
    pub(super) fn cancel(&mut self, id: ThreadId) {
        let phase = self.execution.threads.get(&id).map(|thread| &thread.phase);
        if !matches!(phase, Some(Phase::Joining { .. } | Phase::Mapping { .. })) {
            return;
        }
        let mut open = self.children(id);
        while let Some(child) = open.pop() {
            let inner = self.children(child);
            self.release(child);
            let running = self.execution.threads.get(&child).is_some_and(|thread| thread.phase != Phase::Done);
            let parent = self.execution.threads.get(&child).and_then(|thread| thread.parent);
            let cursor = self.cursor(child);
            let removed = self.remove(child);
            if let (true, Some(state), Some(removed)) = (running, parent.and_then(|p| self.state(p)), removed)
                && matches!(state.kind, Kind::Map(_))
            {
                let details = Details::Iteration { name: state.name.clone(), index: u64::from(removed.slot) };
                self.record(cursor, "MapIterationAborted", details);
            }
            open.extend(inner);
        }
    }
}
