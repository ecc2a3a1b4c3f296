//! Applying: what files say becomes what is stored, all of it or none.
//!
//! Everything is examined first, against what is there and against each other; then one commit holds the resources and
//! their audit events. What then runs is the supervisor's matter.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use headwater_base::{Name, Problem, closest};
use headwater_log::Delta;
use serde::Serialize;
use serde_json::Value;

use super::{Kernel, carried_out};
use crate::audit;
use crate::kind::{ApplyOptions, View};
use crate::reconcile::{Action, Plan, Running, difference};
use crate::resource::{API_VERSION, Draft, Metadata, Resource, Status, id};
use crate::resources::RESOURCES_MAX;
use crate::supervisor::observe;
use crate::text;

/// What became of one applied resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: Name,
    /// What happened.
    pub outcome: Outcome,
    /// The generation that came out.
    pub generation: u64,
    /// The version that came out.
    #[serde(rename = "resourceVersion")]
    pub version: u64,
    /// What somebody wrote before, for a diff; None for a new resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is written now.
    pub after: Value,
}

/// What happened to an applied resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// There was none.
    Created,
    /// It changed.
    Configured,
    /// It was like that already.
    Unchanged,
}

/// What an apply did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The resources, in the order they were handed in.
    pub resources: Vec<Applied>,
    /// What the supervisor does about it: created streams, started, restarted and stopped units.
    pub actions: Vec<Action>,
    /// What is worth a look and stands in nobody's way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
}

/// What an apply comes to: the report, the resources that change, and the texts that do.
type Examined = (Report, Vec<Resource>, Vec<Delta>);

impl Kernel {
    /// Checks drafts against each other and what is there, and changes nothing: everything that `apply` would refuse,
    /// and names of resources that do not exist.
    pub fn check(&self, drafts: &[Draft]) -> Vec<Problem> {
        let map = by_id(drafts);
        let context = self.context();
        let stored = |kind: &str, name: &str| self.resources.get(kind, name);
        let view = View { registry: &self.setup.registry, context: &context, drafts: &map, stored: &stored };
        let mut problems = self.refusals(drafts, &view, &ApplyOptions::default());
        problems.extend(dangling(drafts, &view));
        problems
    }

    /// Creates and changes resources, all of them or none; durable on return. With `dry_run` it says what would happen.
    ///
    /// # Errors
    /// Everything that is wrong with any of them: `HW-KERNEL-009` to `-014`, `-028`, and what their kinds say.
    pub async fn apply(self: &Arc<Self>, drafts: Vec<Draft>, options: &ApplyOptions) -> Result<Report, Vec<Problem>> {
        let (kernel, options) = (Arc::clone(self), options.clone());
        let applied = carried_out("apply", async move {
            let _turn = kernel.resources.turn.lock().await;
            kernel.apply_in_turn(drafts, &options, Vec::new()).await
        });
        applied.await.map_err(|problem| vec![problem])?
    }

    /// [`Self::apply`] for whoever holds the turn; `state` becomes true in the same commit.
    pub(super) async fn apply_in_turn(
        self: &Arc<Self>,
        drafts: Vec<Draft>,
        options: &ApplyOptions,
        mut state: Vec<(Arc<str>, Vec<Delta>)>,
    ) -> Result<Report, Vec<Problem>> {
        let (kernel, asked) = (Arc::clone(self), options.clone());
        // Compiling a pipeline's programs takes milliseconds, which would stand in the way of other tasks.
        let examined = tokio::task::spawn_blocking(move || kernel.examine(&drafts, &asked)).await;
        let (report, changes, texts) = examined.map_err(|error| vec![crate::unit::panicked("apply", error)])??;
        if options.dry_run || (changes.is_empty() && texts.is_empty() && state.is_empty()) {
            return Ok(report);
        }
        let entry = |applied: &Applied| {
            let outcome = match applied.outcome {
                Outcome::Created => "created",
                Outcome::Configured => "configured",
                Outcome::Unchanged => {
                    let key = id(&applied.kind, applied.name.as_str());
                    texts.iter().any(|delta| delta.key == key.as_bytes()).then_some("rewritten")?
                }
            };
            Some(self.entry(&options.who, "apply", &applied.kind, applied.name.as_str(), applied.generation, outcome))
        };
        let entries: Vec<audit::Entry> = report.resources.iter().filter_map(entry).collect();
        let specs_changed = !changes.is_empty();
        let changes = changes.into_iter().map(|resource| (resource.id(), Some(resource))).collect();
        state.push((Arc::from(text::SPACE), texts));
        self.resources.write(changes, state, &entries).await.map_err(|problem| vec![problem])?;
        if specs_changed {
            self.compile_validators();
        }
        Ok(report)
    }

    /// The text of a resource as its author wrote it, comments included, while it says what the resource says: a change
    /// that came as JSON has none.
    ///
    /// Reads the text as an apply does; not for async threads.
    pub fn text(&self, resource: &Resource) -> Option<String> {
        let stored = self.resources.text(&resource.id())?;
        let drafts = self.setup.registry.read("text", &stored, &self.setup.limits).ok()?;
        let says = matches!(drafts.as_slice(), [draft] if draft.written() == resource.written());
        let text = String::from_utf8(stored.to_vec()).ok()?;
        says.then_some(text)
    }

    /// What an apply changes of the text that is kept. One without a text says nothing of the comments: they stay as long
    /// as the value does.
    fn rewritten(&self, draft: &Draft, outcome: Outcome) -> Option<Delta> {
        let key = draft.id();
        let stored = self.resources.text(&key);
        let value = match (&draft.text, &stored) {
            (Some(text), Some(stored)) if text.as_bytes() == stored => return None,
            (Some(text), _) => Some(Bytes::copy_from_slice(text.as_bytes())),
            (None, Some(_)) if outcome != Outcome::Unchanged => None,
            (None, _) => return None,
        };
        Some(Delta { key: Bytes::from(key), value })
    }

    /// Everything that stands against the drafts.
    fn refusals(&self, drafts: &[Draft], view: &View<'_>, options: &ApplyOptions) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        for draft in drafts {
            let Some(kind) = self.setup.registry.kind(&draft.kind) else { continue };
            if !seen.insert(draft.id()) {
                let fact = format!("`{}` is handed in twice", draft.id());
                problems.push(draft.origin.blame("/metadata/name", Problem::new("HW-KERNEL-028", fact)));
            }
            problems.append(&mut (kind.validate)(draft, view));
            let is_there = self.get(&draft.kind, draft.name.as_str()).is_some();
            if options.there.is_some_and(|wanted| wanted != is_there) {
                let (fact, help) = match is_there {
                    true => ("is there already, and is to be made", "get it, and change that version"),
                    false => {
                        ("does not exist, and is to be changed", "somebody deleted it; ask for a new one to make it")
                    }
                };
                let problem = Problem::new("HW-KERNEL-011", format!("`{}` {fact}", draft.id())).help(help);
                problems.push(draft.origin.blame("/metadata/name", problem));
                continue;
            }
            if let Some(old) = self.resources.get(&draft.kind, draft.name.as_str()) {
                if old.metadata.deleting.is_some() {
                    let problem = Problem::new("HW-KERNEL-011", format!("`{}` is being deleted", draft.id()));
                    problems.push(
                        draft.origin.blame("/metadata/name", problem.help("wait until it is gone and apply it again")),
                    );
                    continue;
                }
                problems.append(&mut (kind.change)(&old, draft, options));
            }
            let old = self.resources.get(&draft.kind, draft.name.as_str());
            let (generation, version) = old.map_or((0, 0), |old| (old.metadata.generation, old.metadata.version));
            let meant = [
                ("generation", "generation", draft.generation, generation),
                ("version", "resourceVersion", draft.version, version),
            ];
            let moved = meant.into_iter().find(|(_, _, meant, stored)| meant.is_some_and(|meant| meant != *stored));
            if let Some((word, key, Some(meant), stored)) = moved {
                let fact = format!("this changes {word} {meant} of `{}`, which is at {word} {stored}", draft.id());
                let problem = Problem::new("HW-KERNEL-011", fact).help(format!(
                    "somebody changed it since; get it again, or leave `metadata.{key}` out to change whatever is there"
                ));
                problems.push(draft.origin.blame(&format!("/metadata/{key}"), problem));
            }
        }
        problems
    }

    /// What applying comes to: the report, and the resources and texts to write.
    fn examine(&self, drafts: &[Draft], options: &ApplyOptions) -> Result<Examined, Vec<Problem>> {
        let map = by_id(drafts);
        let context = self.context();
        let stored = |kind: &str, name: &str| self.resources.get(kind, name);
        let view = View { registry: &self.setup.registry, context: &context, drafts: &map, stored: &stored };
        let problems = self.refusals(drafts, &view, options);
        if !problems.is_empty() {
            return Err(problems);
        }
        let (mut report, mut changes, mut texts) = (Report::default(), Vec::new(), Vec::new());
        for draft in drafts {
            let old = self.resources.get(&draft.kind, draft.name.as_str());
            let (outcome, mut resource) = self.outcome(draft, old.as_deref(), options);
            let text = self.rewritten(draft, outcome);
            let is_written = outcome != Outcome::Unchanged || text.is_some();
            if is_written {
                resource.metadata.version = self.next_version(resource.metadata.version);
            }
            texts.extend(text);
            report.resources.push(Applied {
                kind: draft.kind.clone(),
                name: draft.name.clone(),
                outcome,
                generation: resource.metadata.generation,
                version: resource.metadata.version,
                before: old.map(|old| old.written()),
                after: resource.written(),
            });
            if is_written {
                changes.push(resource);
            }
        }
        let created = report.resources.iter().filter(|applied| applied.outcome == Outcome::Created).count();
        if self.resources.count() + created > RESOURCES_MAX {
            let fact = format!("the node would have more than {RESOURCES_MAX} resources, which is the limit");
            return Err(vec![Problem::new("HW-KERNEL-015", fact)]);
        }
        report.actions = self.actions(&changes);
        report.warnings = self.setup.registry.advise(drafts, &self.resources.list(None));
        Ok((report, changes, texts))
    }

    /// What the supervisor will do about `changes`.
    fn actions(&self, changes: &[Resource]) -> Vec<Action> {
        let mut resources: HashMap<String, Arc<Resource>> =
            self.resources.list(None).into_iter().map(|resource| (resource.id(), resource)).collect();
        resources.extend(changes.iter().map(|resource| (resource.id(), Arc::new(resource.clone()))));
        let observed = observe(self.setup.log.as_ref());
        let changed: BTreeSet<String> = changes.iter().map(Resource::id).collect();
        let plan = |resource: &Arc<Resource>| -> Option<Plan> {
            let kind = self.setup.registry.kind(&resource.kind)?;
            // What cannot be planned by a bug is said by its status; a better spec can still take its place.
            kind.plan(resource, &observed).ok().filter(|_| resource.metadata.deleting.is_none())
        };
        let plans: Vec<Plan> =
            resources.values().filter(|resource| changed.contains(&resource.id())).filter_map(plan).collect();
        // Units of resources that do not change stay: only those of changed resources are compared.
        let running = self.running.read();
        let units: BTreeSet<String> = plans.iter().flat_map(|plan| &plan.units).map(|unit| unit.id()).collect();
        let mut compared: Running =
            running.iter().filter(|(id, _)| units.contains(*id)).map(|(id, hash)| (id.clone(), *hash)).collect();
        for resource in
            changes.iter().filter_map(|resource| self.resources.get(&resource.kind, resource.metadata.name.as_str()))
        {
            for unit in plan(&resource).into_iter().flat_map(|plan| plan.units) {
                if let Some(hash) = running.get(&unit.id()) {
                    compared.insert(unit.id(), *hash);
                }
            }
        }
        difference(&plans, &observed, &compared)
    }

    /// What a draft makes of a resource.
    fn outcome(&self, draft: &Draft, old: Option<&Resource>, options: &ApplyOptions) -> (Outcome, Resource) {
        let effective = |before: Option<&Value>| match self.setup.registry.kind(&draft.kind) {
            Some(kind) => (kind.effective)(&draft.spec, before),
            None => draft.spec.clone(),
        };
        let Some(old) = old else {
            let metadata = Metadata {
                name: draft.name.clone(),
                labels: draft.labels.clone(),
                annotations: draft.annotations.clone(),
                generation: 1,
                version: 0,
                uid: self.uid(),
                created: self.setup.clock.now(),
                state_epoch: 0,
                deleting: None,
                deleting_made: false,
            };
            let resource = Resource {
                api_version: API_VERSION.to_owned(),
                kind: draft.kind.clone(),
                metadata,
                spec: draft.spec.clone(),
                effective: effective(None),
                status: Status::pending("Pending", ""),
            };
            return (Outcome::Created, resource);
        };
        let spec_changed = old.spec != draft.spec || options.reset_state;
        if !spec_changed && old.metadata.labels == draft.labels && old.metadata.annotations == draft.annotations {
            return (Outcome::Unchanged, old.clone());
        }
        let mut resource = old.clone();
        resource.metadata.labels.clone_from(&draft.labels);
        resource.metadata.annotations.clone_from(&draft.annotations);
        if spec_changed {
            resource.metadata.generation += 1;
            resource.metadata.state_epoch += u64::from(options.reset_state);
            resource.spec = draft.spec.clone();
            resource.effective = effective(Some(old.effective()));
        }
        (Outcome::Configured, resource)
    }

    /// Unique on this node: the time, and a count within the same microsecond.
    fn uid(&self) -> String {
        let mut born = self.born.lock();
        *born += 1;
        format!("{:x}-{:x}", self.setup.clock.now().0, *born)
    }
}

/// Problems of drafts that name resources which do not exist.
pub fn dangling(drafts: &[Draft], view: &View<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for draft in drafts {
        let Some(kind) = view.registry.kind(&draft.kind) else { continue };
        for reference in (kind.refs)(&(kind.effective)(&draft.spec, None)) {
            if !reference.needed || view.has(reference.kind, &reference.name) {
                continue;
            }
            let names =
                view.drafts.values().filter(|other| other.kind == reference.kind).map(|other| other.name.as_str());
            let near =
                closest(&reference.name, names).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            let fact = format!("`{}` names `{}/{}`, which does not exist", draft.id(), reference.kind, reference.name);
            let help = format!("{near}it can be applied, and waits until there is one");
            problems.push(draft.origin.blame(&reference.at, Problem::new("HW-KERNEL-030", fact).help(help)));
        }
    }
    problems
}

fn by_id(drafts: &[Draft]) -> HashMap<String, Draft> {
    drafts.iter().map(|draft| (draft.id(), draft.clone())).collect()
}
