//! What deletions of many would come to, one after the other. They are asked about at once, so that who names what is
//! looked up once for all of them.
//!
//! What it is NOT: a deletion. Nothing is locked and nothing is written: it says what there is now.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use headwater_base::Problem;

use super::Kernel;
use super::delete::{DeleteOptions, stream_id};
use crate::audit;
use crate::resource::{Resource, id};

/// A deletion that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The resource's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The version that is meant; None for whatever is there.
    pub version: Option<u64>,
}

/// What deletions would come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// The ids of all that goes: of resources in the order in which they go, then of streams that the node made.
    pub deleted: Vec<String>,
    /// Why others stay, in the order in which they were named; as [`Kernel::delete`].
    pub refused: Vec<Problem>,
}

impl Kernel {
    /// Says what these come to, one after the other; one that others among them stand in the way of waits for those. Takes
    /// milliseconds where there are thousands of resources: call it on a thread that may.
    pub fn foresee(&self, deletions: &[Deletion], options: &DeleteOptions) -> Foreseen {
        let namers = Namers::of(self);
        let (mut goes, mut refused) = (Vec::new(), Vec::new());
        let mut gone = options.gone.clone();
        let mut waiting: Vec<&Deletion> = deletions.iter().collect();
        loop {
            let before = waiting.len();
            refused.clear();
            waiting.retain(|deletion| {
                let id = id(&deletion.kind, &deletion.name);
                // It goes with another one already.
                if gone.contains(&id) && !options.gone.contains(&id) {
                    return false;
                }
                match self.goes(deletion, options, &namers, &gone) {
                    Ok(all) => {
                        gone.extend(all.iter().map(|resource| resource.id()));
                        goes.extend(all);
                        false
                    }
                    Err(problem) => {
                        refused.push(problem);
                        true
                    }
                }
            });
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        let mut deleted: Vec<String> = goes.iter().map(|resource| resource.id()).collect();
        if options.made {
            let made = self.orphans(&goes, &options.gone);
            deleted.extend(made.iter().map(stream_id).filter(|id| !gone.contains(id)));
        }
        Foreseen { deleted, refused }
    }

    /// The resources that go where this one is deleted, itself last, as things are once others are `gone`.
    ///
    /// # Errors
    /// As [`Kernel::delete`].
    pub(super) fn goes(
        &self,
        deletion: &Deletion,
        options: &DeleteOptions,
        namers: &Namers,
        gone: &BTreeSet<String>,
    ) -> Result<Vec<Arc<Resource>>, Problem> {
        let (kind, name) = (deletion.kind.as_str(), deletion.name.as_str());
        let there = self.get(kind, name).filter(|resource| !gone.contains(&resource.id()));
        let Some(resource) = there else { return Err(self.not_found(kind, name)) };
        let stored = resource.metadata.version;
        if let Some(meant) = deletion.version.filter(|meant| *meant != stored) {
            let fact = format!("this deletes version {meant} of `{}`, which is at version {stored}", resource.id());
            return Err(Problem::new("HW-KERNEL-011", fact).help("somebody changed it since; get it again"));
        }
        if let Some(table) =
            name.strip_prefix("table.").filter(|table| kind == "Stream" && self.resources.get("Table", table).is_some())
        {
            let problem = Problem::new("HW-KERNEL-027", format!("the stream `{name}` belongs to the table `{table}`"));
            return Err(problem.help(format!("`headwater delete table/{table}` deletes both")));
        }
        if kind == "Stream" && name == audit::STREAM {
            return Err(Problem::new("HW-KERNEL-027", "the audit stream cannot be deleted"));
        }
        let dependents = namers.dependents(&resource, options.cascade, gone);
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
}

/// Who names what: id -> the resources that name it.
pub(super) struct Namers(HashMap<String, Vec<Arc<Resource>>>);

impl Namers {
    /// As it is now.
    pub fn of(kernel: &Kernel) -> Self {
        let mut namers: HashMap<String, Vec<Arc<Resource>>> = HashMap::new();
        for resource in kernel.resources.list(None) {
            let Some(kind) = kernel.registry().kind(&resource.kind) else { continue };
            for reference in kind.names(&resource).unwrap_or_default() {
                let of = namers.entry(id(reference.kind, &reference.name)).or_default();
                // It may name it at several places.
                if of.last().is_none_or(|last| !Arc::ptr_eq(last, &resource)) {
                    of.push(Arc::clone(&resource));
                }
            }
        }
        Self(namers)
    }

    /// Resources that name `resource` and are not `gone`; with `deep` also those that name these, the outermost first.
    fn dependents(&self, resource: &Arc<Resource>, deep: bool, gone: &BTreeSet<String>) -> Vec<Arc<Resource>> {
        let mut found: Vec<Arc<Resource>> = Vec::new();
        let mut seen = HashSet::from([resource.id()]);
        let mut queue = vec![Arc::clone(resource)];
        while let Some(target) = queue.pop() {
            for other in self.0.get(&target.id()).into_iter().flatten() {
                let id = other.id();
                if !gone.contains(&id) && seen.insert(id) {
                    found.push(Arc::clone(other));
                    if deep {
                        queue.push(Arc::clone(other));
                    }
                }
            }
        }
        found.reverse();
        found
    }
}
