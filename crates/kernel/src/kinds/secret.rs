//! Kind Secret: a reference to a value that never enters the log: an environment variable or a file of this machine.
//!
//! The value is read when it is used, never stored, never shown, not even as a fingerprint.

use std::sync::Arc;

use headwater_base::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::{self, Kind, View};
use crate::origin::{Origin, child, shown};
use crate::reconcile::{Observed, Plan};
use crate::resource::{Draft, Resource};

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Secret",
    plural: "secrets",
    short: &[],
    doc: "A reference to a value outside the log: an environment variable or a file. The value is never stored or shown.",
    schema: kind::schema::<SecretSpec>,
    example: EXAMPLE,
    effective: kind::effective::<SecretSpec>,
    validate,
    change: kind::no_change_problems,
    refs: kind::no_refs,
    reconcile,
};

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Secret
metadata: {name: catalogue-token}
spec:
  from: {env: CATALOGUE_TOKEN}
";

/// The spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretSpec {
    /// Where the value is: `{env: NAME}` or `{file: PATH}`.
    pub from: From,
}

/// Where a secret's value is; exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct From {
    /// An environment variable of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A file that only its owner may read; one newline at its end is no part of the value. A relative path starts from the node's data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: SecretSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let problem = match (&spec.from.env, &spec.from.file) {
        (Some(name), None) if name.is_empty() || name.contains(['=', '\0']) => {
            Problem::new("HW-KERNEL-009", "`spec.from.env` is no name of an environment variable")
                .help("write it as in `env: API_TOKEN`")
        }
        (None, Some(path)) if path.is_empty() => Problem::new("HW-KERNEL-009", "`spec.from.file` is empty"),
        (Some(_), None) | (None, Some(_)) => return Vec::new(),
        (Some(_), Some(_)) => {
            Problem::new("HW-KERNEL-009", "`spec.from` has both `env` and `file`").help("keep one of them")
        }
        (None, None) => Problem::new("HW-KERNEL-008", "`spec.from` names no place")
            .help("write `from: {env: NAME}` or `from: {file: PATH}`"),
    };
    vec![draft.origin.blame("/spec/from", problem)]
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    Plan { secrets: vec![resource.metadata.name.clone()], ..Plan::default() }
}

/// The problem of a spec that seems to carry the value itself, which is said before anything else looks at the spec so
/// that no message repeats the value.
pub(crate) fn literal(spec: &Value, origin: &Origin) -> Option<Problem> {
    let words = ["value", "data", "stringdata", "literal", "secret", "token", "password", "key"];
    let inside = |pointer: &str| {
        let map = spec.pointer(pointer)?.as_object()?;
        let key = map.keys().find(|key| words.contains(&key.to_ascii_lowercase().as_str()))?;
        Some(child(&format!("/spec{pointer}"), key))
    };
    let bare = || spec.get("from").filter(|from| from.is_string()).map(|_| "/spec/from".to_owned());
    let at = inside("").or_else(|| inside("/from")).or_else(bare)?;
    let place = origin.key_place(&at);
    Some(
        Problem::new("HW-KERNEL-017", format!("`{}` would put the secret itself into the log", shown(&at)))
            .at(place.path, place.line, place.column)
            .help("keep the value outside: `from: {env: NAME}` or `from: {file: PATH}`; change a value that was written here"),
    )
}
