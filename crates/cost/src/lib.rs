//! What a run of a workflow cost: effective-dated prices, usage, exact decimals, and reports over many runs.
//!
//! What it is NOT: it does no I/O and reads no clock; prices and usage are handed in, and what is `now` is an argument.
//!
//! ```text
//! engines::read(engine, files, about)?      records of an engine  ->  Run
//! lists::aws(..)? lists::spot(..)? lists::csv(..)?   price lists  ->  Vec<Series>
//! discounts::read(..)?                     rules by account    ->  Vec<Discount>
//! bill::price(run, book, as_of)?            ->  Bill: lines, attempts, totals, or why there are none
//! report::..(priced runs)                   ->  rows;  focus::csv(..)  ->  a FOCUS 1.0 file
//! functions::{price_run, collect_resources} the same on JSON values, as workflows call them
//! ```
//!
//! Every rule of counting (rounding, minimum billing, hours of a month, overlap) stands in [`conventions`], and only
//! there.

pub mod bill;
pub mod book;
pub mod conventions;
pub mod discounts;
pub mod engines;
pub mod estimate;
mod figures;
pub mod focus;
pub mod functions;
pub mod lists;
pub mod report;
mod shares;
pub mod time;
pub mod usage;

pub use bill::{Bill, Status};
pub use book::{Book, Discount, Series};
pub use time::{Span, Time};
pub use usage::Run;
