//! Which variables each state reads, as the service lists them.

use std::collections::{BTreeMap, BTreeSet};

use super::Definition;
use super::choice::{Condition, Operand};
use super::state::{Amount, Kind, Selection, State, Until};
use super::template::{Template, Term};
use crate::path::{Path, Root};

pub(super) fn by_state(definition: &Definition) -> BTreeMap<&str, Vec<String>> {
    let states = definition.machines.iter().flat_map(|machine| &machine.states);
    states
        .map(|state| (state.name.as_str(), of_state(state).into_iter().collect::<Vec<_>>()))
        .filter(|(_, names)| !names.is_empty())
        .collect()
}

fn of_state(state: &State) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut term = |term: &Term| of_term(term, &mut names);
    let mut templates: Vec<&Template> =
        [&state.arguments, &state.result_selector, &state.output, &state.assign].into_iter().flatten().collect();
    let mut amounts: Vec<&Amount> = Vec::new();
    match &state.kind {
        Kind::Task(task) => {
            templates.extend(&task.credentials);
            amounts.extend(task.timeout.iter().chain(&task.heartbeat));
        }
        Kind::Wait(Until::Seconds(amount) | Until::Timestamp(amount)) => amounts.push(amount),
        Kind::Fail { error, cause } => error.iter().chain(cause).for_each(&mut term),
        Kind::Map(map) => {
            templates.extend([&map.items, &map.selector, &map.reader, &map.batcher, &map.writer].into_iter().flatten());
            amounts
                .extend([&map.max_concurrency, &map.tolerated_count, &map.tolerated_percentage].into_iter().flatten());
        }
        Kind::Choice { rules, .. } => {
            for rule in rules {
                templates.extend(rule.output.iter().chain(&rule.assign));
            }
        }
        Kind::Pass { .. } | Kind::Succeed | Kind::Parallel { .. } => {}
    }
    for catcher in &state.catch {
        templates.extend(catcher.output.iter().chain(&catcher.assign));
    }
    templates.iter().for_each(|template| template.terms(&mut term));
    amounts.iter().for_each(|amount| term(&amount.term));
    for selection in [&state.input_path, &state.output_path] {
        if let Selection::Path(path) = selection {
            of_path(path, &mut names);
        }
    }
    if let Kind::Choice { rules, .. } = &state.kind {
        rules.iter().for_each(|rule| of_condition(&rule.condition, &mut names));
    }
    names
}

fn of_condition(condition: &Condition, names: &mut BTreeSet<String>) {
    match condition {
        Condition::And(all) | Condition::Or(all) => all.iter().for_each(|inner| of_condition(inner, names)),
        Condition::Not(inner) => of_condition(inner, names),
        Condition::Test { variable, operand, .. } => {
            of_path(variable, names);
            if let Operand::Path(path) = operand {
                of_path(path, names);
            }
        }
        Condition::Query(query) => names.extend(query.variables()),
        Condition::Constant(_) => {}
    }
}

fn of_term(term: &Term, names: &mut BTreeSet<String>) {
    match term {
        Term::Literal(_) => {}
        Term::Path(path) => of_path(path, names),
        Term::Call(call) => call.paths().into_iter().for_each(|path| of_path(path, names)),
        Term::Query(query) => names.extend(query.variables()),
    }
}

fn of_path(path: &Path, names: &mut BTreeSet<String>) {
    if let Root::Variable(name) = &path.root {
        names.insert(format!("${name}"));
    }
}
