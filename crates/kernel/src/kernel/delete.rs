//! Deleting: what names a resource stands in its way; what it owns goes with it.
//!
//! A deletion is marked first (`metadata.deleting`, durable) and carried out by the supervisor: units stop, then what
//! the resource owns goes, then the resource. A crash in between is taken up again after the restart.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use headwater_base::{Principal, Problem};
use headwater_log::{Commit, LogError, Stream, append_durable};

use super::Kernel;
use super::foresee::{Deletion, Namers};
use crate::audit;
use crate::made::orphans;
use crate::resource::{Metadata, Resource, id};
use crate::resources::refused;
use crate::supervisor::observe;

/// How long a deletion is waited for.
const DELETE_MAX: Duration = Duration::from_secs(60);

/// How resources are deleted.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Says what would go and deletes nothing.
    pub dry_run: bool,
    /// Deletes resources that name this one as well.
    pub cascade: bool,
    /// Deletes it although others name it; they wait for it then.
    pub force: bool,
    /// Ids that a dry run takes to be gone already: those that an earlier step of the same work would delete.
    pub gone: BTreeSet<String>,
    /// Deletes streams as well that the node made for what goes and that nothing else names, with their events.
    pub made: bool,
    /// Deletes only this version; None deletes whatever is there.
    pub version: Option<u64>,
    /// Who asks for it, as the audit event says. That a resource is gone then tells the node.
    pub who: Principal,
}

impl Kernel {
    /// Deletes a resource with what it owns (a stream goes with its events), and answers the ids of all that goes: of
    /// resources in the order in which they go, then of streams that the node made. Resolves when it is gone.
    ///
    /// # Errors
    /// `HW-KERNEL-011` it has another version, `-012` there is none, `-013` others name it, `-027` it belongs to another resource, `-016`.
    pub async fn delete(&self, kind: &str, name: &str, options: &DeleteOptions) -> Result<Vec<String>, Problem> {
        let mut changes = self.watch();
        let (mut ids, mut made) = {
            let _turn = self.resources.turn.lock().await;
            let gone = if options.dry_run { options.gone.clone() } else { BTreeSet::new() };
            let asked = Deletion { kind: kind.to_owned(), name: name.to_owned(), version: options.version };
            let mut goes = self.goes(&asked, options, &Namers::of(self), &gone)?;
            let ids: Vec<String> = goes.iter().map(|resource| resource.id()).collect();
            let made = if options.made { self.orphans(&goes, &gone) } else { Vec::new() };
            if options.dry_run {
                return Ok(ids.into_iter().chain(made.iter().map(stream_id)).collect());
            }
            let bare = goes.pop_if(|resource| resource.metadata.generation == 0);
            // First: whoever wants the stream to be there would have it made again.
            self.mark(&goes, options).await?;
            if let Some(bare) = bare {
                self.delete_bare(&bare, &options.who).await?;
            }
            (ids, made)
        };
        self.wake();
        let gone = async {
            while ids
                .iter()
                .any(|id| id.split_once('/').is_some_and(|(kind, name)| self.resources.get(kind, name).is_some()))
            {
                if let Err(tokio::sync::broadcast::error::RecvError::Closed) = changes.recv().await {
                    return;
                }
            }
        };
        if tokio::time::timeout(DELETE_MAX, gone).await.is_err() {
            let fact = format!("`{}` is still being deleted after {} s", id(kind, name), DELETE_MAX.as_secs());
            return Err(Problem::new("HW-KERNEL-031", fact)
                .help("it goes on in the background; its status says what it waits for"));
        }
        // One that came to be named meanwhile has stayed.
        made.retain(|stream| self.log().stream(stream.name.as_str()).is_none_or(|now| now.id != stream.id));
        ids.extend(made.iter().map(stream_id));
        Ok(ids)
    }

    /// The streams that the node made and that go with these, where `gone` are gone already.
    pub(super) fn orphans(&self, goes: &[Arc<Resource>], gone: &BTreeSet<String>) -> Vec<Arc<Stream>> {
        let ids: BTreeSet<String> = goes.iter().map(|resource| resource.id()).collect();
        let mut stays = self.resources.list(None);
        stays.retain(|resource| !ids.contains(&resource.id()) && !gone.contains(&resource.id()));
        let mut orphans = orphans(self.registry(), goes, &stays, &observe(self.log().as_ref()));
        orphans.retain(|stream| !gone.contains(&stream_id(stream)));
        orphans
    }

    async fn mark(&self, goes: &[Arc<Resource>], options: &DeleteOptions) -> Result<(), Problem> {
        let made = options.made;
        let is_new = |Metadata { deleting, deleting_made, .. }: &Metadata| deleting.is_none() || made && !deleting_made;
        let goes: Vec<&Arc<Resource>> = goes.iter().filter(|resource| is_new(&resource.metadata)).collect();
        if goes.is_empty() {
            return Ok(());
        }
        let now = self.clock().now();
        let entry = |resource: &Resource| {
            self.entry(
                &options.who,
                "delete",
                &resource.kind,
                resource.metadata.name.as_str(),
                resource.metadata.generation,
                "deleting",
            )
        };
        let entries: Vec<audit::Entry> = goes.iter().map(|resource| entry(resource)).collect();
        let changes = goes.iter().map(|resource| {
            let mut marked = Resource::clone(resource);
            marked.metadata.deleting = Some(now);
            marked.metadata.deleting_made = made;
            marked.metadata.version = self.next_version(resource.metadata.version);
            (marked.id(), Some(marked))
        });
        self.resources.write(changes.collect(), Vec::new(), &entries).await?;
        self.compile_validators();
        Ok(())
    }

    /// Deletes a stream that has no resource.
    async fn delete_bare(&self, resource: &Resource, who: &Principal) -> Result<(), Problem> {
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

/// The id of a stream as a resource.
pub(super) fn stream_id(stream: &Arc<Stream>) -> String {
    id("Stream", stream.name.as_str())
}
