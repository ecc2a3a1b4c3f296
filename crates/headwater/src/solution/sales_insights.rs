//! What `sales-insights` has of its own: sales from a file or made from a seed, their replay through the solution, and
//! how its alarms are judged by windows that somebody labelled.

pub mod generator;
pub mod replay;
pub mod sale;
pub mod trial;
pub mod windows;
