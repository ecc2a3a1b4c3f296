//! The forecasts of a node: starts and stops the thread of each, and answers what is known of them.

use std::sync::Arc;

use headwater_base::{Clock, Limits, Name, Problem};
use headwater_kernel::kind;
use headwater_kernel::reconcile::UnitSpec;
use headwater_kernel::resource::Status;
use headwater_kernel::unit::{Roster, Thread, Unit, UnitKind};
use headwater_log::Log;
use headwater_log::park::StopSignal;
use tokio::sync::Notify;

use crate::calendar::Calendars;
use crate::figures::Figures;
use crate::kinds::forecast::{ForecastSpec, UNIT};
use crate::task::{self, Setup};

/// The forecasts of a node. Cheap to clone.
#[derive(Clone)]
pub struct Forecasts(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    calendars: Calendars,
    running: Roster<Figures>,
}

impl Forecasts {
    /// No forecast runs yet; their holidays stand in `calendars`.
    pub fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, limits: Arc<Limits>, calendars: Calendars) -> Self {
        Self(Arc::new(Inner { log, clock, limits, calendars, running: Roster::default() }))
    }

    /// Figures of the forecasts that run: forecast -> (name, value), names as `hw_watch_*` without the prefix.
    pub fn figures(&self) -> Vec<(String, [(&'static str, u64); 9])> {
        self.0.running.each(Figures::list)
    }

    /// The row for the kernel's table of unit kinds.
    pub fn unit_kind(&self) -> UnitKind {
        UnitKind::new(UNIT, self, |forecasts: Self, unit| async move { forecasts.start(&unit).await })
    }

    /// Starts the forecast of a resource.
    ///
    /// # Errors
    /// `HW-WATCH-001` and 040 for a spec or a calendar that cannot be, 041 and 060 for a calendar that cannot be read,
    /// 023 when there is no thread for it.
    pub async fn start(&self, unit: &UnitSpec) -> Result<Arc<dyn Unit>, Problem> {
        let inner = &self.0;
        let resource = &unit.resource;
        let spec: ForecastSpec = kind::decode(resource.effective(), "/spec", &resource.draft().origin)?;
        let name = resource.metadata.name.clone();
        let refused = |faults: Vec<(String, Problem)>| {
            let first = faults.into_iter().next().map(|(_, problem)| problem);
            first.unwrap_or_else(|| Problem::new("HW-WATCH-001", "the forecast's spec cannot be read"))
        };
        let (mut shape, reader) = spec.plan(&inner.limits).map_err(refused)?;
        if let Some(calendar) = &spec.holidays {
            let listed = inner.calendars.read(calendar).await?;
            shape.holidays = calendar.holidays(shape.interval_micros, &listed).map_err(refused)?;
        }
        let (wake, figures) = (Arc::new(Notify::new()), Arc::new(Figures::default()));
        let stop = StopSignal::waking(Arc::clone(&wake));
        let setup = Setup {
            stream: Name::new(&spec.stream)?,
            outputs: spec.outputs(&name)?,
            shape: Arc::new(shape),
            reader,
            cohorts: spec.cohorts as usize,
            ahead: spec.ahead.duration(),
            epoch: resource.metadata.state_epoch,
            log: Arc::clone(&inner.log),
            clock: Arc::clone(&inner.clock),
            limits: Arc::clone(&inner.limits),
            figures: Arc::clone(&figures),
            wake,
            stop: stop.clone(),
            name: name.clone(),
        };
        let bug = Problem::new("HW-WATCH-024", format!("forecast `{name}` ended by a bug in the program"))
            .help("it is started again from its last commit; please report this with the lines of the log before it");
        let thread = Thread::start(format!("watch-{name}"), stop, bug, move || task::run(&setup))
            .map_err(|error| Problem::new("HW-WATCH-023", format!("no thread for forecast `{name}`: {error}")))?;
        Ok(inner.running.keep(name.as_str(), figures, thread, status))
    }
}

/// What a forecast that runs has to say.
fn status(figures: &Figures) -> Status {
    let read = |name: &str| figures.list().iter().find(|(it, _)| *it == name).map_or(0, |(_, value)| *value);
    let (cohorts, verdicts, anomalies) = (read("cohorts"), read("verdicts_total"), read("anomalies_total"));
    let behind = read("lag_events");
    Status::ready("Running", format!("{cohorts} cohorts, {verdicts} verdicts, {anomalies} anomalies, {behind} behind"))
}
