//! What is clickstream's own: its traffic, its truth, the stand-in for its catalogue, and how it is tried.

pub mod catalogue;
pub mod feed;
pub mod live;
pub mod run;
pub mod traffic;
pub mod trial;
