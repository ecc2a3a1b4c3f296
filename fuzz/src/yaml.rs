//! Resource files: never a panic, an endless loop or a blown-up alias, and every problem has a place in the file.

use std::sync::OnceLock;

use headwater_base::Limits;
use headwater_bus::kinds::{archive, event_type, pipe, report, rule, schedule};
use headwater_kernel::Registry;
use headwater_lake::kinds::{bucket, dashboard, dataset, external_table, ingest, row_policy};
use headwater_watch::kinds::{alarm, forecast};
use headwater_work::kinds::{activity, workflow};

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let kinds = [
            headwater_flow::kinds::pipeline::KIND,
            workflow::KIND,
            activity::KIND,
            headwater_connect::destination::KIND,
            dataset::KIND,
            bucket::KIND,
            dashboard::KIND,
            external_table::KIND,
            ingest::KIND,
            row_policy::KIND,
            forecast::KIND,
            alarm::KIND,
            rule::KIND,
            pipe::KIND,
            schedule::KIND,
            archive::KIND,
            event_type::KIND,
            report::KIND,
        ];
        Registry::new(&kinds).with_lookups(headwater_connect::lookups::LOOKUPS)
    })
}

pub fn run(bytes: &[u8]) {
    for problem in registry().read("fuzz.yaml", bytes, &Limits::default()).err().into_iter().flatten() {
        assert!(problem.place.is_some(), "{problem}");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = registry().kinds().iter().map(|kind| kind.example.as_bytes().to_vec()).collect();
    seeds.extend(crate::texts(&[
        "a: &x [1, *x]\nb: !!str 2\n---\n? {k: v}\n: |\n  text\n",
        "{\"apiVersion\": \"headwater.dev/v1\", \"kind\": \"Stream\"}",
    ]));
    seeds
}
