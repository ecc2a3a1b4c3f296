use std::collections::HashMap;
use std::sync::Arc;

use expect_test::{Expect, expect};
use headwater_base::{Limits, Name};
use headwater_kernel::kernel::dangling;
use headwater_kernel::kind::Registry;
use headwater_kernel::port::{Context, LookupKind};
use headwater_kernel::reconcile::Observed;
use headwater_kernel::resource::Resource;
use serde_json::json;

use super::*;

const HEAD: &str = "apiVersion: headwater.dev/v1\nkind: Pipeline\nmetadata: {name: p}\nspec:\n";

/// A lookup whose address has to begin with `http`, and that must never be built here.
const LOOKUPS: &[LookupKind] = &[LookupKind {
    name: "http",
    schema: || {
        json!({
            "type": "object", "additionalProperties": false, "required": ["type", "url"],
            "properties": {"type": {"const": "http"}, "url": {"type": "string"}, "headers": {"type": "object"}},
        })
    },
    check: |spec| match spec["url"].as_str().is_some_and(|url| url.starts_with("http")) {
        true => Ok(()),
        false => Err(Problem::new("HW-CONNECT-105", "the address has no scheme")),
    },
    build: |_, _| Err(Problem::new("HW-CONNECT-107", "a check builds nothing")),
}];

/// All problems of a file, as people see them.
fn check(spec: &str, expected: Expect) {
    let registry = Registry::new(&[KIND]).with_lookups(LOOKUPS);
    let text = format!("{HEAD}{spec}");
    let problems = match registry.read("p.yaml", text.as_bytes(), &Limits::default()) {
        Err(problems) => problems,
        Ok(drafts) => {
            let drafts: HashMap<String, Draft> = drafts.into_iter().map(|draft| (draft.id(), draft)).collect();
            let context = Context::without_node(".");
            let view = View { registry: &registry, context: &context, drafts: &drafts, stored: &|_, _| None };
            let drafted: Vec<Draft> = drafts.values().cloned().collect();
            let problems = drafted.iter().flat_map(|draft| validate(draft, &view));
            problems.chain(dangling(&drafted, &view)).collect()
        }
    };
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    expected.assert_eq(&shown.join("\n"));
}

#[test]
fn the_example_is_a_pipeline() {
    let registry = Registry::new(&[KIND]);
    let drafts = registry
        .read("example.yaml", EXAMPLE.as_bytes(), &Limits::default())
        .unwrap_or_else(|problems| panic!("{problems:#?}"));
    plan(&drafts[0], &Compiler::for_check()).unwrap_or_else(|problems| panic!("{problems:#?}"));
}

#[test]
fn an_unknown_key_or_type_is_refused_where_it_stands() {
    check(
        "  source: {type: stream, stream: in}\n  steps:\n    - {id: a, type: filter, wehn: 'true'}\n  outputs: [{type: stream, stream: out}]\n",
        expect![[r#"
            error[HW-KERNEL-007]: `spec.steps[0]` has no key `wehn`
              --> p.yaml:7:29
            help: did you mean `when`? keys here are `id`, `type`, `when`
            error[HW-KERNEL-008]: the key `when` is missing in `spec.steps[0]`
              --> p.yaml:7:7
            help: `when`: A VRL expression that yields a boolean, such as `.kind != "heartbeat"`."#]],
    );
    check(
        "  source: {type: straem, stream: in}\n  outputs: [{type: stream, stream: out}]\n",
        expect![[r#"
        error[HW-KERNEL-009]: `spec.source.type` is the text `straem`
          --> p.yaml:5:18
        help: did you mean `stream`? it is one of `stream`, `http`, `file`, `stdin`"#]],
    );
}

#[test]
fn a_window_that_is_neither_a_span_nor_all_is_refused_where_it_stands() {
    let with = |windows: &str| {
        format!(
            "  source: {{type: stream, stream: in}}\n  time: {{field: .time}}\n  steps:\n    - id: a\n      type: aggregate\n      key: .k\n      windows: {windows}\n      measures: {{n: {{count: true}}}}\n      into: .n\n  outputs: [{{type: stream, stream: out}}]\n"
        )
    };
    check(
        &with("[1m, ever]"),
        expect![[r#"
            error[HW-KERNEL-029]: `spec.steps[0].windows[1]`: `ever` is no span of time; write a whole number and a unit, as in `250ms`, `30s`, `10m`, `12h`, `7d`, or `all`
              --> p.yaml:11:21"#]],
    );
    check(
        &with("[1m, all]"),
        expect![[r#"
            error[HW-FLOW-014]: `a`: the window `all` has no end
              --> p.yaml:11:16
            help: say how long a key without events is kept, as in `idle: 90d`"#]],
    );
}

#[test]
fn what_a_measure_says_without_a_use_is_refused_where_it_stands() {
    check(
        "  source: {type: stream, stream: in}
  steps:
    - id: a
      type: window
      size: 1m
      measures:
        b: {sum: .x, n: 3}
        c: {last: .x, n: 0}
        d: {count: false}
        e: {last: .x, n: 3}
      output: {stream: out}
",
        expect![[r#"
            error[HW-FLOW-014]: the measure `b` has `n` without a use
              --> p.yaml:11:25
            help: leave it out: it says how many values `last` keeps
            error[HW-FLOW-014]: `n` of the measure `c` is 0; it can be 1 to 65535
              --> p.yaml:12:26
            help: leave it out to keep the last value alone
            error[HW-FLOW-013]: the measure `d` has 0 kinds; it needs exactly one
              --> p.yaml:13:12
            help: write `{count: true}`, or one of `sum`, `min`, `max`, `mean`, `distinct`, `last`, `first` with a path"#]],
    );
}

#[test]
fn a_program_s_fault_is_shown_at_its_own_line_and_column() {
    check(
        "  source: {type: stream, stream: in}\n  steps:\n    - id: a\n      type: transform\n      program: |\n        .a = 1\n        .b = upcase(.c)\n  outputs: [{type: stream, stream: out, when: '.a + 1'}]\n",
        expect![[r#"
            error[HW-FLOW-111]: unhandled fallible assignment: this expression is fallible because at least one argument's type cannot be verified to be valid
              --> p.yaml:11:14
            help: change this to an infallible assignment:; .b, err = upcase(.c)
            error[HW-FLOW-111]: unhandled error: expression can result in runtime error
              --> p.yaml:12:48
            help: handle the error case to ensure runtime success"#]],
    );
}

#[test]
fn wiring_that_cannot_work_is_refused_all_at_once() {
    check(
        "  source: {type: stream, stream: in}
  steps:
    - {id: a, type: dedupe, key: .id}
    - {id: a, type: lookup, lookup: {type: http, url: 'http://127.0.0.1/{key}'}, key: .k, into: .geo}
    - {id: c, type: lookup, lookup: {type: file}, key: .k, into: .geo.city}
    - {id: d, type: window, kind: sliding, size: 1m, measures: {n: {count: true, sum: .x}}, output: {stream: in}}
  errors: {stream: in}
",
        expect![[r#"
            error[HW-FLOW-010]: two steps have the id `a`
              --> p.yaml:8:12
            help: ids are unique within a pipeline
            error[HW-FLOW-011]: `.geo.city` is also written by step `a` (into `.geo`)
              --> p.yaml:9:66
            help: write each answer to a place of its own
            error[HW-FLOW-016]: step `a` may have to wait, and stands behind step `a`, which keeps state
              --> p.yaml:8:7
            help: put it before, or into a second pipeline that reads this one's output
            error[HW-FLOW-012]: pipeline `p` would read what it writes to `in`
              --> p.yaml:10:110
            help: write to another stream
            error[HW-FLOW-012]: pipeline `p` would read what it writes to `in`
              --> p.yaml:11:20
            help: write to another stream
            error[HW-FLOW-012]: `in` is used for two purposes
              --> p.yaml:11:20
            help: dead letters, late events and retries each have their own stream
            error[HW-FLOW-013]: the measure `n` has 2 kinds; it needs exactly one
              --> p.yaml:10:68
            help: write `{count: true}`, or one of `sum`, `min`, `max`, `mean`, `distinct`, `last`, `first` with a path"#]],
    );
}

#[test]
fn what_a_lookup_asks_is_checked_without_asking_it() {
    check(
        "  source: {type: stream, stream: in}
  steps:
    - {id: a, type: lookup, lookup: {type: htpp, url: 'http://x/{key}'}, key: .k, into: .a}
    - {id: b, type: lookup, lookup: {type: http, ulr: 'http://x/{key}'}, key: .k, into: .b}
    - {id: c, type: lookup, lookup: {type: http, url: 'ftp://x/{key}'}, key: .k, into: .c}
    - {id: d, type: lookup, lookup: {type: http, url: 'http://x/{key}', headers: {authorization: {secret: nobody}}}, key: .k, into: .d}
  outputs: [{type: stream, stream: out}]
",
        expect![[r#"
            error[HW-FLOW-021]: there is no lookup of type `htpp`
              --> p.yaml:7:44
            help: types are `http`; did you mean `http`?
            error[HW-KERNEL-007]: `spec.steps[1].lookup` has no key `ulr`
              --> p.yaml:8:50
            help: did you mean `url`? keys here are `headers`, `type`, `url`
            error[HW-KERNEL-008]: the key `url` is missing in `spec.steps[1].lookup`
              --> p.yaml:8:37
            error[HW-CONNECT-105]: the address has no scheme
              --> p.yaml:9:37
            error[HW-KERNEL-030]: `Pipeline/p` names `Secret/nobody`, which does not exist
              --> p.yaml:10:107
            help: it can be applied, and waits until there is one"#]],
    );
}

#[test]
fn a_secret_that_a_program_names_is_one_that_the_pipeline_needs() {
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "steps": [
            {"id": "a", "type": "filter", "when": "token(.k, \"of-a-filter\") != null"},
            {"id": "b", "type": "transform", "program": ".x = \"token(.y, 'nobody')\"\n.z = token(.z, period: \"month\", keyring: \"named\")"},
            {"id": "c", "type": "window", "size": "1m", "output": {"stream": "c"},
             "measures": {"n/m": {"count": true, "where": "token(.k, \"of-a-measure\") == .x"}}},
        ],
        "outputs": [{"type": "stream", "stream": "out", "when": "token(.k, \"of-an-output\") == .x"}],
    });
    // What is asked twice says the same.
    for _ in 0..2 {
        let refs = refs(&spec).into_iter().filter(|reference| reference.kind == "Secret" && reference.needed);
        let named: Vec<String> = refs.map(|reference| format!("{} {}", reference.at, reference.name)).collect();
        assert_eq!(
            named,
            [
                "/spec/steps/0/when of-a-filter",
                "/spec/steps/1/program named",
                "/spec/steps/2/measures/n~1m/where of-a-measure",
                "/spec/outputs/0/when of-an-output",
            ]
        );
    }
}

#[test]
fn a_retry_stream_that_is_left_with_its_copies_is_worth_a_word() {
    let registry = Registry::new(&[KIND]);
    let pipeline = |retry: &str| {
        let text = format!(
            "apiVersion: headwater.dev/v1\nkind: Pipeline\nmetadata: {{name: p}}\nspec:\n  source: {{type: stream, stream: in}}\n  outputs: [{{type: stream, stream: out}}]\n{retry}"
        );
        registry.read("p.yaml", text.as_bytes(), &Limits::default()).unwrap().remove(0)
    };
    let said = |draft: &Draft, before: &Draft| {
        let value = json!({
            "apiVersion": "headwater.dev/v1", "kind": "Pipeline", "metadata": {"name": "p"},
            "spec": before.spec.clone(),
        });
        let there: Arc<Resource> = Arc::new(serde_json::from_value(value).unwrap());
        let problems = advice(std::slice::from_ref(draft), &[there]);
        problems.iter().map(|problem| problem.code.to_string()).collect::<Vec<_>>()
    };
    let (none, one, other) =
        (pipeline(""), pipeline("  retry: {stream: again}\n"), pipeline("  retry: {stream: elsewhere, attempts: 9}\n"));
    assert_eq!(said(&other, &one), ["HW-FLOW-052"]);
    assert_eq!(said(&none, &one), ["HW-FLOW-052"]);
    assert!(said(&one, &one).is_empty() && said(&one, &none).is_empty());
}

#[test]
fn a_circle_over_what_is_there_or_what_a_table_tells_is_worth_a_word() {
    let registry = Registry::new(&[KIND]);
    let pipeline = |name: &str, from: &str, output: &str| {
        let text = format!(
            "apiVersion: headwater.dev/v1\nkind: Pipeline\nmetadata: {{name: {name}}}\nspec:\n  source: {{type: stream, stream: {from}}}\n  outputs: [{output}]\n"
        );
        registry.read("p.yaml", text.as_bytes(), &Limits::default()).unwrap().remove(0)
    };
    let stored = |draft: &Draft| -> Arc<Resource> {
        let value = json!({
            "apiVersion": "headwater.dev/v1", "kind": "Pipeline", "metadata": {"name": draft.name.as_str()},
            "spec": draft.spec.clone(),
        });
        Arc::new(serde_json::from_value(value).unwrap())
    };
    let said = |draft: &Draft, there: &[Arc<Resource>]| {
        let problems = advice(std::slice::from_ref(draft), there);
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.title)).collect::<Vec<_>>().join("\n")
    };
    let there = pipeline("there", "a", "{type: stream, stream: b}");
    let back = pipeline("back", "b", "{type: stream, stream: a}");
    assert_eq!(said(&back, &[]), "");
    assert_eq!(said(&back, &[stored(&there)]), "HW-FLOW-051 what `back` writes may come back to it: b -> a -> b");
    let elsewhere = pipeline("there", "a", "{type: stream, stream: c}");
    assert_eq!(
        said(&elsewhere, &[stored(&there), stored(&back)]),
        "",
        "what is applied takes the place of what is there"
    );
    let table = pipeline("totals", "table.t.changes", "{type: table, table: t, key: .id}");
    assert_eq!(
        said(&table, &[]),
        "HW-FLOW-051 what `totals` writes may come back to it: table.t.changes -> table.t -> table.t.changes"
    );
    let letters = pipeline("repair", "there.dead", "{type: stream, stream: a}");
    assert_eq!(
        said(&letters, &[stored(&there)]),
        "HW-FLOW-051 what `repair` writes may come back to it: there.dead -> a -> there.dead"
    );
}

#[test]
fn a_change_that_state_does_not_fit_is_refused_before_anything_is_stored() {
    let registry = Registry::new(&[KIND]);
    let read = |text: &str| registry.read("p.yaml", text.as_bytes(), &Limits::default()).unwrap().remove(0);
    let old = read(EXAMPLE);
    let value =
        json!({"apiVersion": "headwater.dev/v1", "kind": "Pipeline", "metadata": {"name": "enrich"}, "spec": old.spec});
    let old: Resource = serde_json::from_value(value).unwrap();
    let codes = |text: &str, reset_state: bool| {
        let problems = change(&old, &read(text), &ApplyOptions { reset_state, ..ApplyOptions::default() });
        assert!(
            problems.iter().all(|problem| problem.help.as_ref().is_some_and(|help| help.contains("--reset-state")))
        );
        problems.into_iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&EXAMPLE.replace("gap: 30m", "gap: 20m"), false), [""; 0], "a gap changes no stored byte");
    let keyed = EXAMPLE.replace("key: .user_id\n      gap", "key: .visitor\n      gap");
    assert_ne!(keyed, EXAMPLE);
    assert_eq!(codes(&keyed, false), ["HW-FLOW-020"]);
    assert_eq!(codes(&keyed, true), [""; 0]);
    assert_eq!(codes(&EXAMPLE.replace("id: sessions", "id: visits").replace(".user_id", ".visitor"), false), [""; 0]);
}

#[test]
fn it_makes_its_streams_as_wide_as_its_input() {
    let registry = Registry::new(&[KIND]);
    let draft = registry.read("example.yaml", EXAMPLE.as_bytes(), &Limits::default()).unwrap().remove(0);
    let value = serde_json::json!({
        "apiVersion": "headwater.dev/v1", "kind": "Pipeline", "metadata": {"name": "enrich"}, "spec": draft.spec,
    });
    let resource: Resource = serde_json::from_value(value).unwrap();
    let mut observed = Observed::default();
    let name = Name::new("clicks.raw").unwrap();
    let config = StreamConfig { partitions: 8, ..default_config(&Limits::default()) };
    let stream = headwater_log::Stream {
        name: name.clone(),
        id: 1,
        config,
        extra: Vec::new(),
        created: headwater_base::Micros(0),
    };
    observed.streams.insert(name, Arc::new(stream));
    let plan = reconcile(&Arc::new(resource), &observed);
    let streams: Vec<String> =
        plan.streams.iter().map(|object| format!("{} {}", object.name, object.config.partitions)).collect();
    assert_eq!(streams, ["clicks.raw 4", "clicks.enriched 8", "clicks.sessions 8", "clicks.dead 1", "clicks.late 1"]);
    assert_eq!(
        plan.owns,
        [Owned::Space("pipeline/enrich/source".into()), Owned::Space("pipeline/enrich/sessions".into())]
    );
}
