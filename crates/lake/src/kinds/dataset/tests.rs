use headwater_base::Limits;
use headwater_kernel::Registry;
use headwater_kernel::kind::{ApplyOptions, View};
use headwater_kernel::port::Context;
use headwater_kernel::resource::{Draft, Resource};
use serde_json::json;

use super::{EXAMPLE, KIND};

fn draft(yaml: &str) -> Draft {
    let mut drafts = Registry::new(&[KIND]).read("test.yaml", yaml.as_bytes(), &Limits::default()).unwrap();
    drafts.remove(0)
}

fn stored(draft: &Draft) -> Resource {
    serde_json::from_value(json!({
        "apiVersion": "headwater.dev/v1", "kind": "Dataset",
        "metadata": {"name": draft.name}, "spec": draft.spec, "effective": (KIND.effective)(&draft.spec, None),
    }))
    .unwrap()
}

fn changes(from: &str, to: &str, reset_state: bool) -> Vec<String> {
    let options = ApplyOptions { dry_run: false, reset_state };
    let problems = (KIND.change)(&stored(&draft(from)), &draft(to), &options);
    problems.into_iter().map(|problem| format!("{}: {}", problem.place.unwrap().line, problem.title)).collect()
}

#[test]
fn a_dataset_may_get_columns_and_nothing_that_its_files_contradict() {
    assert!(changes(EXAMPLE, EXAMPLE, false).is_empty());
    let wider = EXAMPLE.replace(
        "- {name: country, type: string}",
        "- {name: country, type: string}\n        - {name: vat, type: string}",
    );
    assert!(changes(EXAMPLE, &wider, false).is_empty());
    let other =
        EXAMPLE.replace("amount, type: double", "amount, type: long").replace("transform: day", "transform: hour");
    assert_eq!(
        changes(EXAMPLE, &other, false),
        [
            "21: `spec.partition` of a dataset cannot change: the files that are there are spread as before",
            "10: `amount` cannot change from double to long",
        ]
    );
    assert!(changes(EXAMPLE, &other, true).is_empty(), "a table that is built anew may be any");
}

#[test]
fn each_fault_of_a_spec_is_told_with_its_line() {
    let yaml = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: t}
spec:
  stream: t.dead
  columns:
    - {name: id, type: long}
    - {name: at_day, type: string}
    - {name: at, type: timestamp}
  partition:
    - {column: id, transform: day}
    - {column: ad}
    - {column: at, transform: weekly}
  sort: [{column: nothing}]
  fileSize: 1KiB
";
    let registry = Registry::new(&[KIND]);
    let view = View {
        registry: &registry,
        context: &Context::without_node("."),
        drafts: &std::collections::HashMap::new(),
        stored: &|_, _| None,
    };
    let problems = (KIND.validate)(&draft(yaml), &view);
    let told: Vec<String> =
        problems.into_iter().map(|it| format!("{}: {}", it.place.unwrap().line, it.title)).collect();
    assert_eq!(
        told,
        [
            "5: the dead letters would come back as events of `t.dead`",
            "15: `fileSize` is 1KiB; it can be 64 KiB to 1 GiB",
            "11: `day` cannot be taken of `id`, which is a long",
            "12: there is no column `ad`; did you mean `id`?",
            "13: `weekly` is no transform: there are `identity`, `year`, `month`, `day`, `hour`, `bucket[N]` and `truncate[N]`",
            "14: there is no column `nothing`",
        ]
    );
    let conflict = yaml.replace("id, transform: day", "at, transform: day");
    let conflict = conflict.replace(
        "    - {column: ad}\n    - {column: at, transform: weekly}\n  sort: [{column: nothing}]\n  fileSize: 1KiB\n",
        "",
    );
    let conflict = conflict.replace("t.dead", "in");
    let told = (KIND.validate)(&draft(&conflict), &view);
    assert_eq!(told.len(), 1, "a column cannot be called like a partition: {told:?}");
}
