use std::collections::HashMap;

use headwater_base::Limits;
use headwater_kernel::Registry;
use headwater_kernel::port::Context;

use super::*;

fn draft(text: &str) -> Draft {
    let registry = Registry::new(&[KIND]);
    registry.read("w.yaml", text.as_bytes(), &Limits::default()).unwrap().remove(0)
}

#[test]
fn the_example_is_a_definition() {
    let draft = draft(EXAMPLE);
    let spec: WorkflowSpec = kind::decode(&draft.spec, "/spec", &draft.origin).unwrap();
    assert_eq!(Definition::parse(&spec.text(), Flavor::Standard, &crate::Limits::default()).map(|_| ()), Ok(()));
}

#[test]
fn a_fault_of_the_definition_has_its_place() {
    let text = EXAMPLE.replace("Next: Greet", "Next: Great");
    let draft = draft(&text);
    let spec: WorkflowSpec = kind::decode(&draft.spec, "/spec", &draft.origin).unwrap();
    let found = Definition::parse(&spec.text(), Flavor::Standard, &crate::Limits::default()).unwrap_err();
    let problem = placed(&draft, &found[0], false);
    let place = problem.place.unwrap();
    assert_eq!((place.path.as_str(), place.line), ("w.yaml", 13), "{}", problem.title);
}

#[test]
fn aliases_become_the_workflows() {
    let aliases = "  aliases: {live: {routes: [{version: 1, weight: 90}, {version: 2, weight: 10}]}}\n";
    let draft = draft(&EXAMPLE.replace("  retention: 30d\n", &format!("  retention: 30d\n{aliases}")));
    let spec: WorkflowSpec = kind::decode(&draft.spec, "/spec", &draft.origin).unwrap();
    let workflow = spec.workflow("greet", 3);
    assert_eq!(workflow.aliases["live"].routes.iter().map(|route| route.version).collect::<Vec<_>>(), [1, 2]);
    assert!(alias::problems(&workflow.aliases).is_empty());
}

#[test]
fn a_workflow_has_one_definition_and_aliases_that_can_be() {
    let registry = Registry::new(&[KIND]);
    let (context, drafts) = (Context::without_node("."), HashMap::new());
    let view = View { registry: &registry, context: &context, drafts: &drafts, stored: &|_, _| None };
    let codes =
        |text: &str| -> Vec<String> { validate(&draft(text), &view).into_iter().map(|problem| problem.code).collect() };
    assert_eq!(codes(EXAMPLE), [""; 0]);
    let head = "apiVersion: headwater.dev/v1\nkind: Workflow\nmetadata: {name: w}\n";
    assert_eq!(codes(&format!("{head}spec: {{type: standard}}\n")), ["HW-WORK-040"]);
    let two = codes(&format!("{head}spec: {{text: '{{}}', definition: {{StartAt: A}}}}\n"));
    assert_eq!(two, ["HW-WORK-040"]);
    let aliases = "  retention: 30d\n  aliases: {live: {routes: []}}\n";
    assert_eq!(codes(&EXAMPLE.replace("  retention: 30d\n", aliases)), ["HW-WORK-060"]);
}
