mod transactions;

use futures::FutureExt as _;
use headwater_base::ManualClock;
use headwater_base::partition::partition_of;
use headwater_log::{Append, Commit, EmbeddedLog};
use headwater_testkit::{FaultyDisk, log_on};
use headwater_wire::batch::{Builder, Compression};
use proptest::prelude::*;

use super::*;
use crate::kernel::{Kernel, Setup};
use crate::kind::{ApplyOptions, Registry};

struct World {
    disk: FaultyDisk,
    log: Arc<EmbeddedLog>,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let disk = FaultyDisk::default();
        let (log, clock) = log_on(Arc::new(disk.clone()), Limits::default());
        Self { disk, log, clock, folder: tempfile::tempdir().unwrap() }
    }

    async fn open(&self) -> Arc<Kernel> {
        let setup = Setup {
            log: Arc::clone(&self.log) as Arc<dyn Log>,
            folder: self.folder.path().to_owned(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            limits: Arc::default(),
            registry: Registry::new(&[]),
            seed: 7,
        };
        let kernel = Kernel::open(setup).await.unwrap();
        kernel.start(Vec::new());
        kernel
    }

    /// A node with the table `users`.
    async fn with_users(&self, spec: &str) -> Arc<Kernel> {
        let kernel = self.open().await;
        let text = format!("apiVersion: headwater.dev/v1\nkind: Table\nmetadata: {{name: users}}\nspec: {spec}\n");
        let drafts = kernel.registry().read("t.yaml", text.as_bytes(), &Limits::default()).unwrap();
        kernel.apply(drafts, &ApplyOptions::default()).await.unwrap();
        assert_eq!(kernel.settled(&["Table/users".into()], Duration::from_secs(20)).await, []);
        kernel
    }

    /// Appends events as a pipeline does.
    fn append(&self, partitions: u32, entries: &[(String, Option<String>)]) {
        for (key, value) in entries {
            let mut builder = Builder::new(Compression::None);
            let time = self.clock.now().millis();
            builder.push(time, Some(key.as_bytes()), value.as_ref().map(String::as_bytes), &[]);
            let append = Append {
                stream: Name::new("table.users").unwrap(),
                partition: partition_of(key.as_bytes(), partitions),
                batches: builder.finish(),
            };
            self.log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
        }
    }
}

fn users() -> Name {
    Name::new("users").unwrap()
}

fn json(text: &str) -> Option<Json> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "{what} does not come");
}

fn all(kernel: &Kernel) -> Vec<(String, u64, String)> {
    let documents = kernel.tables().list("users", None, 100_000).unwrap();
    let show =
        |document: Document| (document.key, document.version, String::from_utf8(document.value.to_vec()).unwrap());
    documents.into_iter().map(show).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_read_back_and_its_version_grows() {
    let world = World::new();
    let kernel = world.with_users("{}").await;
    let tables = kernel.tables();
    assert_eq!(tables.get("users", "a").unwrap(), None);
    let before = tables.generation("users");
    let first = tables.put(&users(), "a", json(r#"{"n":1}"#), None).await.unwrap();
    let second = tables.put(&users(), "a", json(r#"{"n":2}"#), None).await.unwrap();
    assert!(second > first && first > 0 && tables.generation("users") > before);
    let found = tables.get("users", "a").unwrap().unwrap();
    assert_eq!((found.version, found.value.as_ref()), (second, br#"{"n":2}"#.as_slice()));
    tables.put(&users(), "a", None, None).await.unwrap();
    assert_eq!(tables.get("users", "a").unwrap(), None);
    let problem = tables.get("user", "a").unwrap_err();
    assert_eq!(
        (problem.code.as_str(), problem.help.unwrap().starts_with("did you mean `users`?")),
        ("HW-KERNEL-019", true)
    );
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_conditional_writes_over_one_version_one_wins() {
    let world = World::new();
    let kernel = world.with_users("{}").await;
    let first = kernel.tables().put(&users(), "a", json("{}"), Some(0)).await.unwrap();
    let tries = (0..20).map(|n| {
        let kernel = Arc::clone(&kernel);
        tokio::spawn(
            async move { kernel.tables().put(&users(), "a", json(&format!(r#"{{"n":{n}}}"#)), Some(first)).await },
        )
    });
    let results = futures::future::join_all(tries.collect::<Vec<_>>()).await;
    let won = results.iter().filter(|result| result.as_ref().unwrap().is_ok()).count();
    assert_eq!(won, 1);
    let lost = results.into_iter().find_map(|result| result.unwrap().err()).unwrap();
    assert_eq!(lost.code, "HW-KERNEL-020");
    // What a pipeline appended counts before the view has seen it.
    let held = world.disk.hold_syncs();
    world.append(1, &[("b".to_owned(), Some("{}".to_owned()))]);
    let refused = kernel.tables().put(&users(), "b", json("{}"), Some(0)).await.unwrap_err();
    assert_eq!(refused.code, "HW-KERNEL-020");
    drop(held);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_never_shows_what_is_not_durable() {
    let world = World::new();
    let kernel = world.with_users("{}").await;
    let held = world.disk.hold_syncs();
    let writer = Arc::clone(&kernel);
    let write = tokio::spawn(async move { writer.tables().put(&users(), "a", json("{}"), None).await });
    let name = Name::new("table.users").unwrap();
    until("the append", || world.log.ends(&name, 0).unwrap().appended == 1).await;
    assert_eq!(kernel.tables().get("users", "a").unwrap(), None);
    assert!(!write.is_finished());
    drop(held);
    write.await.unwrap().unwrap();
    assert!(kernel.tables().get("users", "a").unwrap().is_some());
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_document_is_refused_or_passed_over() {
    let world = World::new();
    let kernel = world.with_users("{schema: {required: [id]}}").await;
    for (key, value) in [("", r#"{"id":1}"#), ("a", "[]"), ("a", "{\"id\":"), ("a", r#"{"name":"x"}"#)] {
        let problem = kernel.tables().put(&users(), key, json(value), None).await.unwrap_err();
        assert_eq!(problem.code, "HW-KERNEL-021", "{key} {value}");
    }
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    assert_eq!(kernel.tables().put(&users(), &long, None, None).await.unwrap_err().code, "HW-KERNEL-021");
    // Kafka clients may append anything.
    let entry = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    world.append(1, &[entry("a", "no json"), entry("b", "[1]"), entry("c", r#"{"id":1}"#)]);
    until("the document behind", || all(&kernel).len() == 1).await;
    assert_eq!(all(&kernel)[0].0, "c");
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_nobody_writes_again_go() {
    let world = World::new();
    let kernel = world.with_users("{ttl: 1h}").await;
    let version = kernel.tables().put(&users(), "old", json("{}"), None).await.unwrap();
    world.clock.advance(Duration::from_secs(3_000));
    kernel.tables().put(&users(), "new", json("{}"), None).await.unwrap();
    world.clock.advance(Duration::from_secs(700));
    assert_eq!(kernel.tables().get("users", "old").unwrap(), None);
    assert_eq!(all(&kernel).len(), 1);
    // Gone means gone for conditions, and a new one is a newer one.
    assert!(kernel.tables().put(&users(), "old", json("{}"), Some(0)).await.unwrap() > version);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_missing_damaged_or_ahead_is_built_again() {
    let world = World::new();
    let kernel = world.with_users("{}").await;
    for n in 0..50 {
        kernel.tables().put(&users(), &format!("k{n}"), json(r#"{"x":1}"#), None).await.unwrap();
    }
    let whole = all(&kernel);
    kernel.tables().replace_view().unwrap();
    until("the view built again", || all(&kernel) == whole).await;
    kernel.stop().await;
    drop(kernel);
    let path = world.folder.path().join("tables.db");
    View::remove(&path).unwrap();
    let kernel = world.open().await;
    until("the missing view", || all(&kernel) == whole).await;
    kernel.stop().await;
    drop(kernel);
    View::remove(&path).unwrap();
    std::fs::write(&path, vec![0x5a; 8_192]).unwrap();
    let kernel = world.open().await;
    assert_eq!(kernel.tables().rebuilt(), 1);
    until("the damaged view", || all(&kernel) == whole).await;
    kernel.stop().await;
    drop(kernel);
    // A view that has applied more than the log holds cannot be trusted.
    {
        let (view, _) = View::open(&path).unwrap();
        let id = view.table("users", world.log.stream("table.users").unwrap().id).unwrap();
        view.apply(id, 0, &[headwater_store::tables::Change::Delete("k0".into())], 1_000, false).unwrap();
    }
    let kernel = world.open().await;
    until("the view that was ahead", || all(&kernel) == whole).await;
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_were_made_for_a_view_do_not_get_into_the_one_in_its_place() {
    let world = World::new();
    let kernel = world.with_users("{indexes: [{name: by_n, fields: [n]}]}").await;
    for n in 0..20 {
        kernel.tables().put(&users(), &format!("k{n}"), json(&format!(r#"{{"n":{n}}}"#)), None).await.unwrap();
    }
    let whole = all(&kernel);
    // From here on nobody follows the table but this test.
    kernel.stop().await;
    let tables = kernel.tables();
    let (table, before) = (tables.table("users").unwrap(), tables.view());
    tables.replace_view().unwrap();
    let late = headwater_store::tables::Change::Delete("k3".to_owned());
    tables.advance(&before, &table, 0, &[late], 20).unwrap();
    assert_eq!(table.applied[0].load(Ordering::SeqCst), 0, "events would be passed over");
    assert!(table.cache.stamp().is_multiple_of(2) && all(&kernel).is_empty());
    while tables.apply(&table, 0).unwrap() {}
    assert_eq!(all(&kernel), whole);
    assert_eq!(table.applied[0].load(Ordering::SeqCst), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_disk_knows_is_told_apart_from_what_memory_does() {
    let world = World::new();
    let kernel = world.with_users("{ttl: 1h}").await;
    let version = kernel.tables().put(&users(), "a", json("{}"), None).await.unwrap();
    kernel.tables().put(&users(), "b", json("{}"), None).await.unwrap();
    assert!(matches!(kernel.tables().held("users", "a"), Ok(Some(Some(_)))));
    kernel.stop().await;
    drop(kernel);
    // A new life remembers keys, and no documents.
    let kernel = world.open().await;
    until("the keys", || kernel.tables().held("users", "none").unwrap() == Some(None)).await;
    assert_eq!(kernel.tables().held("users", "a").unwrap(), None);
    assert_eq!(kernel.tables().get("users", "a").unwrap().unwrap().version, version);
    assert!(matches!(kernel.tables().held("users", "a"), Ok(Some(Some(_)))));
    assert_eq!(kernel.tables().held("user", "a").unwrap_err().code, "HW-KERNEL-019");
    // Of what is to be written the old one comes into memory, and a condition is decided on it.
    assert_eq!(kernel.tables().held("users", "b").unwrap(), None);
    let refused = kernel.tables().put(&users(), "b", json(r#"{"n":1}"#), Some(version)).await.unwrap_err();
    assert_eq!(refused.code, "HW-KERNEL-020");
    assert!(matches!(kernel.tables().held("users", "b"), Ok(Some(Some(_)))));
    world.clock.advance(Duration::from_secs(3_700));
    assert_eq!(kernel.tables().held("users", "a").unwrap(), Some(None));
    kernel.stop().await;
}

/// Whether `work` gives its thread back while the view, which cannot be read meanwhile, is waited for.
fn waits_aside<F: Future + Unpin>(views: &Arc<TableViews>, work: &mut F) -> bool {
    let (held, is_held) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel();
    let views = Arc::clone(views);
    let holder = std::thread::spawn(move || {
        let _view = views.view.write();
        held.send(()).unwrap();
        released.recv_timeout(Duration::from_secs(20)).is_ok()
    });
    is_held.recv().unwrap();
    let waits = work.now_or_never().is_none();
    // Nobody hears it where that took so long that the view was given back.
    let _ = release.send(());
    holder.join().unwrap() && waits
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expiry_and_imports_read_of_the_disk_holds_up_no_thread() {
    let world = World::new();
    let kernel = world.with_users("{ttl: 1h, ttlField: ends, changes: {images: newImage}}").await;
    for key in ["a", "b"] {
        kernel.tables().put(&users(), key, json("{}"), None).await.unwrap();
    }
    kernel.stop().await;
    drop(kernel);
    // A new life remembers keys, and no documents.
    let kernel = world.open().await;
    let views = Arc::clone(kernel.tables());
    until("the keys", || views.held("users", "none").unwrap() == Some(None)).await;
    let (name, entries) = (users(), [("b".to_owned(), json(r#"{"n":1}"#))]);
    let mut import = Box::pin(views.import(&name, &entries));
    assert!(waits_aside(&views, &mut import), "an import");
    assert_eq!(import.await.unwrap(), 1);
    let (table, never) = (views.table("users").unwrap(), || false);
    world.clock.advance(Duration::from_secs(3_700));
    let mut expiry = Box::pin(views.expire(&table, &never));
    assert!(waits_aside(&views, &mut expiry), "the expiry");
    expiry.await.unwrap();
    until("they have gone", || views.count("users").unwrap() == 0).await;
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_whole_and_visible() {
    let world = World::new();
    let kernel = world.with_users("{partitions: 3, key: id}").await;
    let entries: Vec<write::Entry> = (0..20_000)
        .map(|n| (format!("user-{n:06}"), json(&format!(r#"{{"id":"user-{n:06}","score":{n}}}"#))))
        .collect();
    assert_eq!(kernel.tables().import(&users(), &entries).await.unwrap(), 20_000);
    assert_eq!(kernel.tables().count("users").unwrap(), 20_000);
    assert_eq!(
        kernel.tables().get("users", "user-012345").unwrap().unwrap().value,
        r#"{"id":"user-012345","score":12345}"#
    );
    assert_eq!(kernel.tables().key_field("users").unwrap().as_deref(), Some("id"));
    let bad = [("a".to_owned(), json("{}")), ("b".to_owned(), json("no"))];
    assert_eq!(kernel.tables().import(&users(), &bad).await.unwrap_err().code, "HW-KERNEL-021");
    assert_eq!(kernel.tables().get("users", "a").unwrap(), None);
    kernel.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is written by whomever, with restarts and views set back to an older copy in between, the view is what
    /// the stream says: the newest event of each key.
    #[test]
    fn the_view_is_the_newest_event_of_each_key(
        rounds in proptest::collection::vec((proptest::collection::vec((0_u8..12, any::<Option<u16>>()), 1..30), 0_u8..3), 1..5),
        partitions in 1_u32..4,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async move {
            let world = World::new();
            let mut kernel = world.with_users(&format!("{{partitions: {partitions}}}")).await;
            let mut model = std::collections::BTreeMap::new();
            let path = world.folder.path().join("tables.db");
            let copy = world.folder.path().join("older.db");
            for (entries, then) in rounds {
                let entries: Vec<(String, Option<String>)> = entries
                    .into_iter()
                    .map(|(key, value)| (format!("k{key}"), value.map(|value| format!(r#"{{"v":{value}}}"#))))
                    .collect();
                world.append(partitions, &entries);
                for (key, value) in entries {
                    match value {
                        Some(value) => model.insert(key, value),
                        None => model.remove(&key),
                    };
                }
                if then > 0 {
                    kernel.stop().await;
                    drop(kernel);
                    // SQLite folds its own log into the file when the last connection closes, so one file is all.
                    if then == 2 && copy.exists() {
                        View::remove(&path).unwrap();
                        std::fs::copy(&copy, &path).unwrap();
                    } else {
                        std::fs::copy(&path, &copy).unwrap();
                    }
                    kernel = world.open().await;
                }
                let wanted: Vec<(String, String)> = model.clone().into_iter().collect();
                until("the view", || all(&kernel).into_iter().map(|(key, _, value)| (key, value)).eq(wanted.clone())).await;
                for (key, value) in &model {
                    let found = kernel.tables().get("users", key).unwrap().map(|document| document.value);
                    assert_eq!(found.as_deref(), Some(value.as_bytes()));
                }
            }
            kernel.stop().await;
        });
    }
}
