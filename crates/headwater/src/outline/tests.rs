use expect_test::{Expect, expect};

use super::Outline;
use crate::node::registry;

fn check(kind: &str, path: &[&str], expected: Expect) {
    let registry = registry();
    let schema = (registry.find(kind).unwrap().schema)();
    let text = match Outline::new(&schema).find(path) {
        Ok(found) => {
            let place = found.place();
            let mut lines = vec![format!("{}: {}", place.is, place.words)];
            lines.extend(place.keys.iter().map(|key| format!("{} ({}) {}", key.name, key.is, key.required)));
            let names = |form: &super::Form<'_>| form.keys.iter().map(|key| key.name).collect::<Vec<_>>().join(" ");
            lines.extend(place.forms.iter().map(|form| format!("{}: {}", form.name, names(form))));
            lines.join("\n")
        }
        Err(problem) => problem.to_string(),
    };
    expected.assert_eq(&text);
}

#[test]
fn walks_through_lists_maps_and_forms() {
    check(
        "stream",
        &["retention"],
        expect![[r#"
        object: How long and how much is kept.
        time (text such as `250ms`) false
        size (text such as `512KiB`) false"#]],
    );
    check(
        "pipeline",
        &["source"],
        expect![[r#"
        object of `type` `stream` or `http` or `file` or `stdin`: Where events come from.
        stream: stream start
        http: stream start
        file: path format
        stdin: format"#]],
    );
    check(
        "pipeline",
        &["steps", "lookup", "cache", "ttl"],
        expect!["text such as `250ms`: How long an answer is good. Default: `10m`."],
    );
    check("pipeline", &["steps", "aggregate", "measures", "sum"], expect!["text: Sum of a number at this path."]);
    check(
        "pipeline",
        &["outputs", "table"],
        expect![[r#"
        object: A table's document.
        table (text of the form `^[a-zA-Z0-9._-]+$`, 1 to 249 characters) true
        when (text) false
        key (text) true
        delete (text) false
        fields (map of text) false"#]],
    );
}

#[test]
fn tells_bounds_and_defaults() {
    check("report", &["rows"], expect!["integer, 1 to 1000: Rows of each chart that go with it, at most. Default 50."]);
    check(
        "report",
        &["charts"],
        expect!["list of text, at most 60 of them: Ids of its charts. All of them if it is left out."],
    );
    check("report", &["enabled"], expect!["boolean: A report that is not enabled is never due. Default `true`."]);
    check(
        "report",
        &["to"],
        expect![[r#"
        list of object, 1 to 10 of them: Where it goes. Each destination gets all of it, in one commit.
        destination (text of the form `^[a-zA-Z0-9._-]+$`, 1 to 249 characters) true
        input (object) false
        delivery (object) false"#]],
    );
}

#[test]
fn names_what_is_near() {
    check(
        "pipeline",
        &["stepz"],
        expect![[r#"
        error[HW-CLI-015]: there is no key `stepz` here
        help: did you mean `steps`?"#]],
    );
    check(
        "stream",
        &["partitions", "x"],
        expect![[r#"
        error[HW-CLI-015]: there is no key `x` here
        help: nothing is below the key in front of it"#]],
    );
}
