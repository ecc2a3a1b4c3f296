//! `Buses`: the rules, pipes, schedules, reports, archives and destinations of a node, as units that the kernel's supervisor
//! starts and stops; and the port through which others put events.

use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_base::{Clock, Limits, Micros, Name, Problem, closest};
use headwater_kernel::Site;
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::bus::{BusEvent, DEFAULT_BUS, ReplayRequest};
use headwater_kernel::port::outlet::BuildOutlet;
use headwater_kernel::port::{Bus, Charts, Context, Enrich, Outlet, Outlets, Pictures, Reconcile, Tables, Workflows};
use headwater_kernel::reconcile::UnitSpec;
use headwater_kernel::resource::{Resource, Status};
use headwater_kernel::unit::{Roster, Task, Unit, UnitKind, awaited, bug};
use headwater_log::{Log, LogError, StreamConfig};
use serde_json::{Map, Value};
use tokio::sync::{Notify, mpsc};

use crate::compile::{Compiled, Find, compile, report_of};
use crate::kinds::{archive, pipe, report, rule, schedule};
use crate::runtime::cohort::{Ending, Member};
use crate::runtime::deliver::Outside;
use crate::runtime::desk::Desk;
use crate::runtime::dispatch::Dispatch;
use crate::runtime::figures::Figures;
use crate::runtime::put::{self, Ids};
use crate::runtime::reader::{Readers, Setup};
use crate::runtime::replay::Replays;
use crate::runtime::reports::Report;
use crate::runtime::scheduler::{Retire, Scheduler};
use crate::runtime::station::{Paced, Stations};

/// The unit kind that runs a destination.
pub const DESTINATION_UNIT: &str = "destination";

/// What the bus of a node is made of.
pub struct Parts {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Documents.
    pub tables: Arc<dyn Tables>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// What destinations are built with.
    pub context: Context,
    /// Builds a destination.
    pub build: BuildOutlet,
    /// Pipelines that are asked.
    pub enrich: Option<Arc<dyn Enrich>>,
    /// Pipelines that are reconciled.
    pub reconcile: Option<Arc<dyn Reconcile>>,
    /// Resources.
    pub find: Find,
    /// Deletes a schedule that is over.
    pub retire: Option<Retire>,
    /// Differs between lives of a node: for ids and pauses.
    pub seed: u64,
}

/// The bus of a node. Cheap to clone.
#[derive(Clone)]
pub struct Buses(Arc<Inner>);

struct Inner {
    parts: Parts,
    outside: Arc<Outside>,
    readers: Readers,
    scheduler: Arc<Scheduler>,
    replays: Arc<Replays>,
    ids: Ids,
    running: Roster<Figures>,
    /// Acts on schedules as they are due.
    clockwork: Arc<Task>,
}

impl Buses {
    /// Opens the bus: its default stream is there, replays go on, nothing else runs yet.
    ///
    /// # Errors
    /// `HW-BUS-032` when the stream `bus.default` cannot be made.
    pub async fn open(parts: Parts) -> Result<Self, Problem> {
        let default = Name::new(DEFAULT_BUS)?;
        if parts.log.stream(DEFAULT_BUS).is_none() {
            // One partition: events of a bus have one order.
            let config = StreamConfig { partitions: 1, ..default_config(&parts.limits) };
            match parts.log.create(default, config, Vec::new()).await {
                Ok(_) | Err(LogError::StreamExists(_)) => {}
                Err(error) => {
                    return Err(Problem::new(
                        "HW-BUS-032",
                        format!("the stream `{DEFAULT_BUS}` cannot be made: {error}"),
                    ));
                }
            }
        }
        let (log, tables, clock) = (parts.log.clone(), parts.tables.clone(), parts.clock.clone());
        let outside = Arc::new(Outside {
            clock: clock.clone(),
            stations: Stations::default(),
            enrich: parts.enrich.clone(),
            reconcile: parts.reconcile.clone(),
            workflows: std::sync::OnceLock::new(),
            desk: std::sync::OnceLock::new(),
        });
        let scheduler = Arc::new(Scheduler::new(log.clone(), tables, clock.clone()));
        let of = Arc::clone(&scheduler);
        let clockwork = Task::spawn("scheduler", |mut stop| async move {
            tokio::select! {
                () = of.run() => {}
                () = stop.wait() => {}
            }
            Ok(())
        });
        let replays = Replays::open(log, clock, parts.limits.clone());
        let ids = Ids::new(parts.seed);
        let (readers, running) = (Readers::default(), Roster::default());
        Ok(Self(Arc::new(Inner { parts, outside, readers, scheduler, replays, ids, running, clockwork })))
    }

    /// Resolves once what acts on all schedules has ended by a bug: none is due any more before the next start.
    pub async fn broken(&self) -> Problem {
        self.0.clockwork.broken().await
    }

    /// Lets rules start workflows from now on. The first call counts.
    pub fn serve_workflows(&self, workflows: Arc<dyn Workflows>) {
        // A second call is a mistake of the wiring that changes nothing.
        let _ = self.0.outside.workflows.set(workflows);
    }

    /// Lets reports be made from now on, with links to `site`. The first call counts.
    pub fn serve_charts(&self, charts: Arc<dyn Charts>, pictures: Option<Arc<dyn Pictures>>, site: Site) {
        let (find, clock) = (self.0.parts.find.clone(), self.0.parts.clock.clone());
        // A second call is a mistake of the wiring that changes nothing.
        let _ = self.0.outside.desk.set(Desk { charts, pictures, find, clock, site });
    }

    /// The rows for the kernel's table of unit kinds, in the order in which they start.
    pub fn unit_kinds(&self) -> Vec<UnitKind> {
        let subscribed = [archive::UNIT, pipe::UNIT, rule::UNIT, schedule::UNIT, report::UNIT].map(|name| {
            UnitKind::new(name, self, |buses: Self, unit| async move { buses.subscribe(&unit.resource).await })
        });
        let destination = |buses: Self, unit: UnitSpec| async move { buses.open_destination(&unit.resource) };
        let mut kinds = vec![UnitKind::new(DESTINATION_UNIT, self, destination)];
        kinds.extend(subscribed);
        kinds
    }

    /// Figures of all that runs: `rule/orders` -> (name, value), names as `hw_bus_*` without the prefix.
    pub fn figures(&self) -> Vec<(String, [(&'static str, u64); 8])> {
        self.0.running.each(Figures::list)
    }

    /// Starts a rule, pipe, schedule, report or archive; resolves once it has its place in its stream.
    ///
    /// # Errors
    /// As [`compile`], [`Readers::join`] and [`Scheduler::join`].
    pub async fn subscribe(&self, resource: &Arc<Resource>) -> Result<Arc<dyn Unit>, Problem> {
        let (find, created) = (&self.0.parts.find, resource.metadata.created);
        if resource.kind != report::KIND.name {
            let handed = self.join(compile(resource, find)?, created).await?;
            return Ok(handed);
        }
        let (draw, post) = report_of(resource, find)?;
        // Who sends is there before the first report is.
        let post = self.join(post, created).await?;
        match self.join(draw, created).await {
            Ok(draw) => Ok(Arc::new(Report { draw, post })),
            Err(problem) => {
                post.stop().await;
                Err(problem)
            }
        }
    }

    async fn join(&self, compiled: Compiled, created: Micros) -> Result<Arc<Handed>, Problem> {
        let inner = &self.0;
        let parts = &inner.parts;
        let Compiled { subscription, source, calendar } = compiled;
        let subscription = Arc::new(subscription);
        let id = subscription.id();
        let (figures, ending, freed) = (Arc::new(Figures::default()), Ending::default(), Arc::new(Notify::new()));
        let (tell, told) = mpsc::unbounded_channel();
        let dispatch = subscription.delivers().then(|| Dispatch {
            subscription: Arc::clone(&subscription),
            figures: Arc::clone(&figures),
            log: parts.log.clone(),
            tables: parts.tables.clone(),
            clock: parts.clock.clone(),
            outside: Arc::clone(&inner.outside),
            limits: Arc::clone(&parts.limits),
            seed: parts.seed,
            freed: Arc::clone(&freed),
        });
        if dispatch.is_some() {
            // What an earlier life appended has to be durable to be found.
            let owner = Name::new("bus.deliveries")?;
            parts
                .log
                .fence(&owner)
                .await
                .map_err(|error| Problem::new("HW-BUS-022", format!("deliveries of `{id}`: {error}")))?;
        }
        // What waits already is taken up before the reader adds to it.
        let queue = dispatch.as_ref().map(Dispatch::begin);
        let tell = dispatch.is_some().then_some(tell);
        let member = Arc::new(Member::new(Arc::clone(&subscription), Arc::clone(&figures), tell, ending.clone()));
        let reader = match &source {
            None => None,
            Some(stream) => Some(inner.readers.join(&self.setup(stream.clone()), Arc::clone(&member)).await?),
        };
        if let Some(calendar) = calendar {
            let joined = inner.scheduler.join(Arc::clone(&member), calendar, created, parts.retire.clone()).await;
            if let (Err(_), Some(reader)) = (&joined, &reader) {
                // Nobody would ever take it away again, and its next life would read beside it.
                reader.leave(&id).await;
            }
            joined?;
        }
        inner.running.enter(&id, Arc::clone(&figures));
        let (buses, name) = (self.clone(), id.clone());
        let task = Task::spawn(&id, |mut stop| async move {
            let deliveries = async {
                let (Some(dispatch), Some(queue)) = (dispatch, queue) else { return std::future::pending().await };
                // Whatever ends them, the subscription leaves its places as it has to.
                let ended = awaited(dispatch.run(queue, told)).await;
                ended.unwrap_or_else(|said| Err(bug(format_args!("deliveries of `{name}`"), &said)))
            };
            let room = async {
                loop {
                    freed.notified().await;
                    if let Some(reader) = &reader {
                        reader.wake.notify_one();
                    }
                }
            };
            let result = tokio::select! {
                () = stop.wait() => Ok(()),
                result = ending.heard() => result,
                result = deliveries => result,
                () = room => Ok(()),
            };
            if let Some(reader) = &reader {
                reader.leave(&name).await;
            }
            buses.0.scheduler.leave(&name);
            buses.0.running.leave(&name, &figures);
            result
        });
        Ok(Arc::new(Handed { task, member, scheduled: source.is_none() }))
    }

    /// Opens a destination over an outlet, for tests.
    #[cfg(test)]
    pub(super) fn station(&self, name: &str, outlet: Arc<dyn Outlet>) {
        self.0.outside.stations.open(name, outlet);
    }

    /// What acts on schedules, for tests.
    #[cfg(test)]
    pub(super) fn scheduler(&self) -> &Scheduler {
        &self.0.scheduler
    }

    fn setup(&self, stream: Name) -> Setup {
        let parts = &self.0.parts;
        let (log, tables) = (parts.log.clone(), parts.tables.clone());
        Setup { stream, log, tables, clock: parts.clock.clone(), limits: parts.limits.clone() }
    }

    /// `HW-BUS-045` for a replay to rules of which one would never hear of it.
    fn deaf(&self, request: &ReplayRequest, archive: &Resource) -> Option<Problem> {
        let source = |of: &Resource| of.effective()["source"].as_str().unwrap_or_default().to_owned();
        let bus = source(archive);
        request.rules.iter().find_map(|name| {
            let shown: String = name.chars().take(80).collect();
            let shown = shown.escape_debug();
            let Some(rule) = (self.0.parts.find)("Rule", name) else {
                let running = self.0.running.each(|_| ());
                let rules = running.iter().filter_map(|(id, ())| id.strip_prefix("rule/"));
                let near = closest(name, rules).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                return Some(
                    Problem::new("HW-BUS-045", format!("there is no rule `{shown}` to replay to"))
                        .help(format!("`headwater get rules` lists them{near}")),
                );
            };
            let reads = source(&rule);
            let fact = format!("rule `{shown}` reads `{reads}`, and archive `{}` is of `{bus}`", request.archive);
            (reads != bus).then(|| {
                Problem::new("HW-BUS-045", fact).help("name rules of the archive's bus, or none for all of them")
            })
        })
    }

    fn open_destination(&self, resource: &Resource) -> Result<Arc<dyn Unit>, Problem> {
        let inner = &self.0;
        let name = resource.metadata.name.to_string();
        let outlet = (inner.parts.build)(resource.effective(), &inner.parts.context)?;
        let station = inner.outside.stations.open(&name, outlet);
        let outside = Arc::clone(&inner.outside);
        Ok(Task::spawn(&resource.id(), |mut stop| async move {
            stop.wait().await;
            outside.stations.remove(&name, &station, &*outside.clock);
            Ok(())
        }))
    }
}

impl Outlets for Buses {
    fn outlet(&self, destination: &str) -> Option<Arc<dyn Outlet>> {
        let station = self.0.outside.stations.get(destination)?;
        Some(Arc::new(Paced { station, clock: self.0.parts.clock.clone() }))
    }
}

/// A running subscription in the supervisor's hand.
pub(super) struct Handed {
    task: Arc<Task>,
    member: Arc<Member>,
    scheduled: bool,
}

impl Handed {
    /// What it counts.
    pub(super) fn figures(&self) -> &Figures {
        &self.member.figures
    }
}

impl Unit for Handed {
    fn stop(&self) -> BoxFuture<'_, ()> {
        self.task.stop()
    }

    fn finished(&self) -> BoxFuture<'_, Result<(), Problem>> {
        self.task.finished()
    }

    fn status(&self) -> Status {
        let figures = &self.member.figures;
        let read = Figures::read;
        let (dead, waiting) = (read(&figures.dead), read(&figures.pending));
        let delivered = read(&figures.delivered);
        if self.scheduled {
            let next = figures.next.load(std::sync::atomic::Ordering::Relaxed);
            let when = if next == 0 { "never again".to_owned() } else { format!("next {}", Micros(next)) };
            let reason = if next == 0 { "Over" } else { "Running" };
            return Status::ready(
                reason,
                format!("{when}; {delivered} delivered, {waiting} wait, {dead} dead letters"),
            );
        }
        let reason = if self.member.is_full() { "Waiting" } else { "Running" };
        let (matched, lag) = (read(&figures.matched), read(&figures.lag));
        Status::ready(
            reason,
            format!("{matched} matched, {delivered} delivered, {waiting} wait, {dead} dead letters, {lag} behind"),
        )
    }
}

impl Bus for Buses {
    fn put<'a>(
        &'a self,
        bus: &'a Name,
        events: Vec<BusEvent>,
    ) -> BoxFuture<'a, Result<Vec<Result<String, Problem>>, Problem>> {
        let (inner, parts) = (&self.0, &self.0.parts);
        Box::pin(put::put(&*parts.log, &*parts.clock, &parts.limits, &inner.ids, bus, events))
    }

    fn replay(&self, request: ReplayRequest) -> BoxFuture<'_, Result<(), Problem>> {
        let archive = (self.0.parts.find)("Archive", &request.archive);
        let deaf = archive.as_ref().and_then(|archive| self.deaf(&request, archive));
        Box::pin(async move {
            match deaf {
                Some(problem) => Err(problem),
                None => self.0.replays.begin(request, archive).await,
            }
        })
    }

    fn run_now(&self, unit: &str, name: &str) -> Result<Micros, Problem> {
        self.0.scheduler.run_now(&format!("{unit}/{name}")).ok_or_else(|| {
            Problem::new("HW-BUS-062", format!("there is no {unit} `{}` that runs", name.escape_debug()))
                .help(format!("`headwater get {unit}s` lists them"))
        })
    }

    fn replays(&self) -> Vec<Map<String, Value>> {
        self.0.replays.list()
    }

    fn find_replay(&self, name: &str) -> Option<Map<String, Value>> {
        self.0.replays.find(name)
    }

    fn cancel_replay<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move { self.0.replays.cancel(name) })
    }
}
