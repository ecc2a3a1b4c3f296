//! The kernel of a node: applying, reading and deleting resources, and the supervisor's life.
//!
//! A change goes through five beats: look up, check everything, compute the outcome (pure), write one commit that holds
//! resources and audit events, answer. What then runs is the supervisor's matter; nothing here starts a unit.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use headwater_base::{Clock, Limits, Name, Principal, Problem, closest};
use headwater_log::{Log, Stream, StreamConfig};
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::sync::{Notify, broadcast};

use crate::audit;
use crate::kind::Registry;
use crate::made;
use crate::port;
use crate::reconcile::{Observed, Running};
use crate::resource::{API_VERSION, Metadata, Ready, Resource, Status};
use crate::resources::{Change, Resources, refused};
use crate::schema::Validator;
use crate::secrets::Secrets;
use crate::supervisor::{Parts, Supervisor};
use crate::tables::{Gate, TableViews};
use crate::unit::{Clear, Task, Unit, UnitKind, panicked};

mod apply;
mod delete;
mod drafts;
mod namers;

pub use apply::{Applied, Outcome, Report, dangling};
pub use delete::{DeleteOptions, DeleteReport, Deletion, Refusal};
pub use drafts::{DraftChange, KeptDraft};

/// What a kernel is made of.
pub struct Setup {
    /// The log, opened.
    pub log: Arc<dyn Log>,
    /// The data folder: the tables' view lives there, and relative file names start there.
    pub folder: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// The kinds.
    pub registry: Registry,
    /// Seed of what is random (pauses before restarts).
    pub seed: u64,
}

/// The kernel.
pub struct Kernel {
    setup: Setup,
    resources: Arc<Resources>,
    tables: Arc<TableViews>,
    secrets: Arc<dyn port::Secrets>,
    running: Arc<RwLock<Running>>,
    wake: Arc<Notify>,
    looked: Arc<AtomicBool>,
    gate: Arc<dyn Log>,
    supervisor: Mutex<Option<Arc<Task>>>,
    validators: ArcSwap<HashMap<Name, Validator>>,
    born: Mutex<u64>,
    clears: Mutex<Vec<(&'static str, Clear)>>,
}

impl Kernel {
    /// Opens the kernel: resources, tables and secrets can be used, nothing runs yet.
    ///
    /// # Errors
    /// `HW-KERNEL-016` when the audit stream cannot be created, `HW-KERNEL-022` when the tables' view cannot be opened.
    pub async fn open(setup: Setup) -> Result<Arc<Self>, Problem> {
        let audit = audit::stream()?;
        if setup.log.stream(audit.as_str()).is_none() {
            let created = setup.log.create(audit, audit::config(&setup.limits), Vec::new()).await;
            created.map_err(|error| refused("the audit stream", &error))?;
        }
        let resources = Arc::new(Resources::open(Arc::clone(&setup.log)));
        let tables = TableViews::open(
            &setup.folder,
            Arc::clone(&setup.log),
            Arc::clone(&setup.clock),
            Arc::clone(&setup.limits),
            Arc::clone(&resources),
        )?;
        let secrets: Arc<dyn port::Secrets> = Arc::new(Secrets::new(Arc::clone(&resources), setup.folder.clone()));
        let gate: Arc<dyn Log> = Arc::new(Gate::new(Arc::clone(&setup.log), Arc::clone(&tables)));
        let kernel = Arc::new(Self {
            setup,
            gate,
            resources,
            tables,
            secrets,
            running: Arc::default(),
            wake: Arc::new(Notify::new()),
            looked: Arc::default(),
            supervisor: Mutex::new(None),
            validators: ArcSwap::default(),
            born: Mutex::new(0),
            clears: Mutex::default(),
        });
        kernel.compile_validators();
        Ok(kernel)
    }

    /// Says who removes what resources own outside the data folder; before [`Self::start`].
    pub fn clear_with(&self, by: &'static str, clear: Clear) {
        self.clears.lock().push((by, clear));
    }

    /// Starts the supervisor with the rows of `units` besides the kernel's own. What ran before a restart runs again.
    pub fn start(&self, units: Vec<UnitKind>) {
        let tables = Arc::clone(&self.tables);
        let parts = Parts {
            registry: self.setup.registry.clone(),
            resources: Arc::clone(&self.resources),
            log: Arc::clone(&self.setup.log),
            folder: self.setup.folder.clone(),
            clock: Arc::clone(&self.setup.clock),
            secrets: Arc::clone(&self.secrets),
            drop_view: Box::new(move |name| tables.drop_view(name)),
            kinds: std::iter::once(self.tables.unit_kind()).chain(units).collect(),
            clears: self.clears.lock().clone(),
            seed: self.setup.seed,
            looked: Arc::clone(&self.looked),
            running: Arc::clone(&self.running),
            wake: Arc::clone(&self.wake),
        };
        let supervisor = Supervisor::new(Arc::new(parts));
        *self.supervisor.lock() = Some(Task::spawn("supervisor", |stop| supervisor.run(stop)));
    }

    /// Stops all units, the last started kind first, and the supervisor.
    pub async fn stop(&self) {
        let supervisor = self.supervisor.lock().take();
        if let Some(supervisor) = supervisor {
            supervisor.stop().await;
        }
    }

    /// Whether the supervisor has looked at every resource since the start. Before, statuses are those of the run before,
    /// and nothing of what was applied then may run yet.
    pub fn has_looked(&self) -> bool {
        self.looked.load(Ordering::Acquire)
    }

    /// Resolves when the supervisor has ended by a bug of its own: from then on nothing is started, stopped or told, and a
    /// process that goes on only looks well.
    pub async fn ended(&self) -> Problem {
        let supervisor = self.supervisor.lock().clone();
        match supervisor {
            Some(supervisor) => supervisor.broken().await,
            None => std::future::pending().await,
        }
    }

    /// Makes the supervisor look at once; tests call it after moving the clock.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The log, for everybody: who appends to a table's stream writes the table.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.gate
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.setup.clock
    }

    /// The bounds.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.setup.limits
    }

    /// The kinds.
    pub fn registry(&self) -> &Registry {
        &self.setup.registry
    }

    /// The tables.
    pub fn tables(&self) -> &Arc<TableViews> {
        &self.tables
    }

    /// The secrets.
    pub fn secrets(&self) -> &Arc<dyn port::Secrets> {
        &self.secrets
    }

    /// What connectors may use.
    pub fn context(&self) -> port::Context {
        port::Context {
            folder: self.setup.folder.clone(),
            secrets: Arc::clone(&self.secrets),
            tables: Some(Arc::clone(&self.tables) as Arc<dyn port::Tables>),
            log: Some(Arc::clone(&self.gate)),
        }
    }

    /// One resource. A stream that exists without a resource is shown as one of generation 0.
    pub fn get(&self, kind: &str, name: &str) -> Option<Arc<Resource>> {
        let stored = self.resources.get(kind, name);
        let bare = || (kind == "Stream").then(|| self.setup.log.stream(name)).flatten().map(|stream| bare(&stream));
        stored.or_else(bare)
    }

    /// The resource that says how a stream is kept, and what it would make of `wanted`; None for a stream that no
    /// resource describes. Partitions that there are more of than it says stay.
    pub fn settle(&self, stream: &Stream, wanted: StreamConfig) -> Option<(String, StreamConfig)> {
        let name = stream.name.as_str();
        let table = || name.strip_prefix("table.").and_then(|table| self.resources.get("Table", table));
        let owner = self.resources.get("Stream", name).or_else(table)?;
        let kind = self.registry().kind(&owner.kind)?;
        let stream = Arc::new(Stream { config: wanted, ..stream.clone() });
        let observed = Observed { streams: [(stream.name.clone(), stream.clone())].into() };
        let plan = kind.plan(&owner, &observed).unwrap_or_default();
        let object = plan.streams.iter().find(|object| object.name == stream.name && object.alter);
        Some((owner.id(), object.map_or_else(|| stream.config.clone(), |object| object.target(&stream))))
    }

    /// All resources, of one kind if given, by kind and name; streams without a resource among them.
    pub fn list(&self, kind: Option<&str>) -> Vec<Arc<Resource>> {
        let mut list = self.resources.list(kind);
        if kind.is_none_or(|kind| kind == "Stream") {
            let streams = self.setup.log.streams();
            let without = streams.iter().filter(|stream| self.resources.get("Stream", stream.name.as_str()).is_none());
            list.extend(without.map(|stream| bare(stream)));
            list.sort_by(|a, b| (&a.kind, &a.metadata.name).cmp(&(&b.kind, &b.metadata.name)));
        }
        list
    }

    /// Tells of every change from now on, statuses included. A receiver that falls behind gets `Lagged` and lists anew.
    pub fn watch(&self) -> broadcast::Receiver<Change> {
        self.resources.watch()
    }

    /// The check of a stream's events, if its resource has a schema.
    pub fn validator(&self, stream: &str) -> Option<Validator> {
        self.validators.load().get(stream).cloned()
    }

    /// Waits until each of these resources (`Kind/name`) is ready or has failed, at most `limit`. Answers those that
    /// are not ready, with their status.
    pub async fn settled(&self, ids: &[String], limit: Duration) -> Vec<(String, Status)> {
        let mut changes = self.watch();
        let open = |ready_only: bool| -> Vec<(String, Status)> {
            let resources = ids.iter().filter_map(|id| {
                let (kind, name) = id.split_once('/')?;
                let resource = self.get(kind, name)?;
                let current = resource.status.observed_generation == resource.metadata.generation;
                let done = match resource.status.ready {
                    Ready::True => current,
                    Ready::False => current && !ready_only,
                    Ready::Unknown => false,
                };
                (!done).then(|| (id.clone(), resource.status.clone()))
            });
            resources.collect()
        };
        let wait = async {
            while !open(false).is_empty() {
                if let Err(broadcast::error::RecvError::Closed) = changes.recv().await {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(limit, wait).await;
        open(true)
    }

    fn entry(
        &self,
        who: &Principal,
        verb: &str,
        kind: &str,
        name: &str,
        generation: u64,
        outcome: &str,
    ) -> audit::Entry {
        audit::Entry {
            time: self.setup.clock.now(),
            who: audit::who(who),
            verb: verb.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            generation,
            outcome: outcome.to_owned(),
        }
    }

    /// The version of what is written now over version `seen`. No version comes twice, as long as the clock is not set
    /// back over the life of something deleted.
    fn next_version(&self, seen: u64) -> u64 {
        (seen + 1).max(u64::try_from(self.setup.clock.now().0).unwrap_or_default())
    }

    fn compile_validators(&self) {
        let mut validators = HashMap::new();
        for resource in self.resources.list(Some("Stream")) {
            match crate::kinds::stream::validator(&resource) {
                Ok(Some(validator)) => {
                    validators.insert(resource.metadata.name.clone(), validator);
                }
                Ok(None) => {}
                Err(problem) => {
                    tracing::error!(resource = %resource.id(), title = problem.title, "schema does not compile")
                }
            }
        }
        self.validators.store(Arc::new(validators));
    }

    /// `HW-KERNEL-012`; one of `near` may have been meant.
    fn not_found(&self, kind: &str, name: &str, near: &[Arc<Resource>]) -> Problem {
        let near = closest(name, near.iter().map(|resource| resource.metadata.name.as_str()));
        let problem = Problem::new("HW-KERNEL-012", format!("there is no `{kind}/{}`", crate::kind::short(name)));
        match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!(
                "`headwater get {}` lists what there is",
                self.setup.registry.kind(kind).map_or("all", |kind| kind.plural)
            )),
        }
    }
}

/// Carries a change out whether or not whoever asks for it still waits, as a client that hangs up does not: what is written
/// between its commit and what memory makes of that would be in the log alone, and true after the next start.
///
/// # Errors
/// `HW-KERNEL-024` for a bug.
async fn carried_out<T: Send + 'static>(
    what: &'static str,
    change: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(change).await.map_err(|error| panicked(what, error))
}

/// A stream that nobody wrote a resource for.
fn bare(stream: &Stream) -> Arc<Resource> {
    let spec = crate::kinds::stream::spec_of(&stream.config);
    let message = match (made::made_for(stream), made::asked_by(stream)) {
        (Some(id), _) => format!("was made for `{id}` and has no resource; applying one adopts it"),
        (None, Some(who)) => {
            format!("was made because `{who}` asked for it and has no resource; applying one adopts it")
        }
        (None, None) => "has no resource; applying one adopts it".to_owned(),
    };
    let metadata = Metadata {
        name: stream.name.clone(),
        labels: [("headwater.dev/origin".to_owned(), "log".to_owned())].into(),
        annotations: Default::default(),
        generation: 0,
        version: 0,
        uid: format!("{:x}", stream.id),
        created: stream.created,
        state_epoch: 0,
        deleting: None,
        deleting_made: false,
    };
    Arc::new(Resource {
        api_version: API_VERSION.to_owned(),
        kind: "Stream".to_owned(),
        metadata,
        spec,
        effective: Value::Null,
        status: Status::ready("Exists", message),
    })
}

#[cfg(test)]
mod tests;
