//! The fields that rules name, as a trie over the steps of their paths: what a walk through an event looks at.
//!
//! A path is its steps joined by dots; a dot inside a key joins too, so `{"a.b": 1}` and `{"a": {"b": 1}}` have the
//! same field on either side.

use std::collections::HashMap;

use ahash::RandomState;

/// Fixed seeds: nothing here may depend on chance.
pub(crate) fn hasher() -> RandomState {
    RandomState::with_seeds(0x6865_6164, 0x7761_7465, 0x7220_7061, 0x7474_6572)
}

/// A hash map without chance.
pub(crate) type Map<K, V> = HashMap<K, V, RandomState>;

/// Where a walk is in the trie.
pub(crate) type Node = u32;

/// The start of every path.
pub(crate) const ROOT: Node = 0;

/// The trie.
#[derive(Debug)]
pub(crate) struct Paths {
    nodes: Vec<Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    few: Vec<(Box<[u8]>, Node)>,
    many: Option<Map<Box<[u8]>, Node>>,
    field: Option<u32>,
}

/// Children searched one after the other; beyond them a hash is faster.
const FEW_MAX: usize = 8;

impl Paths {
    pub fn new() -> Self {
        Self { nodes: vec![Entry::default()] }
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Names a field by its path.
    pub fn insert(&mut self, path: &str, field: u32) {
        let mut at = ROOT;
        for step in path.as_bytes().split(|byte| *byte == b'.') {
            at = match self.child(at, step) {
                Some(child) => child,
                None => self.grow(at, step),
            };
        }
        if let Some(entry) = self.nodes.get_mut(at as usize) {
            entry.field = Some(field);
        }
    }

    fn grow(&mut self, at: Node, step: &[u8]) -> Node {
        let fresh = Node::try_from(self.nodes.len()).unwrap_or(Node::MAX);
        let Some(entry) = self.nodes.get_mut(at as usize) else { return ROOT };
        entry.few.push((step.into(), fresh));
        if let Some(many) = &mut entry.many {
            many.insert(step.into(), fresh);
        } else if entry.few.len() > FEW_MAX {
            let mut many = Map::with_hasher(hasher());
            many.extend(entry.few.iter().cloned());
            entry.many = Some(many);
        }
        self.nodes.push(Entry::default());
        fresh
    }

    /// The node one step further, if a rule names it.
    #[inline]
    pub fn child(&self, at: Node, step: &[u8]) -> Option<Node> {
        let entry = self.nodes.get(at as usize)?;
        match &entry.many {
            Some(many) => many.get(step).copied(),
            None => entry.few.iter().find(|(key, _)| **key == *step).map(|(_, child)| *child),
        }
    }

    /// The node a key with dots leads to, several steps further.
    pub fn descend(&self, at: Node, key: &[u8]) -> Option<Node> {
        key.split(|byte| *byte == b'.').try_fold(at, |at, step| self.child(at, step))
    }

    /// Whether anything is named below a node.
    #[inline]
    pub fn has_children(&self, at: Node) -> bool {
        self.nodes.get(at as usize).is_some_and(|entry| !entry.few.is_empty())
    }

    /// The field a node is.
    #[inline]
    pub fn field(&self, at: Node) -> Option<u32> {
        self.nodes.get(at as usize)?.field
    }
}
