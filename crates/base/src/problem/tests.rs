use super::*;

#[test]
fn reads_code_fact_place_cause_help() {
    let problem = Problem::new("HW-FLOW-007", "lookup table `geo` has no column `zip`")
        .at("resources/enrich.yaml", 14, 12)
        .at("a farther place", 1, 1)
        .because("the column list was read at 10:02")
        .help("columns are `city`, `postal_code`");
    expect_test::expect![[r#"
        error[HW-FLOW-007]: lookup table `geo` has no column `zip`
          --> resources/enrich.yaml:14:12
        cause: the column list was read at 10:02
        help: columns are `city`, `postal_code`"#]]
    .assert_eq(&problem.to_string());
}
