//! The alarms of a node: each asks its chart at its times, as a reader of the dashboard would, and writes alerts.
//!
//! An alert and how the alarm stands from then on are one commit under the epoch of its owner, so that a change is told
//! of once, whatever happens in between. How many looks in succession found what is not kept: they begin anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::TryStreamExt as _;
use headwater_base::{Clock, Micros, Name, Problem};
use headwater_kernel::clock::nap;
use headwater_kernel::port::Charts;
use headwater_kernel::port::charts::{Choice, Drawn, Whose};
use headwater_kernel::reconcile::UnitSpec;
use headwater_kernel::resource::Status;
use headwater_kernel::unit::{Roster, Stop, Task, Unit, UnitKind};
use headwater_kernel::{Site, kind};
use headwater_log::outbox::Outbox;
use headwater_log::{Commit, Delta, Log, LogError, View, append_durable};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing::warn;

use crate::alarm::{Judge, Look, Standing, Thresholds};
use crate::kinds::alarm::{AlarmSpec, UNIT, space};

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The key of how an alarm stands.
const STANDING: &[u8] = b"standing";

/// The alarms of a node. Cheap to clone.
#[derive(Clone)]
pub struct Alarms(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    charts: Arc<dyn Charts>,
    /// Where links of alerts lead to.
    site: Site,
    running: Roster<Figures>,
}

/// What an alarm counts and says of itself.
#[derive(Debug, Default)]
struct Figures {
    looks: AtomicU64,
    failures: AtomicU64,
    alerts: AtomicU64,
    raised: AtomicU64,
    /// What the last look brought, for people.
    last: Mutex<Option<Result<String, String>>>,
}

impl Figures {
    fn list(&self) -> [(&'static str, u64); 4] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("alarm_looks_total", read(&self.looks)),
            ("alarm_failures_total", read(&self.failures)),
            ("alerts_total", read(&self.alerts)),
            ("alarm_raised", read(&self.raised)),
        ]
    }
}

impl Alarms {
    /// No alarm runs yet; `charts` answers them, and links of their alerts lead to `site`.
    pub fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, charts: Arc<dyn Charts>, site: Site) -> Self {
        Self(Arc::new(Inner { log, clock, charts, site, running: Roster::default() }))
    }

    /// Figures of the alarms that run: alarm -> (name, value), names as `hw_watch_*` without the prefix.
    pub fn figures(&self) -> Vec<(String, [(&'static str, u64); 4])> {
        self.0.running.each(Figures::list)
    }

    /// The row for the kernel's table of unit kinds.
    pub fn unit_kind(&self) -> UnitKind {
        UnitKind::new(UNIT, self, |alarms: Self, unit| async move { alarms.start(&unit).await })
    }

    async fn start(&self, unit: &UnitSpec) -> Result<Arc<dyn Unit>, Problem> {
        let inner = &self.0;
        let resource = &unit.resource;
        let name = resource.metadata.name.clone();
        let spec: AlarmSpec = kind::decode(resource.effective(), "/spec", &resource.draft().origin)?;
        let figures = Arc::new(Figures::default());
        let life = Life::begin(Arc::clone(inner), name.clone(), spec, Arc::clone(&figures)).await?;
        let task = Task::spawn(&resource.id(), |stop| life.run(stop));
        Ok(inner.running.keep(name.as_str(), figures, task, status))
    }
}

/// What an alarm that runs has to say.
fn status(figures: &Figures) -> Status {
    let reason = if figures.raised.load(Ordering::Relaxed) == 1 { "Raised" } else { "Quiet" };
    match &*figures.last.lock() {
        None => Status::ready(reason, "no look yet"),
        Some(Ok(found)) => Status::ready(reason, found.clone()),
        Some(Err(why)) => Status::failed("Blind", why.clone()),
    }
}

struct Life {
    inner: Arc<Inner>,
    name: Name,
    spec: AlarmSpec,
    /// What the last look had chosen.
    choice: Choice,
    thresholds: Thresholds,
    figures: Arc<Figures>,
    fence: (Name, u64),
    outbox: Outbox,
    judge: Judge,
    /// The time of the last look, or of the beginning, in multiples of `every`.
    looked: i64,
}

impl Life {
    /// Shuts out earlier owners and goes on from how the alarm stands.
    async fn begin(inner: Arc<Inner>, name: Name, spec: AlarmSpec, figures: Arc<Figures>) -> Result<Self, Problem> {
        let refused = |error: LogError| failed(&name, &error);
        let owner = Name::new(&format!("{UNIT}.{name}"))?;
        let fence = (owner.clone(), inner.log.fence(&owner).await.map_err(refused)?);
        let outbox = Outbox::open(&*inner.log, &[spec.alerts(&name)?]).map_err(refused)?;
        let stood = inner.log.get(&space(name.as_str()), STANDING, View::Appended);
        let stood: Standing = stood.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        figures.raised.store(u64::from(stood.raised), Ordering::Relaxed);
        let thresholds = Thresholds { below: spec.below, above: spec.above, sustain: spec.sustain };
        let judge = Judge::new(spec.sustain, stood.raised);
        let choice = spec.choice()?;
        let looked = slot(&spec, inner.clock.now());
        Ok(Self { inner, name, spec, choice, thresholds, figures, fence, outbox, judge, looked })
    }

    /// Looks at each of its times until it is asked to stop. Times that passed meanwhile are left out.
    async fn run(mut self, mut stop: Stop) -> Result<(), Problem> {
        loop {
            let now = self.inner.clock.now();
            if slot(&self.spec, now) == self.looked {
                let next = Micros((self.looked + 1).saturating_mul(every(&self.spec)));
                tokio::select! {
                    () = nap(&*self.inner.clock, next) => continue,
                    () = stop.wait() => return Ok(()),
                }
            }
            self.looked = slot(&self.spec, now);
            tokio::select! {
                done = self.look(now) => done?,
                () = stop.wait() => return Ok(()),
            }
        }
    }

    /// One look; what cannot be asked is told in the status, and is tried again at the next time.
    async fn look(&mut self, now: Micros) -> Result<(), Problem> {
        self.figures.looks.fetch_add(1, Ordering::Relaxed);
        let look = match self.ask().await {
            Ok(look) => look,
            Err(problem) => {
                self.figures.failures.fetch_add(1, Ordering::Relaxed);
                warn!(alarm = %self.name, code = problem.code, title = problem.title, "an alarm cannot look");
                *self.figures.last.lock() = Some(Err(problem.to_string()));
                return Ok(());
            }
        };
        let found = look.value.map_or_else(|| "there is no value".to_owned(), |value| format!("the value is {value}"));
        *self.figures.last.lock() = Some(Ok(found));
        match self.judge.take(&look) {
            Some(raised) => self.tell(raised, &look, now).await,
            None => Ok(()),
        }
    }

    async fn ask(&mut self) -> Result<Look, Problem> {
        let of = Whose::Named(self.spec.dashboard.clone());
        // The page that an alert leads to has them as well.
        self.choice = self.spec.choice()?;
        for (id, values) in self.inner.charts.defaults(&of)? {
            self.choice.filters.entry(id).or_insert(values);
        }
        let Drawn { axes, answer, .. } = self.inner.charts.draw(&of, &self.spec.chart, &self.choice).await?;
        let gather = |mut all: Vec<u8>, chunk: Bytes| async move {
            if all.len() + chunk.len() > ANSWER_BYTES_MAX {
                let fact = format!("the chart has more than {ANSWER_BYTES_MAX} bytes of rows");
                return Err(Problem::new("HW-WATCH-025", fact).help("give the chart a `limit`, or fewer dimensions"));
            }
            all.extend_from_slice(&chunk);
            Ok(all)
        };
        let rows = answer.body.try_fold(Vec::new(), gather).await?;
        let rows: Value = serde_json::from_slice(&rows)
            .map_err(|error| Problem::new("HW-WATCH-025", "the chart's rows cannot be read").because(error))?;
        self.thresholds.look(&rows, axes, self.spec.measure.as_deref()).map_err(|what| {
            Problem::new("HW-WATCH-025", format!("the chart `{}` has {what}", self.spec.chart))
                .help("name one of the chart's measures that is a number")
        })
    }

    /// Writes an alert, and that the alarm stands so from now on.
    async fn tell(&mut self, raised: bool, look: &Look, now: Micros) -> Result<(), Problem> {
        let alert = self.alert(raised, look, now).to_string();
        let key = Some(self.name.as_str().as_bytes());
        self.outbox.put(0, now.millis(), key, Some(alert.as_bytes()), &[]).map_err(|_| {
            let fact = format!("an alert of {} bytes is too large for its stream", alert.len());
            Problem::new("HW-WATCH-025", fact).help("raise `maxBatch` of that stream")
        })?;
        let standing = Standing { raised, since: now.to_string() };
        let value = Bytes::from(serde_json::to_vec(&standing).unwrap_or_default());
        let deltas = vec![Delta { key: Bytes::from_static(STANDING), value: Some(value) }];
        let mut commit = Commit {
            appends: self.outbox.take(),
            deltas: vec![(Arc::from(space(self.name.as_str())), deltas)],
            fence: Some(self.fence.clone()),
            ..Commit::default()
        };
        append_durable(&*self.inner.log, &mut commit).await.map_err(|error| failed(&self.name, &error))?;
        self.figures.alerts.fetch_add(1, Ordering::Relaxed);
        self.figures.raised.store(u64::from(raised), Ordering::Relaxed);
        Ok(())
    }

    fn alert(&self, raised: bool, look: &Look, now: Micros) -> Value {
        let Self { name, spec, .. } = self;
        let value = look.value.unwrap_or_default();
        let threshold = match (spec.below, spec.above) {
            (Some(below), Some(above)) => format!("between {below} and {above}"),
            (Some(below), None) => format!("{below} or more"),
            (None, above) => format!("{} or less", above.unwrap_or_default()),
        };
        let of = spec.description.clone().unwrap_or_else(|| format!("chart {} of {}", spec.chart, spec.dashboard));
        let page = self.choice.page(&spec.dashboard);
        let link = self.inner.site.link(&page);
        let subject = if raised { format!("Alarm {name}: {value}") } else { format!("Alarm {name} is over: {value}") };
        json!({
            "alarm": name.as_str(),
            "state": if raised { "raised" } else { "cleared" },
            "time": now.to_string(),
            "value": value,
            "below": spec.below,
            "above": spec.above,
            "dashboard": spec.dashboard,
            "chart": spec.chart,
            "measure": spec.measure,
            "filters": self.choice.filters,
            "principal": self.choice.reader.as_str(),
            "rows": look.rows,
            "page": page,
            "link": link,
            "subject": subject,
            "text": format!("{of}: the value is {value}, it should be {threshold}.\nPage: {link}"),
        })
    }
}

/// The time between two looks, in microseconds.
fn every(spec: &AlarmSpec) -> i64 {
    i64::try_from(spec.every.duration().as_micros()).unwrap_or(i64::MAX).max(1)
}

/// The number of the time that `now` belongs to.
fn slot(spec: &AlarmSpec, now: Micros) -> i64 {
    now.0.div_euclid(every(spec))
}

fn failed(name: &Name, error: &LogError) -> Problem {
    Problem::new("HW-WATCH-022", format!("the alarm `{name}` cannot write to the log: {error}"))
}

#[cfg(test)]
mod tests;
