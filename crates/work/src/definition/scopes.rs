//! Variables and their scopes: a branch or item processor reads the variables around it and never sets one of them.

use std::collections::BTreeSet;

use super::Machine;
use super::fields::Notes;
use super::state::{Kind, State};
use super::template::Template;

/// Notes every state that would set a variable of an outer machine.
pub(super) fn check(machines: &[Machine], notes: &mut Notes) {
    let names: Vec<BTreeSet<&str>> = machines.iter().map(|machine| assigned(&machine.states)).collect();
    let mut parents: Vec<Option<usize>> = vec![None; machines.len()];
    for (outer, machine) in machines.iter().enumerate() {
        for inner in machine.states.iter().flat_map(inner_machines) {
            if let Some(parent) = usize::try_from(inner).ok().and_then(|inner| parents.get_mut(inner)) {
                *parent = Some(outer);
            }
        }
    }
    for (inner, machine) in machines.iter().enumerate() {
        let mut outer = parents.get(inner).copied().flatten();
        while let Some(at) = outer {
            for state in &machine.states {
                let own = assigned(std::slice::from_ref(state));
                for name in names.get(at).into_iter().flat_map(|outer| own.intersection(outer)) {
                    let message = format!("Variable '{name}' is assigned in an outer scope and can only be read here");
                    notes.schema(&format!("/States/{}/Assign", state.name), message);
                }
            }
            outer = parents.get(at).copied().flatten();
        }
    }
}

fn inner_machines(state: &State) -> Vec<super::MachineId> {
    match &state.kind {
        Kind::Parallel { branches } => branches.clone(),
        Kind::Map(map) => vec![map.machine],
        _ => Vec::new(),
    }
}

fn assigned(states: &[State]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for state in states {
        let mut templates: Vec<&Template> = state.assign.iter().collect();
        templates.extend(state.catch.iter().filter_map(|catcher| catcher.assign.as_ref()));
        if let Kind::Choice { rules, .. } = &state.kind {
            templates.extend(rules.iter().filter_map(|rule| rule.assign.as_ref()));
        }
        for template in templates {
            match template {
                Template::Object(fields) => names.extend(fields.iter().map(|(name, _)| name.as_str())),
                Template::Literal(serde_json::Value::Object(fields)) => names.extend(fields.keys().map(String::as_str)),
                _ => {}
            }
        }
    }
    names
}
