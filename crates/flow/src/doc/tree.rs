//! A JSON object as a tree that is opened only where somebody looks.
//!
//! Invariants: what nobody changed is written back byte for byte; of members with equal keys the last one counts;
//! a change on the way through a member removes its shadowed twins, so that a deleted field is gone for readers
//! that would take the first one too. Reading never changes what is written.

use std::cell::OnceCell;

use bytes::Bytes;
use headwater_base::json::scan::{self, Extent, Flaw, Known};
use headwater_base::json::tag::{last_of, tag};
use headwater_base::json::unescape;
use smallvec::SmallVec;
use vrl::path::OwnedSegment;
use vrl::value::{KeyString, ObjectMap, Value};

use super::parse;
use super::parts::{Parts, Piece, Seen};

/// An object: its text, the index of its members, and what has been changed.
#[derive(Clone, Debug)]
pub(super) struct Object {
    source: Source,
    members: Vec<Member>,
    /// For each member what its name comes to, see [`tag`]: a name is looked for among these, which lie side by side.
    tags: Tags,
    changed: bool,
    /// The object as one value, once somebody wanted it.
    whole: OnceCell<Value>,
}

type Tags = SmallVec<[u32; TAGS_INLINE]>;

/// Memory of an object that is done with, for the next one: it is still near the processor.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    members: Vec<Member>,
    tags: Tags,
    inner: Vec<Extent>,
}

impl Memory {
    /// For about so many members: an event may wait, and that of a much larger one would lie idle in it.
    fn fit(self, about: usize) -> Self {
        if self.room() > about.saturating_mul(MEMORY_LARGER_MAX) { Self::default() } else { self }
    }

    /// Members, or containers within them, for which it has room.
    pub(super) fn room(&self) -> usize {
        self.members.capacity().max(self.inner.capacity())
    }
}

/// What the members' places refer to.
#[derive(Clone, Debug)]
struct Source {
    /// Exactly the object.
    text: Bytes,
    /// Arrays and objects right within members, in order. A member that is looked into is indexed by them, without
    /// being read through once more.
    inner: Vec<Extent>,
}

#[derive(Clone, Debug)]
struct Member {
    key: Key,
    node: Node,
}

#[derive(Clone, Debug)]
enum Key {
    Text(scan::Key),
    New(Name),
}

/// The name of a member that was added: an event gets a dozen, and nearly all are short enough to lie in their place.
#[derive(Clone, Debug)]
enum Name {
    Short { length: u8, bytes: [u8; NAME_INLINE] },
    Long(Box<str>),
}

/// A member's value.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Unchanged text of the object's source.
    Text { place: Extent, seen: OnceCell<Seen> },
    /// JSON text from elsewhere.
    Json { text: Bytes, seen: OnceCell<Seen> },
    /// Set or changed.
    Value(Value),
    /// Opened to change something inside.
    Object(Box<Object>),
    /// Removed.
    Gone,
}

impl Object {
    /// Checks and indexes `source`; `outside` containers count as being around its members.
    pub fn open(source: Bytes, outside: u32, memory: Memory) -> Result<Self, Flaw> {
        if let Err(error) = std::str::from_utf8(&source) {
            return Err(Flaw { at: error.valid_up_to(), what: "bytes that are not UTF-8" });
        }
        let about = source.len() / MEMBER_BYTES + ADDED_USUAL;
        let Memory { mut members, mut tags, mut inner } = memory.fit(about);
        members.reserve(about);
        tags.reserve(about);
        let member = |key: scan::Key, place| {
            tags.push(key.tag(&source));
            members.push(Member { key: Key::Text(key), node: Node::Text { place, seen: OnceCell::new() } });
        };
        scan::object(&source, outside, Known::default(), member, |extent| inner.push(extent))?;
        Ok(Self { source: Source { text: source, inner }, members, tags, changed: false, whole: OnceCell::new() })
    }

    /// One that has been looked into, to change it.
    fn of(piece: Piece<'_>, parts: Parts) -> Self {
        let parts = parts.into_members();
        let tags = parts.iter().map(|part| part.tag).collect();
        let mut members = Vec::with_capacity(parts.len() + ADDED_USUAL);
        for part in parts {
            let node = Node::Text { place: part.value, seen: part.seen };
            members.push(Member { key: Key::Text(part.key), node });
        }
        let source = Source { text: piece.source(), inner: Vec::new() };
        Self { source, members, tags, changed: false, whole: OnceCell::new() }
    }

    fn empty() -> Self {
        let (members, tags) = (Vec::new(), SmallVec::new());
        let source = Source { text: Bytes::from_static(b"{}"), inner: Vec::new() };
        Self { source, members, tags, changed: false, whole: OnceCell::new() }
    }

    /// The memory of its index.
    pub fn into_memory(self) -> Memory {
        let Self { source, members, tags, .. } = self;
        let mut memory = Memory { members, tags, inner: source.inner };
        if memory.room() > MEMORY_MEMBERS_MAX {
            return Memory::default();
        }
        memory.members.clear();
        memory.tags.clear();
        memory.inner.clear();
        memory
    }

    /// The value at a path.
    pub fn get(&self, path: &[OwnedSegment]) -> Option<&Value> {
        match path {
            [] => Some(self.whole()),
            [OwnedSegment::Field(name), rest @ ..] => {
                let member = self.members.get(self.find(name)?)?;
                member.node.get(&self.source, rest)
            }
            [OwnedSegment::Index(_), ..] => None,
        }
    }

    /// Whether there is a value at a path, which is not read for it.
    pub fn has(&self, path: &[OwnedSegment]) -> bool {
        match path {
            [] => true,
            [OwnedSegment::Field(name), rest @ ..] => {
                let member = self.find(name).and_then(|at| self.members.get(at));
                member.is_some_and(|member| member.node.has(&self.source, rest))
            }
            [OwnedSegment::Index(_), ..] => false,
        }
    }

    /// The JSON text at a path, if it is still text.
    pub fn text(&self, path: &[OwnedSegment]) -> Option<Bytes> {
        let [OwnedSegment::Field(name), rest @ ..] = path else { return None };
        let node = &self.members.get(self.find(name)?)?.node;
        match (node, rest) {
            (Node::Object(object), [_, ..]) => object.text(rest),
            _ => node.piece(&self.source)?.json(rest),
        }
    }

    /// The whole object as a value.
    pub fn whole(&self) -> &Value {
        self.whole.get_or_init(|| {
            if !self.changed {
                return parse::value(&self.source.text, self.start());
            }
            let mut map = ObjectMap::new();
            for member in &self.members {
                if let Some(value) = member.node.get(&self.source, &[]) {
                    map.insert(member.key.name(&self.source.text), value.clone());
                }
            }
            Value::Object(map)
        })
    }

    fn into_whole(self) -> Value {
        self.whole();
        self.whole.into_inner().unwrap_or(Value::Null)
    }

    /// Puts a node at a path, with VRL's rules for parents that are missing or of another type.
    pub fn insert(&mut self, path: &[OwnedSegment], node: Node) {
        let [OwnedSegment::Field(name), rest @ ..] = path else {
            headwater_base::never!("an object is not indexed by number");
            return;
        };
        self.touch();
        let at = match self.find(name) {
            Some(at) => {
                self.drop_twins(at, name);
                at
            }
            None => {
                self.members.push(Member { key: Key::New(Name::new(name)), node: Node::Gone });
                self.tags.push(tag(name.as_bytes()));
                self.members.len() - 1
            }
        };
        let Self { source, members, .. } = self;
        let Some(member) = members.get_mut(at) else { return };
        match rest {
            [] => member.node = node,
            [OwnedSegment::Field(_), ..] => {
                if !matches!(member.node.open(source), Node::Value(Value::Object(_)) | Node::Object(_)) {
                    member.node = Node::Object(Box::new(Self::empty()));
                }
                match &mut member.node {
                    Node::Object(object) => object.insert(rest, node),
                    Node::Value(value) => drop(value.insert(rest, node.into_value())),
                    _ => {}
                }
            }
            [OwnedSegment::Index(_), ..] => {
                let mut value =
                    std::mem::replace(&mut member.node, Node::Gone).value(&source.text).unwrap_or(Value::Null);
                value.insert(rest, node.into_value());
                member.node = Node::Value(value);
            }
        }
    }

    /// Takes the value at a path out; `prune` also removes the parents this leaves empty.
    pub fn remove(&mut self, path: &[OwnedSegment], prune: bool) -> Option<Node> {
        let [OwnedSegment::Field(name), rest @ ..] = path else { return None };
        let at = self.find(name)?;
        self.drop_twins(at, name);
        let Self { source, members, .. } = self;
        let member = members.get_mut(at)?;
        let removed = if rest.is_empty() {
            Some(std::mem::replace(&mut member.node, Node::Gone).apart(&source.text))
        } else {
            // Where there is nothing to remove, the text stays text.
            if !member.node.has(source, rest) {
                return None;
            }
            let removed = match member.node.open(source) {
                Node::Object(object) => object.remove(rest, prune),
                Node::Value(value) => value.remove(rest, prune).map(Node::Value),
                _ => None,
            };
            if removed.is_some() && prune && member.node.is_empty() {
                member.node = Node::Gone;
            }
            removed
        };
        if removed.is_some() {
            self.touch();
        }
        removed
    }

    /// Appends the object's text.
    pub fn write(&self, out: &mut Vec<u8>) {
        if !self.is_changed() {
            out.extend_from_slice(&self.source.text);
            return;
        }
        out.push(b'{');
        // The untouched run that waits to be copied in one piece.
        let mut run: Option<Extent> = None;
        let mut first = true;
        let mut separate = |out: &mut Vec<u8>| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
        };
        for member in &self.members {
            if let (Key::Text(key), Node::Text { place, .. }) = (&member.key, &member.node) {
                run = Some(Extent { start: run.map_or(key.span.start, |run| run.start), end: place.end });
                continue;
            }
            if let Some(run) = run.take() {
                separate(out);
                out.extend_from_slice(run.of(&self.source.text));
            }
            if matches!(member.node, Node::Gone) {
                continue;
            }
            separate(out);
            match &member.key {
                Key::Text(key) => out.extend_from_slice(key.span.of(&self.source.text)),
                Key::New(name) => write_json(name.as_str(), out),
            }
            out.push(b':');
            member.node.write(out);
        }
        if let Some(run) = run {
            separate(out);
            out.extend_from_slice(run.of(&self.source.text));
        }
        out.push(b'}');
    }

    /// Whether [`Object::write`] would write anything but the source.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// Its text, the index of that, and the JSON that was put in.
    pub fn held_bytes(&self) -> usize {
        let put_in = |member: &Member| match &member.node {
            Node::Json { text, .. } => text.len(),
            Node::Object(object) => object.held_bytes(),
            Node::Text { .. } | Node::Value(_) | Node::Gone => 0,
        };
        let index = self.members.len() * size_of::<Member>();
        self.source.text.len() + index + self.members.iter().map(put_in).sum::<usize>()
    }

    /// The text the object came from.
    pub fn source(&self) -> &Bytes {
        &self.source.text
    }

    fn is_empty(&self) -> bool {
        self.members.iter().all(|member| matches!(member.node, Node::Gone))
    }

    fn start(&self) -> u32 {
        self.source.text.iter().take_while(|b| b.is_ascii_whitespace()).count() as u32
    }

    fn touch(&mut self) {
        self.changed = true;
        self.whole.take();
    }

    /// The last member of that name.
    fn find(&self, name: &str) -> Option<usize> {
        self.find_before(self.tags.len(), name)
    }

    /// The last member of that name before the one at `end`.
    fn find_before(&self, end: usize, name: &str) -> Option<usize> {
        let wanted = tag(name.as_bytes());
        let mut end = end;
        loop {
            let at = last_of(self.tags.get(..end)?, wanted)?;
            let member = self.members.get(at)?;
            if !matches!(member.node, Node::Gone) && member.key.is(&self.source.text, name) {
                return Some(at);
            }
            end = at;
        }
    }

    fn drop_twins(&mut self, at: usize, name: &str) {
        let mut at = at;
        while let Some(twin) = self.find_before(at, name) {
            if let Some(member) = self.members.get_mut(twin) {
                member.node = Node::Gone;
            }
            self.touch();
            at = twin;
        }
    }
}

/// What a member takes of its object's text, about.
const MEMBER_BYTES: usize = 28;
/// Room for members that are added.
const ADDED_USUAL: usize = 4;
/// The most members for which memory is kept, about 100 KB.
const MEMORY_MEMBERS_MAX: usize = 1_024;
/// So many times the room that an object needs may lie idle in it.
const MEMORY_LARGER_MAX: usize = 8;
/// Tags of a small object, as most inside an event are, lie in it.
const TAGS_INLINE: usize = 16;
/// Bytes of a short name: as many as there is room for where the pointer to a long one lies.
const NAME_INLINE: usize = 22;

impl Key {
    fn is(&self, source: &[u8], name: &str) -> bool {
        match self {
            Self::Text(key) => key.is(source, name),
            Self::New(key) => key.as_bytes() == name.as_bytes(),
        }
    }

    fn name(&self, source: &[u8]) -> KeyString {
        match self {
            Self::Text(key) => unescape(key.span.of(source)).into(),
            Self::New(name) => name.as_str().into(),
        }
    }
}

impl Name {
    fn new(name: &str) -> Self {
        let mut bytes = [0_u8; NAME_INLINE];
        match bytes.get_mut(..name.len()) {
            Some(place) => {
                place.copy_from_slice(name.as_bytes());
                Self::Short { length: name.len() as u8, bytes }
            }
            None => Self::Long(name.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(name) => name.as_bytes(),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Self::Long(name) => name,
        }
    }
}

impl Node {
    /// A node of JSON text from elsewhere, checked here.
    pub fn json(text: Bytes) -> Result<Self, Flaw> {
        match std::str::from_utf8(&text) {
            Ok(checked) => scan::value(checked)?,
            Err(error) => return Err(Flaw { at: error.valid_up_to(), what: "bytes that are not UTF-8" }),
        }
        Ok(Self::checked_json(text))
    }

    /// A node of JSON text that is known to be JSON. Space around it goes: a node's text begins with its value.
    pub fn checked_json(text: Bytes) -> Self {
        let bare = text.trim_ascii();
        let text = if bare.len() == text.len() { text } else { text.slice_ref(bare) };
        Self::Json { text, seen: OnceCell::new() }
    }

    fn get(&self, source: &Source, path: &[OwnedSegment]) -> Option<&Value> {
        match self {
            Self::Text { seen, .. } | Self::Json { seen, .. } => {
                let piece = self.piece(source)?;
                seen.get_or_init(|| piece.see(path)).get(piece, path)
            }
            Self::Value(value) => value.get(path),
            Self::Object(object) => object.get(path),
            Self::Gone => None,
        }
    }

    fn has(&self, source: &Source, path: &[OwnedSegment]) -> bool {
        match self {
            Self::Gone => false,
            _ if path.is_empty() => true,
            Self::Text { seen, .. } | Self::Json { seen, .. } => {
                self.piece(source).is_some_and(|piece| seen.get_or_init(|| piece.see(path)).has(piece, path))
            }
            Self::Value(value) => value.get(path).is_some(),
            Self::Object(object) => object.has(path),
        }
    }

    /// The text, if it is still that.
    fn piece<'a>(&'a self, source: &'a Source) -> Option<Piece<'a>> {
        match self {
            Self::Text { place, .. } => Some(Piece::new(&source.text, *place, &source.inner)),
            Self::Json { text, .. } => Some(Piece::all(text)),
            Self::Value(_) | Self::Object(_) | Self::Gone => None,
        }
    }

    /// Makes the node one that can be changed inside.
    fn open(&mut self, source: &Source) -> &mut Self {
        let opened = match self {
            Self::Text { place, seen } => Some(inside(seen.take(), Piece::new(&source.text, *place, &source.inner))),
            Self::Json { text, seen } => Some(inside(seen.take(), Piece::all(text))),
            _ => None,
        };
        if let Some(opened) = opened {
            *self = opened;
        }
        self
    }

    /// The node by itself, no longer a part of its object's text.
    fn apart(self, source: &Bytes) -> Self {
        match self {
            Self::Text { place, seen } => Self::Json { text: Piece::new(source, place, &[]).source(), seen },
            other => other,
        }
    }

    fn value(self, source: &Bytes) -> Option<Value> {
        match self.apart(source) {
            Self::Gone | Self::Text { .. } => None,
            Self::Value(value) => Some(value),
            Self::Object(object) => Some(object.into_whole()),
            Self::Json { text, seen } => {
                let piece = Piece::all(&text);
                Some(seen.into_inner().map_or_else(|| piece.value(), |seen| seen.into_value(piece)))
            }
        }
    }

    pub fn into_value(self) -> Value {
        self.value(&Bytes::new()).unwrap_or(Value::Null)
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Value(Value::Object(map)) => map.is_empty(),
            Self::Value(Value::Array(items)) => items.is_empty(),
            Self::Object(object) => object.is_empty(),
            _ => false,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Value(value) => write_json(value, out),
            Self::Object(object) => object.write(out),
            Self::Json { text, .. } => out.extend_from_slice(text),
            Self::Text { .. } | Self::Gone => headwater_base::never!("written with its object"),
        }
    }
}

/// A piece that is to be changed inside. An object is indexed, though it may have been read as one value before: what
/// nobody changes of it stays text.
fn inside(seen: Option<Seen>, piece: Piece<'_>) -> Node {
    let parts = match seen {
        Some(Seen::Parts(parts)) => Some(parts),
        Some(Seen::Value(value)) if !value.is_object() => return Node::Value(value),
        Some(Seen::Value(_)) | None => piece.parts(),
    };
    match parts {
        Some(parts) => Node::Object(Box::new(Object::of(piece, parts))),
        None => Node::Value(piece.value()),
    }
}

/// Appends a value's JSON, as `encode_json` writes it.
pub(super) fn write_json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let length = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        headwater_base::never!("a value that is not JSON");
        out.truncate(length);
        out.extend_from_slice(b"null");
    }
}
