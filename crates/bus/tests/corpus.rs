//! The recorded behaviour of the services: which schedule expressions they take.

use headwater_bus::schedule::{Dialect, Expression};
use headwater_testkit::Corpus;

#[test]
fn schedules() {
    let Some(corpus) = Corpus::open("schedules") else { return };
    corpus.judge(&corpus.cases(""), |case| {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let dialect = if text("api").starts_with("scheduler") { Dialect::Schedule } else { Dialect::Rule };
        let answer = match Expression::parse(text("expression"), dialect) {
            Ok(_) => "valid".to_owned(),
            Err(problem) if problem.title == text("error") => "invalid".to_owned(),
            Err(problem) => problem.title,
        };
        if answer == text("expect") {
            return Ok(());
        }
        Err(format!("{answer}, recorded {} {}", text("expect"), text("error")))
    });
}
