//! Reading executions: one, many, their history. Only what is durable is shown.

use std::collections::{BTreeMap, VecDeque};

use ahash::HashMap;
use bytes::Bytes;
use headwater_base::{Micros, Name, Problem};
use headwater_kernel::port::workflows::{ExecutionCounts, ExecutionQuery, ExecutionState, ExecutionView};
use headwater_log::View;
use serde_json::Value;

use super::index::{Group, Place};
use super::journal::{self, Reader};
use super::rows::{self, Head, Key, Tag};
use super::{Inner, no_execution, view};

/// Executions of one page at most.
const PAGE_MAX: usize = 1_000;
/// Executions looked at for one page, where the query asks for what the index does not know: version, alias and
/// redrives.
const LOOKED_MAX: usize = 10_000;
/// Executions that ended lately and are kept as they are shown.
const RECENT_MAX: usize = 4_096;
/// The largest of them.
const RECENT_BYTES_MAX: usize = 4_096;

/// The key of an execution by its id.
///
/// # Errors
/// `HW-WORK-030` for a text that is no id.
pub(super) fn key_of(id: &str) -> Result<Key, Problem> {
    id.split_once('/').map(|(workflow, name)| rows::key_of(workflow, name)).ok_or_else(|| no_execution(id))
}

/// Executions that ended lately as they are shown, so that whoever asks at once costs no look into the history.
#[derive(Default)]
pub(super) struct Recent {
    views: HashMap<Key, ExecutionView>,
    order: VecDeque<Key>,
}

impl Recent {
    /// Remembers an execution whose end has its place; it counts once its head says the same.
    pub(super) fn put(&mut self, key: Key, view: &ExecutionView) {
        let bytes = |json: &Option<Bytes>| json.as_ref().map_or(0, Bytes::len);
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let data = bytes(&view.input) + bytes(&view.output) + text(&view.error) + text(&view.cause);
        if data > RECENT_BYTES_MAX {
            return;
        }
        if self.views.insert(key, view.clone()).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > RECENT_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.views.remove(&oldest);
            }
        }
    }

    fn get(&self, key: &Key, head: &Head) -> Option<ExecutionView> {
        // Taken up again it ends at another time, or has not ended.
        let same =
            |view: &&ExecutionView| head.stopped.is_some() && (view.stopped, view.state) == (head.stopped, head.state);
        self.views.get(key).filter(same).cloned()
    }
}

impl Inner {
    /// The head of an execution.
    ///
    /// # Errors
    /// `HW-WORK-030`.
    pub(super) fn durable_head(&self, id: &str) -> Result<(Key, Head), Problem> {
        let key = key_of(id)?;
        let head = self.row(&key, Tag::Head, &[], View::Durable).ok_or_else(|| no_execution(id))?;
        Ok((key, Head::decode(&head)?))
    }

    /// One execution with input and output.
    ///
    /// # Errors
    /// `HW-WORK-030`.
    pub(super) fn describe(&self, id: &str) -> Result<ExecutionView, Problem> {
        let (key, head) = self.durable_head(id)?;
        if let Some(view) = self.recent.lock().get(&key, &head) {
            return Ok(view);
        }
        let mut shown = view(&head, None);
        if head.first < 0 {
            shown.input = self.row(&key, Tag::Header, &[], View::Durable);
            return Ok(shown);
        }
        let stream = Name::new(journal::STREAM)?;
        let reader = Reader {
            log: &*self.log,
            stream: &stream,
            shard: rows::shard_of(&key),
            id,
            fetch: &|hash| self.fetch(hash),
        };
        let text = |event: &Value, pointer: &str| {
            event.pointer(pointer).and_then(Value::as_str).map(|text| Bytes::from(text.to_owned()))
        };
        let first = reader.piece(head.first).map(|(_, events)| events).unwrap_or_default();
        shown.input = first.first().and_then(|event| text(event, "/executionStartedEventDetails/input"));
        if head.state == ExecutionState::Running {
            return Ok(shown);
        }
        let last = reader.piece(head.last).map(|(_, events)| events).unwrap_or_default();
        let Some(end) = last.last() else { return Ok(shown) };
        shown.output = text(end, "/executionSucceededEventDetails/output");
        for kind in ["Failed", "Aborted", "TimedOut"] {
            let string = |field: &str| {
                let found = end.pointer(&format!("/execution{kind}EventDetails/{field}"));
                found.and_then(Value::as_str).map(str::to_owned)
            };
            shown.error = shown.error.or_else(|| string("error"));
            shown.cause = shown.cause.or_else(|| string("cause"));
        }
        Ok(shown)
    }

    /// Executions, newest first. A page ends early where many had to be looked at for it.
    ///
    /// # Errors
    /// `HW-WORK-033` for a token of another list.
    pub(super) fn list(&self, query: &ExecutionQuery) -> Result<(Vec<ExecutionView>, Option<String>), Problem> {
        let count = query.count.clamp(1, PAGE_MAX);
        let mut after = query.after.as_deref().map(page).transpose()?;
        let group = match &query.map_run {
            Some(run) => Some(Group::MapRun(run.clone())),
            None => query.workflow.clone().map(Group::Workflow),
        };
        let (mut found, mut looked) = (Vec::new(), 0);
        loop {
            let places = self.index.lock().places(group.as_ref(), query.state, after, count + 1);
            looked += places.len();
            let is_last = places.len() <= count;
            for place in places {
                if let Some(view) = self.listed(&place, query) {
                    if found.len() == count {
                        return Ok((found, after.as_ref().map(token)));
                    }
                    found.push(view);
                }
                after = Some(place);
            }
            if is_last {
                return Ok((found, None));
            }
            if looked >= LOOKED_MAX {
                return Ok((found, after.as_ref().map(token)));
            }
        }
    }

    /// The execution of a place, if it is as the query wants it. What is durable counts.
    fn listed(&self, (started, key): &Place, query: &ExecutionQuery) -> Option<ExecutionView> {
        let head = Head::decode(&self.row(key, Tag::Head, &[], View::Durable)?).ok()?;
        let wanted = head.started == started.0
            && query.workflow.as_ref().is_none_or(|workflow| *workflow == head.workflow)
            && query.version.is_none_or(|version| head.version == Some(version))
            && query.alias.as_ref().is_none_or(|alias| head.alias.as_ref() == Some(alias))
            && query.state.is_none_or(|state| state == head.state)
            && query.redriven.is_none_or(|redriven| redriven == (head.redrives > 0));
        wanted.then(|| view(&head, None))
    }

    /// What the executions of each workflow come to.
    pub(super) fn counts(&self) -> BTreeMap<String, ExecutionCounts> {
        self.index.lock().counts()
    }

    /// Events of an execution.
    ///
    /// # Errors
    /// `HW-WORK-030`, `HW-WORK-036`.
    pub(super) fn history(&self, id: &str, after: u64, count: usize, reverse: bool) -> Result<Vec<Value>, Problem> {
        let (key, head) = self.durable_head(id)?;
        let stream = Name::new(journal::STREAM)?;
        let reader = Reader {
            log: &*self.log,
            stream: &stream,
            shard: rows::shard_of(&key),
            id,
            fetch: &|hash| self.fetch(hash),
        };
        let number = |event: &Value| event["id"].as_u64().unwrap_or(0);
        let mut found: Vec<Value> = Vec::new();
        let mut at = head.last;
        if reverse {
            while at >= 0 && found.len() < count {
                let (previous, events) = reader.piece(at)?;
                found.extend(events.into_iter().rev().filter(|event| after == 0 || number(event) < after));
                at = previous;
            }
        } else {
            // Pieces name the one before them: where they are is found backwards, and what is in them read forwards, so
            // that a page holds no more than a page.
            let mut pieces = Vec::new();
            while at >= 0 {
                let piece = reader.find(at)?;
                pieces.push(at);
                if piece.begins() <= after {
                    break;
                }
                at = piece.previous;
            }
            while found.len() < count
                && let Some(at) = pieces.pop()
            {
                found.extend(reader.piece(at)?.1.into_iter().filter(|event| number(event) > after));
            }
        }
        found.truncate(count);
        Ok(found)
    }
}

pub(super) fn token((started, key): &Place) -> String {
    format!("{}-{}", started.0.0, crate::hash::hex(key))
}

pub(super) fn page(token: &str) -> Result<Place, Problem> {
    let parsed = token.split_once('-').and_then(|(started, hex)| {
        let number = |at: usize| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok();
        let bytes: Vec<u8> = (0..16).map_while(number).collect();
        Some((std::cmp::Reverse(Micros(started.parse().ok()?)), bytes.try_into().ok()?))
    });
    parsed.ok_or_else(|| {
        Problem::new("HW-WORK-033", "the page token is none of a list of executions")
            .help("pass `next` of the page before")
    })
}
