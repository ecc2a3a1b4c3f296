//! The ingests of a node: starts and stops the task of each, and answers what is known of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_base::{Clock, Limits, Problem};
use headwater_kernel::kind;
use headwater_kernel::port::Sql;
use headwater_kernel::reconcile::UnitSpec;
use headwater_kernel::resource::Status;
use headwater_kernel::unit::{Roster, Task, Unit, UnitKind};
use headwater_log::Log;
use parking_lot::Mutex;

use crate::ingest::{Life, Setup};
use crate::kinds::ingest::{IngestSpec, UNIT};

/// The ingests of a node. Cheap to clone.
#[derive(Clone)]
pub struct Ingests(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    sql: Arc<dyn Sql>,
    running: Roster<Figures>,
}

/// What an ingest counts and says of itself.
#[derive(Debug, Default)]
pub struct Figures {
    runs: AtomicU64,
    failures: AtomicU64,
    rows: AtomicU64,
    running: AtomicU64,
    /// How it stands, or what is wrong, for people.
    told: Mutex<Option<Result<String, String>>>,
}

impl Figures {
    /// A run begins.
    pub fn begin(&self) {
        self.running.store(1, Ordering::Relaxed);
    }

    /// A run is over.
    pub fn run(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.running.store(0, Ordering::Relaxed);
    }

    /// A run has failed.
    pub fn failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.running.store(0, Ordering::Relaxed);
    }

    /// Rows have been written.
    pub fn rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// What the status says from now on.
    pub fn tell(&self, told: Result<String, String>) {
        *self.told.lock() = Some(told);
    }

    /// What was told last.
    pub fn told(&self) -> Option<Result<String, String>> {
        self.told.lock().clone()
    }

    /// The figures: name -> value.
    pub fn list(&self) -> [(&'static str, u64); 4] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("ingest_runs_total", read(&self.runs)),
            ("ingest_failures_total", read(&self.failures)),
            ("ingest_rows_total", read(&self.rows)),
            ("ingest_running", read(&self.running)),
        ]
    }
}

impl Ingests {
    /// No ingest runs yet; `sql` answers them.
    pub fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, limits: Arc<Limits>, sql: Arc<dyn Sql>) -> Self {
        Self(Arc::new(Inner { log, clock, limits, sql, running: Roster::default() }))
    }

    /// Figures of the ingests that run: ingest -> (name, value), names as `hw_lake_*` without the prefix.
    pub fn figures(&self) -> Vec<(String, [(&'static str, u64); 4])> {
        self.0.running.each(Figures::list)
    }

    /// The row for the kernel's table of unit kinds.
    pub fn unit_kind(&self) -> UnitKind {
        UnitKind::new(UNIT, self, |ingests: Self, unit| async move { ingests.start(&unit).await })
    }

    async fn start(&self, unit: &UnitSpec) -> Result<Arc<dyn Unit>, Problem> {
        let inner = &self.0;
        let resource = &unit.resource;
        let name = resource.metadata.name.clone();
        let spec: IngestSpec = kind::decode(resource.effective(), "/spec", &resource.draft().origin)?;
        let figures = Arc::new(Figures::default());
        let setup = Setup {
            calendar: spec.calendar(resource.metadata.created).map_err(|(_, problem)| problem)?,
            reader: spec.reader()?,
            spec,
            epoch: resource.metadata.state_epoch,
            log: Arc::clone(&inner.log),
            clock: Arc::clone(&inner.clock),
            limits: Arc::clone(&inner.limits),
            sql: Arc::clone(&inner.sql),
            figures: Arc::clone(&figures),
            name: name.clone(),
        };
        let life = Life::begin(setup).await?;
        let task = Task::spawn(&resource.id(), |stop| life.run(stop));
        Ok(inner.running.keep(name.as_str(), figures, task, status))
    }
}

/// What an ingest that runs has to say.
fn status(figures: &Figures) -> Status {
    let reason = if figures.running.load(Ordering::Relaxed) == 1 { "Running" } else { "Waiting" };
    match figures.told() {
        Some(Err(why)) => Status::failed("Failed", why),
        Some(Ok(told)) => Status::ready(reason, told),
        None => Status::ready(reason, ""),
    }
}
