use std::sync::Arc;

use headwater_kernel::kind::ApplyOptions;
use headwater_kernel::reconcile::Observed;
use headwater_kernel::resource::{Draft, Resource};
use serde_json::json;

use super::{EXAMPLE, KIND};
use crate::testing::{draft, problems};

fn stored(draft: &Draft) -> Resource {
    serde_json::from_value(json!({
        "apiVersion": "headwater.dev/v1", "kind": "Dataset",
        "metadata": {"name": draft.name}, "spec": draft.spec, "effective": (KIND.effective)(&draft.spec, None),
    }))
    .unwrap()
}

fn told(yaml: &str) -> Vec<String> {
    problems(KIND, yaml).into_iter().map(|it| format!("{}: {}", it.place.unwrap().line, it.title)).collect()
}

fn changes(from: &str, to: &str, reset_state: bool) -> Vec<String> {
    let options = ApplyOptions { reset_state, ..ApplyOptions::default() };
    let problems = (KIND.change)(&stored(&draft(KIND, from)), &draft(KIND, to), &options);
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
    let other = EXAMPLE.replace("amount, type: double", "amount, type: long");
    assert_eq!(changes(EXAMPLE, &other, false), ["10: `amount` cannot change from double to long"]);
    assert!(changes(EXAMPLE, &other, true).is_empty(), "a table that is built anew may be any");
}

#[test]
fn a_dataset_may_be_spread_and_sorted_otherwise() {
    let other =
        EXAMPLE.replace("transform: day", "transform: hour").replace("    - {column: at}\n", "    - {column: id}\n");
    assert_ne!(other, EXAMPLE);
    assert!(changes(EXAMPLE, &other, false).is_empty());
    let without = EXAMPLE.replace("  partition:\n    - {column: at, transform: day}\n", "");
    assert!(changes(EXAMPLE, &without, false).is_empty());
    let clash = without.replace("    - {name: amount", "    - {name: at_day, type: string}\n    - {name: amount");
    let said = "10: the new column `at_day` is called like what older files are spread by";
    assert_eq!(changes(EXAMPLE, &clash, false), [said]);
    assert!(changes(EXAMPLE, &clash, true).is_empty(), "a table that is built anew may be any");
}

const ROLLUP: &str = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: sales}
spec:
  stream: sales.raw
  columns:
    - {name: at, type: timestamp}
    - {name: country, type: string}
    - {name: pieces, type: int}
  rollup:
    time: {column: at, grain: minute}
    dimensions: [country]
    metrics:
      - {name: events, type: count}
      - {name: pieces, type: sum, column: pieces}
";

#[test]
fn a_rollup_stays_as_it_is_unless_its_table_is_built_anew() {
    assert!(changes(ROLLUP, ROLLUP, false).is_empty());
    let wider = ROLLUP.replace("pieces, type: int", "pieces, type: long");
    assert!(changes(ROLLUP, &wider, false).is_empty(), "a sum of whole numbers is a long anyway");
    let coarser = ROLLUP.replace("grain: minute", "grain: hour");
    let said = "cannot change: what the rows that are there stand for would be unknown";
    assert_eq!(changes(ROLLUP, &coarser, false), [format!("11: `spec.rollup` of a dataset {said}")]);
    assert!(changes(ROLLUP, &coarser, true).is_empty(), "a table that is built anew may be any");
    let without = ROLLUP.split("  rollup:").next().unwrap();
    assert_eq!(changes(without, ROLLUP, false), [format!("11: `spec.rollup` of a dataset {said}")]);
    let exact = ROLLUP.replace("pieces, type: int", "pieces, type: decimal, precision: 9, scale: 2");
    assert_eq!(changes(ROLLUP, &exact, false), ["11: `pieces` cannot change from long to decimal(38, 2)"]);
}

#[test]
fn each_fault_of_a_rollup_is_told_with_its_line() {
    let yaml = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: sales}
spec:
  stream: sales.raw
  columns:
    - {name: at, type: string}
    - {name: tags, type: list, items: {type: string}}
    - {name: open, type: boolean}
    - {name: country, type: string}
  rollup:
    time: {column: at, grain: minute}
    dimensions:
      - country
      - contry
      - tags
      - at
    metrics:
      - {name: events, type: count, column: country}
      - {name: a, type: sum, column: country}
      - {name: b, type: min, column: open}
      - {name: c, type: max}
      - {name: COUNTRY, type: count}
      - {name: a.b, type: count}
";
    assert_eq!(
        told(yaml),
        [
            "12: `at` is no `timestamp`: only a moment can be cut",
            "15: there is no column `contry`; did you mean `country`?",
            "16: `tags` is no single value",
            "17: the column `at` comes twice",
            "19: a `count` is of events, and has no `column`",
            "20: `country` is no number: there is no sum of it",
            "21: `open` is no number, day, moment or text: it has no least and no greatest",
            "22: a metric needs the `column` that it is computed of, if it is no `count`",
            "23: the column `COUNTRY` comes twice",
            "24: a column cannot be called `a.b`: a dot leads into a struct",
        ]
    );
    assert!(told(ROLLUP).is_empty());
    let unused = ROLLUP.replace("dimensions: [country]", "dimensions: []");
    let said = "nothing is made of `country`: make it a dimension or the `column` of a metric, or drop it";
    assert_eq!(told(&unused), [format!("8: {said}")]);
    let sorted = format!("{ROLLUP}  sort: [{{column: at}}]\n  partition: [{{column: piece, transform: day}}]\n");
    assert_eq!(told(&sorted), ["17: there is no column `piece`; did you mean `pieces`?"]);
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
    assert_eq!(
        told(yaml),
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
    let told = told(&conflict);
    assert_eq!(told.len(), 1, "a column cannot be called like a partition: {told:?}");
}

const KEYED: &str = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: people}
spec:
  stream: people.raw
  key: [id]
  columns:
    - {name: id, type: string, path: $key, required: true}
    - {name: n, type: long}
";

#[test]
fn a_key_stays_as_it_is_unless_its_table_is_built_anew() {
    assert!(told(KEYED).is_empty(), "{:?}", told(KEYED));
    assert!(changes(KEYED, KEYED, false).is_empty());
    let without = KEYED.replace("  key: [id]\n", "");
    let said = "5: `spec.key` of a dataset cannot change: which rows take the place of which would be unknown";
    assert_eq!(changes(KEYED, &without, false).len(), 1);
    assert_eq!(changes(&without, KEYED, false), [said.replace("5:", "6:")]);
    assert!(changes(KEYED, &without, true).is_empty(), "a table that is built anew may be any");
    let of_table = without.replace("stream: people.raw", "table: people");
    let moved = changes(&without, &of_table, false);
    assert!(
        moved.iter().any(|it| it.contains("`spec.stream`")) && moved.iter().any(|it| it.contains("`spec.table`")),
        "{moved:?}"
    );
}

#[test]
fn each_fault_of_a_key_is_told_with_its_line() {
    let yaml = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: people}
spec:
  stream: people.raw
  key:
    - id
    - id
    - ids
    - tags
    - weight
    - rest
    - at
    - optional
  columns:
    - {name: id, type: string, path: $key, required: true}
    - {name: tags, type: list, items: {type: string}}
    - {name: weight, type: double, required: true}
    - {name: rest, type: json, required: true}
    - {name: at, type: long, path: $offset, required: true}
    - {name: optional, type: string}
";
    assert_eq!(
        told(yaml),
        [
            "8: the column `id` comes twice",
            "9: there is no column `ids`; did you mean `id`?",
            "10: `tags` is no single value",
            "11: `weight` is a floating-point number: two that are shown alike may not be equal",
            "12: `rest` is JSON: the same value can be written in many ways",
            "13: `at` is another one for each event: no row would take another's place",
            "14: `optional` is part of the key: make it `required: true`",
        ]
    );
    let of_any_event = KEYED.split("  columns:").next().unwrap().replace("[id]", "[key]");
    assert!(told(&of_any_event).is_empty(), "the record's own columns can be the key: {:?}", told(&of_any_event));
    let rollup =
        format!("{}  rollup:\n    time: {{column: id, grain: hour}}\n    metrics: [{{name: c, type: count}}]\n", KEYED);
    let said = "a `rollup` adds up events, and a dataset with a key has the last one of each key alone";
    assert_eq!(told(&rollup), [format!("6: {said}")]);
}

#[test]
fn a_dataset_is_of_a_stream_or_of_a_table() {
    let neither = KEYED.replace("  stream: people.raw\n", "");
    assert_eq!(told(&neither), ["5: a dataset needs a `stream`, a `table` or `letters` that its rows are of"]);
    let both =
        KEYED.replace("  stream: people.raw\n", "  stream: people.raw\n  table: people\n").replace("  key: [id]\n", "");
    assert_eq!(told(&both), ["5: a dataset is of a `stream`, of a `table` or of `letters`, not of several"]);
    let table = KEYED.replace("stream: people.raw", "table: people");
    assert_eq!(told(&table), ["6: the key of a dataset of a `table` is that of its documents"]);
    let table = table.replace("  key: [id]\n", "");
    assert!(told(&table).is_empty(), "{:?}", told(&table));
    let of_documents = table.split("  columns:").next().unwrap();
    assert!(told(of_documents).is_empty(), "{:?}", told(of_documents));
    let unfound = table.replace("path: $key, ", "");
    let said = "a dataset of a `table` needs a column with `path: $key`: by it a document is found again";
    assert_eq!(told(&unfound), [format!("7: {said}")]);
    let optional = table.replace(", required: true", "");
    assert_eq!(told(&optional), ["7: `id` is part of the key: make it `required: true`"]);
    let refs = |yaml: &str| {
        (KIND.refs)(&draft(KIND, yaml).spec).into_iter().map(|it| (it.kind, it.name, it.needed)).collect::<Vec<_>>()
    };
    assert_eq!(refs(&table), [("Table", "people".to_owned(), true)]);
    assert_eq!(refs(KEYED), [("Stream", "people.raw".to_owned(), false)]);
}

const LETTERS: &str = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: refused}
spec:
  letters: orders.dead
  partition: [{column: time, transform: day}]
";

#[test]
fn a_dataset_of_letters_has_columns_of_its_own_and_no_dead_letters() {
    assert!(told(LETTERS).is_empty(), "{:?}", told(LETTERS));
    let more = "  stream: orders\n  key: [code]\n  columns:\n    - {name: id, type: long}\n  deadLetters: a.dead\n";
    let all = format!("{LETTERS}{more}");
    assert_eq!(
        told(&all),
        [
            "7: a dataset is of a `stream`, of a `table` or of `letters`, not of several",
            "11: every record of `letters` is a row: there are no `deadLetters` of them",
            "10: the columns of `letters` are given; a `rollup` may pick some of them",
            "8: each of the `letters` is a row for itself: they have no `key`",
        ]
    );
    let rollup = "  rollup:\n    time: {column: time, grain: hour}\n    dimensions: [code, reson]\n    metrics: [{name: letters, type: count}]\n";
    assert_eq!(told(&format!("{LETTERS}{rollup}")), ["9: there is no column `reson`; did you mean `reason`?"]);
    let rollup = format!("{LETTERS}{}", rollup.replace("reson", "reason"));
    assert!(told(&rollup).is_empty(), "what is not counted need not be dropped: {:?}", told(&rollup));
    let draft = draft(KIND, LETTERS);
    let refs: Vec<_> = (KIND.refs)(&draft.spec).into_iter().map(|it| (it.kind, it.name, it.needed)).collect();
    assert_eq!(refs, [("Stream", "orders.dead".to_owned(), false)]);
    let plan = (KIND.reconcile)(&Arc::new(stored(&draft)), &Observed::default());
    let streams: Vec<_> = plan.streams.iter().map(|it| (it.name.as_str(), it.config.partitions)).collect();
    assert_eq!(streams, [("orders.dead", 1)]);
    let other = LETTERS.replace("orders.dead", "sales.dead");
    let said = "which of its records are in the table would be unknown";
    assert_eq!(changes(LETTERS, &other, false), [format!("5: `spec.letters` of a dataset cannot change: {said}")]);
}
