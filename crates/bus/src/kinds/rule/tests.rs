#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::HashMap;

use headwater_base::Limits;
use headwater_kernel::port::{Context, Secrets};
use headwater_kernel::{Registry, View};

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
