//! The recorded behaviour of other systems, as far as this crate answers for it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test driver")]

mod asl;
mod compare;
mod driver;
mod jsonata;
mod mocked;
mod services;
mod validation;

use headwater_testkit::Corpus;

#[test]
fn asl_executions_match_the_recorded_service() {
    if let Some(corpus) = Corpus::open("asl") {
        corpus.judge(&corpus.cases(""), asl::check);
    }
}

#[test]
fn mocked_executions_match_the_recorded_service() {
    if let Some(corpus) = Corpus::open("asl-mocked") {
        corpus.judge(&corpus.cases(""), mocked::check);
    }
}

#[test]
fn validation_matches_the_recorded_service() {
    if let Some(corpus) = Corpus::open("asl-validation") {
        corpus.judge(&corpus.cases(""), validation::check);
    }
}

#[test]
fn jsonata_matches_the_official_suite() {
    if let Some(corpus) = Corpus::open("jsonata") {
        let datasets = jsonata::datasets(corpus.folder());
        let mut all = corpus.cases("cases");
        all.extend(jsonata::lone_surrogates(corpus.folder()));
        corpus.judge(&all, |case| jsonata::check(case, &datasets));
    }
}
