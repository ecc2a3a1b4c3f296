//! `Pipelines`: the pipelines of a node, by name: starts and stops their threads, answers for features and for
//! enrichment on demand.
//!
//! The kernel's supervisor calls [`Pipelines::unit_kind`]'s row; nothing else starts a pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_base::{Clock, Limits, Micros, Name, Problem};
use headwater_kernel::port::{Context, Enrich, Features, Json, LookupKind, Reconcile};
use headwater_kernel::resource::Status;
use headwater_kernel::unit::{self, Haste, Unit, UnitKind};
use headwater_log::{Log, View};
use parking_lot::RwLock;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::compile::{Plan, Work};
use crate::kinds::pipeline;
use crate::operators::aggregate::Shape;
use crate::program::Compiler;
use crate::runtime::asking::Inbox;
use crate::runtime::backends::{Backends, connect};
use crate::runtime::circles::{Circles, Way};
use crate::runtime::enrich;
use crate::runtime::figures::Figures;
use crate::runtime::park::StopSignal;
use crate::runtime::{reconcile, task};

/// The pipelines of a node. Cheap to clone.
#[derive(Clone)]
pub struct Pipelines(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    context: Context,
    lookups: &'static [LookupKind],
    compiler: Compiler,
    handle: Handle,
    circles: Circles,
    running: RwLock<BTreeMap<String, Arc<Running>>>,
}

/// One running pipeline.
struct Running {
    plan: Arc<Plan>,
    backends: Arc<Backends>,
    figures: Arc<Figures>,
    way: Arc<Way>,
    stop: StopSignal,
    ended: watch::Receiver<Option<Result<(), Problem>>>,
    /// Readers of its aggregates: entity, space, shape.
    features: Vec<(Name, String, Arc<Shape>)>,
}

impl Pipelines {
    /// The pipelines of a node; none runs yet. Lookups run on `handle`.
    pub fn new(
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
        context: Context,
        lookups: &'static [LookupKind],
        handle: Handle,
    ) -> Self {
        let compiler = Compiler::new(Arc::clone(&context.secrets));
        let (circles, running) = (Circles::default(), RwLock::default());
        Self(Arc::new(Inner { log, clock, limits, context, lookups, compiler, handle, circles, running }))
    }

    /// The row for the kernel's table of unit kinds.
    pub fn unit_kind(&self) -> UnitKind {
        UnitKind::new(pipeline::UNIT, self, |pipelines: Self, unit| async move {
            let plan = pipeline::plan(&unit.resource.draft(), &pipelines.0.compiler).map_err(first)?;
            pipelines.start(plan, unit.resource.metadata.state_epoch).await
        })
    }

    /// Starts a pipeline; resolves once it has taken up its last commit and reads.
    ///
    /// # Errors
    /// As [`task::run`], and `HW-CONNECT-*` or `HW-FLOW-021` for a lookup that cannot be built.
    pub async fn start(&self, plan: Plan, epoch: u64) -> Result<Arc<dyn Unit>, Problem> {
        let inner = &self.0;
        let plan = Arc::new(plan);
        let inbox = Arc::new(Inbox::default());
        let backends = Arc::new(connect(&plan, inner.lookups, &inner.context, &inner.clock, &inner.handle)?);
        let figures = Arc::new(Figures::of(&plan));
        let stop = StopSignal::waking(Arc::clone(&inbox.wake));
        let (way, circle) = inner.circles.enter(&plan);
        let setup = task::Setup {
            plan: Arc::clone(&plan),
            epoch,
            log: Arc::clone(&inner.log),
            clock: Arc::clone(&inner.clock),
            limits: Arc::clone(&inner.limits),
            asking: backends.asking(&inbox),
            inbox,
            figures: Arc::clone(&figures),
            circle,
            stop: stop.clone(),
        };
        let (end, ended) = watch::channel(None);
        let (ready, begun) = oneshot::channel();
        let name = plan.name.clone();
        unit::spawn(format!("flow-{name}"), Haste::Soon, move || {
            let ready = parking_lot::Mutex::new(Some(ready));
            let started = || {
                if let Some(ready) = ready.lock().take() {
                    // Nobody may be waiting any more.
                    let _ = ready.send(());
                }
            };
            let result = unit::contained(|| task::run(&setup, &started)).unwrap_or_else(|_| {
                let problem = Problem::new(
                    "HW-FLOW-044",
                    format!("pipeline `{}` ended by a bug in the program", setup.plan.name),
                );
                Err(problem.help(
                    "it is started again from its last commit; please report this with the lines of the log before it",
                ))
            });
            end.send_replace(Some(result));
        })
        .map_err(|error| {
            inner.circles.leave(name.as_str(), &way);
            Problem::new("HW-FLOW-045", format!("no thread for pipeline `{name}`: {error}"))
        })?;
        let features = features(&plan);
        let running = Arc::new(Running { plan, backends, figures, way, stop, ended, features });
        if begun.await.is_err() {
            inner.circles.leave(name.as_str(), &running.way);
            // The thread ended before it had begun.
            return Err(running.finished().await.err().unwrap_or_else(|| {
                Problem::new("HW-FLOW-043", format!("pipeline `{name}` was stopped while it started"))
            }));
        }
        inner.running.write().insert(name.to_string(), Arc::clone(&running));
        Ok(Arc::new(Handed { running, pipelines: self.clone() }))
    }

    /// Figures of all running pipelines: pipeline -> (name, value), names as `hw_flow_*` without the prefix.
    pub fn figures(&self) -> Vec<(String, Vec<(&'static str, f64)>)> {
        self.0.running.read().iter().map(|(name, running)| (name.clone(), running.figures.list())).collect()
    }

    /// Figures of the steps of all running pipelines, in their order: (pipeline, step) -> (name, value), names as
    /// `hw_flow_step_*` without the prefix.
    pub fn step_figures(&self) -> Vec<((String, String), Vec<(&'static str, f64)>)> {
        let running = self.0.running.read();
        let of = |name: &String, running: &Arc<Running>| {
            let steps = running.plan.steps.iter().zip(&running.figures.steps);
            steps
                .map(|(step, figures)| ((name.clone(), step.id.to_string()), figures.list(&step.work)))
                .collect::<Vec<_>>()
        };
        running.iter().flat_map(|(name, running)| of(name, running)).collect()
    }

    /// Records that all running pipelines wrote: (pipeline, stream) -> records.
    pub fn written_figures(&self) -> Vec<((String, String), u64)> {
        use std::sync::atomic::Ordering;
        let running = self.0.running.read();
        let of = |name: &String, running: &Arc<Running>| {
            let streams = running.plan.streams.iter().zip(&running.figures.written);
            let rows =
                streams.map(|(stream, written)| ((name.clone(), stream.to_string()), written.load(Ordering::Relaxed)));
            rows.collect::<Vec<_>>()
        };
        running.iter().flat_map(|(name, running)| of(name, running)).collect()
    }

    /// Figures of the lookups of all running pipelines: (pipeline, step) -> (name, value).
    pub fn lookup_figures(&self) -> Vec<((String, String), Vec<(&'static str, u64)>)> {
        let running = self.0.running.read();
        let of = |name: &String, running: &Arc<Running>| {
            let name = name.clone();
            running
                .backends
                .figures(&running.plan)
                .into_iter()
                .map(move |(step, figures)| ((name.clone(), step), figures))
                .collect::<Vec<_>>()
        };
        running.iter().flat_map(|(name, running)| of(name, running)).collect()
    }

    /// Recomputes what a running pipeline said about a span of event time, and repairs it if asked to. What the
    /// watermark has not passed yet is left out: it is not final.
    ///
    /// # Errors
    /// `HW-FLOW-046` for an unknown pipeline, else as [`reconcile::reconcile`].
    pub(crate) async fn recompute(
        &self,
        pipeline: &str,
        mut span: reconcile::Span,
    ) -> Result<reconcile::Report, Problem> {
        let Some(running) = self.0.running.read().get(pipeline).cloned() else { return Err(self.unknown(pipeline)) };
        if running.plan.stateful() {
            let behind = running.plan.watermark.lateness;
            span.to = self.watermark(pipeline).map_or(span.from, |watermark| span.to.min(watermark.minus(behind)));
        }
        let inner = Arc::clone(&self.0);
        let (send, receive) = oneshot::channel();
        let work = move || {
            let around = reconcile::Around {
                log: &inner.log,
                clock: &inner.clock,
                limits: &inner.limits,
                backends: &running.backends,
            };
            // Nobody may be waiting any more.
            let _ = send.send(reconcile::reconcile(&running.plan, span, &around));
        };
        unit::spawn("flow-reconcile".to_owned(), Haste::Later, work)
            .map_err(|error| Problem::new("HW-FLOW-045", format!("no thread to reconcile `{pipeline}`: {error}")))?;
        receive.await.unwrap_or_else(|_| {
            Err(Problem::new("HW-FLOW-044", format!("reconciling `{pipeline}` ended by a bug in the program")))
        })
    }

    fn unknown(&self, pipeline: &str) -> Problem {
        let names: Vec<String> = self.0.running.read().keys().cloned().collect();
        let near = headwater_base::closest(pipeline, names.iter().map(String::as_str))
            .map(|near| format!("did you mean `{near}`?"));
        let shown: String = pipeline.chars().take(60).collect();
        Problem::new("HW-FLOW-046", format!("there is no running pipeline `{shown}`"))
            .help(near.unwrap_or_else(|| "`headwater get pipelines` lists them".to_owned()))
    }

    /// The watermark of a running pipeline: before it, its results are complete.
    pub fn watermark(&self, pipeline: &str) -> Option<Micros> {
        let running = self.0.running.read();
        let figures = &running.get(pipeline)?.figures;
        Some(Micros(figures.watermark_micros.load(std::sync::atomic::Ordering::Relaxed)))
            .filter(|time| *time != Micros::MIN)
    }
}

fn first(problems: Vec<Problem>) -> Problem {
    problems.into_iter().next().unwrap_or_else(|| Problem::new("HW-FLOW-002", "the pipeline's spec cannot be read"))
}

fn features(plan: &Plan) -> Vec<(Name, String, Arc<Shape>)> {
    let of = |step: &crate::compile::Step| {
        let Work::Aggregate(work) = &step.work else { return None };
        let shape = crate::operators::Aggregate::new(work.config.clone()).ok()?.shape();
        Some((work.entity.clone()?, plan.space(&step.id), shape))
    };
    plan.steps.iter().filter_map(of).collect()
}

impl Running {
    async fn finished(&self) -> Result<(), Problem> {
        let mut ended = self.ended.clone();
        let result = match ended.wait_for(Option::is_some).await {
            Ok(result) => result.clone(),
            Err(_) => None,
        };
        result.unwrap_or(Ok(()))
    }
}

/// A running pipeline in the supervisor's hand.
struct Handed {
    running: Arc<Running>,
    pipelines: Pipelines,
}

impl Unit for Handed {
    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.running.stop.set();
            let _ = self.running.finished().await;
            self.pipelines.0.circles.leave(self.running.plan.name.as_str(), &self.running.way);
            let mut all = self.pipelines.0.running.write();
            if all.get(self.running.plan.name.as_str()).is_some_and(|known| Arc::ptr_eq(known, &self.running)) {
                all.remove(self.running.plan.name.as_str());
            }
        })
    }

    fn finished(&self) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.running.finished())
    }

    fn status(&self) -> Status {
        let figures = &self.running.figures;
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        Status::ready(
            "Running",
            format!(
                "{} events, {} dead letters, {} behind",
                read(&figures.events),
                read(&figures.dead),
                read(&figures.lag)
            ),
        )
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.running.stop.set();
    }
}

impl Features for Pipelines {
    fn read(&self, entity: &str, key: &str) -> Option<Json> {
        let running = self.0.running.read();
        let mut merged: Vec<u8> = Vec::new();
        for pipeline in running.values() {
            for (_, space, shape) in pipeline.features.iter().filter(|(name, ..)| name.as_str() == entity) {
                let Some(value) = self.0.log.get(space, key.as_bytes(), View::Durable) else { continue };
                let mut rendered = Vec::new();
                if shape.render(&value, self.0.clock.now(), &mut rendered).is_err() {
                    continue;
                }
                match rendered.strip_prefix(b"{").filter(|fields| *fields != b"}") {
                    Some(fields) if merged.len() > 1 => {
                        merged.pop();
                        merged.push(b',');
                        merged.extend_from_slice(fields);
                    }
                    _ => merged = rendered,
                }
            }
        }
        (!merged.is_empty()).then(|| Json::from(merged))
    }

    fn entities(&self) -> Vec<String> {
        let running = self.0.running.read();
        let names = running.values().flat_map(|running| &running.features).map(|(entity, ..)| entity.to_string());
        names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }
}

impl Reconcile for Pipelines {
    fn reconcile<'a>(
        &'a self,
        pipeline: &'a str,
        from: Micros,
        to: Micros,
        repair: bool,
    ) -> BoxFuture<'a, Result<Value, Problem>> {
        Box::pin(async move {
            let report = self.recompute(pipeline, reconcile::Span { from, to, repair }).await?;
            Ok(serde_json::to_value(report).unwrap_or_default())
        })
    }
}

impl Enrich for Pipelines {
    fn enrich<'a>(&'a self, pipeline: &'a str, event: Json) -> BoxFuture<'a, Result<Json, Problem>> {
        let found = self.0.running.read().get(pipeline).cloned();
        let now = self.0.clock.now();
        Box::pin(async move {
            let Some(running) = found else { return Err(self.unknown(pipeline)) };
            enrich::enrich(&running.plan, &running.backends, event, now).await
        })
    }
}
