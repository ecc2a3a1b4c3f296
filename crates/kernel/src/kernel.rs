//! The kernel of a node: applying, reading and deleting resources, and the supervisor's life.
//!
//! A change goes through five beats: look up, check everything, compute the outcome (pure), write one commit that holds
//! resources and audit events, answer. What then runs is the supervisor's matter; nothing here starts a unit.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use headwater_base::{Clock, Limits, Name, Problem, closest};
use headwater_log::{Log, Stream};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Notify, broadcast};

use crate::audit;
use crate::kind::{ApplyOptions, Registry, View};
use crate::port;
use crate::reconcile::{Action, Plan, Running, Verb, difference};
use crate::resource::{API_VERSION, Draft, Metadata, Ready, Resource, Status};
use crate::resources::{Change, RESOURCES_MAX, Resources, refused};
use crate::schema::Validator;
use crate::secrets::Secrets;
use crate::supervisor::{Parts, Supervisor, observe};
use crate::tables::TableViews;
use crate::unit::{Task, Unit, UnitKind};

mod delete;

pub use delete::DeleteOptions;

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
    supervisor: Mutex<Option<Arc<Task>>>,
    validators: ArcSwap<HashMap<Name, Validator>>,
    born: Mutex<u64>,
}

/// What became of one applied resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: Name,
    /// What happened.
    pub outcome: Outcome,
    /// The generation that came out.
    pub generation: u64,
    /// What somebody wrote before, for a diff; None for a new resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is written now.
    pub after: Value,
}

/// What happened to an applied resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// There was none.
    Created,
    /// It changed.
    Configured,
    /// It was like that already.
    Unchanged,
}

/// What an apply did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The resources, in the order they were handed in.
    pub resources: Vec<Applied>,
    /// What the supervisor does about it: created streams, started, restarted and stopped units.
    pub actions: Vec<Action>,
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
        let kernel = Arc::new(Self {
            setup,
            resources,
            tables,
            secrets,
            running: Arc::default(),
            wake: Arc::new(Notify::new()),
            supervisor: Mutex::new(None),
            validators: ArcSwap::default(),
            born: Mutex::new(0),
        });
        kernel.compile_validators();
        Ok(kernel)
    }

    /// Starts the supervisor with the rows of `units` besides the kernel's own. What ran before a restart runs again.
    pub fn start(&self, units: Vec<UnitKind>) {
        let tables = Arc::clone(&self.tables);
        let parts = Parts {
            registry: self.setup.registry.clone(),
            resources: Arc::clone(&self.resources),
            log: Arc::clone(&self.setup.log),
            clock: Arc::clone(&self.setup.clock),
            secrets: Arc::clone(&self.secrets),
            drop_view: Box::new(move |name| tables.drop_view(name)),
            kinds: std::iter::once(self.tables.unit_kind()).chain(units).collect(),
            seed: self.setup.seed,
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

    /// Makes the supervisor look at once; tests call it after moving the clock.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The log.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.setup.log
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
            log: Some(Arc::clone(&self.setup.log)),
        }
    }

    /// One resource. A stream that exists without a resource is shown as one of generation 0.
    pub fn get(&self, kind: &str, name: &str) -> Option<Arc<Resource>> {
        let stored = self.resources.get(kind, name);
        let bare = || (kind == "Stream").then(|| self.setup.log.stream(name)).flatten().map(|stream| bare(&stream));
        stored.or_else(bare)
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

    /// Checks drafts against each other and what is there, and changes nothing: everything that `apply` would refuse,
    /// and names of resources that do not exist.
    pub fn check(&self, drafts: &[Draft]) -> Vec<Problem> {
        let map = by_id(drafts);
        let context = self.context();
        let stored = |kind: &str, name: &str| self.resources.get(kind, name);
        let view = View { registry: &self.setup.registry, context: &context, drafts: &map, stored: &stored };
        let mut problems = self.refusals(drafts, &view, &ApplyOptions::default());
        problems.extend(dangling(drafts, &view));
        problems
    }

    /// Creates and changes resources, all of them or none; durable on return. With `dry_run` it says what would happen.
    ///
    /// # Errors
    /// Everything that is wrong with any of them: `HW-KERNEL-009` to `-014`, `-028`, and what their kinds say.
    pub async fn apply(self: &Arc<Self>, drafts: Vec<Draft>, options: &ApplyOptions) -> Result<Report, Vec<Problem>> {
        let _turn = self.resources.turn.lock().await;
        let (kernel, asked) = (Arc::clone(self), options.clone());
        // Compiling a pipeline's programs takes milliseconds, which would stand in the way of other tasks.
        let examined = tokio::task::spawn_blocking(move || kernel.examine(&drafts, &asked)).await;
        let (report, changes) = examined.map_err(|error| vec![crate::unit::panicked("apply", &error)])??;
        if options.dry_run || changes.is_empty() {
            return Ok(report);
        }
        let entries: Vec<audit::Entry> = report
            .resources
            .iter()
            .filter(|applied| applied.outcome != Outcome::Unchanged)
            .map(|applied| {
                let outcome = if applied.outcome == Outcome::Created { "created" } else { "configured" };
                self.entry("apply", &applied.kind, applied.name.as_str(), applied.generation, outcome)
            })
            .collect();
        let changes = changes.into_iter().map(|resource| (resource.id(), Some(resource))).collect();
        self.resources.write(changes, &entries).await.map_err(|problem| vec![problem])?;
        self.compile_validators();
        Ok(report)
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

    /// Everything that stands against the drafts.
    fn refusals(&self, drafts: &[Draft], view: &View<'_>, options: &ApplyOptions) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        for draft in drafts {
            let Some(kind) = self.setup.registry.kind(&draft.kind) else { continue };
            if !seen.insert(draft.id()) {
                let fact = format!("`{}` is handed in twice", draft.id());
                problems.push(draft.origin.blame("/metadata/name", Problem::new("HW-KERNEL-028", fact)));
            }
            problems.append(&mut (kind.validate)(draft, view));
            if let Some(old) = self.resources.get(&draft.kind, draft.name.as_str()) {
                if old.metadata.deleting.is_some() {
                    let problem = Problem::new("HW-KERNEL-011", format!("`{}` is being deleted", draft.id()));
                    problems.push(
                        draft.origin.blame("/metadata/name", problem.help("wait until it is gone and apply it again")),
                    );
                    continue;
                }
                problems.append(&mut (kind.change)(&old, draft, options));
            }
            let stored = self.resources.get(&draft.kind, draft.name.as_str()).map_or(0, |old| old.metadata.generation);
            if let Some(meant) = draft.generation.filter(|meant| *meant != stored) {
                let fact =
                    format!("this changes generation {meant} of `{}`, which is at generation {stored}", draft.id());
                let help = "somebody changed it since; get it again, or leave `metadata.generation` out to change whatever is there";
                problems
                    .push(draft.origin.blame("/metadata/generation", Problem::new("HW-KERNEL-011", fact).help(help)));
            }
        }
        problems
    }

    /// What applying comes to: the report, and the resources to write.
    fn examine(&self, drafts: &[Draft], options: &ApplyOptions) -> Result<(Report, Vec<Resource>), Vec<Problem>> {
        let map = by_id(drafts);
        let context = self.context();
        let stored = |kind: &str, name: &str| self.resources.get(kind, name);
        let view = View { registry: &self.setup.registry, context: &context, drafts: &map, stored: &stored };
        let problems = self.refusals(drafts, &view, options);
        if !problems.is_empty() {
            return Err(problems);
        }
        let (mut report, mut changes) = (Report::default(), Vec::new());
        for draft in drafts {
            let old = self.resources.get(&draft.kind, draft.name.as_str());
            let (outcome, resource) = self.outcome(draft, old.as_deref(), options);
            report.resources.push(Applied {
                kind: draft.kind.clone(),
                name: draft.name.clone(),
                outcome,
                generation: resource.metadata.generation,
                before: old.map(|old| old.written()),
                after: resource.written(),
            });
            if outcome != Outcome::Unchanged {
                changes.push(resource);
            }
        }
        let created = report.resources.iter().filter(|applied| applied.outcome == Outcome::Created).count();
        if self.resources.count() + created > RESOURCES_MAX {
            let fact = format!("the node would have more than {RESOURCES_MAX} resources, which is the limit");
            return Err(vec![Problem::new("HW-KERNEL-015", fact)]);
        }
        report.actions = self.actions(&changes);
        Ok((report, changes))
    }

    /// What the supervisor will do about `changes`.
    fn actions(&self, changes: &[Resource]) -> Vec<Action> {
        let mut resources: HashMap<String, Arc<Resource>> =
            self.resources.list(None).into_iter().map(|resource| (resource.id(), resource)).collect();
        resources.extend(changes.iter().map(|resource| (resource.id(), Arc::new(resource.clone()))));
        let observed = observe(self.setup.log.as_ref());
        let changed: BTreeSet<String> = changes.iter().map(Resource::id).collect();
        let plan = |resource: &Arc<Resource>| -> Option<Plan> {
            let kind = self.setup.registry.kind(&resource.kind)?;
            resource.metadata.deleting.is_none().then(|| (kind.reconcile)(resource, &observed))
        };
        let plans: Vec<Plan> =
            resources.values().filter(|resource| changed.contains(&resource.id())).filter_map(plan).collect();
        // Units of resources that do not change stay: only those of changed resources are compared.
        let running = self.running.read();
        let units: BTreeSet<String> = plans.iter().flat_map(|plan| &plan.units).map(|unit| unit.id()).collect();
        let mut compared: Running =
            running.iter().filter(|(id, _)| units.contains(*id)).map(|(id, hash)| (id.clone(), *hash)).collect();
        for resource in
            changes.iter().filter_map(|resource| self.resources.get(&resource.kind, resource.metadata.name.as_str()))
        {
            for unit in plan(&resource).into_iter().flat_map(|plan| plan.units) {
                if let Some(hash) = running.get(&unit.id()) {
                    compared.insert(unit.id(), *hash);
                }
            }
        }
        let mut actions = difference(&plans, &observed, &compared);
        actions.dedup_by(|a, b| a.object == b.object && a.verb == b.verb && a.verb == Verb::Create);
        actions
    }

    /// What a draft makes of a resource.
    fn outcome(&self, draft: &Draft, old: Option<&Resource>, options: &ApplyOptions) -> (Outcome, Resource) {
        let effective = |before: Option<&Value>| match self.setup.registry.kind(&draft.kind) {
            Some(kind) => (kind.effective)(&draft.spec, before),
            None => draft.spec.clone(),
        };
        let Some(old) = old else {
            let metadata = Metadata {
                name: draft.name.clone(),
                labels: draft.labels.clone(),
                annotations: draft.annotations.clone(),
                generation: 1,
                uid: self.uid(),
                created: self.setup.clock.now(),
                state_epoch: 0,
                deleting: None,
            };
            let resource = Resource {
                api_version: API_VERSION.to_owned(),
                kind: draft.kind.clone(),
                metadata,
                spec: draft.spec.clone(),
                effective: effective(None),
                status: Status::pending("Pending", ""),
            };
            return (Outcome::Created, resource);
        };
        let spec_changed = old.spec != draft.spec || options.reset_state;
        if !spec_changed && old.metadata.labels == draft.labels && old.metadata.annotations == draft.annotations {
            return (Outcome::Unchanged, old.clone());
        }
        let mut resource = old.clone();
        resource.metadata.labels.clone_from(&draft.labels);
        resource.metadata.annotations.clone_from(&draft.annotations);
        if spec_changed {
            resource.metadata.generation += 1;
            resource.metadata.state_epoch += u64::from(options.reset_state);
            resource.spec = draft.spec.clone();
            resource.effective = effective(Some(old.effective()));
        }
        (Outcome::Configured, resource)
    }

    /// Unique on this node: the time, and a count within the same microsecond.
    fn uid(&self) -> String {
        let mut born = self.born.lock();
        *born += 1;
        format!("{:x}-{:x}", self.setup.clock.now().0, *born)
    }

    fn entry(&self, verb: &str, kind: &str, name: &str, generation: u64, outcome: &str) -> audit::Entry {
        audit::Entry {
            time: self.setup.clock.now(),
            who: audit::LOCAL.to_owned(),
            verb: verb.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            generation,
            outcome: outcome.to_owned(),
        }
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

    fn not_found(&self, kind: &str, name: &str) -> Problem {
        let list = self.list(Some(kind));
        let near = closest(name, list.iter().map(|resource| resource.metadata.name.as_str()));
        let problem = Problem::new("HW-KERNEL-012", format!("there is no `{kind}/{}`", crate::kind::short(name)));
        match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("`headwater get {}` lists what there is", kind.to_lowercase())),
        }
    }
}

/// Problems of drafts that name resources which do not exist.
pub fn dangling(drafts: &[Draft], view: &View<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for draft in drafts {
        let Some(kind) = view.registry.kind(&draft.kind) else { continue };
        for reference in (kind.refs)(&(kind.effective)(&draft.spec, None)) {
            if !reference.needed || view.has(reference.kind, &reference.name) {
                continue;
            }
            let names =
                view.drafts.values().filter(|other| other.kind == reference.kind).map(|other| other.name.as_str());
            let near =
                closest(&reference.name, names).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            let fact = format!("`{}` names `{}/{}`, which does not exist", draft.id(), reference.kind, reference.name);
            let help = format!("{near}it can be applied, and waits until there is one");
            problems.push(draft.origin.blame(&reference.at, Problem::new("HW-KERNEL-030", fact).help(help)));
        }
    }
    problems
}

fn by_id(drafts: &[Draft]) -> HashMap<String, Draft> {
    drafts.iter().map(|draft| (draft.id(), draft.clone())).collect()
}

/// A stream that nobody wrote a resource for.
fn bare(stream: &Stream) -> Arc<Resource> {
    let spec = crate::kinds::stream::spec_of(&stream.config);
    let metadata = Metadata {
        name: stream.name.clone(),
        labels: [("headwater.dev/origin".to_owned(), "log".to_owned())].into(),
        annotations: Default::default(),
        generation: 0,
        uid: format!("{:x}", stream.id),
        created: stream.created,
        state_epoch: 0,
        deleting: None,
    };
    Arc::new(Resource {
        api_version: API_VERSION.to_owned(),
        kind: "Stream".to_owned(),
        metadata,
        spec,
        effective: Value::Null,
        status: Status::ready("Exists", "has no resource; applying one adopts it"),
    })
}

#[cfg(test)]
mod tests;
