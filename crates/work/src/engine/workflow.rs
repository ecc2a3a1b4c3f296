//! Workflows as the engine knows them: what runs under a name now, and what has been published.
//!
//! A definition is stored once, by the hash of its text, and never goes while an execution may be pinned to it. Each
//! generation of a Workflow resource is a published version of it. Which of them is current is a row, too: executions go
//! on as soon as the engine is open, before the resources are looked at, and may start others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use headwater_base::Problem;
use headwater_log::{Commit, Delta, View, append_durable};

use super::rows::{DEFINITIONS, Head, Key, Tag, Unknown, VERSIONS};
use super::{Engine, Inner, refused};
use crate::alias::Aliases;
use crate::chance::Chance;
use crate::definition::{Definition, Flavor};
use crate::execution::Execution;
use crate::execution::record::{Part, Stored};
use crate::hash;

/// Definitions kept in memory.
const CACHED_MAX: usize = 1_000;

/// See the file's head.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Its name.
    pub name: String,
    /// The generation of its resource.
    pub version: u64,
    /// Its definition's text.
    pub text: Arc<str>,
    /// The hash of that.
    pub hash: [u8; 32],
    /// Kept in memory only.
    pub express: bool,
    /// What becomes of a task that was under way when the node crashed.
    pub unknown: Unknown,
    /// How long an ended execution is kept.
    pub retention_s: u64,
    /// Names that stand for versions.
    pub aliases: Aliases,
}

impl Workflow {
    /// A workflow of this definition, without aliases.
    pub fn new(name: &str, version: u64, text: &str, express: bool, unknown: Unknown, retention_s: u64) -> Self {
        let hash = hash::sha256(text.as_bytes());
        let (name, text, aliases) = (name.to_owned(), Arc::from(text), Aliases::new());
        Self { name, version, text, hash, express, unknown, retention_s, aliases }
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = self.hash.to_vec();
        bytes.push(u8::from(self.express));
        bytes.push(self.unknown as u8);
        bytes.extend_from_slice(&self.retention_s.to_be_bytes());
        if !self.aliases.is_empty() {
            // Texts and numbers always have JSON.
            bytes.extend_from_slice(&serde_json::to_vec(&self.aliases).unwrap_or_default());
        }
        Bytes::from(bytes)
    }

    /// Reads the row of a version; `text` finds its definition, by the hash and whether it is Express.
    pub(super) fn decode(
        name: &str,
        version: u64,
        row: &[u8],
        text: impl FnOnce(&[u8; 32], bool) -> Option<Bytes>,
    ) -> Option<Self> {
        let (hash, rest) = row.split_first_chunk::<32>()?;
        let [express, unknown, rest @ ..] = rest else { return None };
        let express = *express == 1;
        let text = text(hash, express)?;
        let unknown = match unknown {
            1 => Unknown::Ask,
            2 => Unknown::Fail,
            _ => Unknown::Retry,
        };
        let (retention_s, aliases) = rest.split_first_chunk()?;
        let retention_s = u64::from_be_bytes(*retention_s);
        let aliases = if aliases.is_empty() { Aliases::new() } else { serde_json::from_slice(aliases).ok()? };
        let workflow = Self::new(name, version, std::str::from_utf8(&text).ok()?, express, unknown, retention_s);
        Some(Self { aliases, ..workflow })
    }
}

fn definition_key(hash: &[u8; 32], express: bool) -> Bytes {
    let mut key = hash.to_vec();
    key.push(u8::from(express));
    Bytes::from(key)
}

fn version_key(name: &str, version: u64) -> Bytes {
    let mut key = name.as_bytes().to_vec();
    key.push(0);
    key.extend_from_slice(&version.to_be_bytes());
    Bytes::from(key)
}

fn current_key(name: &str) -> Bytes {
    Bytes::from(name.as_bytes().to_vec())
}

fn current(version: u64) -> Bytes {
    Bytes::copy_from_slice(&version.to_be_bytes())
}

impl Engine {
    /// Makes a workflow startable, after its definition is durable.
    ///
    /// # Errors
    /// `HW-WORK-001` for a definition with faults, `HW-WORK-034` when the log refuses.
    pub async fn register(&self, workflow: Workflow) -> Result<(), Problem> {
        let inner = &self.0;
        let flavor = if workflow.express { Flavor::Express } else { Flavor::Standard };
        let definition = Definition::load(&workflow.text, flavor, &inner.limits)?;
        let mut commit = Commit {
            deltas: vec![
                (
                    Arc::from(DEFINITIONS),
                    vec![Delta {
                        key: definition_key(&workflow.hash, workflow.express),
                        value: Some(Bytes::from(workflow.text.as_bytes().to_vec())),
                    }],
                ),
                (
                    Arc::from(VERSIONS),
                    vec![
                        Delta { key: version_key(&workflow.name, workflow.version), value: Some(workflow.encode()) },
                        Delta { key: current_key(&workflow.name), value: Some(current(workflow.version)) },
                    ],
                ),
            ],
            ..Commit::default()
        };
        let there = |key: Bytes| inner.log.get(VERSIONS, &key, View::Appended);
        let known = there(version_key(&workflow.name, workflow.version)) == Some(workflow.encode())
            && there(current_key(&workflow.name)) == Some(current(workflow.version));
        if !known {
            append_durable(&*inner.log, &mut commit).await.map_err(|error| refused(&error))?;
        }
        inner.remember(&workflow.hash, workflow.express, Arc::new(definition));
        inner.workflows.write().insert(workflow.name.clone(), Arc::new(workflow));
        Ok(())
    }

    /// Takes a workflow away: no execution of it starts any more; those that run go on. Of an engine that is closed
    /// nothing is taken: the node stops, the workflow stays.
    pub fn unregister(&self, name: &str, version: u64) {
        let mut workflows = self.0.workflows.write();
        if self.0.closed.load(Ordering::Acquire) || workflows.get(name).is_none_or(|there| there.version != version) {
            return;
        }
        workflows.remove(name);
        let delta = Delta { key: current_key(name), value: None };
        let mut commit = Commit { deltas: vec![(Arc::from(VERSIONS), vec![delta])], ..Commit::default() };
        if let Err(error) = self.0.log.append(&mut commit) {
            tracing::warn!(workflow = name, %error, "the end of a workflow is not written down");
        }
    }
}

impl Inner {
    /// Takes up the workflows that were current.
    pub(super) fn recall(&self) {
        let mut names = Vec::new();
        self.log.for_each(VERSIONS, &mut |key, value| {
            if let (Ok(name), Ok(version)) = (std::str::from_utf8(key), value.try_into())
                && !name.contains('\0')
            {
                names.push((name.to_owned(), u64::from_be_bytes(version)));
            }
        });
        for (name, version) in names {
            let row = self.log.get(VERSIONS, &version_key(&name, version), View::Durable);
            if let Some(workflow) = row.and_then(|row| self.published(&name, version, &row)) {
                self.workflows.write().insert(name, Arc::new(workflow));
            }
        }
    }

    /// A workflow as it is now, or a published version of it.
    ///
    /// # Errors
    /// `HW-WORK-020`.
    pub(super) fn workflow(&self, name: &str, version: Option<u64>) -> Result<Arc<Workflow>, Problem> {
        let found = self.workflows.read().get(name).cloned();
        let missing = |what: String| {
            let known = self.workflows.read();
            let near = headwater_base::closest(name, known.keys().map(String::as_str));
            let help = near.filter(|near| *near != name).map_or_else(
                || "`headwater get workflows` lists them".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            Problem::new(crate::tasks::NO_WORKFLOW, what).help(help)
        };
        let shown: String = name.chars().take(80).collect();
        let current = found.ok_or_else(|| missing(format!("there is no workflow `{}`", shown.escape_debug())))?;
        let Some(version) = version.filter(|version| *version != current.version) else { return Ok(current) };
        let row = self.log.get(VERSIONS, &version_key(name, version), View::Durable);
        let old = row.and_then(|row| self.published(name, version, &row));
        old.map(Arc::new).ok_or_else(|| missing(format!("workflow `{shown}` has no version {version}")))
    }

    /// A version that an alias of a workflow stands for, drawn by its weights.
    ///
    /// # Errors
    /// `HW-WORK-020`.
    pub(super) fn route(&self, name: &str, alias: &str) -> Result<u64, Problem> {
        let current = self.workflow(name, None)?;
        let there = current.aliases.get(alias);
        let drawn = there.and_then(|alias| alias.pick(&mut Chance::new(self.seed())));
        drawn.ok_or_else(|| {
            let shown: String = alias.chars().take(80).collect();
            let near = headwater_base::closest(alias, current.aliases.keys().map(String::as_str));
            let help = near.map_or_else(
                || "a Workflow's `spec.aliases` names them".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            let fact = format!("workflow `{}` has no alias `{}`", current.name, shown.escape_debug());
            Problem::new(crate::tasks::NO_WORKFLOW, fact).help(help)
        })
    }

    fn published(&self, name: &str, version: u64, row: &[u8]) -> Option<Workflow> {
        let text = |hash: &[u8; 32], express| self.log.get(DEFINITIONS, &definition_key(hash, express), View::Durable);
        Workflow::decode(name, version, row, text)
    }

    /// The evaluator's state of an execution, from its rows.
    ///
    /// # Errors
    /// `HW-WORK-002` when a record is damaged or missing.
    pub(super) fn stored(&self, key: &Key, head: &Head) -> Result<Execution, Problem> {
        let ids = head.threads.iter().flat_map(|(first, end)| *first..*end);
        let stored = Stored::of(ids, |part| {
            let (tag, rest) = match part {
                Part::Header => (Tag::Header, Vec::new()),
                Part::Thread(id) => (Tag::Thread, id.to_be_bytes().to_vec()),
                Part::Data(id) => (Tag::Data, id.to_be_bytes().to_vec()),
            };
            self.row(key, tag, &rest, View::Appended).map(|bytes| bytes.to_vec())
        })?;
        stored.restore_with(&|hash| self.fetch(hash))
    }

    /// A stored definition.
    ///
    /// # Errors
    /// `HW-WORK-037` when it is not there.
    pub(super) fn definition(&self, hash: &[u8; 32], express: bool) -> Result<Arc<Definition>, Problem> {
        if let Some(definition) = self.definitions.lock().get(&cached(hash, express)) {
            return Ok(Arc::clone(definition));
        }
        let text = self.definition_text(hash, express)?;
        let flavor = if express { Flavor::Express } else { Flavor::Standard };
        let definition = Arc::new(Definition::load(&text, flavor, &self.limits)?);
        self.remember(hash, express, Arc::clone(&definition));
        Ok(definition)
    }

    /// Its text.
    ///
    /// # Errors
    /// `HW-WORK-037` when it is not there.
    pub(super) fn definition_text(&self, hash: &[u8; 32], express: bool) -> Result<String, Problem> {
        let text = self.log.get(DEFINITIONS, &definition_key(hash, express), View::Appended);
        text.and_then(|text| String::from_utf8(text.to_vec()).ok()).ok_or_else(|| {
            Problem::new("HW-WORK-037", format!("definition `{}` is not stored", hash::hex(hash)))
                .help("restore the node's data folder from a backup, or start the execution again")
        })
    }

    fn remember(&self, hash: &[u8; 32], express: bool, definition: Arc<Definition>) {
        let mut definitions = self.definitions.lock();
        if definitions.len() >= CACHED_MAX {
            definitions.clear();
        }
        definitions.insert(cached(hash, express), definition);
    }
}

/// A text may be of both types; the key in memory tells them apart.
fn cached(hash: &[u8; 32], express: bool) -> [u8; 32] {
    let mut key = *hash;
    key[0] ^= u8::from(express);
    key
}
