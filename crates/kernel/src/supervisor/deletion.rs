//! Finishing deletions: units stop, then what the resource owns goes, then the resource.

use std::io;
use std::sync::Arc;

use headwater_base::Problem;
use headwater_log::LogError;
use headwater_store::disk::{Disk, RealDisk};

use super::slot::Slot;
use super::{Supervisor, observe};
use crate::audit;
use crate::reconcile::Owned;
use crate::resource::{Resource, Status};
use crate::unit::{awaited, bug};

impl Supervisor {
    /// Removes resources whose deletion began and for which nothing runs any more.
    pub(super) async fn finish_deletions(&mut self) {
        let deleting: Vec<Arc<Resource>> = self
            .parts
            .resources
            .list(None)
            .into_iter()
            .filter(|resource| resource.metadata.deleting.is_some())
            .collect();
        for resource in deleting {
            let id = resource.id();
            let mut busy = false;
            for unit in self.units_of(&resource) {
                self.end(&unit);
                busy |= self.slots.contains_key(&unit);
            }
            if busy {
                continue;
            }
            let finished = awaited(self.finish(&resource)).await;
            let finished = finished.unwrap_or_else(|said| Err(bug(format_args!("the deletion of `{id}`"), &said)));
            if let Err(problem) = finished {
                tracing::error!(resource = %id, code = problem.code, title = problem.title, "deletion failed");
                self.parts.resources.set_status(
                    &resource.kind,
                    resource.metadata.name.as_str(),
                    &resource.metadata.uid,
                    Status::failed("DeletionFailed", problem.title),
                );
            }
        }
    }

    /// Ids of units that run for a resource, or for one that names it.
    fn units_of(&self, resource: &Resource) -> Vec<String> {
        let names = |other: &Resource| {
            let Some(kind) = self.parts.registry.kind(&other.kind) else { return false };
            let refs = kind.names(other).unwrap_or_default();
            refs.iter().any(|reference| {
                reference.needed && reference.kind == resource.kind && reference.name == resource.metadata.name.as_str()
            })
        };
        let uses = |slot: &Slot| slot.spec.resource.metadata.uid == resource.metadata.uid || names(&slot.spec.resource);
        self.slots.iter().filter(|(_, slot)| uses(slot)).map(|(id, _)| id.clone()).collect()
    }

    async fn finish(&self, resource: &Arc<Resource>) -> Result<(), Problem> {
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
        let entry = audit::Entry {
            time: self.parts.clock.now(),
            who: audit::LOCAL.to_owned(),
            verb: "delete".to_owned(),
            kind: resource.kind.clone(),
            name: resource.metadata.name.to_string(),
            generation: resource.metadata.generation,
            outcome: "deleted".to_owned(),
        };
        let _turn = self.parts.resources.turn.lock().await;
        self.parts.resources.write(vec![(resource.id(), None)], Vec::new(), &[entry]).await
    }
}
