//! Starting and stopping units: each in a task of its own that tells the supervisor how it went.

use std::sync::Arc;
use std::time::Duration;

use headwater_base::Problem;

use super::slot::{Phase, Slot};
use super::{Event, Supervisor, What};
use crate::reconcile::UnitSpec;
use crate::unit::{Unit, awaited, unit_bug};

/// How long a unit may take to stop before it is reported and given up. It may still run then, beside the next one of
/// its id: that one becomes the only writer ([`headwater_log::Log::fence`]), and commits of the first are refused.
const STOP_MAX: Duration = Duration::from_secs(30);

impl Supervisor {
    /// Begins the end of a unit.
    pub(super) fn end(&mut self, id: &str) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        match &slot.phase {
            Phase::Starting { .. } => slot.phase = Phase::Starting { doomed: true },
            Phase::Running(unit) => {
                let (unit, token) = (Arc::clone(unit), slot.token);
                slot.phase = Phase::Stopping;
                self.spawn_stop(id.to_owned(), token, unit);
            }
            Phase::Waiting { .. } | Phase::Ended => {
                self.slots.remove(id);
                self.compared = None;
            }
            Phase::Stopping => {}
        }
    }

    pub(super) fn spawn_start(&mut self, id: String, spec: UnitSpec, failures: u32) {
        self.tokens += 1;
        let token = self.tokens;
        let last = self.slots.remove(&id).and_then(|slot| slot.last);
        let kind = self.parts.kinds.iter().find(|kind| kind.name == spec.kind).cloned();
        let slot = Slot {
            spec: spec.clone(),
            token,
            phase: Phase::Starting { doomed: false },
            failures,
            started: Duration::ZERO,
            last,
        };
        self.slots.insert(id.clone(), slot);
        let tell = self.tell.clone();
        self.tasks.spawn(async move {
            let result = match kind {
                Some(kind) => {
                    let started = awaited(async { (kind.start)(spec).await }).await;
                    started.unwrap_or_else(|said| Err(unit_bug(format_args!("the start of `{id}`"), &said)))
                }
                None => Err(Problem::new("HW-KERNEL-024", format!("this node runs no units of kind `{}`", spec.kind))),
            };
            let _ = tell.send(Event { id, token, what: What::Started(result) });
        });
    }

    pub(super) fn spawn_watch(&mut self, id: String, token: u64, unit: Arc<dyn Unit>) {
        let tell = self.tell.clone();
        self.tasks.spawn(async move {
            // Otherwise it would count as running for ever.
            let result = awaited(async { unit.finished().await }).await;
            let result = result.unwrap_or_else(|said| Err(unit_bug(format_args!("`{id}`"), &said)));
            let _ = tell.send(Event { id, token, what: What::Ended(result) });
        });
    }

    pub(super) fn spawn_stop(&mut self, id: String, token: u64, unit: Arc<dyn Unit>) {
        let tell = self.tell.clone();
        self.tasks.spawn(async move {
            let stopped = awaited(async { unit.stop().await });
            match tokio::time::timeout(STOP_MAX, stopped).await {
                Ok(Ok(())) => {}
                Ok(Err(said)) => {
                    tracing::error!(unit = %id, said, "unit ended by a bug while it stopped");
                }
                Err(_) => {
                    tracing::error!(unit = %id, limit_s = STOP_MAX.as_secs(), "unit does not stop and is given up");
                }
            }
            let _ = tell.send(Event { id, token, what: What::Stopped });
        });
    }
}
