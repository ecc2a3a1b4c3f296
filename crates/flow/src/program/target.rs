//! What VRL's runtime reads and writes: a [`Doc`] as the event, [`Metadata`] as `%`.

use std::cell::Cell;

use vrl::compiler::{SecretTarget, Target};
use vrl::path::{OwnedTargetPath, PathPrefix};
use vrl::value::Value;

use super::env::Metadata;
use crate::doc::Doc;

/// The runtime asks once, before it runs anything, whether there is a root; it must not cost a full parse.
#[derive(Debug)]
struct Probe(Cell<bool>);

impl Probe {
    const ANSWER: &'static Value = &Value::Null;

    fn answers(&self, path: &OwnedTargetPath) -> bool {
        self.0.replace(false) && path.prefix == PathPrefix::Event && path.path.is_root()
    }
}

/// An event that a program may change.
#[derive(Debug)]
pub(super) struct Edit<'a> {
    doc: &'a mut Doc,
    metadata: &'a Metadata,
    probe: Probe,
}

impl<'a> Edit<'a> {
    pub fn new(doc: &'a mut Doc, metadata: &'a Metadata) -> Self {
        Self { doc, metadata, probe: Probe(Cell::new(true)) }
    }
}

/// An event that is only read; the compiler has refused programs that would change it.
#[derive(Debug)]
pub(super) struct Read<'a> {
    doc: &'a Doc,
    metadata: &'a Metadata,
    probe: Probe,
}

impl<'a> Read<'a> {
    pub fn new(doc: &'a Doc, metadata: &'a Metadata) -> Self {
        Self { doc, metadata, probe: Probe(Cell::new(true)) }
    }
}

const READ_ONLY: &str = "metadata cannot be changed";
const EVENT_READ_ONLY: &str = "a condition cannot change the event";

impl Target for Edit<'_> {
    fn target_insert(&mut self, path: &OwnedTargetPath, value: Value) -> Result<(), String> {
        match path.prefix {
            PathPrefix::Event => self.doc.set_at(&path.path.segments, value),
            PathPrefix::Metadata => return Err(READ_ONLY.to_owned()),
        }
        Ok(())
    }

    fn target_get(&self, path: &OwnedTargetPath) -> Result<Option<&Value>, String> {
        if self.probe.answers(path) {
            return Ok(Some(Probe::ANSWER));
        }
        Ok(match path.prefix {
            PathPrefix::Event => self.doc.get_at(&path.path.segments),
            PathPrefix::Metadata => self.metadata.get(&path.path.segments),
        })
    }

    fn target_get_mut(&mut self, path: &OwnedTargetPath) -> Result<Option<&mut Value>, String> {
        match path.prefix {
            PathPrefix::Event => Ok(self.doc.get_mut_at(&path.path.segments)),
            PathPrefix::Metadata => Err(READ_ONLY.to_owned()),
        }
    }

    fn target_remove(&mut self, path: &OwnedTargetPath, compact: bool) -> Result<Option<Value>, String> {
        match path.prefix {
            PathPrefix::Event => Ok(self.doc.remove_at(&path.path.segments, compact)),
            PathPrefix::Metadata => Err(READ_ONLY.to_owned()),
        }
    }
}

impl Target for Read<'_> {
    fn target_insert(&mut self, _: &OwnedTargetPath, _: Value) -> Result<(), String> {
        Err(EVENT_READ_ONLY.to_owned())
    }

    fn target_get(&self, path: &OwnedTargetPath) -> Result<Option<&Value>, String> {
        if self.probe.answers(path) {
            return Ok(Some(Probe::ANSWER));
        }
        Ok(match path.prefix {
            PathPrefix::Event => self.doc.get_at(&path.path.segments),
            PathPrefix::Metadata => self.metadata.get(&path.path.segments),
        })
    }

    fn target_get_mut(&mut self, _: &OwnedTargetPath) -> Result<Option<&mut Value>, String> {
        Err(EVENT_READ_ONLY.to_owned())
    }

    fn target_remove(&mut self, _: &OwnedTargetPath, _: bool) -> Result<Option<Value>, String> {
        Err(EVENT_READ_ONLY.to_owned())
    }
}

/// VRL's own secrets are not used: keys come in through keyrings when a program is compiled.
macro_rules! no_secrets {
    ($target:ident) => {
        impl SecretTarget for $target<'_> {
            fn get_secret(&self, _: &str) -> Option<&str> {
                None
            }

            fn insert_secret(&mut self, _: &str, _: &str) {}

            fn remove_secret(&mut self, _: &str) {}
        }
    };
}

no_secrets!(Edit);
no_secrets!(Read);
