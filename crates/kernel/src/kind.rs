//! Kinds: one row for each, and the registry that reads resources with them.
//!
//! A kind is a row of an explicit table that the binary hands in ([`Registry::new`]); nothing registers itself. From
//! the row follow REST, OpenAPI, `get`, `describe`, `explain`, editor schemas and every error about a field.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use headwater_base::{Limits, Name, Principal, Problem, closest};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::origin::{Origin, child, shown};
use crate::port;
use crate::reconcile::{Observed, Plan};
use crate::resource::{API_VERSION, Draft, Resource, id};
use crate::unit::{bug, contained};
use crate::{shape, text, yaml};

/// One kind of resource.
#[derive(Clone, Copy)]
pub struct Kind {
    /// In the singular, as it stands behind `kind:`.
    pub name: &'static str,
    /// In the plural and lower case, as it stands in URLs.
    pub plural: &'static str,
    /// Short forms for the command line.
    pub short: &'static [&'static str],
    /// One or two sentences.
    pub doc: &'static str,
    /// JSON Schema of the spec (`schemars`).
    pub schema: fn() -> Value,
    /// A whole resource as YAML; a test reads it with this very row.
    pub example: &'static str,
    /// The spec with defaults filled in. The second argument is what this gave for the generation before.
    pub effective: fn(&Value, Option<&Value>) -> Value,
    /// What the schema cannot say. Called only for specs that fit the schema; gives ALL problems, each with its place.
    pub validate: fn(&Draft, &View<'_>) -> Vec<Problem>,
    /// Why this change of a stored resource cannot be; [`no_change_problems`] allows all.
    pub change: fn(&Resource, &Draft, &ApplyOptions) -> Vec<Problem>,
    /// What the spec names.
    pub refs: fn(&Value) -> Vec<Ref>,
    /// What should be there: pure.
    pub reconcile: fn(&Arc<Resource>, &Observed) -> Plan,
}

impl Kind {
    /// What a stored resource names, [`Kind::refs`]. A bug in that is this resource's alone.
    ///
    /// # Errors
    /// `HW-KERNEL-043`.
    pub(crate) fn names(&self, resource: &Resource) -> Result<Vec<Ref>, Problem> {
        contained(|| (self.refs)(resource.effective()))
            .map_err(|said| bug(format_args!("the search for what `{}` names", resource.id()), &said))
    }

    /// What should be there for a resource, [`Kind::reconcile`]. A bug in that is this resource's alone.
    ///
    /// # Errors
    /// `HW-KERNEL-043`.
    pub(crate) fn plan(&self, resource: &Arc<Resource>, observed: &Observed) -> Result<Plan, Problem> {
        contained(|| (self.reconcile)(resource, observed))
            .map_err(|said| bug(format_args!("the plan of `{}`", resource.id()), &said))
    }
}

/// Looks at resources that are applied and at all that are there, for what is worth a word and refused by nobody.
pub type Advice = fn(&[Draft], &[Arc<Resource>]) -> Vec<Problem>;

/// A resource that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// Kind of the named resource.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// JSON pointer to where it is named, from the resource's root (`/spec/source/stream`).
    pub at: String,
    /// The naming resource cannot be ready without it; otherwise it makes what is missing itself.
    pub needed: bool,
}

/// How resources are applied.
#[derive(Clone, Debug, Default)]
pub struct ApplyOptions {
    /// Says what would happen and changes nothing.
    pub dry_run: bool,
    /// Lets a stateful unit start with an empty state where the new spec does not fit the old one.
    pub reset_state: bool,
    /// Changes only what is there (true), or makes only what is not (false); None does either.
    pub there: Option<bool>,
    /// Who asks for it, as the audit event says.
    pub who: Principal,
}

/// What a validate function may look at: the resources that will be there, and what connectors may use.
pub struct View<'a> {
    /// All kinds.
    pub registry: &'a Registry,
    /// For building connectors on trial.
    pub context: &'a port::Context,
    /// What is being applied together, by `Kind/name`.
    pub drafts: &'a HashMap<String, Draft>,
    /// What is there already, by kind and name.
    pub stored: &'a dyn Fn(&str, &str) -> Option<Arc<Resource>>,
}

impl View<'_> {
    /// The spec of a resource as it will be.
    pub fn spec(&self, kind: &str, name: &str) -> Option<Value> {
        if let Some(draft) = self.drafts.get(&id(kind, name)) {
            return Some(draft.spec.clone());
        }
        (self.stored)(kind, name).map(|resource| resource.effective().clone())
    }

    /// True if the resource will be there. A stream also counts where the log has it without a resource.
    pub fn has(&self, kind: &str, name: &str) -> bool {
        self.drafts.contains_key(&id(kind, name))
            || (self.stored)(kind, name).is_some()
            || kind == "Stream" && self.context.log.as_ref().is_some_and(|log| log.stream(name).is_some())
    }
}

/// For [`Kind::validate`]: the schema says everything.
pub fn no_problems(_: &Draft, _: &View<'_>) -> Vec<Problem> {
    Vec::new()
}

/// For [`Kind::change`]: every change can be.
pub fn no_change_problems(_: &Resource, _: &Draft, _: &ApplyOptions) -> Vec<Problem> {
    Vec::new()
}

/// For [`Kind::refs`]: the spec names nothing.
pub fn no_refs(_: &Value) -> Vec<Ref> {
    Vec::new()
}

/// For [`Kind::effective`]: the spec as `T` writes it, with the defaults that serde fills in.
pub fn effective<T: DeserializeOwned + serde::Serialize>(spec: &Value, _: Option<&Value>) -> Value {
    serde_json::from_value::<T>(spec.clone())
        .ok()
        .and_then(|typed| serde_json::to_value(typed).ok())
        .unwrap_or_else(|| spec.clone())
}

/// For [`Kind::schema`]: the schema of `T`.
pub fn schema<T: schemars::JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// Reads `value`, which stands at `pointer` of a resource, as `T`.
///
/// # Errors
/// `HW-KERNEL-010` with the place.
pub fn decode<T: DeserializeOwned>(value: &Value, pointer: &str, origin: &Origin) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut at = pointer.to_owned();
        for step in error.path() {
            match step {
                serde_path_to_error::Segment::Seq { index } => at = child(&at, &index.to_string()),
                serde_path_to_error::Segment::Map { key } => at = child(&at, key),
                serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => {}
            }
        }
        origin.blame(&at, Problem::new("HW-KERNEL-010", format!("`{}`: {}", shown(&at), error.inner())))
    })
}

/// The kinds of a node, and of what they are made.
#[derive(Clone)]
pub struct Registry {
    kinds: Arc<[Kind]>,
    lookups: &'static [port::LookupKind],
    advice: &'static [Advice],
}

impl Registry {
    /// The kernel's own kinds (Stream, Table, Secret) and `more`.
    pub fn new(more: &[Kind]) -> Self {
        let own = [crate::kinds::stream::KIND, crate::kinds::table::KIND, crate::kinds::secret::KIND];
        Self { kinds: own.iter().chain(more).copied().collect(), lookups: &[], advice: &[] }
    }

    /// The same with these lookups, which specs name by `type`.
    pub fn with_lookups(self, lookups: &'static [port::LookupKind]) -> Self {
        Self { lookups, ..self }
    }

    /// The same with these who give advice.
    pub fn with_advice(self, advice: &'static [Advice]) -> Self {
        Self { advice, ..self }
    }

    /// What is worth a word about resources that are applied, beside all that are there.
    pub fn advise(&self, drafts: &[Draft], stored: &[Arc<Resource>]) -> Vec<Problem> {
        self.advice.iter().flat_map(|advice| advice(drafts, stored)).collect()
    }

    /// The lookups.
    pub const fn lookups(&self) -> &'static [port::LookupKind] {
        self.lookups
    }

    /// All kinds.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The kind of exactly this name.
    pub fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// The kind a person means: its name, plural or a short form, in any case.
    ///
    /// # Errors
    /// `HW-KERNEL-006` with the nearest kind.
    pub fn find(&self, word: &str) -> Result<&Kind, Problem> {
        let found = self.kinds.iter().find(|kind| {
            word.eq_ignore_ascii_case(kind.name)
                || word.eq_ignore_ascii_case(kind.plural)
                || kind.short.iter().any(|short| word.eq_ignore_ascii_case(short))
        });
        found.ok_or_else(|| self.unknown_kind(word))
    }

    /// Reads all resources of a YAML or JSON file, checked against the schemas of their kinds.
    ///
    /// # Errors
    /// Every problem of the file (`HW-KERNEL-001` to `HW-KERNEL-010`), each with its place.
    pub fn read(&self, file: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<Draft>, Vec<Problem>> {
        let documents = yaml::read(file, bytes, limits)?;
        let (mut drafts, mut problems) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for document in documents {
            let text = document.text.filter(|_| text::is_kept(&document.value));
            let draft =
                self.draft(document.value, |resource| Origin::file(file, resource, Arc::clone(&document.marks)));
            match draft.map(|draft| Draft { text, ..draft }) {
                Ok(draft) if seen.insert(draft.id()) => drafts.push(draft),
                Ok(draft) => {
                    let fact = format!("`{}` is written twice in this file", draft.id());
                    problems.push(draft.origin.blame("/metadata/name", Problem::new("HW-KERNEL-028", fact)));
                }
                Err(mut more) => problems.append(&mut more),
            }
        }
        if problems.is_empty() { Ok(drafts) } else { Err(problems) }
    }

    /// Reads one resource that came as a JSON value, without a file.
    ///
    /// # Errors
    /// As [`Registry::read`].
    pub fn read_value(&self, value: Value) -> Result<Draft, Vec<Problem>> {
        self.draft(value, Origin::resource)
    }

    /// The JSON Schema of a whole resource of `kind`, for editors and OpenAPI.
    pub fn resource_schema(&self, kind: &Kind) -> Value {
        let mut spec = (kind.schema)();
        let mut definitions = Value::Null;
        if let Some(map) = spec.as_object_mut() {
            map.shift_remove("$schema");
            definitions = map.shift_remove("$defs").unwrap_or_default();
        }
        let mut schema = envelope(kind.name, spec);
        if let (Some(map), true) = (schema.as_object_mut(), definitions.is_object()) {
            map.insert("$defs".to_owned(), definitions);
        }
        schema
    }

    /// One JSON Schema that takes resources of every kind, for editors.
    pub fn resources_schema(&self) -> Value {
        let (mut definitions, mut one_of) = (Map::new(), Vec::new());
        for kind in self.kinds.iter() {
            let place = format!("#/$defs/{}", kind.name);
            definitions.insert(kind.name.to_owned(), rebased(self.resource_schema(kind), &place));
            one_of.push(json!({ "$ref": place }));
        }
        json!({ "oneOf": one_of, "$defs": definitions })
    }

    fn unknown_kind(&self, word: &str) -> Problem {
        let names: Vec<&str> = self.kinds.iter().map(|kind| kind.name).collect();
        let near = closest(word, self.kinds.iter().flat_map(|kind| [kind.name, kind.plural]));
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Problem::new("HW-KERNEL-006", format!("there is no kind `{}`", short(word)))
            .help(format!("kinds are `{}`{near}", names.join("`, `")))
    }

    fn draft(&self, value: Value, origin: impl Fn(&str) -> Origin) -> Result<Draft, Vec<Problem>> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind_name, name) = (text("/kind"), text("/metadata/name"));
        let origin = origin(&id(if kind_name.is_empty() { "resource" } else { &kind_name }, &name));
        if !value.is_object() {
            let fact = format!("a resource is a mapping, not {}", shape::article(&value));
            return Err(vec![origin.blame("", Problem::new("HW-KERNEL-005", fact)).help(ENVELOPE_HELP)]);
        }
        let Some(kind) = self.kind(&kind_name) else {
            let problem = if kind_name.is_empty() {
                Problem::new("HW-KERNEL-005", "the resource has no `kind`").help(ENVELOPE_HELP)
            } else {
                self.unknown_kind(&kind_name)
            };
            return Err(vec![origin.blame("/kind", problem)]);
        };
        let mut problems = shape::check(&envelope(kind.name, json!({})), &value, "", &origin);
        if let Some(spec) = value.get("spec") {
            if let Some(problem) =
                (kind.name == "Secret").then(|| crate::kinds::secret::literal(spec, &origin)).flatten()
            {
                return Err(vec![problem]);
            }
            problems.append(&mut shape::check(&(kind.schema)(), spec, "/spec", &origin));
        }
        let name = match Name::new(&name) {
            Ok(name) => Some(name),
            Err(problem) => {
                if !name.is_empty() {
                    problems.push(origin.blame("/metadata/name", problem));
                }
                None
            }
        };
        let map = |pointer: &str| -> BTreeMap<String, String> {
            let entries = value.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
            entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        };
        let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64).filter(|number| *number > 0);
        match name {
            Some(name) if problems.is_empty() => Ok(Draft {
                kind: kind.name.to_owned(),
                name,
                labels: map("/metadata/labels"),
                annotations: map("/metadata/annotations"),
                generation: number("/metadata/generation"),
                version: number("/metadata/resourceVersion"),
                spec: value.get("spec").cloned().unwrap_or_else(|| Value::Object(Map::new())),
                origin,
                text: None,
            }),
            _ => Err(problems),
        }
    }
}

const ENVELOPE_HELP: &str = "a resource has `apiVersion: headwater.dev/v1`, `kind`, `metadata: {name: ...}` and `spec`; `headwater explain KIND` shows an example";

/// The schema around a spec. What the node manages may stand there (as `get -o yaml` shows it) and is not read.
fn envelope(kind: &str, spec: Value) -> Value {
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    json!({
        "type": "object",
        "title": kind,
        "additionalProperties": false,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": { "const": API_VERSION },
            "kind": { "const": kind },
            "metadata": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name"],
                "properties": {
                    "name": { "type": "string", "description": "The name, unique within its kind." },
                    "labels": texts,
                    "annotations": texts,
                    "generation": { "type": "integer", "minimum": 0, "description": "The generation this is meant to change; refused if there is a newer one." },
                    "resourceVersion": { "type": "integer", "minimum": 0, "description": "The version this is meant to change; refused if anything of the resource was written since, labels included." },
                    "uid": { "type": "string" },
                    "created": { "type": "string" },
                    "stateEpoch": { "type": "integer" },
                    "deleting": { "type": "string" },
                    "deletingMade": { "type": "boolean" }
                }
            },
            "spec": spec,
            "status": { "type": "object" }
        }
    })
}

/// A schema with its inner references (`#/$defs/X`) as they are where it stands at `place` of another document.
pub fn rebased(mut schema: Value, place: &str) -> Value {
    match &mut schema {
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                if let (true, Some(inner)) = (key == "$ref", value.as_str().and_then(|text| text.strip_prefix('#'))) {
                    *value = Value::from(format!("{place}{inner}"));
                } else {
                    *value = rebased(value.take(), place);
                }
            }
        }
        Value::Array(items) => {
            for item in items.iter_mut() {
                *item = rebased(item.take(), place);
            }
        }
        _ => {}
    }
    schema
}

/// At most 60 characters of a user's text.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests;
