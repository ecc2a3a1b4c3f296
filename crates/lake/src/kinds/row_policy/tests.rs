use headwater_base::Principal;

use super::{EXAMPLE, KIND, RowPolicySpec};
use crate::testing::problems;

/// The problems of a policy, each as `line:column code`.
fn told(yaml: &str) -> Vec<String> {
    let shown = problems(KIND, yaml).into_iter().map(|it| {
        let place = it.place.unwrap();
        format!("{}:{} {}", place.line, place.column, it.code)
    });
    shown.collect()
}

#[test]
fn each_fault_of_a_policy_is_told_with_its_place() {
    assert_eq!(told(EXAMPLE), Vec::<String>::new());
    let faults = told(
        r#"apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: p}
spec:
  principals: [asha, ""]
  relations: [orders, "SELECT 1", 'streams."orders.raw"']
  filter: country = 'CH' OR
"#,
    );
    assert_eq!(faults, ["5:22 HW-BASE-002", "6:23 HW-LAKE-052", "7:11 HW-LAKE-040"]);
    let looking = |filter: &str| {
        told(&format!(
            "apiVersion: headwater.dev/v1\nkind: RowPolicy\nmetadata: {{name: p}}\nspec: {{principals: [a], relations: [o], filter: \"{filter}\"}}\n"
        ))
    };
    assert_eq!(looking("country IN (SELECT country FROM tables.analysts)"), ["4:49 HW-LAKE-052"]);
    assert_eq!(looking("1 = 1) OR (2 = 2"), ["4:55 HW-LAKE-040"]);
    assert_eq!(looking("\\\"select\\\" = 1"), Vec::<String>::new());
}

#[test]
fn a_policy_is_about_names_as_sql_reads_them() {
    let spec: RowPolicySpec = serde_json::from_value(serde_json::json!({
        "principals": ["asha"], "relations": ["Orders", "streams.\"orders.raw\""],
    }))
    .unwrap();
    let about = |who: &str, schema: &str, name: &str| spec.is_about(&Principal::new(who).unwrap(), schema, name);
    assert!(about("asha", "public", "orders") && about("asha", "streams", "orders.raw"));
    assert!(
        !about("asha", "streams", "orders") && !about("lea", "public", "orders") && !about("asha", "public", "Orders")
    );
    let all = RowPolicySpec { principals: vec!["*".to_owned()], ..spec.clone() };
    assert!(all.is_about(&Principal::new("lea").unwrap(), "public", "orders"));
}
