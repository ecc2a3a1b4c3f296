//! A trie over bytes: which of many prefixes start a value, in one walk along the value.
//!
//! What it is NOT: a map for exact keys (a hash is faster). For suffixes the caller walks backwards.

/// The trie while it grows and when it is asked; entries are numbers the caller knows.
#[derive(Debug, Default)]
pub(crate) struct ByteTrie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by byte.
    children: Vec<(u8, u32)>,
    entries: Vec<u32>,
}

impl ByteTrie {
    /// Adds an entry under a key; the empty key starts every value.
    pub fn insert(&mut self, key: impl IntoIterator<Item = u8>, entry: u32) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for byte in key {
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = match node.children.binary_search_by_key(&byte, |(b, _)| *b) {
                Ok(found) => node.children.get(found).map_or(0, |(_, child)| *child as usize),
                Err(place) => {
                    node.children.insert(place, (byte, u32::try_from(fresh).unwrap_or(u32::MAX)));
                    self.nodes.push(Node::default());
                    fresh
                }
            };
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.entries.push(entry);
        }
    }

    /// Hands out the entries of every key that starts the value.
    #[inline]
    pub fn walk(&self, value: impl IntoIterator<Item = u8>, mut found: impl FnMut(u32)) {
        let Some(mut node) = self.nodes.first() else { return };
        let mut value = value.into_iter();
        loop {
            for entry in &node.entries {
                found(*entry);
            }
            let Some(byte) = value.next() else { return };
            let Some(next) = node.child(byte).and_then(|child| self.nodes.get(child as usize)) else { return };
            node = next;
        }
    }
}

impl Node {
    #[inline]
    fn child(&self, byte: u8) -> Option<u32> {
        if self.children.len() <= 8 {
            return self.children.iter().find(|(b, _)| *b == byte).map(|(_, child)| *child);
        }
        let at = self.children.binary_search_by_key(&byte, |(b, _)| *b).ok()?;
        self.children.get(at).map(|(_, child)| *child)
    }
}
