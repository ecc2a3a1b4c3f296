//! JSON values as YAML, in the words of the kernel, which writes texts of resources as well.

pub use headwater_kernel::yaml::{write, write_exact};

#[cfg(test)]
mod tests;
