//! The kernel: kinds and resources, reconcilers and the supervisor, and the ports all features meet through.

pub mod port;
