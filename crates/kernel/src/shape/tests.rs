use expect_test::{Expect, expect};
use headwater_base::Limits;

use crate::Registry;

fn check(text: &str, expect: Expect) {
    let registry = Registry::new(&[]);
    let told = match registry.read("r.yaml", text.as_bytes(), &Limits::default()) {
        Ok(drafts) => drafts.iter().map(|draft| draft.id()).collect::<Vec<_>>().join("\n"),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    expect.assert_eq(&told);
}

#[test]
fn everything_wrong_in_a_file_is_told_at_its_place() {
    check(
        "\
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: orders, lables: {a: b}}
spec:
  partitons: 4
  partitions: four
  cleanup: compakt
  retention: {time: 7 days, size: 10}
---
apiVersion: headwater.dev/v2
kind: Table
metadata: {}
spec: {partitions: 0}
---
kind: Strem
---
- 1
",
        expect![[r#"
            error[HW-KERNEL-007]: `metadata` has no key `lables`
              --> r.yaml:3:26
            help: did you mean `labels`? keys here are `annotations`, `created`, `deleting`, `deletingMade`, `generation`, `labels`, `name`, `resourceVersion`, `stateEpoch`, `uid`
            error[HW-KERNEL-007]: `spec` has no key `partitons`
              --> r.yaml:5:3
            help: did you mean `partitions`? keys here are `cleanup`, `description`, `maxBatch`, `owner`, `partitions`, `retention`, `schema`
            error[HW-KERNEL-009]: `spec.partitions` is the text `four`; a whole number is wanted
              --> r.yaml:6:15
            error[HW-KERNEL-009]: `spec.cleanup` is the text `compakt`
              --> r.yaml:7:12
            help: did you mean `compact`? it is one of `delete`, `compact`, `compact-delete`
            error[HW-KERNEL-029]: `spec.retention.time`: `7 days` is no span of time; write a whole number and a unit, as in `250ms`, `30s`, `10m`, `12h`, `7d`
              --> r.yaml:8:21
            error[HW-KERNEL-009]: `spec.retention.size` is the number `10`; a text is wanted
              --> r.yaml:8:35
            error[HW-KERNEL-009]: `apiVersion` is the text `headwater.dev/v2`
              --> r.yaml:10:13
            help: it must be `headwater.dev/v1`
            error[HW-KERNEL-008]: the key `name` is missing in `metadata`
              --> r.yaml:12:11
            help: `name`: The name, unique within its kind.
            error[HW-KERNEL-009]: `spec.partitions` is the number `0`; at least 1 is wanted
              --> r.yaml:13:20
            error[HW-KERNEL-006]: there is no kind `Strem`
              --> r.yaml:15:7
            help: kinds are `Stream`, `Table`, `Secret`; did you mean `Stream`?
            error[HW-KERNEL-005]: a resource is a mapping, not a list
              --> r.yaml:17:1
            help: a resource has `apiVersion: headwater.dev/v1`, `kind`, `metadata: {name: ...}` and `spec`; `headwater explain KIND` shows an example"#]],
    );
}

#[test]
fn a_secret_with_a_value_is_refused_without_repeating_it() {
    check(
        "apiVersion: headwater.dev/v1\nkind: Secret\nmetadata: {name: s}\nspec:\n  value: hunter2\n",
        expect![[r#"
            error[HW-KERNEL-017]: `spec.value` would put the secret itself into the log
              --> r.yaml:5:3
            help: keep the value outside: `from: {env: NAME}` or `from: {file: PATH}`; change a value that was written here"#]],
    );
    check(
        "apiVersion: headwater.dev/v1\nkind: Secret\nmetadata: {name: s}\nspec:\n  from: hunter2\n",
        expect![[r#"
            error[HW-KERNEL-017]: `spec.from` would put the secret itself into the log
              --> r.yaml:5:3
            help: keep the value outside: `from: {env: NAME}` or `from: {file: PATH}`; change a value that was written here"#]],
    );
    check(
        "apiVersion: headwater.dev/v1\nkind: Secret\nmetadata: {name: s}\nspec: {from: {value: hunter2}}\n",
        expect![[r#"
            error[HW-KERNEL-017]: `spec.from.value` would put the secret itself into the log
              --> r.yaml:4:15
            help: keep the value outside: `from: {env: NAME}` or `from: {file: PATH}`; change a value that was written here"#]],
    );
}

#[test]
fn the_branch_of_a_tagged_choice_is_picked_by_its_tag() {
    #[derive(schemars::JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Spec {
        source: Source,
        /// How often.
        every: Option<headwater_base::Span>,
    }
    #[derive(schemars::JsonSchema)]
    #[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
    #[allow(dead_code)]
    enum Source {
        /// A stream.
        Stream {
            /// Its name.
            stream: String,
            start: Option<u64>,
        },
        File(File),
    }
    #[derive(schemars::JsonSchema)]
    #[allow(dead_code)]
    struct File {
        path: String,
    }
    let schema = crate::kind::schema::<Spec>();
    let told = |text: &str| {
        let document = crate::yaml::read("s.yaml", text.as_bytes(), &Limits::default()).unwrap().remove(0);
        let origin = crate::Origin::file("s.yaml", "X/y", document.marks);
        let problems = super::check(&schema, &document.value, "", &origin);
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told("source: {type: stream, stream: a, start: 3}\nevery: 5s"), "");
    assert_eq!(told("source: {type: file, path: a}\nevery: null"), "");
    expect![[r#"
        error[HW-KERNEL-007]: `source` has no key `steam`
          --> s.yaml:1:24
        help: did you mean `stream`? keys here are `start`, `stream`, `type`
        error[HW-KERNEL-008]: the key `stream` is missing in `source`
          --> s.yaml:1:9
        help: `stream`: Its name.
        error[HW-KERNEL-009]: `every` is the number `5`; a text is wanted
          --> s.yaml:2:8"#]]
    .assert_eq(&told("source: {type: stream, steam: a}\nevery: 5"));
    expect![[r#"
        error[HW-KERNEL-009]: `source.type` is the text `flie`
          --> s.yaml:1:16
        help: did you mean `file`? it is one of `stream`, `file`"#]]
    .assert_eq(&told("source: {type: flie}"));
    expect![[r#"
        error[HW-KERNEL-008]: the key `type` is missing in `source`
          --> s.yaml:1:9
        help: `type` is one of `stream`, `file`"#]]
    .assert_eq(&told("source: {path: x}"));
    expect![[r#"
        error[HW-KERNEL-009]: `source.path` is the number `3`; a text is wanted
          --> s.yaml:1:28"#]]
    .assert_eq(&told("source: {type: file, path: 3}"));
}
