//! Has this crate built again when the console's built files come, change or go. It makes nothing itself.

use std::path::Path;

fn main() {
    let console = "../../console";
    let dist = format!("{console}/dist");
    // A path that is not there would count as changed with every build.
    let watched = if Path::new(&dist).exists() { dist } else { console.to_owned() };
    println!("cargo::rerun-if-changed={watched}");
}
