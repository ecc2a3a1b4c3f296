//! Deleting: what names a resource stands in its way; what it owns goes with it.
//!
//! Deletions that are asked for together are looked at together: who names what is looked up once for all of them, and
//! one that others among them stand in the way of goes behind those. What goes is marked first (`metadata.deleting`,
//! durable) and carried out by the supervisor: units stop, then what the resource owns goes, then the resource. A crash
//! in between is taken up again after the restart.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use headwater_base::suggest::SUGGESTED_MAX;
use headwater_base::{Micros, Principal, Problem};
use headwater_log::{Commit, LogError, Stream, append_durable};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::namers::Namers;
use super::{Kernel, carried_out};
use crate::audit;
use crate::kinds::holds_events;
use crate::made::{Known, orphans};
use crate::resource::{Metadata, Resource, id};
use crate::resources::{Change, refused};
use crate::supervisor::observe;
use crate::unit::panicked;

/// How long is waited for the next of what is to go.
const DELETE_MAX: Duration = Duration::from_secs(60);

/// Resources that one commit marks, and bytes of them behind which it takes no more. A commit has a largest size, and so
/// has a batch of audit events; on a full disk there is little room for it.
const MARKS_MAX: usize = 100;
const MARKS_BYTES: usize = 1024 * 1024;

/// A deletion that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The resource's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Deletes only this version; None deletes whatever is there.
    pub version: Option<u64>,
}

/// How resources are deleted.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Says what would go and deletes nothing.
    pub dry_run: bool,
    /// Deletes resources that name one of these as well.
    pub cascade: bool,
    /// Deletes them although others name them; those wait for them then.
    pub force: bool,
    /// Deletes streams as well that the node made for what goes and that nothing else names, with their events.
    pub made: bool,
    /// Who asks for it, as the audit event says. That a resource is gone then tells the node.
    pub who: Principal,
}

/// What deletions came to, or would come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeleteReport {
    /// The ids of all that went: of resources in the order in which they go, then of streams that the node made.
    pub deleted: Vec<String>,
    /// What stays, and why.
    pub refused: Vec<Refusal>,
}

/// A resource that is not deleted, or not yet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refusal {
    /// Its id.
    pub id: String,
    /// Why.
    pub problem: Problem,
}

/// What deletions come to as things are.
struct Decided {
    /// What goes, in the order in which it goes.
    goes: Vec<Arc<Resource>>,
    /// Streams without a resource, which go after those.
    bare: Vec<Arc<Resource>>,
    /// Streams besides these that the node made and that go with them.
    made: Vec<Arc<Stream>>,
    refused: Vec<Refusal>,
}

/// Deletions of which all that goes is marked.
struct Begun {
    decided: Decided,
    /// What has happened since.
    changes: Receiver<Change>,
}

impl Deletion {
    fn id(&self) -> String {
        id(&self.kind, &self.name)
    }
}

impl DeleteReport {
    /// What it says where one deletion was asked for.
    ///
    /// # Errors
    /// Why that was refused.
    pub fn of_one(self) -> Result<Vec<String>, Problem> {
        match self.refused.into_iter().next() {
            Some(refusal) => Err(refusal.problem),
            None => Ok(self.deleted),
        }
    }
}

impl Kernel {
    /// Deletes a resource, whatever its version, and answers the ids of all that went. Resolves when it is gone.
    ///
    /// # Errors
    /// Why it was refused, as [`Self::delete_all`] says.
    pub async fn delete(
        self: &Arc<Self>,
        kind: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Vec<String>, Problem> {
        let deletion = Deletion { kind: kind.to_owned(), name: name.to_owned(), version: None };
        self.delete_all(vec![deletion], options).await?.of_one()
    }

    /// Deletes resources with what they own (a stream goes with its events), those first that name others among them,
    /// and streams and tables after what writes to them. One that is refused keeps no other from going. Resolves when all
    /// that can go is gone.
    ///
    /// A resource is refused with `HW-KERNEL-011` where it has another version, `-012` where there is none, `-013` where
    /// others name it, `-027` where it belongs to another resource, `-016` where it cannot be written, `-031` where it is
    /// still there after a minute in which nothing has gone.
    ///
    /// # Errors
    /// `HW-KERNEL-024` for a bug.
    pub async fn delete_all(
        self: &Arc<Self>,
        asked: Vec<Deletion>,
        options: &DeleteOptions,
    ) -> Result<DeleteReport, Problem> {
        let (kernel, how) = (Arc::clone(self), options.clone());
        let marked = carried_out("delete", async move { kernel.begin(asked, &how).await }).await??;
        let Begun { decided: Decided { goes, bare, mut made, refused }, mut changes } = marked;
        let mut report = DeleteReport { deleted: Vec::new(), refused };
        if options.dry_run {
            let goes = goes.iter().chain(&bare).map(|resource| resource.id());
            report.deleted = goes.chain(made.iter().map(stream_id)).collect();
            return Ok(report);
        }
        self.wake();
        let begun = Instant::now();
        let left = self.until_gone(goes.iter().map(|resource| resource.id()).collect(), &mut changes).await;
        for id in goes.iter().map(|resource| resource.id()) {
            if left.contains(&id) {
                report.refused.push(Refusal { problem: lasting(&id, begun.elapsed()), id });
            } else {
                report.deleted.push(id);
            }
        }
        if !bare.is_empty() {
            let (kernel, how) = (Arc::clone(self), options.clone());
            let rest = carried_out("delete", async move { kernel.delete_bare(&bare, &how).await }).await??;
            report.deleted.extend(rest.deleted);
            report.refused.extend(rest.refused);
        }
        // One that came to be named meanwhile has stayed.
        made.retain(|stream| self.log().stream(stream.name.as_str()).is_none_or(|now| now.id != stream.id));
        report.deleted.extend(made.iter().map(stream_id));
        Ok(report)
    }

    /// Decides what goes, and marks it where this is no dry run.
    async fn begin(self: &Arc<Self>, asked: Vec<Deletion>, options: &DeleteOptions) -> Result<Begun, Problem> {
        let _turn = self.resources.turn.lock().await;
        // From here on: an end before that would be of another one of the name.
        let changes = self.watch();
        let (kernel, how) = (Arc::clone(self), options.clone());
        let decided = tokio::task::spawn_blocking(move || kernel.decide(&asked, &how)).await;
        let mut decided = decided.map_err(|error| panicked("delete", error))?;
        if !options.dry_run {
            self.mark_all(&mut decided, options).await;
        }
        Ok(Begun { decided, changes })
    }

    /// What deletions come to, one after the other; one that others among them stand in the way of waits for those. The most
    /// is done in one round, since those come first.
    fn decide(&self, asked: &[Deletion], options: &DeleteOptions) -> Decided {
        let namers = Namers::of(self);
        let is_there = |asked: &Deletion| self.get(&asked.kind, &asked.name).is_some();
        let (mut waiting, absent): (Vec<&Deletion>, Vec<&Deletion>) = asked.iter().partition(|asked| is_there(asked));
        // A stream that goes before what writes to it would be made anew for it.
        waiting.sort_by_key(|asked| holds_events(&asked.kind));
        let mut waiting = namers.sorted(waiting.into_iter().map(|asked| (asked.id(), asked)).collect());
        let (mut goes, mut refused): (Vec<Arc<Resource>>, Vec<Refusal>) = Default::default();
        let mut gone: BTreeSet<String> = BTreeSet::new();
        loop {
            let count = waiting.len();
            refused.clear();
            waiting.retain(|asked| {
                let id = asked.id();
                // It goes with another one already.
                if gone.contains(&id) {
                    return false;
                }
                match self.goes(asked, options, &namers, &gone) {
                    Ok(all) => {
                        gone.extend(all.iter().map(|resource| resource.id()));
                        goes.extend(all);
                        false
                    }
                    Err(problem) => {
                        refused.push(Refusal { id, problem });
                        true
                    }
                }
            });
            if waiting.is_empty() || waiting.len() == count {
                break;
            }
        }
        let mut lists: HashMap<&str, Vec<Arc<Resource>>> = HashMap::new();
        for (number, asked) in absent.into_iter().enumerate() {
            let kind = asked.kind.as_str();
            let near: &[Arc<Resource>] = if number < SUGGESTED_MAX {
                lists.entry(kind).or_insert_with(|| self.list(Some(kind))).as_slice()
            } else {
                &[]
            };
            refused.push(Refusal { id: asked.id(), problem: self.not_found(kind, &asked.name, near) });
        }
        let mut made = if options.made { self.orphans(&goes) } else { Vec::new() };
        made.retain(|stream| !gone.contains(&stream_id(stream)));
        // A cascade may bring what writes to one of the streams before.
        goes.sort_by_key(|resource| holds_events(&resource.kind));
        let (goes, bare) = goes.into_iter().partition(|resource| resource.metadata.generation > 0);
        Decided { goes, bare, made, refused }
    }

    /// The resources that go where this one is deleted, itself last, as things are once others are `gone`.
    ///
    /// # Errors
    /// `HW-KERNEL-011`, `-012`, `-013` and `-027`, as [`Self::delete_all`] says.
    fn goes(
        &self,
        asked: &Deletion,
        options: &DeleteOptions,
        namers: &Namers,
        gone: &BTreeSet<String>,
    ) -> Result<Vec<Arc<Resource>>, Problem> {
        let (kind, name) = (asked.kind.as_str(), asked.name.as_str());
        let absent = || self.not_found(kind, name, &[]);
        let Some(resource) = self.get(kind, name) else { return Err(absent()) };
        let stored = resource.metadata.version;
        if let Some(meant) = asked.version.filter(|meant| *meant != stored) {
            let fact = format!("this deletes version {meant} of `{}`, which is at version {stored}", resource.id());
            return Err(Problem::new("HW-KERNEL-011", fact).help("somebody changed it since; get it again"));
        }
        if let Some(table) =
            name.strip_prefix("table.").filter(|table| kind == "Stream" && self.resources.get("Table", table).is_some())
        {
            if gone.contains(&id("Table", table)) {
                return Err(absent());
            }
            let problem = Problem::new("HW-KERNEL-027", format!("the stream `{name}` belongs to the table `{table}`"));
            return Err(problem.help(format!("`headwater delete table/{table}` deletes both")));
        }
        let dependents = namers.dependents(&resource, options.cascade, gone);
        let cascaded = if options.cascade { dependents.as_slice() } else { &[] };
        let is_audit = |one: &Arc<Resource>| one.kind == "Stream" && one.metadata.name.as_str() == audit::STREAM;
        if cascaded.iter().chain([&resource]).any(is_audit) {
            return Err(Problem::new("HW-KERNEL-027", "the audit stream cannot be deleted"));
        }
        if let (Some(first), false) = (dependents.first(), options.cascade || options.force) {
            let others = dependents.len() - 1;
            let more = if others > 0 { format!(" and {others} more") } else { String::new() };
            let fact = format!("`{}` is named by `{}`{more}", resource.id(), first.id());
            let help = "delete that first, or use `--cascade` to delete both, or `--force` to delete this one alone";
            return Err(Problem::new("HW-KERNEL-013", fact).help(help));
        }
        let mut goes = if options.cascade { dependents } else { Vec::new() };
        goes.push(resource);
        Ok(goes)
    }

    /// The streams that the node made and that go with these.
    fn orphans(&self, goes: &[Arc<Resource>]) -> Vec<Arc<Stream>> {
        let ids: BTreeSet<String> = goes.iter().map(|resource| resource.id()).collect();
        let mut stays = self.resources.list(None);
        stays.retain(|resource| !ids.contains(&resource.id()));
        orphans(self.registry(), goes, &stays, &observe(self.log().as_ref()), &mut Known::default())
    }

    /// Marks what goes in its order. What cannot be marked stays, and so does what comes behind it.
    async fn mark_all(&self, decided: &mut Decided, options: &DeleteOptions) {
        // The same for all of them: by it is known what is deleted together.
        let (now, mut marked) = (self.clock().now(), 0);
        while marked < decided.goes.len() {
            let left = decided.goes.get(marked..).unwrap_or_default();
            let some = left.get(..at_once(left)).unwrap_or(left);
            if let Err(problem) = self.mark(some, now, options).await {
                let stays = decided.goes.split_off(marked).into_iter();
                decided.refused.extend(stays.map(|one| Refusal { id: one.id(), problem: problem.clone() }));
                break;
            }
            marked += some.len();
        }
        if marked > 0 {
            self.compile_validators();
        }
    }

    /// Marks these, also what was marked before: it goes together with the others from now on.
    async fn mark(&self, goes: &[Arc<Resource>], now: Micros, options: &DeleteOptions) -> Result<(), Problem> {
        let entry = |resource: &Arc<Resource>| {
            self.entry(
                &options.who,
                "delete",
                &resource.kind,
                resource.metadata.name.as_str(),
                resource.metadata.generation,
                "deleting",
            )
        };
        let entries: Vec<audit::Entry> = goes.iter().map(entry).collect();
        let changes = goes.iter().map(|resource| {
            let mut marked = Resource::clone(resource);
            marked.metadata.deleting = Some(now);
            marked.metadata.deleting_made |= options.made;
            marked.metadata.version = self.next_version(resource.metadata.version);
            (marked.id(), Some(marked))
        });
        self.resources.write(changes.collect(), Vec::new(), &entries).await
    }

    /// Waits until these are gone, at most [`DELETE_MAX`] from one to the next. Answers those that are not.
    async fn until_gone(&self, mut left: BTreeSet<String>, changes: &mut Receiver<Change>) -> BTreeSet<String> {
        let mut until = Instant::now() + DELETE_MAX;
        while !left.is_empty() {
            let before = left.len();
            match tokio::time::timeout_at(until, changes.recv()).await {
                Ok(Ok(Change { kind, name, resource: None })) => {
                    left.remove(&id(&kind, &name));
                }
                Ok(Ok(_)) => {}
                // Ends may be among what was missed.
                Ok(Err(RecvError::Lagged(_))) => left.retain(|id| {
                    id.split_once('/').is_some_and(|(kind, name)| self.resources.get(kind, name).is_some())
                }),
                Ok(Err(RecvError::Closed)) | Err(_) => break,
            }
            if left.len() < before {
                until = Instant::now() + DELETE_MAX;
            }
        }
        left
    }

    /// Deletes streams that have no resource, now that what wrote to them is gone. Somebody may have come to name one
    /// since, or to describe it.
    async fn delete_bare(
        self: &Arc<Self>,
        bare: &[Arc<Resource>],
        options: &DeleteOptions,
    ) -> Result<DeleteReport, Problem> {
        let _turn = self.resources.turn.lock().await;
        let kernel = Arc::clone(self);
        let namers = tokio::task::spawn_blocking(move || Namers::of(&kernel)).await;
        let namers = namers.map_err(|error| panicked("delete", error))?;
        let alone = DeleteOptions { cascade: false, ..options.clone() };
        let mut report = DeleteReport::default();
        for resource in bare {
            let Metadata { name, version, .. } = &resource.metadata;
            let asked =
                Deletion { kind: resource.kind.clone(), name: name.as_str().to_owned(), version: Some(*version) };
            let done = match self.goes(&asked, &alone, &namers, &BTreeSet::new()) {
                Ok(_) => self.delete_stream(resource, &options.who).await,
                // It went with what it was made for.
                Err(problem) if problem.code == "HW-KERNEL-012" => Ok(()),
                Err(problem) => Err(problem),
            };
            let id = asked.id();
            match done {
                Ok(()) => report.deleted.push(id),
                Err(problem) => report.refused.push(Refusal { id, problem }),
            }
        }
        Ok(report)
    }

    async fn delete_stream(&self, resource: &Resource, who: &Principal) -> Result<(), Problem> {
        match self.log().delete(&resource.metadata.name).await {
            Ok(()) | Err(LogError::UnknownStream(_)) => {}
            Err(error) => return Err(refused("the deletion", &error)),
        }
        let entry = self.entry(who, "delete", "Stream", resource.metadata.name.as_str(), 0, "deleted");
        let appends = audit::append(&[entry]).into_iter().collect();
        let mut commit = Commit { appends, frees: true, ..Commit::default() };
        append_durable(self.log().as_ref(), &mut commit)
            .await
            .map(|_| ())
            .map_err(|error| refused("the audit event", &error))
    }
}

/// How many of these one commit marks: one at least, if there are any.
fn at_once(goes: &[Arc<Resource>]) -> usize {
    let mut bytes = 0;
    let some = goes.iter().take(MARKS_MAX).take_while(|resource| {
        let has_room = bytes < MARKS_BYTES;
        bytes += serde_json::to_vec(&***resource).map_or(0, |text| text.len());
        has_room
    });
    some.count()
}

/// `HW-KERNEL-031`: it is marked and has not gone.
fn lasting(id: &str, waited: Duration) -> Problem {
    Problem::new("HW-KERNEL-031", format!("`{id}` is still being deleted after {} s", waited.as_secs()))
        .help("it goes on in the background; its status says what it waits for")
}

/// The id of a stream as a resource.
fn stream_id(stream: &Arc<Stream>) -> String {
    id("Stream", stream.name.as_str())
}
