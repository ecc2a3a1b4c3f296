//! `EventFields`: what a table's columns need of an event, found in one pass over its text. What no column needs is passed over
//! and never built.
//!
//! Of equal names the last one counts, as everywhere. What is passed over is checked for its shape alone: a number out of
//! range or half of a surrogate pair there is nobody's business here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use headwater_kernel::path::Path;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::Misfit;

/// The fields that are looked for.
#[derive(Debug, Default)]
pub(super) struct EventFields {
    branch: Branch,
    count: usize,
}

/// Where a column's value is found.
#[derive(Debug)]
pub(super) struct Wanted {
    slot: usize,
    /// What leads on from there, where the path goes through a list.
    rest: Option<Path>,
}

/// The fields of one object, by name.
#[derive(Debug, Default)]
struct Branch(BTreeMap<String, Place>);

#[derive(Debug, Default)]
struct Place {
    /// Where what stands here goes, if a column wants it.
    slot: Option<usize>,
    /// What columns want within it.
    within: Branch,
}

/// What stood in a field.
#[derive(Debug, Default)]
pub(super) enum Found<'e> {
    /// Nothing, or null.
    #[default]
    Nothing,
    Boolean(bool),
    Number(Number),
    Text(Cow<'e, str>),
    /// An object or an array.
    Tree(Value),
}

/// A value that is looked at, from a slot or from within a tree.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a> {
    Null,
    Boolean(bool),
    Number(&'a Number),
    Text(&'a str),
    /// An object or an array.
    Tree(&'a Value),
}

impl EventFields {
    /// Adds a field, and answers where it will be found.
    pub fn want(&mut self, path: &Path) -> Wanted {
        let (names, rest) = path.split_at_index();
        let mut names = names.into_iter();
        let Some(first) = names.next() else {
            headwater_base::never!("a path that begins with an index");
            return Wanted { slot: usize::MAX, rest };
        };
        let place = names.fold(self.branch.entry(first), |place, name| place.within.entry(name));
        let slot = *place.slot.get_or_insert(self.count);
        self.count = self.count.max(slot + 1);
        Wanted { slot, rest }
    }

    /// Whether none is looked for.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads an event: what stands in each of the fields.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn read<'e>(&self, event: &'e [u8]) -> Result<Vec<Found<'e>>, Misfit> {
        let no_json = |place: String| Misfit(format!("the event is no JSON: {place}"));
        let text =
            std::str::from_utf8(event).map_err(|error| no_json(format!("byte {} is no UTF-8", error.valid_up_to())))?;
        let mut slots = Vec::with_capacity(self.count);
        slots.resize_with(self.count, Found::default);
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = Within { branch: &self.branch, slots: &mut slots }.deserialize(&mut reader);
        match read.and_then(|is_object| reader.end().map(|()| is_object)) {
            Ok(true) => Ok(slots),
            Ok(false) => Err(Misfit("the event is no JSON object".to_owned())),
            Err(error) => Err(no_json(super::place(&error))),
        }
    }
}

impl Wanted {
    /// What was found of it.
    pub fn of<'a>(&self, slots: &'a [Found<'_>]) -> View<'a> {
        let view = slots.get(self.slot).map_or(View::Null, View::from);
        match (&self.rest, view) {
            (None, view) => view,
            (Some(rest), View::Tree(tree)) => rest.find(tree).map_or(View::Null, View::from),
            (Some(_), _) => View::Null,
        }
    }
}

impl Branch {
    fn entry(&mut self, name: &str) -> &mut Place {
        self.0.entry(name.to_owned()).or_default()
    }

    fn clear(&self, slots: &mut [Found<'_>]) {
        self.0.values().for_each(|place| place.clear(slots));
    }

    /// Takes what columns want out of an object that has been built.
    fn fill(&self, object: &Value, slots: &mut [Found<'_>]) {
        for (name, place) in &self.0 {
            let Some(value) = object.get(name) else { continue };
            place.put(Found::from(value.clone()), slots);
            place.within.fill(value, slots);
        }
    }
}

impl Place {
    fn put<'e>(&self, found: Found<'e>, slots: &mut [Found<'e>]) {
        if let Some(slot) = self.slot.and_then(|slot| slots.get_mut(slot)) {
            *slot = found;
        }
    }

    fn clear(&self, slots: &mut [Found<'_>]) {
        if let Some(slot) = self.slot.and_then(|slot| slots.get_mut(slot)) {
            *slot = Found::Nothing;
        }
        self.within.clear(slots);
    }
}

/// Reads one object, and answers whether it is one.
struct Within<'f, 's, 'e> {
    branch: &'f Branch,
    slots: &'s mut [Found<'e>],
}

/// Reads what stands in one place.
struct At<'f, 's, 'e> {
    place: &'f Place,
    slots: &'s mut [Found<'e>],
}

/// Reads a name, and answers what is wanted there.
struct Name<'f>(&'f Branch);

/// Reads any value.
struct Any;

impl<'e> DeserializeSeed<'e> for Within<'_, '_, 'e> {
    type Value = bool;

    fn deserialize<D: Deserializer<'e>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'e> DeserializeSeed<'e> for At<'_, '_, 'e> {
    type Value = ();

    fn deserialize<D: Deserializer<'e>>(self, reader: D) -> Result<(), D::Error> {
        let Self { place, slots } = self;
        place.clear(slots);
        if place.within.0.is_empty() {
            place.put(reader.deserialize_any(Any)?, slots);
        } else if place.slot.is_none() {
            reader.deserialize_any(Within { branch: &place.within, slots })?;
        } else {
            let value = Value::deserialize(reader)?;
            place.within.fill(&value, slots);
            place.put(Found::from(value), slots);
        }
        Ok(())
    }
}

impl<'e, 'f> DeserializeSeed<'e> for Name<'f> {
    type Value = Option<&'f Place>;

    fn deserialize<D: Deserializer<'e>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'f> Visitor<'_> for Name<'f> {
    type Value = Option<&'f Place>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.0.get(name))
    }
}

impl<'e> Visitor<'e> for Within<'_, '_, 'e> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'e>>(self, mut map: A) -> Result<bool, A::Error> {
        let Self { branch, slots } = self;
        while let Some(place) = map.next_key_seed(Name(branch))? {
            match place {
                Some(place) => map.next_value_seed(At { place, slots: &mut *slots })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'e>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

impl<'e> Visitor<'e> for Any {
    type Value = Found<'e>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Found<'e>, E> {
        Ok(Found::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Found<'e>, E> {
        Ok(Found::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Found<'e>, E> {
        Ok(Found::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Found<'e>, E> {
        Number::from_f64(value).map(Found::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Found<'e>, E> {
        Ok(Found::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_borrowed_str<E>(self, value: &'e str) -> Result<Found<'e>, E> {
        Ok(Found::Text(Cow::Borrowed(value)))
    }

    fn visit_unit<E>(self) -> Result<Found<'e>, E> {
        Ok(Found::Nothing)
    }

    fn visit_seq<A: SeqAccess<'e>>(self, items: A) -> Result<Found<'e>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(items)).map(Found::Tree)
    }

    fn visit_map<A: MapAccess<'e>>(self, map: A) -> Result<Found<'e>, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(Found::Tree)
    }
}

impl From<Value> for Found<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(value) => Self::Boolean(value),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(Cow::Owned(text)),
            tree @ (Value::Array(_) | Value::Object(_)) => Self::Tree(tree),
        }
    }
}

impl<'a> From<&'a Found<'_>> for View<'a> {
    fn from(found: &'a Found<'_>) -> Self {
        match found {
            Found::Nothing => Self::Null,
            Found::Boolean(value) => Self::Boolean(*value),
            Found::Number(number) => Self::Number(number),
            Found::Text(text) => Self::Text(text),
            Found::Tree(tree) => Self::Tree(tree),
        }
    }
}

impl<'a> From<&'a Value> for View<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Boolean(*value),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            tree => Self::Tree(tree),
        }
    }
}

impl View<'_> {
    /// What it is, for people.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number(number) if number.is_f64() => "a decimal number",
            Self::Number(_) => "a whole number",
            Self::Text(_) => "a string",
            Self::Tree(Value::Array(_)) => "an array",
            Self::Tree(_) => "an object",
        }
    }
}

#[cfg(test)]
mod tests;
