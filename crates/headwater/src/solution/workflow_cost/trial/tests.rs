use super::*;
use crate::solution::package;

#[test]
fn runs_cost_what_python_says_they_cost() {
    let package = package::find("workflow-cost").unwrap();
    let outcome = run(&package, &Options { seed: 1, generated: GENERATED, truth: None }).unwrap();
    assert_eq!(outcome.failures, Vec::<String>::new());
}

#[test]
fn the_same_seed_makes_the_same_runs_and_every_seed_can_be_priced() {
    let package = package::find("workflow-cost").unwrap();
    assert_eq!(generator::generate(7, 5).runs, generator::generate(7, 5).runs);
    for seed in 2..20 {
        let outcome = run(&package, &Options { seed, generated: 20, truth: None }).unwrap();
        assert_eq!(outcome.failures, Vec::<String>::new(), "seed {seed}");
    }
}
