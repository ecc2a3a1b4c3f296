//! The supervisor: the one place that acts on plans. It creates and alters streams, starts, stops and restarts units,
//! finishes deletions, and says of every resource how far it is.
//!
//! It works by levels, not by events: each pass compares what all resources want with what is there, so a missed
//! notification, a crash half way or a change made by another hand (a Kafka client deleting a topic) is put right by
//! the next pass. Units that fail are started again with growing pauses.
//!
//! Invariants: one unit of an id runs at a time; a unit is never started while the one before still stops, but for one
//! that does not stop in time: it is given up, and what keeps it from writing beside the next one is the fence of its
//! commits; nothing is started for a resource that is being deleted; every task it spawns ends with it; what kinds and
//! units are asked is asked so that a panic in it is one resource's failure and all others go on.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater_base::{Clock, Name, Problem};
use headwater_log::{Log, LogError};
use parking_lot::RwLock;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::kind::Registry;
use crate::made;
use crate::port;
use crate::reconcile::{Observed, Plan, Running, UnitSpec, Verb};
use crate::resource::{Resource, Status};
use crate::resources::Resources;
use crate::unit::{Clear, Stop, Unit, UnitKind};

mod deletion;
mod slot;
mod turns;

use slot::{Phase, Slot};

/// How often statuses of running units are asked for.
const STATUS_EVERY: Duration = Duration::from_millis(500);

/// How often everything is compared although nothing was heard.
const RESYNC_EVERY: Duration = Duration::from_secs(5);

/// How often changed statuses are written to the log.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Forgets the view of a table.
pub(crate) type DropView = Box<dyn Fn(&Name) -> Result<(), Problem> + Send + Sync>;

/// What the supervisor works with.
pub(crate) struct Parts {
    pub registry: Registry,
    pub resources: Arc<Resources>,
    pub log: Arc<dyn Log>,
    /// The data folder.
    pub folder: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub secrets: Arc<dyn port::Secrets>,
    /// Forgets a deleted table's view.
    pub drop_view: DropView,
    /// In the order in which units start; they stop in the opposite one.
    pub kinds: Vec<UnitKind>,
    /// Who removes what is owned outside the data folder.
    pub clears: Vec<(&'static str, Clear)>,
    /// Seed of the jitter.
    pub seed: u64,
    /// Set once everything has been looked at after the start, and statuses say how it is.
    pub looked: Arc<AtomicBool>,
    /// What runs, for dry runs.
    pub running: Arc<RwLock<Running>>,
    /// Makes it look at once: a change, or a test that moved the clock.
    pub wake: Arc<Notify>,
}

/// Looks at what is there.
pub(crate) fn observe(log: &dyn Log) -> Observed {
    Observed { streams: log.streams().into_iter().map(|stream| (stream.name.clone(), stream)).collect() }
}

/// What happened to a unit, told by the tasks around it. `token` tells incarnations apart.
struct Event {
    id: String,
    token: u64,
    what: What,
}

enum What {
    Started(Result<Arc<dyn Unit>, Problem>),
    Ended(Result<(), Problem>),
    Stopped,
}

pub(crate) struct Supervisor {
    parts: Arc<Parts>,
    slots: BTreeMap<String, Slot>,
    events: mpsc::UnboundedReceiver<Event>,
    tell: mpsc::UnboundedSender<Event>,
    tasks: JoinSet<()>,
    tokens: u64,
    random: u64,
    compared: Option<Duration>,
    saved: Duration,
    verdicts: HashMap<String, Verdict>,
}

/// What a pass found about a resource before looking at its units.
#[derive(Clone)]
struct Verdict {
    resource: Arc<Resource>,
    units: Vec<String>,
    /// Set when something is wrong or missing besides the units.
    status: Option<Status>,
}

impl Supervisor {
    pub(crate) fn new(parts: Arc<Parts>) -> Self {
        // Bounded by the number of units: each has at most two tasks that send one event each.
        let (tell, events) = mpsc::unbounded_channel();
        let random = parts.seed | 1;
        Self {
            parts,
            slots: BTreeMap::new(),
            events,
            tell,
            tasks: JoinSet::new(),
            tokens: 0,
            random,
            compared: None,
            saved: Duration::ZERO,
            verdicts: HashMap::new(),
        }
    }

    /// Runs until it is told to stop; all units have stopped when it returns.
    pub(crate) async fn run(mut self, mut stop: Stop) -> Result<(), Problem> {
        let changed = self.parts.resources.changed();
        let wake = Arc::clone(&self.parts.wake);
        loop {
            if self.compared.is_none_or(|at| self.parts.clock.elapsed() >= at + RESYNC_EVERY) || self.due() {
                self.pass().await;
            }
            self.statuses();
            self.parts.looked.store(true, Ordering::Release);
            self.save().await;
            let pause = self.pause();
            tokio::select! {
                () = changed.notified() => self.compared = None,
                () = wake.notified() => self.compared = None,
                event = self.events.recv() => self.take(event),
                () = tokio::time::sleep(pause) => {}
                () = stop.wait() => break,
            }
            while let Ok(event) = self.events.try_recv() {
                self.take(Some(event));
            }
            while self.tasks.try_join_next().is_some() {}
        }
        self.shut_down().await;
        Ok(())
    }

    /// True if a unit's pause is over.
    fn due(&self) -> bool {
        let now = self.parts.clock.elapsed();
        self.slots.values().any(|slot| matches!(slot.phase, Phase::Waiting { until } if until <= now))
    }

    fn pause(&self) -> Duration {
        let now = self.parts.clock.elapsed();
        let waits = self.slots.values().filter_map(|slot| match slot.phase {
            Phase::Waiting { until } => Some(until.saturating_sub(now)),
            _ => None,
        });
        waits.min().unwrap_or(STATUS_EVERY).clamp(Duration::from_millis(5), STATUS_EVERY)
    }

    fn take(&mut self, event: Option<Event>) {
        self.compared = None;
        let Some(Event { id, token, what }) = event else { return };
        let now = self.parts.clock.elapsed();
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.token == token) else { return };
        match what {
            What::Started(Ok(unit)) => {
                slot.started = now;
                if matches!(slot.phase, Phase::Starting { doomed: true }) {
                    slot.phase = Phase::Stopping;
                    self.spawn_stop(id, token, unit);
                } else {
                    slot.phase = Phase::Running(Arc::clone(&unit));
                    tracing::info!(unit = %id, "unit started");
                    self.spawn_watch(id, token, unit);
                }
            }
            What::Started(Err(problem)) => {
                if matches!(slot.phase, Phase::Starting { doomed: true }) {
                    self.slots.remove(&id);
                } else {
                    self.failed(&id, problem);
                }
            }
            What::Ended(_) if matches!(slot.phase, Phase::Stopping) => {}
            What::Ended(Ok(())) => {
                tracing::info!(unit = %id, "unit ended");
                slot.phase = Phase::Ended;
            }
            What::Ended(Err(problem)) => self.failed(&id, problem),
            What::Stopped => {
                tracing::info!(unit = %id, "unit stopped");
                self.slots.remove(&id);
            }
        }
    }

    fn failed(&mut self, id: &str, problem: Problem) {
        let now = self.parts.clock.elapsed();
        self.random = slot::next_random(self.random);
        if let Some(slot) = self.slots.get_mut(id) {
            let pause = slot.fail(problem, now, self.random);
            let (code, title) = slot.last.as_ref().map_or(("", ""), |last| (last.code.as_str(), last.title.as_str()));
            tracing::warn!(
                unit = id,
                failures = slot.failures,
                code,
                title,
                pause_ms = pause.as_millis(),
                "unit failed"
            );
        }
    }

    /// Compares everything and acts.
    async fn pass(&mut self) {
        self.compared = Some(self.parts.clock.elapsed());
        let (mut wanted, mut problems) = (Vec::new(), HashMap::new());
        // Objects made for one resource may be what another waits for: look again until nothing was made.
        for _ in 0..3 {
            let observed = observe(self.parts.log.as_ref());
            wanted = self.plans(&observed);
            problems.clear();
            if !self.objects(&wanted, &observed, &mut problems).await {
                break;
            }
        }
        self.finish_deletions().await;
        self.units(&wanted, &problems);
    }

    /// The plan of each resource, or why it has none yet.
    fn plans(&self, observed: &Observed) -> Vec<(Arc<Resource>, Result<Plan, Status>)> {
        let there = |reference: &crate::kind::Ref| match self.parts.resources.get(reference.kind, &reference.name) {
            Some(resource) => resource.metadata.deleting.is_none(),
            None => reference.kind == "Stream" && observed.streams.contains_key(reference.name.as_str()),
        };
        let plan = |resource: &Arc<Resource>| {
            let Some(kind) = self.parts.registry.kind(&resource.kind) else {
                return Err(Status::failed("UnknownKind", format!("this node knows no kind `{}`", resource.kind)));
            };
            let names = kind.names(resource).map_err(|problem| Status::broken(&problem))?;
            match names.into_iter().find(|reference| reference.needed && !there(reference)) {
                Some(missing) => {
                    let id = format!("{}/{}", missing.kind, missing.name);
                    Err(Status::pending(Status::WAITING, format!("waits for `{id}`, which does not exist")))
                }
                None => kind.plan(resource, observed).map_err(|problem| Status::broken(&problem)),
            }
        };
        let resources =
            self.parts.resources.list(None).into_iter().filter(|resource| resource.metadata.deleting.is_none());
        resources.map(|resource| (Arc::clone(&resource), plan(&resource))).collect()
    }

    /// Creates and alters streams; true if any was. What fails is noted for its resource.
    async fn objects(
        &self,
        wanted: &[(Arc<Resource>, Result<Plan, Status>)],
        observed: &Observed,
        problems: &mut HashMap<String, String>,
    ) -> bool {
        let mut acted = false;
        let mut objects: Vec<_> = wanted
            .iter()
            .flat_map(|(resource, plan)| {
                plan.iter().flat_map(Plan::objects).map(move |(object, is_read)| (resource, object, is_read))
            })
            .collect();
        objects.sort_by_key(|(_, object, is_read)| object.turn(*is_read));
        for (resource, object, is_read) in objects {
            let Some(action) = object.action(observed) else { continue };
            let result = match (action.verb, observed.streams.get(&object.name)) {
                (Verb::Alter, Some(stream)) => {
                    self.parts.log.alter(&object.name, object.target(stream), object.extra.clone()).await
                }
                _ => {
                    let extra = object.extra.clone();
                    // Whoever describes a stream owns it; for whom another one was made is known by its mark.
                    let extra = if object.alter { extra } else { made::marked(extra, resource.id(), is_read) };
                    self.parts.log.create(object.name.clone(), object.config.clone(), extra).await
                }
            };
            match result {
                // Another resource wanted the same stream in this very round.
                Ok(_) | Err(LogError::StreamExists(_)) => {
                    tracing::info!(%action, resource = %resource.id(), "object changed");
                    acted = true;
                }
                Err(error) => {
                    problems.entry(resource.id()).or_insert_with(|| format!("{action}: {error}"));
                }
            }
        }
        acted
    }

    /// Starts what is wanted and does not run, stops what runs and is not wanted.
    fn units(&mut self, wanted: &[(Arc<Resource>, Result<Plan, Status>)], problems: &HashMap<String, String>) {
        let now = self.parts.clock.elapsed();
        let mut units: BTreeMap<String, UnitSpec> = BTreeMap::new();
        self.verdicts.clear();
        for (resource, plan) in wanted {
            let id = resource.id();
            let mut verdict = Verdict { resource: Arc::clone(resource), units: Vec::new(), status: None };
            match plan {
                Err(status) => verdict.status = Some(status.clone()),
                Ok(plan) => {
                    let problem = problems.get(&id);
                    for unit in &plan.units {
                        // A unit that runs already is not stopped because an object cannot be changed just now.
                        if problem.is_none() || self.slots.contains_key(&unit.id()) {
                            units.insert(unit.id(), unit.clone());
                        }
                        verdict.units.push(unit.id());
                    }
                    let unreadable =
                        || plan.secrets.iter().find_map(|name| self.parts.secrets.read(name.as_str()).err());
                    verdict.status = match problem {
                        Some(problem) => Some(Status::failed("Failed", problem.clone())),
                        None => unreadable().map(|problem| Status::failed("Unreadable", problem.title)),
                    };
                }
            }
            self.verdicts.insert(id, verdict);
        }
        let unwanted: Vec<String> = self
            .slots
            .iter()
            .filter(|(id, slot)| units.get(*id).is_none_or(|unit| unit.hash != slot.spec.hash))
            .map(|(id, _)| id.clone())
            .collect();
        for id in unwanted {
            self.end(&id);
        }
        for (id, unit) in &units {
            let start = match self.slots.get(id) {
                None => Some(0),
                Some(Slot { phase: Phase::Waiting { until }, failures, .. }) if *until <= now => Some(*failures),
                Some(_) => None,
            };
            if let Some(failures) = start {
                self.spawn_start(id.clone(), unit.clone(), failures);
            }
        }
        *self.parts.running.write() = self.slots.iter().map(|(id, slot)| (id.clone(), slot.spec.hash)).collect();
    }

    /// Says of every resource how far it is.
    fn statuses(&self) {
        for verdict in self.verdicts.values() {
            let resource = &verdict.resource;
            let status = match &verdict.status {
                Some(status) => status.clone(),
                None => self.status_of(&verdict.units),
            };
            let status = Status { observed_generation: resource.metadata.generation, ..status };
            let name = resource.metadata.name.as_str();
            self.parts.resources.set_status(&resource.kind, name, &resource.metadata.uid, status);
        }
    }

    /// The worst of the units' statuses.
    fn status_of(&self, units: &[String]) -> Status {
        let statuses = units.iter().map(|id| match self.slots.get(id) {
            Some(slot) => slot.status(),
            None => Status::pending("Starting", ""),
        });
        let worst = statuses.min_by_key(|status| match status.ready {
            crate::resource::Ready::False => 0,
            crate::resource::Ready::Unknown => 1,
            crate::resource::Ready::True => 2,
        });
        worst.unwrap_or_else(|| Status::ready("Exists", ""))
    }

    async fn save(&mut self) {
        let now = self.parts.clock.elapsed();
        if now < self.saved + SAVE_EVERY {
            return;
        }
        self.saved = now;
        if let Err(problem) = self.parts.resources.save_statuses().await {
            tracing::warn!(code = problem.code, title = problem.title, "statuses were not saved");
        }
    }

    /// Stops all units, kinds in the opposite order of their table, and waits for them.
    async fn shut_down(&mut self) {
        let kinds: Vec<&'static str> = self.parts.kinds.iter().rev().map(|kind| kind.name).collect();
        for kind in kinds {
            let ids: Vec<String> =
                self.slots.iter().filter(|(_, slot)| slot.spec.kind == kind).map(|(id, _)| id.clone()).collect();
            for id in &ids {
                self.end(id);
            }
            while ids.iter().any(|id| self.slots.contains_key(id)) {
                let event = self.events.recv().await;
                self.take(event);
                // A unit that failed while it was to stop need not be tried again.
                self.slots.retain(|_, slot| {
                    slot.spec.kind != kind || !matches!(slot.phase, Phase::Waiting { .. } | Phase::Ended)
                });
            }
        }
        self.parts.running.write().clear();
        if let Err(problem) = self.parts.resources.save_statuses().await {
            tracing::warn!(code = problem.code, title = problem.title, "statuses were not saved");
        }
    }
}
