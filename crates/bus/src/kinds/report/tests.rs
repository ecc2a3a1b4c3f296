#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use headwater_base::Limits;
use headwater_kernel::Registry;
use headwater_kernel::port::Context;
use serde_json::json;

use super::*;

fn told(yaml: &str) -> Vec<(u32, String)> {
    let registry = Registry::new(&[KIND]);
    let drafts = registry.read("r.yaml", yaml.as_bytes(), &Limits::default()).unwrap();
    let sheets = json!([{"id": "a", "charts": [{"id": "total"}]}, {"id": "b", "charts": [{"id": "course"}]}]);
    let dashboard = Draft {
        kind: "Dashboard".to_owned(),
        spec: json!({"sheets": sheets, "filters": [{"id": "country"}]}),
        ..drafts[0].clone()
    };
    let view = View {
        registry: &registry,
        context: &Context::without_node("."),
        drafts: &HashMap::from([("Dashboard/sales".to_owned(), dashboard)]),
        stored: &|_, _| None,
    };
    let problems = validate(&drafts[0], &view);
    problems.into_iter().map(|it| (it.place.unwrap().line, it.code)).collect()
}

#[test]
fn each_fault_of_a_report_is_told_with_its_place() {
    assert_eq!(told(EXAMPLE), []);
    let head = "apiVersion: headwater.dev/v1\nkind: Report\nmetadata: {name: r}\nspec:\n  dashboard: sales\n";
    let code = |line: u32, code: &str| (line, code.to_owned());
    assert_eq!(
        told(&format!(
            "{head}  schedule: daily\n  timezone: Europe/Zürich\n  principal: \"\"\n  to: [{{destination: d}}]\n"
        )),
        [code(8, "HW-BASE-002"), code(6, "HW-BUS-001")]
    );
    assert_eq!(
        told(&format!(
            "{head}  schedule: rate(1 days)\n  timezone: Europe/Zurick\n  charts: [totl]\n  filters: {{city: [Bern]}}\n  to: [{{destination: d}}]\n"
        )),
        [code(7, "HW-BUS-002"), code(8, "HW-BUS-060"), code(9, "HW-BUS-060")]
    );
    assert_eq!(
        told(&format!("{head}  schedule: rate(1 days)\n  last: 1d\n  period: lastWeek\n  to: [{{destination: d}}]\n")),
        [code(8, "HW-BUS-063")]
    );
}

#[test]
fn what_it_names_has_to_be_there() {
    let registry = Registry::new(&[KIND]);
    let drafts = registry.read("r.yaml", EXAMPLE.as_bytes(), &Limits::default()).unwrap();
    let named: Vec<String> = refs(&drafts[0].spec).into_iter().map(|it| format!("{}/{}", it.kind, it.name)).collect();
    assert_eq!(named, ["Dashboard/sales", "Destination/sales-team"]);
}
