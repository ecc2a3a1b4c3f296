//! The forecasts of a node: starts and stops the thread of each, and answers what is known of them.

use std::sync::Arc;
use std::time::Duration;

use headwater_base::{Clock, Limits, Name, Problem};
use headwater_kernel::kind;
use headwater_kernel::kinds::table::stream_name;
use headwater_kernel::reconcile::UnitSpec;
use headwater_kernel::resource::Status;
use headwater_kernel::unit::{Roster, Thread, Unit, UnitKind};
use headwater_log::Log;
use headwater_log::park::StopSignal;
use tokio::sync::Notify;

use crate::calendar::Calendars;
use crate::figures::Figures;
use crate::follow::{Coming, Following};
use crate::holidays::Holidays;
use crate::kinds::forecast::{CalendarSpec, ForecastSpec, UNIT};
use crate::shape::Shape;
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
        let (mut shape, reader) = spec.plan(&inner.limits).map_err(first)?;
        if let Some(calendar) = &spec.holidays {
            shape.holidays = inner.holidays(calendar, shape.interval_micros).await?;
        }
        let (wake, figures) = (Arc::new(Notify::new()), Arc::new(Figures::default()));
        let coming = Arc::new(Coming::new(Arc::clone(&wake)));
        if let Some(calendar) = spec.holidays.clone().filter(CalendarSpec::leads_elsewhere) {
            self.follow(name.as_str(), calendar, &shape, &coming, &figures);
        }
        let stop = StopSignal::waking(Arc::clone(&wake));
        let setup = Setup {
            stream: Name::new(&spec.stream)?,
            outputs: spec.outputs(&name)?,
            shape: Arc::new(shape),
            coming,
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

impl Forecasts {
    /// Reads a calendar again and again for as long as a forecast is there.
    fn follow(&self, name: &str, calendar: CalendarSpec, shape: &Shape, coming: &Arc<Coming>, figures: &Arc<Figures>) {
        let (inner, interval) = (Arc::clone(&self.0), shape.interval_micros);
        let following = Following {
            name: name.to_owned(),
            interval: Duration::from_micros(u64::try_from(interval).unwrap_or(0)),
            known: shape.holidays.clone(),
            coming: Arc::downgrade(coming),
            wake: Arc::clone(coming.gone()),
            streams: calendar.table.iter().filter_map(|table| stream_name(table.as_str()).ok()).collect(),
            log: Arc::clone(&inner.log),
            figures: Arc::clone(figures),
            clock: Arc::clone(&inner.clock),
        };
        let read = move || {
            let (inner, calendar) = (Arc::clone(&inner), calendar.clone());
            async move { inner.holidays(&calendar, interval).await }
        };
        drop(tokio::spawn(following.run(read)));
    }
}

impl Inner {
    /// What a calendar says now.
    async fn holidays(&self, calendar: &CalendarSpec, interval_micros: i64) -> Result<Holidays, Problem> {
        let listed = self.calendars.read(calendar).await?;
        calendar.holidays(interval_micros, &listed).map_err(first)
    }
}

/// The first of several faults.
fn first(faults: Vec<(String, Problem)>) -> Problem {
    let first = faults.into_iter().next().map(|(_, problem)| problem);
    first.unwrap_or_else(|| Problem::new("HW-WATCH-001", "the forecast's spec cannot be read"))
}

/// What a forecast that runs has to say.
fn status(figures: &Figures) -> Status {
    let read = |name: &str| figures.list().iter().find(|(it, _)| *it == name).map_or(0, |(_, value)| *value);
    let (cohorts, verdicts, anomalies) = (read("cohorts"), read("verdicts_total"), read("anomalies_total"));
    let behind = read("lag_events");
    let message = format!("{cohorts} cohorts, {verdicts} verdicts, {anomalies} anomalies, {behind} behind");
    match figures.blamed() {
        None => Status::ready("Running", message),
        Some(problem) => Status::failed(
            "OldCalendar",
            format!("{message}; the holidays stay as they were: {}: {}", problem.code, problem.title),
        ),
    }
}
