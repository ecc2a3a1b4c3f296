//! The resources of a node: a map in memory over the space `resources` of the log.
//!
//! Invariants: a change is in the map, and told to watchers, only once it is durable; changes happen one after the
//! other; a status never overwrites a spec (it has a space of its own, written seldom).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use headwater_base::Problem;
use headwater_log::{Commit, Delta, Log, LogError, View, append_durable};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, broadcast};

use crate::audit;
use crate::resource::{Ready, Resource, Status, id};
use crate::text;

/// Space of the specs: `Kind/name` -> resource as JSON.
pub const SPACE: &str = "resources";

/// Space of the statuses: `Kind/name` -> status as JSON.
pub const STATUS_SPACE: &str = "resource-status";

/// Space of the drafts: `Kind/name` -> a draft as JSON; there need not be such a resource.
pub const DRAFT_SPACE: &str = "resource-drafts";

/// The most resources of a node.
pub const RESOURCES_MAX: usize = 50_000;

/// Changes kept for a slow watcher; behind that it has to list again.
const WATCH_CHANGES_MAX: usize = 1_024;

/// Something changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// Of which kind.
    pub kind: String,
    /// Of which name.
    pub name: String,
    /// As it is now; None when it is gone.
    pub resource: Option<Arc<Resource>>,
}

/// The resources.
pub struct Resources {
    log: Arc<dyn Log>,
    map: RwLock<BTreeMap<String, Arc<Resource>>>,
    unsaved: Mutex<BTreeSet<String>>,
    changes: broadcast::Sender<Change>,
    changed: Arc<Notify>,
    /// Held over a whole change, reading and waiting for the disk included: that is what makes it one after the other.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Resources {
    /// Reads all resources from the log. One that cannot be read is reported in the node's log and left alone.
    pub fn open(log: Arc<dyn Log>) -> Self {
        let mut map = BTreeMap::new();
        each(log.as_ref(), SPACE, |key, value| match serde_json::from_slice::<Resource>(value) {
            Ok(mut resource) => {
                // One that was written before versions were counted has none.
                resource.metadata.version = resource.metadata.version.max(1);
                map.insert(key.to_owned(), Arc::new(resource));
            }
            Err(error) => tracing::error!(resource = key, %error, "resource cannot be read"),
        });
        each(log.as_ref(), STATUS_SPACE, |key, value| {
            if let (Some(resource), Ok(status)) = (map.get_mut(key), serde_json::from_slice::<Status>(value)) {
                // Nothing runs yet, whatever was said before the restart.
                Arc::make_mut(resource).status = Status { ready: Ready::Unknown, ..status };
            }
        });
        let (changes, _) = broadcast::channel(WATCH_CHANGES_MAX);
        Self {
            log,
            map: RwLock::new(map),
            unsaved: Mutex::default(),
            changes,
            changed: Arc::new(Notify::new()),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// One resource.
    pub fn get(&self, kind: &str, name: &str) -> Option<Arc<Resource>> {
        self.map.read().get(&id(kind, name)).cloned()
    }

    /// All resources, of one kind if given, by kind and name.
    pub fn list(&self, kind: Option<&str>) -> Vec<Arc<Resource>> {
        let map = self.map.read();
        map.values().filter(|resource| kind.is_none_or(|kind| resource.kind == kind)).cloned().collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.map.read().len()
    }

    /// Tells of every change from now on, statuses included.
    pub fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Notified when specs change: for the supervisor.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// The text of `Kind/name` as it was applied, whatever became of the resource since.
    pub(crate) fn text(&self, id: &str) -> Option<Bytes> {
        self.log.get(text::SPACE, id.as_bytes(), View::Durable)
    }

    /// Writes resources (None deletes, with text and draft) and their audit entries in one commit, and the `state` that
    /// belongs into it: of other spaces than those that a deletion clears, as a commit names each once. The caller holds
    /// `turn`.
    pub(crate) async fn write(
        &self,
        changes: Vec<(String, Option<Resource>)>,
        state: Vec<(Arc<str>, Vec<Delta>)>,
        entries: &[audit::Entry],
    ) -> Result<(), Problem> {
        let mut specs = Vec::new();
        let mut statuses = Vec::new();
        let mut texts = Vec::new();
        let mut drafts = Vec::new();
        let goes = |resource: &Option<Resource>| resource.as_ref().is_none_or(|one| one.metadata.deleting.is_some());
        let frees = !changes.is_empty() && changes.iter().all(|(_, resource)| goes(resource));
        for (key, resource) in &changes {
            let key = Bytes::copy_from_slice(key.as_bytes());
            let value = resource.as_ref().map(encode).transpose()?;
            if value.is_none() {
                statuses.push(Delta { key: key.clone(), value: None });
                texts.push(Delta { key: key.clone(), value: None });
                drafts.push(Delta { key: key.clone(), value: None });
            }
            specs.push(Delta { key, value });
        }
        let mut deltas = state;
        deltas.extend([
            (Arc::from(SPACE), specs),
            (Arc::from(STATUS_SPACE), statuses),
            (Arc::from(text::SPACE), texts),
            (Arc::from(DRAFT_SPACE), drafts),
        ]);
        deltas.retain(|(_, changes)| !changes.is_empty());
        let commit =
            Commit { appends: audit::append(entries).into_iter().collect(), deltas, frees, ..Commit::default() };
        self.commit(commit).await?;
        if changes.is_empty() {
            return Ok(());
        }
        // All at once: whoever wants a stream to be there is weighed against the others that do. Told of before anybody can
        // change their statuses, so that the last word of each is the newest.
        let mut map = self.map.write();
        for (key, resource) in changes {
            let (kind, name) = key.split_once('/').unwrap_or((&key, ""));
            let resource = resource.map(Arc::new);
            let change = Change { kind: kind.to_owned(), name: name.to_owned(), resource: resource.clone() };
            match resource {
                // A status that came while the change was on its way stays.
                Some(mut resource) => {
                    if let Some(old) = map.get(&key).filter(|old| old.metadata.uid == resource.metadata.uid) {
                        Arc::make_mut(&mut resource).status = old.status.clone();
                    }
                    map.insert(key, resource);
                }
                None => {
                    map.remove(&key);
                }
            }
            // An error means that nobody watches.
            let _ = self.changes.send(change);
        }
        drop(map);
        self.changed.notify_one();
        Ok(())
    }

    /// Sets a status; it is shown at once and saved by [`Resources::save_statuses`].
    pub(crate) fn set_status(&self, kind: &str, name: &str, uid: &str, status: Status) {
        let key = id(kind, name);
        let change = {
            let mut map = self.map.write();
            let Some(resource) = map.get_mut(&key) else { return };
            if resource.status == status || resource.metadata.uid != uid {
                return;
            }
            Arc::make_mut(resource).status = status;
            Change { kind: kind.to_owned(), name: name.to_owned(), resource: Some(Arc::clone(resource)) }
        };
        self.unsaved.lock().insert(key);
        let _ = self.changes.send(change);
    }

    /// Writes the statuses that changed since the last time.
    pub(crate) async fn save_statuses(&self) -> Result<(), Problem> {
        let keys = std::mem::take(&mut *self.unsaved.lock());
        let mut deltas = Vec::new();
        {
            let map = self.map.read();
            for key in &keys {
                let Some(resource) = map.get(key) else { continue };
                let value = serde_json::to_vec(&resource.status).unwrap_or_default();
                deltas.push(Delta { key: Bytes::copy_from_slice(key.as_bytes()), value: Some(value.into()) });
            }
        }
        if deltas.is_empty() {
            return Ok(());
        }
        let result = self.commit(Commit { deltas: vec![(Arc::from(STATUS_SPACE), deltas)], ..Commit::default() }).await;
        if result.is_err() {
            self.unsaved.lock().extend(keys);
        }
        result
    }

    /// Writes what is no change of a resource. The caller holds `turn`.
    pub(crate) async fn commit(&self, mut commit: Commit) -> Result<(), Problem> {
        append_durable(self.log.as_ref(), &mut commit).await.map(|_| ()).map_err(|error| refused("the change", &error))
    }
}

/// The log's refusal as a problem.
pub(crate) fn refused(what: &str, error: &LogError) -> Problem {
    let problem = Problem::new("HW-KERNEL-016", format!("{what} was not written")).because(error);
    match error {
        LogError::Full(_) => problem.help("the disk is slower than what is written; try again"),
        LogError::Disk(_) => {
            problem.help("`headwater doctor` checks the disk; resources can be deleted even while it is full")
        }
        _ => problem,
    }
}

fn encode(resource: &Resource) -> Result<Bytes, Problem> {
    let stored = Resource { status: Status::default(), ..resource.clone() };
    let text = serde_json::to_vec(&stored);
    text.map(Bytes::from)
        .map_err(|error| Problem::new("HW-KERNEL-016", format!("`{}` cannot be written", resource.id())).because(error))
}

/// Calls `each` with every key and value of a space, in key order.
fn each(log: &dyn Log, space: &str, mut each: impl FnMut(&str, &[u8])) {
    const PAGE: usize = 1_000;
    let mut after: Option<Bytes> = None;
    loop {
        let page = log.scan(space, b"", after.as_deref(), PAGE);
        for (key, value) in &page {
            each(&String::from_utf8_lossy(key), value);
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => after = Some(last.clone()),
            _ => return,
        }
    }
}
