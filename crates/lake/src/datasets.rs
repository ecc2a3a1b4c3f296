//! The datasets of a node: starts and stops the thread of each, and answers what is known of them.

use std::path::PathBuf;
use std::sync::Arc;

use headwater_base::{Clock, Limits, Problem};
use headwater_kernel::kind;
use headwater_kernel::reconcile::UnitSpec;
use headwater_kernel::resource::Status;
use headwater_kernel::unit::{Roster, Thread, Unit, UnitKind};
use headwater_log::Log;
use headwater_log::park::StopSignal;
use headwater_store::disk::Disk;
use tokio::sync::Notify;

use crate::feed::{self, Setup};
use crate::figures::Figures;
use crate::files::{Buckets, Files, location_of};
use crate::kinds::dataset::{DatasetSpec, UNIT, folder, object_folder};
use crate::layout::Layout;
use crate::tables::Tables;

/// What datasets work with.
pub struct Parts {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The disk of the tables' files.
    pub disk: Arc<dyn Disk>,
    /// The data folder, from the root.
    pub folder: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
}

/// The datasets of a node. Cheap to clone.
#[derive(Clone)]
pub struct Datasets(Arc<Inner>);

struct Inner {
    tables: Arc<Tables>,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    running: Roster<Figures>,
}

impl Datasets {
    /// No dataset runs yet; all files are on the disk.
    pub fn new(parts: Parts) -> Self {
        Self::with_buckets(parts, Buckets::none())
    }

    /// No dataset runs yet; files are on the disk or in these buckets.
    pub fn with_buckets(parts: Parts, buckets: Buckets) -> Self {
        let Parts { log, disk, folder, clock, limits } = parts;
        let tables = Arc::new(Tables::new(log, Files::with_buckets(disk, buckets)));
        Self(Arc::new(Inner { tables, folder, clock, limits, running: Roster::default() }))
    }

    /// The tables, fed by streams or not.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.0.tables
    }

    /// The data folder.
    pub fn folder(&self) -> &PathBuf {
        &self.0.folder
    }

    /// Figures of the datasets that run: dataset -> (name, value), names as `hw_lake_*` without the prefix.
    pub fn figures(&self) -> Vec<(String, [(&'static str, u64); 5])> {
        self.0.running.each(Figures::list)
    }

    /// Events that the table of a running dataset has not got yet.
    pub fn lag(&self, dataset: &str) -> Option<u64> {
        self.0.running.get(dataset).map(|figures| figures.lag())
    }

    /// The row for the kernel's table of unit kinds.
    pub fn unit_kind(&self) -> UnitKind {
        UnitKind::new(UNIT, self, |datasets: Self, unit| async move { datasets.start(&unit) })
    }

    /// Removes the objects of a dataset that is deleted, while the caller goes on; `what` is as its kind says that it owns
    /// them. A bucket that does not answer keeps them: nothing else would ever end with it.
    pub fn clear(&self, what: &str) {
        let Some((bucket, folder)) = what.split_once('/') else { return };
        match self.0.tables.files().buckets().named(bucket) {
            Ok(bucket) => {
                let location = format!("{}/{folder}", bucket.root);
                bucket.discard_folder(location, |_| {});
            }
            Err(problem) => {
                tracing::warn!(code = problem.code, title = problem.title, "the objects of `{folder}` stay")
            }
        }
    }

    /// Starts the dataset of a resource.
    ///
    /// # Errors
    /// `HW-LAKE-001` for a spec that cannot be, 062 for a bucket that is not there, 025 when there is no thread for it.
    pub fn start(&self, unit: &UnitSpec) -> Result<Arc<dyn Unit>, Problem> {
        let inner = &self.0;
        let resource = &unit.resource;
        let draft = resource.draft();
        let spec: DatasetSpec = kind::decode(resource.effective(), "/spec", &draft.origin)?;
        let layout = Layout::of(&spec).map_err(|faults| {
            let first = faults.into_iter().next().map(|(_, problem)| problem);
            first.unwrap_or_else(|| Problem::new("HW-LAKE-001", "the dataset's spec cannot be read"))
        })?;
        let name = resource.metadata.name.clone();
        let location = match &spec.bucket {
            None => location_of(&inner.folder.join(folder(name.as_str()))),
            Some(bucket) => {
                let bucket = inner.tables.files().buckets().named(bucket.as_str())?;
                format!("{}/{}", bucket.root, object_folder(name.as_str(), &resource.metadata.uid))
            }
        };
        let (wake, figures) = (Arc::new(Notify::new()), Arc::new(Figures::default()));
        let stop = StopSignal::waking(Arc::clone(&wake));
        let setup = Setup {
            stream: spec.source()?,
            dead: spec.dead_letters(&name)?,
            layout,
            interval: spec.snapshot_interval.duration(),
            file_bytes: usize::try_from(spec.file_size.bytes()).unwrap_or(usize::MAX),
            snapshots: spec.snapshots as usize,
            epoch: resource.metadata.state_epoch,
            location,
            tables: Arc::clone(&inner.tables),
            clock: Arc::clone(&inner.clock),
            limits: Arc::clone(&inner.limits),
            figures: Arc::clone(&figures),
            wake,
            stop: stop.clone(),
            name: name.clone(),
        };
        let bug = Problem::new("HW-LAKE-026", format!("dataset `{name}` ended by a bug in the program"))
            .help("it is started again from its last snapshot; please report this with the lines of the log before it");
        let thread = Thread::start(format!("lake-{name}"), stop, bug, move || feed::run(&setup))
            .map_err(|error| Problem::new("HW-LAKE-025", format!("no thread for dataset `{name}`: {error}")))?;
        Ok(inner.running.keep(name.as_str(), figures, thread, status))
    }
}

/// What a dataset that runs has to say.
fn status(figures: &Figures) -> Status {
    let read = |name: &str| figures.list().iter().find(|(it, _)| *it == name).map_or(0, |(_, value)| *value);
    let (rows, letters, lag) = (read("rows_total"), read("dead_letters_total"), read("lag_events"));
    let message = format!("{rows} rows, {letters} dead letters, {lag} behind");
    match figures.refused() {
        None => Status::ready("Running", message),
        Some(problem) => Status::failed(
            "Refused",
            format!("{message}; the table stays as it was: {}: {}", problem.code, problem.title),
        ),
    }
}
