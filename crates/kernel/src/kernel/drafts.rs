//! Drafts that several people work on: the text of a resource that is not applied yet, kept on the node.
//!
//! A draft is a text and nothing else: it need not be valid, nothing reads it before it is published, and it is no
//! resource, so that only its publication is audited. Invariants: who changes a draft says which version of it was
//! seen, and no version comes twice, so that nobody overwrites what they have not seen; a draft is published and gone
//! in one commit; it goes with its resource.

use std::sync::Arc;

use bytes::Bytes;
use headwater_base::{Micros, Name, Principal, Problem};
use headwater_log::{Commit, Delta, View};
use serde::{Deserialize, Serialize};

use super::{Kernel, Report, carried_out};
use crate::kind::ApplyOptions;
use crate::resource::{id, rfc3339};
use crate::resources::DRAFT_SPACE as SPACE;

/// A draft that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptDraft {
    /// Of which kind.
    pub kind: String,
    /// Of which name; there need not be such a resource.
    pub name: Name,
    /// Grows with every change, also over a draft of the same name that was discarded.
    pub version: u64,
    /// The version of the resource that it began with; 0 where there was none.
    #[serde(rename = "resourceVersion")]
    pub begun: u64,
    /// Who changed it last.
    pub who: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub time: Micros,
    /// The YAML.
    pub text: String,
}

/// What somebody wants a draft to be.
#[derive(Clone, Debug)]
pub struct DraftChange {
    /// Of which kind.
    pub kind: &'static str,
    /// Of which name.
    pub name: Name,
    /// The version that was seen; 0 for a draft that is new.
    pub version: u64,
    /// The version of the resource that it began with; 0 where there was none. A draft that is there keeps its own
    /// without it, and a new one begins with the resource as it is.
    pub begun: Option<u64>,
    /// Who.
    pub who: Principal,
    /// The YAML.
    pub text: String,
}

impl Kernel {
    /// The draft of a resource.
    ///
    /// # Errors
    /// `HW-KERNEL-039` when there is none.
    pub fn kept_draft(&self, kind: &str, name: &str) -> Result<KeptDraft, Problem> {
        self.stored_draft(kind, name).ok_or_else(|| {
            Problem::new("HW-KERNEL-039", format!("there is no draft of `{kind}/{}`", crate::kind::short(name)))
                .help("`GET /v1/drafts` lists the drafts; one that was published or discarded is gone")
        })
    }

    /// All drafts, by kind and name.
    pub fn kept_drafts(&self) -> Vec<KeptDraft> {
        let stored = self.setup.log.scan(SPACE, b"", None, self.setup.limits.drafts);
        stored.iter().filter_map(|(_, value)| read(value)).collect()
    }

    /// Keeps a text as the draft of a resource; durable on return.
    ///
    /// # Errors
    /// `HW-KERNEL-038` when the draft is at another version, `-040` and `-041` at the bounds, `-016`.
    pub async fn keep_draft(&self, change: DraftChange) -> Result<KeptDraft, Problem> {
        let DraftChange { kind, name, version, begun, who, text } = change;
        let limits = &self.setup.limits;
        if text.len() > limits.resource_text_bytes {
            let (bytes, limit) = (text.len(), limits.resource_text_bytes);
            let problem = Problem::new("HW-KERNEL-040", format!("the draft has {bytes} bytes; the limit is {limit}"));
            return Err(problem.help("spread its charts over several dashboards"));
        }
        let _turn = self.resources.turn.lock().await;
        let stored = self.stored_draft(kind, name.as_str());
        let seen = stored.as_ref().map_or(0, |stored| stored.version);
        if seen != version {
            return Err(moved(kind, name.as_str(), stored.as_ref()));
        }
        if stored.is_none() && self.setup.log.scan(SPACE, b"", None, limits.drafts).len() >= limits.drafts {
            let fact = format!("the node keeps {} drafts, which is the limit", limits.drafts);
            return Err(Problem::new("HW-KERNEL-041", fact).help("publish or discard some that nobody works on"));
        }
        let time = self.setup.clock.now();
        let version = self.next_version(seen);
        let who = who.as_str().to_owned();
        let begun = begun.unwrap_or_else(|| match &stored {
            Some(stored) => stored.begun,
            None => self.version_of(kind, name.as_str()),
        });
        let draft = KeptDraft { kind: kind.to_owned(), name, version, begun, who, time, text };
        let value = serde_json::to_vec(&draft).map_err(|error| {
            Problem::new("HW-KERNEL-016", format!("the draft of `{}` cannot be written", draft.id())).because(error)
        })?;
        let deltas = vec![(Arc::from(SPACE), vec![Delta { key: Bytes::from(draft.id()), value: Some(value.into()) }])];
        self.resources.commit(Commit { deltas, ..Commit::default() }).await?;
        Ok(draft)
    }

    /// Discards a draft, of whatever version if none is given.
    ///
    /// # Errors
    /// `HW-KERNEL-039` when there is none, `-038` when it is at another version, `-016`.
    pub async fn discard_draft(&self, kind: &str, name: &str, version: Option<u64>) -> Result<(), Problem> {
        let _turn = self.resources.turn.lock().await;
        let stored = self.kept_draft(kind, name)?;
        if version.is_some_and(|version| version != stored.version) {
            return Err(moved(kind, name, Some(&stored)));
        }
        let deltas = vec![(Arc::from(SPACE), vec![gone(&stored)])];
        self.resources.commit(Commit { deltas, frees: true, ..Commit::default() }).await
    }

    /// Applies a draft, which is gone with that; all of it or nothing.
    ///
    /// # Errors
    /// `HW-KERNEL-039` when there is none, `-038` when it is at another version, `-011` when the resource has changed since
    /// it began, `-042` when it is of another resource, and everything that [`Kernel::apply`] refuses, with its place in the
    /// text.
    pub async fn publish_draft(
        self: &Arc<Self>,
        kind: &str,
        name: &str,
        version: u64,
        who: Principal,
    ) -> Result<Report, Vec<Problem>> {
        let (kernel, kind, name) = (Arc::clone(self), kind.to_owned(), name.to_owned());
        let published = carried_out("publish", async move { kernel.publish(&kind, &name, version, who).await });
        published.await.map_err(|problem| vec![problem])?
    }

    async fn publish(
        self: &Arc<Self>,
        kind: &str,
        name: &str,
        version: u64,
        who: Principal,
    ) -> Result<Report, Vec<Problem>> {
        let _turn = self.resources.turn.lock().await;
        let stored = self.kept_draft(kind, name).map_err(|problem| vec![problem])?;
        if version != stored.version {
            return Err(vec![moved(kind, name, Some(&stored))]);
        }
        let mut drafts = self.setup.registry.read("draft", stored.text.as_bytes(), &self.setup.limits)?;
        let (Some(mut draft), true) = (drafts.pop(), drafts.is_empty()) else {
            let fact = format!("the draft of `{}` is not exactly one resource", stored.id());
            return Err(vec![Problem::new("HW-KERNEL-042", fact)]);
        };
        if draft.id() != stored.id() {
            let fact = format!("the draft of `{}` says `{}`", stored.id(), draft.id());
            return Err(vec![draft.origin.blame("/metadata/name", Problem::new("HW-KERNEL-042", fact))]);
        }
        let now = self.version_of(kind, name);
        if now != stored.begun {
            return Err(vec![outdated(&stored, now)]);
        }
        // What its text says of it was true when the text was written.
        (draft.generation, draft.version) = (None, None);
        let state = vec![(Arc::from(SPACE), vec![gone(&stored)])];
        let options = ApplyOptions { who, ..ApplyOptions::default() };
        self.apply_in_turn(vec![draft], &options, state).await
    }

    /// The version of a resource; 0 where there is none.
    fn version_of(&self, kind: &str, name: &str) -> u64 {
        self.resources.get(kind, name).map_or(0, |resource| resource.metadata.version)
    }

    fn stored_draft(&self, kind: &str, name: &str) -> Option<KeptDraft> {
        read(&self.setup.log.get(SPACE, id(kind, name).as_bytes(), View::Durable)?)
    }
}

impl KeptDraft {
    /// `Kind/name`.
    pub fn id(&self) -> String {
        id(&self.kind, self.name.as_str())
    }
}

fn gone(draft: &KeptDraft) -> Delta {
    Delta { key: Bytes::from(draft.id()), value: None }
}

fn read(value: &[u8]) -> Option<KeptDraft> {
    let draft = serde_json::from_slice(value);
    draft.inspect_err(|error| tracing::error!(%error, "draft cannot be read")).ok()
}

/// `HW-KERNEL-038`: it is not what was seen.
fn moved(kind: &str, name: &str, stored: Option<&KeptDraft>) -> Problem {
    let fact = match stored {
        Some(KeptDraft { who, time, .. }) => format!("`{who}` changed the draft of `{kind}/{name}` at {time}"),
        None => format!("the draft of `{kind}/{name}` is gone: somebody has published or discarded it"),
    };
    Problem::new("HW-KERNEL-038", fact).help("get the draft again before you change it")
}

/// `HW-KERNEL-011`: the resource is not the one that the draft began with.
fn outdated(draft: &KeptDraft, now: u64) -> Problem {
    let id = draft.id();
    let fact = match (draft.begun, now) {
        (0, _) => format!("the draft of `{id}` began when there was none, and there is one of version {now} by now"),
        (begun, 0) => format!("the draft of `{id}` began with version {begun}, and there is none any more"),
        (begun, _) => format!("the draft began with version {begun} of `{id}`, which is at version {now} by now"),
    };
    Problem::new("HW-KERNEL-011", fact).help(format!(
        "take over what was changed since, then keep the draft again with `resourceVersion={now}`; or discard it"
    ))
}
