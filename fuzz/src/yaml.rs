//! Resource files: never a panic, an endless loop or a blown-up alias, and every problem has a place in the file.

use std::sync::OnceLock;

use headwater_base::Limits;
use headwater_kernel::Registry;

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        Registry::new(&[headwater_flow::kinds::pipeline::KIND]).with_lookups(headwater_connect::lookups::LOOKUPS)
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
