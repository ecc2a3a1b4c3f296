#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};

use headwater_base::{Limits, Micros, Name};
use headwater_kernel::port::{Context, Secrets};
use headwater_kernel::resource::API_VERSION;
use headwater_kernel::{ApplyOptions, Metadata, Registry, Resource, Status, View};
use serde_json::{Value, json};

use crate::kinds::{archive, event_type, pipe, rule, schedule};

struct NoSecrets;

impl Secrets for NoSecrets {
    fn read(&self, name: &str) -> Result<bytes::Bytes, headwater_base::Problem> {
        Err(headwater_base::Problem::new("HW-KERNEL-012", name))
    }
}

/// Every problem of a file, each in one line.
fn problems(text: &str) -> Vec<String> {
    let registry = Registry::new(&[rule::KIND, pipe::KIND, schedule::KIND, archive::KIND, event_type::KIND]);
    let shown = |problem: &headwater_base::Problem| {
        let place = problem.place.as_ref().map_or_else(String::new, |place| format!("{}:{}", place.line, place.column));
        format!("{place} {} {}", problem.code, problem.title)
    };
    let drafts = match registry.read("f.yaml", text.as_bytes(), &Limits::default()) {
        Ok(drafts) => drafts,
        Err(problems) => return problems.iter().map(shown).collect(),
    };
    let context = Context { folder: ".".into(), secrets: std::sync::Arc::new(NoSecrets), tables: None, log: None };
    let map = HashMap::new();
    let view = View { registry: &registry, context: &context, drafts: &map, stored: &|_, _| None };
    drafts
        .iter()
        .flat_map(|draft| (registry.kind(&draft.kind).unwrap().validate)(draft, &view))
        .map(|problem| shown(&problem))
        .collect()
}

#[test]
fn the_examples_are_in_order() {
    for kind in [rule::KIND, pipe::KIND, schedule::KIND, archive::KIND, event_type::KIND] {
        assert_eq!(problems(kind.example), [""; 0], "{}", kind.name);
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let rule = |spec: &str| {
        let text = format!(
            "apiVersion: headwater.dev/v1\nkind: Rule\nmetadata: {{name: r}}\nspec:\n  targets: [{{type: log}}]\n{spec}"
        );
        problems(&text)
    };
    assert_eq!(
        rule("  pattern: {source: shop}\n"),
        ["6:12 HW-PATTERN-002 Event pattern is not valid. Reason: \"source\" must be an object or an array"]
    );
    assert_eq!(rule("  schedule: rate(1 minutes)\n"), ["6:13 HW-BUS-001 Parameter ScheduleExpression is not valid."]);
    assert_eq!(rule(""), ["5:3 HW-BUS-004 a rule needs a `pattern` or a `schedule`"]);
    let both = rule("  pattern: {source: [shop]}\n  schedule: rate(5 minutes)\n");
    assert_eq!(both, ["7:13 HW-BUS-004 a rule has a `pattern` or a `schedule`, not both"]);
    let pipe = "apiVersion: headwater.dev/v1\nkind: Pipe\nmetadata: {name: p}\nspec:\n  source: {type: stream, stream: s}\n  target: {type: log}\n  batch: {size: 10}\n";
    assert_eq!(
        problems(pipe),
        ["7:10 HW-BUS-007 `spec.batch` is for a workflow or a destination; the target is a log"]
    );
    let slow = pipe
        .replace("{type: log}", "{type: destination, destination: d, delivery: {age: 5m}}")
        .replace("{size: 10}", "{size: 10, window: 5m}");
    assert_eq!(problems(&slow), ["7:29 HW-BUS-008 events wait `5m` for others and are given up at the age of `5m`"]);
    let schedule = "apiVersion: headwater.dev/v1\nkind: Schedule\nmetadata: {name: s}\nspec:\n  expression: cron(0 1 * * * *)\n  targets: []\n";
    assert_eq!(
        problems(schedule),
        [
            "6:12 HW-BUS-003 there are 0 targets; 1 to 20 are allowed",
            "5:15 HW-BUS-001 Invalid Schedule Expression cron(0 1 * * * *)."
        ]
    );
}

#[test]
fn a_schedule_says_which_of_its_times_are_none() {
    let schedule = |more: &str| {
        let head = "apiVersion: headwater.dev/v1\nkind: Schedule\nmetadata: {name: s}\nspec:\n";
        problems(&format!("{head}  expression: rate(5 minutes)\n  targets: [{{type: log}}]\n{more}"))
    };
    assert_eq!(schedule("  timezone: Europe/Zurich\n"), [""; 0]);
    assert_eq!(schedule("  timezone: Europe/Basel\n"), ["7:13 HW-BUS-002 there is no time zone `Europe/Basel`"]);
    assert_eq!(schedule("  start: tomorrow\n"), ["7:10 HW-BUS-005 `tomorrow` is no time"]);
    let turned = "  start: '2026-12-24T18:00:00Z'\n  end: '2026-12-24T18:00:00Z'\n";
    assert_eq!(schedule(turned), ["8:8 HW-BUS-005 `end` is not after `start`"]);
}

#[test]
fn versions_of_an_event_type_are_held_against_the_ones_before_them_and_the_example_against_the_newest() {
    let text = "apiVersion: headwater.dev/v1
kind: EventType
metadata: {name: e}
spec:
  type: LeaseSigned
  compatibility: COMPATIBILITY
  versions:
    - version: 1
      schema: {type: object, required: [a], properties: {a: {type: string}}}
    - version: 2
      schema: {type: object, required: [b], properties: {a: {type: string}, b: {type: string}}}
  example: {b: x}
";
    let with = |compatibility: &str| problems(&text.replace("COMPATIBILITY", compatibility));
    let told = |direction: &str, field: &str| {
        let fact = format!("`{field}` of the event may be missing");
        format!("11:15 HW-BUS-051 version 2 is not {direction} compatible with 1: {fact}")
    };
    assert_eq!(with("none"), [""; 0]);
    assert_eq!(with("backward"), [told("backward", "b")]);
    assert_eq!(with("forward"), [told("forward", "a")]);
    assert_eq!(with("full"), [told("backward", "b"), told("forward", "a")]);
    let order = text.replace("COMPATIBILITY", "none").replace("version: 2", "version: 1");
    assert_eq!(problems(&order), ["10:16 HW-BUS-050 version 1 does not follow version 1"]);
    let example = problems(&text.replace("COMPATIBILITY", "none").replace("{b: x}", "{a: x}"));
    assert_eq!(example.len(), 1, "{example:?}");
    assert!(example[0].starts_with("12:12 HW-BUS-052 the example does not fit version 2: "), "{example:?}");
}

/// What is wrong with changing the versions of an event type that was applied.
fn changed(before: &Value, after: &Value) -> Vec<String> {
    let registry = Registry::new(&[event_type::KIND]);
    let draft = |versions: &Value| {
        let spec = json!({"type": "LeaseSigned", "versions": versions});
        let text = json!({"apiVersion": API_VERSION, "kind": "EventType", "metadata": {"name": "e"}, "spec": spec});
        registry.read_value(text).unwrap()
    };
    let (old, new) = (draft(before), draft(after));
    let resource = Resource {
        api_version: API_VERSION.to_owned(),
        kind: old.kind.clone(),
        metadata: Metadata {
            name: Name::new("e").unwrap(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            generation: 1,
            version: 1,
            uid: "e".to_owned(),
            created: Micros(0),
            state_epoch: 0,
            deleting: None,
            deleting_made: false,
        },
        effective: (event_type::KIND.effective)(&old.spec, None),
        spec: old.spec,
        status: Status::default(),
    };
    let problems = (event_type::KIND.change)(&resource, &new, &ApplyOptions::default());
    problems.iter().map(|problem| format!("{} {}", problem.code, problem.title)).collect()
}

#[test]
fn a_version_of_an_event_type_that_was_published_stays_as_it_was() {
    let version = |number: u32, kind: &str| json!({"version": number, "schema": {"type": kind}});
    let published = json!([version(1, "object")]);
    assert_eq!(changed(&published, &json!([version(1, "object"), version(2, "object")])), [""; 0]);
    assert_eq!(
        changed(&published, &json!([version(1, "string")])),
        ["HW-BUS-053 version 1 has been published and cannot change"]
    );
    assert_eq!(
        changed(&published, &json!([version(2, "object")])),
        ["HW-BUS-053 version 1 has been published and cannot go"]
    );
}
