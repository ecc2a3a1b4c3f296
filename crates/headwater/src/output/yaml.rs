//! JSON values as YAML, in the words of the kernel, which writes texts of resources as well.

pub use headwater_kernel::yaml::write;

#[cfg(test)]
mod tests;
