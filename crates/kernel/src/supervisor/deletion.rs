//! Finishing deletions: units stop, then what the resource owns goes, then what was made for it, if that is to go, then
//! the resource.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use headwater_base::Problem;
use headwater_log::{Commit, LogError, Stream, append_durable};
use headwater_store::disk::{Disk, RealDisk};

use super::{Supervisor, observe};
use crate::kinds::holds_events;
use crate::made::Known;
use crate::reconcile::Owned;
use crate::resource::{Metadata, Resource, Status, id};
use crate::unit::{awaited, bug};
use crate::{audit, made};

/// Deletions that one pass carries out: units that are to start or to stop meanwhile wait for no more than these.
const FINISHED_MAX: usize = 100;

impl Supervisor {
    /// Removes resources whose deletion began and for which nothing runs any more; a stream only once nothing runs either
    /// of what is deleted together with it, which may write to it.
    pub(super) async fn finish_deletions(&mut self) {
        let mut deleting: Vec<Arc<Resource>> = self
            .parts
            .resources
            .list(None)
            .into_iter()
            .filter(|resource| resource.metadata.deleting.is_some())
            .collect();
        if deleting.is_empty() {
            return;
        }
        deleting.sort_by_key(|resource| holds_events(&resource.kind));
        let users = self.users();
        let (mut finished, mut busy, mut known) = (0, HashSet::new(), Known::default());
        for resource in deleting {
            // What has gone wakes the supervisor again.
            if finished == FINISHED_MAX {
                break;
            }
            let (id, together) = (resource.id(), resource.metadata.deleting);
            let mut is_busy = holds_events(&resource.kind) && busy.contains(&together);
            for unit in [&id, &resource.metadata.uid].into_iter().filter_map(|key| users.get(key)).flatten() {
                self.end(unit);
                is_busy |= self.slots.contains_key(unit);
            }
            if is_busy {
                busy.insert(together);
                continue;
            }
            let done = awaited(self.finish(&resource, &mut known)).await;
            let done = done.unwrap_or_else(|said| Err(bug(format_args!("the deletion of `{id}`"), &said)));
            let Err(problem) = done else {
                finished += 1;
                continue;
            };
            tracing::error!(resource = %id, code = problem.code, title = problem.title, "deletion failed");
            self.parts.resources.set_status(
                &resource.kind,
                resource.metadata.name.as_str(),
                &resource.metadata.uid,
                Status::failed("DeletionFailed", problem.title),
            );
        }
    }

    /// Ids of units: under the uid of the resource that they run for, and under the id of each that this one needs.
    fn users(&self) -> HashMap<String, Vec<String>> {
        let mut users: HashMap<String, Vec<String>> = HashMap::new();
        for (unit, slot) in &self.slots {
            let resource = &slot.spec.resource;
            let mut keys = vec![resource.metadata.uid.clone()];
            if let Some(kind) = self.parts.registry.kind(&resource.kind) {
                let needed = kind.names(resource).unwrap_or_default().into_iter().filter(|reference| reference.needed);
                keys.extend(needed.map(|reference| id(reference.kind, &reference.name)));
            }
            for key in keys {
                users.entry(key).or_default().push(unit.clone());
            }
        }
        users
    }

    async fn finish(&self, resource: &Arc<Resource>, known: &mut Known) -> Result<(), Problem> {
        let log = self.parts.log.as_ref();
        let kind = self.parts.registry.kind(&resource.kind);
        let plan = kind.map(|kind| kind.plan(resource, &observe(log))).transpose()?;
        for owned in plan.into_iter().flat_map(|plan| plan.owns) {
            let result = match &owned {
                Owned::Stream(name) => match log.delete(name).await {
                    Err(LogError::UnknownStream(_)) => Ok(()),
                    other => other,
                },
                Owned::Space(space) => log.drop_space(space).await,
                Owned::View(name) => {
                    (self.parts.drop_view)(name)?;
                    Ok(())
                }
                Owned::Folder(path) => {
                    let folder = self.parts.folder.join(path);
                    let removed = tokio::task::spawn_blocking(move || RealDisk.remove_dir(&folder)).await;
                    let removed = removed.unwrap_or_else(|error| Err(io::Error::other(error)));
                    removed.map_err(|error| LogError::Disk(error.to_string()))
                }
                Owned::Outside(by, what) => {
                    self.parts.clears.iter().filter(|(known, _)| known == by).for_each(|(_, clear)| clear(what));
                    Ok(())
                }
            };
            result.map_err(|error| crate::resources::refused("the deletion", &error))?;
        }
        // Nobody may come to name a stream between the look at who does and its end.
        let _turn = self.parts.resources.turn.lock().await;
        let orphans = self.orphans(resource, known);
        // As of resources, it is written down before anything goes: a power cut behind their end leaves nobody to say it.
        let begun = orphans.iter().map(|stream| self.entry("Stream", stream.name.as_str(), 0, "deleting"));
        if let Some(append) = audit::append(&begun.collect::<Vec<_>>()) {
            let mut commit = Commit { appends: vec![append], frees: true, ..Commit::default() };
            let written = append_durable(log, &mut commit).await;
            written.map_err(|error| crate::resources::refused("the audit event", &error))?;
        }
        let mut entries = Vec::new();
        for stream in orphans {
            match log.delete(&stream.name).await {
                Ok(()) => entries.push(self.entry("Stream", stream.name.as_str(), 0, "deleted")),
                Err(LogError::UnknownStream(_)) => {}
                Err(error) => return Err(crate::resources::refused("the deletion", &error)),
            }
        }
        let Metadata { name, generation, .. } = &resource.metadata;
        entries.push(self.entry(&resource.kind, name.as_str(), *generation, "deleted"));
        self.parts.resources.write(vec![(resource.id(), None)], Vec::new(), &entries).await
    }

    /// The streams that the node made and that go with a resource, if its deletion says so.
    fn orphans(&self, resource: &Arc<Resource>, known: &mut Known) -> Vec<Arc<Stream>> {
        if !resource.metadata.deleting_made {
            return Vec::new();
        }
        let mut stays = self.parts.resources.list(None);
        stays.retain(|other| other.metadata.uid != resource.metadata.uid);
        let observed = observe(self.parts.log.as_ref());
        made::orphans(&self.parts.registry, std::slice::from_ref(resource), &stays, &observed, known)
    }

    fn entry(&self, kind: &str, name: &str, generation: u64, outcome: &str) -> audit::Entry {
        audit::Entry {
            time: self.parts.clock.now(),
            who: audit::LOCAL.to_owned(),
            verb: "delete".to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            generation,
            outcome: outcome.to_owned(),
        }
    }
}
