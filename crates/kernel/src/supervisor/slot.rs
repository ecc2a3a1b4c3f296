//! One unit's place in the supervisor: its phase, its failures and its pauses.

use std::sync::Arc;
use std::time::Duration;

use headwater_base::Problem;

use crate::reconcile::UnitSpec;
use crate::resource::Status;
use crate::unit::{Unit, bug, contained};

/// The pause after the first failure; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(500);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A unit that ran this long before it failed begins with the first pause again.
const STEADY: Duration = Duration::from_secs(60);

/// Failures in a row from which on it is called a crash loop.
const LOOP_FAILURES: u32 = 3;

pub(super) struct Slot {
    pub spec: UnitSpec,
    pub token: u64,
    pub phase: Phase,
    /// In a row.
    pub failures: u32,
    pub started: Duration,
    pub last: Option<Problem>,
}

pub(super) enum Phase {
    /// Its start has not resolved yet; doomed = stop it as soon as it has.
    Starting {
        doomed: bool,
    },
    Running(Arc<dyn Unit>),
    Stopping,
    /// Failed; starts again then.
    Waiting {
        until: Duration,
    },
    /// Ended by itself without an error: nothing is left to do for this spec.
    Ended,
}

impl Slot {
    /// Notes a failure; answers the pause before the next start.
    pub(super) fn fail(&mut self, problem: Problem, now: Duration, random: u64) -> Duration {
        let ran = matches!(self.phase, Phase::Running(_)).then(|| now.saturating_sub(self.started));
        if ran.is_some_and(|ran| ran >= STEADY) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let pause = pause(self.failures, random);
        self.last = Some(problem);
        self.phase = Phase::Waiting { until: now + pause };
        pause
    }

    pub(super) fn status(&self) -> Status {
        let last = || self.last.as_ref().map(|last| format!("{}: {}", last.code, last.title)).unwrap_or_default();
        match &self.phase {
            Phase::Running(unit) => contained(|| unit.status())
                .unwrap_or_else(|said| Status::broken(&bug(format_args!("the status of `{}`", self.spec.id()), &said))),
            Phase::Ended => Status::ready("Completed", ""),
            Phase::Stopping => Status::pending("Stopping", ""),
            // The last failure stays visible while the next try has not got anywhere.
            Phase::Waiting { .. } | Phase::Starting { .. } if self.failures >= LOOP_FAILURES => {
                Status::failed("CrashLoop", format!("{} (failed {} times in a row)", last(), self.failures))
            }
            Phase::Waiting { .. } | Phase::Starting { .. } if self.failures > 0 => Status::failed("Failed", last()),
            Phase::Waiting { .. } | Phase::Starting { .. } => Status::pending("Starting", ""),
        }
    }
}

/// The pause after so many failures in a row, a quarter more or less by chance so that units do not start in step.
fn pause(failures: u32, random: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_MAX);
    let part = (random >> 32) as u32 % 512;
    pause * 3 / 4 + pause * part / 1_024
}

/// The next number of a xorshift generator (Marsaglia 2003); good enough to spread starts.
pub(super) fn next_random(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    state
}
