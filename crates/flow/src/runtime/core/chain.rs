//! Chains of events: what a record says that it came of, what comes of it carries one step further, and where a chain
//! has too many steps it is cut.
//!
//! A record without a word of a chain costs nothing, unless the pipeline is part of a circle: then a chain begins with
//! it, so that what comes back is known.
//!
//! Windows and sessions keep the longest chain of their events, and their results go on with it.
//!
//! The letter of a chain that was cut bears a mark: where pipelines read each other's letters it goes no further. How
//! many steps a record claims says nothing of that: a producer may claim any, and the bound may be lowered.

use headwater_kernel::port::Cause;
use headwater_log::Offset;
use headwater_wire::batch::Record;

use super::{Core, InputIndex};
use crate::doc::Fault;
use crate::runtime::outbox::CUT_HEADER;

/// The code of the letter of a chain that was cut.
pub(super) const CUT: &str = "HW-FLOW-050";

/// How chains are begun and cut.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// Steps after which a chain is cut.
    pub hops_max: u32,
    /// Whether one begins with each record that belongs to none.
    pub begins: bool,
}

impl Default for Chain {
    /// Carries chains, begins none and cuts none.
    fn default() -> Self {
        Self { hops_max: u32::MAX, begins: false }
    }
}

/// What a record's chain means for it.
pub(super) enum Verdict {
    /// It is worked on; what comes of it carries this.
    Goes(Option<Box<Cause>>),
    /// Its chain ends here, with a dead letter that carries this.
    Ends(Box<Cause>, Fault),
    /// It is itself the letter of a chain that was cut, which bears the mark of one.
    Ended,
}

impl Core {
    pub(super) fn chain(&self, input: InputIndex, record: &Record) -> Verdict {
        let Chain { hops_max, begins } = self.around.chain;
        let Some(input) = self.inputs.get(input) else { return Verdict::Goes(None) };
        let Some(cause) = Cause::of(record) else {
            let begin = || Cause { id: place(&input.stream, input.partition, record.offset), hops: 1 };
            return Verdict::Goes(begins.then(|| Box::new(begin())));
        };
        if input.retry {
            // A copy carries what its event's outputs would have.
            return Verdict::Goes(Some(Box::new(cause)));
        }
        let hops = cause.hops;
        let onward = Box::new(cause.onward());
        if hops < hops_max {
            return Verdict::Goes(Some(onward));
        }
        if hops > hops_max && record.headers.iter().any(|(name, _)| name.as_ref() == CUT_HEADER.as_bytes()) {
            return Verdict::Ended;
        }
        let begun: String = onward.id.chars().take(100).collect();
        let reason = format!("the chain of events that began with `{begun}` has {hops_max} steps");
        Verdict::Ends(onward, Fault::new(CUT, reason))
    }
}

/// Names the event at the beginning of a chain as the bus does.
fn place(stream: &str, partition: u32, offset: Offset) -> String {
    format!("{stream}-{partition}-{offset}")
}
