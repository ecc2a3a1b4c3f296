//! Kind RowPolicy: which rows of which relations SQL shows to whom.
//!
//! What it is NOT: a lock on the data. Whoever reads the files, the streams or the catalog without SQL is under no
//! policy; those listeners are for programs that run on this machine.

use std::sync::Arc;

use headwater_base::{Principal, Problem};
use headwater_kernel::kind::{self, Kind, Ref, View};
use headwater_kernel::reconcile::{Observed, Plan};
use headwater_kernel::resource::{Draft, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::charts::{self, text};

/// Stands for every principal.
pub const EVERYBODY: &str = "*";

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "RowPolicy",
    plural: "rowpolicies",
    short: &["policy"],
    doc: "Lets principals see the rows of relations that meet a condition. With the first policy of a node, SQL and dashboards show each principal what policies let through and nothing else; `admin` sees everything.",
    schema: kind::schema::<RowPolicySpec>,
    example: EXAMPLE,
    effective: kind::effective::<RowPolicySpec>,
    validate,
    change: kind::no_change_problems,
    refs,
    reconcile,
};

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: orders-of-switzerland}
spec:
  description: Analysts of Switzerland see what was ordered there.
  principals: [asha, lea]
  relations: [orders, orders_hourly]
  filter: country = 'CH'
";

/// The spec. Policies that let the same principal see rows of the same relation add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RowPolicySpec {
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who may see the rows; `*` is everybody.
    #[schemars(length(min = 1, max = 1000))]
    pub principals: Vec<String>,
    /// What they are rows of: a dataset by its name, `streams.NAME`, `tables.NAME`, or `NAMESPACE.NAME` of a table or
    /// view that a client of the catalog made.
    #[schemars(length(min = 1, max = 1000))]
    pub relations: Vec<String>,
    /// Which rows: a condition over the relation's columns, which may name `current_user`. All rows without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

impl RowPolicySpec {
    /// Whether it is about that principal and that relation.
    pub fn is_about(&self, principal: &Principal, schema: &str, name: &str) -> bool {
        let names = |relation: &String| text::relation(relation).is_some_and(|(s, n)| s == schema && n == name);
        self.principals.iter().any(|one| one == EVERYBODY || one == principal.as_str())
            && self.relations.iter().any(names)
    }
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: RowPolicySpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    for (number, principal) in spec.principals.iter().enumerate() {
        if let Err(problem) = Principal::new(principal) {
            problems.push(draft.origin.blame(&format!("/spec/principals/{number}"), problem));
        }
    }
    for (number, relation) in spec.relations.iter().enumerate() {
        if text::relation(relation).is_none() {
            let shown: String = relation.chars().take(60).collect();
            let problem = Problem::new("HW-LAKE-052", format!("`{}` is no name of a relation", shown.escape_debug()));
            let problem =
                problem.help("use `NAME`, `streams.NAME` or `tables.NAME`; dots in a name want double quotes");
            problems.push(draft.origin.blame(&format!("/spec/relations/{number}"), problem));
        }
    }
    if let Some(mut problem) = spec.filter.as_deref().and_then(|filter| text::condition(filter).err()) {
        problems.push(match problem.place.take() {
            // What the parser says of a text is a place within that text.
            Some(inner) => {
                problem.place = Some(draft.origin.inside("/spec/filter", inner.line, inner.column));
                problem
            }
            None => draft.origin.blame("/spec/filter", problem),
        });
    }
    problems
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<RowPolicySpec>(spec.clone()) else { return Vec::new() };
    let relations = spec.relations.iter().enumerate();
    let named = relations.filter_map(|(number, relation)| {
        let (kind, name) = charts::relation(relation)?;
        // A policy holds before there is anything to see.
        Some(Ref { kind, name, at: format!("/spec/relations/{number}"), needed: false })
    });
    named.collect()
}

fn reconcile(_: &Arc<Resource>, _: &Observed) -> Plan {
    Plan::default()
}

#[cfg(test)]
mod tests;
