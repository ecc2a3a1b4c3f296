//! The `headwater` program: see [`headwater::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    headwater::cli::main()
}
