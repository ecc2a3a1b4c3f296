//! The `headwater` program: see [`headwater::cli`].

use std::process::ExitCode;

/// An event is allocated by one thread and freed by another all the time, which the C library's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    headwater::cli::main()
}
