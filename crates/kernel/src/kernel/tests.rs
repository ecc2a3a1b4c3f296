use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::BoxFuture;
use headwater_base::{Limits, ManualClock};
use headwater_log::{EmbeddedLog, View};
use headwater_store::disk::MemoryDisk;
use headwater_testkit::log_on;
use headwater_wire::batch;
use serde_json::json;

use super::*;
use crate::kind::{ApplyOptions, Kind, Ref, no_change_problems, no_problems};
use crate::port::Tables;
use crate::reconcile::{Observed, Owned, Plan, StreamObject, UnitSpec};
use crate::resource::Draft;
use crate::unit::Unit;

mod bugs;
mod delete;
mod drafts;
mod made;
mod texts;

/// A kind that reads a stream and runs a unit, as pipelines do.
const PIPE: Kind = Kind {
    name: "Pipe",
    plural: "pipes",
    short: &[],
    doc: "For tests.",
    schema: || json!({"type": "object", "properties": {"from": {"type": "string"}, "to": {"type": "string"}, "also": {"type": "string"}, "says": {"type": "string"}, "n": {"type": "integer"}}, "additionalProperties": false}),
    example: "",
    effective: |spec, _| spec.clone(),
    validate: no_problems,
    change: no_change_problems,
    refs: |spec| {
        let from = spec["from"].as_str().unwrap_or_default().to_owned();
        vec![Ref { kind: "Stream", name: from, at: "/spec/from".to_owned(), needed: true }]
    },
    reconcile: |resource: &Arc<Resource>, _: &Observed| {
        assert_ne!(resource.spec["n"], 13, "no plan for thirteen");
        let wanted = |key: &str| {
            resource.spec[key].as_str().map(|name| StreamObject {
                name: Name::new(name).unwrap(),
                config: crate::kinds::stream::default_config(&Limits::default()),
                extra: Vec::new(),
                alter: false,
            })
        };
        let (to, also) = (wanted("to"), wanted("also"));
        Plan {
            reads: also.iter().map(|object| object.name.clone()).collect(),
            streams: to.into_iter().chain(also).collect(),
            units: vec![UnitSpec::of("pipe", resource)],
            owns: vec![Owned::Space(format!("pipe/{}", resource.metadata.name))],
            ..Plan::default()
        }
    },
};

/// What the units of a test do, and what was seen of them.
#[derive(Default)]
struct Units {
    starts: AtomicU32,
    running: AtomicU32,
    most: AtomicU32,
    /// The next starts to fail, and running units to fail by themselves.
    fail_starts: AtomicU32,
    end: Notify,
}

struct TestUnit {
    task: Arc<Task>,
    n: u64,
}

impl Unit for TestUnit {
    fn stop(&self) -> BoxFuture<'_, ()> {
        self.task.stop()
    }

    fn finished(&self) -> BoxFuture<'_, Result<(), Problem>> {
        self.task.finished()
    }

    fn status(&self) -> Status {
        assert_ne!(self.n, 14, "no status of fourteen");
        Status::ready("Running", "")
    }
}

fn unit_kind(units: &Arc<Units>) -> UnitKind {
    UnitKind::new("pipe", units, |units: Arc<Units>, spec| async move {
        let start = units.starts.fetch_add(1, Ordering::SeqCst) + 1;
        let fail = units.fail_starts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if fail.is_ok() {
            return Err(Problem::new("HW-TEST-001", format!("start {start} is none")));
        }
        let running = units.running.fetch_add(1, Ordering::SeqCst) + 1;
        units.most.fetch_max(running, Ordering::SeqCst);
        let inner = Arc::clone(&units);
        let task = Task::spawn(&spec.id(), |mut stop| async move {
            let result = tokio::select! {
                () = stop.wait() => Ok(()),
                () = inner.end.notified() => Err(Problem::new("HW-TEST-002", "it fell over")),
            };
            inner.running.fetch_sub(1, Ordering::SeqCst);
            result
        });
        let n = spec.resource.spec["n"].as_u64().unwrap_or(0);
        Ok(Arc::new(TestUnit { task, n }) as Arc<dyn Unit>)
    })
}

struct World {
    log: Arc<EmbeddedLog>,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    units: Arc<Units>,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    /// A node whose log has bounds of its own.
    fn with(limits: Limits) -> Self {
        let (log, clock) = log_on(Arc::new(MemoryDisk::default()), limits);
        Self { log, clock, folder: tempfile::tempdir().unwrap(), units: Arc::default() }
    }

    async fn open(&self) -> Arc<Kernel> {
        self.open_with(Arc::clone(&self.clock) as Arc<dyn Clock>).await
    }

    async fn open_with(&self, clock: Arc<dyn Clock>) -> Arc<Kernel> {
        let kernel = self.at_rest(clock).await;
        kernel.start(vec![unit_kind(&self.units)]);
        kernel
    }

    /// A kernel whose supervisor does not run yet.
    async fn at_rest(&self, clock: Arc<dyn Clock>) -> Arc<Kernel> {
        let setup = Setup {
            log: Arc::clone(&self.log) as Arc<dyn Log>,
            folder: self.folder.path().to_owned(),
            clock,
            limits: Arc::default(),
            registry: Registry::new(&[PIPE]),
            seed: 7,
        };
        Kernel::open(setup).await.unwrap()
    }

    fn audit(&self) -> Vec<String> {
        let name = Name::new(audit::STREAM).unwrap();
        let read = self.log.read(&name, 0, 0, usize::MAX, View::Durable).unwrap().batches;
        let batches = read.each().map(|found| batch::records(&found.unwrap().1, 1 << 30).unwrap());
        let entries = batches.flatten().map(|record| record.unwrap().value.unwrap_or_default());
        let entries = entries.map(|value| serde_json::from_slice::<audit::Entry>(&value).unwrap());
        entries
            .map(|entry| format!("{} {}/{} {} {}", entry.verb, entry.kind, entry.name, entry.generation, entry.outcome))
            .collect()
    }
}

fn drafts(kernel: &Kernel, text: &str) -> Vec<Draft> {
    let text = text.replace("KIND ", "---\napiVersion: headwater.dev/v1\nkind: ");
    kernel.registry().read("f.yaml", text.as_bytes(), &Limits::default()).unwrap()
}

async fn apply(kernel: &Arc<Kernel>, text: &str) -> Report {
    kernel.apply(drafts(kernel, text), &ApplyOptions::default()).await.unwrap()
}

fn told(report: &Report) -> Vec<String> {
    let outcomes = report.resources.iter().map(|applied| {
        format!("{}/{} {:?} {}", applied.kind, applied.name, applied.outcome, applied.generation).to_lowercase()
    });
    outcomes.chain(report.actions.iter().map(ToString::to_string)).collect()
}

/// Waits until `holds`; changes of resources and short pauses lead to another look.
async fn until(kernel: &Kernel, what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            kernel.wake();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "{what} does not come");
}

fn status(kernel: &Kernel, id: &str) -> String {
    let (kind, name) = id.split_once('/').unwrap();
    let status = kernel.get(kind, name).unwrap().status.clone();
    format!("{:?} {}", status.ready, status.reason)
}

const STREAM: &str = "KIND Stream\nmetadata: {name: orders}\nspec: {partitions: 2}\n";
const PIPE_A: &str = "KIND Pipe\nmetadata: {name: a}\nspec: {from: orders}\n";

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_created_configured_unchanged_and_survive() {
    let world = World::new();
    let kernel = world.open().await;
    let report = apply(&kernel, &format!("{PIPE_A}{STREAM}")).await;
    assert_eq!(
        told(&report),
        ["pipe/a created 1", "stream/orders created 1", "create stream/orders (2 partitions)", "start pipe/a"]
    );
    assert_eq!(kernel.settled(&["Pipe/a".into(), "Stream/orders".into()], Duration::from_secs(20)).await, []);
    assert_eq!(
        told(&apply(&kernel, &format!("{PIPE_A}{STREAM}")).await),
        ["pipe/a unchanged 1", "stream/orders unchanged 1"]
    );
    let changed = "KIND Stream\nmetadata: {name: orders, labels: {a: b}}\nspec: {partitions: 3}\n";
    assert_eq!(
        told(&apply(&kernel, changed).await),
        ["stream/orders configured 2", "alter stream/orders (partitions 2 -> 3)"]
    );
    until(&kernel, "the third partition", || world.log.stream("orders").unwrap().config.partitions == 3).await;
    kernel.stop().await;
    assert_eq!(world.units.running.load(Ordering::SeqCst), 0);

    let kernel = world.open().await;
    let orders = kernel.get("Stream", "orders").unwrap();
    assert_eq!((orders.metadata.generation, orders.metadata.labels["a"].as_str()), (2, "b"));
    assert_eq!(orders.metadata.version, report.resources[1].version + 1);
    assert_eq!(kernel.settled(&["Pipe/a".into()], Duration::from_secs(20)).await, []);
    assert_eq!(
        world.audit(),
        ["apply Pipe/a 1 created", "apply Stream/orders 1 created", "apply Stream/orders 2 configured"]
    );
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_a_restart_counts_only_once_it_has_been_looked_at() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, PIPE_A).await;
    until(&kernel, "waiting", || status(&kernel, "Pipe/a") == "Unknown Waiting").await;
    kernel.stop().await;
    let kernel = world.at_rest(Arc::clone(&world.clock) as Arc<dyn Clock>).await;
    // The last word on it looks as good as new.
    assert_eq!((status(&kernel, "Pipe/a").as_str(), kernel.has_looked()), ("Unknown Waiting", false));
    kernel.start(vec![unit_kind(&world.units)]);
    until(&kernel, "the first look", || kernel.has_looked()).await;
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_the_same_and_changes_nothing() {
    let world = World::new();
    let kernel = world.open().await;
    let options = ApplyOptions { dry_run: true, ..ApplyOptions::default() };
    let dry = kernel.apply(drafts(&kernel, STREAM), &options).await.unwrap();
    assert_eq!(told(&dry), ["stream/orders created 1", "create stream/orders (2 partitions)"]);
    assert_eq!(kernel.get("Stream", "orders"), None);
    assert_eq!(world.audit(), Vec::<String>::new());
    assert_eq!(told(&apply(&kernel, STREAM).await), told(&dry));
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_there_is_to_be_one_already_is_seen_in_the_write_itself() {
    let world = World::new();
    let kernel = world.open().await;
    let (changes, makes) = (
        ApplyOptions { there: Some(true), ..ApplyOptions::default() },
        ApplyOptions { there: Some(false), ..ApplyOptions::default() },
    );
    let refused = async |options: &ApplyOptions| {
        let problems = kernel.apply(drafts(&kernel, STREAM), options).await.unwrap_err();
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.title)).collect::<Vec<String>>()
    };
    let absent = "HW-KERNEL-011 `Stream/orders` does not exist, and is to be changed";
    assert_eq!(refused(&changes).await, [absent]);
    assert_eq!(kernel.get("Stream", "orders"), None);
    kernel.apply(drafts(&kernel, STREAM), &makes).await.unwrap();
    let present = "HW-KERNEL-011 `Stream/orders` is there already, and is to be made";
    assert_eq!(refused(&makes).await, [present]);
    kernel.apply(drafts(&kernel, STREAM), &changes).await.unwrap();
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_together_and_nothing_is_written() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, "KIND Stream\nmetadata: {name: orders}\nspec: {partitions: 8}\n").await;
    let text = "KIND Stream\nmetadata: {name: orders, generation: 5}\nspec: {partitions: 2}\nKIND Stream\nmetadata: {name: new}\nspec:\n  schema: {json: {type: 3}, onMismatch: dead-letter}\n";
    let problems = kernel.apply(drafts(&kernel, text), &ApplyOptions::default()).await.unwrap_err();
    let told: Vec<String> =
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.place.as_ref().unwrap())).collect();
    assert_eq!(
        told,
        [
            "HW-KERNEL-014 f.yaml:5:20",
            "HW-KERNEL-011 f.yaml:4:38",
            "HW-KERNEL-026 f.yaml:11:18",
            "HW-KERNEL-008 f.yaml:11:11"
        ]
    );
    assert_eq!(kernel.get("Stream", "new"), None);
    let dangling = kernel.check(&drafts(&kernel, "KIND Pipe\nmetadata: {name: b}\nspec: {from: ordres}\n"));
    assert_eq!(dangling[0].code, "HW-KERNEL-030");
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_what_it_names_and_restarts_with_its_spec() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, PIPE_A).await;
    until(&kernel, "waiting", || status(&kernel, "Pipe/a") == "Unknown Waiting").await;
    assert!(kernel.get("Pipe", "a").unwrap().status.message.contains("`Stream/orders`"));
    apply(&kernel, STREAM).await;
    until(&kernel, "running", || status(&kernel, "Pipe/a") == "True Running").await;
    let report = apply(&kernel, "KIND Pipe\nmetadata: {name: a}\nspec: {from: orders, n: 2}\n").await;
    assert_eq!(told(&report), ["pipe/a configured 2", "restart pipe/a (its spec changed)"]);
    until(&kernel, "the second start", || world.units.starts.load(Ordering::SeqCst) == 2).await;
    assert_eq!(kernel.settled(&["Pipe/a".into()], Duration::from_secs(20)).await, []);
    // A new state epoch is a new start as well.
    let reset = ApplyOptions { reset_state: true, ..ApplyOptions::default() };
    kernel
        .apply(drafts(&kernel, "KIND Pipe\nmetadata: {name: a}\nspec: {from: orders, n: 2}\n"), &reset)
        .await
        .unwrap();
    until(&kernel, "the third start", || world.units.starts.load(Ordering::SeqCst) == 3).await;
    assert_eq!(kernel.get("Pipe", "a").unwrap().metadata.state_epoch, 1);
    kernel.stop().await;
    assert_eq!((world.units.most.load(Ordering::SeqCst), world.units.running.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_fails_starts_again_after_growing_pauses() {
    let world = World::new();
    world.units.fail_starts.store(4, Ordering::SeqCst);
    let kernel = world.open().await;
    apply(&kernel, &format!("{STREAM}{PIPE_A}")).await;
    let starts = || world.units.starts.load(Ordering::SeqCst);
    for (failures, word) in [(1, "False Failed"), (2, "False Failed"), (3, "False CrashLoop"), (4, "False CrashLoop")] {
        // The pause counts from the moment at which the failure was noted, which is behind the start.
        let noted = format!("HW-TEST-001: start {failures} is none");
        let is_noted = || kernel.get("Pipe", "a").unwrap().status.message.contains(&noted);
        until(&kernel, "a failure", || is_noted() && status(&kernel, "Pipe/a") == word).await;
        // At most a quarter above 0.5 s, 1 s, 2 s, 4 s.
        world.clock.advance(Duration::from_millis(625) * (1 << (failures - 1)));
        until(&kernel, "the next start", || starts() == failures + 1).await;
    }
    until(&kernel, "running", || status(&kernel, "Pipe/a") == "True Running").await;
    // A unit that falls over while it runs is started again, too.
    world.units.end.notify_one();
    until(&kernel, "the fall", || status(&kernel, "Pipe/a") == "False CrashLoop").await;
    world.clock.advance(Duration::from_secs(75));
    until(&kernel, "running again", || status(&kernel, "Pipe/a") == "True Running").await;
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_is_not_deleted_by_accident() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, &format!("{STREAM}{PIPE_A}")).await;
    assert_eq!(kernel.settled(&["Pipe/a".into()], Duration::from_secs(20)).await, []);
    let refused = kernel.delete("Stream", "orders", &DeleteOptions::default()).await.unwrap_err();
    assert_eq!(refused.code, "HW-KERNEL-013");
    assert!(refused.title.contains("`Pipe/a`"));
    let cascade = DeleteOptions { cascade: true, ..DeleteOptions::default() };
    let dry = DeleteOptions { dry_run: true, ..cascade.clone() };
    assert_eq!(kernel.delete("Stream", "orders", &dry).await.unwrap(), ["Pipe/a", "Stream/orders"]);
    assert!(world.log.stream("orders").is_some());
    kernel.delete("Stream", "orders", &cascade).await.unwrap();
    assert!(world.log.stream("orders").is_none());
    assert_eq!((kernel.get("Pipe", "a"), kernel.get("Stream", "orders")), (None, None));
    assert_eq!(world.units.running.load(Ordering::SeqCst), 0);
    let missing = kernel.delete("Stream", "order", &DeleteOptions::default()).await.unwrap_err();
    assert_eq!(missing.code, "HW-KERNEL-012");
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_force_the_one_that_names_it_waits() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, &format!("{STREAM}{PIPE_A}")).await;
    assert_eq!(kernel.settled(&["Pipe/a".into()], Duration::from_secs(20)).await, []);
    let force = DeleteOptions { force: true, ..DeleteOptions::default() };
    assert_eq!(kernel.delete("Stream", "orders", &force).await.unwrap(), ["Stream/orders"]);
    until(&kernel, "waiting", || status(&kernel, "Pipe/a") == "Unknown Waiting").await;
    assert_eq!(world.units.running.load(Ordering::SeqCst), 0);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_for_resources_goes_with_the_last_of_them_where_that_is_asked_for() {
    let world = World::new();
    let kernel = world.open().await;
    let config = crate::kinds::stream::default_config(&Limits::default());
    world.log.create(Name::new("auto").unwrap(), config, Vec::new()).await.unwrap();
    let pipe =
        |name: &str, to: &str| format!("KIND Pipe\nmetadata: {{name: {name}}}\nspec: {{from: orders, to: {to}}}\n");
    let (a, b, c) = (pipe("a", "dead"), pipe("b", "dead"), pipe("c", "auto"));
    apply(&kernel, &format!("{STREAM}{a}{b}{c}")).await;
    let ids = ["Pipe/a", "Pipe/b", "Pipe/c"].map(str::to_owned);
    assert_eq!(kernel.settled(&ids, Duration::from_secs(20)).await, []);
    assert!(kernel.get("Stream", "dead").unwrap().status.message.starts_with("was made for `Pipe/a`"));

    let plain = DeleteOptions::default();
    let made = DeleteOptions { made: true, ..plain.clone() };
    let dry = DeleteOptions { dry_run: true, ..made.clone() };
    assert_eq!(kernel.delete("Pipe", "a", &dry).await.unwrap(), ["Pipe/a"], "the other one names it");
    assert_eq!(kernel.delete("Pipe", "a", &made).await.unwrap(), ["Pipe/a"]);
    assert_eq!(kernel.delete("Pipe", "b", &plain).await.unwrap(), ["Pipe/b"]);
    assert!(world.log.stream("dead").is_some(), "nobody asked for its end");

    apply(&kernel, &b).await;
    assert_eq!(kernel.settled(&["Pipe/b".into()], Duration::from_secs(20)).await, []);
    assert_eq!(kernel.delete("Pipe", "b", &dry).await.unwrap(), ["Pipe/b", "Stream/dead"]);
    assert!(world.log.stream("dead").is_some());
    assert_eq!(kernel.delete("Pipe", "b", &made).await.unwrap(), ["Pipe/b", "Stream/dead"]);
    assert!(world.log.stream("dead").is_none());
    assert!(world.audit().contains(&"delete Stream/dead 0 deleted".to_owned()), "{:?}", world.audit());
    // What somebody else made, or describes, stays.
    assert_eq!(kernel.delete("Pipe", "c", &made).await.unwrap(), ["Pipe/c"]);
    assert!(world.log.stream("auto").is_some() && world.log.stream("orders").is_some());
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_without_a_resource_are_shown_adopted_and_deleted() {
    let world = World::new();
    let kernel = world.open().await;
    let config = crate::kinds::stream::default_config(&Limits::default());
    world.log.create(Name::new("auto").unwrap(), config, Vec::new()).await.unwrap();
    let auto = kernel.get("Stream", "auto").unwrap();
    assert_eq!((auto.metadata.generation, auto.spec["partitions"].as_u64()), (0, Some(4)));
    assert!(kernel.list(Some("Stream")).iter().any(|stream| stream.metadata.name.as_str() == "auto"));
    assert_eq!(
        told(&apply(&kernel, "KIND Stream\nmetadata: {name: auto}\nspec: {owner: me}\n").await),
        ["stream/auto created 1"]
    );
    kernel.delete("Stream", "auto", &DeleteOptions::default()).await.unwrap();
    assert!(world.log.stream("auto").is_none());
    let audit = kernel.delete("Stream", audit::STREAM, &DeleteOptions::default()).await.unwrap_err();
    assert_eq!(audit.code, "HW-KERNEL-027");
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_settles_what_it_says_of_its_stream_and_nothing_else() {
    let world = World::new();
    let kernel = world.open().await;
    let text = "KIND Stream\nmetadata: {name: orders}\nspec: {partitions: 2, retention: {time: 1h}}\nKIND Table\nmetadata: {name: users}\nspec: {}\n";
    apply(&kernel, text).await;
    let ids = ["Stream/orders".to_owned(), "Table/users".to_owned()];
    assert_eq!(kernel.settled(&ids, Duration::from_secs(20)).await, []);
    let orders = world.log.stream("orders").unwrap();
    let wanted = StreamConfig { retention_ms: Some(5), segment_ms: 7, partitions: 3, ..orders.config.clone() };
    let settled = StreamConfig { retention_ms: Some(3_600_000), ..wanted.clone() };
    assert_eq!(kernel.settle(&orders, wanted), Some(("Stream/orders".to_owned(), settled)));
    let users = world.log.stream("table.users").unwrap();
    assert_eq!(kernel.settle(&users, users.config.clone()), Some(("Table/users".to_owned(), users.config.clone())));
    let audit = world.log.stream(audit::STREAM).unwrap();
    assert_eq!(kernel.settle(&audit, audit.config.clone()), None);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cannot_be_made_is_said_and_tried_again() {
    // One is for the audit events.
    let world = World::with(Limits { streams: 2, ..Limits::default() });
    let kernel = world.open().await;
    let other = Name::new("other").unwrap();
    let config = crate::kinds::stream::default_config(&Limits::default());
    world.log.create(other.clone(), config, Vec::new()).await.unwrap();
    apply(&kernel, STREAM).await;
    until(&kernel, "the failure", || status(&kernel, "Stream/orders") == "False Failed").await;
    assert!(kernel.get("Stream", "orders").unwrap().status.message.contains("`2`"));
    world.log.delete(&other).await.unwrap();
    until(&kernel, "the stream", || status(&kernel, "Stream/orders") == "True Exists").await;
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_ready_when_it_can_be_read() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, "KIND Secret\nmetadata: {name: key}\nspec: {from: {file: key}}\n").await;
    until(&kernel, "unreadable", || status(&kernel, "Secret/key") == "False Unreadable").await;
    let path = world.folder.path().join("key");
    std::fs::write(&path, "s3cret\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    until(&kernel, "readable", || status(&kernel, "Secret/key") == "True Exists").await;
    assert_eq!(kernel.secrets().read("key").unwrap(), "s3cret");
    assert!(!format!("{:?}", kernel.get("Secret", "key")).contains("s3cret"));
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_see_changes_and_validators_follow_the_spec() {
    let world = World::new();
    let kernel = world.open().await;
    let mut changes = kernel.watch();
    assert!(kernel.validator("orders").is_none());
    apply(&kernel, "KIND Stream\nmetadata: {name: orders}\nspec: {schema: {json: {required: [id]}}}\n").await;
    let first = changes.recv().await.unwrap();
    assert_eq!((first.kind.as_str(), first.name.as_str(), first.resource.is_some()), ("Stream", "orders", true));
    assert!(kernel.validator("orders").unwrap().mismatch(&json!({})).is_some());
    apply(&kernel, STREAM).await;
    assert!(kernel.validator("orders").is_none());
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_table_goes_with_its_stream_and_its_view() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, "KIND Table\nmetadata: {name: users}\nspec: {}\n").await;
    let users = Name::new("users").unwrap();
    let put = |value: &'static str| kernel.tables().put(&users, "a", Some(value.into()), None);
    put(r#"{"n":1}"#).await.unwrap();
    assert_eq!(
        kernel.delete("Stream", "table.users", &DeleteOptions::default()).await.unwrap_err().code,
        "HW-KERNEL-027"
    );
    kernel.delete("Table", "users", &DeleteOptions::default()).await.unwrap();
    assert_eq!(kernel.tables().get("users", "a").unwrap_err().code, "HW-KERNEL-019");
    assert!(world.log.stream("table.users").is_none());
    apply(&kernel, "KIND Table\nmetadata: {name: users}\nspec: {}\n").await;
    put(r#"{"n":2}"#).await.unwrap();
    assert_eq!(kernel.tables().list("users", None, 10).unwrap().len(), 1);
    kernel.stop().await;
}
