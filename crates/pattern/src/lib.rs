//! Event patterns and input transformers: which rules an event matches, why, and what a rule's target gets of it.
//!
//! What it is NOT: it does no I/O, starts no task, reads no clock and draws no random number; rules as resources,
//! targets and delivery are the bus's. Everything takes arbitrary bytes and answers or names what is wrong; nothing
//! panics, and everything that can grow is bounded in [`limits`].
//!
//! ```text
//! Pattern::parse(text)?  ->  RuleSet::build(&patterns)?  ->  rules.matches(event, &mut scratch)? = [3, 17]
//! explain(&pattern, event)?                                  field by field, why or why not
//! Input::parse(spec, target)?  ->  input.render(event, &context)?   what the target gets
//! ```

mod address;
mod affixes;
mod arrays;
mod envelope;
mod explain;
mod fold;
mod index;
mod input;
mod intervals;
mod json;
mod jsonpath;
mod keys;
pub mod limits;
mod matcher;
mod number;
mod paths;
mod reading;
mod ruleset;
mod syntax;
mod template;
mod test;
mod tree;
mod wildcard;

pub use envelope::check_event;
pub use explain::{BranchReport, Explanation, FieldReport, Verdict, explain};
pub use input::{Context, Input, InputSpec};
pub use ruleset::{RuleSet, Scratch};
pub use syntax::Pattern;
