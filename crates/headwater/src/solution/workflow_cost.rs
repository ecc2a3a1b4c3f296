//! What is workflow-cost's own: its tables over HTTP, the sample's real runs, runs made from a seed, and how it is tried.

pub mod generator;
pub mod sample;
pub mod tables;
pub mod trial;

#[cfg(test)]
mod tests;
