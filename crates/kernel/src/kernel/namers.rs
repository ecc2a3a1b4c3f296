//! Who names what, looked up once for many questions.
//!
//! What it is NOT: kept up to date. It is as things were when it was made.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::Kernel;
use crate::resource::{Resource, id};

/// Who names what: id -> the resources that name it.
pub(super) struct Namers(HashMap<String, Vec<Arc<Resource>>>);

impl Namers {
    /// As it is now. Takes milliseconds where there are thousands of resources: call it on a thread that may.
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

    /// What goes by these ids, once each, behind those of them that name it. Where they name each other in a circle, one of
    /// them comes too early.
    pub fn sorted<T>(&self, items: Vec<(String, T)>) -> Vec<T> {
        enum Step<T> {
            Look(String),
            Put(T),
        }
        let order: Vec<String> = items.iter().map(|(id, _)| id.clone()).collect();
        let mut left = HashMap::new();
        for (id, item) in items {
            left.entry(id).or_insert(item);
        }
        let mut sorted = Vec::with_capacity(left.len());
        for id in order {
            let mut steps = vec![Step::Look(id)];
            while let Some(step) = steps.pop() {
                match step {
                    Step::Look(id) => {
                        let Some(item) = left.remove(&id) else { continue };
                        steps.push(Step::Put(item));
                        let namers = self.0.get(&id).into_iter().flatten();
                        steps.extend(namers.map(|namer| Step::Look(namer.id())));
                    }
                    Step::Put(item) => sorted.push(item),
                }
            }
        }
        sorted
    }

    /// Resources that name `resource` and are not `gone`; with `deep` also those that name these, the outermost first.
    pub fn dependents(&self, resource: &Arc<Resource>, deep: bool, gone: &BTreeSet<String>) -> Vec<Arc<Resource>> {
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
