//! Kind Activity: a name under which workers outside ask for tasks.
//!
//! What it is NOT: needed by a workflow. Tasks wait under a name whether there is such a resource or not; the resource
//! is for listing names, and for saying which a worker may ask for.

use std::sync::Arc;

use headwater_kernel::kind::{self, Kind};
use headwater_kernel::reconcile::{Observed, Plan};
use headwater_kernel::resource::Resource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Activity",
    plural: "activities",
    short: &["act"],
    doc: "A name under which workers outside ask for the tasks of workflows.",
    schema: kind::schema::<ActivitySpec>,
    example: EXAMPLE,
    effective: kind::effective::<ActivitySpec>,
    validate: kind::no_problems,
    change: kind::no_change_problems,
    refs: kind::no_refs,
    reconcile,
};

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Activity
metadata: {name: check-sample}
spec:
  description: A person looks at the sample and says whether it is fine.
";

/// The spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ActivitySpec {
    /// What its workers do, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

fn reconcile(_: &Arc<Resource>, _: &Observed) -> Plan {
    Plan::default()
}
