//! The `headwater` program, line for line: see `crates/headwater/src/main.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    headwater::cli::main()
}
