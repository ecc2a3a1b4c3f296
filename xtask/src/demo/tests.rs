use std::time::Instant;

use serde_json::json;

use super::*;

#[test]
fn the_dashboards_of_solutions_are_known_before_they_are_applied() {
    let answer = json!({"solutions": [
        {"name": "flights", "title": "Flights", "about": "", "parameters": [],
         "resources": ["Dashboard/flights", "ExternalTable/airports"]},
        {"name": "torn", "title": "it cannot be read", "resources": [], "problem": {}},
    ]});
    let of = |name: &str, title: &str, dashboards: &[&str]| Offered {
        name: name.to_owned(),
        title: title.to_owned(),
        dashboards: dashboards.iter().map(|name| (*name).to_owned()).collect(),
    };
    let expected = vec![of("flights", "Flights", &["flights"]), of("torn", "it cannot be read", &[])];
    assert_eq!(offered(&answer.to_string()).unwrap(), expected);
    assert!(offered("no answer").is_err());
}

#[test]
fn every_solution_of_the_tree_that_is_fed_is_there() {
    for name in FED.iter().chain([&TRAFFIC]) {
        assert!(crate::process::root().join("solutions").join(name).join("solution.yaml").is_file(), "{name}");
    }
}

#[test]
fn feeds_run_one_after_another_and_a_failure_is_no_end() {
    let folder = target().join("demo-tests");
    std::fs::create_dir_all(&folder).unwrap();
    let done = folder.join(format!("{}", std::process::id()));
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(&done).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let mut feeds = Feeds::default();
    feeds.waiting.push_back(("fails".to_owned(), shell("echo no >&2; exit 3")));
    feeds.waiting.push_back(("works".to_owned(), shell("echo yes > \"$0\"")));
    let start = Instant::now();
    while (feeds.now.is_some() || !feeds.waiting.is_empty()) && start.elapsed() < Duration::from_secs(20) {
        feeds.step();
        std::thread::yield_now();
    }
    assert_eq!(std::fs::read_to_string(&done).unwrap(), "yes\n");
    std::fs::remove_file(done).unwrap();
}

#[test]
fn a_feed_that_still_runs_ends_with_the_demo() {
    let mut command = Command::new("sleep");
    command.arg("600").stdin(Stdio::null());
    let mut feeds = Feeds::default();
    feeds.waiting.push_back(("endless".to_owned(), command));
    feeds.step();
    let id = feeds.now.as_ref().unwrap().1.id();
    drop(feeds);
    assert!(!std::path::Path::new(&format!("/proc/{id}")).exists(), "it is gone and waited for");
}

#[test]
fn an_interrupt_is_heard_and_stays_known() {
    let mut interrupts = Interrupts::new().unwrap();
    assert!(!interrupts.have_come());
    crate::process::run(Command::new("kill").args(["-INT", &std::process::id().to_string()])).unwrap();
    let start = Instant::now();
    while !interrupts.have_come() && start.elapsed() < Duration::from_secs(20) {}
    assert!(interrupts.have_come());
}
