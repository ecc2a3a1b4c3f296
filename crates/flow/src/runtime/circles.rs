//! Which of the pipelines that run lead back to themselves.
//!
//! One of a circle is enough to count its steps, so each is told when it starts: whichever of a circle starts last sees
//! it whole. What runs already is left alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::compile::{Onward, Plan};

/// What each pipeline reads and writes, by its name.
#[derive(Debug, Default)]
pub struct Circles(Mutex<BTreeMap<String, Arc<Way>>>);

/// What one pipeline reads and writes.
#[derive(Debug)]
pub struct Way {
    reads: String,
    writes: Vec<String>,
}

impl Circles {
    /// Enters a pipeline. Answers whether something of what it writes may come back to it.
    pub fn enter(&self, plan: &Plan) -> (Arc<Way>, bool) {
        let reads = plan.input.as_ref().map(|(stream, _)| stream.to_string()).unwrap_or_default();
        let way = Arc::new(Way { reads, writes: plan.streams.iter().map(ToString::to_string).collect() });
        let mut ways = self.0.lock();
        ways.insert(plan.name.to_string(), Arc::clone(&way));
        let mut onward = Onward::default();
        for way in ways.values() {
            onward.add(&way.reads, &way.writes);
        }
        onward.add_changes();
        let back = onward.way_back(&way.reads, &way.writes);
        if let Some(back) = &back {
            tracing::warn!(pipeline = %plan.name, way = %back.join(" -> "), "what a pipeline writes may come back to it");
        }
        (way, back.is_some())
    }

    /// A pipeline has stopped; one of its name that was entered since stays.
    pub fn leave(&self, pipeline: &str, way: &Arc<Way>) {
        let mut ways = self.0.lock();
        if ways.get(pipeline).is_some_and(|known| Arc::ptr_eq(known, way)) {
            ways.remove(pipeline);
        }
    }
}
